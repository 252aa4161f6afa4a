"""Class E: a length is what its bytes say, on either backend; the top bit and a form too long are offences."""

from __future__ import annotations

import random

import pytest
from attacks import Attack, Part, against, check, deflate, receive, tries
from heads import assert_refused, request
from helpers import BINARY, CONT, KEY, PING, ROLES, TEXT, chunkings, frame, header, to

from wscodec import Connection, FrameDecoder, ProtocolError, Role, parse_header

roles = pytest.mark.parametrize("role", ROLES, ids=lambda role: role.value)

SERVER, CLIENT = (Role.SERVER,), (Role.CLIENT,)
LONGEST = (1 << 63) - 1
TOP_BIT = (
    "CVE-2020-13935",
    "CVE-2026-43678",
    "noPoll #84",
    "gpac #3860",
    "CVE-2026-1528",
    "CVE-2026-0716",
)


def _declared(name: str, length: str, code: int, faults: tuple[str, ...]) -> list[Attack]:
    """Return a frame that declares so much, behind a good one, to each side."""
    number = bytes.fromhex(length)
    return [
        Attack(name, faults, (Part(TEXT, b"a"), b"\x82\xff" + number + KEY), code, ("a",), roles=SERVER),
        Attack(name, faults, (Part(TEXT, b"a"), b"\x82\x7f" + number), code, ("a",), roles=CLIENT),
    ]


@against(
    *_declared("all-ones", "ff" * 8, 1002, TOP_BIT),
    *_declared("top-bit-alone", "80" + "00" * 7, 1002, TOP_BIT),
    *_declared("top-bit-and-one", "80" + "00" * 6 + "01", 1002, TOP_BIT),
    *_declared("longest", "7f" + "ff" * 7, 1009, ("CVE-2020-27813", "CVE-2026-1528", "aiohttp PR 13415")),
    *_declared("32-bits", "00000000ffffffff", 1009, ("aiohttp PR 13415", "CVE-2017-18922")),
    *_declared("32-bits-and-one", "0000000100000000", 1009, ("aiohttp PR 13415", "CVE-2017-18922")),
    *_declared("31-bits-and-one", "0000000080000000", 1009, ("aiohttp PR 13415", "noPoll #84")),
    *_declared("too-long-a-form", "0000000000000001", 1002, ("CVE-2020-36406", "CVE-2017-18922")),
    Attack(
        "no-fin-and-all-ones",
        ("actix-web #3723",),
        (bytes.fromhex("0a ff ff ff ff ff ff ff ff ff ff eb 0e 8f"),),
        1002,
        roles=SERVER,
    ),
    Attack(
        "draft-length", ("CVE-2026-54466", "CVE-2026-54463"), (Part(TEXT, b"a"), b"\x80" + b"\xff" * 9999), 1002, ("a",)
    ),
)
def test_declared_lengths(attack: Attack, role: Role) -> None:
    check(attack, role)
    check(attack, role, compression=deflate())


@tries(*TOP_BIT)
@roles
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_the_top_bit_without_a_limit(role: Role, opcode: int) -> None:
    connection = Connection(role, max_size=None, max_fragments=None)
    wire = frame(TEXT, b"a", key=to(role)) + header(0x80 | opcode, (1 << 63) | 5, key=to(role)) + b"12345"
    assert receive(connection, wire, 1) == ["a"]
    assert connection.close_code == 1002


@tries("CVE-2020-27813", "gpac #3860", "CVE-2026-0716", "aiohttp PR 13415")
@roles
@pytest.mark.parametrize("first", [1, 2, 10])
@pytest.mark.parametrize("size", [LONGEST, LONGEST - 1])
def test_a_sum_does_not_overflow(role: Role, first: int, size: int) -> None:
    for max_size in (None, LONGEST):
        connection = Connection(role, max_size=max_size)
        wire = frame(BINARY, bytes(first), fin=False, key=to(role)) + header(0, size, key=to(role)) + bytes(9)
        assert receive(connection, wire, 5) == []
        assert connection.close_code == (1009 if first + size > LONGEST else None)


@tries("CVE-2026-0716", "CVE-2017-18922")
@roles
@pytest.mark.parametrize("size", [1, 125, 126, 65535, 65536])
def test_no_more_is_read_than_is_there(role: Role, size: int) -> None:
    whole = frame(BINARY, bytes(range(256)) * (size // 256) + bytes(size % 256), key=to(role))
    for missing in (1, size):
        connection = Connection(role, max_size=None)
        assert connection.receive(whole[:-missing]) == []
        assert connection.receive(whole[-missing:]) == [whole and bytes(range(256)) * (size // 256) + bytes(size % 256)]


@tries("CVE-2020-36406", "CVE-2017-18922", "aiohttp PR 13415")
@roles
def test_forms_and_edges_in_all_cuts(role: Role) -> None:
    for length, form, good in (
        (125, 7, True), (126, 16, True), (65535, 16, True), (65536, 64, True),
        (125, 16, False), (0, 16, False), (65535, 64, False), (125, 64, False), (0, 64, False),
    ):  # fmt: skip
        wire = header(0x82, length, key=to(role) and bytes(4), form=form) + bytes(length)
        for chunks in list(chunkings(wire))[:40]:
            connection = Connection(role)
            events = [event for chunk in chunks for event in connection.receive(chunk)]
            assert (events, connection.close_code) == (([bytes(length)], None) if good else ([], 1002))


@tries("CVE-2020-36406", "aiohttp PR 13415", "CVE-2017-18922")
@roles
def test_noise_ends_with_a_code(role: Role) -> None:
    chosen = random.Random(11)
    good = b"".join(frame(op, bytes(n), fin=fin, key=to(role)) for op, n, fin in
                    ((TEXT, 3, False), (PING, 5, True), (CONT, 200, True), (BINARY, 126, True)))  # fmt: skip
    for _ in range(150):
        wire = bytearray(good)
        for _ in range(chosen.randrange(1, 5)):
            wire[chosen.randrange(len(wire))] = chosen.choice((0, 0x7F, 0x80, 0xFE, 0xFF, chosen.randrange(256)))
        connection = Connection(role, max_size=300)
        receive(connection, bytes(wire), chosen.choice((1, 7, 1000)))
        # A change within a ping may make it a Close frame, of any code.
        assert connection.close_code in {None, 1002, 1005, 1007, 1009} or connection.close_received is not None


@tries("aiohttp PR 13415", "CVE-2026-43678", "CVE-2026-1528")
@pytest.mark.parametrize("length", [1 << 31, (1 << 32) - 1, 1 << 32, (1 << 53) + 1, LONGEST])
def test_headers_are_parsed_as_they_are(length: int) -> None:
    for key in (None, KEY):
        parsed = parse_header(header(0x82, length, key=key))
        assert parsed is not None
        assert (parsed.length, parsed.masking_key, parsed.size) == (length, key, 14 if key else 10)
        above = header(0x82, length | 1 << 63, key=key)
        parsed = parse_header(above)
        assert parsed is not None
        assert parsed.length == length | 1 << 63
        role = Role.SERVER if key else Role.CLIENT
        assert FrameDecoder(role, max_size=None).feed(header(0x82, length, key=key)) == []
        with pytest.raises(ProtocolError):
            FrameDecoder(role, max_size=None).feed(above)


@tries("CVE-2026-54466", "CVE-2026-54463")
def test_drafts_are_refused() -> None:
    old = (b"Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5", b"Sec-WebSocket-Key2: 12998 5 Y3 1  .P00")
    assert_refused(request(*old, without=b"Sec-WebSocket-Version"), 426)
    for version in (b"0", b"7", b"8", b"12", b"13, 8", b"", b"130", b"1_3", b"+13"):
        wrong = request(b"Sec-WebSocket-Version: " + version, without=b"Sec-WebSocket-Version")
        assert_refused(wrong, 426)
