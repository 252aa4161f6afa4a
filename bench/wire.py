"""Frames and texts made by hand: nothing here comes from wscodec or from a rival."""

from __future__ import annotations

import random

TEXT, BINARY, PING, PONG, CONTINUATION = 1, 2, 9, 10, 0
READ_SIZE = 65536


def mask(data: bytes, key: bytes) -> bytes:
    """Return `data` masked by `key`, one byte after the other (RFC 6455 §5.3)."""
    return bytes(byte ^ key[index % 4] for index, byte in enumerate(data))


def frame(opcode: int, payload: bytes, key: bytes | None = None, *, fin: bool = True) -> bytes:
    """Return one frame (RFC 6455 §5.2)."""
    bit = 0 if key is None else 0x80
    size = len(payload)
    if size < 126:
        length = bytes([bit | size])
    elif size < 65536:
        length = bytes([bit | 126]) + size.to_bytes(2, "big")
    else:
        length = bytes([bit | 127]) + size.to_bytes(8, "big")
    head = bytes([(0x80 if fin else 0) | opcode]) + length
    return head + payload if key is None else head + key + mask(payload, key)


def frames_of(data: bytes) -> list[tuple[int, bool, bytes]]:
    """Take whole frames apart: opcode and FIN as they stand in the first byte, masked or not, payload."""
    frames, position = [], 0
    while position < len(data):
        first, second = data[position : position + 2]
        position += 2
        length, masked = second & 0x7F, second >= 0x80
        width = {126: 2, 127: 8}.get(length, 0)
        if width:
            length = int.from_bytes(data[position : position + width], "big")
        position += width
        key = data[position : position + 4] if masked else bytes(4)
        position += len(key) if masked else 0
        frames.append((first, masked, mask(data[position : position + length], key)))
        position += length
    return frames


def reads(stream: bytes, size: int = READ_SIZE) -> list[bytes]:
    """Cut a stream as a socket would: every `size` bytes, wherever that falls."""
    return [stream[start : start + size] for start in range(0, len(stream), size)]


def keys(seed: int = 6455) -> random.Random:
    """Return a source of masking keys, the same in every run: `keys().randbytes(4)`."""
    return random.Random(seed)


# Each sample is taken over and over and cut at the size that is asked for.
SAMPLES = {
    "ASCII": '{"id": 4711, "type": "tick", "bid": 101.25, "ask": 101.5, "at": "2026-11-22T19:58:03Z"}, ',
    "Latin": "Où est passé l’été ? À Málaga, señor: mañana, größer, schöner, naïve Fenêtre à côté. ",
    "Cyrillic": "Съешь же ещё этих мягких французских булок да выпей чаю, пожалуйста. ",
    "Chinese": "天地玄黃宇宙洪荒日月盈昃辰宿列張寒來暑往秋收冬藏閏餘成歲律呂調陽",
    "emoji": "😀🚀🌍🎉🔥💡🐍🧵🦀📦",
}


def text(kind: str, size: int, start: int = 0) -> str:
    """Return `size` bytes of text in UTF-8: characters of one kind, then dots to fill the last bytes up."""
    sample = SAMPLES[kind]
    start %= len(sample)
    turned = sample[start:] + sample[:start]
    data = (turned * (size // len(turned.encode()) + 1)).encode()[:size]
    whole = data.decode("utf-8", "ignore")
    return whole + "." * (size - len(whole.encode()))
