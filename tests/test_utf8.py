"""UTF-8: every kernel against the grammar of RFC 3629 §4."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from buffers import EMPTY, READABLE, UNREADABLE
from implementations import Implementation
from reference.utf8 import can_begin, is_valid

import wscodec

pytestmark = pytest.mark.usefixtures("impl")

# One byte of each kind, and the first and last of each kind of lead.
KINDS = bytes.fromhex("00 7f 80 8f 90 9f a0 bf c0 c1 c2 df e0 e1 ec ed ee ef f0 f1 f3 f4 f5 ff")
GOOD = list("\0\x7f\x80\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U000fffff\U0010ffff")
BAD = [
    bytes.fromhex(text)
    for text in (
        "80", "bf", "c0", "c2", "df", "e0", "ed", "ef", "f0", "f4", "f5", "ff", "c0 80", "c1 bf", "c2 41", "c2 c2",
        "c2 80 80", "e0 80 80", "e0 9f bf", "e0 a0", "e1 80", "e1 80 41", "e1 41 80", "ed a0 80", "ed bf bf", "ef bf",
        "ef bf c0", "f0 80 80 80", "f0 8f bf bf", "f0 90", "f0 90 80", "f0 90 80 41", "f0 90 41 80", "f1 80 80",
        "f4 90 80 80", "f4 bf bf bf", "f5 80 80 80", "f8 88 80 80 80", "fc 84 80 80 80 80", "fe", "f0 9f 98 80 80",
        "ed a0 80 ed b0 80",
    )
]  # fmt: skip
TEXT = "aé€😀ß\u0800z\U0010ffff"


@functools.cache
def exhaustive(lead: int) -> tuple[tuple[bytes, bool], ...]:
    """Return the sequences that begin with `lead`: all of 2 bytes, all second bytes of 3, the kinds of byte of 4."""
    two = (bytes((lead, second)) for second in range(256))
    three = (bytes((lead, *rest)) for rest in itertools.product(range(256), KINDS))
    four = (bytes((lead, *rest)) for rest in itertools.product(KINDS, repeat=3)) if lead >= 0xF0 else ()
    longer = itertools.chain(three, four) if lead >= 0xC0 else ()
    return tuple((data, is_valid(data)) for data in itertools.chain(two, longer))


@pytest.mark.parametrize("block", range(0, 256, 16), ids=lambda block: f"{block:02x}")
def test_is_valid_utf8_exhaustive(block: int) -> None:
    for lead in range(block, block + 16):
        assert wscodec.is_valid_utf8(bytes([lead])) is (lead < 0x80)
        for data, valid in exhaustive(lead):
            assert wscodec.is_valid_utf8(data) is valid, data.hex()


def test_is_valid_utf8_every_character_in_one_text() -> None:
    text = "".join(map(chr, itertools.chain(range(0xD800), range(0xE000, 0x110000))))
    data = text.encode()
    assert wscodec.is_valid_utf8(data)
    assert wscodec.decode_utf8(data) == text


@pytest.mark.parametrize("filler", ["a", "é", "€", "😀"])
def test_is_valid_utf8_at_every_place(filler: str) -> None:
    """Around the ends of vectors and of blocks of them, whatever stands before and behind."""
    unit = filler.encode()
    before, behind = unit * (160 // len(unit)), unit * (80 // len(unit))
    for place in range(0, len(before) + 1, len(unit)):
        head = before[:place]
        for character in GOOD:
            assert wscodec.is_valid_utf8(head + character.encode()), (place, character)
            assert wscodec.is_valid_utf8(head + character.encode() + behind), (place, character)
        for bad in BAD:
            assert not wscodec.is_valid_utf8(head + bad), (place, bad.hex())
            assert not wscodec.is_valid_utf8(head + bad + behind), (place, bad.hex())


def test_is_valid_utf8_nothing() -> None:
    assert wscodec.is_valid_utf8(b"") is True
    assert wscodec.decode_utf8(b"") == ""


@pytest.mark.parametrize("size", [around + more for around in (32, 64, 128, 4096, 65536) for more in (-1, 0, 1)])
def test_is_valid_utf8_sizes(size: int) -> None:
    for unit in ("a", "é", "€", "😀"):
        data = (unit * size).encode()[:size]
        whole = size % len(unit.encode()) == 0
        assert wscodec.is_valid_utf8(data) is whole
        assert wscodec.is_valid_utf8(data + b"\xff") is False
        assert wscodec.is_valid_utf8(b"\x80" + data) is False


@pytest.mark.parametrize("text", ["a", "é", "€", "😀", "a" * 31 + "é", "é" * 40, TEXT * 20, "\0", "\ufeffa"])
def test_decode_utf8_equals_the_codec(text: str) -> None:
    for kind in (bytes, bytearray, memoryview):
        assert wscodec.decode_utf8(kind(text.encode())) == text


@pytest.mark.parametrize("bad", BAD, ids=bytes.hex)
@pytest.mark.parametrize("before", [b"", b"a" * 40, "é".encode() * 40], ids=["alone", "behind-ascii", "behind-others"])
def test_decode_utf8_fails_as_the_codec_does(bad: bytes, before: bytes) -> None:
    with pytest.raises(UnicodeDecodeError) as expected:
        (before + bad).decode()
    for kind in (bytes, bytearray, memoryview):
        with pytest.raises(UnicodeDecodeError) as caught:
            wscodec.decode_utf8(kind(before + bad))
        assert caught.value.args == expected.value.args


@pytest.mark.parametrize("make", READABLE.values(), ids=READABLE)
def test_utf8_any_buffer(make: Callable[[bytes], Any]) -> None:
    good, bad = "héllo wörld!!!".encode(), b"h\xc3\xa9llo wo\xffrld!!!"
    assert len(good) == len(bad) == 16
    assert wscodec.is_valid_utf8(make(good)) is True
    assert wscodec.is_valid_utf8(make(bad)) is False
    assert wscodec.decode_utf8(make(good)) == "héllo wörld!!!"
    assert wscodec.Utf8Validator().feed(make(good)) is True
    assert wscodec.Utf8Validator().feed(make(bad)) is False


@pytest.mark.parametrize("make", EMPTY.values(), ids=EMPTY)
def test_utf8_empty_buffer(make: Callable[[], Any]) -> None:
    assert wscodec.is_valid_utf8(make()) is True
    assert wscodec.decode_utf8(make()) == ""
    assert wscodec.Utf8Validator().feed(make()) is True


@pytest.mark.parametrize(("bad", "name"), UNREADABLE.values(), ids=UNREADABLE)
def test_utf8_no_buffer(bad: object, name: str) -> None:
    validator = wscodec.Utf8Validator()
    for call in (wscodec.is_valid_utf8, wscodec.decode_utf8, validator.feed):
        with pytest.raises(TypeError, match=f"^a C-contiguous bytes-like object is required, not '{name}'$"):
            call(bad)
    assert validator.complete is True


def test_utf8_keeps_no_reference() -> None:
    data = bytearray(b"\xff")
    wscodec.is_valid_utf8(data), wscodec.Utf8Validator().feed(data)
    with pytest.raises(UnicodeDecodeError):
        wscodec.decode_utf8(data)
    data.extend(b"more")


# ----------------------------------------------------------------------------------------- the validator


def cuts(data: bytes) -> Iterator[list[bytes]]:
    """Yield every way to cut `data` into one, two and three parts, empty ones too."""
    yield [data]
    for i in range(len(data) + 1):
        yield [data[:i], data[i:]]
        for j in range(i, len(data) + 1):
            yield [data[:i], data[i:j], data[j:]]


@pytest.mark.parametrize("text", [TEXT, "€" * 6, "😀" * 5, "a" * 40 + "😀"], ids=ascii)
def test_validator_cut_anywhere(text: str) -> None:
    for parts in cuts(text.encode()):
        validator = wscodec.Utf8Validator()
        assert [validator.feed(part) for part in parts] == [True] * len(parts)
        assert validator.complete is True


def test_validator_byte_by_byte_over_a_long_text() -> None:
    validator = wscodec.Utf8Validator()
    for byte in (TEXT * 30).encode():
        assert validator.feed(bytes([byte])) is True
    assert validator.complete is True


@pytest.mark.parametrize("before", ["", "a" * 5, "a" * 33, "é" * 33, "😀" * 9 + "a"], ids=len)
def test_validator_says_no_at_the_earliest_byte(before: str) -> None:
    head = before.encode()
    for tail in (*BAD, *(character.encode() for character in GOOD)):
        data = head + tail + b"a"
        bytewise = wscodec.Utf8Validator()
        for end in range(1, len(data) + 1):
            prefix = data[:end]
            whole = wscodec.Utf8Validator()
            expected = can_begin(prefix)
            assert whole.feed(prefix) is expected, prefix.hex()
            assert bytewise.feed(prefix[-1:]) is expected, prefix.hex()
            assert whole.complete is bytewise.complete is is_valid(prefix), prefix.hex()


def test_validator_pairs_of_kinds_in_every_two_parts() -> None:
    for sequence in itertools.product(KINDS, repeat=3):
        data = bytes(sequence)
        for cut in range(4):
            validator = wscodec.Utf8Validator()
            assert validator.feed(data[:cut]) is can_begin(data[:cut]), data.hex()
            assert validator.feed(data[cut:]) is can_begin(data), data.hex()
            assert validator.complete is is_valid(data), data.hex()


def test_validator_goes_on_saying_no_until_it_is_reset() -> None:
    validator = wscodec.Utf8Validator()
    assert validator.feed(b"a\xff") is False
    assert validator.feed(b"a") is False
    assert validator.feed(b"") is False
    assert validator.complete is False
    assert validator.reset() is None
    assert (validator.complete, validator.feed(b"a"), validator.complete) == (True, True, True)


def test_validator_reset_within_a_character() -> None:
    validator = wscodec.Utf8Validator()
    assert validator.feed(b"\xe2\x82") is True
    assert validator.complete is False
    validator.reset()
    assert validator.feed(b"\xac") is False


def test_validator_nothing_changes_nothing() -> None:
    validator = wscodec.Utf8Validator()
    assert (validator.feed(b""), validator.complete) == (True, True)
    validator.feed(b"\xf0\x9f")
    assert (validator.feed(b""), validator.complete) == (True, False)
    assert (validator.feed(b"\x98\x80"), validator.complete) == (True, True)


def test_validator_complete_can_not_be_set() -> None:
    with pytest.raises(AttributeError):
        wscodec.Utf8Validator().complete = True


def test_use_kernel_unknown(impl: Implementation) -> None:
    module = impl.modules[1]
    names = module.kernels()
    with pytest.raises(ValueError, match=f"^no UTF-8 kernel 'none' here, only {', '.join(names)}$"):
        module.use_kernel("none")
    for name in names:
        assert module.use_kernel(name) is None
