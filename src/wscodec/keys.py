"""Masking keys: unpredictable, and taken from the system's random source in blocks (RFC 6455 sections 5.3 and 10.3).

Floor 3.
"""

from __future__ import annotations

import os
import threading

__all__ = ["take_keys"]

_BLOCK_SIZE = 4096


class _Pool:
    """A block of random bytes, of which each is handed out once."""

    __slots__ = ("_block", "_lock", "_position")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._block = b""
        self._position = 0

    def take(self, size: int) -> bytes:
        """Return `size` bytes that nobody else gets."""
        # Who finds the lock taken must not wait: it may be a signal handler above the one who holds it.
        if size > _BLOCK_SIZE or not self._lock.acquire(blocking=False):
            return os.urandom(size)
        try:
            if self._position + size > len(self._block):
                self._block = os.urandom(_BLOCK_SIZE)
                self._position = 0
            start = self._position
            self._position += size
            return self._block[start : self._position]
        finally:
            self._lock.release()


_pool = _Pool()


def _after_fork() -> None:
    """Give a child process a pool of its own; the parent's lock may be held in it for ever."""
    global _pool
    _pool = _Pool()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def take_keys(count: int) -> bytes:
    """Return `count` masking keys of 4 bytes each, one behind the other (RFC 6455 §5.3, §10.3)."""
    return _pool.take(4 * count)
