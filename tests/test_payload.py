"""Payloads put together from pieces, and sent in chunks: every cut, every size, and who owns the memory."""

from __future__ import annotations

import itertools
import random
import sys
import tracemalloc
from collections.abc import Iterable
from typing import Any

import pytest
from buffers import EMPTY, READABLE, UNREADABLE
from helpers import BINARY, KEY, TEXT, header
from implementations import Implementation
from reference.frames import frames_of
from reference.masking import mask
from reference.utf8 import can_begin, is_valid

# Around the short form of masking, the vectors, the allocators' size classes and a page.
SIZES = [0, 1, 2, 3, 4, 7, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257, 479, 480, 512, 513, 4095, 4096, 4097]
MIXED = "aé€😀\x00\x7f\x80\u07ff\u0800\uffff\U00010000\U0010ffff"
LONG = (MIXED * 400, "é" * 3000, "€" * 3000, "😀" * 3000, "a" * 5000 + "é", "é" + "a" * 5000, "a" * 5000)


@pytest.fixture
def payload(impl: Implementation) -> Any:
    """The class."""
    return impl.twin("Payload")


@pytest.fixture
def pack_chunks(impl: Implementation) -> Any:
    return impl.twin("pack_chunks")


def pieces_of(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    """Return `data` cut at these places."""
    places = [0, *sorted(cuts), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(places)]


def fill(ours: Any, pieces: list[bytes], key: bytes | None = None) -> None:
    """Give the pieces of one frame's payload, masked, to a Payload."""
    size = sum(map(len, pieces))
    done = 0
    for piece in pieces:
        raw = piece if key is None else mask(piece, key, done)
        assert ours.take(raw, 0, size - done, key, done) == len(piece)
        done += len(piece)


def message_of(ours: Any, pieces: list[bytes], key: bytes | None = None) -> str | bytes | None:
    """Return the message whose one frame came in these pieces."""
    fill(ours, pieces, key)
    return ours.finish()


def some_bytes(size: int) -> bytes:
    return random.Random(size).randbytes(size)


# -------------------------------------------------------------------------------------------- sizes and cuts


@pytest.mark.parametrize("key", [None, KEY], ids=["plain", "masked"])
@pytest.mark.parametrize("size", SIZES)
def test_payload_size(payload: Any, size: int, key: bytes | None) -> None:
    data = some_bytes(size)
    letters = bytes(byte & 0x7F for byte in data)
    for cut in {0, 1, size // 3, size // 2, size - 1, size} & set(range(size + 1)):
        assert message_of(payload(False), pieces_of(data, [cut]), key) == data
        assert message_of(payload(True), pieces_of(letters, [cut]), key) == letters.decode()


@pytest.mark.parametrize("key", [None, KEY], ids=["plain", "masked"])
def test_payload_every_two_cuts(payload: Any, key: bytes | None) -> None:
    text = "aé€😀z"
    data = text.encode()
    for first in range(len(data) + 1):
        for second in range(first, len(data) + 1):
            pieces = pieces_of(data, [first, second])
            assert message_of(payload(True), pieces, key) == text
            assert message_of(payload(False), pieces, key) == data


@pytest.mark.parametrize("text", LONG, ids=lambda text: f"{text[:3]!a}-{len(text)}")
def test_payload_random_cuts(payload: Any, text: str) -> None:
    data = text.encode()
    rng = random.Random(len(data))
    for count in (1, 2, 5, 50, 500):
        pieces = pieces_of(data, [rng.randrange(len(data) + 1) for _ in range(count)])
        assert message_of(payload(True), pieces, KEY) == text
        assert message_of(payload(False), pieces, KEY) == data


def test_payload_byte_by_byte(payload: Any) -> None:
    data = (MIXED * 20).encode()
    assert message_of(payload(True), [data[i : i + 1] for i in range(len(data))], KEY) == MIXED * 20


@pytest.mark.parametrize("text", LONG, ids=lambda text: f"{text[:3]!a}-{len(text)}")
def test_payload_of_many_frames(payload: Any, text: str) -> None:
    """Each frame has a key of its own, that begins anew."""
    data = text.encode()
    rng = random.Random(len(data))
    ours = payload(True)
    for part in pieces_of(data, [rng.randrange(len(data)) for _ in range(9)]):
        fill(ours, pieces_of(part, [len(part) // 3]), rng.randbytes(4))
    assert ours.finish() == text


def test_payload_begins_the_next_message(payload: Any) -> None:
    for text in (False, True):
        ours = payload(text)
        for size in (0, 5, 1000, 1, 70_000, 0, 3):
            data = b"a" * size
            assert message_of(ours, [data]) == (data.decode() if text else data)


def test_payload_of_nothing(payload: Any) -> None:
    for text, nothing in ((False, b""), (True, "")):
        ours = payload(text)
        assert ours.valid
        assert ours.take(b"", 0, 10, KEY, 0) == 0
        assert ours.take(b"abc", 3, 10, KEY, 0) == 0
        assert ours.take(b"abc", 4, 10, KEY, 0) == 0
        assert ours.take(b"abc", 1, 0, KEY, 0) == 0
        assert ours.valid
        assert ours.finish() == nothing


@pytest.mark.parametrize("length", range(9))
@pytest.mark.parametrize("start", range(8))
def test_payload_takes_no_more_than_the_frame_has(payload: Any, start: int, length: int) -> None:
    data = b"abcdef"
    for text in (False, True):
        ours = payload(text)
        expected = data[start : start + length]
        assert ours.take(data, start, length, KEY, 1) == len(expected)
        raw = mask(expected, KEY, 1)
        if not text:
            assert ours.finish() == raw


def test_payload_longest_promise(payload: Any) -> None:
    for text, message in ((False, b"ab"), (True, "ab")):
        ours = payload(text)
        assert ours.take(b"a", 0, sys.maxsize, None, 0) == 1
        assert ours.take(b"b", 0, sys.maxsize, None, 1) == 1
        assert ours.finish() == message


# ------------------------------------------------------------------------------------------------------ UTF-8


@pytest.mark.parametrize(
    "bad",
    [b"\xff", b"\x80", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x28\xa1", b"\xf0\x9f\x98a"],
    ids=bytes.hex,
)
@pytest.mark.parametrize("place", [0, 1, 2, 3, 15, 16, 31, 32, 33, 63, 64, 65, 100])
def test_payload_text_fails_at_the_first_wrong_byte(payload: Any, bad: bytes, place: int) -> None:
    for filler in ("a", "é", "€"):
        data = (filler * 101).encode()[: place - place % len(filler.encode())] + bad + b"more"
        ours = payload(True)
        for i in range(len(data)):
            ours.take(mask(data[i : i + 1], KEY, i), 0, len(data) - i, KEY, i)
            assert ours.valid is can_begin(data[: i + 1])
        assert ours.finish() is None
        for cut in range(len(data) + 1):
            ours = payload(True)
            fill(ours, pieces_of(data, [cut]), KEY)
            assert not ours.valid
            assert ours.finish() is None


def test_payload_text_that_ends_within_a_character(payload: Any) -> None:
    data = (MIXED * 3).encode()
    for end in range(len(data)):
        for cut in (0, end // 2, end):
            ours = payload(True)
            fill(ours, pieces_of(data[:end], [cut]), KEY)
            assert ours.valid
            assert ours.finish() == (data[:end].decode() if is_valid(data[:end]) else None)


def test_payload_text_that_failed_stays_failed(payload: Any) -> None:
    ours = payload(True)
    fill(ours, [b"\xff"])
    fill(ours, [b"all right"])
    assert not ours.valid
    assert ours.finish() is None
    assert ours.finish() is None


def test_payload_text_goes_on_where_it_could_not_end(payload: Any) -> None:
    ours = payload(True)
    fill(ours, [b"\xe2\x82"])
    assert ours.finish() is None
    fill(ours, [b"\xac"])
    assert ours.finish() == "€"


def test_payload_binary_is_never_refused(payload: Any) -> None:
    ours = payload(False)
    fill(ours, [b"\xff", b"\xc0\x80"])
    assert ours.valid
    assert ours.finish() == b"\xff\xc0\x80"


# ------------------------------------------------------------------------------------- whose memory it is


@pytest.mark.parametrize("text", [False, True], ids=["binary", "text"])
@pytest.mark.parametrize("size", [1, 2, 10, 64, 100, 500, 520, 5000, 70_000, 300_000])
def test_payload_message_is_an_object_like_any_other(payload: Any, text: bool, size: int) -> None:
    """Neither larger than it must be, nor known to anybody else, nor different in its hash."""
    data = bytes(97 + i % 26 for i in range(size))
    for cuts in ([], [1], [size // 2], range(0, size, 9 * size // 10 + 1), [size // 5, size // 4]):
        message = message_of(payload(text), pieces_of(data, cuts), KEY)
        expected = data.decode() if text else data
        assert type(message) is type(expected)
        assert message == expected
        assert hash(message) == hash(expected)
        assert len(message) == size
        assert message[-1:] == expected[-1:]
        assert message + message == expected + expected
        assert sys.getsizeof(message) == sys.getsizeof(expected)
        fresh = bytes(size + 2)
        if size > 1:
            assert sys.getrefcount(message) == sys.getrefcount(fresh)
        if isinstance(message, str):
            assert message.isascii()
            assert message.encode() == data


@pytest.mark.parametrize("text", [False, True], ids=["binary", "text"])
def test_payload_delivered_is_never_written_to_again(payload: Any, text: bool) -> None:
    ours = payload(text)
    delivered = []
    for number in range(200):
        data = b"%d " % number * (number % 7 * 300 + 1)
        delivered.append((message_of(ours, pieces_of(data, [len(data) // 2]), KEY), data))
    for message, data in delivered:
        assert message == (data.decode() if text else data)


@pytest.mark.parametrize("text", [False, True], ids=["binary", "text"])
def test_payload_leaves_its_input_alone(payload: Any, text: bool) -> None:
    data = bytearray(mask(b"a" * 1000, KEY))
    before = bytes(data)
    ours = payload(text)
    ours.take(data, 0, 1000, KEY, 0)
    assert data == before
    data[:] = bytes(1000)
    data.extend(b"more")  # BufferError, were there an export
    assert ours.finish() == ("a" * 1000 if text else b"a" * 1000)


@pytest.mark.parametrize("text", [False, True], ids=["binary", "text"])
@pytest.mark.parametrize("size", [1, 100, 100_000])
def test_payload_given_up_frees_its_memory(payload: Any, text: bool, size: int) -> None:
    def give_up() -> None:
        ours = payload(text)
        fill(ours, [bytes(size), b"\xff" * size])

    give_up()
    tracemalloc.start()
    try:
        for _ in range(50):
            give_up()
        assert tracemalloc.get_traced_memory()[0] < 5000 + size
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("text", [False, True], ids=["binary", "text"])
def test_payload_promise_costs_nothing(payload: Any, text: bool) -> None:
    ours = payload(text)
    tracemalloc.start()
    try:
        ours.take(b"0123456789", 0, 16 << 20, None, 0)
        assert tracemalloc.get_traced_memory()[1] < 1000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("size", [1, 10, 1000, 5000])
@pytest.mark.parametrize("promised", [False, True], ids=["fragments", "one-frame"])
@pytest.mark.parametrize("text", [False, True], ids=["binary", "text"])
def test_payload_costs_twice_what_arrived_at_most(payload: Any, text: bool, promised: bool, size: int) -> None:
    ours = payload(text)
    piece = b"a" * size
    ours.take(piece, 0, 1 << 40 if promised else size, None, 0)
    tracemalloc.start()
    try:
        for done in range(size, 1000 * size, size):
            ours.take(piece, 0, (1 << 40) - done if promised else size, None, done if promised else 0)
            assert tracemalloc.get_traced_memory()[0] <= 2 * (done + size) + 1000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("cut", [False, True], ids=["whole", "cut"])
@pytest.mark.parametrize("text", [False, True], ids=["binary", "text"])
def test_payload_moves_its_bytes_seldom(payload: Any, text: bool, cut: bool) -> None:
    """Were room made for one fragment at a time, all bytes before it would move again with each."""
    ours = payload(text)
    pieces = [b"a" * 50, b"a" * 50] if cut else [b"a" * 100]
    sizes = [0] * 1000
    tracemalloc.start()
    try:
        for number in range(1000):
            fill(ours, pieces)
            sizes[number] = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    # What is kept of the sizes is less than 64 bytes each.
    assert sum(after - before > 64 for before, after in itertools.pairwise(sizes)) < 200


def test_payload_known_size_is_not_exceeded(payload: Any) -> None:
    size = 100_000
    for text in (False, True):
        ours = payload(text)
        tracemalloc.start()
        try:
            fill(ours, [b"a" * 60_000, b"b" * 20_000, b"c" * 20_000])
            assert tracemalloc.get_traced_memory()[0] < size + 3000
            message = ours.finish()
            assert len(message) == size
        finally:
            tracemalloc.stop()


# --------------------------------------------------------------------------------------------------- arguments


@pytest.mark.parametrize("kind", READABLE)
def test_payload_takes_any_buffer(payload: Any, kind: str) -> None:
    data = b"sixteen letters!" * 20
    ours = payload(True)
    assert ours.take(READABLE[kind](mask(data, KEY)), 16, 1000, KEY, 16) == 304
    assert ours.finish() == data[16:].decode()


@pytest.mark.parametrize("kind", EMPTY)
def test_payload_takes_empty_buffers(payload: Any, kind: str) -> None:
    ours = payload(False)
    assert ours.take(EMPTY[kind](), 0, 10, KEY, 0) == 0
    assert ours.finish() == b""


@pytest.mark.parametrize("kind", UNREADABLE)
def test_payload_refuses_what_is_no_buffer(payload: Any, kind: str) -> None:
    ours = payload(False)
    fill(ours, [b"kept"])
    with pytest.raises(TypeError, match=r"^a C-contiguous bytes-like object is required"):
        ours.take(UNREADABLE[kind][0], 0, 1, KEY, 0)
    assert ours.finish() == b"kept"


@pytest.mark.parametrize(("start", "length"), [(-1, 1), (0, -1), (-(1 << 40), 0)])
def test_payload_refuses_negative_places(payload: Any, start: int, length: int) -> None:
    with pytest.raises(ValueError, match=f"^start or length is negative: {start}, {length}$"):
        payload(False).take(b"abc", start, length, None, 0)


@pytest.mark.parametrize("offset", [0, 1, 2, 3, 4, 5, 1 << 40, -1])
def test_payload_masking_phase(payload: Any, offset: int) -> None:
    data = some_bytes(100)
    ours = payload(False)
    ours.take(data, 0, 100, KEY, offset)
    assert ours.finish() == mask(data, KEY, offset)


# ------------------------------------------------------------------------------------------------------ chunks

SMALL = ["a", b"b", "é", bytearray(b"c"), memoryview(b"d"), "", b""]
LARGE = [b"x" * 100, "y" * 100, "é" * 100, "y" * 101]


def wire(message: Any) -> bytes:
    """Return a server's frame."""
    data = message.encode() if isinstance(message, str) else bytes(message)
    return header(0x80 | (TEXT if isinstance(message, str) else BINARY), len(data)) + data


@pytest.mark.parametrize("seed", range(30))
def test_pack_chunks_is_what_all_of_them_are(pack_chunks: Any, seed: int) -> None:
    rng = random.Random(seed)
    messages = [rng.choice(SMALL + LARGE) for _ in range(rng.randrange(12))]
    chunks = pack_chunks(messages, 100)
    assert b"".join(chunks) == b"".join(map(wire, messages))
    assert all(isinstance(chunk, bytes | memoryview) and len(chunk) for chunk in chunks)
    assert all(type(a) is bytes or type(b) is bytes for a, b in itertools.pairwise(chunks))


def test_pack_chunks_puts_the_small_together(pack_chunks: Any) -> None:
    assert pack_chunks([], 100) == []
    assert len(pack_chunks(SMALL, 100)) == 1
    large = LARGE[0]
    chunks = pack_chunks([*SMALL, large, large, *SMALL], 100)
    assert [len(chunk) for chunk in chunks] == [len(chunks[0]), 2, 100, 2, 100, len(chunks[0])]
    assert chunks[2] is large
    assert chunks[4] is large


@pytest.mark.parametrize("least", [99, 100, 101])
@pytest.mark.parametrize("message", [b"x" * 100, "x" * 100, "é" * 100], ids=["bytes", "ascii", "text"])
def test_pack_chunks_threshold(pack_chunks: Any, message: Any, least: int) -> None:
    chunks = pack_chunks([message], least)
    assert len(chunks) == (1 if least > 100 else 2)
    assert b"".join(chunks) == wire(message)


def test_pack_chunks_copies_what_can_change(pack_chunks: Any) -> None:
    changing = bytearray(b"x" * 100)
    kinds: list[Any] = [changing, memoryview(changing), type("Bytes", (bytes,), {})(changing)]
    chunks = pack_chunks(kinds, 10)
    changing[:] = bytes(100)
    kinds.clear()
    changing.extend(b"more")  # BufferError, were there an export
    assert b"".join(chunks) == wire(b"x" * 100) * 3


def test_pack_chunks_of_a_subclass_of_str(pack_chunks: Any) -> None:
    message = type("Text", (str,), {})("x" * 100)
    assert b"".join(pack_chunks([message], 10)) == wire("x" * 100)


def test_pack_chunks_view_of_text(pack_chunks: Any) -> None:
    """It is read-only, flat bytes, and keeps the text."""
    view = pack_chunks(["".join(["ab"] * 5000)], 100)[1]
    assert isinstance(view, memoryview)
    assert (view.readonly, view.format, view.ndim, view.itemsize, view.nbytes) == (True, "B", 1, 1, 10_000)
    others = [bytes(10_049) for _ in range(20)]
    assert view == b"ab" * 5000
    assert bytes(view[9_998:]) == b"ab"
    with pytest.raises(TypeError):
        view[0] = 1
    del others


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("message", [b"x" * 1_000_000, "x" * 1_000_000], ids=["bytes", "ascii"])
def test_pack_chunks_copies_no_large_payload(impl: Implementation, message: Any) -> None:
    if impl.kernel is None and isinstance(message, str):
        pytest.skip("pure Python can't look into a str")
    pack = impl.twin("pack_chunks")
    tracemalloc.start()
    try:
        chunks = pack([message], 1000)  # type: ignore[operator]
        assert tracemalloc.get_traced_memory()[1] < 2000
    finally:
        tracemalloc.stop()
    assert next(iter(frames_of(b"".join(chunks)))).payload == bytes(wire(message)[10:])


def test_pack_chunks_refuses_as_a_whole(pack_chunks: Any) -> None:
    for bad in ("\ud800", "\ud800" * 200, "é" * 200 + "\udfff"):
        with pytest.raises(UnicodeEncodeError):
            pack_chunks([b"x" * 200, bad], 100)
    for bad in (7, None, ["a"]):
        with pytest.raises(TypeError, match=r"^a message is a str or a bytes-like object, not"):
            pack_chunks([b"x" * 200, bad], 100)
