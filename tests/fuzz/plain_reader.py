"""Reads what a sender of ours has written, by nothing but a plain parser and zlib: the oracle."""

from __future__ import annotations

import zlib
from typing import Any

from helpers import TEXT

from wscodec import Close, Ping, Pong

TAIL = b"\x00\x00\xff\xff"


class PlainReader:
    """A reader of good frames.

    Args:
        bits: of the window of who sends them.
        fresh: whether each message is compressed by itself.

    Attributes:
        events: what was read so far.
    """

    def __init__(self, bits: int, fresh: bool) -> None:
        self._bits, self._fresh = bits, fresh
        self._stream: Any = None
        self._opcode, self._payload, self._deflated = 0, b"", False
        self.events: list[Any] = []

    def feed(self, wire: bytes) -> None:
        """Take whole frames."""
        position = 0
        while position < len(wire):
            first, second = wire[position], wire[position + 1]
            position += 2
            length = second & 127
            if length > 125:
                size = 2 if length == 126 else 8
                length = int.from_bytes(wire[position : position + size])
                position += size
            key = wire[position : position + 4] if second & 128 else b""
            position += len(key)
            payload = wire[position : position + length]
            if key:
                keys = (key * (length // 4 + 1))[:length]
                payload = (int.from_bytes(payload) ^ int.from_bytes(keys)).to_bytes(length)
            position += length
            self._frame(first, payload)

    def _frame(self, first: int, payload: bytes) -> None:
        opcode = first & 15
        if opcode >= 8:
            code = int.from_bytes(payload[:2]) if payload else 1005
            kinds = {9: Ping(payload), 10: Pong(payload), 8: Close(code, payload[2:].decode(errors="replace"))}
            self.events.append(kinds[opcode])
            return
        if opcode:
            self._opcode, self._payload, self._deflated = opcode, b"", bool(first & 0x40)
        self._payload += payload
        if first & 0x80:
            data = self._inflate(self._payload) if self._deflated else self._payload
            self.events.append(data.decode() if self._opcode == TEXT else data)

    def _inflate(self, payload: bytes) -> bytes:
        if self._stream is None or self._fresh:
            self._stream = zlib.decompressobj(-self._bits)
        return bytes(self._stream.decompress(payload + TAIL))
