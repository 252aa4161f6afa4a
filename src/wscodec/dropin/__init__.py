"""Adapters that put this codec under servers and libraries that people already run; one host in each module.

Floor 5.
"""
