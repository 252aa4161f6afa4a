"""Class L: who does not come to the point, or says nothing any more, is dropped in time, and keeps nobody waiting."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import ssl
from collections.abc import Callable
from typing import Any

import pytest
from attacks import play, tries
from net import REQUEST, Peer, echo, idle, listen, raw_client, raw_server, response_to, uri

from wscodec.asyncio import Request, ServerConnection, WebSocket, connect, serve

SOON = 0.15  # seconds: the deadline
LATE = 10  # seconds: what nobody waits for


@tries("websockets 10.0", "HackerOne 868834", "OpenHands PR 4169")
@pytest.mark.parametrize("name", ["serve", "connect"])
def test_there_is_a_deadline_where_nothing_is_said(name: str) -> None:
    parameters = inspect.signature({"serve": serve, "connect": connect}[name]).parameters
    for option in ("open_timeout", "ping_interval", "ping_timeout", "close_timeout"):
        assert 0 < parameters[option].default <= 20


@tries("websocketpp #789", "websockets 10.0")
@pytest.mark.parametrize("drips", [True, False])
def test_a_server_does_not_wait_for_a_request(drips: bool) -> None:
    async def main() -> None:
        async with listen(echo, open_timeout=SOON) as server, raw_client(server, None) as peer:

            async def drip() -> None:
                for i in range(len(REQUEST) if drips else 0):
                    peer.send(REQUEST[i : i + 1])
                    await asyncio.sleep(SOON / 10)

            feeding = asyncio.create_task(drip())
            async with asyncio.timeout(LATE):
                assert (await peer.reader.read()).startswith(b"HTTP/1.1 408 ")
            assert not server._handshakes
            feeding.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await feeding

    play(main)


@tries("websocketpp #789", "websockets 10.0")
@pytest.mark.parametrize("drips", [True, False])
def test_a_client_does_not_wait_for_a_response(drips: bool) -> None:
    async def main() -> None:
        async def respond(peer: Peer) -> None:
            response = response_to(await peer.head())
            with contextlib.suppress(ConnectionError):
                for i in range(len(response) if drips else 0):
                    peer.send(response[i : i + 1])
                    await peer.writer.drain()
                    await asyncio.sleep(SOON / 10)
                await peer.reader.read()

        async with raw_server(respond) as server:
            loop = asyncio.get_running_loop()
            start = loop.time()
            with pytest.raises(TimeoutError):
                await connect(uri(server), open_timeout=SOON)
            assert loop.time() - start < LATE

    play(main)


@tries("simple-websocket-server PR 110")
def test_who_does_not_begin_tls_keeps_nobody_waiting() -> None:
    trustme = pytest.importorskip("trustme")
    authority = trustme.CA()
    ours, theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(ours)
    authority.configure_trust(theirs)

    async def main() -> None:
        async with listen(echo, ssl=ours, open_timeout=4 * SOON) as server, raw_client(server, None) as mute:
            async with connect(uri(server, scheme="wss"), ssl=theirs, open_timeout=LATE) as ws:
                await ws.send("hi")
                assert await ws.recv() == "hi"
            with contextlib.suppress(ConnectionError):
                async with asyncio.timeout(LATE):
                    assert await mute.reader.read() == b""

    play(main)


QUICK: dict[str, Any] = {"ping_interval": SOON, "ping_timeout": SOON, "close_timeout": SOON, "compression": None}


@tries("HackerOne 868834")
def test_a_server_drops_a_peer_that_answers_nothing() -> None:
    async def main() -> None:
        async with listen(idle, **QUICK) as server, raw_client(server) as peer:
            async with asyncio.timeout(LATE):
                frames = await peer.frames()
            assert [opcode for opcode, _ in frames[:1]] == [9]
            assert not server.connections

    play(main)


@tries("HackerOne 868834")
def test_a_client_drops_a_peer_that_answers_nothing() -> None:
    async def main() -> None:
        async def respond(peer: Peer) -> None:
            peer.send(response_to(await peer.head()))
            with contextlib.suppress(ConnectionError):
                await peer.reader.read()

        async with raw_server(respond) as server, connect(uri(server), **QUICK) as ws:
            async with asyncio.timeout(LATE):
                await ws.wait_closed()
            assert ws.close_code in (1006, 1011)

    play(main)


@tries("OpenHands PR 4169")
@pytest.mark.parametrize("sent", [b"", REQUEST[:30], REQUEST], ids=["nothing", "half", "request"])
@pytest.mark.parametrize("leave", ["abort", "close"])
def test_nothing_waits_for_a_client_that_has_left(sent: bytes, leave: str) -> None:
    async def main() -> None:
        waiting: list[asyncio.Task[Any] | None] = []

        async def wait(ws: ServerConnection, request: Request) -> None:
            waiting.append(asyncio.current_task())
            await asyncio.Event().wait()

        async with listen(idle, process_request=wait, open_timeout=2 * SOON, close_timeout=SOON) as server:
            async with raw_client(server, None) as peer:
                peer.send(sent)
                await asyncio.sleep(SOON / 10)
                getattr(peer.writer.transport, leave)()
            await _until(lambda: not server._handshakes)
            assert not server.connections
            assert len(waiting) == (sent == REQUEST)
            await _until(lambda: all(task and task.done() for task in waiting))

    play(main)


@tries("OpenHands PR 4169", "HackerOne 868834")
def test_a_handler_ends_with_its_connection() -> None:
    ended = []

    async def handler(ws: WebSocket) -> None:
        try:
            async for _ in ws:
                pass
        finally:
            ended.append(ws)

    async def main() -> None:
        async with listen(handler) as server:
            async with raw_client(server) as peer:
                peer.writer.transport.abort()
            await _until(lambda: bool(ended) and not server.connections)

    play(main)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(LATE):
        while not condition():
            await asyncio.sleep(0.005)
