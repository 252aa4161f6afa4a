"""The threads that compress large messages, a few for the whole process.

Those of an event loop are the application's: all of them may be waiting for the very message, and none of ours ever
waits for them.

Floor 4.
"""

from __future__ import annotations

import functools
import os
from concurrent.futures import ThreadPoolExecutor

__all__ = ["threads"]

# One is started where all others are at work; with more of them than CPUs, nothing would be done sooner.
_MOST = min(8, os.cpu_count() or 1)


@functools.cache
def threads() -> ThreadPoolExecutor:
    """Return what has threads run a call; it is made for the first one."""
    return ThreadPoolExecutor(_MOST, "wscodec-deflate")


if hasattr(os, "register_at_fork"):
    # A child process has no thread of its parent.
    os.register_at_fork(after_in_child=threads.cache_clear)
