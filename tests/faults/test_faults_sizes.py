"""Class B: each size has a limit by default, and memory follows what has arrived, never what a header promises."""

from __future__ import annotations

import inspect
import sys
from typing import Any

import pytest
from attacks import Attack, Part, against, check, deflate, play, receive, tries
from costs import in_child, peak
from heads import refusal
from helpers import BINARY, CONT, KEY, PING, ROLES, TEXT, frame, header, to
from implementations import Implementation
from net import REQUEST, idle, listen, raw_client

from wscodec import ClientHandshake, Connection, Decoder, Role, ServerHandshake
from wscodec.asyncio import connect, serve

EXPLAINED = {
    "CVE-2026-33151": "attachments are a layer above WebSocket, which is not part of the package",
    "CVE-2026-48804": "attachments are a layer above WebSocket, which is not part of the package",
}

MEBIBYTE = 1 << 20
GIBIBYTES = 1 << 31
LONGEST = (1 << 63) - 1

roles = pytest.mark.parametrize("role", ROLES, ids=lambda role: role.value)


@against(
    Attack(
        "one-frame-above-the-default",
        ("CVE-2026-44545", "CVE-2016-10542", "CVE-2016-10544", "CVE-2018-21035", "CVE-2020-36048", "undici #4899"),
        (Part(TEXT, b"ok"), header(0x82, MEBIBYTE + 1, key=KEY)),
        1009,
        ("ok",),
        roles=(Role.SERVER,),
    ),
    Attack(
        "one-frame-above-the-default",
        ("undici #4899", "CVE-2018-21035"),
        (Part(TEXT, b"ok"), header(0x82, MEBIBYTE + 1)),
        1009,
        ("ok",),
        roles=(Role.CLIENT,),
    ),
    Attack(
        "two-frames-above-the-default",
        ("CVE-2025-32049", "uvicorn #306", "CVE-2018-21035"),
        (Part(BINARY, bytes(9), False), header(0x80, MEBIBYTE - 8, key=KEY)),
        1009,
        roles=(Role.SERVER,),
    ),
    Attack(
        "unfinished-and-huge",
        ("CVE-2026-54274", "CVE-2022-35922"),
        (Part(BINARY, b"ok"), header(0x82, 1 << 40, key=KEY), bytes(5000)),
        1009,
        (b"ok",),
        roles=(Role.SERVER,),
    ),
    Attack(
        "unknown-opcode-and-huge",
        ("CVE-2026-19204",),
        (bytes.fromhex("83ff000000007fffffff") + KEY,),
        1002,
        roles=(Role.SERVER,),
    ),
    Attack(
        "unknown-opcode-and-huge", ("CVE-2026-19204",), (bytes.fromhex("837f000000007fffffff"),), 1002, roles=ROLES[:1]
    ),
    Attack(
        "declared-and-not-sent",
        ("GHSA-8h6x-h86x-75wh", "CVE-2022-35922", "Java-WebSocket #1507"),
        (header(0x82, LONGEST, key=KEY),),
        1009,
        roles=(Role.SERVER,),
    ),
    Attack(
        "declared-2-gib",
        ("Java-WebSocket #1507", "CVE-2022-35922"),
        (header(0x81, GIBIBYTES - 1),),
        1009,
        roles=(Role.CLIENT,),
    ),
)
def test_what_is_too_big_ends_with_its_header(attack: Attack, role: Role) -> None:
    check(attack, role)
    check(attack, role, compression=deflate())


@tries("vm0 #23589", "uvicorn #306", "CVE-2025-32049")
@roles
def test_a_ping_within_does_not_hide_the_size(role: Role) -> None:
    connection = Connection(role, max_size=50)
    wire = frame(TEXT, b"x" * 30, fin=False, key=to(role)) + frame(PING, b"p", key=to(role))
    wire += frame(CONT, b"", fin=False, key=to(role)) * 5 + frame(CONT, b"y" * 21, key=to(role))
    (ping,) = receive(connection, wire, 10)
    assert ping.payload == b"p"
    assert connection.close_code == 1009


@tries("CVE-2026-54274", "Java-WebSocket #1507", "CVE-2022-35922")
@roles
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_promise_within_the_limit_costs_nothing(role: Role, opcode: int, compressed: bool) -> None:
    connection = Connection(role, max_size=GIBIBYTES, compression=deflate() if compressed else None)
    wire = header(0x80 | opcode, GIBIBYTES - 1, key=to(role) and bytes(4)) + b"x" * 1000
    assert peak(lambda: receive(connection, wire, 100)) < 16_000
    assert connection.close_code is None


# As much address space as the process has, and this much more: what a header promises is far above it.
_MEMORY = """
import resource, wscodec
spare = 64 << 20
pages = int(open("/proc/self/statm").read().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + spare,) * 2)
for wire in wires:
    for streaming in (False, True):
        for role in wscodec.Role:
            connection = wscodec.Connection(role, max_size=None, streaming=streaming)
            events = connection.receive(wire[role.value][:-1]) + connection.receive(wire[role.value][-1:])
            print(len(events) if streaming else events, connection.close_code)
"""


@tries("GHSA-8h6x-h86x-75wh", "CVE-2022-35922", "Java-WebSocket #1507", "CVE-2026-54274")
@pytest.mark.skipif(sys.platform != "linux", reason="limits of address space are Linux's here")
def test_without_a_limit_memory_follows_what_arrives(backend: Implementation) -> None:
    wires = [
        {
            "server": header(0x80 | opcode, length, key=bytes(4)) + b"some of it",
            "client": header(0x80 | opcode, length) + b"some of it",
        }
        for opcode in (TEXT, BINARY)
        for length in (GIBIBYTES - 1, GIBIBYTES, 1 << 40, LONGEST)
    ]
    lines = in_child(_MEMORY, backend.backend, wires=wires).splitlines()
    assert len(lines) == 4 * len(wires)
    assert set(lines) == {"[] None", "2 None"}


@tries("CVE-2015-1779")
@roles
def test_a_head_without_end_is_refused_early(role: Role) -> None:
    server = role is Role.SERVER
    handshake = ServerHandshake() if server else ClientHandshake("ws://example.com/")
    first = b"GET / HTTP/1.1\r\n" if server else b"HTTP/1.1 101 Switching Protocols\r\n"
    assert handshake.receive(first + b"X: y\r\n" * 128) is None
    assert refusal(handshake, b"X: y\r\n" * 100_000, 5).status == 431


@tries("CVE-2026-44545", "uvicorn #306")
@pytest.mark.parametrize("kind", ["serve", "connect", "Connection", "Decoder"])
def test_defaults_are_finite(kind: str) -> None:
    thing: Any = {"serve": serve, "connect": connect, "Connection": Connection, "Decoder": Decoder}[kind]
    defaults = {name: parameter.default for name, parameter in inspect.signature(thing).parameters.items()}
    assert 0 < defaults["max_size"] <= MEBIBYTE
    assert 0 < defaults["max_fragments"] <= 1 << 16


@tries("CVE-2026-44545", "uvicorn #306")
def test_a_server_that_sets_nothing_refuses_a_large_message() -> None:
    async def main() -> None:
        async with listen(idle) as server, raw_client(server, REQUEST) as peer:
            peer.send(header(0x82, MEBIBYTE + 1, key=KEY), bytes(3 * MEBIBYTE))
            assert (await peer.next_frame())[1][:2] == (1009).to_bytes(2)

    play(main)
