"""Compressed messages received: where they may stand, what they say, limits and faults (RFC 7692 §6, §7.2.2)."""

from __future__ import annotations

import itertools
import random
import tracemalloc
import zlib
from typing import Any

import pytest
from helpers import BINARY, CHUNK_TYPES, CLOSE, CONT, PING, PONG, ROLES, TEXT, chunkings, decode, frame, header, to

from wscodec import Close, Fragment, InflatingDecoder, Ping, Role
from wscodec.compression import FreshInflater, Inflater
from wscodec.errors import InvalidDeflate, InvalidUtf8, MessageTooBig, ProtocolError, TooManyFragments

pytestmark = pytest.mark.usefixtures("impl")

roles = pytest.mark.parametrize("role", ROLES, ids=lambda role: role.value)
TAIL = b"\x00\x00\xff\xff"
HELLO = bytes.fromhex("f248cdc9c90700")  # RFC 7692 §7.2.3.1
AGAIN = bytes.fromhex("f200110000")  # §7.2.3.2: the same once more, in the window of the first
RSV1, RSV2, RSV3 = 4, 2, 1


def decoder(role: Role = Role.SERVER, fresh: bool = False, bits: int = 15, **limits: Any) -> InflatingDecoder:
    return InflatingDecoder(role, (FreshInflater if fresh else Inflater)(zlib, bits), **limits)


def deflate(data: bytes, level: int = 6) -> bytes:
    """Return the payload of a compressed message, made by zlib alone."""
    compressor = zlib.compressobj(level, zlib.DEFLATED, -15)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(TAIL)


def noise(size: int) -> bytes:
    return random.Random(1).randbytes(size)


def wire(*frames: tuple[Any, ...], role: Role = Role.SERVER) -> bytes:
    """Return frames of (opcode, payload, fin, rsv), the last two left out for a whole message without bits."""
    made = []
    for opcode, payload, *more in frames:
        fin, rsv = (*more, True, 0)[0], (*more, True, 0)[1] if len(more) > 1 else 0
        made.append(frame(opcode, payload, fin=fin, rsv=rsv, key=to(role)))
    return b"".join(made)


# The examples of RFC 7692 §7.2.3, and what may stand around them: frames and what they say.
GOOD: dict[str, tuple[list[tuple[Any, ...]], list[Any]]] = {
    "one-frame": ([(TEXT, HELLO, True, RSV1)], ["Hello"]),
    "two-frames": ([(TEXT, HELLO[:3], False, RSV1), (CONT, HELLO[3:])], ["Hello"]),
    "window-shared": ([(TEXT, HELLO, True, RSV1), (TEXT, AGAIN, True, RSV1)], ["Hello", "Hello"]),
    "no-compression": ([(TEXT, bytes.fromhex("000500faff48656c6c6f00"), True, RSV1)], ["Hello"]),
    "bfinal": ([(TEXT, bytes.fromhex("f348cdc9c9070000"), True, RSV1)], ["Hello"]),
    "bfinal-then-another": (
        [(TEXT, bytes.fromhex("f348cdc9c9070000"), True, RSV1), (TEXT, HELLO, True, RSV1)],
        ["Hello", "Hello"],
    ),
    "two-blocks": ([(TEXT, bytes.fromhex("f248050000 00ffffcac9c90700"), True, RSV1)], ["Hello"]),
    "binary": ([(BINARY, HELLO, True, RSV1)], [b"Hello"]),
    "empty": ([(BINARY, b"\x00", True, RSV1), (TEXT, b"\x00", True, RSV1)], [b"", ""]),
    "empty-payload": ([(BINARY, b"", True, RSV1)], [b""]),
    "plain": ([(TEXT, b"Hello"), (TEXT, HELLO, True, RSV1), (BINARY, b"x")], ["Hello", "Hello", b"x"]),
    "plain-in-fragments": (
        [(TEXT, b"He", False), (CONT, b"llo"), (TEXT, HELLO, True, RSV1)],
        ["Hello", "Hello"],
    ),
    "control-between": (
        [(TEXT, HELLO[:3], False, RSV1), (PING, b"p"), (CONT, b"", False), (PING, b""), (CONT, HELLO[3:])],
        [Ping(b"p"), Ping(b""), "Hello"],
    ),
    "not-ascii": ([(TEXT, deflate("héllo €𝄞".encode()), True, RSV1)], ["héllo €𝄞"]),
}


@roles
@pytest.mark.parametrize("name", GOOD)
def test_good_however_it_is_cut(name: str, role: Role) -> None:
    frames, events = GOOD[name]
    for chunks in chunkings(wire(*frames, role=role)):
        for kind in CHUNK_TYPES:
            outcome = decode(decoder(role), map(kind, chunks))
            assert outcome.events == events
            assert outcome.error is None


@pytest.mark.parametrize("name", [name for name in GOOD if name != "window-shared"])
def test_good_without_context_takeover(name: str) -> None:
    frames, events = GOOD[name]
    assert decode(decoder(fresh=True), [wire(*frames)]).events == events


def test_reference_to_an_earlier_message_without_context_takeover() -> None:
    outcome = decode(decoder(fresh=True), [wire((TEXT, HELLO, True, RSV1), (TEXT, AGAIN, True, RSV1))])
    assert outcome.events == ["Hello"]
    assert outcome.error is not None
    assert outcome.error[:2] == (InvalidDeflate, 1007)


BAD: dict[str, tuple[list[tuple[Any, ...]], int]] = {
    "bit-on-continuation": ([(TEXT, HELLO[:3], False, RSV1), (CONT, HELLO[3:], True, RSV1)], 1002),
    "bit-on-continuation-of-plain": ([(TEXT, b"a", False), (CONT, HELLO, True, RSV1)], 1002),
    "bit-on-continuation-of-nothing": ([(CONT, HELLO, True, RSV1)], 1002),
    "bit-on-ping": ([(PING, b"", True, RSV1)], 1002),
    "bit-on-pong": ([(PONG, b"", True, RSV1)], 1002),
    "bit-on-close": ([(CLOSE, b"", True, RSV1)], 1002),
    "bit-on-reserved-opcode": ([(3, b"", True, RSV1)], 1002),
    "rsv2": ([(TEXT, b"", True, RSV2)], 1002),
    "rsv3": ([(TEXT, b"", True, RSV3)], 1002),
    "rsv1-and-2": ([(TEXT, HELLO, True, RSV1 | RSV2)], 1002),
    "message-within-another": ([(TEXT, HELLO[:3], False, RSV1), (TEXT, HELLO, True, RSV1)], 1002),
    "garbage": ([(BINARY, b"\xff\xff\xff\xff", True, RSV1)], 1007),
    "cut-short": ([(BINARY, HELLO[:3], True, RSV1)], 1007),
    "too-far-back": ([(BINARY, AGAIN, True, RSV1)], 1007),
    "not-utf-8": ([(TEXT, deflate(b"a\xff"), True, RSV1)], 1007),
    "ends-within-a-character": ([(TEXT, deflate("é".encode()[:1]), True, RSV1)], 1007),
}


@roles
@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("name", BAD)
def test_bad_however_it_is_cut(name: str, streaming: bool, role: Role) -> None:
    frames, code = BAD[name]
    data = wire(*frames, role=role)
    for chunks in chunkings(data):
        taking = decoder(role, streaming=streaming)
        outcome = decode(taking, chunks)
        assert outcome.error is not None
        assert outcome.error[1] == code
        assert all(isinstance(event, Fragment) and not event.fin for event in outcome.events)
        with pytest.raises(ProtocolError):
            taking.feed(wire((TEXT, b"later")))


def test_bad_utf_8_is_found_within_an_unfinished_frame() -> None:
    payload = deflate(b"\xff" + noise(100_000))
    outcome = decode(decoder(), [header(0xC1, len(payload), key=b"\0\0\0\0"), payload[:40_000]])
    assert outcome.error is not None
    assert outcome.error[0] is InvalidUtf8


@pytest.mark.parametrize("split", [1, 2, 7])
def test_streaming_hands_on_what_is_inflated(split: int) -> None:
    text = "héllo €𝄞 " * 20_000
    payload = deflate(text.encode())
    cuts = [len(payload) * i // split for i in range(split + 1)]
    parts = [payload[a:b] for a, b in itertools.pairwise(cuts)]
    frames = [(TEXT if i == 0 else CONT, part, i == split - 1, RSV1 * (i == 0)) for i, part in enumerate(parts)]
    data = wire(*frames, (BINARY, HELLO, True, RSV1))
    taking = decoder(streaming=True)
    events = [event for i in range(0, len(data), 100) for event in taking.feed(data[i : i + 100])]
    assert sum(event.data != "" for event in events) > 2
    ends = [i for i, event in enumerate(events) if event.fin]
    assert "".join(event.data for event in events[: ends[0] + 1]) == text
    assert events[ends[0] + 1 :] == [Fragment(b"Hello", True)]


# Limits.


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("limit", [0, 1, 5, 1000, 40_000])
def test_max_size_is_that_of_the_inflated_message(limit: int, parts: int, streaming: bool) -> None:
    for size in (limit, limit + 1):
        payload = deflate(bytes(size)) or b"\x00"
        cut = [len(payload) * i // parts for i in range(parts + 1)]
        frames = [
            (BINARY if i == 0 else CONT, payload[cut[i] : cut[i + 1]], i == parts - 1, RSV1 * (i == 0))
            for i in range(parts)
        ]
        outcome = decode(decoder(max_size=limit, streaming=streaming), [wire(*frames)])
        if size > limit:
            assert outcome.error is not None
            assert outcome.error[:2] == (MessageTooBig, 1009)
            assert not any(not streaming or event.fin for event in outcome.events)
        elif streaming:
            assert b"".join(event.data for event in outcome.events) == bytes(size)
        else:
            assert outcome.events == [bytes(size)]


def test_max_size_holds_for_messages_that_are_not_compressed() -> None:
    for opcode, payload, *more in ((BINARY, b"x" * 11), (BINARY, b"x" * 11, False)):
        outcome = decode(decoder(max_size=10), [wire((opcode, payload, *more))])
        assert outcome.error is not None
        assert outcome.error[0] is MessageTooBig
    assert decode(decoder(max_size=10), [wire((BINARY, b"x" * 10))]).events == [b"x" * 10]


@pytest.mark.parametrize("size", [0, 10, 100_000, 1 << 20])
@pytest.mark.parametrize("level", [0, 1, 9])
def test_what_can_not_be_compressed_fits_max_size_all_the_same(size: int, level: int) -> None:
    data = noise(size)
    compressor = zlib.compressobj(level, zlib.DEFLATED, -9, 1)
    payload = (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(TAIL)
    assert len(payload) > size
    assert decode(decoder(max_size=size), [wire((BINARY, payload, True, RSV1))]).events == [data]
    # In as many frames as there may be, each flushed.
    compressor = zlib.compressobj(level, zlib.DEFLATED, -9, 1)
    count = 1000
    parts = [
        compressor.compress(data[size * i // count : size * (i + 1) // count]) + compressor.flush(zlib.Z_SYNC_FLUSH)
        for i in range(count)
    ]
    frames = [(BINARY if i == 0 else CONT, part, False, RSV1 * (i == 0)) for i, part in enumerate(parts)]
    assert decode(decoder(max_size=size), [wire(*frames, (CONT, b"\x00"))]).events == [data]


def test_compressed_bytes_are_bounded_where_they_say_nothing() -> None:
    empty = b"\x00\x00\x00\xff\xff"  # a stored block of no bytes
    limit = 1000 + 125 + 65536  # an eighth and 64 KiB more than `max_size`
    taking = decoder(max_size=1000)
    assert taking.feed(header(0xC2, limit, key=b"\0\0\0\0")) == []
    for announced in ([header(0xC2, limit + 1, key=b"\0\0\0\0")], [wire((BINARY, empty * 10, False, RSV1))] * 1):
        taking = decoder(max_size=1000)
        outcome = decode(taking, announced)
        if outcome.error is None:
            more = wire((CONT, empty * 1000, False))
            outcome = decode(taking, [more] * 20)
            assert 13 <= outcome.taken // len(more) <= 14
        assert outcome.error is not None
        assert outcome.error[:2] == (MessageTooBig, 1009)


def test_max_frame_size_is_that_of_the_payload() -> None:
    taking = decoder(max_frame_size=len(HELLO))
    assert taking.feed(wire((TEXT, HELLO, True, RSV1))) == ["Hello"]
    assert taking.feed(wire((BINARY, deflate(bytes(500)), True, RSV1)) if len(deflate(bytes(500))) < 8 else b"") == []
    outcome = decode(taking, [wire((TEXT, HELLO + b"x", True, RSV1))])
    assert outcome.error is not None
    assert outcome.error[0] is MessageTooBig


def test_max_fragments_counts_compressed_ones() -> None:
    frames = [(TEXT, HELLO[:3], False, RSV1), (CONT, b"", False), (CONT, HELLO[3:])]
    assert decode(decoder(max_fragments=3), [wire(*frames)]).events == ["Hello"]
    outcome = decode(decoder(max_fragments=2), [wire(*frames)])
    assert outcome.error is not None
    assert outcome.error[0] is TooManyFragments


@pytest.mark.parametrize("pieces", [1, 100])
def test_a_bomb_costs_the_limit_and_little_more(pieces: int) -> None:
    size, limit = 100 << 20, 4 << 20
    data = wire((BINARY, deflate(bytes(size)), True, RSV1))
    assert len(data) < 110_000
    step = len(data) // pieces + 1
    taking = decoder(max_size=limit)
    tracemalloc.start()
    outcome = decode(taking, [data[i : i + step] for i in range(0, len(data), step)])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert outcome.error is not None
    assert outcome.error[0] is MessageTooBig
    assert outcome.events == []
    assert peak < limit + (1 << 20)


def test_text_takes_its_size_twice_at_most() -> None:
    text = "x" * (4 << 20)
    data = wire((TEXT, deflate(text.encode()), True, RSV1))
    taking = decoder(max_size=len(text))
    tracemalloc.start()
    outcome = decode(taking, [data[:100], data[100:]])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert outcome.events == [text]
    assert peak < 2 * len(text) + (1 << 20)


# The decompressor lives as long as it is needed.


def streams(taking: InflatingDecoder) -> Any:
    return taking._inflater._stream


def test_decompressor_is_made_for_the_first_message_that_needs_it() -> None:
    taking = decoder()
    taking.feed(wire((TEXT, b"plain"), (PING, b"")))
    assert streams(taking) is None
    taking.feed(wire((TEXT, HELLO, True, RSV1)))
    assert streams(taking) is not None
    taking.release()
    assert streams(taking) is None


def test_decompressor_is_dropped_by_an_offence() -> None:
    taking = decoder()
    taking.feed(wire((TEXT, HELLO, True, RSV1)))
    decode(taking, [wire((TEXT, b"", True, RSV2))])
    assert streams(taking) is None


def test_what_comes_in_bits_takes_no_more_memory_than_it_says() -> None:
    data = noise(20_000)
    stream = wire((BINARY, deflate(data, 0), True, RSV1))
    taking = decoder()
    tracemalloc.start()
    for i in range(len(stream) - 1):
        assert taking.feed(stream[i : i + 1]) == []
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * len(data) + 60_000
    assert taking.feed(stream[-1:]) == [data]


def taken(decoder: InflatingDecoder, data: bytes) -> list[list[Any]]:
    """Return what each call makes of `data`: the first one, and those that go on with what is held back."""
    calls = [decoder.feed(data)]
    while decoder.held_back:
        calls.append(decoder.feed(b""))
    return calls


@roles
@pytest.mark.parametrize("burst_size", [0, 1, 999, 1000, 2500, 10_000, None])
def test_what_is_behind_a_burst_is_held_back(burst_size: int | None, role: Role) -> None:
    messages = [bytes([i]) * 1000 for i in range(8)]
    frames = [(BINARY, deflate(message), True, RSV1) for message in messages]
    plain = [(BINARY, b"plain"), (PING, b"p")]
    data = wire(*frames[:4], *plain, *frames[4:], role=role)
    calls = taken(decoder(role, fresh=True, burst_size=burst_size), data)
    assert list(itertools.chain(*calls)) == [*messages[:4], b"plain", Ping(b"p"), *messages[4:]]
    most = 9000 if burst_size is None else burst_size
    for events in calls:
        inflated = sum(len(event) == 1000 for event in events if isinstance(event, bytes))
        assert inflated <= most // 1000 + 1
    assert len(calls) == 1 if most >= 8000 else len(calls) > 2


@pytest.mark.parametrize("whole", [True, False])
def test_parts_of_a_stream_are_held_back(whole: bool) -> None:
    # A frame that is all there, and one that is not, are inflated step by step, too.
    payload = deflate(bytes(60_000_000 if whole else 100_000_000), 9)
    reader = decoder(max_size=None, streaming=True, burst_size=1 << 20)
    size = 0
    for events in taken(reader, wire((BINARY, payload, True, RSV1))):
        burst = sum(len(event.data) for event in events)
        assert burst <= (1 << 20) + 4096 * 1032
        size += burst
    assert size == (60_000_000 if whole else 100_000_000)


@roles
def test_what_follows_is_taken_behind_what_is_held_back(role: Role) -> None:
    reader = decoder(role, fresh=True, burst_size=0)
    data = wire((BINARY, deflate(b"a"), True, RSV1), (TEXT, deflate(b"b"), True, RSV1), role=role)
    assert reader.feed(data[:-1]) == [b"a"]
    assert reader.held_back
    assert reader.feed(data[-1:]) == ["b"]
    assert reader.feed(wire((TEXT, b"c"), (TEXT, b"d"), role=role)) == ["c", "d"]
    assert reader.feed(memoryview(data)) == [b"a"]
    assert reader.feed(memoryview(wire((TEXT, b"c"), role=role))) == ["b"]
    assert reader.feed(b"") == ["c"]
    assert not reader.held_back


def test_offence_within_what_is_held_back_comes_behind_it() -> None:
    reader = decoder(fresh=True, burst_size=0)
    message = (BINARY, deflate(b"a"), True, RSV1)
    assert reader.feed(wire(message, message, (CONT, b""), message)) == [b"a"]
    assert reader.feed(b"") == [b"a"]
    with pytest.raises(ProtocolError, match="continues nothing"):
        reader.feed(b"")
    assert not reader.held_back


def test_nothing_is_held_back_behind_a_close_frame_or_the_end() -> None:
    message = (BINARY, deflate(b"a"), True, RSV1)
    reader = decoder(fresh=True, burst_size=0)
    assert taken(reader, wire(message, (CLOSE, b""), message)) == [[b"a"], [Close(1005)]]
    reader = decoder(fresh=True, burst_size=0)
    reader.feed(wire(message, message))
    reader.release()
    assert not reader.held_back


def test_wrong_burst_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="burst_size is negative"):
        decoder(burst_size=-1)
    with pytest.raises(TypeError):
        decoder(burst_size="x")
