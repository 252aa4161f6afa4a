"""Hand-made frames, every way to cut a stream, and what came of it. Nothing here is built by the codec itself."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reference.masking import mask

from wscodec import Close, CloseCode, Decoder, Fragment, Ping, Pong, ProtocolError, Role

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
KEY = bytes.fromhex("37fa213d")  # the key of RFC 6455 §5.7
CHUNK_TYPES: tuple[Callable[[bytes], Any], ...] = (bytes, bytearray, memoryview)
ROLES = (Role.CLIENT, Role.SERVER)


def header(first: int, length: int, *, key: bytes | None = None, form: int | None = None) -> bytes:
    """Return a frame header. `form` forces the width of the length field: 7, 16 or 64 bits."""
    bit = 0 if key is None else 0x80
    form = form or (7 if length < 126 else 16 if length < 65536 else 64)
    fields = {7: struct.pack("!B", bit | length & 0x7F), 16: b"", 64: b""}
    if form == 16:
        fields[16] = struct.pack("!BH", bit | 126, length)
    if form == 64:
        fields[64] = struct.pack("!BQ", bit | 127, length)
    return bytes([first]) + fields[form] + (key or b"")


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    key: bytes | None = None,
    form: int | None = None,
) -> bytes:
    """Return a frame, masked by `key` if there is one; `form` as for a header."""
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    return header(first, len(payload), key=key, form=form) + (payload if key is None else mask(payload, key))


def to(role: Role) -> bytes | None:
    """Return the key for frames sent to `role`: a server gets masked ones."""
    return KEY if role is Role.SERVER else None


def title(value: object) -> str:
    """Return the name of a test's parameter: the same in every process."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))


def close_payload(code: int, reason: bytes = b"") -> bytes:
    return struct.pack("!H", code) + reason


def chunkings(data: bytes) -> Iterator[list[bytes]]:
    """Yield `data` whole, byte by byte and in every two parts; of long data, only the cuts near its ends."""
    yield [data]
    if len(data) > 1000:
        yield [*(data[i : i + 1] for i in range(20)), data[20:]]
    else:
        yield [data[i : i + 1] for i in range(len(data))]
    for cut in range(1, len(data)):
        if cut < 200 or len(data) - cut < 20 or cut % 8191 == 0:
            yield [data[:cut], data[cut:]]


@dataclass
class Outcome:
    """The events of a decoder, and the error that ended them."""

    events: list[Any] = field(default_factory=list)
    error: tuple[type, int, str] | None = None
    taken: int = 0  # how many bytes had been fed when the error came


def decode(decoder: Any, chunks: Iterable[Any]) -> Outcome:
    """Feed chunks until they end or an error comes."""
    outcome = Outcome()
    for chunk in chunks:
        outcome.taken += len(chunk)
        try:
            outcome.events += decoder.feed(chunk)
        except ProtocolError as error:
            outcome.events += error.events
            outcome.error = type(error), error.close_code, error.reason
            break
    return outcome


def decode_bytewise(decoder: Any, data: bytes) -> Outcome:
    """Feed `data` one byte at a time."""
    return decode(decoder, (data[i : i + 1] for i in range(len(data))))


def text_frames(messages: Sequence[str], role: Role) -> bytes:
    """Return a stream of whole text messages to `role`."""
    return b"".join(frame(TEXT, message.encode(), key=to(role)) for message in messages)


@dataclass(frozen=True)
class Vector:
    """A golden case of `vectors/*.json`."""

    id: str
    source: str
    role: Role
    wire: bytes
    events: list[Any]
    error: str | None
    close_code: int | None
    proof: int | None
    options: dict[str, Any]

    def decoder(self) -> Decoder:
        return Decoder(self.role, **self.options)


def load_vectors(name: str) -> list[Vector]:
    """Return the cases of `vectors/<name>.json`."""
    path = Path(__file__).parent / "vectors" / f"{name}.json"
    return [_vector(case) for case in json.loads(path.read_text("utf-8"))]


def _vector(case: dict[str, Any]) -> Vector:
    return Vector(
        id=case["id"],
        source=case["source"],
        role=Role(case["role"]),
        wire=_bytes(case["wire"]),
        events=[_event(event) for event in case.get("events", [])],
        error=case.get("error"),
        close_code=case.get("close_code"),
        proof=case.get("proof"),
        options=case.get("options", {}),
    )


def _bytes(parts: str | list[Any]) -> bytes:
    """Return bytes from hexadecimal, or from a list of it and of [hexadecimal, times]."""
    if isinstance(parts, str):
        return bytes.fromhex(parts)
    return b"".join(_bytes(part) if isinstance(part, str) else _bytes(part[0]) * part[1] for part in parts)


def _event(event: dict[str, Any]) -> Any:
    """Return an event from {"kind": value}."""
    ((kind, value),) = event.items()
    if kind == "close":
        return Close(*value) if value else Close(CloseCode.NO_STATUS_RCVD, "")
    if kind == "fragment":
        return Fragment(*value)
    if kind == "text":
        return value
    return {"binary": bytes, "ping": Ping, "pong": Pong}[kind](_bytes(value))
