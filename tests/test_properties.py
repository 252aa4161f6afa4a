"""Whatever bytes come, in whatever pieces: the twins agree with each other, with the oracles, and with `websockets`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from helpers import BINARY, CLOSE, CONT, PING, PONG, ROLES, TEXT, close_payload, decode, frame
from hypothesis import given, settings
from hypothesis import strategies as st
from implementations import IMPLEMENTATIONS, using
from reference.frames import frames_of
from reference.masking import mask
from reference.utf8 import can_begin, is_valid
from websockets.protocol import Protocol, Side

import wscodec
from wscodec import Close, Connection, Decoder, Encoder, Fragment, FrameDecoder, Ping, Pong, Role

roles = st.sampled_from(ROLES)
keys = st.binary(min_size=4, max_size=4)


def agreed(work: Callable[[], Any]) -> Any:
    """Return what `work` returns on every implementation, which must be the same."""
    results = {}
    for implementation in IMPLEMENTATIONS:
        with using(implementation):
            results[implementation.name] = work()
    first = results["pure"]
    assert all(result == first for result in results.values()), results
    return first


# ------------------------------------------------------------------------------------------------ strategies

sizes = st.sampled_from([0, 1, 2, 3, 7, 31, 32, 33, 63, 64, 65, 124, 125, 126, 127, 128, 300])
characters = st.sampled_from("a\0\x7f\x80é߿ࠀ€\ud7ff\ue000\uffff😀\U0010ffff")
texts = st.one_of(
    st.text(max_size=40),
    st.text(characters, max_size=80),
    st.builds(lambda size, char: char * size, sizes, characters),
)
payloads = st.one_of(st.binary(max_size=40), st.builds(bytes, sizes))
messages = st.one_of(texts, payloads)
reasons = st.text(max_size=30)
codes = st.sampled_from([1000, 1001, 1002, 1007, 1011, 1014, 3000, 4999])
closes = st.one_of(
    st.just((CLOSE, b"", True)),
    st.builds(lambda code, reason: (CLOSE, close_payload(code, reason.encode()), True), codes, reasons),
)
controls = st.tuples(st.sampled_from([PING, PONG]), st.binary(max_size=125), st.just(True))


@st.composite
def message_frames(draw: st.DrawFn) -> list[tuple[int, bytes, bool]]:
    """Return a message's frames as (opcode, payload, fin), cut anywhere, with control frames in between."""
    message = draw(messages)
    opcode, data = (TEXT, message.encode()) if isinstance(message, str) else (BINARY, message)
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=4)))
    parts = [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    frames = []
    for number, part in enumerate(parts):
        if number:
            frames += draw(st.lists(controls, max_size=1))
        frames.append((CONT if number else opcode, part, number == len(parts) - 1))
    return frames


@st.composite
def good_streams(draw: st.DrawFn) -> tuple[Role, bytes]:
    """Return our role and the frames of a peer that keeps to the rules."""
    role = draw(roles)
    groups = draw(st.lists(st.one_of(message_frames(), controls.map(lambda control: [control])), max_size=8))
    frames = [one for group in groups for one in group] + draw(st.lists(closes, max_size=1))
    key = keys if role is Role.SERVER else st.none()
    return role, b"".join(frame(opcode, payload, fin=fin, key=draw(key)) for opcode, payload, fin in frames)


first_bytes = st.one_of(st.sampled_from(b"\x01\x02\x00\x80\x81\x82\x88\x89\x8a"), st.integers(0, 255))
lengths = st.sampled_from(
    [
        b"\0",
        b"\1",
        b"\x7d",
        b"\x7e\0\x7d",
        b"\x7e\0\x7e",
        b"\x7e\xff\xff",
        b"\x7f" + bytes(8),
        b"\x7f" + b"\xff" * 8,
        b"\x7f\0\0\0\0\0\1\0\0",
        b"\x7f\0\0\0\0\0\0\xff\xff",
        b"\x7f\x7f" + b"\xff" * 7,
        b"\x7f\0\0\0\1\0\0\0\0",
    ]
)


@st.composite
def wild_frames(draw: st.DrawFn) -> bytes:
    """Return something like a frame: any header, and some bytes behind it."""
    length, bit = draw(lengths), draw(st.sampled_from([0, 0x80]))
    key = draw(keys) if bit else b""
    return bytes([draw(first_bytes), length[0] | bit]) + length[1:] + key + draw(st.binary(max_size=8))


@st.composite
def bad_streams(draw: st.DrawFn) -> tuple[Role, bytes]:
    """Return our role and bytes that keep to the rules for a while, if at all."""
    role, good = draw(good_streams())
    middle = draw(st.one_of(st.binary(max_size=60), wild_frames(), st.lists(wild_frames(), max_size=4).map(b"".join)))
    if good and draw(st.booleans()):
        place = draw(st.integers(0, len(good) - 1))
        good = good[:place] + bytes([draw(st.integers(0, 255))]) + good[place + 1 :]
    return role, good + middle + draw(good_streams())[1]


streams = st.one_of(good_streams(), bad_streams())


@st.composite
def chopped(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """Return `data` in pieces."""
    way = draw(st.sampled_from(["whole", "bytes", "cuts"]))
    if way == "whole":
        return [data]
    if way == "bytes":
        return [data[i : i + 1] for i in range(len(data))]
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=6)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


limits = st.fixed_dictionaries(
    {},
    optional={
        "max_size": st.sampled_from([None, 0, 1, 50, 126]),
        "max_frame_size": st.sampled_from([None, 0, 1, 50, 126]),
        "max_fragments": st.sampled_from([None, 0, 1, 2, 3]),
        "streaming": st.booleans(),
    },
)

# -------------------------------------------------------------------------------------------------- receiving


def joined(events: Iterable[Any]) -> list[Any]:
    """Return events with the parts of streamed messages put together, for they depend on the chunks."""
    result: list[Any] = []
    for event in events:
        last = result[-1] if result else None
        if isinstance(event, Fragment) and isinstance(last, Fragment) and not last.fin:
            result[-1] = Fragment(last.data + event.data, event.fin)  # type: ignore[operator]
        else:
            result.append(event)
    return result


@settings(max_examples=200)
@given(stream=streams, options=limits, kind=st.sampled_from([bytes, bytearray, memoryview]), data=st.data())
def test_decoders_agree_whatever_comes_in_whatever_pieces(
    stream: tuple[Role, bytes], options: dict[str, Any], kind: Callable[[bytes], Any], data: st.DataObject
) -> None:
    role, wire = stream
    chunks = data.draw(chopped(wire))
    outcome = agreed(lambda: decode(Decoder(role, **options), map(kind, chunks)))
    whole = agreed(lambda: decode(Decoder(role, **options), [wire]))
    assert outcome.error == whole.error
    if not options.get("streaming"):
        assert outcome.events == whole.events


@given(stream=streams, data=st.data())
def test_streamed_messages_are_the_whole_ones(stream: tuple[Role, bytes], data: st.DataObject) -> None:
    role, wire = stream
    chunks = data.draw(chopped(wire))
    streamed = agreed(lambda: decode(Decoder(role, streaming=True), chunks))
    whole = agreed(lambda: decode(Decoder(role), [wire]))
    assert streamed.error == whole.error
    parts = joined(event for event in streamed.events if isinstance(event, Fragment))
    messages = [event for event in whole.events if isinstance(event, str | bytes)]
    assert [part.data for part in parts if part.fin] == messages
    assert len(parts) <= len(messages) + 1


@given(stream=streams, max_size=st.sampled_from([None, 0, 50]), data=st.data())
def test_frame_decoders_agree(stream: tuple[Role, bytes], max_size: int | None, data: st.DataObject) -> None:
    role, wire = stream
    chunks = data.draw(chopped(wire))
    outcome = agreed(lambda: decode(FrameDecoder(role, max_size=max_size), chunks))
    whole = agreed(lambda: decode(FrameDecoder(role, max_size=max_size), [wire]))
    assert (outcome.events, outcome.error) == (whole.events, whole.error)


def echoed(role: Role, chunks: list[bytes], options: dict[str, Any]) -> list[Any]:
    """Return all that an echoing connection says and does, chunk by chunk; keys are fresh, so they are left out."""
    connection = Connection(role, **options)
    told: list[Any] = []
    for chunk in chunks:
        events = connection.receive(chunk)
        if connection.close_sent is None:
            for event in events:
                if isinstance(event, str | bytes):
                    connection.send(event)
        out = [(f.fin, f.rsv, f.opcode, f.payload, f.key is None) for f in frames_of(connection.data_to_send())]
        ended = connection.state, connection.finished, connection.close_code, connection.close_reason
        told.append((events, out, ended))
    connection.eof()
    told.append((type(connection.error), connection.close_code, connection.close_reason, connection.data_to_send()))
    return told


@given(stream=streams, options=limits, data=st.data())
def test_connections_agree(stream: tuple[Role, bytes], options: dict[str, Any], data: st.DataObject) -> None:
    role, wire = stream
    chunks = data.draw(chopped(wire))
    told = agreed(lambda: echoed(role, chunks, options))
    frames = [one for chunk in told[:-1] for one in chunk[1]]
    assert all(fin and not rsv for fin, rsv, *_ in frames)
    assert all(unmasked is (role is Role.SERVER) for *_, unmasked in frames)
    # A Close frame is the last, and there is one if there was an end.
    opcodes = [opcode for _, _, opcode, _, _ in frames]
    assert CLOSE not in opcodes[:-1]
    assert (CLOSE in opcodes) is (told[-1][1] != 1006)


# ------------------------------------------------------------------------------------------------ websockets


class Theirs:
    """`websockets`, its frames put together to messages as its I/O layers do it."""

    def __init__(self, role: Role) -> None:
        self.protocol = Protocol(Side.SERVER if role is Role.SERVER else Side.CLIENT, max_size=None)
        self.parts: list[bytes] = []
        self.opcode = BINARY

    def receive(self, chunk: bytes) -> tuple[list[Any], list[Any]]:
        self.protocol.receive_data(chunk)
        events = [event for one in self.protocol.events_received() for event in self.event(one)]
        return events, frames_of(b"".join(self.protocol.data_to_send()))

    def event(self, one: Any) -> list[Any]:
        """Return the event that a frame completes, if it does."""
        if one.opcode == PING:
            return [Ping(bytes(one.data))]
        if one.opcode == PONG:
            return [Pong(bytes(one.data))]
        if one.opcode == CLOSE:
            received = self.protocol.close_rcvd
            assert received is not None
            return [Close(int(received.code), received.reason)]
        if one.opcode != CONT:
            self.opcode, self.parts = one.opcode, []
        self.parts.append(bytes(one.data))
        message = b"".join(self.parts)
        return [] if not one.fin else [message.decode() if self.opcode == TEXT else message]


@given(stream=good_streams(), data=st.data())
def test_websockets_sees_and_says_the_same(stream: tuple[Role, bytes], data: st.DataObject) -> None:
    role, wire = stream
    theirs = Theirs(role)
    chunks = data.draw(chopped(wire))
    expected = [theirs.receive(chunk) for chunk in chunks]

    def ours() -> list[Any]:
        connection = Connection(role)
        return [(connection.receive(chunk), frames_of(connection.data_to_send())) for chunk in chunks]

    def keyless(told: list[Any]) -> list[Any]:
        return [(events, [one._replace(key=None) for one in frames]) for events, frames in told]

    assert agreed(lambda: keyless(ours())) == keyless(expected)


@given(role=roles, sent=st.lists(messages, max_size=5))
def test_websockets_reads_what_we_send(role: Role, sent: list[str | bytes]) -> None:
    reader = Role.SERVER if role is Role.CLIENT else Role.CLIENT
    for implementation in IMPLEMENTATIONS:
        with using(implementation):
            encoder = Encoder(role)
            one_by_one = b"".join(map(encoder.encode, sent))
            at_once = encoder.encode_many(sent)
        assert Theirs(reader).receive(one_by_one)[0] == Theirs(reader).receive(at_once)[0] == sent


# ----------------------------------------------------------------------------------------------- round trips


@given(role=roles, sent=st.lists(messages, max_size=8), data=st.data())
def test_what_is_encoded_is_decoded(role: Role, sent: list[str | bytes], data: st.DataObject) -> None:
    reader = Role.SERVER if role is Role.CLIENT else Role.CLIENT
    for writes in IMPLEMENTATIONS:
        with using(writes):
            wire = Encoder(role).encode_many(sent)
        chunks = data.draw(chopped(wire))
        assert agreed(lambda chunks=chunks: decode(Decoder(reader), chunks).events) == sent


@given(role=roles, parts=st.one_of(st.lists(texts, min_size=1, max_size=6), st.lists(payloads, min_size=1, max_size=6)))
def test_what_is_encoded_in_fragments_is_decoded(role: Role, parts: list[Any]) -> None:
    reader = Role.SERVER if role is Role.CLIENT else Role.CLIENT

    def there_and_back() -> list[Any]:
        encoder = Encoder(role)
        last = len(parts) - 1
        wire = b"".join(
            encoder.encode_fragment(part, fin=i == last) + encoder.ping(b"%d" % i) for i, part in enumerate(parts)
        )
        return Decoder(reader).feed(wire)

    pings = [Ping(b"%d" % i) for i in range(len(parts))]
    assert agreed(there_and_back) == [*pings[:-1], type(parts[0])().join(parts), pings[-1]]


@given(role=roles, sent=st.lists(messages, max_size=8))
def test_encoders_write_the_same_but_for_the_key(role: Role, sent: list[str | bytes]) -> None:
    expected = [(TEXT, m.encode()) if isinstance(m, str) else (BINARY, m) for m in sent]
    assert agreed(lambda: [(f.opcode, f.payload) for f in frames_of(Encoder(role).encode_many(sent))]) == expected


# ---------------------------------------------------------------------------------------------------- oracles


@given(data=st.binary(max_size=400), key=keys, offset=st.integers(-(1 << 70), 1 << 70))
def test_masking_is_the_oracle_s(data: bytes, key: bytes, offset: int) -> None:
    def both() -> tuple[bytes, bytearray]:
        area = bytearray(data)
        wscodec.apply_mask_inplace(area, key, offset)
        return wscodec.apply_mask(data, key, offset), area

    assert agreed(both) == (mask(data, key, offset % 4),) * 2


@st.composite
def nearly_utf8(draw: st.DrawFn) -> bytes:
    """Return text with up to two bytes replaced."""
    data = bytearray(draw(texts).encode())
    for _ in range(draw(st.integers(0, 2))):
        if data:
            data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data)


@settings(max_examples=300)
@given(data=st.one_of(nearly_utf8(), st.binary(max_size=100)), chooser=st.data())
def test_utf8_is_the_oracle_s(data: bytes, chooser: st.DataObject) -> None:
    chunks = chooser.draw(chopped(data))
    prefixes = [b"".join(chunks[: i + 1]) for i in range(len(chunks))]

    def fed() -> tuple[list[bool], bool]:
        validator = wscodec.Utf8Validator()
        return [validator.feed(chunk) for chunk in chunks], validator.complete

    assert agreed(lambda: wscodec.is_valid_utf8(data)) is is_valid(data)
    assert agreed(fed) == ([can_begin(prefix) for prefix in prefixes], is_valid(data))
    if is_valid(data):
        assert agreed(lambda: wscodec.decode_utf8(data)) == data.decode()


@given(data=st.one_of(st.binary(max_size=20), wild_frames()), offset=st.integers(0, 20))
def test_headers_are_read_the_same(data: bytes, offset: int) -> None:
    agreed(lambda: wscodec.parse_header(data, offset))


@given(
    opcode=st.integers(0, 15),
    length=st.one_of(st.sampled_from([125, 126, 65535, 65536, (1 << 63) - 1]), st.integers(0, (1 << 63) - 1)),
    bits=st.tuples(*[st.booleans()] * 4),
    key=st.one_of(st.none(), keys),
)
def test_headers_are_read_as_written(opcode: int, length: int, bits: tuple[bool, ...], key: bytes | None) -> None:
    fin, rsv1, rsv2, rsv3 = bits

    def there_and_back() -> Any:
        wire = wscodec.build_header(opcode, length, fin=fin, rsv1=rsv1, rsv2=rsv2, rsv3=rsv3, masking_key=key)
        return wire, wscodec.parse_header(wire)

    wire, header = agreed(there_and_back)
    assert header == (*bits, opcode, key, length, len(wire))


@pytest.mark.usefixtures("compiled")
def test_there_is_something_to_agree_with() -> None:
    compared = {}
    for implementation in IMPLEMENTATIONS:
        with using(implementation):
            compared[implementation.backend] = Decoder, Encoder, Connection, FrameDecoder, wscodec.apply_mask
    assert compared.keys() == {"pure", "compiled"}
    for pure, compiled in zip(compared["pure"], compared["compiled"], strict=True):
        assert pure is not compiled
