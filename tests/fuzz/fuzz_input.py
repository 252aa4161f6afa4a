"""Random input for the codec: text, payloads, streams of frames good and spoilt, and ways to cut them."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from helpers import BINARY, CLOSE, CONT, PING, PONG, TEXT, frame, header

ALPHABETS = (
    "abcdefghijklmnopqrstuvwxyz 0123456789",
    "äöüßéñ¿",
    "ΩЖअ한語€",
    "😀🎉𝄞\U0010ffff",
    "\x7f\x80\u07ff\u0800\uffff",
)
# What no text has: lone continuations, overlong forms, surrogates, beyond U+10FFFF, cut characters.
NOT_UTF8 = (b"\x80", b"\xc0\xaf", b"\xe0\x80\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xf5", b"\xff", b"\xe2\x82")
EDGES = (0, 1, 3, 4, 7, 8, 15, 16, 31, 32, 33, 63, 64, 65, 124, 125, 126, 127, 128, 255, 256, 4095, 4096, 65535, 65536)
CLOSE_CODES = (0, 999, 1000, 1001, 1003, 1004, 1005, 1006, 1011, 1014, 1015, 1016, 2999, 3000, 4999, 5000, 65535)


def some_size(rng: Random) -> int:
    """Return a size: mostly small, sometimes one at which something changes."""
    kind = rng.random()
    if kind < 0.7:
        return rng.randrange(70)
    return rng.choice(EDGES) if kind < 0.9 else rng.randrange(3000)


def some_bytes(rng: Random, size: int | None = None) -> bytes:
    return rng.randbytes(some_size(rng) if size is None else size)


def some_text(rng: Random) -> str:
    """Return text, of which half is ASCII."""
    alphabet = ALPHABETS[0] if rng.random() < 0.5 else "".join(rng.choices(ALPHABETS, k=2))
    return "".join(rng.choices(alphabet, k=some_size(rng)))


def some_utf8(rng: Random) -> bytes:
    """Return text as UTF-8, or nearly so."""
    data = some_text(rng).encode()
    while rng.random() < 0.3:
        at = rng.randrange(len(data) + 1)
        data = data[:at] + rng.choice(NOT_UTF8) + data[at:]
    return data[: rng.randrange(len(data) + 1)] if rng.random() < 0.1 else data


def some_message(rng: Random) -> str | bytes:
    return some_text(rng) if rng.random() < 0.5 else some_bytes(rng)


def some_key(rng: Random) -> bytes:
    return bytes(4) if rng.random() < 0.1 else rng.randbytes(4)


def cut(rng: Random, data: bytes) -> list[bytes]:
    """Return `data` in chunks: whole, byte by byte, or cut at some places."""
    kind = rng.random()
    if kind < 0.2:
        return [data]
    if kind < 0.3 and 0 < len(data) < 2000:
        return [data[i : i + 1] for i in range(len(data))]
    places = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randrange(1, 8)))
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


def stream(rng: Random, masked: bool) -> bytes:
    """Return a stream of frames; a third of the streams break a rule somewhere."""

    def make(opcode: int, payload: bytes = b"", fin: bool = True) -> bytes:
        return frame(opcode, payload, fin=fin, key=some_key(rng) if masked else None)

    parts = [_message(rng, make) for _ in range(rng.randrange(1, 10))]
    if rng.random() < 0.3:
        parts.append(_close(rng, make))
    if rng.random() < 0.33:
        place = rng.randrange(len(parts))
        parts[place] = _spoil(rng, parts[place], masked)
    return b"".join(parts)


def _message(rng: Random, make: Callable[..., bytes]) -> bytes:
    """Return a control frame or a message, whole or in fragments with control frames between them."""
    kind = rng.random()
    if kind < 0.15:
        return make(rng.choice((PING, PONG)), some_bytes(rng, rng.choice((0, 1, 5, 125))))
    opcode, payload = (TEXT, some_utf8(rng)) if rng.random() < 0.5 else (BINARY, some_bytes(rng))
    if kind < 0.75:
        return make(opcode, payload)
    chunks = cut(rng, payload)
    wire = b""
    for index, chunk in enumerate(chunks):
        wire += make(CONT if index else opcode, chunk, index == len(chunks) - 1)
        if rng.random() < 0.1:
            wire += make(PING, b"between")
    return wire


def _close(rng: Random, make: Callable[..., bytes]) -> bytes:
    kind = rng.random()
    if kind < 0.2:
        return make(CLOSE, some_bytes(rng, rng.randrange(4)))
    return make(CLOSE, rng.choice(CLOSE_CODES).to_bytes(2) + some_utf8(rng)[: rng.randrange(130)])


def _spoil(rng: Random, wire: bytes, masked: bool) -> bytes:
    """Return a frame, or several, with something wrong."""
    kind = rng.randrange(5)
    if kind == 0:
        at = rng.randrange(len(wire))
        return wire[:at] + bytes([wire[at] ^ 1 << rng.randrange(8)]) + wire[at + 1 :]
    if kind == 1:
        return wire[: rng.randrange(len(wire))]
    if kind == 2:
        return some_bytes(rng) + wire
    key = some_key(rng) if masked else None
    if kind == 3:  # a length in a longer form than it needs, or one that nothing can have
        length = rng.choice((0, 5, 125, 126, 65535, 1 << 20, (1 << 63) - 1, 1 << 63, (1 << 64) - 1))
        form = 64 if length > 65535 else rng.choice((16, 64))
        return header(0x80 | rng.choice((TEXT, BINARY)), length, key=key, form=form) + some_bytes(rng)
    return frame(rng.randrange(16), some_bytes(rng), fin=rng.random() < 0.5, rsv=rng.randrange(8), key=key)
