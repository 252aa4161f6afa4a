"""Class C: a message is measured as it is inflated, stops there, and is never cut to fit."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import random
import zlib
from typing import Any

import pytest
from attacks import RSV1, Attack, Part, against, check, deflate, quick_frame, receive, tries
from costs import assert_linear, peak
from helpers import BINARY, CONT, ROLES, TEXT, frame, to

from wscodec import AgreedDeflate, Connection, DeflateParameters, PerMessageDeflate, Role

EXPLAINED = {
    "CVE-2025-1866": "what triggers it was not published, so that there is nothing to send",
    "uiprotect #827": "an application's own use of zlib, on what a message says, is not the codec's",
}

LIMIT = 1 << 20
HELLO = bytes.fromhex("f248cdc9c90700")  # RFC 7692 §7.2.3.1
BOMBS = (
    "CVE-2018-1000518",
    "Tornado PR 2391",
    "CVE-2026-1526",
    "CVE-2026-39804",
    "aiohttp PR 11898",
    "CVE-2026-54464",
    "HttpComponents PR 821",
    "cowlib #139",
)
ENGINES = ["zlib"] + ["zlib_ng.zlib_ng"] * (importlib.util.find_spec("zlib_ng") is not None)

roles = pytest.mark.parametrize("role", ROLES, ids=lambda role: role.value)
contexts = pytest.mark.parametrize("fresh", [False, True], ids=["takeover", "no-takeover"])
engines = pytest.mark.parametrize("engine", ENGINES)


def deflated(data: bytes) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


@functools.cache
def bomb(mebibytes: int = 100) -> bytes:
    """Return what inflates to so many mebibytes; it takes a thousandth of that."""
    return deflated(bytes(mebibytes << 20))


def agreed(fresh: bool, engine: str) -> AgreedDeflate:
    wanted = PerMessageDeflate(engine=importlib.import_module(engine))
    parameters = DeflateParameters(server_no_context_takeover=fresh, client_no_context_takeover=fresh)
    return AgreedDeflate(wanted, parameters)


def fragmented(data: bytes, count: int, role: Role) -> bytes:
    step = len(data) // count + 1
    parts = [data[i : i + step] for i in range(0, len(data), step)]
    return b"".join(
        frame(BINARY if not i else CONT, part, fin=i == len(parts) - 1, rsv=0 if i else RSV1, key=to(role))
        for i, part in enumerate(parts)
    )


@tries(*BOMBS)
@roles
@contexts
@engines
@pytest.mark.parametrize(("fragments", "step"), [(1, 1 << 18), (1, 1460), (50, 1 << 18)])
def test_a_bomb_costs_the_limit_and_little_more(
    role: Role, fresh: bool, engine: str, fragments: int, step: int
) -> None:
    wire = frame(TEXT, b"before", key=to(role)) + fragmented(bomb(), fragments, role)
    assert len(wire) < 110_000
    connection = Connection(role, compression=agreed(fresh, engine))
    events: list[Any] = []
    taken = peak(lambda: events.extend(receive(connection, wire, step)))
    assert (events, connection.close_code) == (["before"], 1009)
    assert taken < LIMIT + (LIMIT >> 1)


@tries(*BOMBS)
@roles
def test_parts_of_a_bomb_are_measured_together(role: Role) -> None:
    connection = Connection(role, compression=deflate(), streaming=True)
    events = receive(connection, fragmented(bomb(), 50, role), 1460)
    assert sum(len(part.data) for part in events) <= LIMIT
    assert not any(part.fin for part in events)
    assert connection.close_code == 1009


@tries("cowlib #139", "CVE-2018-1000518")
@roles
def test_a_bomb_that_refers_to_earlier_messages(role: Role) -> None:
    # Each message repeats what the first one said: there is no ratio within one message to go by.
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    said = (random.Random(1).randbytes(2000), bytes(LIMIT), bytes(LIMIT + 1))
    payloads = [(compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4] for data in said]
    wire = b"".join(frame(BINARY, payload, rsv=RSV1, key=to(role)) for payload in payloads)
    connection = Connection(role, compression=deflate())
    assert [len(event) for event in receive(connection, wire, 5000)] == [2000, LIMIT]
    assert connection.close_code == 1009


@against(
    Attack(
        "22-bytes-that-say-4096",
        ("GHSA-hxp9-w8x3-p566", "Tornado PR 2391", "CVE-2026-54464"),
        (Part(TEXT, HELLO, rsv=RSV1), Part(BINARY, deflated(b"A" * 4096), rsv=RSV1)),
        1009,
        ("Hello",),
        {"max_size": 128},
    ),
    Attack(
        "the-sum-of-fragments",
        ("GHSA-hxp9-w8x3-p566",),
        (
            Part(BINARY, deflated(b"A" * 100) + b"\x00\x00\xff\xff", False, RSV1),
            Part(CONT, deflated(b"B" * 29)),
        ),
        1009,
        (),
        {"max_size": 128},
    ),
    Attack("all-of-it-is-allowed", ("GHSA-hxp9-w8x3-p566",), (Part(BINARY, deflated(b"A" * 128), rsv=RSV1),), None,
           (b"A" * 128,), {"max_size": 128}),
)  # fmt: skip
def test_the_limit_is_that_of_what_is_said(attack: Attack, role: Role) -> None:
    check(attack, role, compression=deflate())
    check(attack, role, compression=deflate(fresh=True))


@against(Attack("not-agreed-on", ("CVE-2026-59881",), (Part(TEXT, b"a"), Part(TEXT, HELLO, rsv=RSV1)), 1002, ("a",)))
def test_nothing_is_inflated_that_was_not_agreed_on(attack: Attack, role: Role) -> None:
    check(attack, role)


def _cut(payload: bytes, places: tuple[int, ...]) -> list[bytes]:
    return [payload[start:end] for start, end in zip((0, *places), (*places, len(payload)), strict=True)]


@tries("websockets #1715", "aiohttp PR 11898")
@roles
@contexts
@engines
@pytest.mark.parametrize("beyond", [0, 1, 2])
@pytest.mark.parametrize("limit", [258, 32768, 65536])
def test_a_message_is_whole_or_refused(role: Role, fresh: bool, engine: str, beyond: int, limit: int) -> None:
    chosen = random.Random(limit + beyond)
    for data in (b"\x01" * (limit + beyond), chosen.randbytes(limit + beyond)):
        payload = deflated(data)
        cuts = [(), (1,), (len(payload) - 1,), tuple(sorted(chosen.sample(range(1, len(payload)), 3)))]
        for places in cuts:
            first, *rest = _cut(payload, places)
            wire = quick_frame(role, BINARY, first, fin=False, rsv=RSV1)
            wire += b"".join(quick_frame(role, CONT, part, fin=False) for part in rest)
            connection = Connection(role, max_size=limit, compression=agreed(fresh, engine))
            events = receive(connection, wire + quick_frame(role, CONT, b""), 1000 + len(wire) // 2)
            assert (events, connection.close_code) == (([], 1009) if beyond else ([data], None))


@tries("CVE-2026-29035")
@roles
def test_broken_deflate_ends_with_a_code(role: Role) -> None:
    chosen = random.Random(7)
    good = deflated(b"".join(b"%d, " % i for i in range(300)))
    for _ in range(120):
        payload = bytearray(good)
        for _ in range(chosen.randrange(1, 4)):
            payload[chosen.randrange(len(payload))] = chosen.randrange(256)
        payload = payload[: chosen.randrange(len(payload) // 2, len(payload) + 1)]
        connection = Connection(role, max_size=3000, compression=deflate(fresh=True))
        events = receive(connection, frame(BINARY, bytes(payload), rsv=RSV1, key=to(role)), 700)
        assert connection.close_code in (None, 1007, 1009)
        assert len(events) == (connection.close_code is None)
        assert all(len(event) <= 3000 for event in events)


@tries("cowlib #139", "HttpComponents PR 821")
@contexts
def test_work_is_that_of_what_is_inflated(fresh: bool) -> None:
    def make(size: int) -> Any:
        wire = frame(BINARY, deflated(bytes(size << 10)), rsv=RSV1)
        connection = Connection(Role.CLIENT, max_size=None, compression=deflate(fresh=fresh))
        return lambda: receive(connection, wire, 50)

    assert_linear(make, 600)
