"""Masking keys: unpredictable, and taken from the system's random source in blocks (RFC 6455 sections 5.3 and 10.3).

Floor 3.
"""

from __future__ import annotations

import os
import struct
import threading

__all__ = ["take_key", "take_keys"]

_BLOCK_SIZE = 4096


class _Pool(threading.local):
    """The keys of a block of random bytes, each handed out once. Every thread has its own, so that none waits.

    Attributes:
        next: returns a tuple of the next key; StopIteration at the end of the block.
    """

    def __init__(self) -> None:
        self.next = struct.iter_unpack("4s", b"").__next__

    def fill(self) -> None:
        """Begin a new block."""
        self.next = struct.iter_unpack("4s", os.urandom(_BLOCK_SIZE)).__next__


_pool = _Pool()


def _after_fork() -> None:
    """Give a child process a pool of its own: it must not hand out its parent's keys."""
    global _pool
    _pool = _Pool()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def take_key() -> bytes:
    """Return a masking key (RFC 6455 §5.3, §10.3)."""
    try:
        key: bytes = _pool.next()[0]
    except StopIteration:
        _pool.fill()
        key = _pool.next()[0]
    return key


def take_keys(count: int) -> bytes:
    """Return `count` masking keys, one behind the other; for a burst the system is asked directly."""
    return take_key() if count == 1 else os.urandom(4 * count)
