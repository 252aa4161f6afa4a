"""Frames: headers read and written, runs of plain messages, raw frames (RFC 6455 §5.2)."""

from __future__ import annotations

import gc
import re
import tracemalloc
from typing import Any

import pytest
from buffers import UNREADABLE
from helpers import (
    BINARY,
    CHUNK_TYPES,
    CLOSE,
    CONT,
    KEY,
    PING,
    PONG,
    ROLES,
    TEXT,
    Outcome,
    chunkings,
    decode,
    decode_bytewise,
    frame,
    header,
    title,
    to,
)
from implementations import Implementation
from reference.frames import frames_of
from reference.masking import mask

import wscodec
from wscodec import Frame, FrameDecoder, Header, MessageTooBig, ProtocolError, Role
from wscodec.errors import InvalidUtf8

pytestmark = pytest.mark.usefixtures("impl")
roles = pytest.mark.parametrize("role", ROLES, ids=lambda role: role.value)

# The bytes, what they say, and the arguments that `build_header` writes them from; None where it would not.
HEADERS = {
    "text": ("81 05", Header(True, False, False, False, 1, None, 5, 2), {}),
    "masked": ("81 85 37 fa 21 3d", Header(True, False, False, False, 1, KEY, 5, 6), {}),
    "not-final": ("02 00", Header(False, False, False, False, 2, None, 0, 2), {}),
    "continuation": ("80 7d", Header(True, False, False, False, 0, None, 125, 2), {}),
    "rsv1": ("c1 00", Header(True, True, False, False, 1, None, 0, 2), {}),
    "rsv2": ("a1 00", Header(True, False, True, False, 1, None, 0, 2), {}),
    "rsv3": ("91 00", Header(True, False, False, True, 1, None, 0, 2), {}),
    "all-bits": ("ff ff 7f ff ff ff ff ff ff ff 00 00 00 00",
                 Header(True, True, True, True, 15, bytes(4), (1 << 63) - 1, 14), {}),
    "no-bits": ("00 00", Header(False, False, False, False, 0, None, 0, 2), {}),
    "length-126": ("82 7e 00 7e", Header(True, False, False, False, 2, None, 126, 4), {}),
    "length-256-rfc": ("82 7e 01 00", Header(True, False, False, False, 2, None, 256, 4), {}),
    "length-65535": ("82 7e ff ff", Header(True, False, False, False, 2, None, 65535, 4), {}),
    "length-65535-masked": ("82 fe ff ff 01 02 03 04", Header(True, False, False, False, 2, b"\1\2\3\4", 65535, 8), {}),
    "length-65536-rfc": ("82 7f 00 00 00 00 00 01 00 00", Header(True, False, False, False, 2, None, 65536, 10), {}),
    "length-all-bytes": ("82 7f 01 02 03 04 05 06 07 08",
                         Header(True, False, False, False, 2, None, 0x0102030405060708, 10), {}),
    # Not in the shortest form, or out of range: read as they are, never written.
    "length-5-in-16-bits": ("82 7e 00 05", Header(True, False, False, False, 2, None, 5, 4), None),
    "length-5-in-64-bits": ("82 ff 00 00 00 00 00 00 00 05 37 fa 21 3d",
                            Header(True, False, False, False, 2, KEY, 5, 14), None),
    "length-top-bit": ("82 7f ff ff ff ff ff ff ff ff",
                       Header(True, False, False, False, 2, None, (1 << 64) - 1, 10), None),
}  # fmt: skip
READ = [pytest.param(bytes.fromhex(wire), parsed, id=name) for name, (wire, parsed, _) in HEADERS.items()]
WRITTEN = [
    pytest.param(bytes.fromhex(wire), parsed, id=name)
    for name, (wire, parsed, args) in HEADERS.items()
    if args is not None
]


# -------------------------------------------------------------------------------------------------- headers


@pytest.mark.parametrize(("wire", "expected"), READ)
def test_parse_header_golden(wire: bytes, expected: Header) -> None:
    for kind in CHUNK_TYPES:
        for data, offset in ((wire, 0), (wire + b"payload", 0), (b"abc" + wire + b"x", 3)):
            got = wscodec.parse_header(kind(data), offset)
            assert got == expected
            assert type(got) is Header
            assert [type(value) for value in got] == [type(value) for value in expected]


@pytest.mark.parametrize(("wire", "expected"), READ)
def test_parse_header_incomplete_is_none(wire: bytes, expected: Header) -> None:
    for size in range(expected.size):
        for kind in CHUNK_TYPES:
            assert wscodec.parse_header(kind(wire[:size])) is None
        assert wscodec.parse_header(b"abc" + wire[:size], 3) is None


@pytest.mark.parametrize("offset", [0, 1, 2, 100, 1 << 62, 1 << 70])
def test_parse_header_offset_behind_the_end_is_none(offset: int) -> None:
    assert wscodec.parse_header(b"\x81", offset) is None


def test_parse_header_offset_negative() -> None:
    with pytest.raises(ValueError, match=r"^offset is negative: -2$"):
        wscodec.parse_header(b"\x81\x00", -2)


@pytest.mark.parametrize(("bad", "name"), UNREADABLE.values(), ids=UNREADABLE)
def test_parse_header_no_buffer(bad: object, name: str) -> None:
    with pytest.raises(TypeError, match=f"^a C-contiguous bytes-like object is required, not '{name}'$"):
        wscodec.parse_header(bad)


@pytest.mark.parametrize(("wire", "parsed"), WRITTEN)
def test_build_header_golden(wire: bytes, parsed: Header) -> None:
    fin, rsv1, rsv2, rsv3, opcode, key, length, _ = parsed
    built = wscodec.build_header(opcode, length, fin=fin, rsv1=rsv1, rsv2=rsv2, rsv3=rsv3, masking_key=key)
    assert type(built) is bytes
    assert built == wire


@pytest.mark.parametrize(
    "length", [0, 1, 125, 126, 127, 255, 256, 65535, 65536, 65537, 1 << 31, 1 << 32, (1 << 63) - 1]
)
def test_build_header_lengths(length: int) -> None:
    assert wscodec.build_header(2, length) == header(0x82, length)
    for kind in CHUNK_TYPES:
        assert wscodec.build_header(2, length, masking_key=kind(KEY)) == header(0x82, length, key=KEY)


@pytest.mark.parametrize("opcode", range(16))
def test_build_header_opcodes_and_bits(opcode: int) -> None:
    for bits in range(16):
        fin, rsv1, rsv2, rsv3 = (bool(bits & bit) for bit in (8, 4, 2, 1))
        built = wscodec.build_header(opcode, 0, fin=fin, rsv1=rsv1, rsv2=rsv2, rsv3=rsv3)
        assert built == bytes([bits << 4 | opcode, 0])


@pytest.mark.parametrize("falsy", [0, None, "", [], 0.0], ids=repr)
def test_build_header_bits_are_truth_values(falsy: Any) -> None:
    assert wscodec.build_header(1, 0, fin=falsy, rsv1=falsy, rsv2="yes", rsv3=falsy) == b"\x21\x00"


@pytest.mark.parametrize("opcode", [-1, 16, 255, 1 << 70])
def test_build_header_opcode_out_of_range(opcode: int) -> None:
    with pytest.raises(ValueError, match=f"^an opcode is 0 to 15, not {opcode}$"):
        wscodec.build_header(opcode, 0)


@pytest.mark.parametrize("length", [-1, 1 << 63, 1 << 64, 1 << 70])
def test_build_header_length_out_of_range(length: int) -> None:
    with pytest.raises(ValueError, match=rf"^a payload's length is 0 to 2\*\*63 - 1, not {length}$"):
        wscodec.build_header(1, length)


@pytest.mark.parametrize("size", [0, 3, 5])
def test_build_header_key_of_another_size(size: int) -> None:
    with pytest.raises(ValueError, match=f"^a masking key has 4 bytes, not {size}$"):
        wscodec.build_header(1, 0, masking_key=bytes(size))


# --------------------------------------------------------------------------------- runs of plain messages


def take(
    impl: Implementation, data: Any, start: int = 0, *, key: bytes | None = None, max_size: int = 1 << 20
) -> tuple:
    """Return where the run ended and the messages."""
    messages: list[Any] = []
    end = impl.twin("take_messages")(data, start, key is not None, max_size, messages)
    return end, messages


keys = pytest.mark.parametrize("key", [None, KEY, bytes(4)], ids=["unmasked", "masked", "masked-by-0"])

PLAIN = ["", b"", "a", b"\xff", "é", "€" * 50, "😀", "x" * 31, "x" * 32, "x" * 33, "é" * 16, bytes(125), bytes(126),
         "y" * 127, "y" * 65535, bytes(65536), "é" * 40_000, "last"]  # fmt: skip


def plain_frame(message: str | bytes, key: bytes | None) -> bytes:
    if isinstance(message, str):
        return frame(TEXT, message.encode(), key=key)
    return frame(BINARY, message, key=key)


STOPS = {
    "continuation": lambda key: frame(CONT, b"a", key=key),
    "fragment": lambda key: frame(TEXT, b"a", fin=False, key=key),
    "close": lambda key: frame(CLOSE, key=key),
    "ping": lambda key: frame(PING, key=key),
    "pong": lambda key: frame(PONG, key=key),
    "rsv1": lambda key: frame(TEXT, b"a", rsv=4, key=key),
    "rsv3": lambda key: frame(BINARY, b"a", rsv=1, key=key),
    "opcode-3": lambda key: frame(3, b"a", key=key),
    "other-masking": lambda key: frame(TEXT, b"a", key=None if key else KEY),
    "other-masking-empty": lambda key: frame(TEXT, b"", key=None if key else KEY) + bytes(300),
    "too-big": lambda key: frame(BINARY, bytes(71), key=key),
    "too-big-in-16-bits": lambda key: frame(BINARY, bytes(300), key=key),
    "not-utf8": lambda key: frame(TEXT, b"a\xff", key=key),
    "cut-character": lambda key: frame(TEXT, b"\xe2\x82", key=key),
    "longer-not-utf8": lambda key: frame(TEXT, bytes(60) + b"\x80", key=key),
    "16-bits-for-5": lambda key: header(0x82, 5, key=key, form=16) + bytes(70),
    "64-bits-for-5": lambda key: header(0x82, 5, key=key, form=64) + bytes(70),
    "64-bits-for-65535": lambda key: header(0x82, 65535, key=key, form=64) + bytes(65535),
    "greatest-length": lambda key: header(0x82, (1 << 63) - 1, key=key) + bytes(70),
    "top-bit": lambda key: header(0x82, 1 << 63, key=key) + bytes(70),
    "all-ones": lambda key: header(0x82, (1 << 64) - 1, key=key) + bytes(70),
    "wraps-to-5": lambda key: header(0x82, (1 << 64) - 5, key=key) + bytes(70),
}


@keys
def test_take_messages_takes_all(impl: Implementation, key: bytes | None) -> None:
    wire = b"".join(plain_frame(message, key) for message in PLAIN)
    for kind in CHUNK_TYPES:
        end, messages = take(impl, kind(b"abc" + wire), 3, key=key)
        assert end == 3 + len(wire)
        assert messages == PLAIN
        assert [type(message) for message in messages] == [type(message) for message in PLAIN]


@keys
@pytest.mark.parametrize("size", range(70))
def test_take_messages_short_sizes(impl: Implementation, key: bytes | None, size: int) -> None:
    data = bytes(range(100, 100 + size))
    text = "".join(map(chr, range(50, 50 + size)))
    wire = frame(BINARY, data, key=key) + frame(TEXT, text.encode(), key=key)
    assert take(impl, wire, key=key) == (len(wire), [data, text])


@keys
def test_take_messages_one_character_beyond_ascii_at_every_place(impl: Implementation, key: bytes | None) -> None:
    """The kernels tell ASCII from the rest while they unmask; no part of a payload may slip through."""
    for size in [*range(2, 70), *range(126, 133), 161, 191, 192, 193, 257]:
        texts = ["a" * place + "é" + "b" * (size - 2 - place) for place in range(size - 1)]
        wire = b"".join(frame(TEXT, text.encode(), key=key) for text in texts)
        assert take(impl, wire, key=key) == (len(wire), texts), size


@keys
def test_take_frame_any_first_byte(impl: Implementation, key: bytes | None) -> None:
    take_frame = impl.twin("take_frame")
    for first in range(256):
        for payload in (b"", b"a\xff", bytes(125), bytes(126), bytes(300)):
            wire = frame(first & 15, payload, fin=first > 127, rsv=first >> 4 & 7, key=key)
            for kind in CHUNK_TYPES:
                got = take_frame(kind(b"abc" + wire + b"behind"), 3, key is not None, 300)
                assert got == (first, payload, 3 + len(wire))
                assert [type(value) for value in got] == [int, bytes, int]


@keys
def test_take_frame_large(impl: Implementation, key: bytes | None) -> None:
    take_frame = impl.twin("take_frame")
    for payload in (bytes(65535), bytes(65536)):
        wire = frame(BINARY, payload, key=key)
        assert take_frame(wire, 0, key is not None, 65536) == (0x82, payload, len(wire))
        assert take_frame(wire[:-1], 0, key is not None, 65536) is None
        assert take_frame(wire, 0, key is not None, len(payload) - 1) is None


@keys
@pytest.mark.parametrize(
    "name", [name for name in STOPS if re.search("other|too-big|bits-for|length|top|ones|wraps", name)]
)
def test_take_frame_refuses(impl: Implementation, key: bytes | None, name: str) -> None:
    wire = b"abc" + STOPS[name](key)
    for kind in CHUNK_TYPES:
        assert impl.twin("take_frame")(kind(wire), 3, key is not None, 70) is None


@keys
def test_take_frame_refuses_a_part(impl: Implementation, key: bytes | None) -> None:
    for payload in (b"", b"abc", bytes(200), bytes(65536)):
        wire = frame(PING, payload, key=key)
        for size in {*range(min(len(wire), 20)), len(wire) - 1}:
            assert impl.twin("take_frame")(wire[:size], 0, key is not None, 1 << 20) is None


def test_take_frame_limits_and_starts(impl: Implementation) -> None:
    take_frame = impl.twin("take_frame")
    assert take_frame(b"\x89\x00", 0, False, 0) == (0x89, b"", 2)
    assert take_frame(b"\x89\x00", 0, False, -1) is None
    assert take_frame(b"\x89\x01a", 0, False, (1 << 63) - 1) == (0x89, b"a", 3)
    for start in (1, 2, 3, 1 << 62):
        assert take_frame(b"\x89\x00", start, False, 100) is None
    with pytest.raises(ValueError, match=r"^start is negative: -2$"):
        take_frame(b"\x89\x00", -2, False, 100)


def test_take_frame_keeps_no_reference(impl: Implementation) -> None:
    data = bytearray(b"\x81\x01a")
    assert impl.twin("take_frame")(data, 0, False, 1) is not None
    assert impl.twin("take_frame")(data, 0, True, 1) is None
    data.extend(b"more")


@keys
@pytest.mark.parametrize("stop", STOPS.values(), ids=STOPS)
def test_take_messages_stops_before(impl: Implementation, key: bytes | None, stop: Any) -> None:
    good = plain_frame("é", key) + plain_frame(b"x" * 70, key)
    wire = good + stop(key) + plain_frame("behind", key)
    for kind in CHUNK_TYPES:
        assert take(impl, kind(wire), key=key, max_size=70) == (len(good), ["é", b"x" * 70])


@keys
@pytest.mark.parametrize("message", ["abc", b"x" * 200, bytes(65536)], ids=len)
def test_take_messages_stops_before_a_part(impl: Implementation, key: bytes | None, message: str | bytes) -> None:
    good, last = plain_frame("a", key), plain_frame(message, key)
    for size in {*range(min(len(last), 20)), len(last) - 1}:
        assert take(impl, good + last[:size], key=key) == (len(good), ["a"])


@keys
def test_take_other_masking_with_what_looks_like_a_length(impl: Implementation, key: bytes | None) -> None:
    wire = bytes([0x82, 0x80 if key is None else 0x00]) + (65536).to_bytes(8) + bytes(70_000)
    assert take(impl, wire, key=key) == (0, [])
    assert impl.twin("take_frame")(wire, 0, key is not None, 1 << 20) is None


@keys
def test_take_messages_limits(impl: Implementation, key: bytes | None) -> None:
    empty, one = plain_frame("", key), plain_frame("a", key)
    assert take(impl, empty + one, key=key, max_size=0) == (len(empty), [""])
    assert take(impl, empty, key=key, max_size=-1) == (0, [])
    assert take(impl, empty + one, key=key, max_size=(1 << 63) - 1) == (len(empty + one), ["", "a"])


def test_take_messages_starts(impl: Implementation) -> None:
    assert take(impl, b"") == (0, [])
    assert take(impl, b"\x81\x00", 2) == (2, [])
    assert take(impl, b"\x81\x00", 5) == (5, [])
    with pytest.raises(ValueError, match=r"^start is negative: -2$"):
        take(impl, b"\x81\x00", -2)


def test_take_messages_keeps_no_reference(impl: Implementation) -> None:
    data = bytearray(b"\x81\x01a\x82\x01b\x81\x01\xff")
    assert take(impl, data) == (6, ["a", b"b"])
    data.extend(b"more")


def test_pack_messages_golden(impl: Implementation) -> None:
    pack = impl.twin("pack_messages")
    assert pack(["Hello"], None) == bytes.fromhex("81 05 48 65 6c 6c 6f")
    assert pack(["Hello"], KEY) == bytes.fromhex("81 85 37 fa 21 3d 7f 9f 4d 51 58")
    assert pack((b"a", "", bytearray(b"b")), None) == bytes.fromhex("82 01 61 81 00 82 01 62")
    assert pack([], None) == pack([], b"") == b""


def test_pack_messages_each_with_its_key(impl: Implementation) -> None:
    block = bytes(range(4 * len(PLAIN)))
    packed = impl.twin("pack_messages")(PLAIN, block)
    assert packed == b"".join(plain_frame(message, block[4 * i : 4 * i + 4]) for i, message in enumerate(PLAIN))
    assert impl.twin("pack_messages")(PLAIN, None) == b"".join(plain_frame(message, None) for message in PLAIN)


@pytest.mark.parametrize(("count", "size"), [(0, 4), (1, 0), (1, 3), (1, 5), (2, 4)])
def test_pack_messages_keys_of_another_size(impl: Implementation, count: int, size: int) -> None:
    text = f"^{count} messages need {4 * count} bytes of keys, not {size}$"
    with pytest.raises(ValueError, match=text):
        impl.twin("pack_messages")(["a"] * count, bytes(size))


def test_pack_messages_list_changed_in_between(impl: Implementation) -> None:
    """A message's own method may change the list that it stands in."""
    messages: list[Any] = []

    class Hostile(str):
        def encode(self, *_: object) -> bytes:
            messages.clear()
            gc.collect()
            return b"h"

    messages += ["a" * 1000, Hostile("h"), b"b" * 1000]
    packed = frames_of(impl.twin("pack_messages")(messages, None))
    assert [f.payload for f in packed] == [b"a" * 1000, b"h", b"b" * 1000]


# ----------------------------------------------------------------------------------------------- raw frames

RAW = [
    Frame(TEXT, b"Hello"),
    Frame(BINARY, b"", fin=False),
    Frame(CONT, bytes(126), fin=False, rsv2=True),
    Frame(PING, bytes(125)),
    Frame(3, b"\xff" * 300, rsv1=True, rsv2=True, rsv3=True),
    Frame(15, b"x", rsv1=True),
    Frame(CONT, bytes(65536)),
    Frame(CLOSE, b"\x00"),
]


def raw_wire(frames: list[Frame], role: Role) -> bytes:
    return b"".join(
        frame(f.opcode, f.payload, fin=f.fin, rsv=f.rsv1 << 2 | f.rsv2 << 1 | f.rsv3, key=to(role)) for f in frames
    )


@roles
def test_frame_decoder_returns_everything_as_it_is(role: Role) -> None:
    wire = raw_wire(RAW, role)
    for chunks in ([wire], [wire[:5], wire[5:-1], wire[-1:]]):
        for kind in CHUNK_TYPES:
            assert decode(FrameDecoder(role), map(kind, chunks)) == Outcome(RAW, None, len(wire))
    assert decode_bytewise(FrameDecoder(role), wire).events == RAW


@roles
def test_frame_decoder_every_split(role: Role) -> None:
    short = [f for f in RAW if len(f.payload) < 200]
    for chunks in chunkings(raw_wire(short, role)):
        assert decode(FrameDecoder(role), chunks).events == short


# The wire to a client, the index of the byte that proves the offence, class, code, reason.
RAW_FAULTS = {
    "ping-not-final": ("09 00", 0, ProtocolError, 1002, "a control frame is fragmented"),
    "opcode-15-not-final": ("0f 00", 0, ProtocolError, 1002, "a control frame is fragmented"),
    "close-of-126": ("88 7e 00 7e", 1, ProtocolError, 1002, "a control frame is longer than 125 bytes"),
    "opcode-11-of-64-bits": ("8b 7f", 1, ProtocolError, 1002, "a control frame is longer than 125 bytes"),
    "masked": ("81 80 00 00 00 00", 1, ProtocolError, 1002, "a frame is masked"),
    "longer-form": ("83 7e 00 01 00", 3, ProtocolError, 1002, "a length is not in its shortest form"),
    "top-bit": ("82 7f 80 00 00 00 00 00 00 00", 2, ProtocolError, 1002, "the top bit of a 64-bit length is set"),
    "too-big": ("83 0b", 1, MessageTooBig, 1009, "more than 10 bytes are announced"),
    "far-too-big": ("82 7f 7f ff ff ff ff ff ff ff", 2, MessageTooBig, 1009, "more than 10 bytes are announced"),
}


@pytest.mark.parametrize(("wire", "proof", "kind", "code", "reason"), RAW_FAULTS.values(), ids=RAW_FAULTS)
def test_frame_decoder_fault(wire: str, proof: int, kind: type, code: int, reason: str) -> None:
    data = b"\x81\x01a" + bytes.fromhex(wire)
    for chunks in chunkings(data):
        outcome = decode(FrameDecoder(Role.CLIENT, max_size=10), chunks)
        assert (outcome.events, outcome.error) == ([Frame(TEXT, b"a")], (kind, code, reason))
    assert decode_bytewise(FrameDecoder(Role.CLIENT, max_size=10), data).taken == 3 + proof + 1


def test_frame_decoder_unmasked_to_a_server() -> None:
    outcome = decode_bytewise(FrameDecoder(Role.SERVER), b"\x81\x00")
    assert outcome == Outcome([], (ProtocolError, 1002, "a frame is not masked"), 2)


def test_frame_decoder_stays_failed() -> None:
    decoder = FrameDecoder(Role.CLIENT, max_size=1)
    with pytest.raises(MessageTooBig) as first:
        decoder.feed(b"\x81\x01a\x81\x02")
    assert first.value.events == [Frame(TEXT, b"a")]
    with pytest.raises(MessageTooBig) as again:
        decoder.feed(b"\x81\x00")
    assert (again.value.events, again.value.reason) == ([], first.value.reason)


@pytest.mark.parametrize(("size", "limit", "good"), [(9, 10, True), (10, 10, True), (11, 10, False), (0, 0, True),
                                                     (1, 0, False), (2 << 20, None, True)])  # fmt: skip
def test_frame_decoder_max_size(size: int, limit: int | None, good: bool) -> None:
    outcome = decode(FrameDecoder(Role.CLIENT, max_size=limit), [frame(BINARY, bytes(size))])
    assert (outcome.error is None, len(outcome.events)) == (good, int(good))


def test_frame_decoder_wrong_arguments() -> None:
    with pytest.raises(TypeError, match=r"^a role is a Role, not 'str'$"):
        FrameDecoder("client")
    with pytest.raises(ValueError, match=r"^max_size is negative: -1$"):
        FrameDecoder(Role.CLIENT, max_size=-1)
    decoder = FrameDecoder(Role.CLIENT)
    for bad, name in UNREADABLE.values():
        with pytest.raises(TypeError, match=f"^a C-contiguous bytes-like object is required, not '{name}'$"):
            decoder.feed(bad)
    assert decoder.feed(b"\x81\x00") == [Frame(TEXT)]


def test_frame_decoder_keeps_no_reference_and_allocates_nothing_ahead() -> None:
    decoder = FrameDecoder(Role.CLIENT, max_size=None)
    data = bytearray(header(0x82, 1 << 40) + b"a")
    tracemalloc.start()
    try:
        decoder.feed(data)
        assert tracemalloc.get_traced_memory()[1] < 20_000
    finally:
        tracemalloc.stop()
    data.extend(b"more")
    bad = bytearray(b"\xff\xff")
    with pytest.raises(ProtocolError):
        FrameDecoder(Role.CLIENT).feed(bad)
    bad.extend(b"more")


@pytest.mark.parametrize("raw", RAW, ids=lambda raw: f"{raw.opcode}-{len(raw.payload)}")
def test_encode_frame_writes_everything_as_it_is(raw: Frame) -> None:
    rsv = {"rsv1": raw.rsv1, "rsv2": raw.rsv2, "rsv3": raw.rsv3}
    for kind in CHUNK_TYPES:
        payload = kind(raw.payload)
        assert wscodec.encode_frame(raw.opcode, payload, fin=raw.fin, **rsv) == raw_wire([raw], Role.CLIENT)
        masked = wscodec.encode_frame(raw.opcode, payload, fin=raw.fin, masking_key=kind(KEY), **rsv)
        assert masked == raw_wire([raw], Role.SERVER)


def test_encode_frame_golden() -> None:
    assert wscodec.encode_frame(1) == b"\x81\x00"
    assert wscodec.encode_frame(9, b"Hello") == bytes.fromhex("89 05 48 65 6c 6c 6f")
    assert wscodec.encode_frame(10, b"Hello", masking_key=KEY) == bytes.fromhex("8a 85 37 fa 21 3d 7f 9f 4d 51 58")
    assert wscodec.encode_frame(2, memoryview(b"abcdefgh").cast("I"), masking_key=KEY)[6:] == mask(b"abcdefgh", KEY)


@pytest.mark.parametrize(
    ("arguments", "options", "error"),
    [
        ((16,), {}, ValueError),
        ((-1,), {}, ValueError),
        ((24,), {}, ValueError),
        ((8, bytes(126)), {}, ValueError),
        ((15, bytes(126)), {}, ValueError),
        ((9,), {"fin": False}, ValueError),
        ((1,), {"masking_key": b""}, ValueError),
        ((1,), {"masking_key": b"12345"}, ValueError),
        ((1,), {"masking_key": "1234"}, TypeError),
        ((1, "text"), {}, TypeError),
        ((1, None), {}, TypeError),
        ((1, 5), {}, TypeError),
        ((1, memoryview(b"abcd")[::2]), {}, TypeError),
        (("text",), {}, TypeError),
    ],
    ids=title,
)
def test_encode_frame_wrong_arguments(arguments: tuple, options: dict, error: type) -> None:
    with pytest.raises(error):
        wscodec.encode_frame(*arguments, **options)


def test_invalid_utf8_is_no_matter_for_raw_frames() -> None:
    assert FrameDecoder(Role.CLIENT).feed(b"\x81\x01\xff") == [Frame(TEXT, b"\xff")]
    with pytest.raises(InvalidUtf8):
        wscodec.Decoder(Role.CLIENT).feed(b"\x81\x01\xff")


@pytest.mark.parametrize("size", [16_383, 16_384, 16_385, 100_000])
@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.value)
def test_frame_decoder_large_frames_cut_anywhere(role: Role, size: int) -> None:
    payloads = [bytes(range(256)) * (size // 256 + 1), b"b" * size, b""]
    wire = b"".join(frame(BINARY, payload, fin=bool(payload), key=to(role)) for payload in payloads)
    for step in (len(wire), 65536, 9973, 1001):
        decoder = FrameDecoder(role)
        frames = [one for start in range(0, len(wire), step) for one in decoder.feed(wire[start : start + step])]
        assert [one.payload for one in frames] == payloads
        assert [one.fin for one in frames] == [True, True, False]
