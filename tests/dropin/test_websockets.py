"""The drop-in for websockets: whatever comes, in whatever pieces, its protocol tells the same with ours and without."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from implementations import COMPILED, PURE, Implementation, using

pytest.importorskip("websockets", reason="websockets is not installed")
from comparing import outcome, same, sent_frames
from helpers import BINARY, KEY, TEXT, frame
from installing import (
    Change,
    Place,
    check_it_comes_and_goes,
    check_it_leaves_others_alone,
    check_it_stays_out,
    installed,
    standing,
    version,
)
from streams import as_read, bytewise, codes, contents, messages, sizes, streams, texts
from websockets.asyncio.connection import Connection
from websockets.client import ClientProtocol
from websockets.extensions.base import Extension
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame
from websockets.protocol import CLIENT, OPEN, SERVER, Protocol
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from wscodec.dropin import websockets as dropin

needs_compiled = pytest.mark.skipif(not COMPILED, reason="without compiled modules it stays out")
Reads = list[bytes]


# ---------------------------------------------------------------------------------------------- what is compared


class Swapping(Extension):
    """An extension that claims the second reserved bit of each frame, and changes what passes."""

    name = "swapping"

    def decode(self, frame: Any, *, max_size: int | None = None) -> Any:
        if max_size is not None and len(frame.data) == max_size:
            raise ValueError("an error of an extension")
        return Frame(frame.opcode, bytes(frame.data).swapcase(), frame.fin, frame.rsv1, False, frame.rsv3)

    def encode(self, frame: Any) -> Any:
        return Frame(frame.opcode, bytes(frame.data).swapcase(), frame.fin, frame.rsv1, True, frame.rsv3)


EXTENSIONS: dict[str, Callable[[], list[Any]]] = {
    "none": list,
    "deflate": lambda: [PerMessageDeflate(False, False, 12, 12)],
    "fresh deflate": lambda: [PerMessageDeflate(True, True, 15, 15, {"level": 1})],
    "swapping": lambda: [Swapping()],
    "both": lambda: [PerMessageDeflate(False, False, 15, 15), Swapping()],
}


class Records(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.levelname} {record.getMessage()}")


class Told:
    """Reads with a protocol, and keeps what comes of it."""

    def __init__(self, kind: Any, side: Any, extensions: str, max_size: Any, level: int = logging.INFO) -> None:
        self.records = Records()
        logger = logging.Logger("test", level)
        logger.addHandler(self.records)
        self.protocol = kind(side, max_size=max_size, logger=logger)
        self.protocol.extensions = EXTENSIONS[extensions]()
        self.found: list[Any] = []

    def reads(self, data: bytes) -> None:
        self.protocol.receive_data(data)
        self.look()

    def ends(self) -> None:
        self.protocol.receive_eof()
        self.look()

    def look(self) -> None:
        """Keep what can be seen now."""
        protocol = self.protocol
        events = [
            (event.opcode, type(event.opcode), bytes(event.data), event.fin, event.rsv1, event.rsv2, event.rsv3)
            for event in protocol.events_received()
        ]
        error = protocol.parser_exc
        self.found += [
            events,
            [sent_frames(data) for data in protocol.data_to_send()],
            (protocol.state, protocol.close_code, protocol.close_reason, protocol.close_expected()),
            (protocol.close_rcvd, protocol.close_sent, protocol.close_rcvd_then_sent, protocol.eof_sent),
            (type(error), str(error), type(error.__cause__) if error else None),
        ]


def told(kind: Any, side: Any, reads: Reads, extensions: str, max_size: Any) -> list[Any]:
    """Return all that comes of reads, and of the end of the stream behind them."""
    told = Told(kind, side, extensions, max_size)
    for data in reads:
        told.reads(data)
    told.ends()
    error = told.protocol.close_exc
    return [told.found, told.records.lines, type(error), str(error), str(error.__cause__)]


def compare(side: Any, reads: Reads, extensions: str = "none", max_size: Any = 1 << 20) -> list[Any]:
    """See that ours tells what websockets' own tells, and return that."""
    return same(
        lambda: told(Protocol, side, reads, extensions, max_size),
        lambda: told(dropin._Frames, side, reads, extensions, max_size),
    )


# ---------------------------------------------------------------------------------------------------- strategies

# The oldest versions have no limit for fragments.
FRAGMENT_LIMITS = hasattr(Protocol(SERVER), "max_fragment_size")
limits = st.sampled_from(
    [1 << 20, None, 0, 5, 40, 100, *([(100, 33), (None, 9), (33, None)] if FRAGMENT_LIMITS else [])]
)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Any, Reads, str, Any]:
    """Return a side, reads, extensions and a limit."""
    side = draw(st.sampled_from([CLIENT, SERVER]))
    extensions = draw(st.sampled_from(list(EXTENSIONS)))
    compressor = zlib.compressobj(wbits=-12) if "deflate" in extensions or extensions == "both" else None
    data = draw(streams(messages(contents(), compressor), side is SERVER))
    return side, as_read(draw, data), extensions, draw(limits) if draw(st.booleans()) else None


# -------------------------------------------------------------------------------------------------------- received


@given(cases())
@example((CLIENT, [b"\x88\x02\x03\xe8\x81\1a", b"\x81\1b"], "none", None))
@example((SERVER, [b"\x89", b"\x80" + KEY, b""], "deflate", None))
def test_ours_tells_the_same_as_websockets(case: tuple[Any, Reads, str, Any]) -> None:
    compare(*case)


FAULTS = {
    "reserved opcode": b"\x83\0",
    "reserved control opcode": b"\x8b\0",
    "control frame in fragments": b"\x09\0",
    "long control frame": b"\x89\x7e\0\x7e" + bytes(126),
    "16 bits for a short length": b"\x82\x7e\0\x03abc",
    "64 bits for a short length": b"\x82\x7f\0\0\0\0\0\0\0\x03abc",
    "top bit of a length": b"\x82\x7f\x80\0\0\0\0\0\0\0",
    "too long": b"\x82\x7e\x03\xe9",
    "reserved bit": b"\xa1\0",
    "bit of deflate": b"\xc1\0",
    "no deflate": b"\xc1\x02\xff\xff",
    "masked": b"\x81\x80",
    "continuation of nothing": b"\x80\1a",
    "message in a message": b"\x01\1a\x02\1b",
    "Close in a message": b"\x01\1a\x88\0",
    "fragments that are too long": b"\x01\x7e\x01\xf4" + bytes(500) + b"\x00\x7e\x01\xf5",
    "half a close code": b"\x88\1\3",
    "wrong close code": b"\x88\2\x03\xed",
    "close reason not UTF-8": b"\x88\4\x03\xe8a\xff",
    "end within a header": b"\x82\x7e",
    "end within a frame": b"\x82\x03ab",
}


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("extensions", ["none", "deflate", "swapping"])
def test_faults_are_found_at_the_same_byte_and_told_with_the_same_words(name: str, extensions: str) -> None:
    data = b"\x82\1a" + FAULTS[name] + b"\x81\0"
    compare(CLIENT, [data], extensions, 1000)
    compare(CLIENT, bytewise(data), extensions, 1000)
    compare(SERVER, [data], extensions, 1000)


@pytest.mark.parametrize("limit", [1000, 1 << 80, True, *([] if FRAGMENT_LIMITS else [1000.5, float("inf")])])
def test_any_number_is_a_limit(limit: Any) -> None:
    for size in (1, 2, 1000, 1001):
        compare(SERVER, [frame(BINARY, bytes(size), key=KEY)], "none", limit)


@pytest.mark.parametrize("extensions", ["none", "deflate"])
@pytest.mark.parametrize("side", [CLIENT, SERVER])
def test_large_frames_in_many_reads(side: Any, extensions: str) -> None:
    key = KEY if side is SERVER else None
    data = frame(TEXT, ("aé€😀" * 20_000).encode(), key=key) + frame(BINARY, bytes(70_000), key=key)
    compare(side, [data[start : start + 65_537] for start in range(0, len(data), 65_537)], extensions)


def test_what_inflates_beyond_the_limit_is_refused() -> None:
    compressor = zlib.compressobj(wbits=-12)
    bomb = compressor.compress(bytes(100_000)) + compressor.flush(zlib.Z_SYNC_FLUSH)
    data = frame(BINARY, bomb[:-4], rsv=4)
    for limit in (99_999, 100_000):
        assert bool(compare(CLIENT, [data], "deflate", limit)[-2].startswith("sent 1009")) is (limit < 100_000)


@needs_compiled
def test_data_behind_the_handshake_is_read() -> None:
    with installed(dropin):
        client, server = handshake(ClientProtocol(parse_uri("ws://test/")), ServerProtocol(), b"\x81\x02hi\x81")
        assert [event.data for event in client.events_received()[1:]] == [b"hi"]
        client.send_text(b"hello")
        server.receive_data(client.data_to_send()[0])
        assert [event.data for event in server.events_received()[1:]] == [b"hello"]
        assert ours(client)
        assert ours(server)


def handshake(client: Any, server: Any, rest: bytes = b"") -> tuple[Any, Any]:
    """Have two protocols shake hands, and the client read `rest` in the same read as the response."""
    client.send_request(client.connect())
    (request,) = client.data_to_send()
    server.receive_data(request)
    server.send_response(server.accept(server.events[0]))
    (response,) = server.data_to_send()
    client.receive_data(response + rest)
    assert client.state is server.state is OPEN
    return client, server


def ours(protocol: Any) -> bool:
    """Return whether a protocol reads with ours."""
    return bool(protocol.parser.gi_yieldfrom.gi_code is dropin.parse.__code__)


def test_any_buffer_is_taken_and_not_kept(impl: Implementation) -> None:
    for make in (bytes, bytearray, memoryview):
        protocol = dropin._Frames(CLIENT)
        data = bytearray(b"\x81\x02h")
        protocol.receive_data(make(data))
        data[:] = b"xxx"
        protocol.receive_data(make(b"i"))
        assert [event.data for event in protocol.events_received()] == [b"hi"]


def test_after_the_end_of_the_stream_data_are_refused(impl: Implementation) -> None:
    for kind in (Protocol, dropin._Frames):
        protocol = kind(CLIENT)
        protocol.receive_eof()
        protocol.receive_eof()
        with pytest.raises(EOFError, match="stream ended"):
            protocol.receive_data(b"x")


# ------------------------------------------------------------------------------------------------------------ sent


def sent(kind: Any, side: Any, extensions: str, calls: list[tuple[str, tuple[Any, ...]]], level: int) -> list[Any]:
    """Return what a peer makes of what calls send, and the errors of the calls."""
    told = Told(kind, side, extensions, None, level)
    peer = Told(Protocol, CLIENT if side is SERVER else SERVER, extensions, None)
    found: list[Any] = []
    for name, arguments in calls:
        found.append(outcome(getattr(told.protocol, name), *arguments))
        for data in told.protocol.data_to_send():
            found.append(sent_frames(data) if extensions == "none" else len(data))
            if data:
                peer.reads(data)
    told.look()
    return [found, told.found, told.records.lines, peer.found]


buffers = st.one_of(texts, st.binary(max_size=150), st.builds(bytearray, sizes), st.binary(max_size=9).map(memoryview))
calls = st.one_of(
    st.tuples(st.sampled_from(["send_text", "send_binary"]), st.tuples(buffers, st.booleans()) | st.tuples(buffers)),
    st.tuples(st.just("send_continuation"), st.tuples(buffers, st.booleans())),
    st.tuples(st.sampled_from(["send_ping", "send_pong"]), st.tuples(st.binary(max_size=130))),
    st.tuples(st.sampled_from(["send_close", "fail"]), st.tuples(codes, st.text("aé", max_size=70))),
)


@given(
    st.sampled_from([CLIENT, SERVER]),
    st.sampled_from(list(EXTENSIONS)),
    st.lists(calls, max_size=8),
    st.sampled_from([logging.INFO, logging.INFO, logging.DEBUG]),
)
@example(CLIENT, "none", [("send_text", (b"hello",)), ("send_binary", (b"\0",))], logging.INFO)
def test_ours_writes_what_websockets_writes(side: Any, extensions: str, made: Any, level: int) -> None:
    same(
        lambda: sent(Protocol, side, extensions, made, level),
        lambda: sent(dropin._Frames, side, extensions, made, level),
    )


@pytest.mark.parametrize("size", [125, 126, 65_535, 65_536, 70_000])
def test_lengths_have_their_shortest_form(impl: Implementation, size: int) -> None:
    for side in (CLIENT, SERVER):
        for extensions in ("none", "deflate"):
            made = [("send_text", (b"x" * size,)), ("send_binary", (bytearray(size), False))]
            found = sent(dropin._Frames, side, extensions, made, logging.INFO)
            assert found == sent(Protocol, side, extensions, made, logging.INFO)


def test_masking_keys_differ(impl: Implementation) -> None:
    protocol = dropin._Frames(CLIENT)
    for _ in range(100):
        protocol.send_text(b"hello")
    assert len({data[2:6] for data in protocol.data_to_send()}) > 90


def test_what_is_logged_is_the_same(impl: Implementation) -> None:
    reads = [b"\x81\x02hi\x89\x01p\x01\x01a", b"\x88\x02\x03\xe8\x81\0"]
    lines = []
    for kind in (Protocol, dropin._Frames):
        told = Told(kind, CLIENT, "deflate", 100, logging.DEBUG)
        for data in reads:
            told.reads(data)
        told.ends()
        lines.append(told.records.lines)
    assert lines[0] == lines[1]
    assert len(lines[0]) > 5


# -------------------------------------------------------------------------------------------------- installation

PLACES: list[Place] = [
    (Protocol, "parse"),
    (Protocol, "send_binary"),
    (Protocol, "send_text"),
    (Connection, "recv"),
    (Connection, "send"),
]
HOSTS_OWN = standing(PLACES)


@pytest.fixture(autouse=True)
def websockets_is_left_as_it_was() -> Iterator[None]:
    yield
    assert standing(PLACES) == HOSTS_OWN


@needs_compiled
def test_installing_is_idempotent_and_can_be_undone() -> None:
    check_it_comes_and_goes(dropin, PLACES)


def test_it_stays_out_where_it_would_be_slower(monkeypatch: pytest.MonkeyPatch) -> None:
    with using(PURE):
        monkeypatch.setattr(dropin._patch, "_warned", False)
        with pytest.warns(RuntimeWarning, match="stays out of websockets.*compiled modules"):
            assert dropin.install() is False
        assert not dropin.installed()


@needs_compiled
def test_connections_keep_what_they_began_with() -> None:
    before = Protocol(CLIENT)
    assert dropin.install()
    during = Protocol(CLIENT)
    for protocol in (before, during):
        protocol.receive_data(b"\x81\x02h")
    dropin.uninstall()
    for protocol in (before, during):
        protocol.receive_data(b"i")
        assert [event.data for event in protocol.events_received()] == [b"hi"]


@needs_compiled
def test_what_others_put_over_ours_stays() -> None:
    check_it_leaves_others_alone(dropin, PLACES, (Protocol, "send_text"))


@needs_compiled
def test_the_self_test_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), installed(dropin):
        pass
    assert not [record for record in caplog.records if "websockets" in record.name]


def without_data(protocol: Any, frame: Any) -> None:
    protocol.events.append(Frame(frame.opcode, b""))


# Ways in which another websockets might differ, by what the warning says.
CHANGES: dict[str, Change] = {
    "version 18.0 is not": version("18.0"),
    "version 12.0 is not": version("12.0"),
    "there is no": lambda patch: patch.delattr(Connection, "recv"),
    "instead of": lambda patch: patch.setattr(
        dropin.check.__globals__["_OurProtocol"], "recv_frame", without_data, raising=False
    ),
    "recv waits": lambda patch: patch.delattr(Connection, "data_received"),
}


@needs_compiled
@pytest.mark.parametrize("reason", CHANGES)
def test_where_websockets_has_changed_it_is_left_alone_and_one_warning_says_so(reason: str) -> None:
    check_it_stays_out(dropin, PLACES, CHANGES[reason], f"websockets.*{reason}")
