"""The byte-level operations of wscodec on one kernel, that of WSCODEC_BENCH_KERNEL."""

from __future__ import annotations

import os

import wscodec

from . import python_
from .wscodec_ import decode_utf8, mask, mask_inplace, validate_utf8

__all__ = ["SKIPPED", "about", "decode_utf8", "mask", "mask_inplace", "validate_utf8"]

KERNEL = os.environ["WSCODEC_BENCH_KERNEL"]
# Python can do no more of what is measured than a kernel can.
SKIPPED = dict.fromkeys(python_.SKIPPED, "a kernel is measured alone")

try:
    wscodec.use_kernel(KERNEL)
except ValueError as error:
    raise ImportError(str(error)) from None


def about():
    """Return version and kernel."""
    return {"version": wscodec.__version__, "kernel": KERNEL}
