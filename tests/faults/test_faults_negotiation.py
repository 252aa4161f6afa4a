"""Class D: what is agreed on is what both sides can do, and no frame can upset the state that follows from it."""

from __future__ import annotations

import random
import zlib
from typing import Any

import pytest
from attacks import RSV1, Attack, Part, against, check, chunks, deflate, receive, tries
from costs import kept
from heads import assert_refused, assert_response_refused, request, response
from helpers import BINARY, CONT, KEY, PING, PONG, ROLES, TEXT, frame, to

from wscodec import ClientHandshake, Connection, PerMessageDeflate, Ping, Pong, Role, ServerHandshake

HELLO = bytes.fromhex("f248cdc9c90700")  # RFC 7692 §7.2.3.1
LAST = bytes.fromhex("f348cdc9c9070000")  # §7.2.3.4: the same, in a block that is the last one
NAME = b"permessage-deflate"
WORDS = "some words, and then the same words again: some words " * 5
NAMES = (b"constructor", b"__proto__", b"__class__", b"__init__", b"__dict__", b"toString", b"hasOwnProperty")

roles = pytest.mark.parametrize("role", ROLES, ids=lambda role: role.value)


def listening() -> ServerHandshake:
    return ServerHandshake(compression=PerMessageDeflate())


def asking() -> ClientHandshake:
    return ClientHandshake("ws://example.com/", compression=PerMessageDeflate())


def assert_agreed(server: ServerHandshake, answer: bytes) -> None:
    """See that the two connections that follow from an offer and its answer understand each other."""
    assert server.compression is not None
    assert b"Sec-WebSocket-Extensions: " + NAME in answer
    near = Connection(Role.SERVER, compression=server.compression)
    far = Connection(Role.CLIENT, compression=server.compression)
    near.send(WORDS)
    wire = near.data_to_send()
    assert len(wire) < len(WORDS) / 2
    assert far.receive(wire) == [WORDS]
    assert near.receive(frame(TEXT, HELLO, rsv=RSV1, key=KEY)) == ["Hello"]


_TRY_8 = ("autobahn #1018", "websockets #410")
OFFERS = [
    # The offers, and whether one of them is accepted.
    (b"; server_max_window_bits=8", False, _TRY_8),
    (b"; server_max_window_bits=8; client_max_window_bits=8", False, _TRY_8),
    (b"; server_max_window_bits=8, " + NAME, True, _TRY_8),
    (b"; client_max_window_bits=8", True, _TRY_8),
    (b"; server_max_window_bits=9", True, _TRY_8),
    *[
        (b"; %s_max_window_bits=%s" % (side, bits), False, ("CVE-2026-2229",))
        for side in (b"server", b"client")
        for bits in (b"1000", b"16", b"7", b"0", b"08", b"1e1", b"0x9", b"9" * 400)
    ],
    *[(b"; " + name, False, ("GHSA-5v72-xg48-5rpm",)) for name in NAMES],
    *[(b"; %s=1, %s" % (name, NAME), True, ("GHSA-5v72-xg48-5rpm",)) for name in NAMES],
]


@pytest.mark.parametrize(("offer", "accepted"), [pytest.param(*case, marks=tries(*faults)) for *case, faults in OFFERS])
def test_an_offer_is_accepted_or_declined(offer: bytes, accepted: bool) -> None:
    server = listening()
    assert server.receive(request(b"Sec-WebSocket-Extensions: " + NAME + offer)) is not None
    answer = server.accept()
    assert answer.startswith(b"HTTP/1.1 101 ")
    if accepted:
        assert_agreed(server, answer)
    else:
        assert server.compression is None
        assert b"Sec-WebSocket-Extensions" not in answer


@tries("GHSA-5v72-xg48-5rpm")
@pytest.mark.parametrize("name", NAMES)
def test_names_of_attributes_are_names_of_nothing(name: bytes) -> None:
    server = listening()
    server.receive(request(b"Sec-WebSocket-Extensions: %s, %s; %s" % (name, name, name)))
    assert b"Extensions" not in server.accept()
    assert_response_refused(asking, b"Sec-WebSocket-Extensions: " + name, kind="BadExtensions")
    assert_response_refused(asking, b"Sec-WebSocket-Extensions: %s; %s" % (NAME, name), kind="BadExtensions")


@tries("ws #1235")
@pytest.mark.parametrize(
    "quoted", [b'",permessage-deflate; client_max_window_bits,"', b'",permessage-deflate,', b'"\\",permessage-deflate"']
)
def test_what_is_quoted_is_no_offer(quoted: bytes) -> None:
    value = b"x; y=" + quoted
    assert_refused(request(b"Sec-WebSocket-Extensions: " + value), 400, listening)
    assert_response_refused(asking, b"Sec-WebSocket-Extensions: " + value, kind="BadExtensions")


_TRY_RANGE = ("CVE-2026-2229",)
ANSWERS = [
    *[
        (b"; %s_max_window_bits%s" % (side, bits), _TRY_RANGE)
        for side in (b"server", b"client")
        for bits in (b"=1000", b"=16", b"=7", b"=08", b"", b'="1"', b"=" + b"9" * 400)
    ],
    (b"; client_max_window_bits=8", ("bun PR 38632", "websockets #410", "autobahn #1018")),
    (b"; client_max_window_bits=8; client_no_context_takeover", ("bun PR 38632",)),
]


@pytest.mark.parametrize("answer", [pytest.param(answer, marks=tries(*faults)) for answer, faults in ANSWERS])
def test_a_client_refuses_what_it_can_not_do(answer: bytes) -> None:
    assert_response_refused(asking, b"Sec-WebSocket-Extensions: " + NAME + answer, kind="BadExtensions")


@tries("websockets #410", "autobahn #1018", "bun PR 38632")
def test_a_window_of_8_bits_is_inflated() -> None:
    client = asking()
    assert client.receive(response(client, b"Sec-WebSocket-Extensions: " + NAME + b"; server_max_window_bits=8"))
    connection = Connection(Role.CLIENT, compression=client.compression)
    assert connection.receive(frame(TEXT, HELLO, rsv=RSV1) * 2) == ["Hello"] * 2
    connection.send(WORDS)
    assert len(connection.data_to_send()) < len(WORDS) / 2


_CONTINUATIONS = ("websockets #1720", "Jetty #3159")


@against(
    Attack("last", _CONTINUATIONS, (Part(TEXT, HELLO[:3], False, RSV1), Part(CONT, HELLO[3:], rsv=RSV1)), 1002),
    Attack("middle", _CONTINUATIONS, (Part(TEXT, HELLO[:3], False, RSV1), Part(CONT, b"", False, RSV1)), 1002),
    Attack("of-a-plain-message", _CONTINUATIONS, (Part(TEXT, b"a", False), Part(CONT, HELLO, rsv=RSV1)), 1002),
    Attack("of-nothing", _CONTINUATIONS, (Part(TEXT, b"a"), Part(CONT, HELLO, rsv=RSV1)), 1002, ("a",)),
    Attack("ping", ("Jetty #3159", "wsproto PR 205"), (Part(TEXT, b"a"), Part(PING, b"", rsv=RSV1)), 1002, ("a",)),
    Attack("other-bits", ("Jetty #3159",), (Part(TEXT, HELLO, rsv=RSV1), Part(TEXT, HELLO, rsv=6)), 1002, ("Hello",)),
)
def test_the_bit_stands_on_first_frames_only(attack: Attack, role: Role) -> None:
    check(attack, role, compression=deflate())


@tries("wsproto PR 205")
@roles
@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize("step", [1, 3, 1000])
def test_control_frames_leave_a_message_alone(role: Role, fresh: bool, step: int) -> None:
    parts = [
        frame(BINARY if not i else CONT, part, fin=i == 6, rsv=0 if i else RSV1, key=to(role))
        for i, part in enumerate(chunks(HELLO, 1))
    ]
    control = frame(PING, b"p", key=to(role)) + frame(PONG, b"q", key=to(role))
    connection = Connection(role, compression=deflate(fresh=fresh))
    for _ in range(3):
        events = receive(connection, control.join(parts), step)
        assert [event for event in events if isinstance(event, bytes)] == [b"Hello"]
        assert [event for event in events if not isinstance(event, bytes)] == [Ping(b"p"), Pong(b"q")] * 6


def _deflated(*messages: bytes, bits: int = 15) -> list[bytes]:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -bits)
    return [(compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4] for data in messages]


@tries("websockets #665")
@roles
@pytest.mark.parametrize("bits", [9, 12])
def test_a_reference_beyond_the_window_ends_with_a_code(role: Role, bits: int) -> None:
    said = random.Random(3).randbytes((1 << bits) + 600)
    far, near = _deflated(said, said), _deflated(said, said, bits=bits)
    for payloads, code, events in ((far, 1007, [said]), (near, None, [said, said])):
        connection = Connection(role, compression=deflate(bits=bits))
        wire = b"".join(frame(BINARY, payload, rsv=RSV1, key=to(role)) for payload in payloads)
        assert receive(connection, wire, 300) == events
        assert connection.close_code == code


@tries("websockets #665")
@roles
def test_a_reference_to_what_was_to_be_forgotten_ends_with_a_code(role: Role) -> None:
    said = random.Random(4).randbytes(500)
    connection = Connection(role, compression=deflate(fresh=True))
    wire = b"".join(frame(BINARY, payload, rsv=RSV1, key=to(role)) for payload in _deflated(said, said))
    assert receive(connection, wire, 300) == [said]
    assert connection.close_code == 1007


@tries("RFC 7692 7.2.3.4")
@roles
@pytest.mark.parametrize("fresh", [False, True])
def test_messages_behind_a_last_block_are_read_measured_and_not_kept(role: Role, fresh: bool) -> None:
    connection = Connection(role, compression=deflate(fresh=fresh), max_size=5000)
    last = frame(TEXT, LAST, rsv=RSV1, key=to(role))
    noise = random.Random(5).randbytes(5000)
    message = frame(BINARY, _deflated(noise)[0], rsv=RSV1, key=to(role))
    assert receive(connection, last * 2 + message + last, 50) == ["Hello", "Hello", noise, "Hello"]

    def more() -> None:
        for _ in range(100):
            assert connection.receive(message) == [noise]

    assert kept(more) < 60_000
    bomb = frame(BINARY, LAST[:-1] + _deflated(bytes(5000))[0], rsv=RSV1, key=to(role))
    assert connection.receive(bomb) == []
    assert connection.close_code == 1009


@tries("RFC 7692 7.2.3.4")
@roles
def test_many_last_blocks_in_one_message_are_too_much(role: Role) -> None:
    connection: Any = Connection(role, compression=deflate())
    wire = frame(BINARY, b"\x03\x00" * 20_000, rsv=RSV1, key=to(role))
    assert connection.receive(wire) == []
    assert connection.close_code == 1009
