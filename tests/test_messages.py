"""Messages received: every rule of RFC 6455 sections 5 to 8 for what comes in."""

from __future__ import annotations

import math
import sys
import tracemalloc
from collections.abc import Callable

import pytest
from helpers import (
    BINARY,
    CHUNK_TYPES,
    CLOSE,
    CONT,
    KEY,
    PING,
    PONG,
    ROLES,
    TEXT,
    Outcome,
    Vector,
    chunkings,
    close_payload,
    decode,
    decode_bytewise,
    frame,
    header,
    load_vectors,
    text_frames,
    title,
    to,
)

from wscodec import (
    Close,
    Decoder,
    Encoder,
    Fragment,
    InvalidUtf8,
    MessageTooBig,
    Ping,
    Pong,
    ProtocolError,
    Role,
    TooManyFragments,
)
from wscodec.spec import LARGE

pytestmark = pytest.mark.usefixtures("impl")

GOOD = load_vectors("rfc6455") + load_vectors("messages")
FAULTS = load_vectors("faults")
roles = pytest.mark.parametrize("role", ROLES, ids=lambda role: role.value)


def vectors(cases: list[Vector]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("vector", cases, ids=lambda vector: vector.id)


# ---------------------------------------------------------------------------------------------- golden cases


@vectors(GOOD)
def test_decoder_vector_same_events_however_it_is_cut(vector: Vector) -> None:
    for chunks in chunkings(vector.wire):
        for kind in CHUNK_TYPES:
            assert decode(vector.decoder(), map(kind, chunks)) == Outcome(vector.events, None, len(vector.wire))


@vectors(GOOD)
def test_decoder_vector_messages_are_str_and_bytes(vector: Vector) -> None:
    ways = [vector.decoder().feed(kind(vector.wire)) for kind in CHUNK_TYPES]
    ways.append(decode(vector.decoder(), [vector.wire[:1], vector.wire[1:-1], vector.wire[-1:]]).events)
    for events in ways:
        assert [type(event) for event in events] == [type(event) for event in vector.events]


@vectors(FAULTS)
def test_decoder_fault_same_verdict_however_it_is_cut(vector: Vector) -> None:
    for chunks in chunkings(vector.wire):
        for kind in CHUNK_TYPES:
            outcome = decode(vector.decoder(), map(kind, chunks))
            assert outcome.events == vector.events
            assert outcome.error is not None
            assert (outcome.error[0].__name__, outcome.error[1]) == (vector.error, vector.close_code)
            assert outcome.error == decode(vector.decoder(), [vector.wire]).error


@vectors(FAULTS)
def test_decoder_fault_is_found_at_the_byte_that_proves_it(vector: Vector) -> None:
    assert decode_bytewise(vector.decoder(), vector.wire).taken == vector.proof + 1
    assert decode(vector.decoder(), [vector.wire[: vector.proof]]).error is None
    assert decode(vector.decoder(), [vector.wire[: vector.proof + 1]]).error is not None


# ----------------------------------------------------------------------------- the same rules for both roles


def start(opcode: int = TEXT, payload: bytes = b"a") -> tuple[int, bytes, bool]:
    """The first fragment of a message, as arguments of `frame`."""
    return opcode, payload, False


CLOSED = close_payload(1000)

# Name, the frames before, the bad frame's (opcode, payload, fin, rsv), where it is proven (in its header: "first",
# "second"; in its payload: the byte's index), class, code, reason.
RULES = [
    ("rsv1", [], (TEXT, b"a", True, 4), "first", ProtocolError, 1002, "a reserved bit is set"),
    ("rsv2", [], (BINARY, b"a", True, 2), "first", ProtocolError, 1002, "a reserved bit is set"),
    ("rsv3", [], (PING, b"a", True, 1), "first", ProtocolError, 1002, "a reserved bit is set"),
    ("rsv-in-continuation", [start()], (CONT, b"a", True, 4), "first", ProtocolError, 1002, "a reserved bit is set"),
    *(
        (f"opcode-{n}", [], (n, b"a", True, 0), "first", ProtocolError, 1002, f"opcode {n} is reserved")
        for n in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
    ),
    ("ping-not-final", [], (PING, b"", False, 0), "first", ProtocolError, 1002, "a control frame is fragmented"),
    ("pong-not-final", [], (PONG, b"", False, 0), "first", ProtocolError, 1002, "a control frame is fragmented"),
    ("close-not-final", [], (CLOSE, b"", False, 0), "first", ProtocolError, 1002, "a control frame is fragmented"),
    *(
        (f"long-{name}", [], (n, bytes(126), True, 0), "second", ProtocolError, 1002,
         "a control frame is longer than 125 bytes")
        for name, n in (("close", CLOSE), ("ping", PING), ("pong", PONG))
    ),
    ("half-a-code", [], (CLOSE, b"\x03", True, 0), "second", ProtocolError, 1002,
     "a Close frame has a payload of one byte"),
    ("bad-code", [], (CLOSE, close_payload(1005), True, 0), 1, ProtocolError, 1002,
     "a Close frame has the close code 1005"),
    ("bad-reason", [], (CLOSE, CLOSED + b"ok\xffno", True, 0), 4, InvalidUtf8, 1007, "a close reason is not UTF-8"),
    ("cut-reason", [], (CLOSE, CLOSED + b"ok\xc3", True, 0), 4, InvalidUtf8, 1007, "a close reason is not UTF-8"),
    ("continues-nothing", [], (CONT, b"a", True, 0), "first", ProtocolError, 1002,
     "a continuation frame continues nothing"),
    ("continues-a-whole-message", [(TEXT, b"a", True)], (CONT, b"", False, 0), "first", ProtocolError, 1002,
     "a continuation frame continues nothing"),
    ("text-in-text", [start()], (TEXT, b"b", True, 0), "first", ProtocolError, 1002, "a message begins within another"),
    ("binary-in-text", [start()], (BINARY, b"b", False, 0), "first", ProtocolError, 1002,
     "a message begins within another"),
    ("text-in-text-behind-a-ping", [start(), (PING, b"", True)], (TEXT, b"b", True, 0), "first", ProtocolError, 1002,
     "a message begins within another"),
    ("not-utf8", [], (TEXT, b"abc\xfe", True, 0), 3, InvalidUtf8, 1007, "a text message is not UTF-8"),
    ("not-utf8-further-on", [(TEXT, "é".encode(), True)], (TEXT, bytes(100) + b"\x80" + bytes(100), True, 0), 100,
     InvalidUtf8, 1007, "a text message is not UTF-8"),
    ("cut-character", [start(TEXT, b"\xf0\x9f")], (CONT, b"\x98", True, 0), 0, InvalidUtf8, 1007,
     "a text message is not UTF-8"),
    ("too-big", [], (BINARY, bytes(101), True, 0), "second", MessageTooBig, 1009, "more than 100 bytes are announced"),
    ("too-big-in-all", [start(BINARY, bytes(60))], (CONT, bytes(41), True, 0), "second", MessageTooBig, 1009,
     "more than 40 bytes are announced"),
    ("too-many-fragments", [start(), (CONT, b"", False), (PING, b"", True), (CONT, b"", False)],
     (CONT, b"", True, 0), "first", TooManyFragments, 1009, "a message has more than 3 fragments"),
]  # fmt: skip


def rule_wire(role: Role, before: list[tuple], bad: tuple, where: str | int) -> tuple[bytes, int]:
    """Return the bytes and the index of the one that proves the offence."""
    good = b"".join(frame(opcode, payload, fin=fin, key=to(role)) for opcode, payload, fin in before)
    opcode, payload, fin, rsv = bad
    head_size = len(header(0, len(payload), key=to(role)))
    proof = {"first": 0, "second": 1}[where] if isinstance(where, str) else head_size + where
    return good + frame(opcode, payload, fin=fin, rsv=rsv, key=to(role)), len(good) + proof


@roles
@pytest.mark.parametrize(
    ("before", "bad", "where", "kind", "code", "reason"), [pytest.param(*r[1:], id=r[0]) for r in RULES]
)
def test_decoder_rule_is_enforced_at_its_byte(
    role: Role, before: list[tuple], bad: tuple, where: str | int, kind: type, code: int, reason: str
) -> None:
    wire, proof = rule_wire(role, before, bad, where)
    for chunks in ([wire], [wire[: proof + 1]], [wire[:proof], wire[proof:]]):
        decoder = Decoder(role, max_size=100 if "announced" in reason else None, max_fragments=3)
        assert decode(decoder, chunks).error == (kind, code, reason)
    decoder = Decoder(role, max_size=100 if "announced" in reason else None, max_fragments=3)
    assert decode_bytewise(decoder, wire).taken == proof + 1


@roles
def test_decoder_masking_must_fit_the_role(role: Role) -> None:
    wrong = KEY if role is Role.CLIENT else None
    reason = "a frame is masked" if role is Role.CLIENT else "a frame is not masked"
    for opcode in (TEXT, BINARY, CLOSE, PING, PONG):
        for wire in (frame(opcode, key=wrong), frame(opcode, b"\x03\xe8", key=wrong)):
            for chunks in ([wire], [wire[:2]], [wire[:1], wire[1:]]):
                assert decode(Decoder(role), chunks) == Outcome(
                    [], (ProtocolError, 1002, reason), len(b"".join(chunks[:2]))
                )


@pytest.mark.parametrize("form", [16, 64])
@roles
def test_decoder_length_must_be_in_its_shortest_form(role: Role, form: int) -> None:
    for length in (0, 1, 125) if form == 16 else (0, 125, 126, 65535):
        wire = header(0x82, length, key=to(role), form=form) + bytes(length)
        for chunks in ([wire], [wire[:-1], wire[-1:]]):
            outcome = decode(Decoder(role), chunks)
            assert outcome.error == (ProtocolError, 1002, "a length is not in its shortest form")


@pytest.mark.parametrize("code", [*range(1000, 1004), *range(1007, 1015), 3000, 3999, 4000, 4999])
def test_decoder_close_code_allowed(code: int) -> None:
    assert Decoder(Role.CLIENT).feed(frame(CLOSE, close_payload(code))) == [Close(code, "")]


@pytest.mark.parametrize("code", [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 32768, 65535])
def test_decoder_close_code_refused(code: int) -> None:
    outcome = decode(Decoder(Role.CLIENT), [frame(CLOSE, close_payload(code))])
    assert outcome == Outcome([], (ProtocolError, 1002, f"a Close frame has the close code {code}"), 4)


# ---------------------------------------------------------------------------------------------------- limits


def fragmented(sizes: list[int], role: Role) -> bytes:
    """A binary message in fragments of these sizes."""
    last = len(sizes) - 1
    return b"".join(
        frame(CONT if i else BINARY, bytes(size), fin=i == last, key=to(role)) for i, size in enumerate(sizes)
    )


@roles
@pytest.mark.parametrize(
    ("option", "limit", "sizes", "good"),
    [
        ("max_size", 10, [9], True),
        ("max_size", 10, [10], True),
        ("max_size", 10, [11], False),
        ("max_size", 10, [4, 5], True),
        ("max_size", 10, [4, 6], True),
        ("max_size", 10, [4, 7], False),
        ("max_size", 10, [10, 0, 0], True),
        ("max_size", 10, [10, 0, 1], False),
        ("max_size", 0, [0], True),
        ("max_size", 0, [0, 0], True),
        ("max_size", 0, [1], False),
        ("max_size", None, [1_100_000], True),
        ("max_size", 70_000, [70_000], True),
        ("max_size", 70_000, [70_001], False),
        ("max_frame_size", 10, [9], True),
        ("max_frame_size", 10, [10], True),
        ("max_frame_size", 10, [11], False),
        ("max_frame_size", 10, [10, 10, 10], True),
        ("max_frame_size", 10, [10, 11], False),
        ("max_frame_size", 0, [0, 0], True),
        ("max_frame_size", 0, [1], False),
        ("max_frame_size", None, [200_000], True),
        ("max_fragments", 3, [1, 1], True),
        ("max_fragments", 3, [1, 1, 1], True),
        ("max_fragments", 3, [1, 1, 1, 1], False),
        ("max_fragments", 3, [0, 0, 0, 0], False),
        ("max_fragments", 1, [1], True),
        ("max_fragments", 1, [1, 1], False),
        ("max_fragments", 0, [1], False),
        ("max_fragments", 0, [0], False),
        ("max_fragments", None, [1] * 5000, True),
    ],
)
def test_decoder_limit(role: Role, option: str, limit: int | None, sizes: list[int], good: bool) -> None:
    wire = fragmented(sizes, role)
    size = sum(sizes)
    for chunks in ([wire], [wire[:1], wire[1:]], [wire[:-1], wire[-1:]]):
        outcome = decode(Decoder(role, **{option: limit}), chunks)
        if good:
            assert outcome == Outcome([bytes(size)], None, len(wire))
        else:
            kind = TooManyFragments if option == "max_fragments" else MessageTooBig
            assert outcome.error is not None
            assert (outcome.events, *outcome.error[:2]) == ([], kind, 1009)


@pytest.mark.parametrize(
    ("size", "good"), [(1 << 20, True), ((1 << 20) + 1, False)], ids=["at-default", "above-default"]
)
def test_decoder_default_max_size_is_1_mib(size: int, good: bool) -> None:
    outcome = decode(Decoder(Role.CLIENT), [header(0x82, size) + bytes(size)])
    assert (outcome.error is None) is good


def test_decoder_default_max_fragments_is_4096() -> None:
    wire = b"\x02\x00" + b"\x00\x00" * 4095
    assert decode(Decoder(Role.CLIENT), [wire + b"\x00"]).error == (
        TooManyFragments,
        1009,
        "a message has more than 4096 fragments",
    )
    assert Decoder(Role.CLIENT).feed(wire[:-2] + b"\x80\x00") == [b""]


@pytest.mark.parametrize("option", ["max_size", "max_frame_size"])
def test_decoder_limits_of_messages_spare_control_frames(option: str) -> None:
    wire = frame(PING, bytes(125)) + frame(CLOSE, close_payload(1000, b"bye"))
    assert Decoder(Role.CLIENT, **{option: 1}).feed(wire) == [Ping(bytes(125)), Close(1000, "bye")]


def test_decoder_limits_count_each_message_anew() -> None:
    decoder = Decoder(Role.CLIENT, max_size=4, max_fragments=2)
    assert decoder.feed(fragmented([2, 2], Role.CLIENT) * 3) == [bytes(4)] * 3


@pytest.mark.parametrize("option", ["max_size", "max_frame_size", "max_fragments"])
def test_decoder_limit_negative_is_a_value_error(option: str) -> None:
    with pytest.raises(ValueError, match=rf"^{option} is negative: -1$"):
        Decoder(Role.CLIENT, **{option: -1})


@pytest.mark.parametrize("role", ["server", 1, None, True])
def test_role_of_another_type_is_a_type_error(role: object) -> None:
    for kind in (Decoder, Encoder):
        with pytest.raises(TypeError, match=rf"^a role is a Role, not '{type(role).__name__}'$"):
            kind(role)


# ------------------------------------------------------------------------------------- the decoder's manners


def test_decoder_feed_of_nothing() -> None:
    decoder = Decoder(Role.CLIENT)
    for kind in CHUNK_TYPES:
        assert decoder.feed(kind(b"")) == []
    assert decoder.feed(b"\x81\x01") == []
    assert decoder.feed(b"") == []
    assert decoder.feed(b"a") == ["a"]


@pytest.mark.parametrize("bad", ["\x81\x00", None, 1, memoryview(b"\x81\x00\x81\x00")[::2]], ids=title)
def test_decoder_feed_of_another_type_leaves_it_as_it_was(bad: object) -> None:
    decoder = Decoder(Role.CLIENT)
    assert decoder.feed(b"\x81\x02a") == []
    with pytest.raises(TypeError, match=r"^a C-contiguous bytes-like object is required, not "):
        decoder.feed(bad)
    assert decoder.feed(b"b") == ["ab"]


@roles
def test_decoder_after_close_takes_and_returns_nothing(role: Role) -> None:
    decoder = Decoder(role)
    wire = frame(CLOSE, CLOSED, key=to(role))
    assert decoder.feed(wire + b"\xff" * 20) == [Close(1000, "")]
    for more in (b"\xff\xff", frame(TEXT, b"a", key=to(role)), wire, bytearray(frame(PING, key=to(role)))):
        assert decoder.feed(more) == []
        assert list(decoder.controls) == []


def test_decoder_after_an_error_raises_the_same_again() -> None:
    decoder = Decoder(Role.CLIENT)
    with pytest.raises(InvalidUtf8) as first:
        decoder.feed(b"\x82\x01a\x89\x00\x81\x01\xff\x82\x01b")
    assert first.value.events == [b"a", Ping(b"")]
    for data in (b"", b"\x81\x00", bytearray(b"\x88\x00")):
        with pytest.raises(InvalidUtf8) as again:
            decoder.feed(data)
        assert again.value is not first.value
        assert (again.value.close_code, again.value.reason) == (1007, first.value.reason)
        assert again.value.events == []
        assert list(decoder.controls) == []


def test_decoder_error_events_hold_the_fast_and_the_slow_ones_in_order() -> None:
    wire = text_frames(["a", "b"], Role.CLIENT) + frame(PING, b"p") + frame(TEXT, b"c") + b"\x01\x01d\x80\x01e\x83"
    for chunks in chunkings(wire):
        assert decode(Decoder(Role.CLIENT), chunks).events == ["a", "b", Ping(b"p"), "c", "de"]


def test_decoder_controls_are_those_of_the_last_feed() -> None:
    decoder = Decoder(Role.CLIENT)
    assert list(decoder.controls) == []
    decoder.feed(b"\x89\x01a\x81\x01b\x8a\x00")
    assert list(decoder.controls) == [Ping(b"a"), Pong(b"")]
    decoder.feed(b"\x81\x01b")
    assert list(decoder.controls) == []
    with pytest.raises(ProtocolError):
        decoder.feed(b"\x89\x01c\xff")
    assert list(decoder.controls) == [Ping(b"c")]


@roles
def test_decoder_deep_mixture_of_fragments_and_controls(role: Role) -> None:
    parts = [frame(BINARY, b"0", fin=False, key=to(role))]
    for i in range(1, 100):
        parts += [frame(PING, b"%d" % i, key=to(role)), frame(CONT, b"%d" % i, fin=i == 99, key=to(role))]
    wire = b"".join(parts)
    expected = [Ping(b"%d" % i) for i in range(1, 100)] + [b"".join(b"%d" % i for i in range(100))]
    assert Decoder(role).feed(wire) == expected
    assert decode_bytewise(Decoder(role), wire).events == expected


# ------------------------------------------------------------------------------------------- what feed keeps


@pytest.mark.parametrize(
    "wire",
    [b"\x82\x02ab", b"\x82\x05ab", b"\x82", b"\x02\x02ab", b"\x89\x03ab", b"\x81\x01a\x88\x00", b"\x82\x7f\x00"],
    ids=["whole", "part", "part-of-header", "fragment", "part-of-ping", "close", "part-of-length"],
)
@pytest.mark.parametrize("view", [False, True], ids=["bytearray", "memoryview"])
def test_decoder_feed_keeps_no_reference(wire: bytes, view: bool) -> None:
    data = bytearray(wire)
    decoder = Decoder(Role.CLIENT)
    if view:
        with memoryview(data) as chunk:
            decoder.feed(chunk)
    else:
        decoder.feed(data)
    data.extend(b"more")  # BufferError, were there an export
    assert data == wire + b"more"


@pytest.mark.parametrize(
    "wire", [b"\x81\x01a\xff", b"\x81\x01\xff", b"\x88\x02\x00\x00"], ids=["head", "text", "close"]
)
def test_decoder_feed_keeps_no_reference_after_an_error(wire: bytes) -> None:
    data = bytearray(wire)
    decoder = Decoder(Role.CLIENT)
    with pytest.raises(ProtocolError) as caught:
        decoder.feed(data)
    data.extend(b"more")
    assert caught.value.__traceback__ is not None  # still there, with the frames that held the data
    with pytest.raises(ProtocolError):
        decoder.feed(data)
    data.extend(b"more")


def test_decoder_feed_of_a_wrong_type_keeps_no_reference() -> None:
    data = bytearray(8)
    with pytest.raises(TypeError), memoryview(data) as view, view[::2] as strided:
        Decoder(Role.CLIENT).feed(strided)
    data.extend(b"more")


@pytest.mark.skipif(not hasattr(sys, "getrefcount"), reason="CPython counts references")
@pytest.mark.parametrize("wire", [b"\x82\x02ab" * 3, b"\x82\x09ab", b"\x02\x02ab", b"\x82\x7e"], ids=repr)
def test_decoder_feed_leaves_the_reference_count(wire: bytes) -> None:
    data = bytes(bytearray(wire))  # not a constant
    decoder = Decoder(Role.CLIENT)
    before = sys.getrefcount(data)
    events = decoder.feed(data)
    assert sys.getrefcount(data) == before
    assert all(event is not data for event in events)


def traced(work: Callable[[], object]) -> int:
    """Return how many bytes `work` allocates, at the peak."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("first", [0x81, 0x82, 0x01, 0x02], ids=["text", "binary", "text-part", "binary-part"])
def test_decoder_declared_length_allocates_nothing(first: int) -> None:
    decoder = Decoder(Role.CLIENT, max_size=None)
    wire = header(first, 1 << 40) + b"a"
    assert traced(lambda: decoder.feed(wire)) < 20_000


@pytest.mark.parametrize("opcode", [TEXT, BINARY], ids=["text", "binary"])
def test_decoder_tiny_fragments_cost_no_more_than_their_bytes(opcode: int) -> None:
    decoder = Decoder(Role.CLIENT, max_fragments=None)
    wire = frame(opcode, b"a", fin=False) + frame(CONT, b"ab", fin=False) * 5000
    assert traced(lambda: decoder.feed(wire)) < 2 * 10_000 + 10_000


def test_decoder_empty_fragments_cost_nothing() -> None:
    decoder = Decoder(Role.CLIENT, max_fragments=None)
    wire = frame(BINARY, fin=False) + frame(CONT, fin=False) * 5000
    assert traced(lambda: decoder.feed(wire)) < 10_000


def test_decoder_tiny_chunks_cost_no_more_than_their_bytes() -> None:
    decoder = Decoder(Role.CLIENT)
    decoder.feed(header(0x82, 30_000))

    def feed() -> None:
        for _ in range(5000):
            decoder.feed(b"abc")

    assert traced(feed) < 2 * 15_000 + 10_000


def test_decoder_failed_keeps_no_message() -> None:
    decoder = Decoder(Role.CLIENT)
    tracemalloc.start()
    try:
        decoder.feed(header(0x02, 1 << 20) + bytes(900_000))
        with pytest.raises(ProtocolError):
            decoder.feed(bytes((1 << 20) - 900_000) + b"\xff")
        assert tracemalloc.get_traced_memory()[0] < 300_000
    finally:
        tracemalloc.stop()


def test_decoder_work_is_linear() -> None:
    """Python calls are counted, for time can't be trusted: twice the fragments, twice the calls."""

    def calls(count: int) -> int:
        seen = 0

        def count_call(*_: object) -> None:
            nonlocal seen
            seen += 1

        decoder = Decoder(Role.CLIENT, max_fragments=None)
        chunks = [frame(TEXT, b"a", fin=False), *[frame(CONT, b"b", fin=False)] * count]
        sys.setprofile(count_call)
        try:
            for chunk in chunks:
                decoder.feed(chunk)
        finally:
            sys.setprofile(None)
        return seen

    assert math.isclose(calls(2000), 2 * calls(1000), rel_tol=0.05)


# -------------------------------------------------------------------------------------------------- streaming


def test_streaming_hands_on_what_is_there() -> None:
    decoder = Decoder(Role.CLIENT, streaming=True)
    assert decoder.feed(b"\x81\x05He") == [Fragment("He", False)]
    assert decoder.feed(b"") == []
    assert decoder.feed(b"ll") == [Fragment("ll", False)]
    assert decoder.feed(b"o") == [Fragment("o", True)]
    assert decoder.feed(b"\x02\x01a\x89\x01p\x80\x01b") == [Fragment(b"a", False), Ping(b"p"), Fragment(b"b", True)]
    assert decoder.feed(b"\x81\x00\x82\x00") == [Fragment("", True), Fragment(b"", True)]


def test_streaming_holds_an_unfinished_character() -> None:
    decoder = Decoder(Role.CLIENT, streaming=True)
    wire = frame(TEXT, "a€😀z".encode())
    events = [decoder.feed(wire[i : i + 1]) for i in range(len(wire))]
    assert events == [
        [], [],
        [Fragment("a", False)],
        [], [], [Fragment("€", False)],
        [], [], [], [Fragment("😀", False)],
        [Fragment("z", True)],
    ]  # fmt: skip


def test_streaming_character_cut_by_frames() -> None:
    decoder = Decoder(Role.CLIENT, streaming=True)
    assert decoder.feed(b"\x01\x02a\xe2") == [Fragment("a", False)]
    assert decoder.feed(b"\x89\x00\x00\x00\x00\x01\x82") == [Ping(b"")]
    assert decoder.feed(b"\x80\x01\xac") == [Fragment("€", True)]


def test_streaming_empty_parts_are_not_told_but_for_the_last() -> None:
    decoder = Decoder(Role.CLIENT, streaming=True)
    assert decoder.feed(b"\x02\x00\x00\x00\x80\x00") == [Fragment(b"", True)]


@vectors([vector for vector in GOOD if not vector.options])
def test_streaming_parts_join_to_the_message(vector: Vector) -> None:
    for chunks in chunkings(vector.wire):
        joined: list[object] = []
        parts: list[str | bytes] = []
        for event in decode(Decoder(vector.role, streaming=True), chunks).events:
            if not isinstance(event, Fragment):
                joined.append(event)
                continue
            parts.append(event.data)
            if event.fin:
                joined.append(type(event.data)().join(parts))  # type: ignore[arg-type]
                parts = []
        assert joined == vector.events


@vectors(FAULTS)
def test_streaming_faults_are_the_same(vector: Vector) -> None:
    decoder = Decoder(vector.role, streaming=True, **vector.options)
    outcome = decode_bytewise(decoder, vector.wire)
    assert outcome.taken == vector.proof + 1
    assert outcome.error == decode(vector.decoder(), [vector.wire]).error


def test_streaming_max_size_is_that_of_the_message() -> None:
    decoder = Decoder(Role.CLIENT, streaming=True, max_size=3)
    assert decoder.feed(b"\x02\x02ab") == [Fragment(b"ab", False)]
    with pytest.raises(MessageTooBig):
        decoder.feed(b"\x00\x02")


def test_streaming_keeps_no_payload() -> None:
    decoder = Decoder(Role.CLIENT, streaming=True, max_size=None)
    decoder.feed(header(0x82, 10_000_000))
    chunk = bytes(10_000)

    def feed() -> None:
        for _ in range(500):
            decoder.feed(chunk)

    assert traced(feed) < 100_000


# ---------------------------------------------------------------------------------------------- large messages

# Around the size from which on a fragment is unmasked straight into its message.


def large_wire(parts: list[bytes], opcode: int, role: Role) -> bytes:
    """Return a message in these fragments, each with a key of its own, and a Ping before the last."""
    last = len(parts) - 1
    wire = b""
    for number, part in enumerate(parts):
        if number == last:
            wire += frame(PING, b"p", key=to(role))
        key = None if role is Role.CLIENT else bytes([number + 1, 7, 250, 99])
        wire += frame(CONT if number else opcode, part, fin=number == last, key=key)
    return wire


@roles
@pytest.mark.parametrize("size", [LARGE - 1, LARGE, LARGE + 1, 5 * LARGE])
@pytest.mark.parametrize("kind", ["a", "é", "€", "😀"])
def test_decoder_large_fragments(role: Role, kind: str, size: int) -> None:
    """Of text, they cut characters."""
    data = (kind * 5 * size).encode()[: 3 * size // 12 * 12]
    parts = [data[:size], data[size : 2 * size], b"", data[2 * size :]]
    for opcode, message in ((TEXT, data.decode()), (BINARY, data)):
        wire = large_wire(parts, opcode, role)
        for step in (len(wire), LARGE + 3, 4099):
            chunks = [wire[start : start + step] for start in range(0, len(wire), step)]
            assert decode(Decoder(role), chunks).events == [Ping(b"p"), message]


@roles
@pytest.mark.parametrize("place", [0, 1, LARGE - 1, LARGE, LARGE + 1, 2 * LARGE, 3 * LARGE - 1])
def test_decoder_large_text_fails_at_the_wrong_byte(role: Role, place: int) -> None:
    data = bytearray(b"a" * 3 * LARGE)
    data[place] = 0xFF
    for parts in ([bytes(data)], [bytes(data[:LARGE]), bytes(data[LARGE:])]):
        wire = large_wire(parts, TEXT, role)
        number = sum(map(len, parts[:-1])) <= place and len(parts) - 1
        within = place - sum(map(len, parts[:number]))
        proof = len(wire) - len(parts[-1]) + within if number == len(parts) - 1 else 10 + len(to(role) or b"") + within
        assert decode(Decoder(role), [wire[:proof]]).error is None
        assert decode(Decoder(role), [wire[: proof + 1]]).error == (InvalidUtf8, 1007, "a text message is not UTF-8")
        assert decode(Decoder(role), [wire]).error == (InvalidUtf8, 1007, "a text message is not UTF-8")


@roles
def test_decoder_large_text_that_ends_within_a_character(role: Role) -> None:
    data = "€".encode() * LARGE
    for end in (-1, -2):
        wire = large_wire([data[:LARGE], data[LARGE:end]], TEXT, role)
        for chunks in ([wire], [wire[:-1], wire[-1:]], [wire[:LARGE], wire[LARGE:]]):
            assert decode(Decoder(role), chunks).error == (InvalidUtf8, 1007, "a text message is not UTF-8")


@roles
@pytest.mark.parametrize("option", ["max_size", "max_frame_size"])
def test_decoder_limit_of_large_fragments(role: Role, option: str) -> None:
    for limit, good in ((2 * LARGE, True), (2 * LARGE - 1, False)):
        parts = [bytes(LARGE), bytes(LARGE)] if option == "max_size" else [bytes(2 * LARGE), b""]
        wire = large_wire(parts, BINARY, role)
        for step in (len(wire), LARGE, 1000):
            chunks = [wire[start : start + step] for start in range(0, len(wire), step)]
            outcome = decode(Decoder(role, **{option: limit}), chunks)
            assert (outcome.error is None) is good
            assert good or outcome.error[:2] == (MessageTooBig, 1009)


def test_decoder_delivers_what_never_changes() -> None:
    decoder = Decoder(Role.SERVER)
    delivered = []
    for number in range(60):
        data = b"%02d" % number * 10_000
        wire = large_wire([data[:7000], data[7000:]], (TEXT, BINARY)[number % 2], Role.SERVER)
        outcome = decode(decoder, [wire[:9000], wire[9000:]])
        delivered.append((outcome.events[-1], data))
    for message, data in delivered:
        assert message == (data.decode() if isinstance(message, str) else data)
        assert hash(message) == hash(data.decode() if isinstance(message, str) else bytes(bytearray(data)))


@pytest.mark.parametrize("first", [0x81, 0x82], ids=["text", "binary"])
def test_decoder_large_message_costs_twice_what_arrived_at_most(first: int) -> None:
    decoder = Decoder(Role.CLIENT, max_size=None)
    decoder.feed(header(first, 16 << 20))
    piece = b"a" * 10_000
    tracemalloc.start()
    try:
        for count in range(1, 500):
            decoder.feed(piece)
            assert tracemalloc.get_traced_memory()[0] <= 2 * count * len(piece) + 20_000
    finally:
        tracemalloc.stop()


def test_decoder_thousand_tiny_fragments_cost_their_bytes() -> None:
    for opcode in (TEXT, BINARY):
        decoder = Decoder(Role.SERVER)
        wire = frame(opcode, b"a", fin=False, key=KEY) + frame(CONT, b"b", fin=False, key=KEY) * 999
        assert traced(lambda decoder=decoder, wire=wire: decoder.feed(wire)) < 2 * 1000 + 6000
