"""The drop-in for aiohttp: its reader tells the same as aiohttp's own, whatever comes, in any pieces."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from implementations import Implementation

pytest.importorskip("aiohttp", reason="aiohttp is not installed")

import aiohttp.client
import aiohttp.web_ws
from aiohttp import WSMsgType
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import WebSocketReader as HostReader
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_ws import WebSocketDataQueue, WebSocketResponse
from comparing import same
from helpers import BINARY, CLOSE, CONT, KEY, PING, TEXT, frame
from installing import Change, Place, check_it_comes_and_goes, check_it_stays_out, installed, standing, version
from streams import as_read, bytewise, contents, messages, rarely, streams

from wscodec.dropin import aiohttp as dropin
from wscodec.dropin._aiohttp_check import check
from wscodec.dropin._aiohttp_transport import GatheringTransport

# What aiohttp's readers know in this version.
OPTIONS: dict[str, Any] = {"decode_text": True} if hasattr(WebSocketResponse, "_parser") else {}


class Protocol:
    """What a queue asks of a connection."""

    _reading_paused = False

    def pause_reading(self) -> None:
        self._reading_paused = True

    def resume_reading(self) -> None:
        self._reading_paused = False


def result(coroutine: Any) -> Any:
    """Return what a coroutine returns, which has nothing to wait for."""
    with pytest.raises(StopIteration) as caught:
        coroutine.send(None)
    return caught.value.value


class Reading:
    """A reader and its queue, which is full at `limit` bytes, of which each message is said to take 128."""

    def __init__(self, kind: Any, max_msg_size: int = 0, limit: int = 1 << 20, **options: Any) -> None:
        self.protocol = Protocol()
        self.queue: Any = WebSocketDataQueue(self.protocol, limit // 2, loop=None)  # type: ignore[arg-type]
        self.reader = kind(self.queue, max_msg_size, **{"compress": False, **OPTIONS, **options})
        self.told: list[Any] = []

    def take(self, count: int = -1) -> None:
        while self.queue._buffer and count:
            message = result(self.queue.read())
            self.told.append((type(message), type(message.type), type(message.data), *message))
            count -= 1

    def outcome(self) -> list[Any]:
        """Return the messages, and the error behind them."""
        self.take()
        error = self.queue.exception()
        # In these words aiohttp says FIN of whatever data frame its reader had last.
        words = re.sub("(?<=Invalid close frame: )(True|False)", "", str(error))
        return [*self.told, (type(error), getattr(error, "code", None), words)]


def outcome(kind: Any, reads: list[bytes], size: int, limit: int, taken: list[int]) -> list[Any]:
    """Return what comes of reads, behind each of which so many messages are taken out of the queue."""
    reading = Reading(kind, size, limit)
    for count, waiting in zip(itertools.cycle(taken), [*reads, None], strict=False):
        while waiting is not None and reading.protocol._reading_paused:
            reading.take(1)  # as a transport that is paused, there is no read
        if waiting is not None:
            reading.reader.feed_data(waiting)
        reading.take(count)
    return reading.outcome()


def compare(
    masked: bool, reads: list[bytes], size: int = 0, limit: int = 1 << 20, taken: tuple[int, ...] = (0,)
) -> None:
    """See that ours tells what aiohttp's reader does."""
    same(
        lambda: outcome(HostReader, reads, size, limit, list(taken)),
        lambda: outcome(dropin.ServerReader if masked else dropin.ClientReader, reads, size, limit, list(taken)),
    )


# ------------------------------------------------------------------------------------------------------------ read


@st.composite
def some_long(draw: st.DrawFn) -> bytes:
    return b"x" * 9000 if rarely(draw, 15) else draw(contents())


@st.composite
def cases(draw: st.DrawFn) -> tuple[Any, ...]:
    """Return arguments of `compare`."""
    masked = draw(st.booleans())
    reads = as_read(draw, draw(streams(messages(some_long()), masked, most=10)), 12)
    size = draw(st.sampled_from([0, 1, 300, 1 << 20, 1 << 20, 1 << 20]))
    limit = draw(st.sampled_from([256, 1000, 1 << 20]))
    taken = draw(st.lists(st.sampled_from([0, 1, 2, 100]), min_size=1, max_size=4))
    return masked, reads, size, limit, tuple(taken)


@given(cases())
def test_ours_tells_the_same_as_aiohttp(case: tuple[Any, ...]) -> None:
    compare(*case)


FAULTS = {
    "reserved opcode": frame(3, b"", key=KEY),
    "control frame in fragments": frame(PING, b"", fin=False, key=KEY),
    "long control frame": frame(PING, bytes(126), key=KEY),
    "top bit of a length": b"\x82\xff\x80\0\0\0\0\0\0\0" + KEY,
    "not the shortest length": b"\x82\xfe\0\5" + KEY + b"hello",
    "reserved bit": frame(TEXT, b"a", rsv=2, key=KEY),
    "bit of deflate": frame(TEXT, b"a", rsv=4, key=KEY),
    "not masked": frame(TEXT, b"a"),
    "continuation of nothing": frame(CONT, b"a", key=KEY),
    "message in a message": frame(TEXT, b"a", fin=False, key=KEY) + frame(TEXT, b"b", key=KEY),
    "message in an empty message": frame(TEXT, b"", fin=False, key=KEY) + frame(TEXT, b"b", key=KEY) * 2,
    "half a close code": frame(CLOSE, b"\3", key=KEY),
    "a close code that can't be": frame(CLOSE, b"\3\xed", key=KEY),
    "close reason not UTF-8": frame(CLOSE, b"\3\xe8\xff", key=KEY),
    "not UTF-8": frame(TEXT, b"a\xff", key=KEY),
    "half a character": frame(TEXT, b"a\xe2\x82", key=KEY),
    "too long": frame(BINARY, bytes(1000), key=KEY),
    "too long in fragments": frame(BINARY, bytes(600), fin=False, key=KEY) + frame(CONT, bytes(400), key=KEY),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_told_with_the_same_words(name: str) -> None:
    data = frame(TEXT, b"before", key=KEY) + FAULTS[name]
    for more in (b"", frame(TEXT, b"behind", key=KEY)):
        compare(True, [data + more], 1000)
        compare(True, bytewise(data + more), 1000)


@pytest.mark.parametrize("name", ["reserved opcode", "reserved bit", "message in a message"])
def test_a_bad_header_is_told_as_soon_as_by_aiohttp(impl: Implementation, name: str) -> None:
    data = FAULTS[name]
    end = len(data) - 6
    for kind in (HostReader, dropin.ServerReader):
        reading = Reading(kind)
        reading.reader.feed_data(data[:end])
        assert reading.queue.exception() is None or name != "message in a message"
        reading.reader.feed_data(data[end:])
        assert isinstance(reading.queue.exception(), aiohttp.http.WebSocketError)
        assert reading.reader.feed_data(b"more") == (True, b"more")


@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001])
def test_the_limit_is_that_of_aiohttp(size: int) -> None:
    for opcode in (TEXT, BINARY):
        data = frame(opcode, b"x" * size, key=KEY)
        compare(True, [data], 1000)
        compare(True, [data[:10], data[10:]], 1000)
    compare(True, [frame(TEXT, b"x" * size, key=KEY)], 1)


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("masked", [True, False])
def test_large_messages_come_whole(opcode: int, masked: bool) -> None:
    payload = ("aé€😀" * 30_000).encode()
    data = frame(opcode, payload, key=KEY if masked else None) * 2
    compare(masked, [data])
    compare(masked, [data[start : start + 65_537] for start in range(0, len(data), 65_537)])


def test_a_text_that_can_become_none_is_told_at_once(impl: Implementation) -> None:
    # aiohttp's reader looks at a text when it is whole.
    data = frame(TEXT, b"a\xff" + bytes(1000), key=KEY)
    reading = Reading(dropin.ServerReader)
    assert reading.reader.feed_data(data[:100]) == (True, b"")
    assert reading.outcome()[-1][1:] == (1007, "Invalid UTF-8 text message")


@pytest.mark.parametrize("make", [bytes, bytearray, memoryview])
def test_any_buffer_is_taken_and_not_kept(impl: Implementation, make: Callable[[bytes], Any]) -> None:
    reading = Reading(dropin.ServerReader)
    data = bytearray(frame(TEXT, b"hello", key=KEY))
    for end in range(len(data)):
        piece = data[end : end + 1]
        reading.reader.feed_data(make(piece) if make is not memoryview else memoryview(piece))
        piece[:] = b"x"
    assert [entry[4] for entry in reading.outcome()[:-1]] == ["hello"]


def test_a_queue_that_is_full_is_given_no_more_than_a_window(impl: Implementation) -> None:
    if not hasattr(Reading(HostReader).queue, "_stalled_reader"):
        pytest.skip("this version of aiohttp puts everything into the queue")
    count = 10_000
    reading = Reading(dropin.ServerReader, limit=1 << 17)
    reading.reader.feed_data(frame(BINARY, b"", key=KEY) * count)
    assert reading.protocol._reading_paused
    most = 0
    while reading.queue._buffer:
        most = max(most, len(reading.queue._buffer))
        reading.take(1)
    assert len(reading.told) == count
    assert most < 4000
    assert not reading.protocol._reading_paused


def test_the_end_of_the_stream_comes_behind_what_waits(impl: Implementation) -> None:
    for kind in (HostReader, dropin.ServerReader):
        reading = Reading(kind, limit=256)
        reading.reader.feed_data(frame(TEXT, b"x" * 100, key=KEY) * 9)
        reading.reader.feed_eof()
        reading.take()
        assert len(reading.told) == 9
        assert reading.queue.is_eof()


def test_compressed_messages_and_undecoded_text_are_left_to_aiohttp() -> None:
    queue = Reading(HostReader).queue
    for options in ({"compress": True}, {"compress": False, "decode_text": False} if OPTIONS else {}):
        for make in (dropin.server_reader, dropin.client_reader):
            assert type(make(queue, 0, **(OPTIONS | options))) is HostReader
    assert type(dropin.server_reader(queue, 0, compress=False, **OPTIONS)) is dropin.ServerReader


# ---------------------------------------------------------------------------------------------------------- written


class Transport:
    """Writes down what is asked of it."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.closing = False

    def is_closing(self) -> bool:
        return self.closing

    def get_write_buffer_size(self) -> int:
        return 10

    def get_extra_info(self, name: str) -> str:
        return name

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: self.told.append((name, *arguments))


def gathered(test: Callable[[GatheringTransport], None], closing: bool = False) -> list[Any]:
    """Return what came to a transport by the end of the next tick."""
    transport = Transport()

    async def run() -> None:
        test(GatheringTransport(transport, asyncio.get_running_loop()))  # type: ignore[arg-type]
        transport.closing = closing
        await asyncio.sleep(0)

    asyncio.run(run())
    return transport.told


def test_what_is_written_in_a_tick_is_one_write() -> None:
    assert gathered(lambda to: [to.write(b"a"), to.write(b"b"), to.write(b"c")][0]) == [("write", b"abc")]
    assert gathered(lambda to: to.write(b"a")) == [("write", b"a")]
    assert gathered(lambda to: to.writelines([b"a", b"b"])) == [("write", b"ab")]
    assert gathered(lambda to: None) == []


def test_what_is_long_or_can_change_is_written_at_once() -> None:
    def long(to: Any) -> None:
        to.write(b"a")
        to.write(bytes(1 << 16))
        assert to._transport.told == [("write", b"a"), ("write", bytes(1 << 16))]
        to.write(b"b")

    def changing(to: Any) -> None:
        data = bytearray(b"b")
        to.write(b"a")
        to.write(data)
        assert to._transport.told == [("write", b"a"), ("write", b"b")]

    assert gathered(long)[2:] == [("write", b"b")]
    assert len(gathered(changing)) == 2


@pytest.mark.parametrize("end", ["close", "abort", "write_eof"])
def test_nothing_is_lost_where_the_transport_is_closed_in_the_same_tick(end: str) -> None:
    assert gathered(lambda to: [to.write(b"a"), getattr(to, end)()][0]) == [("write", b"a"), (end,)]


def test_nothing_is_written_to_a_connection_that_is_gone() -> None:
    assert gathered(lambda to: to.write(b"a"), closing=True) == []


def test_all_else_is_the_transports() -> None:
    def ask(to: Any) -> None:
        to.write(b"abc")
        assert to.get_write_buffer_size() == 13
        assert to.get_extra_info("peername") == "peername"
        to.pause_reading()

    assert gathered(ask) == [("pause_reading",), ("write", b"abc")]


# ------------------------------------------------------------------------------------------------------ installed

PLACES: list[Place] = [
    (RequestHandler, "eof_received"),
    (ResponseHandler, "eof_received"),
    (aiohttp.web_ws, "WebSocketWriter"),
    (aiohttp.client, "WebSocketWriter"),
]
# Ours are there only where aiohttp is not compiled.
READERS: list[Place] = [(aiohttp.web_ws, "WebSocketReader"), (aiohttp.client, "WebSocketReader")]
HOSTS_OWN = standing(PLACES + READERS)


@pytest.fixture(autouse=True)
def aiohttp_is_left_as_it_was() -> Iterator[None]:
    yield
    assert standing(PLACES + READERS) == HOSTS_OWN


def test_installing_is_idempotent_and_can_be_undone(impl: Implementation) -> None:
    check_it_comes_and_goes(dropin, PLACES)
    with installed(dropin):
        assert aiohttp.web_ws.WebSocketWriter is aiohttp.client.WebSocketWriter is dropin.Writer


def close_at_once(transport: Any) -> None:
    transport._transport.close()


# Ways in which another aiohttp might differ, by what the warning says.
CHANGES: dict[str, Change] = {
    "version 3.10.11 is not": version("3.10.11"),
    "version 3.15.0 is not": version("3.15.0"),
    "version 4.0.0a1 is not": version("4.0.0a1"),
    "AssertionError: b": lambda patch: patch.setattr(GatheringTransport, "close", close_at_once),
    "does not ask for WebSocketReader": lambda patch: patch.setattr(
        WebSocketResponse, "_post_start", lambda self: None
    ),
}


@pytest.mark.parametrize("reason", CHANGES)
def test_where_aiohttp_has_changed_it_is_left_alone_and_one_warning_says_so(impl: Implementation, reason: str) -> None:
    check_it_stays_out(dropin, PLACES, CHANGES[reason], f"aiohttp.*{reason}")


def test_readers_that_tell_something_else_fail_the_self_test(monkeypatch: pytest.MonkeyPatch) -> None:
    readers = (dropin.ServerReader, dropin.ClientReader)
    check(dropin.Writer, readers)
    monkeypatch.setattr("wscodec.dropin._aiohttp_reader._TEXT", WSMsgType.BINARY)
    with pytest.raises(AssertionError):
        check(dropin.Writer, readers)


def test_where_aiohttp_is_not_compiled_ours_is_under_clients_too() -> None:
    script = """
import aiohttp.client, aiohttp.http, aiohttp.web_ws, wscodec
from wscodec.dropin import aiohttp as dropin
from aiohttp._websocket import helpers, writer
assert writer.websocket_mask is helpers._websocket_mask_python
assert dropin.install()
compiled = wscodec.backend == "compiled"
assert (aiohttp.web_ws.WebSocketReader is dropin.server_reader) is compiled
assert (aiohttp.client.WebSocketReader is dropin.client_reader) is compiled
assert (writer.websocket_mask is not helpers._websocket_mask_python) is compiled
data = bytearray(b"hello")
writer.websocket_mask(b"abcd", data)
assert data == bytes(x ^ y for x, y in zip(b"hello", b"abcda"))
dropin.uninstall()
assert writer.websocket_mask is helpers._websocket_mask_python
assert aiohttp.web_ws.WebSocketReader is aiohttp.client.WebSocketReader is aiohttp.http.WebSocketReader
"""
    environment = {**os.environ, "AIOHTTP_NO_EXTENSIONS": "1", "PYTHONPATH": ":".join(sys.path), "PATH": ""}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True, timeout=60)


def test_messages_are_aiohttps_own() -> None:
    reading = Reading(dropin.ServerReader)
    reading.reader.feed_data(frame(TEXT, b"[1]", key=KEY))
    message = result(reading.queue.read())
    assert type(message) is aiohttp.WSMessage
    assert message.type is WSMsgType.TEXT
    assert message.json() == [1]
