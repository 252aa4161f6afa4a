"""What is measured: one `Case` for each row of the table, in its order.

Neighbouring messages differ, so that no peer profits from a cache, and all are the same in every run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from . import wire

STREAM_SIZE = 2 * wire.READ_SIZE
BURST = 64


@dataclass(frozen=True)
class Case:
    """One row.

    Attributes:
        group: what `--only` selects.
        name: what the table says, unique within its group.
        operation: the function of an adapter (`rivals/__init__.py`) that does it.
        size: payload bytes of one operation.
        make: makes the input, on demand.
    """

    group: str
    name: str
    operation: str
    size: int
    make: Callable[[], Any]

    def __str__(self) -> str:
        return f"{self.group}: {self.name}"


@dataclass(frozen=True)
class Stream:
    """Bytes as they come off a socket, and what they say."""

    chunks: list[bytes]
    messages: list[Any]


def texts(kind: str, size: int, count: int) -> list[str]:
    """Return `count` texts of `size` bytes."""
    return [wire.text(kind, size, 7 * index) for index in range(count)]


def binaries(size: int, count: int) -> list[bytes]:
    """Return `count` random payloads of `size` bytes."""
    source = wire.keys(size)
    return [source.randbytes(size) for _ in range(count)]


def count_for(size: int) -> int:
    """Return how many messages of `size` bytes fill a stream; at least two reads are made of them."""
    return STREAM_SIZE // (size + 6) + 1


def stream_of(messages: list[Any], fragments: int = 1, read_size: int = wire.READ_SIZE) -> Stream:
    """Return masked frames for `messages`, each cut into `fragments`; read size 0 is one frame per read."""
    source = wire.keys()
    frames = [frame for message in messages for frame in masked_frames(message, fragments, source)]
    chunks = wire.reads(b"".join(frames), read_size) if read_size else frames
    return Stream(chunks, messages)


def masked_frames(message: str | bytes, fragments: int, source: Any) -> list[bytes]:
    """Return one message in masked frames of equal size."""
    opcode, data = (wire.TEXT, message.encode()) if isinstance(message, str) else (wire.BINARY, message)
    step = -(-len(data) // fragments)
    pieces = [data[start : start + step] for start in range(0, len(data), step)]
    last = len(pieces) - 1
    return [
        wire.frame(wire.CONTINUATION if index else opcode, piece, source.randbytes(4), fin=index == last)
        for index, piece in enumerate(pieces)
    ]


def text_stream(kind: str, size: int, **how: int) -> Stream:
    """Return a stream of texts."""
    return stream_of(texts(kind, size, count_for(size)), **how)


def binary_stream(size: int) -> Stream:
    """Return a stream of binary messages."""
    return stream_of(binaries(size, count_for(size)))


def ping_stream(size: int) -> Stream:
    """Return pings, each in a read of its own, and their payloads."""
    source = wire.keys()
    payloads = binaries(size, 256)
    return Stream([wire.frame(wire.PING, payload, source.randbytes(4)) for payload in payloads], payloads)


def text_case(size: int, remark: str = "", operation: str = "text_decoder", kind: str = "ASCII", **how: int) -> Case:
    """Return a case of decoding text; `how` is for `stream_of`."""
    make = partial(text_stream, kind, size, **how)
    return Case("decode", f"text {size} B{remark}", operation, size, make)


def binary_case(group: str, what: str, operation: str, size: int) -> Case:
    """Return a case of decoding binary messages."""
    return Case(group, f"{what} {size} B", operation, size, partial(binary_stream, size))


def encode_case(side: str, size: int, many: bool) -> Case:
    """Return a case of sending: `BURST` messages one by one, or all in one call."""
    how = f"{BURST} in one buffer" if many else "one"
    operation = "encode_many" if many else "encode_one"
    name = f"{side}, {size} B, {how}"
    return Case("encode", name, operation, size, lambda: (side == "client", texts("ASCII", size, BURST)))


def utf8_case(operation: str, kind: str, size: int) -> Case:
    """Return a case of UTF-8; its input is a text's bytes."""
    name = f"{operation.removesuffix('_utf8')} {kind}, {size} B"
    return Case("utf8", name, operation, size, lambda: wire.text(kind, size).encode())


def mask_case(operation: str, size: int) -> Case:
    """Return a case of masking; its input is random bytes."""
    name = f"{'in place' if operation == 'mask_inplace' else 'to new bytes'}, {size} B"
    return Case("mask", name, operation, size, lambda: binaries(size, 1)[0])


MASK = [
    mask_case(operation, size) for operation in ("mask", "mask_inplace") for size in (8, 16, 64, 1024, 16384, 262144)
]

UTF8 = [
    utf8_case(operation, kind, size)
    for operation in ("validate_utf8", "decode_utf8")
    for kind in wire.SAMPLES
    for size in (64, 1024, 65536)
]

DECODE = [
    *(text_case(size) for size in (8, 32, 128, 1024, 16384)),
    text_case(32, ", one per read", read_size=0),
    text_case(300, ", Chinese", kind="Chinese"),
    text_case(128, ", 4 fragments", operation="fragment_decoder", fragments=4),
    binary_case("decode", "binary", "binary_decoder", 128),
    binary_case("decode", "binary", "binary_decoder", 65536),
]

ENCODE = [
    encode_case(side, size, many) for side in ("server", "client") for size in (32, 1024) for many in (False, True)
]

FRAMES = [binary_case("frames", "raw binary", "frame_decoder", size) for size in (32, 1024)]

CONNECTION = [
    Case("connection", "receive text 32 B", "connection", 32, partial(text_stream, "ASCII", 32)),
    Case("connection", "echo text 32 B", "echo", 32, partial(text_stream, "ASCII", 32)),
    Case("connection", "answer ping 8 B, one per read", "pong", 8, partial(ping_stream, 8)),
]

# The key and the answer to it are those of RFC 6455 §1.3.
REQUEST = (
    b"GET /chat HTTP/1.1\r\n"
    b"Host: server.example.com\r\n"
    b"Connection: Upgrade\r\n"
    b"Pragma: no-cache\r\n"
    b"Cache-Control: no-cache\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Safari/537.36\r\n"
    b"Upgrade: websocket\r\n"
    b"Origin: https://server.example.com\r\n"
    b"Sec-WebSocket-Version: 13\r\n"
    b"Accept-Encoding: gzip, deflate, br\r\n"
    b"Accept-Language: en-GB,en;q=0.9\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
    b"\r\n"
)
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

HANDSHAKE = [Case("handshake", "server, a browser's request", "handshake", len(REQUEST), lambda: REQUEST)]

ALL = [*DECODE, *ENCODE, *CONNECTION, *FRAMES, *HANDSHAKE, *MASK, *UTF8]
GROUPS = list(dict.fromkeys(case.group for case in ALL))
