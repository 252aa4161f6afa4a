"""The drop-in for tornado: whatever comes, in whatever pieces, ours tells and sends the same as tornado's protocol."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from implementations import Implementation

pytest.importorskip("tornado", reason="tornado is not installed")

import tornado.websocket
from comparing import run, same
from helpers import BINARY, CLOSE, KEY, PING, TEXT, close_payload, frame
from installing import (
    Change,
    Place,
    check_it_comes_and_goes,
    check_it_leaves_others_alone,
    check_it_stays_out,
    installed,
    version,
)
from streams import bytewise, contents, cut, messages, sizes, streams
from tornado.iostream import IOStream
from tornado.websocket import WebSocketClosedError, _WebSocketParams
from tornado.websocket import WebSocketProtocol13 as HostProtocol

from wscodec import FrameDecoder, Role
from wscodec.dropin import tornado as dropin

LIMIT = 300
MODES = ("sync", "async", "slow", "future")


# ---------------------------------------------------------------------------------------------- what is compared


class Handler:
    """What a protocol tells: it writes that down and sends messages back, in one of several ways."""

    def __init__(self, mode: str) -> None:
        self.protocol: Any = None
        self.told: list[Any] = []
        self.mode = mode

    def on_message(self, message: str | bytes) -> Any:
        self.told.append(message)
        if message == "end":
            self.protocol.close(4000, "bye")
            return None
        if self.mode == "sync" or message == "raise":
            self.answer(message)
            return None
        return self.answer(message) if self.mode == "future" else self.answer_later(message)

    def answer(self, message: str | bytes) -> Any:
        if message == "raise":
            raise ValueError(message)
        return self.protocol.write_message(message, isinstance(message, bytes))

    async def answer_later(self, message: str | bytes) -> None:
        if self.mode == "slow":
            await asyncio.sleep(0)
        if message == "fail":
            raise ValueError(message)
        await self.answer(message)
        self.told.append("answered")

    def on_ping(self, data: bytes) -> None:
        self.told.append(("ping", data))

    def on_pong(self, data: bytes) -> None:
        self.told.append(("pong", data))

    def on_ws_connection_close(self, code: int | None, reason: str | None) -> None:
        self.told.append(("closed", code, reason))

    def log_exception(self, kind: Any, value: Any, traceback: Any) -> None:
        self.told.append((kind, str(value)))


class Peer:
    """A protocol on a socket, and the other end of that."""

    def __init__(self, kind: Any, client: bool, deflate: bool = False, mode: str = "sync", **params: Any) -> None:
        near, self.socket = socket.socketpair()
        self.socket.setblocking(False)
        self.handler = Handler(mode)
        self.protocol = kind(self.handler, client, _WebSocketParams(**{"max_message_size": LIMIT, **params}))
        self.handler.protocol = self.protocol
        self.protocol.stream = IOStream(near)
        if deflate:
            self.protocol._create_compressors("client" if client else "server", {})
        self.sent = b""  # by the protocol
        self.reading = asyncio.ensure_future(self.protocol._receive_frame_loop())
        self.taking = asyncio.ensure_future(self.take())

    async def take(self) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(ConnectionError):
            while data := await loop.sock_recv(self.socket, 1 << 16):
                self.sent += data

    async def send(self, data: bytes) -> None:
        with contextlib.suppress(ConnectionError):  # the protocol may have had enough
            await asyncio.get_running_loop().sock_sendall(self.socket, data)

    async def settle(self) -> None:
        """Let the protocol do what there is to be done."""
        still = 0
        before: Any = None
        while still < 6:
            await asyncio.sleep(0)
            now = (len(self.handler.told), len(self.sent), self.protocol._wire_bytes_in)
            still = still + 1 if now == before else 0
            before = now

    async def end(self) -> list[Any]:
        """Hang up, and return what came of it all."""
        await self.settle()
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)
        await asyncio.wait([self.reading])
        self.protocol.stream.close()
        await self.taking
        self.socket.close()
        found = [self.handler.told, type(self.reading.exception()), self.counts(), self.late()]
        return [*found, unmasked(self.sent) if self.protocol.mask_outgoing else self.sent]

    def counts(self) -> list[int]:
        names = ("message_bytes_in", "message_bytes_out", "wire_bytes_in", "wire_bytes_out")
        return [getattr(self.protocol, f"_{name}") for name in names]

    def late(self) -> Any:
        with pytest.raises(WebSocketClosedError) as caught:
            self.protocol.write_message("late")
        return caught.value.args, self.protocol.is_closing()


def unmasked(data: bytes) -> list[Any]:
    return FrameDecoder(Role.SERVER, max_size=None).feed(data)


def told(kind: Any, chunks: list[bytes], *args: Any, **params: Any) -> list[Any]:
    """Return what a protocol tells and sends where these chunks come."""

    async def test() -> list[Any]:
        peer = Peer(kind, *args, **params)
        for chunk in chunks:
            await peer.send(chunk)
            await peer.settle()
        return await peer.end()

    return run(test)  # type: ignore[no-any-return]


def compare(chunks: list[bytes], *args: Any, **params: Any) -> list[Any]:
    """See that ours does what tornado's does, and return that."""
    return same(
        lambda: told(HostProtocol, chunks, *args, **params),
        lambda: told(dropin.WebSocketProtocol13, chunks, *args, **params),
    )


# ---------------------------------------------------------------------------------------------------- strategies

# What the handler does more with than to send it back, and what is as long as may be or longer.
special = st.sampled_from([b"end", b"raise", b"fail", b"x" * LIMIT, b"x" * (LIMIT + 1)])


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[bytes], bool, bool, str]:
    """Return chunks of what a peer may send, a role, compression, and how messages are handled."""
    client, deflate = draw(st.booleans()), draw(st.booleans())
    compressor = zlib.compressobj(wbits=-15) if deflate else None
    stream = draw(streams(messages(contents() | special, compressor), not client))
    return cut(draw, stream, 6), client, deflate, draw(st.sampled_from(MODES))


# -------------------------------------------------------------------------------------------------------- received


@settings(max_examples=150)
@given(cases())
def test_ours_tells_and_sends_the_same_as_tornado(case: tuple[list[bytes], bool, bool, str]) -> None:
    compare(*case)


FAULTS = {
    "reserved opcode": b"\x83\0",
    "reserved opcode, fragmented": b"\x03\0",
    "reserved control opcode": b"\x8b\0",
    "control frame in fragments": b"\x09\0",
    "long control frame": b"\x89\x7e",
    "16 bits for a short length": b"\x82\x7e\0\x01a",
    "64 bits for a short length": b"\x82\x7f\0\0\0\0\0\0\0\x01a",
    "top bit of a length": b"\x82\x7f\x80\0\0\0\0\0\0\0",
    "too long": b"\x82\x7e\x01\x2d",
    "reserved bit": b"\xa1\0",
    "bit of deflate": b"\xc1\0",
    "masked": b"\x81\x81\1\2\3\4`",
    "continuation of nothing": b"\x80\1a",
    "message in a message": b"\x01\1a\x02\1b",
    "half a close code": b"\x88\1\3",
    "not UTF-8": b"\x81\2a\xff",
    "not UTF-8, in fragments": b"\x01\2a\xe2\x00\1\x00\x80\1a",
    "close reason not UTF-8": b"\x88\4\x03\xe8a\xff",
}


@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("name", FAULTS)
def test_faults_have_the_same_end(name: str, deflate: bool) -> None:
    data = b"\x82\1a" + FAULTS[name]
    whole = compare([data + b"\x81\1b"], True, deflate)
    assert compare(bytewise(data + b"\x81\1b"), True, deflate)[0] == whole[0]


def test_what_is_not_masked_is_taken_as_by_tornado() -> None:
    found = compare([frame(TEXT, b"a", key=KEY) + frame(TEXT, b"b") + frame(TEXT, b"c", key=KEY)], False)
    assert found[0] == ["a", "b", "c", ("closed", None, None)]


@pytest.mark.parametrize("client", [False, True])
@pytest.mark.parametrize("size", [65_500, 65_536, 300_000])
def test_long_messages(client: bool, size: int) -> None:
    key = None if client else KEY
    data = b"".join(frame(opcode, b"abcd" * (size // 4), key=key) for opcode in (TEXT, BINARY, TEXT))
    chunks = [data[start : start + 70_001] for start in range(0, len(data), 70_001)]
    found = compare(chunks, client, False, "async", max_message_size=size)
    assert [len(message) for message in found[0][:-1:2]] == [size, size, size]


@pytest.mark.parametrize("limit", [LIMIT + 0.5, float("inf"), 0])
def test_limits_that_are_no_usual_size(limit: float) -> None:
    frames = [frame(TEXT, b"a" * size, key=KEY) for size in (0, LIMIT, LIMIT + 1)]
    compare(frames, False, max_message_size=limit)


def test_messages_behind_a_close_frame_are_dropped() -> None:
    burst = frame(TEXT, b"a") + frame(CLOSE, close_payload(1001, b"bye")) + frame(TEXT, b"b")
    for mode in MODES:
        found = compare([burst], True, False, mode)
        assert [entry for entry in found[0] if entry != "answered"] == ["a", ("closed", 1001, "bye")]


def test_messages_behind_an_error_of_the_handler_are_dropped() -> None:
    for mode, message in (("sync", b"raise"), ("async", b"fail"), ("slow", b"fail")):
        burst = b"".join(frame(TEXT, text) for text in (b"a", message, b"b"))
        found = compare([burst], True, False, mode)
        assert "b" not in found[0]


def test_a_handler_that_waits_gets_one_message_at_a_time(impl: Implementation) -> None:
    async def test() -> None:
        peer = Peer(dropin.WebSocketProtocol13, True)
        gate = asyncio.Event()
        running: list[Any] = []

        async def on_message(message: str) -> None:
            running.append(message)
            await gate.wait()

        peer.handler.on_message = on_message  # type: ignore[method-assign]
        await peer.send(frame(TEXT, b"a") + frame(PING) + frame(TEXT, b"b"))
        await peer.settle()
        assert (running, peer.handler.told) == (["a"], [])
        gate.set()
        await peer.settle()
        assert (running, peer.handler.told) == (["a", "b"], [("ping", b"")])
        await peer.end()

    run(test)


def test_what_arrived_is_told_even_if_the_peer_is_gone(impl: Implementation) -> None:
    async def test() -> None:
        peer = Peer(dropin.WebSocketProtocol13, True, False, "slow")
        peer.handler.answer = lambda message: asyncio.sleep(0.02)  # type: ignore[method-assign]
        await peer.settle()  # from now on the stream listens, and notices the end
        # The Pong finds the stream closed, and that is not the end of what is behind the ping.
        sent = [frame(TEXT, b"1"), frame(TEXT, b"2"), frame(PING), frame(TEXT, b"3"), frame(CLOSE, close_payload(4000))]
        await peer.send(b"".join(sent))
        peer.socket.shutdown(socket.SHUT_WR)
        await asyncio.wait([peer.reading])
        messages = [entry for entry in peer.handler.told if entry != "answered"]
        assert messages == ["1", "2", ("ping", b""), "3", ("closed", 4000, None)]
        await peer.end()

    run(test)


def test_nothing_read_is_kept_while_nothing_comes(impl: Implementation) -> None:
    async def test() -> None:
        peer = Peer(dropin.WebSocketProtocol13, True, max_message_size=1 << 20)
        for size in (100, 60_000, 200_000):
            await peer.send(frame(BINARY, bytes(size)))
            await peer.settle()
            assert len(peer.handler.told[-1]) == size
            assert not peer.protocol._ahead
        await peer.end()

    run(test)


# ------------------------------------------------------------------------------------------------------------ sent

wrong = st.sampled_from([None, 5, ["a"], "\ud800"])
sent = st.one_of(
    st.text(max_size=20), st.binary(max_size=150), sizes.map(lambda n: "é" * n), wrong, st.just({"a": [1]})
)
calls = st.one_of(
    st.tuples(st.just("write_message"), sent, st.booleans()),
    st.tuples(st.just("write_message"), sent, st.booleans()),
    st.tuples(st.just("write_ping"), st.binary(max_size=130)),
    st.tuples(st.just("close"), st.sampled_from([None, 1000, 4000, 70_000]), st.sampled_from([None, "bye", "é" * 70])),
)


def written(kind: Any, client: bool, deflate: bool, made: list[Any]) -> list[Any]:
    """Return what calls return or raise, what they send, and what that counts."""

    async def test() -> list[Any]:
        peer = Peer(kind, client, deflate)
        found: list[Any] = []
        for name, *arguments in made:
            try:
                result = getattr(peer.protocol, name)(*arguments)
                found.append(await result if name == "write_message" else result)
            except Exception as error:
                found.append((type(error), str(error)))
        await peer.settle()
        peer.protocol._abort()
        return [found, await peer.end()]

    return run(test)  # type: ignore[no-any-return]


@settings(max_examples=40)
@given(st.booleans(), st.booleans(), st.lists(calls, max_size=8))
def test_ours_writes_the_same_as_tornado(client: bool, deflate: bool, made: Any) -> None:
    same(
        lambda: written(HostProtocol, client, deflate, made),
        lambda: written(dropin.WebSocketProtocol13, client, deflate, made),
    )


def test_who_awaits_each_message_lets_others_run(impl: Implementation) -> None:
    async def test() -> None:
        peer = Peer(dropin.WebSocketProtocol13, False)
        rounds = 0

        async def count() -> None:
            nonlocal rounds
            while True:
                await asyncio.sleep(0)
                rounds += 1

        counting = asyncio.ensure_future(count())
        for _ in range(50):
            await peer.protocol.write_message("a")
        assert rounds >= 49
        counting.cancel()
        await peer.end()

    run(test)


@pytest.mark.parametrize("cancel", [False, True])
def test_a_future_waits_for_a_peer_that_does_not_read(impl: Implementation, cancel: bool) -> None:
    async def test() -> None:
        peer = Peer(dropin.WebSocketProtocol13, False, max_message_size=1 << 24)
        peer.taking.cancel()
        await asyncio.sleep(0)
        long = peer.protocol.write_message(bytes(1 << 22), True)
        short = peer.protocol.write_message("a")
        await peer.settle()
        assert not long.done()
        assert not short.done()
        if cancel:
            short.cancel()
        peer.taking = asyncio.ensure_future(peer.take())
        assert await long is None
        assert cancel or await short is None
        while len(peer.sent) < (1 << 22) + 10 + 3:
            await asyncio.sleep(0)
        assert peer.sent.endswith(b"\x81\1a")
        await peer.end()

    run(test)


def test_a_future_fails_where_the_connection_ends(impl: Implementation) -> None:
    async def test() -> None:
        peer = Peer(dropin.WebSocketProtocol13, False)
        peer.taking.cancel()
        await asyncio.sleep(0)
        waiting = peer.protocol.write_message(bytes(1 << 22), True)
        cancelled = peer.protocol.write_message("a")
        assert cancelled.cancel()
        peer.protocol._abort()
        with pytest.raises(WebSocketClosedError):
            await waiting
        peer.taking = asyncio.ensure_future(peer.take())
        await peer.end()

    run(test)


# -------------------------------------------------------------------------------------------------- installation

PLACES: list[Place] = [(tornado.websocket, "WebSocketProtocol13")]


@pytest.fixture(autouse=True)
def tornado_is_left_as_it_was() -> Iterator[None]:
    yield
    assert tornado.websocket.WebSocketProtocol13 is HostProtocol


def test_installing_is_idempotent_and_can_be_undone(impl: Implementation) -> None:
    check_it_comes_and_goes(dropin, PLACES)
    with installed(dropin):
        assert tornado.websocket.WebSocketProtocol13 is dropin.WebSocketProtocol13


def test_it_can_be_installed_while_an_event_loop_runs(impl: Implementation) -> None:
    async def test() -> bool:
        return dropin.install()

    assert run(test)
    dropin.uninstall()


def test_what_others_put_over_ours_stays(impl: Implementation) -> None:
    check_it_leaves_others_alone(dropin, PLACES, PLACES[0])


class Renamed(tornado.websocket.WebSocketHandler):  # type: ignore[misc]
    def get_websocket_protocol(self) -> Any:
        return HostProtocol(self, False, _WebSocketParams())


def handle_less(protocol: Any, opcode: int, data: bytes, handle: Any = HostProtocol._handle_message) -> Any:
    return handle(protocol, opcode, data[:3])


# Ways in which another tornado might differ, by what the warning says.
CHANGES: dict[str, Change] = {
    "version 7.0 is not": version("7.0"),
    "version 6.1.0 is not": version("6.1.0"),
    "there is no tornado.websocket.W": lambda patch: patch.delattr(tornado.websocket, "WebSocketProtocol13"),
    "there is no WebSocketProtocol13._read_bytes": lambda patch: patch.delattr(HostProtocol, "_read_bytes"),
    "does not ask for its protocol": lambda patch: patch.setitem(dropin.check.__globals__, "WebSocketHandler", Renamed),
    "instead of": lambda patch: patch.setattr(dropin.WebSocketProtocol13, "_handle_message", handle_less),
}


@pytest.mark.parametrize("reason", CHANGES)
def test_where_tornado_has_changed_it_is_left_alone_and_one_warning_says_so(impl: Implementation, reason: str) -> None:
    check_it_stays_out(dropin, PLACES, CHANGES[reason], f"tornado.*{reason}")
