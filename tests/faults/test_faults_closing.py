"""Class K: control frames and the closing handshake leave nothing behind, and say what they may."""

from __future__ import annotations

import array
import sys
from collections.abc import Callable
from typing import Any

import pytest
from attacks import Attack, Part, against, check, chunks, deflate, receive, tries
from costs import assert_linear, kept
from helpers import BINARY, CLOSE, CONT, PING, PONG, ROLES, TEXT, close_payload, frame, to
from reference.frames import frames_of

from wscodec import Connection, ConnectionClosed, Encoder, Ping, Pong, Role

roles = pytest.mark.parametrize("role", ROLES, ids=lambda role: role.value)


def _closing(name: str, fault: str, payload: bytes, code: int) -> Attack:
    return Attack(name, (fault,), (Part(TEXT, b"a"), Part(CLOSE, payload)), code, ("a",))


@against(
    *[
        _closing(f"code-{code}", "actix-web #4216", close_payload(code, b"why"), 1002)
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
    ],
    *[
        _closing(f"reason-{reason.hex()}", "actix-web #4216", close_payload(1000, reason), 1007)
        for reason in (b"\xff", b"ok\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf")
    ],
    _closing("reason-of-123-cut-within-a-character", "ws #1868", close_payload(1000, b"x" * 121 + b"\xe2\x82"), 1007),
    _closing("reason-of-124", "ws #1868", close_payload(1000, b"x" * 124), 1002),
    _closing("one-byte", "autobahn #29", b"\x03", 1002),
    Attack("close-without-fin", ("autobahn #29",), (Part(CLOSE, b"", False),), 1002),
    Attack(
        "message-within-a-message",
        ("aiohttp PR 13553",),
        (Part(TEXT, b"a", False), Part(TEXT, b"b", False), Part(CONT, b"c")),
        1002,
    ),
    Attack("whole-one-within-a-message", ("aiohttp PR 13553",), (Part(TEXT, b"a", False), Part(BINARY, b"b")), 1002),
    Attack("empty-message-within-a-message", ("aiohttp PR 13553",), (Part(TEXT, b"", False), Part(TEXT, b"")), 1002),
    Attack("more-after-the-end", ("aiohttp PR 13553",), (Part(TEXT, b"a"), Part(CONT, b"c")), 1002, ("a",)),
)  # fmt: skip
def test_offences(attack: Attack, role: Role) -> None:
    check(attack, role)
    check(attack, role, compression=deflate())


@tries("ws #1868", "actix-web #4216")
@roles
@pytest.mark.parametrize("reason", [b"x" * 123, "\u20ac".encode() * 41, b"", b"\x00\r\n"])
def test_a_close_is_echoed_as_it_came(role: Role, reason: bytes) -> None:
    connection = Connection(role)
    receive(connection, frame(CLOSE, close_payload(1000, reason), key=to(role)), 3)
    ((_, _, opcode, _, payload),) = frames_of(connection.data_to_send())
    assert (opcode, payload) == (CLOSE, close_payload(1000, reason))


@tries("CVE-2014-9374")
@roles
@pytest.mark.parametrize("step", [1, 1000])
def test_empty_frames_of_each_kind(role: Role, step: int) -> None:
    full = [frame(opcode, b"full", key=to(role)) for opcode in (TEXT, BINARY, PING, PONG)]
    empty = [frame(opcode, b"", key=to(role)) for opcode in (TEXT, BINARY, PING, PONG)]
    cut = [frame(op, part, fin=op == CONT, key=to(role)) for op, part in ((TEXT, b"x"), (CONT, b""))]
    wire = b"".join([*full, *empty, *cut, *full, frame(CLOSE, b"", key=to(role))])
    for compression in (None, deflate()):
        connection = Connection(role, compression=compression)
        events = receive(connection, wire, step)
        whole = ["full", b"full", Ping(b"full"), Pong(b"full")]
        assert events[:-1] == [*whole, "", b"", Ping(b""), Pong(b""), "x", *whole]
        assert connection.close_code == 1005


@tries("autobahn-testsuite #101")
@roles
def test_ten_pings_in_one_read_get_ten_pongs(role: Role) -> None:
    connection = Connection(role)
    connection.receive(b"".join(frame(PING, b"payload-%d" % i, key=to(role)) for i in range(10)))
    answers = [(answer.opcode, answer.payload) for answer in frames_of(connection.data_to_send())]
    assert answers == [(PONG, b"payload-%d" % i) for i in range(10)]


@tries("Tyrus #954")
@roles
@pytest.mark.parametrize("size", [0, 125])
def test_pings_that_nobody_reads_the_answers_of_are_not_kept(role: Role, size: int) -> None:
    connection = Connection(role)
    pings = frame(PING, b"x" * size, key=to(role)) * 100
    while connection.unsent_size <= 1 << 14:
        connection.receive(pings)
    assert kept(lambda: _receive_often(connection, pings)) < 10_000
    assert connection.unsent_size < 17_000
    connection.receive(frame(PING, b"latest", key=to(role)))
    assert frames_of(connection.data_to_send())[-1].payload == b"latest"


@tries("CVE-2021-3690")
@roles
@pytest.mark.parametrize("size", [0, 125])
def test_pongs_that_nobody_asked_for_are_not_kept(role: Role, size: int) -> None:
    connection = Connection(role)
    pongs = frame(PONG, b"x" * size, key=to(role)) * 100
    connection.receive(pongs)
    assert kept(lambda: _receive_often(connection, pongs)) < 10_000
    assert connection.data_to_send() == b""


def _receive_often(connection: Connection, wire: bytes) -> None:
    for _ in range(100):
        connection.receive(wire)
    connection.receive(b"")  # lets go of the `controls` of the last read


@tries("capnproto PR 2625", "CVE-2025-5399")
@roles
def test_many_control_frames_in_one_read_are_a_loop(role: Role) -> None:
    wire = b"".join(frame(op, b"", key=to(role)) for op in (PING, PONG)) * 5000 + frame(CLOSE, b"", key=to(role))
    connection = Connection(role)
    limit = sys.getrecursionlimit()
    depth = len(_stack()) + 60
    sys.setrecursionlimit(depth)
    try:
        events = connection.receive(wire)
    finally:
        sys.setrecursionlimit(limit)
    assert len(events) == 10_001
    assert connection.close_code == 1005


def _stack() -> list[Any]:
    frames, one = [], sys._getframe()
    while one is not None:
        frames.append(one)
        one = one.f_back
    return frames


@tries("capnproto PR 2625", "Tyrus #954", "CVE-2021-3690")
@roles
@pytest.mark.parametrize(
    ("opcode", "heard"), [(PING, False), (PING, True), (PONG, False)], ids=["pings-unread", "pings", "pongs"]
)
def test_work_per_control_frame_does_not_grow(role: Role, opcode: int, heard: bool) -> None:
    def make(count: int) -> Callable[[], object]:
        wire = frame(opcode, b"x", key=to(role)) * count
        connection = Connection(role)

        def read() -> None:
            for chunk in chunks(wire, 1000):
                connection.receive(chunk)
                if heard:
                    connection.data_to_send()

        return read

    assert_linear(make, 1000)


@tries("CVE-2025-5399")
@roles
def test_each_beginning_is_taken_or_refused(role: Role) -> None:
    codes = set()
    for first in range(256):
        for length in (0, 1, 2, 124, 125, 126, 127, 128, 129, 253, 254, 255):
            connection = Connection(role)
            for _ in range(3):
                connection.receive(bytes([first, length]) + bytes(13))
                assert connection.receive(b"") == []
            codes.add(connection.close_code)
            connection.eof()
            connection.data_to_send()
            assert connection.finished
    assert codes <= {None, 1002, 1005, 1007, 1009}


@tries("aiohttp #13655")
@roles
def test_input_behind_an_offence_is_not_kept(role: Role) -> None:
    connection = Connection(role)
    connection.receive(frame(TEXT, b"\xff", key=to(role)))
    assert kept(lambda: [connection.receive(bytes(10_000)) for _ in range(100)]) < 2000


@tries("CVE-2022-25762")
@roles
def test_nothing_is_sent_behind_a_close(role: Role) -> None:
    for far_closes in (False, True):
        connection = Connection(role)
        connection.send("before")
        if far_closes:
            connection.receive(frame(CLOSE, close_payload(1000), key=to(role)))
        else:
            connection.close(1000)
        wire = connection.data_to_send()
        for act in (lambda c: c.send("x"), lambda c: c.send_many(["x"]), lambda c: c.ping(), lambda c: c.pong(),
                    lambda c: c.send_fragment("x", fin=True)):  # fmt: skip
            with pytest.raises(ConnectionClosed):
                act(connection)
        connection.receive(frame(PING, b"x", key=to(role)))
        connection.close(1001)
        connection.fail(1011)
        wire += connection.data_to_send()
        assert [sent.opcode for sent in frames_of(wire)] == [TEXT, CLOSE]


@tries("CVE-2016-10518", "CVE-2026-45736")
@roles
@pytest.mark.parametrize("odd", [100, 1.5, object(), [1], {"a": 1}], ids=["int", "float", "object", "list", "dict"])
def test_a_number_is_no_payload(role: Role, odd: Any) -> None:
    connection, encoder = Connection(role), Encoder(role)
    for call in (connection.ping, connection.pong, connection.send, encoder.ping, encoder.pong, encoder.encode):
        with pytest.raises(TypeError):
            call(odd)
    assert connection.data_to_send() == b""
    # What has items of more than a byte is sent as its bytes, all of them and no more.
    connection.ping(array.array("f", [0] * 20))
    assert frames_of(connection.data_to_send())[0].payload == bytes(80)
