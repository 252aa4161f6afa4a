"""Frames taken apart as the figure of RFC 6455 §5.2 shows them."""

from __future__ import annotations

import struct
from typing import NamedTuple

from reference.masking import mask


class RawFrame(NamedTuple):
    fin: bool
    rsv: int
    opcode: int
    key: bytes | None
    payload: bytes


def take_frame(wire: bytes) -> tuple[RawFrame, bytes]:
    """Return the first frame and what follows it; the frame must be whole and its length in the shortest form."""
    first, second = wire[0], wire[1]
    length, rest = second & 0x7F, wire[2:]
    if length == 126:
        (length,), rest = struct.unpack("!H", rest[:2]), rest[2:]
        assert length >= 126
    elif length == 127:
        (length,), rest = struct.unpack("!Q", rest[:8]), rest[8:]
        assert 65536 <= length < 1 << 63
    key = None
    if second & 0x80:
        key, rest = rest[:4], rest[4:]
        assert len(key) == 4
    payload, rest = rest[:length], rest[length:]
    assert len(payload) == length
    if key is not None:
        payload = mask(payload, key)
    return RawFrame(bool(first & 0x80), first >> 4 & 7, first & 0x0F, key, payload), rest


def frames_of(wire: bytes) -> list[RawFrame]:
    """Return all the frames of `wire`, which must end with the last of them."""
    frames = []
    while wire:
        frame, wire = take_frame(wire)
        frames.append(frame)
    return frames
