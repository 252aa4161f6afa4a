"""TLS and Unix sockets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers import CLOSE, KEY, TEXT, close_payload, frame
from net import BOMBS, ROLES, all_of, bombs, echo, idle, listen, raw_client, settled, stop_reading, uri

from wscodec import BadStatus, ConnectionClosedError
from wscodec.asyncio import WebSocket, client, connect, unix_connect, unix_serve

trustme = pytest.importorskip("trustme")

AUTHORITY = trustme.CA()
SERVER = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
AUTHORITY.issue_cert("localhost", "127.0.0.1").configure_cert(SERVER)
CLIENT = ssl.create_default_context()
AUTHORITY.configure_trust(CLIENT)


async def test_tls_messages_and_close_both_ways() -> None:
    async with listen(echo, ssl=SERVER) as server:
        for closer in ("client", "server"):
            async with connect(uri(server, scheme="wss"), ssl=CLIENT) as ws:
                for message in ("hi", b"x" * 1_000_000):
                    await ws.send(message)
                    assert await ws.recv() == message
                await settled(ws)
                assert ws.transport.get_extra_info("ssl_object") is not None
                (far,) = server.connections
                await (ws if closer == "client" else far).close(4000, "why")
                assert (ws.close_code, far.close_code) == (4000, 4000)
                await asyncio.gather(ws.wait_closed(), far.wait_closed())


async def test_tls_page_of_the_same_server_is_let_in() -> None:
    async with listen(echo, ssl=SERVER) as server:
        own = uri(server, "", "https")
        async with connect(uri(server, scheme="wss"), ssl=CLIENT, origin=own) as ws:
            await settled(ws)
        with pytest.raises(BadStatus, match="403"):
            await connect(uri(server, scheme="wss"), ssl=CLIENT, origin=own.replace("127.0.0.1", "localhost"))


async def test_tls_default_context_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def make() -> ssl.SSLContext:
        made.append(CLIENT)
        return CLIENT

    monkeypatch.setattr(ssl, "create_default_context", make)
    client._default_context.cache_clear()
    try:
        async with listen(echo, ssl=SERVER) as server:
            for explicit in (None, True):
                async with connect(uri(server, scheme="wss"), ssl=explicit) as ws:
                    await settled(ws)
        assert len(made) == 1
    finally:
        client._default_context.cache_clear()


async def test_tls_certificates_are_checked() -> None:
    async with listen(idle, ssl=SERVER) as server:
        with pytest.raises(ssl.SSLError):
            await connect(uri(server, scheme="wss"))
        with pytest.raises(ssl.SSLError):
            await connect(uri(server, scheme="wss"), ssl=CLIENT, server_hostname="example.com")
        async with connect(uri(server, scheme="wss"), ssl=CLIENT, server_hostname="localhost"):
            pass


async def test_tls_client_that_says_nothing_is_dropped_and_others_are_served() -> None:
    async with listen(echo, ssl=SERVER, open_timeout=0.2) as server, raw_client(server, None) as mute:
        async with connect(uri(server, scheme="wss"), ssl=CLIENT) as ws:
            await settled(ws)
        with contextlib.suppress(ConnectionError):
            assert await mute.reader.read() == b""
    async with listen(echo, ssl=SERVER) as server:
        assert not server.connections


async def test_tls_deadline_covers_what_follows_the_tls_handshake() -> None:
    async with (
        listen(echo, ssl=SERVER, open_timeout=0.3) as server,
        raw_client(server, None, ssl=CLIENT, server_hostname="localhost") as peer,
    ):
        peer.send(b"GET / HTTP/1.1\r\n")
        assert (await peer.reader.read()).startswith(b"HTTP/1.1 408 ")


async def test_tls_refusal_arrives() -> None:
    def process_request(ws: Any, request: Any) -> Any:
        return ws.respond(404, "nothing here\n" * 1000)

    async with listen(echo, ssl=SERVER, process_request=process_request) as server:
        with pytest.raises(BadStatus) as caught:
            await connect(uri(server, scheme="wss"), ssl=CLIENT)
        assert caught.value.body == b"nothing here\n" * 1000


async def test_tls_close_behind_messages_is_answered_behind_the_echoes() -> None:
    async with (
        listen(echo, ssl=SERVER) as server,
        raw_client(server, ssl=CLIENT, server_hostname="localhost") as peer,
    ):
        peer.send(peer.frame(TEXT, b"a"), peer.frame(CLOSE, close_payload(4000)))
        assert await peer.frames() == [(TEXT, b"a"), (CLOSE, close_payload(4000))]


async def test_tls_peer_that_ends_or_is_cut_is_1006() -> None:
    async with listen(idle, ssl=SERVER) as server:
        for cut in (False, True):
            async with raw_client(server, ssl=CLIENT, server_hostname="localhost") as peer:
                (ws,) = server.connections
                if cut:
                    peer.writer.transport.abort()
                else:
                    peer.writer.close()
                with pytest.raises(ConnectionClosedError) as caught:
                    await ws.recv()
                assert caught.value.code == 1006
                await ws.wait_closed()


async def test_tls_peer_that_does_not_read_is_cut_and_backpressure_works() -> None:
    async with (
        listen(idle, ssl=SERVER, close_timeout=0.05) as server,
        raw_client(server, ssl=CLIENT, server_hostname="localhost") as peer,
    ):
        (ws,) = server.connections
        stop_reading(ws, peer)
        # asyncio's TLS takes a first burst, whatever its size.
        ws.send_nowait(b"x" * 5_000_000)
        sender = asyncio.create_task(ws.send(b"x" * 5_000_000))
        await asyncio.sleep(0.01)
        assert not sender.done()
        await ws.close()
        with pytest.raises(ConnectionClosedError):
            await sender
        peer.writer.transport.abort()


async def test_tls_full_queue_and_close() -> None:
    async def handler(ws: WebSocket) -> None:
        while not ws._reading_paused:
            await asyncio.sleep(0.001)
        await ws.close(4000)

    async with (
        listen(handler, ssl=SERVER, max_queue=2) as server,
        connect(uri(server, scheme="wss"), ssl=CLIENT) as ws,
    ):
        with contextlib.suppress(ConnectionClosedError):
            while True:
                await ws.send("x" * 10_000)
                await asyncio.sleep(0)
        assert ws.close_code == 4000


@pytest.mark.skipif(sys.platform == "win32", reason="no Unix sockets")
async def test_unix_sockets(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    async with unix_serve(echo, path) as server, unix_connect(path) as ws:
        await ws.send("hi")
        assert await ws.recv() == "hi"
        (far,) = server.connections
        assert far.request.headers["Host"] == "localhost"
        await ws.close()
    async with unix_serve(echo, path, ssl=SERVER), unix_connect(path, "wss://localhost/", ssl=CLIENT) as ws:
        await settled(ws)
    async with unix_serve(echo, path), unix_connect(path, origin="http://localhost"):
        with pytest.raises(BadStatus, match="403"):
            await unix_connect(path, origin="http://localhost.example")


@pytest.mark.skipif(sys.platform == "win32", reason="no Unix sockets")
async def test_unix_socket_of_the_callers() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        task = asyncio.create_task(connect("ws://localhost/", sock=ours, open_timeout=0.05)._open())
        with pytest.raises(TimeoutError):
            await task
        assert theirs.recv(1000).startswith(b"GET / HTTP/1.1\r\n")
        assert theirs.recv(1) == b""


@pytest.mark.parametrize("callback", [True, False])
@pytest.mark.parametrize("role", ROLES)
async def test_tls_that_ends_with_a_read_full_of_bombs(role: str, callback: bool) -> None:
    got: list[Any] = []
    near_options = {"on_messages": lambda ws, messages: got.extend(messages)} if callback else {}
    options = {role: near_options}
    async with contextlib.AsyncExitStack() as stack:
        handler = None if callback and role == "server" else idle
        server = await stack.enter_async_context(listen(handler, ssl=SERVER, **options.get("server", {})))
        client = await stack.enter_async_context(
            connect(uri(server, scheme="wss"), ssl=CLIENT, server_hostname="localhost", **options.get("client", {}))
        )
        (served,) = server.connections
        near, far = (served, client) if role == "server" else (client, served)
        far.transport.write(bombs(role) + frame(CLOSE, close_payload(4000), key=KEY if role == "server" else None))
        far.transport.close()
        if callback:
            await near.wait_closed()
            assert (got, near.close_code) == (BOMBS, 4000)
        else:
            # There is no room for more, and so not for the Close frame behind it.
            assert await all_of(near) == (BOMBS[:2], 1006)
