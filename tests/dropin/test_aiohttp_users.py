"""aiohttp's servers and clients, with the drop-in and without: both ends are told the same, and so is the wire."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("aiohttp", reason="aiohttp is not installed")

import aiohttp
from aiohttp import ClientSession, WSMsgType, web
from helpers import BINARY, CLOSE, CONT, KEY, PING, TEXT, frame

from wscodec import ConnectionClosed
from wscodec.asyncio import connect
from wscodec.dropin import aiohttp as dropin
from wscodec.dropin._aiohttp_transport import GatheringTransport

pytestmark = pytest.mark.timeout(30)

MESSAGES: list[Any] = ["", "hello", "hé€😀", "ab" * 500, "é" * 200_000, b"", b"\0\xff", bytes(range(256)) * 3000]
OPENING = b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
KEY_LINE = b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
Handler = Callable[[web.WebSocketResponse], Awaitable[Any]]


@asynccontextmanager
async def serving(handler: Handler, ssl_context: Any = None, **options: Any) -> AsyncIterator[int]:
    """Have aiohttp serve a handler of WebSockets, and yield the port."""

    async def handle(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(**options)
        await ws.prepare(request)
        await handler(ws)
        return ws

    app = web.Application()
    app.router.add_get("/", handle)
    async with running(app, ssl_context) as port:
        yield port


@asynccontextmanager
async def running(app: web.Application, ssl_context: Any = None) -> AsyncIterator[int]:
    """Have aiohttp serve an application, and yield the port."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=ssl_context).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def echo(ws: web.WebSocketResponse) -> list[Any]:
    """Send back what comes, and return what was told besides."""
    told: list[Any] = []
    while True:
        message = await ws.receive()
        if message.type is WSMsgType.TEXT:
            await ws.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await ws.send_bytes(message.data)
        else:
            told.append((message.type, str(message.data), message.extra))
        if ws.closed:
            return [*told, ws.close_code]


def with_and_without(test: Callable[[], Awaitable[Any]], run: Callable[..., Any] = asyncio.run) -> Any:
    """Run the same with the drop-in and without, see that the outcomes are equal, and return them.

    Our readers are in place, too: they are where aiohttp is not compiled.
    """

    async def within_time() -> Any:
        async with asyncio.timeout(10):
            return await test()

    expected = run(within_time())
    assert dropin.install()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("aiohttp.web_ws.WebSocketReader", dropin.server_reader)
            patch.setattr("aiohttp.client.WebSocketReader", dropin.client_reader)
            outcome = run(within_time())
    finally:
        dropin.uninstall()
    assert outcome == expected
    return outcome


async def on_the_wire(sent: bytes, handler: Handler = echo, **options: Any) -> tuple[bytes, Any]:
    """Return what a server answers to bytes until it closes the connection, and what its handler was told."""
    told: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def handle(ws: web.WebSocketResponse) -> None:
        told.set_result(await handler(ws))

    async with serving(handle, timeout=0.1, compress=False, **options) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(OPENING + KEY_LINE)
        await reader.readuntil(b"\r\n\r\n")
        middle = len(sent) // 2
        writer.write(sent[:middle])
        await asyncio.sleep(0.01)
        writer.write(sent[middle:])
        answer = await reader.read()
        writer.close()
        return answer, await told


CLOSING = frame(CLOSE, b"\3\xe8bye", key=KEY)
STREAMS = {
    "messages": b"".join(
        frame(TEXT if type(message) is str else BINARY, message.encode() if type(message) is str else message, key=KEY)
        for message in MESSAGES
    )
    + CLOSING,
    "burst": frame(TEXT, b"hello", key=KEY) * 3000 + CLOSING,
    "fragments": frame(TEXT, b"h\xc3", fin=False, key=KEY)
    + frame(PING, b"p", key=KEY)
    + frame(CONT, b"\xa9", key=KEY)
    + frame(TEXT, b"x", key=KEY)
    + CLOSING,
    "not UTF-8": frame(TEXT, b"good", key=KEY) + frame(TEXT, b"a\xff", key=KEY),
    "too long": frame(TEXT, b"good", key=KEY) + frame(BINARY, bytes(1000), key=KEY),
    "reserved bit": frame(TEXT, b"good", key=KEY) + frame(TEXT, b"a", rsv=4, key=KEY),
    "reserved opcode": frame(3, b"a", key=KEY) + frame(TEXT, b"behind", key=KEY),
    "close code": frame(CLOSE, b"\3\xed", key=KEY),
    "empty Close": frame(CLOSE, b"", key=KEY),
}


@pytest.mark.parametrize("name", STREAMS)
def test_a_server_answers_the_same_bytes(name: str) -> None:
    limit = 1000 if name == "too long" else 1 << 20
    answer, told = with_and_without(lambda: on_the_wire(STREAMS[name], max_msg_size=limit))
    assert answer
    assert told


def test_a_message_that_is_followed_by_an_error_of_the_handler_arrives() -> None:
    async def fail(ws: web.WebSocketResponse) -> None:
        await ws.send_str("no")
        await ws.send_str("more")
        raise RuntimeError("as it happens")

    async def test() -> bytes:
        async with serving(fail) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(OPENING + KEY_LINE)
            await reader.readuntil(b"\r\n\r\n")
            answer = await reader.read()
            writer.close()
            return answer

    assert with_and_without(test).startswith(b"\x81\2no\x81\4more")


def test_a_message_that_is_followed_by_the_end_of_the_transport_arrives() -> None:
    async def cut(ws: web.WebSocketResponse) -> list[Any]:
        await ws.send_str("the last")
        transport = ws._req.transport  # type: ignore[union-attr]
        assert transport is not None
        assert (type(transport) is GatheringTransport) is dropin.installed()
        transport.close()
        return []

    async def test() -> Any:
        return await on_the_wire(b"", cut)

    assert with_and_without(test)[0].startswith(b"\x81\x08the last")


def test_a_message_that_is_followed_by_the_end_of_the_session_arrives() -> None:
    async def test() -> Any:
        told: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        async def one(ws: web.WebSocketResponse) -> None:
            told.set_result((await ws.receive()).data)

        async with serving(one) as port:
            session = ClientSession()
            ws = await session.ws_connect(f"http://127.0.0.1:{port}/")
            await ws.send_str("the last")
            await session.close()
            return await told

    assert with_and_without(test) == "the last"


def run_on(loop: str) -> Callable[..., Any]:
    """Return what runs a coroutine on this kind of event loop."""
    return asyncio.run if loop == "asyncio" else pytest.importorskip(loop).run  # type: ignore[no-any-return]


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_client_that_says_no_more_gets_its_answers(loop: str) -> None:
    # The message and the end come in one read, so the end is told in the tick in which the answer is sent.
    async def answer() -> bytes:
        async with serving(echo) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(OPENING + KEY_LINE)
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(0.01)
            writer.write(frame(TEXT, b"hello", key=KEY) * 2)
            writer.write_eof()
            received = await reader.read()
            writer.close()
            return received

    assert with_and_without(answer, run_on(loop)) == b"\x81\5hello" * 2


def test_a_server_that_says_no_more_gets_its_answer() -> None:
    async def test() -> str:
        told: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        async def ask(ws: web.WebSocketResponse) -> None:
            request = ws._req
            assert request is not None
            assert request.transport is not None
            await ws.send_str("a question")
            await asyncio.sleep(0)
            # Past what makes of it the end of both directions, here and in the transport.
            request.transport.get_extra_info("socket")._sock.shutdown(socket.SHUT_WR)
            told.set_result((await ws.receive()).data)

        async with serving(ask) as port, ClientSession() as session:
            ws = await session.ws_connect(f"http://127.0.0.1:{port}/")
            await ws.send_str(f"the answer to {await ws.receive_str()}")
            return await told

    assert with_and_without(test) == "the answer to a question"


def test_a_file_is_sent_on_a_connection_that_became_no_websocket(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * 300_000)

    @web.middleware
    async def refuse(request: web.Request, handler: Any) -> web.StreamResponse:
        try:
            return await handler(request)  # type: ignore[no-any-return]
        except PermissionError:
            return web.FileResponse(file)

    async def begin(request: web.Request) -> web.StreamResponse:
        response = web.WebSocketResponse()
        await response.prepare(request)
        return response

    async def check(request: web.Request, response: web.StreamResponse) -> None:
        if isinstance(response, web.WebSocketResponse):
            raise PermissionError

    async def test() -> bytes:
        app = web.Application(middlewares=[refuse])
        app.router.add_get("/", begin)
        app.on_response_prepare.append(check)
        async with running(app) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(OPENING + KEY_LINE)
            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readexactly(300_000)
            writer.close()
        return head.partition(b"\r\n")[0] + body[-1:]

    assert with_and_without(test) == b"HTTP/1.1 200 OKx"


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_over_tls(loop: str) -> None:
    trustme = pytest.importorskip("trustme")
    authority = trustme.CA()
    server, client = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)

    async def test() -> list[Any]:
        by_server: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        async def handle(ws: web.WebSocketResponse) -> None:
            secure = ws.get_extra_info("ssl_object") is not None if hasattr(ws, "get_extra_info") else True
            by_server.set_result((secure, await echo(ws)))

        async with serving(handle, server, compress=False) as port, ClientSession() as session:
            async with session.ws_connect(f"https://127.0.0.1:{port}/", ssl=client, max_msg_size=0) as ws:
                for message in MESSAGES:
                    await (ws.send_str if type(message) is str else ws.send_bytes)(message)
                same = [(await ws.receive()).data == message for message in MESSAGES]
                told = [all(same), ws.get_extra_info("ssl_object") is not None]
                await ws.send_str("the last")
                await ws.close(code=4001)
            return [*told, ws.close_code, await by_server]

    ended = (True, [(WSMsgType.CLOSE, "4001", ""), 4001])
    assert with_and_without(test, run_on(loop)) == [True, True, 1000, ended]


@pytest.mark.parametrize("compress", [0, 15])
@pytest.mark.parametrize("heartbeat", [None, 5.0])
def test_both_ends(compress: int, heartbeat: float | None) -> None:
    async def test() -> list[Any]:
        told: list[Any] = []
        by_server: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        async def handle(ws: web.WebSocketResponse) -> None:
            by_server.set_result(await echo(ws))

        async with serving(handle, heartbeat=heartbeat) as port, ClientSession() as session:
            address = f"http://127.0.0.1:{port}/"
            async with session.ws_connect(address, compress=compress, heartbeat=heartbeat, max_msg_size=0) as ws:
                for message in MESSAGES:
                    await (ws.send_str if type(message) is str else ws.send_bytes)(message)
                    told.append((await ws.receive()).data == message)
                for number in range(200):
                    await ws.send_str(str(number))
                told += [await ws.receive_str() for _ in range(200)]
                await ws.ping(b"p")
                await ws.close(code=4001, message=b"enough")
            return [*told, ws.close_code, await by_server]

    outcome = with_and_without(test)
    assert outcome[: len(MESSAGES)] == [True] * len(MESSAGES)
    assert outcome[-2:] == [1000, [(WSMsgType.CLOSE, "4001", "enough"), 4001]]


def test_a_server_that_is_asked_for_undecoded_text() -> None:
    if not hasattr(web.WebSocketResponse, "_parser"):
        pytest.skip("this version of aiohttp decodes all text")

    async def bytes_of(ws: web.WebSocketResponse) -> list[Any]:
        return [await ws.receive(), type((await ws.receive()).data)]

    sent = frame(TEXT, b"hello", key=KEY) * 2 + CLOSING
    assert with_and_without(lambda: on_the_wire(sent, bytes_of, decode_text=False))[1][1] is bytes


def test_a_client_that_does_not_read_stops_a_server_that_sends() -> None:
    async def test() -> int:
        sent: list[int] = []

        async def flood(ws: web.WebSocketResponse) -> None:
            while len(sent) < 1000:
                await ws.send_bytes(bytes(50_000))
                sent.append(1)

        async with serving(flood, compress=False) as port:
            _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 16)
            writer.write(OPENING + KEY_LINE)
            before = -1
            while len(sent) > before:
                before = len(sent)
                await asyncio.sleep(0.1)
            writer.transport.abort()
        return len(sent) < 1000

    assert with_and_without(test) == 1


def test_a_server_that_does_not_receive_stops_a_client_that_sends() -> None:
    async def test() -> list[Any]:
        go = asyncio.Event()
        told: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        async def late(ws: web.WebSocketResponse) -> None:
            await go.wait()
            told.set_result(sum([len(message.data) async for message in ws]))

        async with serving(late, compress=False) as port, connect(f"ws://127.0.0.1:{port}/", max_size=None) as ws:
            for _ in range(200):
                ws.send_nowait("x" * 1000)
                ws.send_nowait(b"y" * 30_000)
            await asyncio.sleep(0.05)
            go.set()
            await ws.close()
            return [await told]

    assert with_and_without(test) == [200 * 31_000]


def test_what_is_sent_in_a_tick_comes_in_one_read() -> None:
    async def burst(ws: web.WebSocketResponse) -> None:
        for number in range(100):
            await ws.send_str(f"{number:03}")
        await ws.receive()

    async def reads() -> list[bytes]:
        found: list[bytes] = []
        async with serving(burst) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(OPENING + KEY_LINE)
            while not b"".join(found).endswith(b"099"):
                found.append(await reader.read(1 << 16))
            writer.close()
        return found

    assert dropin.install()
    try:
        answer = asyncio.run(reads())
    finally:
        dropin.uninstall()
    assert answer[-1].count(b"\x81\x03") == 100


def test_a_peer_of_ours_is_told_how_it_ended() -> None:
    async def close(ws: web.WebSocketResponse) -> None:
        await ws.send_str("bye")
        await ws.close(code=4002, message=b"enough")

    async def test() -> list[Any]:
        async with serving(close) as port, connect(f"ws://127.0.0.1:{port}/") as ws:
            told: list[Any] = [await ws.recv()]
            with pytest.raises(ConnectionClosed):
                await ws.recv()
            return [*told, ws.close_code, ws.close_reason]

    assert with_and_without(test) == ["bye", 4002, "enough"]


def test_aiohttp_is_left_as_it_was() -> None:
    assert aiohttp.web_ws.WebSocketWriter is not dropin.Writer
