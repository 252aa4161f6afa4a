"""Python's own decoder, which is also the only validator that it has."""

from __future__ import annotations

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
        "mask",
        "mask_inplace",
        "handshake",
    ],
    _NO_CODEC,
)


def about():
    """Return the version."""
    return {"version": platform.python_version()}


def decode_utf8(data):
    return bytes.decode, (data,)


validate_utf8 = decode_utf8
