"""tornado's servers and clients, with the drop-in and without, against each other and against our own."""

from __future__ import annotations

import asyncio
import logging
import unittest
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

pytest.importorskip("tornado", reason="tornado is not installed")

import tornado.websocket
from comparing import run
from installing import made_by
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application
from tornado.websocket import WebSocketClosedError, WebSocketHandler, websocket_connect

from wscodec import ConnectionClosed
from wscodec.asyncio import connect, serve
from wscodec.dropin import tornado as dropin

pytestmark = pytest.mark.timeout(60)

TEXTS = ["", "hello", "hé€😀", "ab" * 500, "é" * 200_000]
MESSAGES: list[Any] = [*TEXTS, b"", b"\0\xff", bytes(range(256)) * 3000]


@pytest.fixture(params=["wscodec", "tornado"])
def made(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run a test with the drop-in, and without; see that it was used where it was there, and nowhere else."""
    # What is told of requests is no warning.
    monkeypatch.setattr(logging.getLogger("tornado.access"), "disabled", True)
    with made_by(dropin, dropin.WebSocketProtocol13, request.param == "wscodec"):
        yield


class Echo(WebSocketHandler):  # type: ignore[misc]
    """Sends back what comes, and does what some messages say."""

    def initialize(self, ended: list[Any], compress: bool) -> None:
        self.ended = ended
        self.compress = compress

    def get_compression_options(self) -> dict[str, Any] | None:
        return {} if self.compress else None

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        return "b" if "b" in subprotocols else None

    async def on_message(self, message: str | bytes) -> None:
        if message == "enough":
            self.close(4001, "enough")
        elif message == "fail":
            raise ValueError("fail")
        else:
            await self.write_message(message, isinstance(message, bytes))

    def on_ping(self, data: bytes) -> None:
        self.ended.append(("ping", data))

    def on_close(self) -> None:
        self.ended.append((self.close_code, self.close_reason))
        with pytest.raises(WebSocketClosedError):
            self.write_message("late")


@asynccontextmanager
async def serving(compress: bool = False, **settings: Any) -> AsyncIterator[tuple[str, list[Any]]]:
    """Run a server of tornado, and return its address and what its handlers were told beside messages."""
    ended: list[Any] = []
    app = Application([("/", Echo, {"ended": ended, "compress": compress})], **settings)
    sockets = bind_sockets(0, "127.0.0.1")
    server = HTTPServer(app)
    server.add_sockets(sockets)
    try:
        yield f"ws://127.0.0.1:{sockets[0].getsockname()[1]}/", ended
    finally:
        server.stop()
        await server.close_all_connections()


async def until(told: list[Any], entry: Any) -> None:
    while entry not in told:
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("compress", [False, True])
def test_a_server(made: None, compress: bool) -> None:
    async def test() -> None:
        async with serving(compress) as (address, ended):
            async with connect(address, max_size=None, subprotocols=["a", "b"]) as ws:
                assert ws.subprotocol == "b"
                for message in MESSAGES:
                    await ws.send(message)
                    assert await ws.recv() == message
                for message in MESSAGES[:-1] * 3:
                    ws.send_nowait(message)
                assert [await ws.recv() for _ in range(3 * len(MESSAGES) - 3)] == MESSAGES[:-1] * 3
                await ws.send(["hé", "", "llo"])
                assert await ws.recv() == "héllo"
                assert await (await ws.ping(b"p")) >= 0
            await until(ended, (1000, None))
            assert ("ping", b"p") in ended
            async with connect(address) as ws:
                await ws.send("enough")
                with pytest.raises(ConnectionClosed):
                    await ws.recv()
                assert (ws.close_code, ws.close_reason) == (4001, "enough")
            await until(ended, (4001, "enough"))

    run(test)


def test_a_message_that_is_too_big(made: None) -> None:
    async def test() -> None:
        async with serving(websocket_max_message_size=70_000) as (address, _), connect(address) as ws:
            await ws.send("a" * 70_000)
            assert len(await ws.recv()) == 70_000
            await ws.send("a" * 70_001)
            with pytest.raises(ConnectionClosed):
                await ws.recv()
            assert ws.close_code in (1009, 1006)  # tornado hangs up behind its Close frame, and that may be lost

    run(test)


@pytest.mark.skipif(tornado.version_info < (6, 6), reason="tornado 6.5 leaves such a connection open")
def test_a_handler_that_fails(made: None, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        async with serving() as (address, ended):
            async with connect(address) as ws:
                await ws.send("fail")
                with pytest.raises(ConnectionClosed):
                    await ws.recv()
                assert ws.close_code == 1006
            await until(ended, (None, None))

    with caplog.at_level(logging.ERROR):
        run(test)
    assert [record.name for record in caplog.records] == ["tornado.application"]


def test_keepalive(made: None) -> None:
    async def test() -> None:
        async with serving(websocket_ping_interval=0.05) as (address, ended):
            async with connect(address) as ws:
                await asyncio.sleep(0.2)
                await ws.send("still there")
                assert await ws.recv() == "still there"
            await until(ended, (1000, None))

    run(test)


@pytest.mark.parametrize("compress", [False, True])
def test_a_client(made: None, compress: bool) -> None:
    async def echo(ws: Any) -> None:
        async for message in ws:
            if message == "enough":
                await ws.close(4001, "enough")
            else:
                await ws.send(message)

    async def test() -> None:
        async with serve(echo, "127.0.0.1", 0, max_size=None, subprotocols=["b"]) as server:
            address = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            options: Any = {"compression_options": {} if compress else None, "subprotocols": ["b"]}
            ws = await websocket_connect(address, **options)
            assert ws.selected_subprotocol == "b"
            await converse(ws)
            told: list[Any] = []
            ws = await websocket_connect(address, on_message_callback=told.append, **options)
            for text in TEXTS:
                ws.write_message(text)
            ws.write_message("enough")
            await until(told, None)
            assert told == [*TEXTS, None]
            ws.close()

    run(test)


async def converse(ws: Any) -> None:
    """Have a client of tornado send everything, one after the other and all at once, until the server closes."""
    for message in MESSAGES:
        await ws.write_message(message, isinstance(message, bytes))
        assert await ws.read_message() == message
    for message in MESSAGES[:-1]:
        ws.write_message(message, isinstance(message, bytes))
    assert [await ws.read_message() for _ in MESSAGES[:-1]] == MESSAGES[:-1]
    ws.ping(b"p")
    ws.write_message("enough")
    assert await ws.read_message() is None
    assert (ws.close_code, ws.close_reason) == (4001, "enough")
    ws.close()
    with pytest.raises(WebSocketClosedError):
        ws.write_message("late")


@pytest.mark.parametrize("compress", [False, True])
def test_both_ends(made: None, compress: bool) -> None:
    async def test() -> None:
        async with serving(compress) as (address, ended):
            await converse(await websocket_connect(address, compression_options={} if compress else None))
            await until(ended, (4001, None))
            assert ended == [("ping", b"p"), (4001, None)]

    run(test)


@pytest.mark.parametrize("made", ["wscodec"], indirect=True)
@pytest.mark.filterwarnings("ignore")
def test_tornados_own_tests(made: None) -> None:
    suite = pytest.importorskip("tornado.test.websocket_test", reason="tornado's tests are not installed")
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromModule(suite).run(result)
    assert result.testsRun > 40
    assert not result.errors + result.failures, "\n".join(text for _, text in result.errors + result.failures)


def test_tornado_is_left_as_it_was() -> None:
    assert tornado.websocket.WebSocketProtocol13 is not dropin.WebSocketProtocol13
