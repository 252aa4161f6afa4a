"""The drop-in for wsproto: whatever comes, in whatever pieces, ours tells the same as wsproto's own frame protocol."""

from __future__ import annotations

import itertools
import tracemalloc
import warnings
import zlib
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from implementations import COMPILED, PURE, Implementation, using

pytest.importorskip("wsproto", reason="wsproto is not installed")

import wsproto.connection
from helpers import BINARY, CLOSE, CONT, PING, PONG, TEXT, frame
from wsproto.events import BytesMessage, CloseConnection, Message, Ping, Pong, TextMessage
from wsproto.extensions import Extension, PerMessageDeflate
from wsproto.frame_protocol import CloseReason, ParseFailed, RsvBits
from wsproto.frame_protocol import FrameProtocol as HostProtocol

from wscodec.dropin import wsproto as dropin

KEY = b"\x37\xfa\x21\x3d"
BACKENDS = (PURE, *COMPILED[:1])
Steps = list[tuple[bytes, int | None]]


# ---------------------------------------------------------------------------------------------- what is compared


class Recorder(Extension):
    """An extension that writes down what it is told, has a reserved bit of its own, and changes what passes."""

    name = "recorder"

    def __init__(self, refuse: str = "") -> None:
        self.told: list[tuple[Any, ...]] = []
        self.refuse = refuse

    def enabled(self) -> bool:
        return True

    def offer(self) -> bool:
        return True

    def frame_inbound_header(self, proto: Any, opcode: Any, rsv: RsvBits, payload_length: int) -> Any:
        self.told.append(("header", proto.client, opcode, rsv, payload_length))
        return CloseReason.POLICY_VIOLATION if self.refuse == "header" else RsvBits(False, True, False)

    def frame_inbound_payload_data(self, proto: Any, data: bytes) -> Any:
        self.told.append(("payload", proto.client, data))
        return CloseReason.POLICY_VIOLATION if self.refuse == "payload" else data.swapcase()

    def frame_inbound_complete(self, proto: Any, fin: bool) -> Any:
        self.told.append(("complete", proto.client, fin))
        return CloseReason.POLICY_VIOLATION if self.refuse == "complete" else b"!" if fin else None

    def frame_outbound(self, proto: Any, opcode: Any, rsv: RsvBits, data: bytes, fin: bool) -> Any:
        self.told.append(("outbound", proto.client, opcode, rsv, data, fin))
        return RsvBits(rsv.rsv1, True, rsv.rsv3), data.swapcase()


def deflate(**parameters: Any) -> PerMessageDeflate:
    extension = PerMessageDeflate(**parameters)
    extension.accept("permessage-deflate")
    return extension


EXTENSIONS: dict[str, Callable[[], list[Any]]] = {
    "none": list,
    "deflate": lambda: [deflate()],
    "fresh deflate": lambda: [deflate(client_no_context_takeover=True, server_no_context_takeover=True)],
    "disabled": lambda: [PerMessageDeflate()],
    "recorder": lambda: [Recorder()],
    "both": lambda: [deflate(), Recorder()],
    "refuses headers": lambda: [Recorder("header")],
    "refuses payloads": lambda: [Recorder("payload")],
    "refuses ends": lambda: [Recorder("complete")],
}


def told(protocol: Any, steps: Steps) -> list[Any]:
    """Return the frames and errors that a frame protocol makes of reads, of which some are not asked for at once."""
    found: list[Any] = []
    for data, count in steps:
        protocol.receive_bytes(data)
        found += entries(protocol, count)
    extensions = [extension for extension in protocol.extensions if isinstance(extension, Recorder)]
    # How often extensions are asked about one header depends on how it comes, and is no part of the contract.
    return [found, [[entry for entry, _ in itertools.groupby(extension.told)] for extension in extensions]]


def entries(protocol: Any, count: int | None) -> Iterator[Any]:
    try:
        for entry in itertools.islice(protocol.received_frames(), count):
            yield (entry.opcode, type(entry.opcode), plain(entry.payload), *entry[2:])
    except ParseFailed as error:
        yield (error.code, type(error.code), str(error))


def plain(payload: Any) -> Any:
    # Before 1.3, wsproto gives bytearrays of what is not masked.
    return bytes(payload) if isinstance(payload, bytearray) else payload


def compare(client: bool, extensions: str, steps: Steps) -> None:
    """See that ours tells what wsproto's does, on each backend."""
    expected = told(HostProtocol(client, EXTENSIONS[extensions]()), steps)
    for implementation in BACKENDS:
        with using(implementation):
            assert told(dropin.FrameProtocol(client, EXTENSIONS[extensions]()), steps) == expected


# ---------------------------------------------------------------------------------------------------- strategies

sizes = st.sampled_from([0, 1, 2, 3, 31, 32, 33, 124, 125, 126, 127, 300])
characters = st.sampled_from("a\0\x7fé߿ࠀ€\uffff😀\U0010ffff")
texts = st.one_of(st.text(characters, max_size=60).map(str.encode), st.builds(lambda size: b"x" * size, sizes))
broken = st.sampled_from([b"\xff", b"\xed\xa0\x80", b"\xe2\x82", b"a\xc0\x80", b"\xf4\x90", b"\x80", b"\xf8aaa"])
payloads = st.one_of(texts, texts, st.binary(max_size=40), st.builds(lambda a, b, c: a + b + c, texts, broken, texts))
controls = st.builds(
    lambda opcode, payload: (opcode, payload, True, 0), st.sampled_from([PING, PONG]), st.binary(max_size=9)
)
codes = st.sampled_from(
    [0, 999, 1000, 1001, 1004, 1005, 1006, 1007, 1011, 1012, 1013, 1014, 1015, 2999, 3000, 4999, 5000]
)
closes = st.builds(
    lambda payload: (CLOSE, payload, True, 0),
    st.one_of(
        st.just(b""), st.just(b"\3"), st.builds(lambda code, text: code.to_bytes(2) + text[:90], codes, payloads)
    ),
)
wild = st.tuples(
    st.integers(0, 15), st.binary(max_size=130), st.booleans(), st.sampled_from([0, 0, 0, 0x40, 0x20, 0x10, 0x60])
)
Spec = tuple[int, bytes, bool, int]


def cut(data: bytes, draw: st.DrawFn, most: int = 3) -> list[bytes]:
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=most)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


@st.composite
def message_frames(draw: st.DrawFn, compressor: Any) -> list[Spec]:
    """Return a message's frames as (opcode, payload, fin, reserved bits)."""
    opcode = draw(st.sampled_from([TEXT, BINARY]))
    data = draw(texts if draw(st.integers(0, 9)) else payloads)
    rsv = 0
    if compressor is not None and draw(st.booleans()):
        rsv = 0x40
        data = (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]
        if draw(st.integers(0, 15)) == 7:
            data = data[:-1] + draw(st.binary(max_size=4))
    frames: list[Spec] = []
    parts = cut(data, draw)
    for number, part in enumerate(parts):
        # wsproto forgets that a message is compressed when a control frame comes in between: see the test below.
        if number and not rsv:
            frames += draw(st.lists(controls, max_size=1))
        frames.append((CONT if number else opcode, part, number == len(parts) - 1, 0 if number else rsv))
    return frames


@st.composite
def streams(draw: st.DrawFn, extensions: str, client: bool) -> bytes:
    """Return what a peer may send: mostly by the rules."""
    deflated = "deflate" in extensions or extensions == "both"
    compressor = zlib.compressobj(wbits=-15) if deflated else None
    frames: list[Spec] = []
    for _ in range(draw(st.integers(1, 6))):
        kind = draw(st.integers(0, 19))
        if kind == 0:
            frames.append(draw(wild))
        elif kind == 1:
            frames.append(draw(closes))
        elif kind < 5:
            frames.append(draw(controls))
        else:
            frames += draw(message_frames(compressor))
    encoded = []
    for opcode, payload, fin, rsv in frames:
        masked = (not client) ^ (draw(st.integers(0, 40)) == 7)
        data = bytearray(frame(opcode, payload, fin=fin, key=KEY if masked else None))
        data[0] |= rsv
        if len(payload) < 126 and draw(st.integers(0, 30)) == 7:  # not the shortest form
            width = draw(st.sampled_from([2, 8]))
            data[1:2] = bytes([data[1] & 0x80 | (126 if width == 2 else 127)]) + len(payload).to_bytes(width)
        encoded.append(bytes(data))
    return b"".join(encoded)


@st.composite
def cases(draw: st.DrawFn) -> tuple[bool, str, Steps]:
    """Return a role, extensions, and reads with how many frames are asked for after each."""
    client = draw(st.booleans())
    extensions = draw(st.sampled_from(list(EXTENSIONS)))
    data = draw(streams(extensions, client))
    pieces = [bytes([byte]) for byte in data] if draw(st.integers(0, 9)) == 7 else cut(data, draw, 8)
    asked = st.sampled_from([None, None, None, 0, 1, 2])
    return client, extensions, [*((piece, draw(asked)) for piece in pieces), (b"", None), (b"", None)]


# -------------------------------------------------------------------------------------------------------- received


@given(cases())
@example((True, "none", [(b"\x88\x02\x03\xe8\x81\1a", None), (b"\x81\1b", None)]))
@example((False, "deflate", [(b"\x89", None), (b"\x80" + KEY, None), (b"", None)]))
def test_ours_tells_the_same_as_wsproto(case: tuple[bool, str, Steps]) -> None:
    compare(*case)


FAULTS = {
    "reserved opcode": b"\x83\0",
    "reserved control opcode": b"\x8b\0",
    "control frame in fragments": b"\x09\0",
    "long control frame": b"\x89\x7e",
    "16 bits for a short length": b"\x82\x7e\0\x7d",
    "64 bits for a short length": b"\x82\x7f\0\0\0\0\0\0\xff\xff",
    "top bit of a length": b"\x82\x7f\x80\0\0\0\0\0\0\0",
    "reserved bit": b"\xa1\0",
    "bit of deflate": b"\xc1\0",
    "masked": b"\x81\x80",
    "continuation of nothing": b"\x80\1a",
    "message in a message": b"\x01\1a\x02\1b",
    "half a close code": b"\x88\1\3",
    "not UTF-8": b"\x81\2a\xff",
    "not UTF-8 at the end of a piece": b"\x01\2a\xe2\x00\1\x00\x80\1a",
    "close reason not UTF-8": b"\x88\4\x03\xe8a\xff",
}


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("extensions", ["none", "deflate", "both"])
def test_faults_are_found_at_the_same_byte_and_told_with_the_same_words(name: str, extensions: str) -> None:
    data = b"\x82\1a" + FAULTS[name]
    compare(True, extensions, [(data, None), (b"\x81\0", None)])
    compare(True, extensions, [*((bytes([byte]), None) for byte in data), (b"\x81\0", None)])
    masked = bytearray(data)
    assert masked[1] == 1
    compare(False, extensions, [(bytes(masked), None)])


def test_a_header_that_is_cut_is_not_taken_for_what_its_rest_looks_like() -> None:
    compare(False, "none", [(b"\x82", None), (b"\x81\x80abcd", None)])
    compare(False, "none", [(b"\x02", None), (b"\x81\x80abcd", None), (b"\x80\x80abcd", None)])


@pytest.mark.parametrize(
    "rest", [b"\xe2", b"\xe2\x82", b"\xf0\x9f\x98", b"\xe0\x80", b"\xed\xa0", b"\xf4\x90", b"\xf8", b"\x80"]
)
def test_what_can_begin_no_character_is_found_at_once(rest: bytes) -> None:
    first = frame(TEXT, b"a" + rest, fin=False)
    for client, extensions in ((True, "none"), (True, "deflate")):
        compare(client, extensions, [(first, None), (frame(CONT, b"\x82"), None), (frame(TEXT, b"a"), None)])
        compare(client, extensions, [(first[:-1], None), (first[-1:], None), (frame(CONT), None)])


@pytest.mark.parametrize("code", [1000, 1004, 1005, 1006, 1012, 1014, 1015, 2999, 3000, 4999, 5000])
def test_close_codes_are_judged_as_by_wsproto(code: int) -> None:
    compare(True, "none", [(frame(CLOSE, code.to_bytes(2) + "bye é".encode()), None), (b"\x81\0", None)])


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("client", [True, False])
def test_large_frames_are_handed_out_as_they_come(opcode: int, client: bool) -> None:
    payload = ("aé€😀" * 20_000).encode()
    data = frame(opcode, payload, key=None if client else KEY)
    reads = [data[start : start + 65_537] for start in range(0, len(data), 65_537)]
    compare(client, "none", [(read, None) for read in reads])
    compare(client, "both", [(read, None) for read in reads])


@pytest.mark.parametrize("make", [bytes, bytearray, memoryview])
def test_any_buffer_is_taken_and_not_kept(impl: Implementation, make: Callable[[bytes], Any]) -> None:
    protocol = dropin.FrameProtocol(True, [])
    data = bytearray(b"\x81\x02h")
    protocol.receive_bytes(memoryview(data) if make is memoryview else make(data))
    data[:] = b"xxx"
    protocol.receive_bytes(make(b"i"))
    assert [entry.payload for entry in protocol.received_frames()] == ["hi"]


@pytest.mark.parametrize("wrong", [None, "text", 5])
def test_what_is_no_buffer_is_refused(impl: Implementation, wrong: Any) -> None:
    for protocol in (HostProtocol(True, []), dropin.FrameProtocol(True, [])):
        with pytest.raises(TypeError):
            protocol.receive_bytes(wrong)


def test_reads_that_nobody_asks_about_cost_no_more_than_their_bytes(impl: Implementation) -> None:
    protocol = dropin.FrameProtocol(True, [])
    for _ in range(3000):
        protocol.receive_bytes(b"\x82\x03abc\x82\x03abc")
        assert next(protocol.received_frames()).payload == b"abc"
    assert len(list(protocol.received_frames())) == 3000


def test_after_the_end_nothing_is_kept(impl: Implementation) -> None:
    for end in (b"\x88\0", b"\x83\0"):
        protocol = dropin.FrameProtocol(True, [])
        assert len(told(protocol, [(end, None)])[0]) == 1
        tracemalloc.start()
        try:
            for _ in range(100):
                protocol.receive_bytes(bytes(100_000))
            assert tracemalloc.get_traced_memory()[0] < 1_000_000
        finally:
            tracemalloc.stop()
        assert not list(protocol.received_frames())


# ----------------------------------------------------------------------------------------------------- compression


def compressed(*parts: bytes, opcode: int = BINARY, between: bytes = b"") -> bytes:
    """Return a compressed message from a server, in fragments."""
    compressor = zlib.compressobj(wbits=-15)
    pieces = [compressor.compress(part) + compressor.flush(zlib.Z_SYNC_FLUSH) for part in parts]
    pieces[-1] = pieces[-1][:-4]
    last = len(pieces) - 1
    frames = [bytearray(frame(CONT if i else opcode, piece, fin=i == last)) for i, piece in enumerate(pieces)]
    frames[0][0] |= 0x40
    return between.join(map(bytes, frames))


def test_control_frames_within_a_compressed_message_do_no_harm(impl: Implementation) -> None:
    # The one place where we differ from wsproto on purpose: it goes on as if the message were not compressed.
    data = compressed(b"hello ", b"world", opcode=TEXT, between=b"\x89\x01p")
    for reads in ([data], [bytes([byte]) for byte in data]):
        protocol = dropin.FrameProtocol(True, [deflate()])
        found = told(protocol, [(read, None) for read in reads * 2])[0]
        assert "".join(entry[2] for entry in found if entry[0] == TEXT) == "hello world" * 2
        assert [entry[2] for entry in found if entry[0] == PING] == [b"p", b"p"]


@pytest.fixture
def limit() -> Iterator[Callable[[int | None], None]]:
    """Set the limit on what inflates for a while."""

    def set_limit(size: int | None) -> None:
        assert dropin.install(max_inflated=size)

    yield set_limit
    dropin.install()
    dropin.uninstall()


@pytest.mark.parametrize("reads", [1, 7])
@pytest.mark.parametrize("fresh", [True, False])
def test_what_inflates_beyond_the_limit_is_refused(impl: Implementation, limit: Any, reads: int, fresh: bool) -> None:
    limit(1000)
    data = compressed(bytes(600), bytes(400)) * 2 + compressed(bytes(600), bytes(401))
    protocol = dropin.FrameProtocol(True, [deflate(server_no_context_takeover=fresh)])
    size = len(data) // reads + 1
    found = told(protocol, [(data[start : start + size], None) for start in range(0, len(data), size)])[0]
    assert sum(len(entry[2]) for entry in found[:-1]) in (2000, 2600)
    assert found[-1] == (CloseReason.MESSAGE_TOO_BIG, CloseReason, "a message inflates to more than 1000 bytes")


def test_a_bomb_costs_the_limit_and_not_what_it_would_be(impl: Implementation, limit: Any) -> None:
    limit(1 << 20)
    data = compressed(bytes(1 << 26))
    connection = wsproto.connection.Connection(wsproto.ConnectionType.CLIENT, [deflate()])
    tracemalloc.start()
    try:
        connection.receive_data(data)
        (event,) = connection.events()
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
    assert event.code is CloseReason.MESSAGE_TOO_BIG


def test_none_is_no_limit(impl: Implementation, limit: Any) -> None:
    limit(None)
    connection = wsproto.connection.Connection(wsproto.ConnectionType.CLIENT, [deflate()])
    connection.receive_data(compressed(bytes(1 << 25)))
    (event,) = connection.events()
    assert len(event.data) == 1 << 25


def test_a_stream_that_ends_itself_is_not_kept(impl: Implementation) -> None:
    compressor = zlib.compressobj(wbits=-15)
    data = bytearray(frame(BINARY, compressor.compress(b"abc") + compressor.flush(), fin=False))
    data[0] |= 0x40
    more = frame(CONT, bytes(50_000), fin=False)
    compare(True, "deflate", [(bytes(data), None), (more, None)])
    compare(True, "deflate", [(bytes(data), None), (frame(CONT), None), (compressed(b"abc"), None)])
    protocol = dropin.FrameProtocol(True, [deflate()])
    told(protocol, [(bytes(data), None)])
    tracemalloc.start()
    try:
        told(protocol, [(more, None)] * 100)
        assert tracemalloc.get_traced_memory()[0] < 1_000_000
    finally:
        tracemalloc.stop()


# ------------------------------------------------------------------------------------------------------------ sent


def sent(protocol: Any, calls: list[tuple[str, tuple[Any, ...]]]) -> list[Any]:
    """Return what calls return, without their masking keys, or the classes of their errors."""
    found: list[Any] = []
    for name, arguments in calls:
        try:
            data = bytes(getattr(protocol, name)(*arguments))
        except (TypeError, ValueError, OverflowError, zlib.error) as error:
            found.append(type(error).__mro__[:-2])
        except Exception as error:  # struct.error is neither
            found.append(type(error))
        else:
            found.append(unmasked(data) if protocol.client else data)
    return found


def unmasked(data: bytes) -> bytes:
    """Return a client's frame as a server would send it."""
    length = data[1] & 0x7F
    size = 2 if length < 126 else 4 if length == 126 else 10
    assert data[1] & 0x80
    key = data[size : size + 4]
    payload = bytes(byte ^ key[index % 4] for index, byte in enumerate(data[size + 4 :]))
    return bytes([data[0], length]) + data[2:size] + payload


messages = st.one_of(st.text(max_size=20), st.binary(max_size=150), st.builds(bytearray, sizes))
if metadata.version("wsproto") >= "1.3":
    messages |= st.binary(max_size=9).map(memoryview)
wrong = st.sampled_from([None, 5, ["a"], "\ud800"])
reasons = st.one_of(st.none(), st.text(max_size=60), st.just("é" * 90), st.just("\ud800"))
calls = st.one_of(
    st.tuples(st.just("send_data"), st.tuples(messages, st.booleans())),
    st.tuples(st.just("send_data"), st.tuples(st.one_of(messages, wrong))),
    st.tuples(st.sampled_from(["ping", "pong"]), st.one_of(st.just(()), st.tuples(st.binary(max_size=130)))),
    st.tuples(
        st.just("close"),
        st.tuples(st.one_of(st.none(), codes, st.sampled_from([*CloseReason, -1, 70_000])), reasons),
    ),
)


@given(
    st.booleans(),
    st.sampled_from(["none", "deflate", "fresh deflate", "recorder", "both"]),
    st.lists(calls, max_size=8),
)
def test_ours_writes_the_same_as_wsproto(client: bool, extensions: str, made: Any) -> None:
    expected = sent(HostProtocol(client, EXTENSIONS[extensions]()), made)
    for implementation in BACKENDS:
        with using(implementation):
            assert sent(dropin.FrameProtocol(client, EXTENSIONS[extensions]()), made) == expected


@pytest.mark.parametrize("size", [125, 126, 65_535, 65_536, 70_000])
def test_lengths_have_their_shortest_form(impl: Implementation, size: int) -> None:
    made = [("send_data", ("x" * size,)), ("send_data", (bytes(size), False)), ("send_data", (bytes(size), True))]
    for client in (True, False):
        assert sent(dropin.FrameProtocol(client, []), made) == sent(HostProtocol(client, []), made)


def test_masking_keys_differ(impl: Implementation) -> None:
    protocol = dropin.FrameProtocol(True, [])
    assert len({protocol.send_data("hello")[2:6] for _ in range(50)} | {protocol.ping()[2:6] for _ in range(50)}) > 90


# ------------------------------------------------------------------------------------------- whole connections


@pytest.fixture
def installed() -> Iterator[None]:
    """Ours is in place, with the limit that it has by default."""
    assert dropin.install()
    yield
    dropin.uninstall()


def dialogue(extensions: Callable[[], list[Any]]) -> list[Any]:
    """Return what two connections of wsproto tell each other."""
    ends = [
        wsproto.connection.Connection(kind, extensions())
        for kind in (wsproto.ConnectionType.CLIENT, wsproto.ConnectionType.SERVER)
    ]
    events: list[Any] = [
        TextMessage(data="hé"),
        BytesMessage(data=b"ab", message_finished=False),
        BytesMessage(data=b"c" * 70_000, message_finished=True),
        Ping(payload=b"p"),
        Pong(payload=b"q"),
        CloseConnection(code=1001, reason="bye"),
    ]
    found: list[Any] = []
    for sender, receiver in (ends, ends[::-1]):
        for event in events:
            receiver.receive_data(sender.send(event))
            found += receiver.events()
            if isinstance(event, CloseConnection):
                found.append((sender.state, receiver.state))
                break
        events = events[-1:]
    return found


@pytest.mark.parametrize("extensions", ["none", "deflate", "fresh deflate", "both"])
def test_whole_connections_say_the_same(impl: Implementation, installed: None, extensions: str) -> None:
    found = dialogue(EXTENSIONS[extensions])
    dropin.uninstall()
    assert found == dialogue(EXTENSIONS[extensions])
    assert sum(isinstance(event, Message) for event in found) >= 3


def test_data_behind_the_handshake_is_read(impl: Implementation, installed: None) -> None:
    connection = wsproto.connection.Connection(wsproto.ConnectionType.CLIENT, trailing_data=b"\x81\x02hi")
    assert list(connection.events()) == [TextMessage(data="hi")]


# -------------------------------------------------------------------------------------------------- installation


@pytest.fixture(autouse=True)
def wsproto_is_left_as_it_was() -> Iterator[None]:
    yield
    assert wsproto.connection.FrameProtocol is HostProtocol


def own_of_a_connection() -> type:
    connection = wsproto.connection.Connection(wsproto.ConnectionType.SERVER)
    return type(connection._proto)


def test_installing_is_idempotent_and_can_be_undone(impl: Implementation) -> None:
    assert not dropin.installed()
    dropin.uninstall()
    for _ in range(2):
        assert dropin.install() is True
        assert dropin.installed()
        assert own_of_a_connection() is dropin.FrameProtocol
    for _ in range(2):
        dropin.uninstall()
        assert not dropin.installed()
        assert own_of_a_connection() is HostProtocol


def test_connections_keep_what_they_began_with(impl: Implementation) -> None:
    assert dropin.install()
    connection = wsproto.connection.Connection(wsproto.ConnectionType.CLIENT)
    connection.receive_data(b"\x01\x01a")
    dropin.uninstall()
    connection.receive_data(b"\x80\x01b")
    assert "".join(event.data for event in connection.events()) == "ab"


def test_what_others_put_over_ours_stays(impl: Implementation, monkeypatch: pytest.MonkeyPatch) -> None:
    class Other(HostProtocol):
        pass

    assert dropin.install()
    with monkeypatch.context() as patched:
        patched.setattr(wsproto.connection, "FrameProtocol", Other)
        assert not dropin.installed()
        dropin.uninstall()
        assert wsproto.connection.FrameProtocol is Other
    dropin.uninstall()


def test_a_limit_that_is_none_is_refused_before_anything_is_done(impl: Implementation) -> None:
    with pytest.raises(ValueError, match="max_inflated is negative"):
        dropin.install(max_inflated=-1)
    with pytest.raises(TypeError):
        dropin.install(max_inflated="1 MiB")  # type: ignore[arg-type]
    assert not dropin.installed()


def changes(monkeypatch: pytest.MonkeyPatch) -> dict[str, Callable[[], None]]:
    """Return ways in which another wsproto might differ, by what the warning says."""

    class Renamed(wsproto.connection.Connection):  # type: ignore[misc]
        def __init__(self, *_: Any) -> None:
            self.protocol = HostProtocol(False, [])

    def read_less(protocol: Any) -> Any:
        yield from itertools.islice(frames(protocol), 1)

    frames = HostProtocol.received_frames
    check = dropin.check.__globals__
    return {
        "version 2.0.1 is not": lambda: monkeypatch.setattr(metadata, "version", lambda _: "2.0.1"),
        "version 1.1.0 is not": lambda: monkeypatch.setattr(metadata, "version", lambda _: "1.1.0"),
        "there is no": lambda: monkeypatch.delattr(wsproto.connection, "FrameProtocol"),
        "does not ask for its frame protocol": lambda: monkeypatch.setitem(check, "Connection", Renamed),
        "instead of": lambda: monkeypatch.setattr(HostProtocol, "received_frames", read_less),
    }


@pytest.mark.parametrize(
    "reason",
    ["version 2.0.1 is not", "version 1.1.0 is not", "there is no", "does not ask for its frame", "instead of"],
)
def test_where_wsproto_has_changed_it_is_left_alone_and_one_warning_says_so(
    impl: Implementation, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    monkeypatch.setattr(dropin._patch, "_warned", False)
    with monkeypatch.context() as changed:
        apply = next(change for name, change in changes(changed).items() if name.startswith(reason))
        apply()
        before = getattr(wsproto.connection, "FrameProtocol", None)
        with pytest.warns(RuntimeWarning, match=f"stays out of wsproto.*{reason}") as caught:
            assert dropin.install() is False
        assert caught[0].filename == __file__
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert dropin.install() is False
        assert not dropin.installed()
        assert getattr(wsproto.connection, "FrameProtocol", None) is before
    assert dropin.install() is True
    dropin.uninstall()
