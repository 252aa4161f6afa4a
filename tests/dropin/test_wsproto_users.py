"""Who uses wsproto, with the drop-in and without: Quart on Hypercorn, trio-websocket, httpx-ws, Flask-Sock."""

from __future__ import annotations

import asyncio
import importlib.util
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

pytest.importorskip("wsproto", reason="wsproto is not installed")

import wsproto.connection
from comparing import run
from installing import made_by

from wscodec import ConnectionClosed
from wscodec.asyncio import connect, serve
from wscodec.dropin import wsproto as dropin

pytestmark = [
    pytest.mark.timeout(30),
    # What the users' own modules do is not judged here.
    pytest.mark.filterwarnings("ignore"),
]

TEXTS = ["", "hello", "hé€😀", "ab" * 500, "é" * 200_000]
BINARIES = [b"", b"\0\xff", bytes(range(256)) * 3000]
MESSAGES: list[Any] = [*TEXTS, *BINARIES]


@pytest.fixture(params=["wscodec", "wsproto"])
def made(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run a test with the drop-in, and without; see that it was used where it was there, and nowhere else."""
    with made_by(dropin, dropin.FrameProtocol, request.param == "wscodec"):
        yield


def needs(*hosts: str) -> pytest.MarkDecorator:
    """Mark a test that runs only where all of `hosts` are installed."""
    missing = [host for host in hosts if importlib.util.find_spec(host) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


# ------------------------------------------------------------------------------------------ Hypercorn and Quart


@asynccontextmanager
async def hypercorn(app: Any) -> AsyncIterator[str]:
    """Serve an ASGI application, and return its address."""
    from hypercorn.asyncio import serve as run_hypercorn
    from hypercorn.config import Config

    config = Config()

    sockets: list[Any] = []
    create = config.create_sockets

    def create_sockets() -> Any:
        created = create()
        sockets.extend(created.insecure_sockets)
        return created

    config.create_sockets = create_sockets
    config.bind = ["127.0.0.1:0"]
    config.accesslog = config.errorlog = None
    ready, end = asyncio.Event(), asyncio.Event()

    async def started(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            ready.set()
        await app(scope, receive, send)

    serving = asyncio.create_task(run_hypercorn(started, config, shutdown_trigger=end.wait))  # type: ignore[arg-type]
    try:
        await ready.wait()
        while not sockets:
            await asyncio.sleep(0.01)
        yield f"ws://127.0.0.1:{sockets[0].getsockname()[1]}"
    finally:
        end.set()
        await serving


def quart_echo() -> Any:
    import quart

    app = quart.Quart(__name__)

    @app.websocket("/echo")
    async def echo() -> None:
        while True:
            await quart.websocket.send(await quart.websocket.receive())

    @app.websocket("/close")
    async def close() -> None:
        await quart.websocket.accept()
        await quart.websocket.close(4001, "enough")

    return app


@needs("hypercorn", "quart")
@pytest.mark.parametrize("compression", [True, False])
def test_quart_on_hypercorn(made: None, compression: bool) -> None:
    async def test() -> None:
        options: Any = {} if compression else {"compression": None}
        async with hypercorn(quart_echo()) as address:
            async with connect(address + "/echo", max_size=None, **options) as ws:
                messages = [message for message in MESSAGES if message != b""]  # Quart takes that for None
                for message in messages:
                    await ws.send(message)
                    assert await ws.recv() == message
                await ws.send(["hé", "", "llo"])
                assert await ws.recv() == "héllo"
                assert await (await ws.ping()) >= 0
                for message in messages:
                    ws.send_nowait(message)
                assert [await ws.recv() for _ in messages] == messages
            assert ws.close_code == 1000
            async with connect(address + "/close", **options) as ws:
                with pytest.raises(ConnectionClosed):
                    await ws.recv()
                assert (ws.close_code, ws.close_reason) == (4001, "enough")

    run(test)


@needs("hypercorn", "quart")
@pytest.mark.parametrize("limit", [1 << 19, 1 << 20])
def test_the_limit_on_hypercorn(limit: int) -> None:
    async def test() -> None:
        async with hypercorn(quart_echo()) as address, connect(address + "/echo", max_size=None) as ws:
            await ws.send(bytes(1 << 20))
            if limit < 1 << 20:
                with pytest.raises(ConnectionClosed):
                    await ws.recv()
            else:
                assert await ws.recv() == bytes(1 << 20)

    assert dropin.install(max_inflated=limit)
    try:
        run(test)
    finally:
        dropin.install()
        dropin.uninstall()


# ------------------------------------------------------------------------------------------------ trio-websocket


@needs("trio", "trio_websocket")
def test_trio_websocket(made: None) -> None:
    import trio
    import trio_websocket

    async def echo(request: Any) -> None:
        ws = await request.accept()
        try:
            while True:
                await ws.send_message(await ws.get_message())
        except trio_websocket.ConnectionClosed:
            pass

    async def test() -> None:
        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                server = await nursery.start(trio_websocket.serve_websocket, echo, "127.0.0.1", 0, None)
                async with trio_websocket.open_websocket("127.0.0.1", server.port, "/", use_ssl=False) as ws:
                    for message in MESSAGES:
                        await ws.send_message(message)
                        assert await ws.get_message() == message
                    await ws.ping(b"p")
                    await ws.aclose(1001, "bye")
                    assert ws.closed.code == 1001
                nursery.cancel_scope.cancel()

    trio.run(test)


# ------------------------------------------------------------------------------------------------------- httpx-ws


@needs("httpx", "httpx_ws")
def test_httpx_ws(made: None) -> None:
    import httpx
    import httpx_ws

    async def echo(ws: Any) -> None:
        async for message in ws:
            await ws.send(message)

    async def test() -> None:
        async with serve(echo, "127.0.0.1", 0) as server, httpx.AsyncClient() as client:
            address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            async with httpx_ws.aconnect_ws(address, client, max_message_size_bytes=1 << 22) as ws:
                for text in TEXTS:
                    await ws.send_text(text)
                    assert await ws.receive_text() == text
                for data in BINARIES:
                    await ws.send_bytes(data)
                    assert await ws.receive_bytes() == data
                await (await ws.ping(b"p")).wait()

    run(test)


# ------------------------------------------------------------------------------- simple-websocket and Flask-Sock


@needs("flask", "flask_sock", "simple_websocket")
def test_flask_sock(made: None) -> None:
    import flask
    import flask_sock
    import simple_websocket
    from werkzeug.serving import make_server

    app = flask.Flask(__name__)
    sock = flask_sock.Sock(app)

    @sock.route("/echo")
    def echo(ws: Any) -> None:
        while True:
            data = ws.receive()
            if data == "enough":
                ws.close(4001, "enough")
            ws.send(data)

    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        ws = simple_websocket.Client.connect(f"ws://127.0.0.1:{server.server_port}/echo")
        for message in MESSAGES:
            ws.send(message)
            assert ws.receive(timeout=10) == message
        ws.send("enough")
        with pytest.raises(simple_websocket.ConnectionClosed) as caught:
            ws.receive(timeout=10)
        assert (caught.value.reason, caught.value.message) == (4001, "enough")
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def test_wsproto_is_left_as_it_was() -> None:
    assert wsproto.connection.FrameProtocol is not dropin.FrameProtocol
