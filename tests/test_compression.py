"""Payloads deflated and inflated (RFC 7692 §7.2): right, bounded, linear, and apart from each other."""

from __future__ import annotations

import contextlib
import random
import threading
import tracemalloc
import types
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference.inflate import inflate as reference
from websockets.extensions.permessage_deflate import PerMessageDeflate as WebsocketsDeflate
from websockets.frames import Frame, Opcode
from wsproto.extensions import PerMessageDeflate as WsprotoDeflate
from wsproto.frame_protocol import FrameDecoder, RsvBits
from wsproto.frame_protocol import Opcode as WsprotoOpcode

from wscodec import compression
from wscodec.compression import Deflater, FreshInflater, Inflater, Setting, SharedDeflater, default_engine
from wscodec.errors import InvalidDeflate, MessageTooBig

TAIL = b"\x00\x00\xff\xff"
HELLO = bytes.fromhex("f248cdc9c90700")  # RFC 7692 §7.2.3.1
ENGINES: list[Any] = [zlib]
try:
    from zlib_ng import zlib_ng
except ImportError:
    pass
else:
    ENGINES.append(zlib_ng)

PAIRS = [(Deflater, Inflater), (SharedDeflater, FreshInflater)]
pairs = pytest.mark.parametrize(("deflating", "inflating"), PAIRS, ids=["takeover", "no_takeover"])
engines = pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.__name__)
inflaters = pytest.mark.parametrize("kind", [Inflater, FreshInflater])
deflaters = pytest.mark.parametrize("kind", [Deflater, SharedDeflater])


def setting(window_bits: int = 15, level: int = 6, mem_level: int = 8, engine: Any = zlib) -> Setting:
    return Setting(engine, window_bits, level, mem_level)


def deflate(data: bytes, window_bits: int = 15, flush: int = zlib.Z_SYNC_FLUSH) -> bytes:
    """Return a message as the RFC has it made, by zlib alone."""
    compressor = zlib.compressobj(6, zlib.DEFLATED, -window_bits)
    payload = compressor.compress(data) + compressor.flush(flush)
    return payload.removesuffix(TAIL) if flush == zlib.Z_SYNC_FLUSH else payload


def like_zlib() -> Any:
    """Return another module of the same shape."""
    engine = types.ModuleType("like_zlib")
    vars(engine).update(vars(zlib))
    return engine


ENGLISH = (
    b"Alice was beginning to get very tired of sitting by her sister on the bank, and of having nothing to do: " * 2
)


def text(size: int, seed: int = 1) -> bytes:
    """Return bytes that refer far back when they are deflated."""
    source = random.Random(seed)
    words = [source.randbytes(source.randrange(3, 40)) for _ in range(60)]
    return b"".join(source.choices(words, k=size // 10 + 1))[:size]


def take(inflater: Inflater, parts: list[bytes], limit: int) -> bytes:
    """Inflate one message that comes in parts."""
    said = b""
    for index, part in enumerate(parts):
        said += inflater.inflate(part, limit - len(said), fin=index == len(parts) - 1)
    return said


def cuts(data: bytes) -> Iterator[list[bytes]]:
    """Yield `data` whole, byte by byte, in every two parts, and with empty parts."""
    yield [data]
    yield [data[i : i + 1] for i in range(len(data))] or [b""]
    for i in range(len(data) + 1):
        yield [data[:i], data[i:]]
    yield [b"", data, b""]


# ------------------------------------------------------------------------------------------ the examples of the RFC


@inflaters
@engines
@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ("f248cdc9c90700", b"Hello"),  # §7.2.3.1
        ("000500faff48656c6c6f00", b"Hello"),  # §7.2.3.3: a block that is not compressed
        ("f348cdc9c9070000", b"Hello"),  # §7.2.3.4: BFINAL
        ("f248050000 00ffffcac9c90700", b"Hello"),  # §7.2.3.5: two blocks
        ("00", b""),  # §7.2.3.6
    ],
)
def test_examples_of_the_rfc(kind: type[Inflater], engine: Any, payload: str, message: bytes) -> None:
    for parts in cuts(bytes.fromhex(payload)):
        inflater = kind(engine, 15)
        for _ in range(3):
            assert take(inflater, parts, 5) == message
        assert take(inflater, [HELLO], 5) == b"Hello"


def test_example_of_the_rfc_with_takeover() -> None:
    """§7.2.3.2: the second Hello refers to the first."""
    inflater = Inflater(zlib, 15)
    assert inflater.inflate(HELLO, 5, fin=True) == b"Hello"
    assert inflater.inflate(bytes.fromhex("f200110000"), 5, fin=True) == b"Hello"
    deflater = Deflater(setting(), 0)
    assert deflater.deflate_part(b"Hello", fin=True) == HELLO
    assert deflater.deflate_part(b"Hello", fin=True) == bytes.fromhex("f200110000")
    fresh = SharedDeflater(setting(), 0)
    assert [fresh.deflate_part(b"Hello", fin=True) for _ in range(2)] == [HELLO, HELLO]


@deflaters
def test_empty_message_is_the_byte_of_the_rfc(kind: type[Deflater]) -> None:
    """§7.2.3.6; as a whole message it would have grown, and is sent as it is."""
    deflater = kind(setting(), 0)
    for _ in range(3):
        assert deflater.deflate(b"") is None
        assert deflater.deflate_part(b"", fin=True) == b"\x00"
    assert deflater.deflate(b"a" * 100) is not None
    assert deflater.deflate_part(b"", fin=True) == b"\x00"


# ------------------------------------------------------------------------------------------------------- round trips

messages = st.lists(
    st.binary(max_size=60)
    | st.builds(text, st.integers(0, 3000), st.integers(0, 3))
    | st.builds(bytes.__mul__, st.binary(max_size=5), st.integers(0, 2000)),
    max_size=6,
)


@pairs
@engines
@given(messages, st.integers(9, 15), st.integers(0, 9), st.integers(1, 9), st.booleans())
def test_deflated_is_inflated_by_zlib(
    deflating: type[Deflater],
    inflating: type[Inflater],
    engine: Any,
    sent: list[bytes],
    window_bits: int,
    level: int,
    mem_level: int,
    in_parts: bool,
) -> None:
    """zlib itself is the oracle; with no takeover it is a new one for each message."""
    deflater = deflating(setting(window_bits, level, mem_level, engine), 0)
    inflater = inflating(engine, window_bits)
    oracle = zlib.decompressobj(-window_bits)
    for message in sent:
        if in_parts:
            middle = len(message) // 2
            payload: bytes | None = deflater.deflate_part(message[:middle], fin=False) + deflater.deflate_part(
                message[middle:], fin=True
            )
        else:
            payload = deflater.deflate(message)
        if payload is None:
            continue
        if inflating is FreshInflater:
            oracle = zlib.decompressobj(-window_bits)
        assert not payload.endswith(TAIL)
        assert oracle.decompress(payload + TAIL) == message
        assert inflater.inflate(payload, len(message), fin=True) == message


@pairs
@engines
@given(messages, st.integers(9, 15), st.data())
def test_what_zlib_deflates_is_inflated(
    deflating: type[Deflater], inflating: type[Inflater], engine: Any, sent: list[bytes], window_bits: int, data: Any
) -> None:
    """The messages of a peer that uses all that was agreed, cut anywhere, a limit that is met and one that is not."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -window_bits)
    inflater = inflating(engine, window_bits)
    for message in sent:
        if inflating is FreshInflater:
            compressor = zlib.compressobj(9, zlib.DEFLATED, -window_bits)
        payload = (compressor.compress(message) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(TAIL)
        if not payload:
            continue
        places = sorted(data.draw(st.lists(st.integers(0, len(payload)), max_size=4)))
        parts = [payload[i:j] for i, j in zip([0, *places], [*places, len(payload)], strict=True)]
        assert take(inflater, parts, len(message)) == message
    if sent and sent[-1]:
        lower = inflating(engine, window_bits)
        with pytest.raises(MessageTooBig):
            take(lower, [deflate(sent[-1], window_bits)], len(sent[-1]) - 1)


@pairs
@pytest.mark.parametrize("window_bits", range(9, 16))
@engines
def test_window_is_kept(deflating: type[Deflater], inflating: type[Inflater], engine: Any, window_bits: int) -> None:
    """What we deflate refers no further back than was agreed: the reference measures it."""
    sizes = [700, 5, 3 << window_bits, 900]
    for level in (1, 4, 6, 9):
        deflater = deflating(setting(window_bits, level, 8, engine), 0)
        sent = [text(min(size, 70_000), 5) for size in sizes]
        payloads = [deflater.deflate_part(message, fin=True) for message in sent]
        streams = [b"".join(payload + TAIL for payload in payloads)]
        if deflating is SharedDeflater:
            streams = [payload + TAIL for payload in payloads]
        told = [reference(stream) for stream in streams]
        assert b"".join(one.data for one in told) == b"".join(sent)
        # zlib and zlib-ng never use the last 262 bytes of the window, of which a window of 8 bits would have no others.
        assert max(one.distance for one in told) <= (1 << window_bits) - 262


@pairs
@pytest.mark.parametrize("window_bits", range(8, 16))
def test_every_cut(deflating: type[Deflater], inflating: type[Inflater], window_bits: int) -> None:
    message = text(300) + b"a" * 700
    payload = deflate(message, max(window_bits, 9))
    inflater = inflating(zlib, window_bits)
    for parts in cuts(payload):
        for kind in (bytes, memoryview):
            assert take(inflater, [kind(part) for part in parts], len(message)) == message  # type: ignore[misc]


def test_window_of_8_bits_can_be_inflated_and_not_deflated() -> None:
    """websockets 410: `compressobj(wbits=-8)` raises ValueError, `decompressobj(wbits=-8)` works."""
    for engine in ENGINES:
        assert Inflater(engine, 8).inflate(HELLO, 5, fin=True) == b"Hello"
        with pytest.raises(ValueError, match="Invalid"):
            setting(8, engine=engine).compressor()


# ------------------------------------------------------------------------------------------------------------ limits


@pairs
@engines
@pytest.mark.parametrize("size", [1, 2, 100, 32766, 32767, 32768, 32769, 65535, 65536, 65537, 100_000, 300_000])
def test_limit_is_met_to_the_byte(deflating: type[Deflater], inflating: type[Inflater], engine: Any, size: int) -> None:
    """At the limit, one below and one above; sizes at the edges of the pieces that are inflated at a time."""
    for message in (b"\x01" * size, text(size, size)):
        payload = deflate(message)
        for parts in ([payload], [payload[:-1], payload[-1:]], [payload, b""]):
            for limit in (size, size + 1):
                assert take(inflating(engine, 15), parts, limit) == message
            with pytest.raises(MessageTooBig) as caught:
                take(inflating(engine, 15), parts, size - 1)
            assert caught.value.close_code == 1009


@inflaters
def test_output_pending_with_an_empty_tail_is_not_lost(kind: type[Inflater]) -> None:
    """websockets 1715: `unconsumed_tail` is empty while output is pending, and the message comes out cut."""
    for limit, message in ((32768, b"\x01" * 32769), (65536, b"\x01" * 65538)):
        stream = zlib.decompressobj(-15)
        payload = deflate(message)
        assert len(stream.decompress(payload, limit)) == limit
        assert stream.unconsumed_tail == b""
        assert stream.decompress(TAIL, limit) == message[limit:]
        with pytest.raises(MessageTooBig):
            kind(zlib, 15).inflate(payload, limit, fin=True)
        assert kind(zlib, 15).inflate(payload, len(message), fin=True) == message


@inflaters
def test_limit_of_nothing_is_a_limit(kind: type[Inflater]) -> None:
    """`decompress(data, 0)` means no limit at all."""
    assert kind(zlib, 15).inflate(b"\x00", 0, fin=True) == b""
    with pytest.raises(MessageTooBig):
        kind(zlib, 15).inflate(HELLO, 0, fin=True)


@inflaters
def test_limit_runs_across_fragments(kind: type[Inflater]) -> None:
    message = text(5000)
    payload = deflate(message)
    third = len(payload) // 3
    parts = [payload[:third], payload[third : 2 * third], payload[2 * third :]]
    assert take(kind(zlib, 15), parts, 5000) == message
    with pytest.raises(MessageTooBig):
        take(kind(zlib, 15), parts, 4999)
    with pytest.raises(MessageTooBig):
        kind(zlib, 15).inflate(parts[0], 10, fin=False)


@inflaters
@engines
def test_bomb_of_100_mib_takes_no_more_than_the_limit(kind: type[Inflater], engine: Any) -> None:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    zeros = bytes(1 << 20)
    bomb = b"".join(compressor.compress(zeros) for _ in range(100)) + compressor.flush(zlib.Z_SYNC_FLUSH)[:-4]
    assert len(bomb) < 110_000
    limit = 1 << 20
    tracemalloc.start()
    try:
        # What a first fragment says within the limit is the message's, and put together twice.
        for parts, most in (([bomb], limit), ([bomb[:1000], bomb[1000:]], 2 * limit)):
            inflater = kind(engine, 15)
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
            with pytest.raises(MessageTooBig):
                take(inflater, parts, limit)
            _, peak = tracemalloc.get_traced_memory()
            assert peak - before < most + (1 << 18)
    finally:
        tracemalloc.stop()


class CountingStream:
    """A decompressor that counts the bytes that it is given, gives, and copies out for later."""

    def __init__(self, stream: Any, steps: list[int]) -> None:
        self.stream = stream
        self.steps = steps

    def decompress(self, data: bytes, most: int) -> bytes:
        said: bytes = self.stream.decompress(data, most)
        # Every call costs as much as some hundred bytes.
        self.steps.append(100 + len(data) + len(said) + len(self.stream.unconsumed_tail))
        if self.stream.eof:
            self.steps.append(len(self.stream.unused_data))
        return said

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def counting(steps: list[int]) -> Any:
    """Return an engine whose decompressors count."""
    engine = like_zlib()

    def decompressobj(window_bits: int) -> CountingStream:
        steps.append(1000)
        return CountingStream(zlib.decompressobj(window_bits), steps)

    engine.decompressobj = decompressobj
    return engine


@inflaters
@pytest.mark.parametrize(
    "unit", [random.Random(1).randbytes(1000), bytes(1000), ENGLISH], ids=["noise", "zeros", "text"]
)
def test_inflating_takes_linear_steps(kind: type[Inflater], unit: bytes) -> None:
    """`unconsumed_tail` and `unused_data` are copies: fed whole, a long message would be copied again and again."""
    for count in (10, 100, 2000):
        steps: list[int] = []
        payload = deflate(unit * count)
        assert kind(counting(steps), 15).inflate(payload, len(unit) * count, fin=True) == unit * count
        assert sum(steps) <= 4 * (len(payload) + len(unit) * count) + 3000


@inflaters
def test_streams_that_end_are_counted(kind: type[Inflater]) -> None:
    """One fits into two bytes, and costs thousands of times as much."""
    end = b"\x03\x00"
    inflater = kind(zlib, 15)
    for _ in range(2):
        # Not from message to message.
        for parts in ([end * 4097, b""], [end * 4096], [end * 2048] * 2, [end * 4096, b"\x00"], [end * 4096 + b"\x00"]):
            assert take(inflater, parts, 0) == b""
    for parts in ([end * 4098], [end * 2048, b"", end * 2051], [end * 4098, HELLO]):
        with pytest.raises(MessageTooBig, match="4096 streams"):
            take(kind(zlib, 15), parts, 0)
    steps: list[int] = []
    with pytest.raises(MessageTooBig):
        kind(counting(steps), 15).inflate(end * (1 << 20), 0, fin=True)
    assert sum(steps) <= 4097 * (1000 + 100 + 2 * compression._STEP)


# ------------------------------------------------------------------------------------------------------------ BFINAL


@inflaters
@engines
def test_bfinal_is_gone_on_from(kind: type[Inflater], engine: Any) -> None:
    """RFC 7692 §7.2.3.4: after such a block `eof` is true, later messages came out empty, and `unused_data` grew."""
    final = deflate(b"Hello", flush=zlib.Z_FINISH)
    inflater = kind(engine, 15)
    for payload in (final + b"\x00", final, HELLO, final + b"\x00", HELLO, final + HELLO, HELLO + TAIL + final):
        for parts in cuts(payload):
            assert take(inflater, parts, 100) in (b"Hello", b"HelloHello")
    assert inflater._stream is None or not inflater._stream.unused_data


def test_bfinal_empties_the_window() -> None:
    """As in browsers: who ends a stream has nothing to refer to either."""
    compressor = zlib.compressobj(6, zlib.DEFLATED, -15)
    first = compressor.compress(b"Hello") + compressor.flush(zlib.Z_SYNC_FLUSH)
    second = compressor.compress(b"Hello") + compressor.flush(zlib.Z_SYNC_FLUSH)
    inflater = Inflater(zlib, 15)
    assert inflater.inflate(first[:-4], 5, fin=True) == b"Hello"
    assert inflater.inflate(deflate(b"x", flush=zlib.Z_FINISH), 5, fin=True) == b"x"
    with pytest.raises(InvalidDeflate):
        inflater.inflate(second[:-4], 5, fin=True)


@inflaters
@engines
def test_bfinal_within_a_message_counts_against_the_limit(kind: type[Inflater], engine: Any) -> None:
    payload = deflate(b"a" * 1000, flush=zlib.Z_FINISH) * 10
    assert kind(engine, 15).inflate(payload, 10_000, fin=True) == b"a" * 10_000
    with pytest.raises(MessageTooBig):
        kind(engine, 15).inflate(payload, 9999, fin=True)


@inflaters
def test_bfinal_keeps_no_input(kind: type[Inflater]) -> None:
    """20 MB of input behind a BFINAL block were kept, and every limit passed by."""
    inflater = kind(zlib, 15)
    inflater.inflate(deflate(b"Hello", flush=zlib.Z_FINISH), 5, fin=False)
    for _ in range(1000):
        assert inflater.inflate(deflate(b"a" * 1000) + TAIL, 1000, fin=False) == b"a" * 1000
        assert not inflater._stream.unused_data
    with pytest.raises(MessageTooBig):
        inflater.inflate(deflate(b"a" * 1000), 999, fin=False)


# ----------------------------------------------------------------------------------------------------------- garbage


@inflaters
@engines
def test_garbage_at_each_place(kind: type[Inflater], engine: Any) -> None:
    """Whatever stands where, it is a message within the limit or a typed error; zlib.error is not a ValueError."""
    payload = deflate(text(60) + b"a" * 40)
    errors: list[InvalidDeflate | MessageTooBig] = []
    for place in range(len(payload)):
        for wrong in (0x00, 0x06, 0x55, 0xFF, payload[place] ^ 1, payload[place] ^ 0x80):
            broken = payload[:place] + bytes([wrong]) + payload[place + 1 :]
            inflater = kind(engine, 15)
            try:
                assert len(inflater.inflate(broken, 5000, fin=True)) <= 5000
            except (InvalidDeflate, MessageTooBig) as error:
                errors.append(error)
    assert len(errors) > len(payload)
    assert {error.close_code for error in errors} == {1007}
    assert all(error.__suppress_context__ for error in errors if error.__context__)


@inflaters
@engines
@given(st.lists(st.binary(max_size=40), max_size=4))
def test_any_garbage(kind: type[Inflater], engine: Any, parts: list[bytes]) -> None:
    inflater = kind(engine, 15)
    with contextlib.suppress(InvalidDeflate, MessageTooBig):
        assert len(take(inflater, parts, 100)) <= 100


@inflaters
@pytest.mark.parametrize("payload", [b"\x07", b"\xff\xff", HELLO + b"\xff", b"Hello", HELLO[:-1] + b"\xff" * 9])
def test_garbage_is_1007(kind: type[Inflater], payload: bytes) -> None:
    for parts in cuts(payload):
        with pytest.raises(InvalidDeflate) as caught:
            take(kind(zlib, 15), parts, 1000)
        assert caught.value.close_code == 1007


@engines
def test_truncated_block_is_noticed(engine: Any) -> None:
    """`f2 48` and the tail come out as b"H`" and no error."""
    assert zlib.decompressobj(-15).decompress(bytes.fromhex("f248") + TAIL) == b"H`"
    payload = deflate(ENGLISH)
    for end in range(1, len(payload)):
        with pytest.raises(InvalidDeflate):
            FreshInflater(engine, 15).inflate(payload[:end], 1000, fin=True)
    with pytest.raises(InvalidDeflate):
        FreshInflater(engine, 15).inflate(bytes.fromhex("f248"), 5, fin=True)


@engines
def test_truncated_block_is_noticed_mostly_with_takeover(engine: Any) -> None:
    """Asking the decompressor costs a copy of it, so it is asked only where the last byte can't be the right one."""
    with pytest.raises(InvalidDeflate):
        Inflater(engine, 15).inflate(bytes.fromhex("f248"), 5, fin=True)
    payload = deflate(ENGLISH)
    passed = 0
    for end in range(1, len(payload)):
        try:
            Inflater(engine, 15).inflate(payload[:end], 1000, fin=True)
        except InvalidDeflate:
            continue
        passed += 1
    assert passed < len(payload) / 4


def test_engine_whose_streams_can_not_be_copied_is_not_asked() -> None:
    engine = like_zlib()
    engine.decompressobj = lambda bits: types.SimpleNamespace(
        decompress=zlib.decompressobj(bits).decompress, eof=False, unconsumed_tail=b""
    )
    assert Inflater(engine, 15).inflate(bytes.fromhex("f248"), 5, fin=True) == b"H`"


@inflaters
def test_padding_that_is_not_zero_is_padding(kind: type[Inflater]) -> None:
    """RFC 1951 §3.2.4: what is between a stored block's header and its length is ignored."""
    stored = bytes.fromhex("000500faff48656c6c6f")
    inflater = kind(zlib, 15)
    for padding in (0x00, 0xF8, 0x80, 0x08):
        assert inflater.inflate(stored + bytes([padding]), 5, fin=True) == b"Hello"
        assert inflater.inflate(HELLO, 5, fin=True) == b"Hello"


def test_window_larger_than_agreed_is_1007() -> None:
    """websockets 665: zlib's "invalid distance too far back" escaped."""
    inflater = Inflater(zlib, 9)
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    said = random.Random(5).randbytes(600)
    first, second = (compressor.compress(said) + compressor.flush(zlib.Z_SYNC_FLUSH) for _ in range(2))
    assert inflater.inflate(first[:-4], 600, fin=True) == said
    with pytest.raises(InvalidDeflate):
        inflater.inflate(second[:-4], 600, fin=True)


def test_takeover_that_was_ruled_out_is_1007() -> None:
    inflater = FreshInflater(zlib, 15)
    assert inflater.inflate(HELLO, 5, fin=True) == b"Hello"
    with pytest.raises(InvalidDeflate):
        inflater.inflate(bytes.fromhex("f200110000"), 5, fin=True)


def test_message_of_no_bytes_is_empty() -> None:
    """Not as the RFC has it, but what it means is plain; the tail alone would leave the stream within a block."""
    for kind in (Inflater, FreshInflater):
        inflater = kind(zlib, 15)
        for payload, message in ((b"", b""), (HELLO, b"Hello"), (b"", b""), (HELLO, b"Hello")):
            assert inflater.inflate(payload, 5, fin=True) == message


# --------------------------------------------------------------------------------------------------- what is not sent


@deflaters
@engines
def test_threshold(kind: type[Deflater], engine: Any) -> None:
    deflater = kind(setting(engine=engine), 100)
    assert deflater.deflate(b"a" * 99) is None
    assert deflater._compressor is None
    assert deflater.deflate(b"a" * 100) is not None
    assert deflater.deflate(b"a" * 101) is not None


@pairs
@engines
@pytest.mark.parametrize("size", [1, 10, 1000, 70_000])
def test_what_grew_is_not_sent_and_not_referred_to(
    deflating: type[Deflater], inflating: type[Inflater], engine: Any, size: int
) -> None:
    """The peer has not got it, so what follows must not refer to it; nor is what came before confused."""
    noise = random.Random(size).randbytes(size)
    for before in (False, True):
        told = False
        deflater, inflater = deflating(setting(engine=engine), 0), inflating(engine, 15)
        for message in (*([b"abc" * 40] if before else []), noise, noise + b"abc" * 40, b"abc" * 40, noise * 2, noise):
            payload = deflater.deflate(message)
            if message is noise and not told:
                assert payload is None
            if payload is not None:
                told = told or message.startswith(noise)
                assert len(payload) < len(message)
                assert inflater.inflate(payload, len(message), fin=True) == message


@engines
def test_forget(engine: Any) -> None:
    """A message that comes from another compressor goes between: the peer's window has it, and ours has not."""
    message, prepared = text(500, 1), SharedDeflater(setting(engine=engine), 0).deflate(text(500, 2))
    assert prepared is not None
    deflater, inflater = Deflater(setting(engine=engine), 0), Inflater(engine, 15)
    deflater.forget()
    for _ in range(3):
        payload = deflater.deflate(message)
        assert payload is not None
        assert inflater.inflate(payload, 500, fin=True) == message
        assert inflater.inflate(prepared, 500, fin=True) == text(500, 2)
        deflater.forget()


def test_message_in_between_without_forgetting_is_a_fault() -> None:
    """What `forget` is for."""
    message, prepared = text(500, 1), SharedDeflater(setting(), 0).deflate(text(500, 2))
    assert prepared is not None
    deflater, inflater = Deflater(setting(), 0), Inflater(zlib, 15)
    for expected in (True, False):
        payload = deflater.deflate(message)
        assert payload is not None
        assert (inflater.inflate(payload, 500, fin=True) == message) is expected
        inflater.inflate(prepared, 500, fin=True)


# --------------------------------------------------------------------------------------------- memory and other threads


@deflaters
def test_objects_are_made_when_they_are_needed(kind: type[Deflater]) -> None:
    made: list[str] = []

    def note(what: str, make: Any) -> Any:
        return lambda *arguments: made.append(what) or make(*arguments)

    engine = like_zlib()
    engine.compressobj = note("compressor", zlib.compressobj)
    engine.decompressobj = note("decompressor", zlib.decompressobj)
    first, second = kind(Setting(engine, 12, 6, 5), 50), kind(Setting(engine, 12, 6, 5), 50)
    inflater = (Inflater if kind is Deflater else FreshInflater)(engine, 12)
    first.deflate(b"a")
    assert made == []
    for deflater in (first, second, first):
        payload = deflater.deflate(b"a" * 100)
        assert payload is not None
    assert made == (["compressor"] * 2 if kind is Deflater else ["compressor"])
    made.clear()
    for fin in (True, False, True):
        inflater.inflate(b"", 5, fin=fin)
    assert made == []
    for _ in range(3):
        inflater.inflate(HELLO, 5, fin=True)
    assert made == (["decompressor"] if kind is Deflater else ["decompressor"] * 3)
    assert (inflater._stream is None) is (kind is SharedDeflater)


class Breaking:
    """A compressor that fails when it is flushed: what it was given is still in it."""

    def __init__(self, compressor: Any) -> None:
        self.compress = compressor.compress

    def flush(self, mode: int) -> bytes:
        raise MemoryError


@pairs
def test_failure_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, deflating: type[Deflater], inflating: type[Inflater]
) -> None:
    """What another connection's message left in the compressor must not go out on this one."""
    monkeypatch.setattr(compression, "_idle", compression._Idle())
    broken = [True]
    engine = like_zlib()
    engine.compressobj = lambda *arguments: (
        Breaking(zlib.compressobj(*arguments)) if broken.pop() else zlib.compressobj(*arguments)
    )
    own = Setting(engine, 15, 6, 8)
    deflater = deflating(own, 0)
    with pytest.raises(MemoryError):
        deflater.deflate(b"secret " * 20)
    broken += [False]
    payload = deflater.deflate(b"public " * 20)
    assert payload is not None
    assert inflating(zlib, 15).inflate(payload, 200, fin=True) == b"public " * 20


def test_shared_compressor_gives_what_a_fresh_one_gives() -> None:
    """A full flush leaves nothing to refer to, whatever was said before on whichever connection."""
    for engine in ENGINES:
        for level in range(10):
            one, other = (
                SharedDeflater(setting(12, level, 5, engine), 0),
                SharedDeflater(setting(12, level, 5, engine), 0),
            )
            for index in range(20):
                message = text(50 + 400 * index, index % 3)
                compressor = setting(12, level, 5, engine).compressor()
                expected = compressor.compress(message) + compressor.flush(engine.Z_SYNC_FLUSH)
                payload = (one, other)[index % 2].deflate_part(message, fin=True)
                assert reference(payload + TAIL).data == message
                assert payload == expected[:-4]


def test_shared_compressor_of_a_thread() -> None:
    """Threads share nothing, connections of a thread share one compressor for each setting."""
    faults: list[Exception] = []
    seen: list[int] = []
    start = threading.Barrier(4)

    def work(seed: int) -> None:
        try:
            start.wait()
            deflaters = [SharedDeflater(setting(9 + index % 3), 0) for index in range(6)]
            for index in range(300):
                message = text(200 + index, seed)
                payload = deflaters[index % 6].deflate_part(message, fin=True)
                assert zlib.decompressobj(-15).decompress(payload + TAIL) == message
            seen.extend(map(id, compression._idle.compressors.values()))
            assert len(compression._idle.compressors) == 3
            start.wait()
        except Exception as error:
            faults.append(error)
            start.abort()

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert len(set(seen)) == 12


def test_default_engine() -> None:
    assert default_engine() is ENGINES[-1]


# ------------------------------------------------------------------------------------------------------- with others


@given(messages, st.integers(9, 15), st.booleans())
def test_we_talk_with_websockets(sent: list[bytes], window_bits: int, takeover: bool) -> None:
    theirs = WebsocketsDeflate(not takeover, not takeover, window_bits, window_bits)
    deflating, inflating = PAIRS[not takeover]
    deflater, inflater = deflating(setting(window_bits), 0), inflating(zlib, window_bits)
    for message in sent:
        payload = deflater.deflate_part(message, fin=True)
        assert theirs.decode(Frame(Opcode.BINARY, payload, rsv1=True), max_size=len(message) or None).data == message
        frame = theirs.encode(Frame(Opcode.BINARY, message))
        assert inflater.inflate(bytes(frame.data), len(message), fin=True) == message


@given(messages, st.integers(9, 15), st.booleans())
def test_we_talk_with_wsproto(sent: list[bytes], window_bits: int, takeover: bool) -> None:
    theirs = WsprotoDeflate(not takeover, window_bits, not takeover, window_bits)
    theirs._enabled = True
    deflating, inflating = PAIRS[not takeover]
    deflater, inflater = deflating(setting(window_bits), 0), inflating(zlib, window_bits)
    proto = FrameDecoder(client=False, extensions=[theirs])
    for message in sent:
        payload = deflater.deflate_part(message, fin=True)
        theirs.frame_inbound_header(proto, WsprotoOpcode.BINARY, RsvBits(True, False, False), len(payload))
        data = theirs.frame_inbound_payload_data(proto, payload)
        rest = theirs.frame_inbound_complete(proto, True)
        assert isinstance(data, bytes)
        assert isinstance(rest, bytes)
        assert data + rest == message
        _, made = theirs.frame_outbound(proto, WsprotoOpcode.BINARY, RsvBits(False, False, False), message, True)
        assert inflater.inflate(bytes(made), len(message), fin=True) == message
