"""What the commands say about errors: one line, on stderr.

Floor 6.
"""

from __future__ import annotations

import os
import socket
import sys

__all__ = ["complain", "why"]


def complain(command: str, text: str) -> None:
    """Print what went wrong."""
    print(f"wscodec {command}: {text}", file=sys.stderr, flush=True)


def why(error: Exception) -> str:
    """Return what went wrong in one line, without the numbers and calls that asyncio puts around it."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.errno:
        return str(error.strerror) if isinstance(error, socket.gaierror) else os.strerror(error.errno)
    return " ".join(str(error).split()) or type(error).__name__
