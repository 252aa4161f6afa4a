"""The Autobahn Testsuite against our server and our client, compiled and pure. `make conformance` runs it.

docs/conformance.md says what it is, and what came of it.
"""
