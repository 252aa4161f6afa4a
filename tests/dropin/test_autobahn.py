"""The drop-in for Autobahn: whatever comes, in whatever pieces, and whatever is sent, it is the same as without."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from implementations import Implementation, using

pytest.importorskip("autobahn", reason="Autobahn is not installed")

from autobahn.asyncio.websocket import (
    WebSocketClientFactory,
    WebSocketClientProtocol,
    WebSocketServerFactory,
    WebSocketServerProtocol,
)
from autobahn.websocket import protocol as host
from comparing import BACKENDS, outcome, run, sent_frames, with_and_without
from helpers import BINARY, CLOSE, CONT, KEY, PING, PONG, TEXT, frame
from installing import Change, Place, check_it_comes_and_goes, check_it_stays_out, installed, standing, version
from streams import bytewise, closes, cut, payloads

from wscodec.asyncio import connect, serve
from wscodec.dropin import autobahn as dropin

PLACES: list[Place] = [(host, "create_xor_masker"), (host, "Utf8Validator")]
HOSTS_OWN = standing(PLACES)
REQUEST = (
    b"GET / HTTP/1.1\r\nHost: localhost:80\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@pytest.fixture(autouse=True)
def autobahn_is_left_as_it_was() -> Iterator[None]:
    yield
    assert standing(PLACES) == HOSTS_OWN


# ------------------------------------------------------------------------------------- validator and masker alone


@st.composite
def chopped(draw: st.DrawFn) -> list[bytes]:
    data = draw(payloads)
    return cut(draw, data) if draw(st.booleans()) else bytewise(data)


def judged(validator: Any, text: list[bytes]) -> list[Any]:
    """Return what a validator says of pieces, up to the one that is at fault."""
    validator.reset()
    found: list[Any] = []
    for piece in text:
        found.append(tuple(validator.validate(piece)))
        if not found[-1][0]:
            break
    return found


@settings(max_examples=30)
@given(st.lists(chopped(), max_size=40))
def test_the_first_wrong_byte_is_found_where_autobahn_finds_it(texts: list[list[bytes]]) -> None:
    def test() -> list[Any]:
        validator = host.Utf8Validator()
        return [judged(validator, text) for text in texts]

    with_and_without(dropin, test)


def test_after_the_first_wrong_byte_none_is_good() -> None:
    for implementation in BACKENDS:
        with using(implementation), installed(dropin):
            validator = host.Utf8Validator()
            told = [validator.validate(piece) for piece in (b"ab\xe2", b"\x82\xff", b"ab", b"", b"\xff")]
            none = (False, False, 0, 4)
            assert told == [(True, False, 3, 3), (False, False, 1, 4), none, (True, *none[1:]), none]


@pytest.mark.parametrize("make", [bytes, bytearray])
@pytest.mark.parametrize("length", [None, 5, 127, 128, 4000])
def test_a_payload_is_masked_in_pieces(make: Callable[[bytes], Any], length: int | None) -> None:
    data = random.Random(1).randbytes(4000)

    def test() -> list[Any]:
        masker = host.create_xor_masker(KEY, length)
        found = []
        for start, end in ((0, 1), (1, 6), (6, 6), (6, 900), (900, 4000)):
            found.append((masker.process(make(data[start:end])), masker.pointer()))
        masker.reset()
        return [*found, masker.pointer(), masker.process(data)]

    with_and_without(dropin, test)


@pytest.mark.parametrize("key", [b"", b"abc", b"abcde", "abcd"])
def test_keys_that_are_none_are_refused_the_same(key: Any) -> None:
    with_and_without(dropin, lambda: outcome(lambda: host.create_xor_masker(key, 5).process(b"hello")))


# ------------------------------------------------------------------------------------------------ whole servers


def recording(base: Any, echo: bool = True) -> Any:
    class Recording(base):  # type: ignore[misc]
        told: list[Any]

        def onMessage(self, payload: bytes, isBinary: bool) -> None:
            self.told.append((payload, type(payload), isBinary))
            if echo:
                self.sendMessage(payload, isBinary)

        def onClose(self, wasClean: bool, code: int, reason: str) -> None:
            self.told.append((wasClean, code, reason))

    return Recording


async def server_tells(pieces: list[bytes], options: dict[str, bool]) -> list[Any]:
    """Return what a server makes of pieces, each of which it gets by itself, and the frames that it sends."""
    factory = WebSocketServerFactory()
    factory.log.debug = lambda *_, **__: None
    factory.setProtocolOptions(openHandshakeTimeout=0, closeHandshakeTimeout=0.05, **options)
    factory.protocol = recording(WebSocketServerProtocol)
    factory.protocol.told = []
    servers, clients = socket.socketpair()
    _, protocol = await asyncio.get_running_loop().create_connection(factory, sock=servers)
    for piece in (REQUEST, *pieces):
        protocol.data_received(piece)
    reader, writer = await asyncio.open_connection(sock=clients)
    head = await reader.readuntil(b"\r\n\r\n")
    assert b" 101 " in head
    writer.write_eof()
    sent = await reader.read()
    writer.close()
    await protocol.is_closed
    return [protocol.told, sent_frames(sent)]


frames = st.one_of(
    st.builds(frame, st.sampled_from([TEXT, TEXT, BINARY]), payloads, key=st.just(KEY)),
    st.builds(frame, st.sampled_from([TEXT, CONT, CONT]), payloads, fin=st.booleans(), key=st.just(KEY)),
    st.builds(frame, st.sampled_from([PING, PONG]), st.binary(max_size=5), key=st.just(KEY)),
    st.builds(frame, st.just(CLOSE), closes, key=st.just(KEY)),
    st.builds(frame, st.sampled_from([TEXT, BINARY]), payloads, key=st.none()),
)


@st.composite
def reads(draw: st.DrawFn) -> list[bytes]:
    return [piece for piece in cut(draw, b"".join(draw(st.lists(frames, max_size=5))), 8) if piece]


options = st.fixed_dictionaries({}, optional={"failByDrop": st.booleans(), "utf8validateIncoming": st.booleans()})


@settings(max_examples=40)
@given(reads(), options)
@example([frame(TEXT, b"abc\xff", key=KEY)], {"failByDrop": False})
@example(
    [frame(TEXT, b"h\xc3", fin=False, key=KEY)[:-1], b"\xe2", frame(CONT, b"\xa9", key=KEY)], {"failByDrop": False}
)
@example([frame(CLOSE, b"\x03\xe8bye\xff", key=KEY)], {"failByDrop": False})
def test_what_comes_is_told_the_same(pieces: list[bytes], options: dict[str, bool]) -> None:
    with_and_without(dropin, lambda: run(lambda: server_tells(pieces, options)))


def test_the_words_name_the_first_wrong_byte() -> None:
    pieces = [frame(TEXT, b"abc\xe2", fin=False, key=KEY), frame(CONT, b"\x82\xff", key=KEY)]
    told, sent = with_and_without(dropin, lambda: run(lambda: server_tells(pieces, {"failByDrop": False})))
    assert told[-1][0] is False
    assert b"octet index 5" in sent[0].payload


MESSAGES: list[Any] = ["hello", "hé€😀", "ab" * 500, "é" * 300_000, b"\0\xff", bytes(range(256)) * 5000]


async def server_echoes() -> list[Any]:
    factory = WebSocketServerFactory()
    factory.protocol = recording(WebSocketServerProtocol)
    factory.protocol.told = []
    server = await asyncio.get_running_loop().create_server(factory, "127.0.0.1", 0)
    async with server:
        address = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        async with connect(address, max_size=None, compression=None) as ws:
            found = []
            for message in MESSAGES:
                await ws.send(message)
                found.append(await ws.recv())
            await ws.close(4001, "énough")
        return [*found, ws.close_code]


async def client_is_echoed() -> list[Any]:
    ready = asyncio.get_running_loop().create_future()

    async def echo(ws: Any) -> None:
        async for message in ws:
            await ws.send(message)

    class Client(recording(WebSocketClientProtocol, echo=False)):  # type: ignore[misc]
        told: list[Any] = []  # noqa: RUF012

        def onOpen(self) -> None:
            for message in MESSAGES:
                self.sendMessage(message.encode() if isinstance(message, str) else message, isinstance(message, bytes))
            self.sendMessageFrames()

        def sendMessageFrames(self) -> None:
            """Send a message in frames, one of them by pieces."""
            self.beginMessage()
            self.sendMessageFrame(b"h\xc3")
            self.beginMessageFrame(6)
            for piece in (b"\xa9l", b"lo\xc3", b"\xa9"):
                self.sendMessageFrameData(piece)
            self.endMessage()

        def onMessage(self, payload: bytes, isBinary: bool) -> None:
            super().onMessage(payload, isBinary)
            if len(self.told) > len(MESSAGES):
                self.sendClose(4001, "énough")

        def onClose(self, *reason: Any) -> None:
            super().onClose(*reason)
            ready.set_result(None)

    async with serve(echo, "127.0.0.1", 0, max_size=None) as server:
        port = server.sockets[0].getsockname()[1]
        factory = WebSocketClientFactory(f"ws://127.0.0.1:{port}")
        factory.protocol = Client
        await asyncio.get_running_loop().create_connection(factory, "127.0.0.1", port)
        await ready
    return Client.told


def test_a_server() -> None:
    assert with_and_without(dropin, lambda: run(server_echoes)) == [*MESSAGES, 1000]


def test_a_client() -> None:
    found = with_and_without(dropin, lambda: run(client_is_echoed))
    plain = [message.encode() if isinstance(message, str) else message for message in MESSAGES]
    assert [told[0] for told in found[:-1]] == [*plain, "héllöé".replace("ö", "o").encode()]
    assert found[-1] == (True, 4001, "énough")


def test_prepared_messages() -> None:
    def test() -> list[Any]:
        made = [host.PreparedMessage(bytes(size), True, True, True).payloadHybi for size in (0, 5, 126, 70_000)]
        return [sent_frames(data) for data in made]

    with_and_without(dropin, test)


TWISTED = Path(__file__).with_name("autobahn_twisted.py")


def test_on_twisted() -> None:
    pytest.importorskip("twisted.python", reason="Twisted is not installed")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, str(TWISTED)], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout.split()) == (0, ["same"]), done.stderr


# -------------------------------------------------------------------------------------------------- installation


def test_installing_is_idempotent_and_can_be_undone(impl: Implementation) -> None:
    check_it_comes_and_goes(dropin, PLACES)


class NotMasked(host.PreparedMessage):  # type: ignore[misc]
    def __init__(self, payload: bytes, *_: Any) -> None:
        self.payloadHybi = b"\1" * 8 + payload


# Ways in which another Autobahn might differ, by what the warning says.
CHANGES: dict[str, Change] = {
    "version 27.1.1 is not": version("27.1.1"),
    "version 22.12.1 is not": version("22.12.1"),
    "there is no": lambda patch: patch.delattr(host, "Utf8Validator"),
    "instead of": lambda patch: patch.setattr(host, "PreparedMessage", NotMasked),
}


@pytest.mark.parametrize("reason", CHANGES)
def test_where_it_has_changed_it_is_left_alone_and_one_warning_says_so(impl: Implementation, reason: str) -> None:
    check_it_stays_out(dropin, PLACES, CHANGES[reason], f"autobahn.*{reason}")
