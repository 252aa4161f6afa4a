"""A whole connection without I/O: pings, the closing handshake, failures (RFC 6455 sections 5 to 7)."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
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
    Vector,
    chunkings,
    close_payload,
    frame,
    load_vectors,
    title,
    to,
)
from reference.frames import frames_of

from wscodec import (
    Close,
    ConcurrencyError,
    Connection,
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    Encoder,
    Fragment,
    InvalidUtf8,
    MessageTooBig,
    Ping,
    Pong,
    ProtocolError,
    Role,
    State,
    TooManyFragments,
)
from wscodec.spec import LARGE

pytestmark = pytest.mark.usefixtures("impl")

roles = pytest.mark.parametrize("role", ROLES, ids=lambda role: role.value)
OTHER = {Role.CLIENT: Role.SERVER, Role.SERVER: Role.CLIENT}
FAULTS = load_vectors("faults")
GOOD = load_vectors("rfc6455") + load_vectors("messages")
OPEN, CLOSING, CLOSED = State.OPEN, State.CLOSING, State.CLOSED


def sent(connection: Connection) -> list[tuple[int, bytes]]:
    """Return the opcode and payload of each frame that is to be written now."""
    return [(f.opcode, f.payload) for f in frames_of(connection.data_to_send())]


def closing(code: int | None = 1000, reason: bytes = b"") -> tuple[int, bytes]:
    """A Close frame as `sent` returns it."""
    return CLOSE, b"" if code is None else close_payload(code, reason)


def peer(role: Role, *frames: tuple[int, bytes]) -> bytes:
    """Return the bytes of whole frames from the peer."""
    return b"".join(frame(opcode, payload, key=to(role)) for opcode, payload in frames)


def linked() -> tuple[Connection, Connection]:
    return Connection(Role.CLIENT), Connection(Role.SERVER)


# ------------------------------------------------------------------------------------------ messages and pings


@roles
def test_connection_new(role: Role) -> None:
    connection = Connection(role)
    assert (connection.state, connection.finished, connection.close_owed) == (OPEN, False, False)
    assert (connection.close_code, connection.close_reason, connection.error) == (None, None, None)
    assert (connection.close_received, connection.close_sent) == (None, None)
    assert (connection.data_to_send(), connection.data_before_close(), connection.unsent_size) == (b"", b"", 0)


def test_connection_echo_between_two() -> None:
    client, server = linked()
    messages = ["Hello", b"\x00\xff", "", b"", "é" * 100, bytes(70_000)]
    for message in messages:
        client.send(message)
    for event in server.receive(client.data_to_send()):
        server.send(event)
    assert client.receive(server.data_to_send()) == messages
    assert (client.state, server.state) == (OPEN, OPEN)


@roles
def test_connection_writes_in_order(role: Role) -> None:
    connection = Connection(role)
    connection.send("a")
    connection.ping(b"b")
    connection.send_many([b"c", "d"])
    connection.pong(b"e")
    connection.send_fragment("f", fin=False)
    connection.ping()
    connection.send_fragment("g", fin=True)
    connection.send(b"h", text=True)
    connection.close(1001, "bye")
    wire = connection.data_to_send()
    assert connection.data_to_send() == b""
    assert [(f.opcode, f.payload, f.fin) for f in frames_of(wire)] == [
        (TEXT, b"a", True),
        (PING, b"b", True),
        (BINARY, b"c", True),
        (TEXT, b"d", True),
        (PONG, b"e", True),
        (TEXT, b"f", False),
        (PING, b"", True),
        (CONT, b"g", True),
        (TEXT, b"h", True),
        (CLOSE, close_payload(1001, b"bye"), True),
    ]
    assert {f.key is None for f in frames_of(wire)} == {role is Role.SERVER}


@roles
def test_connection_unsent_size(role: Role) -> None:
    connection = Connection(role)
    connection.send("abc")
    size = connection.unsent_size
    connection.ping(b"d")
    assert 0 < size < connection.unsent_size == len(connection.data_to_send())
    assert connection.unsent_size == 0


@pytest.mark.parametrize("vector", GOOD, ids=lambda vector: vector.id)
def test_connection_vector_events(vector: Vector) -> None:
    for chunks in chunkings(vector.wire):
        connection = Connection(vector.role, **vector.options)
        assert [event for chunk in chunks for event in connection.receive(chunk)] == vector.events


@pytest.mark.parametrize("vector", FAULTS, ids=lambda vector: vector.id)
def test_connection_vector_fault_closes(vector: Vector) -> None:
    for chunks in chunkings(vector.wire):
        connection = Connection(vector.role, **vector.options)
        assert [event for chunk in chunks for event in connection.receive(chunk)] == vector.events
        assert connection.error is not None
        assert type(connection.error).__name__ == vector.error
        assert connection.close_code == connection.error.close_code == vector.close_code
        assert connection.close_reason == connection.error.reason
        assert sent(connection)[-1] == closing(vector.close_code, connection.error.reason.encode())


@roles
def test_connection_receive_takes_any_buffer(role: Role) -> None:
    for kind in CHUNK_TYPES:
        assert Connection(role).receive(kind(peer(role, (TEXT, b"a"), (BINARY, b"b")))) == ["a", b"b"]


@pytest.mark.parametrize("bad", ["text", None, 5, memoryview(b"abcd")[::2]], ids=title)
def test_connection_receive_of_another_type(bad: object) -> None:
    connection = Connection(Role.CLIENT)
    with pytest.raises(TypeError, match=r"^a C-contiguous bytes-like object is required, not "):
        connection.receive(bad)
    assert (connection.state, connection.error) == (OPEN, None)
    assert connection.receive(b"\x81\x00") == [""]


@roles
def test_connection_answers_pings(role: Role) -> None:
    connection = Connection(role)
    wire = peer(role, (PING, b"1"), (TEXT, b"a"), (PING, b""), (PONG, b"2"), (PING, bytes(125)))
    assert connection.receive(wire) == [Ping(b"1"), "a", Ping(b""), Pong(b"2"), Ping(bytes(125))]
    assert sent(connection) == [(PONG, b"1"), (PONG, b""), (PONG, bytes(125))]


@roles
def test_connection_answers_a_ping_within_a_message(role: Role) -> None:
    connection = Connection(role)
    assert connection.receive(frame(TEXT, b"a", fin=False, key=to(role)) + peer(role, (PING, b"1"))) == [Ping(b"1")]
    assert sent(connection) == [(PONG, b"1")]
    assert connection.receive(frame(CONT, b"b", key=to(role))) == ["ab"]


@roles
def test_connection_answers_ten_pings_one_by_one(role: Role) -> None:
    """Autobahn's case 2.10: while nothing waits, each ping has its answer."""
    connection = Connection(role)
    connection.receive(peer(role, *((PING, b"%d" % i) for i in range(10))))
    assert sent(connection) == [(PONG, b"%d" % i) for i in range(10)]


@roles
@pytest.mark.parametrize("size", [0, 125])
def test_connection_pings_beyond_a_limit_are_answered_by_the_latest(role: Role, size: int) -> None:
    connection = Connection(role)
    connection.receive(peer(role, *[(PING, bytes(size))] * 10_000))
    assert connection.unsent_size < 17_000
    connection.receive(peer(role, (PING, b"latest")))
    answers = sent(connection)
    assert answers[-1] == (PONG, b"latest")
    assert set(answers[:-1]) == {(PONG, bytes(size))}
    assert len(answers) < 10_000
    connection.receive(peer(role, (PING, b"again")))
    assert sent(connection) == [(PONG, b"again")]


def test_connection_pings_of_a_peer_that_never_reads_cost_little() -> None:
    connection = Connection(Role.SERVER)
    chunk = peer(Role.SERVER, *[(PING, b"")] * 100)
    tracemalloc.start()
    try:
        for _ in range(100):
            connection.receive(chunk)
        half = tracemalloc.get_traced_memory()[0]
        for _ in range(20):
            connection.receive(chunk)
        assert tracemalloc.get_traced_memory()[0] < half + 1000
        assert half < 1_000_000
    finally:
        tracemalloc.stop()


@roles
def test_connection_late_pong_goes_ahead_of_our_close(role: Role) -> None:
    connection = Connection(role)
    connection.send(bytes(20_000))
    connection.receive(peer(role, (PING, b"1"), (PING, b"2")))
    connection.close()
    assert sent(connection)[1:] == [(PONG, b"2"), closing()]


@roles
def test_connection_late_pong_goes_ahead_of_the_close_that_is_owed(role: Role) -> None:
    connection = Connection(role)
    connection.send(bytes(20_000))
    connection.receive(peer(role, (PING, b"1"), closing(1001)))
    assert sent(connection)[1:] == [(PONG, b"1"), closing(1001)]


@roles
def test_connection_late_pong_goes_with_data_before_close(role: Role) -> None:
    connection = Connection(role)
    connection.send(bytes(20_000))
    connection.receive(peer(role, (PING, b"1"), closing(1001)))
    assert [f.payload for f in frames_of(connection.data_before_close())][1:] == [b"1"]
    assert sent(connection) == [closing(1001)]


@roles
def test_connection_controls_are_those_of_the_last_receive(role: Role) -> None:
    connection = Connection(role)
    assert list(connection.controls) == []
    connection.receive(peer(role, (TEXT, b"a"), (PING, b"1"), (PONG, b"2")))
    assert list(connection.controls) == [Ping(b"1"), Pong(b"2")]
    connection.receive(peer(role, (TEXT, b"a")))
    assert list(connection.controls) == []


@roles
def test_connection_options_are_the_decoder_s(role: Role) -> None:
    wire = frame(BINARY, b"ab", fin=False, key=to(role)) + frame(CONT, b"c", key=to(role))
    assert Connection(role, streaming=True).receive(wire) == [Fragment(b"ab", False), Fragment(b"c", True)]
    for options, kind in (
        ({"max_size": 2}, MessageTooBig),
        ({"max_frame_size": 1}, MessageTooBig),
        ({"max_fragments": 1}, TooManyFragments),
    ):
        connection = Connection(role, **options)
        assert connection.receive(wire) == []
        assert type(connection.error) is kind
        assert connection.close_code == 1009
    with pytest.raises(ValueError, match=r"^max_size is negative: -1$"):
        Connection(role, max_size=-1)
    with pytest.raises(TypeError, match=r"^a role is a Role, not 'str'$"):
        Connection("server")


# ---------------------------------------------------------------------------------------- closing handshakes


def facts(connection: Connection) -> tuple[State, bool, int | None, str | None]:
    return connection.state, connection.finished, connection.close_code, connection.close_reason


# By its name: of the class itself there may be two copies.
Step = tuple[str, Callable[["Connection", Role], Any], tuple[State, bool, int | None, str | None], Any]


def receive(*frames: tuple[int, bytes]) -> Callable[[Connection, Role], Any]:
    return lambda connection, role: connection.receive(peer(role, *frames))


def write(connection: Connection, _: Role) -> Any:
    return sent(connection)


def call(name: str, *args: Any) -> Callable[[Connection, Role], Any]:
    return lambda connection, _: getattr(connection, name)(*args)


NOT_YET = (None, None)

# Each flow is a list of steps: what happens, what it returns, and the state, finished, close code and reason after it.
FLOWS = {
    "ours-first": [
        (call("close", 1001, "bye"), None, (CLOSING, False, *NOT_YET)),
        (write, [closing(1001, b"bye")], (CLOSING, False, *NOT_YET)),
        (receive((TEXT, b"late")), ["late"], (CLOSING, False, *NOT_YET)),
        (receive(closing(4000, b"ok")), [Close(4000, "ok")], (CLOSING, True, 4000, "ok")),
        (write, [], (CLOSING, True, 4000, "ok")),
        (call("eof"), None, (CLOSED, True, 4000, "ok")),
    ],
    "theirs-first": [
        (receive(closing(1001, b"bye")), [Close(1001, "bye")], (CLOSING, False, 1001, "bye")),
        (write, [closing(1001, b"bye")], (CLOSING, True, 1001, "bye")),
        (call("close"), None, (CLOSING, True, 1001, "bye")),
        (write, [], (CLOSING, True, 1001, "bye")),
        (call("eof"), None, (CLOSED, True, 1001, "bye")),
    ],
    "theirs-without-code": [
        (receive(closing(None)), [Close(1005, "")], (CLOSING, False, 1005, "")),
        (write, [closing(None)], (CLOSING, True, 1005, "")),
    ],
    "ours-without-code": [
        (call("close", None), None, (CLOSING, False, *NOT_YET)),
        (write, [closing(None)], (CLOSING, False, *NOT_YET)),
        (receive(closing(None)), [Close(1005, "")], (CLOSING, True, 1005, "")),
    ],
    "both-at-once": [
        (call("close", 1000), None, (CLOSING, False, *NOT_YET)),
        (receive(closing(4001)), [Close(4001, "")], (CLOSING, True, 4001, "")),
        (write, [closing(1000)], (CLOSING, True, 4001, "")),
        (call("eof"), None, (CLOSED, True, 4001, "")),
    ],
    "ours-behind-theirs": [
        (receive(closing(1001)), [Close(1001, "")], (CLOSING, False, 1001, "")),
        (call("close", 4000), None, (CLOSING, False, 1001, "")),
        (write, [closing(1001)], (CLOSING, True, 1001, "")),
    ],
    "twice-ours": [
        (call("close", 4000), None, (CLOSING, False, *NOT_YET)),
        (call("close", 4001), None, (CLOSING, False, *NOT_YET)),
        (write, [closing(4000)], (CLOSING, False, *NOT_YET)),
    ],
    "eof-in-the-open": [
        (call("eof"), None, (CLOSED, True, 1006, "")),
        (receive((TEXT, b"a")), [], (CLOSED, True, 1006, "")),
        (call("close"), None, (CLOSED, True, 1006, "")),
        (write, [], (CLOSED, True, 1006, "")),
    ],
    "eof-instead-of-their-close": [
        (call("close", 1000), None, (CLOSING, False, *NOT_YET)),
        (write, [closing(1000)], (CLOSING, False, *NOT_YET)),
        (call("eof"), None, (CLOSED, True, 1006, "")),
    ],
    "eof-before-our-answer": [
        (receive(closing(1001)), [Close(1001, "")], (CLOSING, False, 1001, "")),
        (call("eof"), None, (CLOSED, True, 1001, "")),
        (write, [closing(1001)], (CLOSED, True, 1001, "")),
    ],
    "eof-twice": [
        (call("eof"), None, (CLOSED, True, 1006, "")),
        (call("eof"), None, (CLOSED, True, 1006, "")),
    ],
    "nothing-behind-their-close": [
        (
            receive((TEXT, b"a"), closing(), (TEXT, b"b"), (PING, b"c")),
            ["a", Close(1000, "")],
            (CLOSING, False, 1000, ""),
        ),
        (receive((TEXT, b"d")), [], (CLOSING, False, 1000, "")),
        (write, [closing()], (CLOSING, True, 1000, "")),
        (receive((TEXT, b"e"), closing(4000)), [], (CLOSING, True, 1000, "")),
        (write, [], (CLOSING, True, 1000, "")),
    ],
    "pong-for-a-ping-ahead-of-their-close": [
        (receive((PING, b"a"), closing()), [Ping(b"a"), Close(1000, "")], (CLOSING, False, 1000, "")),
        (write, [(PONG, b"a"), closing()], (CLOSING, True, 1000, "")),
    ],
    "no-pong-behind-our-close": [
        (call("close"), None, (CLOSING, False, *NOT_YET)),
        (receive((PING, b"a")), [Ping(b"a")], (CLOSING, False, *NOT_YET)),
        (write, [closing()], (CLOSING, False, *NOT_YET)),
        (receive((PING, b"b")), [Ping(b"b")], (CLOSING, False, *NOT_YET)),
        (write, [], (CLOSING, False, *NOT_YET)),
    ],
    "their-offence": [
        (receive((TEXT, b"a"), (3, b""), (TEXT, b"b")), ["a"], (CLOSING, False, 1002, "opcode 3 is reserved")),
        (receive((TEXT, b"c"), closing()), [], (CLOSING, False, 1002, "opcode 3 is reserved")),
        (write, [closing(1002, b"opcode 3 is reserved")], (CLOSING, True, 1002, "opcode 3 is reserved")),
        (receive(closing()), [], (CLOSING, True, 1002, "opcode 3 is reserved")),
        (call("eof"), None, (CLOSED, True, 1002, "opcode 3 is reserved")),
    ],
    "their-offence-behind-our-close": [
        (call("close", 4000), None, (CLOSING, False, *NOT_YET)),
        (receive((TEXT, b"\xff")), [], (CLOSING, True, 1007, "a text message is not UTF-8")),
        (write, [closing(4000)], (CLOSING, True, 1007, "a text message is not UTF-8")),
    ],
    "close-behind-their-offence": [
        (receive((11, b"")), [], (CLOSING, False, 1002, "opcode 11 is reserved")),
        (call("close", 4000), None, (CLOSING, False, 1002, "opcode 11 is reserved")),
        (write, [closing(1002, b"opcode 11 is reserved")], (CLOSING, True, 1002, "opcode 11 is reserved")),
    ],
    "pong-for-a-ping-ahead-of-their-offence": [
        (receive((PING, b"a"), (11, b"")), [Ping(b"a")], (CLOSING, False, 1002, "opcode 11 is reserved")),
        (
            write,
            [(PONG, b"a"), closing(1002, b"opcode 11 is reserved")],
            (CLOSING, True, 1002, "opcode 11 is reserved"),
        ),
    ],
    "our-failure": [
        (call("fail", 1011, "oops"), None, (CLOSING, False, 1011, "oops")),
        (receive((TEXT, b"a"), (PING, b"")), [], (CLOSING, False, 1011, "oops")),
        (write, [closing(1011, b"oops")], (CLOSING, True, 1011, "oops")),
        (call("fail", 1008), None, (CLOSING, True, 1011, "oops")),
        (write, [], (CLOSING, True, 1011, "oops")),
    ],
    "our-failure-by-default": [
        (call("fail"), None, (CLOSING, False, 1011, "")),
        (write, [closing(1011)], (CLOSING, True, 1011, "")),
    ],
    "our-failure-behind-our-close": [
        (call("close", 4000), None, (CLOSING, False, *NOT_YET)),
        (call("fail", 1008, "slow"), None, (CLOSING, True, 1008, "slow")),
        (write, [closing(4000)], (CLOSING, True, 1008, "slow")),
    ],
    "our-failure-behind-their-close": [
        (receive(closing(1001)), [Close(1001, "")], (CLOSING, False, 1001, "")),
        (call("fail", 1008), None, (CLOSING, False, 1001, "")),
        (write, [closing(1001)], (CLOSING, True, 1001, "")),
    ],
    "our-failure-behind-eof": [
        (call("eof"), None, (CLOSED, True, 1006, "")),
        (call("fail", 1008), None, (CLOSED, True, 1006, "")),
        (write, [], (CLOSED, True, 1006, "")),
    ],
}


@roles
@pytest.mark.parametrize("steps", FLOWS.values(), ids=FLOWS)
def test_connection_flow(role: Role, steps: list[tuple]) -> None:
    connection = Connection(role)
    for number, (do, result, after) in enumerate(steps):
        assert do(connection, role) == result, number
        assert facts(connection) == after, number


@roles
def test_connection_flow_byte_by_byte(role: Role) -> None:
    connection = Connection(role)
    wire = peer(role, (TEXT, "é".encode()), (PING, b"p"), closing(1001, "é".encode()), (TEXT, b"no"))
    events = [event for i in range(len(wire)) for event in connection.receive(wire[i : i + 1])]
    assert events == ["é", Ping(b"p"), Close(1001, "é")]
    assert sent(connection) == [(PONG, b"p"), closing(1001, "é".encode())]


def test_connection_closing_handshake_between_two() -> None:
    client, server = linked()
    client.close(4321, "héllo")
    assert server.receive(client.data_to_send()) == [Close(4321, "héllo")]
    assert client.receive(server.data_to_send()) == [Close(4321, "héllo")]
    assert (client.finished, server.finished) == (True, True)
    assert client.close_sent == client.close_received == server.close_sent == server.close_received


def test_connection_both_close_at_once_between_two() -> None:
    client, server = linked()
    client.close(4001)
    server.close(4002)
    to_server, to_client = client.data_to_send(), server.data_to_send()
    assert server.receive(to_server) == [Close(4001, "")]
    assert client.receive(to_client) == [Close(4002, "")]
    assert (client.data_to_send(), server.data_to_send()) == (b"", b"")
    assert (client.close_code, server.close_code) == (4002, 4001)


@roles
def test_connection_close_sent_is_what_the_peer_will_see(role: Role) -> None:
    connection = Connection(role)
    connection.close(1000, "a" * 122 + "é")
    assert connection.close_sent == Close(1000, "a" * 122)
    assert sent(connection) == [closing(1000, b"a" * 122)]


@roles
def test_connection_longest_reason_is_echoed_whole(role: Role) -> None:
    connection = Connection(role)
    reason = ("é" * 61 + "!").encode()
    connection.receive(peer(role, closing(1000, reason)))
    assert sent(connection) == [closing(1000, reason)]


# --------------------------------------------------------- what the application sends around the close


@roles
@pytest.mark.parametrize(
    ("last", "close"),
    [(closing(1001, b"x"), closing(1001, b"x")), ((3, b""), closing(1002, b"opcode 3 is reserved"))],
    ids=["close", "offence"],
)
def test_connection_answers_go_out_ahead_of_the_close(role: Role, last: tuple, close: tuple) -> None:
    connection = Connection(role)
    for event in connection.receive(peer(role, (TEXT, b"a"), (PING, b"p"), (BINARY, b"b"), last)):
        if isinstance(event, str | bytes):
            connection.send(event)
    connection.ping(b"q")
    assert connection.close_owed
    assert sent(connection) == [(PONG, b"p"), (TEXT, b"a"), (BINARY, b"b"), (PING, b"q"), close]
    assert not connection.close_owed
    assert connection.data_to_send() == b""


@roles
def test_connection_data_before_close_holds_the_close_back(role: Role) -> None:
    connection = Connection(role)
    connection.receive(peer(role, (PING, b"p"), closing(1001)))
    assert [f.opcode for f in frames_of(connection.data_before_close())] == [PONG]
    assert (connection.close_owed, connection.close_sent, connection.finished) == (True, None, False)
    connection.send("late")
    assert [f.payload for f in frames_of(connection.data_before_close())] == [b"late"]
    assert connection.data_before_close() == b""
    connection.send("later")
    assert sent(connection) == [(TEXT, b"later"), closing(1001)]
    assert (connection.close_owed, connection.close_sent, connection.finished) == (False, Close(1001, ""), True)
    assert connection.data_before_close() == b""


SENDS = {
    "send": lambda connection: connection.send("a"),
    "send-many": lambda connection: connection.send_many(["a"]),
    "send-none": lambda connection: connection.send_many([]),
    "send-fragment": lambda connection: connection.send_fragment("a", fin=False),
    "ping": lambda connection: connection.ping(),
    "pong": lambda connection: connection.pong(),
}
ENDS = {
    "ours": (lambda c, r: c.close(4000, "x"), ConnectionClosedError, 4000, "x"),
    "ours-1000": (lambda c, r: c.close(), ConnectionClosedOK, 1000, ""),
    "ours-1001": (lambda c, r: c.close(1001), ConnectionClosedOK, 1001, ""),
    "ours-without-code": (lambda c, r: c.close(None), ConnectionClosedOK, 1005, ""),
    "theirs": (lambda c, r: (c.receive(peer(r, closing(4001))), c.data_to_send()), ConnectionClosedError, 4001, ""),
    "theirs-1000": (lambda c, r: (c.receive(peer(r, closing())), c.data_to_send()), ConnectionClosedOK, 1000, ""),
    "both": (lambda c, r: (c.close(), c.receive(peer(r, closing(4002)))), ConnectionClosedError, 4002, ""),
    "offence": (lambda c, r: (c.receive(peer(r, (TEXT, b"\xff"))), c.data_to_send()), ConnectionClosedError, 1007,
                "a text message is not UTF-8"),
    "eof": (lambda c, r: c.eof(), ConnectionClosedError, 1006, ""),
    "eof-behind-theirs": (lambda c, r: (c.receive(peer(r, closing(1001))), c.eof()), ConnectionClosedOK, 1001, ""),
}  # fmt: skip


@roles
@pytest.mark.parametrize(("end", "kind", "code", "reason"), ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("send", SENDS.values(), ids=SENDS)
def test_connection_send_after_the_end(
    role: Role, send: Callable, end: Callable, kind: type, code: int, reason: str
) -> None:
    connection = Connection(role)
    end(connection, role)
    connection.data_to_send()
    with pytest.raises(ConnectionClosed) as caught:
        send(connection)
    assert (type(caught.value), caught.value.code, caught.value.reason) == (kind, code, reason)
    assert connection.data_to_send() == b""


@roles
def test_connection_send_after_the_end_says_so_whatever_is_sent(role: Role) -> None:
    connection = Connection(role)
    connection.eof()
    for wrong in (lambda: connection.send(None), lambda: connection.ping(bytes(200)), lambda: connection.send_many(5)):
        with pytest.raises(ConnectionClosedError):
            wrong()


def test_closed_error_in_the_open_is_that_of_a_broken_connection() -> None:
    error = Connection(Role.CLIENT).closed_error()
    assert (type(error), error.code, error.reason) == (ConnectionClosedError, 1006, "")


MISUSE = {
    "send-none": (lambda c: c.send(None), TypeError),
    "send-number": (lambda c: c.send(5), TypeError),
    "send-list": (lambda c: c.send(["a"]), TypeError),
    "send-strided": (lambda c: c.send(memoryview(b"abcd")[::2]), TypeError),
    "send-surrogate": (lambda c: c.send("\ud800"), ValueError),
    "send-bytes-as-text": (lambda c: c.send(b"\xff", text=True), ValueError),
    "send-many-one-bad": (lambda c: c.send_many(["good", b"good", None]), TypeError),
    "send-many-surrogate": (lambda c: c.send_many(["good", "\udfff"]), ValueError),
    "send-many-number": (lambda c: c.send_many(5), TypeError),
    "fragment-number": (lambda c: c.send_fragment(5, fin=True), TypeError),
    "fragment-surrogate": (lambda c: c.send_fragment("\ud800", fin=False), ValueError),
    "ping-too-long": (lambda c: c.ping(bytes(126)), ValueError),
    "ping-str": (lambda c: c.ping("a"), TypeError),
    "ping-number": (lambda c: c.ping(20), TypeError),
    "pong-too-long": (lambda c: c.pong(bytes(126)), ValueError),
    "pong-none": (lambda c: c.pong(None), TypeError),
    "close-0": (lambda c: c.close(0), ValueError),
    "close-999": (lambda c: c.close(999), ValueError),
    "close-1004": (lambda c: c.close(1004), ValueError),
    "close-1005": (lambda c: c.close(1005), ValueError),
    "close-1006": (lambda c: c.close(1006), ValueError),
    "close-1015": (lambda c: c.close(1015), ValueError),
    "close-1016": (lambda c: c.close(1016), ValueError),
    "close-2999": (lambda c: c.close(2999), ValueError),
    "close-5000": (lambda c: c.close(5000), ValueError),
    "close-reason-alone": (lambda c: c.close(None, "x"), ValueError),
    "close-reason-surrogate": (lambda c: c.close(1000, "\ud800"), ValueError),
    "close-reason-bytes": (lambda c: c.close(1000, b"x"), TypeError),
    "close-code-str": (lambda c: c.close("1000"), TypeError),
    "close-code-float": (lambda c: c.close(1000.0), TypeError),
    "fail-1006": (lambda c: c.fail(1006), ValueError),
    "fail-reason-bytes": (lambda c: c.fail(1011, b"x"), TypeError),
}


@roles
@pytest.mark.parametrize(("misuse", "error"), MISUSE.values(), ids=MISUSE)
def test_connection_misuse_writes_nothing_and_changes_nothing(role: Role, misuse: Callable, error: type) -> None:
    connection = Connection(role)
    with pytest.raises(error):
        misuse(connection)
    assert connection.data_to_send() == b""
    assert facts(connection) == (OPEN, False, None, None)
    connection.send("a")
    connection.close(1000, "b")
    assert sent(connection) == [(TEXT, b"a"), closing(1000, b"b")]


@roles
def test_connection_message_within_a_fragmented_one(role: Role) -> None:
    connection = Connection(role)
    connection.send_fragment("a", fin=False)
    assert sent(connection) == [(TEXT, b"a")]
    for misuse, error in (
        (lambda: connection.send("b"), ConcurrencyError),
        (lambda: connection.send_many(["b"]), ConcurrencyError),
        (lambda: connection.send_fragment(b"b", fin=True), TypeError),
    ):
        with pytest.raises(error):
            misuse()
    assert connection.data_to_send() == b""
    connection.ping()
    connection.send_fragment("c", fin=True)
    connection.send(b"d")
    assert sent(connection) == [(PING, b""), (CONT, b"c"), (BINARY, b"d")]


@roles
@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999])
def test_connection_close_codes_allowed(role: Role, code: int) -> None:
    connection = Connection(role)
    connection.close(code)
    assert sent(connection) == [closing(code)]


def test_connection_close_is_checked_even_if_it_comes_too_late() -> None:
    connection = Connection(Role.CLIENT)
    connection.eof()
    with pytest.raises(ValueError, match=r"^the close code 1005 may not be sent$"):
        connection.close(1005)


# ------------------------------------------------------------------------------------------------ failures


@roles
def test_connection_counts_one_message_whatever_says_that_it_is_the_last_part(role: Role) -> None:
    connection = Connection(role)
    for fin in ("yes", 2):
        connection.send_fragment(b"a", fin=fin)  # type: ignore[arg-type]
    assert connection.stats.messages_sent == 2


@roles
def test_connection_error_is_kept_without_its_frames(role: Role) -> None:
    connection = Connection(role)
    data = bytearray(peer(role, (TEXT, b"a"), (TEXT, b"\xff")))
    assert connection.receive(data) == ["a"]
    data.extend(b"more")
    error = connection.error
    assert type(error) is InvalidUtf8
    assert (error.events, error.__traceback__, error.__context__, error.__cause__) == ([], None, None, None)


@roles
def test_connection_failed_takes_no_more_memory(role: Role) -> None:
    """aiohttp #13655: what comes behind an offence is dropped."""
    connection = Connection(role)
    connection.receive(b"\xff\xff")
    chunk = bytes(100_000)
    tracemalloc.start()
    try:
        for _ in range(50):
            assert connection.receive(chunk) == []
        assert tracemalloc.get_traced_memory()[0] < 10_000
    finally:
        tracemalloc.stop()


def test_connection_server_refuses_unmasked_and_delivers_nothing() -> None:
    connection = Connection(Role.SERVER)
    assert connection.receive(frame(TEXT, b"Hello")) == []
    assert sent(connection) == [closing(1002, b"a frame is not masked")]
    assert type(connection.error) is ProtocolError


def test_connection_client_refuses_masked_and_delivers_nothing() -> None:
    connection = Connection(Role.CLIENT)
    assert connection.receive(frame(TEXT, b"Hello", key=KEY)) == []
    assert sent(connection) == [closing(1002, b"a frame is masked")]
    assert type(connection.error) is ProtocolError


@roles
def test_connection_stats(role: Role) -> None:
    """Counted in whole messages and frames, and in all bytes, however they are cut."""
    connection, peer = Connection(role), Encoder(OTHER[role])
    data = (
        peer.encode("ab") + peer.encode_fragment("c", fin=False) + peer.ping(b"?") + peer.encode_fragment("d", fin=True)
    )
    for byte in data:
        connection.receive(bytes([byte]))
    connection.receive(data)
    stats = connection.stats
    assert (stats.messages_received, stats.frames_received, stats.bytes_received) == (4, 8, 2 * len(data))
    assert (stats.messages_sent, stats.frames_sent) == (0, 2)
    assert stats.bytes_sent == stats.unsent_size == len(connection.data_to_send())
    assert connection.stats.unsent_size == 0


@roles
def test_connection_stats_count_what_came_before_an_offence(role: Role) -> None:
    connection = Connection(role)
    connection.receive(Encoder(OTHER[role]).encode("a") + b"\xff")
    assert (connection.stats.messages_received, connection.stats.frames_received) == (1, 1)


def test_connection_stats_streaming() -> None:
    connection, peer = Connection(Role.SERVER, streaming=True), Encoder(Role.CLIENT)
    connection.receive(peer.encode_fragment("a", fin=False) + peer.encode_fragment("b", fin=True) + peer.encode(b"c"))
    assert (connection.stats.messages_received, connection.stats.frames_received) == (2, 3)


# ------------------------------------------------------------------------------------------------------ chunks

# Around the size from which on a payload is a chunk of its own.
SOME = ["a", b"b", "é" * 10, b"x" * (LARGE - 1), b"x" * LARGE, "y" * LARGE, "é" * LARGE, "", "z" * 100_000, b"c"]


@roles
def test_connection_chunks_are_the_data_to_send(role: Role) -> None:
    everything = (1 << len(SOME)) - 1
    for number in range(everything + 1):
        if number.bit_count() > 2 and number != everything:
            continue
        connection = Connection(role)
        messages = [message for place, message in enumerate(SOME) if number >> place & 1]
        for message in messages:
            connection.send(message)
        chunks = connection.chunks_to_send()
        wire = b"".join(chunks)
        assert [f.payload.decode() if f.opcode == TEXT else f.payload for f in frames_of(wire)] == messages
        assert role is Role.SERVER or all(type(chunk) is bytes for chunk in chunks)
        assert connection.unsent_size == 0
        assert (connection.chunks_to_send(), connection.data_to_send()) == ([], b"")
        assert connection.stats.bytes_sent == len(wire)
        assert connection.stats.messages_sent == connection.stats.frames_sent == len(messages)


@roles
def test_connection_chunks_in_order_with_everything_else(role: Role) -> None:
    big = b"x" * LARGE
    connection = Connection(role)
    connection.send("a")
    connection.send(big)
    connection.ping(b"b")
    connection.send_many([big, "c"])
    connection.send_fragment(big, fin=False)
    connection.receive(peer(role, (PING, b"d")))
    connection.send_fragment(b"", fin=True)
    connection.send("y" * LARGE)
    connection.close(1001, "bye")
    size = connection.unsent_size
    wire = b"".join(connection.chunks_to_send())
    assert len(wire) == size == connection.stats.bytes_sent
    assert [(f.opcode, f.payload, f.fin) for f in frames_of(wire)] == [
        (TEXT, b"a", True),
        (BINARY, big, True),
        (PING, b"b", True),
        (BINARY, big, True),
        (TEXT, b"c", True),
        (BINARY, big, False),
        (CONT, b"", True),
        (TEXT, b"y" * LARGE, True),
        (PONG, b"d", True),
        (CLOSE, close_payload(1001, b"bye"), True),
    ]
    assert {f.key is None for f in frames_of(wire)} == {role is Role.SERVER}


def test_connection_chunks_hold_the_payloads_themselves() -> None:
    big = b"x" * LARGE
    connection = Connection(Role.SERVER)
    for message in ("a", "b", big, "c", "y" * LARGE, "d"):
        connection.send(message)
    chunks = connection.chunks_to_send()
    assert [len(chunk) for chunk in chunks] == [6, 10, LARGE, 3, 10, LARGE, 3]
    assert chunks[2] is big
    assert isinstance(chunks[5], memoryview)
    assert chunks[5] == b"y" * LARGE
    del chunks
    connection.send(big)
    assert connection.data_to_send() == b"\x82\x7f" + LARGE.to_bytes(8) + big


def test_connection_chunks_are_not_what_changes_later() -> None:
    big = bytearray(b"x" * LARGE)
    connection = Connection(Role.SERVER)
    connection.send(big)
    connection.send(memoryview(big))
    big[:] = bytes(LARGE)
    assert [f.payload for f in frames_of(b"".join(connection.chunks_to_send()))] == [b"x" * LARGE] * 2


def test_connection_chunks_list_is_the_callers() -> None:
    for connection in linked():
        connection.chunks_to_send().append(b"not ours")
        connection.chunks_before_close().append(b"not ours")
        assert connection.chunks_to_send() == Connection(Role.SERVER).chunks_before_close() == []
        connection.send("a")
        connection.chunks_to_send().append(b"not ours")
        assert connection.chunks_to_send() == []


@roles
def test_connection_chunks_before_close_hold_the_close_back(role: Role) -> None:
    connection = Connection(role)
    connection.receive(peer(role, (PING, b"p"), closing(1000)))
    connection.send(b"x" * LARGE)
    wire = b"".join(connection.chunks_before_close())
    assert [f.opcode for f in frames_of(wire)] == [PONG, BINARY]
    assert connection.close_owed
    assert [f.opcode for f in frames_of(b"".join(connection.chunks_to_send()))] == [CLOSE]
    assert connection.close_sent == Close(1000, "")


def test_connection_chunks_of_text_that_is_none() -> None:
    connection = Connection(Role.SERVER)
    connection.send("a")
    for text in ("\ud800" * LARGE, "é" * LARGE + "\udfff"):
        with pytest.raises(ValueError, match="surrogates not allowed"):
            connection.send(text)
    assert connection.chunks_to_send() == [b"\x81\x01a"]
    connection.send_fragment("a", fin=False)
    with pytest.raises(ConcurrencyError):
        connection.send("é" * LARGE)
    assert connection.chunks_to_send() == [b"\x01\x01a"]


# ---------------------------------------------------------------------------------------------- large messages


@pytest.mark.parametrize("size", [LARGE - 1, LARGE, LARGE + 1, 65535, 65536, 100_000, 1 << 20])
@pytest.mark.parametrize("kind", ["a", "é", "😀", b"x"], ids=["ascii", "latin", "emoji", "binary"])
@roles
def test_connection_large_message_echo(role: Role, kind: str | bytes, size: int) -> None:
    message = (kind * size)[: size // len(kind.encode())] if isinstance(kind, str) else kind * size
    sender, receiver = Connection(OTHER[role]), Connection(role)
    sender.send(message)
    wire = b"".join(sender.chunks_to_send())
    for step in (len(wire), 65536, 10_007):
        events = [
            event for start in range(0, len(wire), step) for event in receiver.receive(wire[start : start + step])
        ]
        assert events == [message]
        receiver.send(events[0])
        assert sender.receive(b"".join(receiver.chunks_to_send())) == [message]
