"""Python's own decoder, which is also the only validator that it has, and plain copies in the place of masking."""

from __future__ import annotations

import mmap
import operator
import platform

_NO_CODEC = "Python has no WebSocket codec"
SKIPPED = dict.fromkeys(
    [
        "text_decoder",
        "binary_decoder",
        "fragment_decoder",
        "frame_decoder",
        "connection",
        "echo",
        "pong",
        "encode_one",
        "encode_many",
        "handshake",
    ],
    _NO_CODEC,
)

ONLY_COPIES = True


def about():
    """Return the version."""
    return {"version": platform.python_version()}


def mask(data, key):
    return bytes, (bytearray(data),)


def mask_inplace(buffer, key):
    # At the beginning of pages: some CPUs copy between places that lie otherwise at a thirtieth of the speed.
    source, target = (memoryview(mmap.mmap(-1, len(buffer))) for _ in range(2))
    source[:] = buffer
    return operator.setitem, (target, slice(None), source)


def decode_utf8(data):
    return bytes.decode, (data,)


validate_utf8 = decode_utf8
