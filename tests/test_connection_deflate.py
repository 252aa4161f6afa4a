"""A connection that agreed on permessage-deflate: what goes by the rules, in what order, and how it ends."""

from __future__ import annotations

import json
import random
import zlib
from typing import Any

import pytest
from helpers import BINARY, CONT, KEY, PING, PONG, ROLES, TEXT, close_payload, frame, to
from reference.frames import frames_of

from wscodec import (
    AgreedDeflate,
    ConcurrencyError,
    Connection,
    ConnectionClosed,
    DeflateParameters,
    Fragment,
    PerMessageDeflate,
    Ping,
    PreparedMessage,
    Role,
)

pytestmark = pytest.mark.usefixtures("impl")

roles = pytest.mark.parametrize("role", ROLES, ids=lambda role: role.value)
contexts = pytest.mark.parametrize("fresh", [False, True], ids=["takeover", "no-takeover"])
OTHER = {Role.CLIENT: Role.SERVER, Role.SERVER: Role.CLIENT}
RSV1 = 4
HELLO = bytes.fromhex("f248cdc9c90700")  # RFC 7692 §7.2.3.1
TEXTS = [json.dumps({"event": i, "user": f"someone-{i % 7}", "tags": ["a", "b"] * 30}) for i in range(20)]
NOISE = random.Random(1).randbytes(2000)
MESSAGES: list[Any] = ["", "hi", *TEXTS, b"x", "héllo €𝄞 " * 100, b"\x00" * 5000, NOISE, "hi", *TEXTS]


def agreed(fresh: bool = False, **settings: Any) -> AgreedDeflate:
    settings = {"engine": zlib, **settings}
    parameters = DeflateParameters(
        server_no_context_takeover=fresh,
        client_no_context_takeover=fresh,
        server_max_window_bits=12,
        client_max_window_bits=12,
    )
    return AgreedDeflate(PerMessageDeflate(**settings), parameters)


def ends(role: Role = Role.SERVER, fresh: bool = False, **limits: Any) -> tuple[Connection, Connection]:
    """Return our end and the peer's, which has the limits."""
    return (
        Connection(role, compression=agreed(fresh)),
        Connection(OTHER[role], compression=agreed(fresh), **limits),
    )


@roles
def test_burst_that_is_no_sequence_leaves_no_trace(role: Role) -> None:
    near, far = ends(role)
    near.send(TEXTS[0])
    burst: Any = (text for text in TEXTS[1:3])
    with pytest.raises(TypeError):
        near.send_many(burst)
    near.send(TEXTS[2])  # and refers to nothing that was not sent
    assert far.receive(near.data_to_send()) == [TEXTS[0], TEXTS[2]]
    assert near.stats.messages_sent == 2


@roles
@contexts
def test_messages_arrive_in_order(fresh: bool, role: Role) -> None:
    near, far = ends(role, fresh)
    for message in MESSAGES:
        near.send(message)
    near.send_many(MESSAGES)
    near.send_many(["short"] * 3)
    near.send_many(["short", TEXTS[0], b"short"])
    wire = near.data_to_send()
    assert far.receive(wire) == [*MESSAGES, *MESSAGES, "short", "short", "short", "short", TEXTS[0], b"short"]
    assert len(wire) < sum(len(message) for message in MESSAGES)
    assert near.stats.messages_sent == near.stats.frames_sent == far.stats.messages_received == 2 * len(MESSAGES) + 6
    assert near.stats.bytes_sent == far.stats.bytes_received == len(wire)
    assert near.unsent_size == 0


@roles
def test_unsent_size_is_that_of_what_is_written(role: Role) -> None:
    near, _ = ends(role)
    near.send("short")
    near.send(TEXTS[0])
    near.send("short")
    size = near.unsent_size
    assert size == len(near.data_to_send())


@roles
def test_what_is_below_the_threshold_is_plain(role: Role) -> None:
    connection = Connection(role, compression=agreed(threshold=100))
    connection.send_many(["x" * 99, "x" * 100])
    for message in (b"x" * 99, b"x" * 100, "é" * 49, "é" * 50, bytearray(99), bytearray(100)):
        connection.send(message)
    assert [f.rsv for f in frames_of(connection.data_to_send())] == [0, RSV1] * 4


def test_without_agreement_nothing_is_compressed_and_the_bit_is_refused() -> None:
    connection = Connection(Role.SERVER)
    connection.send("x" * 100_000)
    assert [f.rsv for f in frames_of(connection.data_to_send())] == [0]
    assert connection.receive(frame(TEXT, HELLO, rsv=RSV1, key=KEY)) == []
    assert connection.close_code == 1002


@roles
@contexts
def test_fragments_and_control_frames(fresh: bool, role: Role) -> None:
    near, far = ends(role, fresh)
    near.send(TEXTS[0])
    near.send_fragment(TEXTS[1], fin=False)
    with pytest.raises(ConcurrencyError):
        near.send(TEXTS[2])
    near.ping(b"between")
    near.send_fragment(TEXTS[2], fin=True)
    near.send(TEXTS[3])
    wire = near.data_to_send()
    opcodes = [(f.opcode, f.rsv) for f in frames_of(wire)]
    assert opcodes == [(TEXT, RSV1), (TEXT, RSV1), (PING, 0), (CONT, 0), (TEXT, RSV1)]
    assert far.receive(wire) == [TEXTS[0], Ping(b"between"), TEXTS[1] + TEXTS[2], TEXTS[3]]
    assert [f.opcode for f in frames_of(far.data_to_send())] == [PONG]


@roles
@contexts
def test_prepared_messages(fresh: bool, role: Role) -> None:
    prepared = [PreparedMessage(TEXTS[5]), PreparedMessage(NOISE), PreparedMessage("short")]
    prepared.append(PreparedMessage(TEXTS[5], compress=False))
    for _ in range(2):
        near, far = ends(role, fresh)
        for message in prepared:
            near.send(TEXTS[0])
            near.send(message)
        near.send(TEXTS[0])
        expected = [TEXTS[0], TEXTS[5], TEXTS[0], NOISE, TEXTS[0], "short", TEXTS[0], TEXTS[5], TEXTS[0]]
        wire = near.data_to_send()
        assert far.receive(wire) == expected
        assert [f.rsv for f in frames_of(wire)][7] == 0


@roles
@contexts
def test_what_is_to_be_sent_as_it_is(fresh: bool, role: Role) -> None:
    near, far = ends(role, fresh)
    asis = ["hi", TEXTS[1], "é" * 500, b"x" * 5000, bytearray(b"x" * 5000)]
    for message in asis:
        near.send(TEXTS[0])
        near.send(message, compress=False)
    near.send(PreparedMessage(TEXTS[2]), compress=False)
    near.send_fragment(TEXTS[3], fin=False, compress=False)
    near.send_fragment(TEXTS[4], fin=True)
    near.send(TEXTS[0])
    size, wire = near.unsent_size, near.data_to_send()
    assert size == len(wire)
    assert [f.rsv for f in frames_of(wire)] == [RSV1, 0] * 5 + [0, 0, 0, RSV1]
    expected = [message for one in asis for message in (TEXTS[0], one)]
    assert far.receive(wire) == [*expected, TEXTS[2], TEXTS[3] + TEXTS[4], TEXTS[0]]
    assert near.stats.messages_sent == 13


@roles
def test_where_nothing_is_compressed_there_is_no_difference(role: Role) -> None:
    one, other = Connection(role), Connection(OTHER[role])
    for message in ("hi", TEXTS[0], "é" * 500, bytearray(b"x" * 500), PreparedMessage(TEXTS[1])):
        one.send(message, compress=False)
    one.send_fragment("a", fin=False, compress=False)
    one.send_fragment("b", fin=True, compress=False)
    wire = one.data_to_send()
    assert {f.rsv for f in frames_of(wire)} == {0}
    assert other.receive(wire) == ["hi", TEXTS[0], "é" * 500, b"x" * 500, TEXTS[1], "ab"]


@roles
@contexts
def test_message_compressed_apart(fresh: bool, role: Role) -> None:
    near, far = ends(role, fresh)
    for text in TEXTS[:5]:
        near.send("before")
        deflation = near.begin_send(text)
        assert near.message_begun
        near.ping(b"between")
        assert far.receive(near.data_to_send()) == ["before", Ping(b"between")]
        deflation.run()
        near.end_send(deflation)
        assert not near.message_begun
        near.send("after")
        near.send(text)
        size, wire = near.unsent_size, near.data_to_send()
        assert size == len(wire)
        assert far.receive(wire) == [text, "after", text]
    assert near.stats.messages_sent == 20
    assert near.stats.frames_sent == 25


@roles
@contexts
def test_what_follows_a_message_compressed_apart(fresh: bool, role: Role) -> None:
    near, far = ends(role, fresh)
    follow: list[tuple[Any, list[Any]]] = [
        (lambda: near.send("short"), ["short"]),
        (lambda: near.send(TEXTS[9]), [TEXTS[9]]),
        (lambda: near.send(TEXTS[8], compress=False), [TEXTS[8]]),
        (lambda: near.send_many(["a", TEXTS[7]]), ["a", TEXTS[7]]),
        (lambda: near.send_fragment(TEXTS[6], fin=True), [TEXTS[6]]),
        (lambda: near.end_send(near.begin_send(TEXTS[5])), [TEXTS[5]]),
    ]
    for call, expected in follow:
        deflation = near.begin_send(TEXTS[0])
        call()
        near.end_send(deflation)  # it is sent already
        assert far.receive(near.data_to_send()) == [TEXTS[0], *expected]


def test_message_that_could_not_be_compressed_keeps_nobody_from_sending() -> None:
    near, far = ends()
    near.send(TEXTS[0])
    for ended_by_another in (False, True):
        deflation = near.begin_send(TEXTS[1])
        deflation.compressor = None  # which can't compress
        if ended_by_another:
            near.send("another")
        with pytest.raises(AttributeError):
            near.end_send(deflation)
    near.send("short")
    near.send(TEXTS[0])
    assert far.receive(near.data_to_send()) == [TEXTS[0], "another", "short", TEXTS[0]]
    assert near.stats.messages_sent == 4


@roles
@pytest.mark.parametrize("end", ["close", "fail", "eof", "peer"])
def test_connection_that_ends_while_a_message_is_compressed(end: str, role: Role) -> None:
    near, far = ends(role)
    near.send(TEXTS[0])
    deflation = near.begin_send(TEXTS[1])
    if end == "close":
        near.close()
    elif end == "fail":
        near.fail(1011)
    elif end == "eof":
        near.eof()
    else:
        far.close()
        near.receive(far.data_to_send())
    sent = [TEXTS[0]] if end == "eof" else TEXTS[:2]
    assert far.receive(near.data_to_send())[:2] == sent or end == "peer"
    deflation.run()
    if end == "eof":
        with pytest.raises(ConnectionClosed):
            near.end_send(deflation)
    else:
        near.end_send(deflation)
    with pytest.raises(ConnectionClosed):
        near.begin_send(TEXTS[1])
    with pytest.raises(ConnectionClosed):
        near.send("short")
    assert near.data_to_send() == b""
    assert not near.message_begun
    assert objects(near)[0] is None


def test_what_stops_another_call_leaves_a_message_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as a signal's handler that raises while the call waits for the thread."""
    near, far = ends()
    deflation = near.begin_send(TEXTS[1])
    with monkeypatch.context() as patch:
        patch.setattr(type(deflation), "run", stop)
        with pytest.raises(TimeoutError):
            near.send("behind")
    assert near.message_begun
    near.send("behind")
    near.end_send(deflation)
    near.send(TEXTS[2])
    assert far.receive(near.data_to_send()) == [TEXTS[1], "behind", TEXTS[2]]


def stop(*_: object) -> None:
    raise TimeoutError


def test_message_that_could_not_be_framed_is_not_taken_for_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    near, far = ends()
    deflation = near.begin_send(TEXTS[1])
    with monkeypatch.context() as patch:
        patch.setattr(type(near._encoder), "_framed", stop)
        with pytest.raises(TimeoutError):
            near.end_send(deflation)
    near.send(TEXTS[2])
    assert far.receive(near.data_to_send()) == [TEXTS[2]]


def test_where_nothing_is_compressed_nothing_is_compressed_apart() -> None:
    with pytest.raises(TypeError, match="compress"):
        Connection(Role.SERVER).begin_send(TEXTS[0])


def test_streaming() -> None:
    near, far = ends(streaming=True)
    near.send(TEXTS[0] * 10)
    wire = near.data_to_send()
    events = [event for i in range(len(wire)) for event in far.receive(wire[i : i + 1])]
    assert all(isinstance(event, Fragment) for event in events)
    assert "".join(event.data for event in events) == TEXTS[0] * 10
    assert [event.fin for event in events] == [False] * (len(events) - 1) + [True]
    assert far.stats.messages_received == 1


@roles
@pytest.mark.parametrize(
    ("opcode", "payload", "code"),
    [
        pytest.param(BINARY, b"\xff\xff\xff\xff", 1007, id="garbage"),
        pytest.param(TEXT, bytes.fromhex("fa0700"), 1007, id="not-utf-8"),
        pytest.param(BINARY, zlib.compress(bytes(50_000), wbits=-15)[:-1], 1009, id="too-big"),
        pytest.param(PING, b"", 1002, id="ping"),
        pytest.param(CONT, b"", 1002, id="continuation"),
    ],
)
def test_offences(opcode: int, payload: bytes, code: int, role: Role) -> None:
    near, far = ends(OTHER[role], max_size=1000)
    near.send(TEXTS[0])
    data = near.data_to_send() + frame(opcode, payload, rsv=RSV1, key=to(role))
    far.send(TEXTS[1])
    assert far.receive(data + frame(TEXT, b"later", key=to(role))) == [TEXTS[0]]
    assert far.close_code == code
    *_, close = frames_of(far.data_to_send())
    assert close.payload[:2] == close_payload(code)
    assert far.receive(frame(TEXT, b"later", key=to(role))) == []


@pytest.mark.parametrize("payload", [b"a" * 1_000_000 + b"\xff", b"a" * 1_000_000], ids=["text", "deflate"])
def test_offence_is_kept_without_what_was_inflated(payload: bytes) -> None:
    near, far = ends()
    near.send(payload)
    sent = bytearray(near.data_to_send())
    if payload.endswith(b"\xff"):
        sent[0] ^= BINARY ^ TEXT
    else:
        sent[-1] ^= 0xFF
    assert far.receive(sent) == []
    assert far.error is not None
    assert far.error.close_code == 1007
    assert (far.error.__context__, far.error.__cause__, far.error.__traceback__) == (None, None, None)


def objects(connection: Connection) -> tuple[Any, Any]:
    """Return the compressor and the decompressor."""
    return connection._encoder._deflater._compressor, connection._decoder._inflater._stream  # type: ignore[attr-defined]


@roles
def test_nothing_is_made_before_it_is_needed(role: Role) -> None:
    near, far = ends(role)
    near.send("short")
    far.receive(near.data_to_send())
    assert objects(near) == objects(far) == (None, None)
    near.send(TEXTS[0])
    far.receive(near.data_to_send())
    assert [made is not None for made in (*objects(near), *objects(far))] == [True, False, False, True]


def busy(role: Role) -> Connection:
    """Return a connection that has sent and received compressed messages."""
    near, far = ends(role)
    near.send(TEXTS[0])
    far.receive(near.data_to_send())
    far.send(TEXTS[0])
    near.receive(far.data_to_send())
    assert None not in objects(near)
    return near


@roles
def test_all_is_dropped_when_the_connection_ends(role: Role) -> None:
    ended = busy(role)
    ended.eof()
    assert objects(ended) == (None, None)

    failed = busy(role)
    failed.fail(1011)
    compressor, stream = objects(failed)
    assert stream is None
    assert compressor is not None  # what the application answers goes out ahead of the Close frame
    failed.data_to_send()
    assert objects(failed) == (None, None)

    closing = busy(role)
    closing.close()
    compressor, stream = objects(closing)
    assert compressor is None
    assert stream is not None
    closing.receive(frame(8, close_payload(1000), key=to(role)))
    assert objects(closing) == (None, None)
    with pytest.raises(ConnectionClosed):
        closing.send(TEXTS[0])


@pytest.mark.parametrize("seed", range(25))
def test_any_traffic_cut_anywhere(seed: int) -> None:
    rng = random.Random(seed)
    parameters = DeflateParameters(
        server_no_context_takeover=rng.random() < 0.5,
        client_no_context_takeover=rng.random() < 0.5,
        server_max_window_bits=rng.randrange(9, 16),
        client_max_window_bits=rng.randrange(9, 16),
    )
    both = AgreedDeflate(PerMessageDeflate(engine=zlib, threshold=rng.choice([0, 1, 100, 100_000])), parameters)
    near, far = (
        Connection(role, compression=both, burst_size=rng.choice([None, 0, 100, 10_000]))
        for role in rng.sample(ROLES, 2)
    )
    expected: list[Any] = []
    for _ in range(40):
        some = rng.choices(MESSAGES, k=rng.randrange(1, 4))
        match rng.randrange(5):
            case 0:
                near.send_many(some)
                expected += some
            case 1:
                parts = [some[0][:100], some[0][100:700], some[0][700:]]
                for index, part in enumerate(parts):
                    near.send_fragment(part, fin=index == 2)
                expected.append(some[0])
            case 2:
                near.send(PreparedMessage(some[0], compress=rng.random() < 0.5))
                expected.append(some[0])
            case _:
                near.send(some[0], compress=rng.random() < 0.8)
                expected.append(some[0])
        if rng.random() < 0.2:
            near.ping(b"p")
            expected.append(Ping(b"p"))
    wire = near.data_to_send()
    got: list[Any] = []
    while wire:
        size = rng.choice([1, 2, 10, 1000, 100_000])
        got += far.receive(wire[:size])
        while far.held_back and rng.random() < 0.9:
            got += far.receive(b"")
        wire = wire[size:]
    while far.held_back:
        got += far.receive(b"")
    assert got == expected
    assert far.stats.messages_received == near.stats.messages_sent
    assert far.close_code is None
