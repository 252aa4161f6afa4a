"""The drop-in for wsproto: whatever comes, in whatever pieces, ours tells the same as wsproto's own frame protocol."""

from __future__ import annotations

import itertools
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from implementations import Implementation

pytest.importorskip("wsproto", reason="wsproto is not installed")

import wsproto.connection
from comparing import same, sent_frames, with_and_without
from helpers import BINARY, CLOSE, CONT, KEY, PING, TEXT, frame
from installing import (
    Change,
    Place,
    check_it_comes_and_goes,
    check_it_leaves_others_alone,
    check_it_stays_out,
    installed,
    version,
)
from streams import as_read, bytewise, codes, contents, messages, sizes, streams
from wsproto.events import BytesMessage, CloseConnection, Message, Ping, Pong, TextMessage
from wsproto.extensions import Extension, PerMessageDeflate
from wsproto.frame_protocol import CloseReason, ParseFailed, RsvBits
from wsproto.frame_protocol import FrameProtocol as HostProtocol

from wscodec.dropin import wsproto as dropin

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
    """See that ours tells what wsproto's does."""
    same(
        lambda: told(HostProtocol(client, EXTENSIONS[extensions]()), steps),
        lambda: told(dropin.FrameProtocol(client, EXTENSIONS[extensions]()), steps),
    )


# ---------------------------------------------------------------------------------------------------- strategies


@st.composite
def cases(draw: st.DrawFn) -> tuple[bool, str, Steps]:
    """Return a role, extensions, and reads with how many frames are asked for after each."""
    client = draw(st.booleans())
    extensions = draw(st.sampled_from(list(EXTENSIONS)))
    compressor = zlib.compressobj(wbits=-15) if "deflate" in extensions or extensions == "both" else None
    # wsproto forgets that a message is compressed when a control frame comes in between: see the test below.
    message = messages(contents(), compressor, within_compressed=st.just([]))
    pieces = as_read(draw, draw(streams(message, not client)))
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
    compare(True, extensions, [*((byte, None) for byte in bytewise(data)), (b"\x81\0", None)])
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
    for pieces in ([data], bytewise(data)):
        protocol = dropin.FrameProtocol(True, [deflate()])
        found = told(protocol, [(piece, None) for piece in pieces * 2])[0]
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
            found.append(sent_frames(data))
    return found


sendable = st.one_of(st.text(max_size=20), st.binary(max_size=150), st.builds(bytearray, sizes))
if metadata.version("wsproto") >= "1.3":
    sendable |= st.binary(max_size=9).map(memoryview)
wrong = st.sampled_from([None, 5, ["a"], "\ud800"])
reasons = st.one_of(st.none(), st.text(max_size=60), st.just("é" * 90), st.just("\ud800"))
calls = st.one_of(
    st.tuples(st.just("send_data"), st.tuples(sendable, st.booleans())),
    st.tuples(st.just("send_data"), st.tuples(st.one_of(sendable, wrong))),
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
    same(
        lambda: sent(HostProtocol(client, EXTENSIONS[extensions]()), made),
        lambda: sent(dropin.FrameProtocol(client, EXTENSIONS[extensions]()), made),
    )


@pytest.mark.parametrize("size", [125, 126, 65_535, 65_536, 70_000])
def test_lengths_have_their_shortest_form(impl: Implementation, size: int) -> None:
    made = [("send_data", ("x" * size,)), ("send_data", (bytes(size), False)), ("send_data", (bytes(size), True))]
    for client in (True, False):
        assert sent(dropin.FrameProtocol(client, []), made) == sent(HostProtocol(client, []), made)


def test_masking_keys_differ(impl: Implementation) -> None:
    protocol = dropin.FrameProtocol(True, [])
    assert len({protocol.send_data("hello")[2:6] for _ in range(50)} | {protocol.ping()[2:6] for _ in range(50)}) > 90


# ------------------------------------------------------------------------------------------- whole connections


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
def test_whole_connections_say_the_same(extensions: str) -> None:
    found = with_and_without(dropin, lambda: dialogue(EXTENSIONS[extensions]))
    assert sum(isinstance(event, Message) for event in found) >= 3


def test_data_behind_the_handshake_is_read(impl: Implementation) -> None:
    with installed(dropin):
        connection = wsproto.connection.Connection(wsproto.ConnectionType.CLIENT, trailing_data=b"\x81\x02hi")
        assert list(connection.events()) == [TextMessage(data="hi")]


# -------------------------------------------------------------------------------------------------- installation

PLACES: list[Place] = [(wsproto.connection, "FrameProtocol")]


@pytest.fixture(autouse=True)
def wsproto_is_left_as_it_was() -> Iterator[None]:
    yield
    assert wsproto.connection.FrameProtocol is HostProtocol


def own_of_a_connection() -> type:
    connection = wsproto.connection.Connection(wsproto.ConnectionType.SERVER)
    return type(connection._proto)


def test_installing_is_idempotent_and_can_be_undone(impl: Implementation) -> None:
    check_it_comes_and_goes(dropin, PLACES)
    with installed(dropin):
        assert own_of_a_connection() is dropin.FrameProtocol
    assert own_of_a_connection() is HostProtocol


def test_connections_keep_what_they_began_with(impl: Implementation) -> None:
    assert dropin.install()
    connection = wsproto.connection.Connection(wsproto.ConnectionType.CLIENT)
    connection.receive_data(b"\x01\x01a")
    dropin.uninstall()
    connection.receive_data(b"\x80\x01b")
    assert "".join(event.data for event in connection.events()) == "ab"


def test_what_others_put_over_ours_stays(impl: Implementation) -> None:
    check_it_leaves_others_alone(dropin, PLACES, PLACES[0])


def test_a_limit_that_is_none_is_refused_before_anything_is_done(impl: Implementation) -> None:
    with pytest.raises(ValueError, match="max_inflated is negative"):
        dropin.install(max_inflated=-1)
    with pytest.raises(TypeError):
        dropin.install(max_inflated="1 MiB")  # type: ignore[arg-type]
    assert not dropin.installed()


class Renamed(wsproto.connection.Connection):  # type: ignore[misc]
    def __init__(self, *_: Any) -> None:
        self.protocol = HostProtocol(False, [])


def read_less(protocol: Any, frames: Any = HostProtocol.received_frames) -> Any:
    yield from itertools.islice(frames(protocol), 1)


# Ways in which another wsproto might differ, by what the warning says.
CHANGES: dict[str, Change] = {
    "version 2.0.1 is not": version("2.0.1"),
    "version 1.1.0 is not": version("1.1.0"),
    "there is no": lambda patch: patch.delattr(wsproto.connection, "FrameProtocol"),
    "does not ask for its frame protocol": lambda patch: patch.setitem(dropin.check.__globals__, "Connection", Renamed),
    "instead of": lambda patch: patch.setattr(HostProtocol, "received_frames", read_less),
}


@pytest.mark.parametrize("reason", CHANGES)
def test_where_wsproto_has_changed_it_is_left_alone_and_one_warning_says_so(impl: Implementation, reason: str) -> None:
    check_it_stays_out(dropin, PLACES, CHANGES[reason], f"wsproto.*{reason}")
