"""Class A: a message in tiny or empty fragments, or in tiny reads, costs what its bytes cost, and ends at a limit."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from attacks import RSV1, Attack, Part, against, check, chunks, deflate, quick_frame, receive, stored, tries
from costs import assert_linear, peak
from helpers import BINARY, CONT, ROLES, TEXT, frame, to

from wscodec import Connection, Fragment, Role

roles = pytest.mark.parametrize("role", ROLES, ids=lambda role: role.value)

HELD = 5000
MOST = 4096  # fragments, where nothing is said


@against(
    Attack(
        "endless-bytes",
        ("CVE-2026-48779", "CVE-2014-0193"),
        (Part(TEXT, b"a", False), Part(CONT, b"b", False, times=MOST)),
        1009,
    ),
    Attack(
        "just-below-a-large-limit", ("ws #2331",), (Part(TEXT, b"a", False), Part(CONT, b"b", False, 0, HELD)), 1009
    ),
    Attack(
        "endless-empty-ones",
        ("ws #2329", "actix-extras #651", "nng PR 2310"),
        (Part(TEXT, b"a", False), Part(CONT, b"", False, times=MOST)),
        1009,
    ),
    Attack(
        "all-empty", ("CVE-2026-12151", "nng PR 2310"), (Part(TEXT, b"", False), Part(CONT, b"", False, 0, MOST)), 1009
    ),
    Attack(
        "sum-above-the-limit",
        ("Java-WebSocket #1508", "fastwebsockets PR 140"),
        (Part(BINARY, b"ok"), Part(BINARY, bytes(400), False), Part(CONT, bytes(400), False), Part(CONT, bytes(400))),
        1009,
        (b"ok",),
        {"max_size": 1000},
    ),
    Attack(
        "sum-above-the-limit-by-one",
        ("Java-WebSocket #1508", "fastwebsockets PR 140"),
        (Part(BINARY, bytes(999), False), Part(CONT, b"", False), Part(CONT, b"", False), Part(CONT, bytes(2))),
        1009,
        (),
        {"max_size": 1000},
    ),
)
def test_the_message_ends_at_a_limit(attack: Attack, role: Role) -> None:
    # Compressed or not, frames are counted in one place: one role of each is enough of what takes long.
    check(attack, role, compression=deflate() if role is Role.SERVER else None)


@tries("ws #2329", "CVE-2026-12151")
@roles
def test_the_limit_itself_is_allowed_and_counted_anew_for_each_message(role: Role) -> None:
    message = frame(TEXT, b"a", fin=False, key=to(role)) + frame(CONT, b"", fin=False, key=to(role)) * (MOST - 2)
    message += frame(CONT, b"b", key=to(role))
    for compression in (None, deflate()):
        connection = Connection(role, compression=compression)
        assert receive(connection, message * 3, 5000) == ["ab"] * 3
        assert connection.close_code is None


@tries("ws #2329", "actix-extras #651")
@roles
def test_fragments_count_where_parts_are_handed_on_too(role: Role) -> None:
    connection = Connection(role, streaming=True)
    wire = frame(TEXT, b"a", fin=False, key=to(role)) + frame(CONT, b"", fin=False, key=to(role)) * MOST
    assert receive(connection, wire, 1000) == [Fragment("a", False)]
    assert connection.close_code == 1009


def _held(connection: Connection, wire: bytes, step: int) -> Callable[[], object]:
    return lambda: receive(connection, wire, step)


@tries("CVE-2026-48779", "ws #2331")
@pytest.mark.parametrize("size", [0, 2])
def test_the_memory_of_held_fragments_is_that_of_their_bytes(size: int) -> None:
    # All that is allowed, held just under the limit, without an end.
    role = Role.CLIENT
    rest = frame(CONT, b"x" * size, fin=False, key=to(role)) * (MOST - 1)
    for opcode in (TEXT, BINARY):
        connection = Connection(role)
        taken = peak(_held(connection, frame(opcode, b"x" * size, fin=False, key=to(role)) + rest, 1000))
        assert connection.close_code is None
        # 12 KB are for what a connection makes when it first needs it.
        assert taken < 3 * MOST * size + 12_000


@tries("aiohttp PR 13350", "CVE-2026-48779")
@roles
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_the_memory_of_tiny_reads_is_that_of_their_bytes(role: Role, opcode: int, compressed: bool) -> None:
    size = 6000
    connection = Connection(role, compression=deflate() if compressed else None, max_size=size)
    wire = frame(opcode, bytes(size), key=to(role))[:-1]
    assert peak(_held(connection, wire, 1)) < 3 * size + 12_000
    assert connection.close_code is None


# What is done for each of many shows where they are tiny, what is done for each byte before them where they are not.
sizes = pytest.mark.parametrize(("count", "size"), [(1000, 1), (100, 2000)], ids=["tiny", "large"])


def _fragments(opcode: int, pieces: Iterable[bytes], rsv: int) -> bytes:
    first, *rest = pieces
    wire = [quick_frame(Role.SERVER, opcode, first, fin=False, rsv=rsv)]
    wire += [quick_frame(Role.SERVER, CONT, piece, fin=False) for piece in rest]
    return b"".join([*wire, quick_frame(Role.SERVER, CONT, b"")])


@tries("CVE-2026-65623")
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("way", ["whole", "compressed", "parts"])
@sizes
def test_work_per_fragment_does_not_grow(opcode: int, way: str, count: int, size: int) -> None:
    compressed = way == "compressed"
    options: dict[str, Any] = {"max_fragments": None, "max_size": None, "streaming": way == "parts"}

    def make(count: int) -> Callable[[], object]:
        data = b"x" * (count * size)
        wire = _fragments(opcode, chunks(stored(data) if compressed else data, size), RSV1 if compressed else 0)
        connection = Connection(Role.SERVER, compression=deflate() if compressed else None, **options)
        return lambda: receive(connection, wire, 20_000)

    assert_linear(make, count)


@tries("CVE-2026-65623", "aiohttp PR 13350")
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "compressed"])
@sizes
def test_work_per_read_does_not_grow(opcode: int, compressed: bool, count: int, size: int) -> None:
    def make(count: int) -> Callable[[], object]:
        data = b"x" * (count * size)
        wire = frame(opcode, stored(data), rsv=RSV1) if compressed else frame(opcode, data)
        connection = Connection(Role.CLIENT, max_size=None, compression=deflate() if compressed else None)
        return lambda: receive(connection, wire, size)

    assert_linear(make, count)
