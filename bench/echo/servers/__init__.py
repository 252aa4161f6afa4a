"""The servers, one program for each peer and style.

Each has `listen(mode)`, an asynchronous context manager that gives the port it listens on, and hands it to
`running.main`. `mode` is "echo" (idle connections are held by it, too) or "fanout": whoever sends a message makes it
send `MESSAGE` to all others. Compression is off and 1 MiB passes everywhere; all else is left as the peer has it, and
written as the peer's own documentation does.
"""
