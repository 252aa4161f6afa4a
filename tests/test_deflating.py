"""Compressed messages sent: which are, in which frames, and that a peer understands them (RFC 7692 §6.1, §7.2.1)."""

from __future__ import annotations

import json
import random
import threading
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from helpers import BINARY, CONT, ROLES, TEXT
from reference.frames import frames_of

from wscodec import (
    ConcurrencyError,
    DeflatingEncoder,
    Encoder,
    InflatingDecoder,
    Ping,
    Pong,
    PreparedMessage,
    Role,
)
from wscodec.compression import Deflater, FreshInflater, Inflater, Setting, SharedDeflater

pytestmark = pytest.mark.usefixtures("impl")

roles = pytest.mark.parametrize("role", ROLES, ids=lambda role: role.value)
shared = pytest.mark.parametrize("shared", [False, True], ids=["takeover", "no-takeover"])
RSV1 = 4
OTHER = {Role.CLIENT: Role.SERVER, Role.SERVER: Role.CLIENT}
TEXTS = [json.dumps({"event": i, "user": f"someone-{i % 7}", "tags": ["a", "b"] * 30}) for i in range(20)]
MESSAGES: list[Any] = [
    "",
    "hi",
    *TEXTS,
    "héllo €𝄞 " * 100,
    b"",
    b"\x00" * 5000,
    random.Random(1).randbytes(3000),
    *TEXTS,
]


def pair(
    role: Role = Role.SERVER, shared: bool = False, threshold: int = 100, bits: int = 12
) -> tuple[DeflatingEncoder, InflatingDecoder]:
    """Return an encoder and what the peer decodes with."""
    deflater = (SharedDeflater if shared else Deflater)(Setting(zlib, bits, 6, 5), threshold)
    inflater = (FreshInflater if shared else Inflater)(zlib, bits)
    return DeflatingEncoder(role, deflater), InflatingDecoder(OTHER[role], inflater)


def inflate(payload: bytes) -> bytes:
    """Inflate a payload by zlib alone."""
    return zlib.decompressobj(-15).decompress(payload + b"\x00\x00\xff\xff")


@roles
@shared
def test_all_kinds_of_messages_arrive(shared: bool, role: Role) -> None:
    encoder, peer = pair(role, shared)
    wire = [encoder.encode(message) for message in MESSAGES]
    assert [event for frame in wire for event in peer.feed(frame)] == MESSAGES
    assert len(b"".join(wire)) < sum(len(Encoder(role).encode(message)) for message in MESSAGES) / 2
    assert peer.feed(encoder.encode_many(MESSAGES)) == MESSAGES
    assert peer.feed(encoder.encode(bytearray(b"x" * 500)) + encoder.encode(memoryview(bytes(800)).cast("I"))) == [
        b"x" * 500,
        bytes(800),
    ]


def test_bit_and_opcode_stand_on_the_frame() -> None:
    encoder, _ = pair()
    (made,) = frames_of(encoder.encode("x" * 500))
    assert (made.opcode, made.fin, made.rsv) == (TEXT, True, RSV1)
    assert inflate(made.payload) == b"x" * 500
    (made,) = frames_of(encoder.encode(b"y" * 500))
    assert (made.opcode, made.rsv) == (BINARY, RSV1)


@roles
def test_threshold_is_in_bytes(role: Role) -> None:
    encoder, peer = pair(role, threshold=100)
    assert encoder.plain_limit == 99
    for message, bit in (
        (b"x" * 99, False),
        (b"x" * 100, True),
        ("é" * 49, False),
        ("é" * 50, True),
        ("x" * 99, False),
    ):
        frame = encoder.encode(message)
        assert bool(frame[0] & 0x40) is bit
        assert peer.feed(frame) == [message]


def test_threshold_of_nothing_compresses_what_it_can() -> None:
    encoder, peer = pair(threshold=0)
    assert encoder.plain_limit == -1
    assert [peer.feed(encoder.encode(message)) for message in ("", "a", "aaaaaaaa")] == [[""], ["a"], ["aaaaaaaa"]]


@roles
def test_what_would_grow_is_sent_as_it_is(role: Role) -> None:
    encoder, peer = pair(role)
    noise = random.Random(2).randbytes(1000)
    frames = [encoder.encode(message) for message in (TEXTS[0], noise, TEXTS[0], noise, TEXTS[1])]
    assert [bool(frame[0] & 0x40) for frame in frames] == [True, False, True, False, True]
    assert [peer.feed(frame) for frame in frames] == [[TEXTS[0]], [noise], [TEXTS[0]], [noise], [TEXTS[1]]]


@roles
def test_kind_by_argument(role: Role) -> None:
    encoder, peer = pair(role)
    assert peer.feed(encoder.encode("é" * 500, text=False)) == ["é".encode() * 500]
    assert peer.feed(encoder.encode("é".encode() * 500, text=True)) == ["é" * 500]
    assert peer.feed(encoder.encode("é" * 500, text=True)) == ["é" * 500]
    with pytest.raises(ValueError, match="UTF-8"):
        encoder.encode(b"\xff" * 500, text=True)


def test_faults_leave_the_context_whole() -> None:
    encoder, peer = pair()
    assert peer.feed(encoder.encode(TEXTS[0])) == [TEXTS[0]]
    for wrong in (5, None, "\ud800" * 500, memoryview(b"x" * 500)[::2]):
        with pytest.raises((TypeError, ValueError)):
            encoder.encode(wrong)  # type: ignore[arg-type]
        with pytest.raises((TypeError, ValueError)):
            encoder.encode_many([TEXTS[1], wrong])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="sequence"):
        encoder.encode_many("x" * 500)
    assert peer.feed(encoder.encode(TEXTS[1])) == [TEXTS[1]]


# Fragments.


@roles
@shared
def test_fragments_arrive(shared: bool, role: Role) -> None:
    encoder, peer = pair(role, shared)
    for data in (TEXTS[0] * 5, (TEXTS[0] * 5).encode()):
        parts = [data[:1000], data[1000:1001], data[:0], data[1001:]]
        frames = [encoder.encode_fragment(part, fin=part is parts[-1]) for part in parts]
        assert [event for frame in frames for event in peer.feed(frame)] == [data]
        made = frames_of(b"".join(frames))
        assert [frame.rsv for frame in made] == [RSV1, 0, 0, 0]
        assert [frame.opcode for frame in made] == [TEXT if isinstance(data, str) else BINARY, CONT, CONT, CONT]
        assert [frame.fin for frame in made] == [False, False, False, True]
        assert peer.feed(encoder.encode(data)) == [data]


def test_each_fragment_can_be_inflated_when_it_comes() -> None:
    encoder, _ = pair()
    stream = zlib.decompressobj(-15)
    for part in (b"x" * 300, b"y" * 3, b"z" * 40_000):
        (made,) = frames_of(encoder.encode_fragment(part, fin=False))
        assert stream.decompress(made.payload) == part


def test_the_first_fragment_decides() -> None:
    encoder, peer = pair(threshold=100)
    for first, bit in ((b"x" * 99, False), (b"x" * 100, True)):
        frames = [encoder.encode_fragment(first, fin=False), encoder.encode_fragment(b"y" * 5000, fin=True)]
        assert bool(frames[0][0] & 0x40) is bit
        assert (len(frames[1]) < 100) is bit
        assert [event for frame in frames for event in peer.feed(frame)] == [first + b"y" * 5000]


def test_a_fragment_that_is_all_is_a_message() -> None:
    encoder, peer = pair()
    noise = random.Random(3).randbytes(1000)
    assert encoder.encode_fragment(noise, fin=True) == Encoder(Role.SERVER).encode(noise)
    assert peer.feed(encoder.encode_fragment(b"x" * 1000, fin=True)) == [b"x" * 1000]
    assert encoder.fragments_of is None


@roles
def test_control_frames_within_a_message_are_not_compressed(role: Role) -> None:
    encoder, _ = pair(role, threshold=0)
    wire = encoder.encode_fragment(b"x" * 500, fin=False) + encoder.ping(b"x" * 100) + encoder.pong(b"x" * 100)
    wire += encoder.encode_fragment(b"", fin=True) + encoder.close(1000, "x" * 100)
    made = frames_of(wire)
    assert [frame.rsv for frame in made] == [RSV1, 0, 0, 0, 0]
    assert made[1].payload == made[2].payload == b"x" * 100


def test_a_message_must_not_come_within_another() -> None:
    encoder, peer = pair()
    frames = encoder.encode_fragment(TEXTS[0], fin=False)
    for call in (lambda: encoder.encode(TEXTS[1]), lambda: encoder.encode(PreparedMessage(TEXTS[1]))):
        with pytest.raises(ConcurrencyError):
            call()
    with pytest.raises(TypeError):
        encoder.encode_fragment(b"x", fin=True)
    assert peer.feed(frames + encoder.encode_fragment(TEXTS[1], fin=True)) == [TEXTS[0] + TEXTS[1]]


# What is to be sent as it is.


@roles
@shared
def test_message_that_is_to_be_sent_as_it_is(shared: bool, role: Role) -> None:
    encoder, peer = pair(role, shared)
    asis: list[Any] = [TEXTS[1], TEXTS[1].encode(), bytearray(b"x" * 500), "é" * 500, PreparedMessage(TEXTS[1])]
    for message in asis:
        for before in TEXTS[:2]:
            assert peer.feed(encoder.encode(before)) == [before]
        frame = encoder.encode(message, compress=False)
        (made,) = frames_of(frame)
        said = getattr(message, "message", message)
        assert made.rsv == 0
        assert made.payload == (said.encode() if isinstance(said, str) else said)
        assert peer.feed(frame) == [said]
        for after in TEXTS[:2]:
            assert peer.feed(encoder.encode(after)) == [after]


def test_message_that_is_to_be_sent_as_it_is_costs_no_context() -> None:
    def sizes(*between: str) -> list[int]:
        encoder, _ = pair()
        encoder.encode(TEXTS[0])
        for message in between:
            encoder.encode(message, compress=False)
            encoder.encode(PreparedMessage(message, compress=False))
        return [len(encoder.encode(text)) for text in TEXTS[1:4]]

    assert sizes(TEXTS[5], "y" * 5000) == sizes()


@roles
def test_message_that_is_to_be_sent_as_it_is_by_its_kind(role: Role) -> None:
    encoder, peer = pair(role)
    for message, text, said in (("é" * 500, False, "é".encode() * 500), ("é".encode() * 500, True, "é" * 500)):
        frame = encoder.encode(message, text=text, compress=False)
        assert not frame[0] & 0x40
        assert peer.feed(frame) == [said]
    with pytest.raises(ValueError, match="UTF-8"):
        encoder.encode(b"\xff" * 500, text=True, compress=False)
    encoder.encode_fragment(b"x", fin=False)
    with pytest.raises(ConcurrencyError):
        encoder.encode(b"y", compress=False)


@roles
def test_the_first_fragment_says_that_a_message_is_to_be_sent_as_it_is(role: Role) -> None:
    for words, bit in (((False, True), 0), ((False, False), 0), ((True, False), RSV1)):
        encoder, peer = pair(role)
        assert peer.feed(encoder.encode(TEXTS[0])) == [TEXTS[0]]
        wire = encoder.encode_fragment(TEXTS[1], fin=False, compress=words[0])
        wire += encoder.encode_fragment(TEXTS[2], fin=True, compress=words[1])
        assert [made.rsv for made in frames_of(wire)] == [bit, 0]
        assert peer.feed(wire) == [TEXTS[1] + TEXTS[2]]
        wire = encoder.encode_fragment(TEXTS[3], fin=True, compress=False)
        assert [made.rsv for made in frames_of(wire)] == [0]
        assert peer.feed(wire + encoder.encode(TEXTS[4])) == TEXTS[3:5]


# Messages that are compressed apart.


@roles
@shared
def test_message_compressed_apart_has_its_place_among_the_others(shared: bool, role: Role) -> None:
    encoder, peer = pair(role, shared)
    for message in MESSAGES:
        deflation = encoder.begin(message)
        worker = threading.Thread(target=deflation.run)
        worker.start()
        worker.join()
        assert peer.feed(encoder.end(deflation)) == [message]
        assert peer.feed(encoder.encode(message)) == [message]
    assert encoder.fragments_of is None


@shared
def test_message_compressed_apart_is_the_frame_that_it_would_have_been(shared: bool) -> None:
    one, other = pair(shared=shared)[0], pair(shared=shared)[0]
    for message in (*TEXTS, random.Random(4).randbytes(3000), *TEXTS, memoryview(bytes(800)).cast("I")):
        deflation = one.begin(message)
        deflation.run()
        assert one.end(deflation) == other.encode(message)
        assert one.encode(TEXTS[0]) == other.encode(TEXTS[0])


@roles
def test_message_compressed_apart_by_its_kind(role: Role) -> None:
    encoder, peer = pair(role)
    for message, text, said in (("é" * 500, False, "é".encode() * 500), ("é".encode() * 500, True, "é" * 500)):
        deflation = encoder.begin(message, text=text)
        deflation.run()
        assert peer.feed(encoder.end(deflation)) == [said]


def test_message_compressed_apart_is_copied_where_it_may_change() -> None:
    encoder, peer = pair()
    buffer = bytearray(b"x" * 500)
    deflation = encoder.begin(buffer)
    buffer[:] = b"y" * 600  # it can be resized, too
    deflation.run()
    assert peer.feed(encoder.end(deflation)) == [b"x" * 500]


@roles
def test_meanwhile_there_are_control_frames_and_no_other_message(role: Role) -> None:
    encoder, peer = pair(role)
    calls: list[Callable[[], object]] = [
        lambda: encoder.encode("short"),
        lambda: encoder.encode(TEXTS[1]),
        lambda: encoder.encode(TEXTS[1], compress=False),
        lambda: encoder.encode(PreparedMessage(TEXTS[1])),
        lambda: encoder.encode_many([TEXTS[1]]),
        lambda: encoder.encode_fragment(TEXTS[1], fin=False),
        lambda: encoder.encode_fragment(b"x", fin=True),
        lambda: encoder.begin(TEXTS[1]),
    ]
    deflation = encoder.begin(TEXTS[0])
    for call in calls:
        with pytest.raises(ConcurrencyError):
            call()
    assert peer.feed(encoder.ping(b"x") + encoder.pong(b"y")) == [Ping(b"x"), Pong(b"y")]
    deflation.run()
    assert peer.feed(encoder.end(deflation)) == [TEXTS[0]]
    encoder.encode_fragment(TEXTS[1], fin=False)
    with pytest.raises(ConcurrencyError):
        encoder.begin(TEXTS[1])


def test_what_can_not_be_sent_does_not_begin() -> None:
    encoder, peer = pair()
    for wrong in (5, None, "\ud800" * 500, memoryview(b"x" * 500)[::2], PreparedMessage(TEXTS[0])):
        with pytest.raises((TypeError, ValueError)):
            encoder.begin(wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="UTF-8"):
        encoder.begin(b"\xff" * 500, text=True)
    assert peer.feed(encoder.encode(TEXTS[1])) == [TEXTS[1]]


class Failing:
    """A compressor that takes half of what it should, and then fails."""

    def __init__(self, compressor: Any) -> None:
        self.compressor = compressor

    def compress(self, data: bytes) -> bytes:
        self.compressor.compress(data[: len(data) // 2])
        raise MemoryError


@roles
@shared
def test_message_that_could_not_be_compressed_is_not_sent(shared: bool, role: Role) -> None:
    encoder, peer = pair(role, shared)
    for _ in range(3):
        assert peer.feed(encoder.encode(TEXTS[0])) == [TEXTS[0]]
        deflation = encoder.begin(TEXTS[1])
        deflation.compressor = Failing(deflation.compressor)
        deflation.run()
        with pytest.raises(MemoryError):
            encoder.end(deflation)
        assert peer.feed(encoder.encode(TEXTS[0])) == [TEXTS[0]]


@shared
def test_message_that_no_thread_has_compressed(shared: bool) -> None:
    encoder, peer = pair(Role.SERVER, shared)
    for text in TEXTS[:3]:
        deflation = encoder.begin(text)
        assert peer.feed(encoder.end(deflation)) == [text]
        deflation.run()  # it comes too late, and does nothing
        assert peer.feed(encoder.encode(text)) == [text]


def test_message_is_ended_once() -> None:
    encoder, peer = pair()
    first = encoder.begin(TEXTS[0])
    first.run()
    frame = encoder.end(first)
    second = encoder.begin(TEXTS[1])
    second.run()
    with pytest.raises(ValueError, match="begun"):
        encoder.end(first)
    frame += encoder.end(second)
    with pytest.raises(ValueError, match="begun"):
        encoder.end(second)
    assert peer.feed(frame) == TEXTS[:2]


def test_message_that_is_compressed_apart_is_released_too() -> None:
    encoder, _ = pair()
    deflation = encoder.begin(TEXTS[0])
    encoder.release()
    deflation.run()
    with pytest.raises(ValueError, match="begun"):
        encoder.end(deflation)
    assert encoder._deflater._compressor is None


# Prepared messages.


@roles
@shared
def test_prepared_message_arrives_between_others(shared: bool, role: Role) -> None:
    prepared = [PreparedMessage(TEXTS[3]), PreparedMessage(TEXTS[3].encode(), text=True), PreparedMessage(b"x" * 500)]
    prepared += [PreparedMessage("short"), PreparedMessage(random.Random(1).randbytes(500))]
    for _ in range(2):
        encoder, peer = pair(role, shared)
        for message in prepared:
            for plain in TEXTS[:3]:
                assert peer.feed(encoder.encode(plain)) == [plain]
            said = message.message.decode() if message.text else message.message
            assert peer.feed(encoder.encode(message)) == [said]


@shared
def test_prepared_message_is_compressed_once_for_all_that_compress_alike(shared: bool) -> None:
    prepared = PreparedMessage(TEXTS[3])
    frames = [pair(shared=shared, bits=bits)[0].encode(prepared) for bits in (12, 12, 15, 9, 15)]
    assert frames[0] is frames[1]
    assert frames[2] is frames[4]
    assert len(prepared.deflated) == 3
    assert all(frame[0] & 0x40 and inflate(frames_of(frame)[0].payload).decode() == TEXTS[3] for frame in frames)


def test_prepared_message_that_grows_is_sent_as_it_is() -> None:
    prepared = PreparedMessage(random.Random(1).randbytes(500))
    assert pair()[0].encode(prepared) is prepared.frame
    assert list(prepared.deflated.values()) == [None]
    short = PreparedMessage("short")
    assert pair()[0].encode(short) is short.frame


@roles
def test_prepared_message_that_must_not_be_compressed(role: Role) -> None:
    encoder, peer = pair(role)
    for message, text in ((TEXTS[3], None), (TEXTS[3].encode(), None), (TEXTS[3].encode(), True)):
        prepared = PreparedMessage(message, text=text, compress=False)
        frame = encoder.encode(prepared)
        assert not frame[0] & 0x40
        assert peer.feed(frame) == [TEXTS[3] if text else message]
        assert prepared.deflated == {}


# The compressor lives as long as it is needed.


def test_compressor_is_made_for_the_first_message_that_needs_it() -> None:
    encoder, _ = pair()
    encoder.encode("short")
    encoder.encode(PreparedMessage(TEXTS[0]))
    assert encoder._deflater._compressor is None
    encoder.encode(TEXTS[0])
    assert encoder._deflater._compressor is not None
    encoder.release()
    assert encoder._deflater._compressor is None


class FailingEngine:
    """An engine like zlib, whose compressors fail with the message that says so."""

    DEFLATED, Z_SYNC_FLUSH, Z_FULL_FLUSH = zlib.DEFLATED, zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH

    def compressobj(self, *settings: int) -> Any:
        return FailingCompressor(zlib.compressobj(*settings))


class FailingCompressor:
    def __init__(self, compressor: Any) -> None:
        self.compressor = compressor
        self.flush = compressor.flush

    def compress(self, data: Any) -> bytes:
        if bytes(data).startswith(b"fail"):
            raise MemoryError
        return self.compressor.compress(data)


def test_burst_that_fails_within_is_not_referred_to() -> None:
    encoder = DeflatingEncoder(Role.SERVER, Deflater(Setting(FailingEngine(), 12, 6, 5), 10))
    peer = InflatingDecoder(Role.CLIENT, Inflater(zlib, 12))
    assert peer.feed(encoder.encode(TEXTS[0])) == [TEXTS[0]]
    with pytest.raises(MemoryError):
        encoder.encode_many([TEXTS[1], TEXTS[2], "fail" * 100])
    assert peer.feed(encoder.encode_many([TEXTS[1], TEXTS[2]])) == [TEXTS[1], TEXTS[2]]
