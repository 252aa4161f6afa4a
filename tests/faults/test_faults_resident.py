"""Classes A, C, F and K once more: what an attack makes a process take from the system, C libraries included."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest
from attacks import RSV1, quick_frame, stored, tries
from costs import resident
from helpers import BINARY, CONT, PING, PONG, ROLES, TEXT
from implementations import Implementation
from test_faults_inflating import bomb

from wscodec import Role

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what is resident is counted as Linux does")

MANY = 300
# In KiB: a third of what it takes to keep an object of 60 bytes for each of a hundred times so many.
LITTLE = 600


class Sent(NamedTuple):
    """What a peer sends: this once, and then this again and again, in reads of `step` bytes."""

    first: bytes
    again: bytes
    times: int = MANY
    step: int = 1000


def empty_fragments(role: Role) -> Sent:
    return Sent(quick_frame(role, TEXT, b"a", fin=False), quick_frame(role, CONT, b"", fin=False) * 100)


def tiny_reads(role: Role) -> Sent:
    return Sent(quick_frame(role, BINARY, bytes(65535))[:-65535], b"x" * 100, step=1)


def compressed_reads(role: Role) -> Sent:
    return Sent(quick_frame(role, BINARY, stored(bytes(65535)), rsv=RSV1)[:-65535], bytes(100), step=1)


def a_bomb(role: Role) -> Sent:
    return Sent(b"", quick_frame(role, BINARY, bomb(20), rsv=RSV1), 1, 1 << 18)


def endless_lines(role: Role) -> Sent:
    return Sent(b"GET / HTTP/1.1\r\n" if role is Role.SERVER else b"HTTP/1.1 101 Yes\r\n", b"X: y\r\n" * 1000)


def endless_line(role: Role) -> Sent:
    return Sent(endless_lines(role).first + b"X: ", b"y" * 10_000)


def pings(role: Role) -> Sent:
    return Sent(b"", quick_frame(role, PING, b"x") * 100)


def pongs(role: Role) -> Sent:
    return Sent(b"", quick_frame(role, PONG, b"x") * 100)


def behind_an_offence(role: Role) -> Sent:
    return Sent(quick_frame(role, TEXT, b"\xff"), b"x" * 10_000)


# A little of it has been sent before, so that what is made once is there.
_ATTACK = """
agreed = wscodec.AgreedDeflate(wscodec.PerMessageDeflate(), wscodec.DeflateParameters())

def make(role):
    if not head:
        return wscodec.Connection(role, max_fragments=None, compression=agreed)
    return wscodec.ServerHandshake() if role is wscodec.Role.SERVER else wscodec.ClientHandshake("ws://example.com/")

def read(ours, wire, step):
    for i in range(0, len(wire), step):
        try:
            ours.receive(wire[i : i + step])
        except wscodec.HandshakeError:
            pass

def attack(role, first, again, times, step):
    ours = make(role)
    read(ours, first, step)
    for _ in range(times):
        read(ours, again, step)

for role, sent in attacks:
    role = wscodec.Role(role)
    first, again, times, step = sent
    attack(role, first, again[:100], 1, step)
    print(resident(attack, role, *sent))
"""


@pytest.mark.parametrize(
    ("attack", "most"),
    [
        pytest.param(empty_fragments, LITTLE, marks=tries("ws #2329", "CVE-2026-48779"), id="fragments"),
        pytest.param(tiny_reads, LITTLE, marks=tries("aiohttp PR 13350"), id="reads"),
        pytest.param(compressed_reads, LITTLE, marks=tries("aiohttp PR 13350"), id="compressed-reads"),
        pytest.param(a_bomb, 2 << 10, marks=tries("CVE-2026-1526", "CVE-2026-29035"), id="bomb"),
        pytest.param(endless_lines, LITTLE, marks=tries("CVE-2026-54465", "CVE-2026-65624"), id="lines"),
        pytest.param(endless_line, LITTLE, marks=tries("CVE-2026-54465", "CVE-2026-54277"), id="line"),
        pytest.param(pings, LITTLE, marks=tries("Tyrus #954"), id="pings"),
        pytest.param(pongs, LITTLE, marks=tries("CVE-2021-3690"), id="pongs"),
        pytest.param(behind_an_offence, LITTLE, marks=tries("aiohttp #13655"), id="behind-an-offence"),
    ],
)
def test_what_is_sent_is_not_resident(attack: Callable[[Role], Sent], most: int, backend: Implementation) -> None:
    head = attack in (endless_lines, endless_line)
    attacks = [(role.value, tuple(attack(role))) for role in ROLES]
    taken = resident(_ATTACK, backend.backend, head=head, attacks=attacks)
    assert len(taken) == 2
    assert max(taken) < most
