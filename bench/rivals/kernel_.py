"""The byte-level operations of wscodec on one kernel, that of WSCODEC_BENCH_KERNEL."""

from __future__ import annotations

import os

import wscodec

from .wscodec_ import decode_utf8, mask, mask_inplace, validate_utf8

__all__ = ["SKIPPED", "about", "decode_utf8", "mask", "mask_inplace", "validate_utf8"]

KERNEL = os.environ["WSCODEC_BENCH_KERNEL"]
_BYTES_ONLY = "a kernel is measured alone"
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
    _BYTES_ONLY,
)

try:
    wscodec.use_kernel(KERNEL)
except ValueError as error:
    raise ImportError(str(error)) from None


def about():
    """Return version and kernel."""
    return {"version": wscodec.__version__, "kernel": KERNEL}
