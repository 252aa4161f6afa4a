"""Masking as RFC 6455 §5.3 writes it: one byte at a time."""

from __future__ import annotations


def mask(data: bytes, key: bytes, offset: int = 0) -> bytes:
    return bytes(byte ^ key[(offset + i) % 4] for i, byte in enumerate(data))
