"""Uvicorn with our class: its settings, its shutdown, other transports, slow peers, and what stands on top of it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import socket
import ssl
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("uvicorn", reason="uvicorn is not installed")

import uvicorn
from helpers import BINARY, CLOSE, CONT, PONG, TEXT, close_payload
from uvicorn_host import FAST, LOOPS, PEERS, WSCODEC, Client, Host, Hosts, Records, client_of, load
from uvicorn_scenarios import ACCEPT, DISCONNECT, closed, echo

from wscodec.dropin.uvicorn import WebSocketProtocol

pytestmark = [pytest.mark.timeout(60), pytest.mark.filterwarnings("ignore::DeprecationWarning")]
OFFER = b"Sec-WebSocket-Extensions: permessage-deflate\r\n"
# "Hello", compressed: RFC 7692 §7.2.3.1.
HELLO = bytes.fromhex("f248cdc9c90700")


@pytest.mark.parametrize("who", ["ours", *PEERS])
def test_ws_max_size(hosts: Hosts, who: str) -> None:
    host = hosts.get(PEERS[who][0] if who in PEERS else WSCODEC, ws_max_size=1000)
    with client_of(host, echo) as (client, outcome):
        client.request()
        client.response()
        client.send(client.frame(BINARY, b"x" * 1000), client.frame(BINARY, b"x" * 1001))
        client.finish()
    opcode, payload = outcome.client[-2]
    assert (opcode, payload[:2]) == (0x80 | CLOSE, struct.pack("!H", 1009))
    if who == "ours":
        assert outcome.app[-1] == closed(1009, payload[2:].decode())


def test_message_in_very_many_fragments(hosts: Hosts) -> None:
    host = hosts.get()
    with client_of(host, echo) as (client, outcome):
        client.request()
        client.response()
        client.send(client.frame(BINARY, b"x", fin=False) + client.frame(CONT, b"x", fin=False) * 65_534)
        client.send(client.frame(CONT, b"x"))
        client.close()
    assert outcome.client[1] == (0x80 | BINARY, b"x" * 65_536)


def test_keepalive_timeout_ends_the_connection(hosts: Hosts) -> None:
    host = hosts.get(ws_ping_interval=0.1, ws_ping_timeout=0.1)
    with client_of(host, echo) as (client, outcome):
        client.request()
        client.response()
        client.read()
        ping = client.seen.pop()
        assert ping[0] == 0x89
        client.send(client.frame(PONG, ping[1]))
        client.finish()
    assert outcome.client[-2:] == [(0x88, b"\x03\xf3keepalive ping timeout"), "end"]
    assert outcome.app[-1] == closed(1011, "keepalive ping timeout")


@pytest.mark.parametrize("interval", [None, 0, math.inf])
def test_keepalive_can_be_off(hosts: Hosts, interval: float | None) -> None:
    host = hosts.get(ws_ping_interval=interval, ws_ping_timeout=0.05)
    with client_of(host, echo) as (client, outcome):
        client.request()
        client.response()
        time.sleep(0.2)
        client.close()
    assert outcome.client == [(101, {}), (0x88, b"\x03\xe8"), "end"]


@pytest.mark.parametrize("deflate", [True, False])
def test_ws_per_message_deflate(hosts: Hosts, deflate: bool) -> None:
    host = hosts.get(ws_per_message_deflate=deflate)
    with client_of(host, echo) as (client, outcome):
        client.request(headers=OFFER)
        client.response()
        assert (client.extensions or "").startswith("permessage-deflate") is deflate
        client.send(client.frame(TEXT, HELLO, rsv=4) if deflate else client.frame(TEXT, b"Hello"))
        client.read()
        client.close()
    assert {"type": "websocket.receive", "text": "Hello"} in outcome.app


def test_no_more_is_read_than_the_application_takes(hosts: Hosts) -> None:
    """The rest waits at the client, and none of it is lost."""
    go, count = [], 3000

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        while not go:
            await asyncio.sleep(0.01)
        for _ in range(count):
            assert len((await receive())["bytes"]) == 10_000
        await send({"type": "websocket.close"})

    with client_of(hosts.get(ws_max_queue=4), app) as (client, outcome):
        client.request()
        client.response()
        client.sock.settimeout(0.2)
        message, sent = memoryview(client.frame(BINARY, b"x" * 10_000) * count), 0
        with contextlib.suppress(TimeoutError):
            while sent < len(message):
                sent += client.sock.send(message[sent:])
        assert sent < len(message)
        go.append(True)
        client.sock.settimeout(10)
        client.sock.sendall(message[sent:])
        client.finish()
    assert outcome.client[-2] == (0x88, b"\x03\xe8")


def test_send_waits_for_a_slow_reader(hosts: Hosts) -> None:
    sent: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        for number in range(300):
            await send({"type": "websocket.send", "bytes": b"x" * 65536})
            sent.append(number)
        await send({"type": "websocket.close"})

    with client_of(hosts.get(), app) as (client, outcome):
        client.request()
        client.response()
        time.sleep(0.3)
        assert len(sent) < 300
        client.finish()
    assert len(outcome.client) == 303


def test_many_sends_in_one_tick_are_one_write_and_many_messages_one_read(hosts: Hosts) -> None:
    ticks = 0

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal ticks
        await receive()
        await send(ACCEPT)
        await receive()
        loop = asyncio.get_running_loop()

        def tick() -> None:
            nonlocal ticks
            ticks += 1

        loop.call_soon(tick)
        for _ in range(9):
            message = await receive()
            await send({"type": "websocket.send", "text": message["text"]})
        assert ticks == 0
        await receive()

    with client_of(hosts.get(), app) as (client, _):
        client.request()
        client.response()
        client.send(*(client.frame(TEXT, b"%d" % i) for i in range(10)))
        while client._whole() is None:
            client._more()
        assert client._data == b"".join(b"\x81\x01%d" % i for i in range(1, 10))
        client.read(9)
        client.close()


@pytest.mark.parametrize("who", ["ours", *PEERS])
def test_shutdown(who: str) -> None:
    """An open connection is closed with 1012, one that is not accepted gets 500, and the server ends."""
    protocol = load(PEERS[who][0] if who in PEERS else WSCODEC)
    if protocol is None:
        pytest.skip("this version has no such class")
    host = Host(protocol, LOOPS[FAST])

    async def waiting(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await receive()

    with client_of(host, echo) as (opened, outcome), client_of(host, waiting, "/w") as (refused, other):
        opened.request()
        opened.response()
        refused.request("/w")
        refused.wait_until_told()
        host.stop()
        opened.finish()
        assert refused.response() == 500
        host.join()
    assert outcome.app[-1] == {"type": DISCONNECT, "code": 1012}
    assert outcome.client == [(101, {}), (0x88, struct.pack("!H", 1012)), "end"]
    assert other.app[-1] == {"type": DISCONNECT, "code": 1006}


def test_shutdown_does_not_wait_long_for_a_client_that_is_silent() -> None:
    sending: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        try:
            while True:
                await asyncio.sleep(0.01)
                await send({"type": "websocket.send", "text": "tick"})
        except OSError as error:
            sending.append(type(error).__name__)

    host = Host(WebSocketProtocol, LOOPS[FAST])
    with client_of(host, app) as (client, _):
        client.request()
        client.response()
        before = time.monotonic()
        host.join()
        assert time.monotonic() - before < 5
    assert sending == ["ClientDisconnected"]


def test_unix_socket_has_no_client(tmp_path: Path) -> None:
    scopes: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        await echo(scope, receive, send)

    host = Host(WebSocketProtocol, LOOPS[FAST], uds=str(tmp_path / "socket"))
    with client_of(host, app) as (client, outcome):
        client.request()
        client.response()
        client.close()
    host.join()
    assert scopes[0]["client"] is None
    assert outcome.log == ['INFO - "WebSocket /" [accepted]']


def test_tls(tmp_path: Path) -> None:
    trustme = pytest.importorskip("trustme")
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    for pem in certificate.cert_chain_pems:
        pem.write_to_path(chain, append=True)
    certificate.private_key_pem.write_to_path(key)
    scopes: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        await echo(scope, receive, send)

    host = Host(WebSocketProtocol, LOOPS[FAST], ssl_certfile=str(chain), ssl_keyfile=str(key))

    def wrap(sock: socket.socket) -> socket.socket:
        return context.wrap_socket(sock, server_hostname="localhost")

    with client_of(host, app, wrap=wrap) as (client, outcome):
        client.request()
        client.response()
        client.send(client.frame(BINARY, b"x" * 100_000))
        client.read()
        client.close()
    host.join()
    assert scopes[0]["scheme"] == "wss"
    assert outcome.client[-2:] == [(0x88, b"\x03\xe8"), "end"]
    assert len(outcome.client[1][1]) == 100_000


@pytest.mark.parametrize("who", ["ours", *PEERS])
def test_scope_is_that_of_uvicorn(hosts: Hosts, who: str) -> None:
    scopes: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        await echo(scope, receive, send)

    host = hosts.get(PEERS[who][0] if who in PEERS else WSCODEC, root_path="/r", headers=(("x-server", "1"),))
    with client_of(host, app, "/r/a b") as (client, outcome):
        client.request("/a%20b?q=%20", b"Sec-WebSocket-Protocol: a, b\r\nX-A: 1\r\nx-a: 2\r\n")
        client.response()
        peer = client.sock.getsockname()
        client.close()
    scope = scopes[0]
    headers = [
        (b"host", b"localhost"), (b"upgrade", b"websocket"), (b"connection", b"Upgrade"),
        (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="), (b"sec-websocket-version", b"13"),
        (b"sec-websocket-protocol", b"a, b"), (b"x-a", b"1"), (b"x-a", b"2"),
    ]  # fmt: skip
    # Uvicorn's parsers hand names over in lower case, and all classes leave the order as it is.
    assert sorted((name.lower(), value) for name, value in scope.pop("headers")) == sorted(headers)
    assert scope == {
        "type": "websocket", "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1", "scheme": "ws",
        "server": host.address, "client": peer, "root_path": "/r", "path": "/r/a b", "raw_path": b"/r/a%20b",
        "query_string": b"q=%20", "subprotocols": ["a", "b"], "state": {},
        "extensions": {"websocket.http.response": {}},
    }  # fmt: skip
    assert outcome.client[0] == (101, {"x-server": "1"})


def test_log_says_open_closed_and_rejected_and_traces(hosts: Hosts) -> None:
    logger, handler = logging.getLogger("uvicorn.error"), Records()
    logger.addHandler(handler)
    try:
        for app in (echo, _reject):
            with client_of(hosts.get(), app) as (client, _):
                logger.setLevel(5)
                client.request()
                if client.response() == 101:
                    client.close()
    finally:
        logger.removeHandler(handler)
    said = [f"{record.levelno} {record.getMessage().rpartition(' - ')[2]}" for record in handler.records]
    said = [line for line in said if "HTTP" not in line]
    assert said == [
        "5 Upgrading to WebSocket", "5 WebSocket connection made",
        '20 "WebSocket /" [accepted]', "20 connection open", "20 connection closed", "5 WebSocket connection lost",
        "5 Upgrading to WebSocket", "5 WebSocket connection made",
        '20 "WebSocket /" 403', "20 connection rejected (403)", "5 WebSocket connection lost",
    ]  # fmt: skip


async def _reject(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.close"})


def test_import_string_in_the_command_line(tmp_path: Path) -> None:
    if tuple(map(int, uvicorn.__version__.split(".")[:2])) < (0, 36):
        pytest.skip("uvicorn takes import strings since 0.36")
    config = uvicorn.Config(echo, ws=WSCODEC, log_config=None)
    config.load()
    assert config.ws_protocol_class is WebSocketProtocol


GUNICORN_APP = """
from uvicorn.workers import UvicornWorker
from wscodec.dropin.uvicorn import WebSocketProtocol

class Worker(UvicornWorker):
    CONFIG_KWARGS = {"ws": WebSocketProtocol, "lifespan": "off"}

async def app(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    message = await receive()
    await send({"type": "websocket.close", "code": 4000, "reason": message["text"]})
"""


def test_gunicorn_worker(tmp_path: Path) -> None:
    pytest.importorskip("gunicorn")
    (tmp_path / "application.py").write_text(GUNICORN_APP)
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    address = tmp_path / "socket"
    command = [sys.executable, "-W", "ignore", "-m", "gunicorn", "-w1", "-b", f"unix:{address}", "--no-control-socket",
               "-k", "application.Worker", "application:app"]  # fmt: skip
    if not _gunicorn_has_control_socket():
        command.remove("--no-control-socket")
    process = subprocess.Popen(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, stderr=subprocess.PIPE, text=True
    )
    try:
        with _connect_until(address, process) as sock:
            client = Client(sock)
            client.request()
            assert client.response() == 101
            client.send(client.frame(TEXT, b"hi"))
            client.finish()
            assert client.seen[1] == (0x88, close_payload(4000, b"hi"))
    finally:
        process.terminate()
        process.communicate(timeout=20)


def _gunicorn_has_control_socket() -> bool:
    from gunicorn.config import KNOWN_SETTINGS

    return any("--no-control-socket" in (setting.cli or ()) for setting in KNOWN_SETTINGS)


def _connect_until(address: Path, process: subprocess.Popen[str]) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(10)
    for _ in range(400):
        if process.poll() is not None:
            sock.close()
            pytest.fail(process.stderr.read()[-2000:])
        try:
            sock.connect(str(address))
        except OSError:
            time.sleep(0.05)
        else:
            return sock
    sock.close()
    return pytest.fail("gunicorn does not listen")


def _starlette() -> Any:
    applications = pytest.importorskip("starlette.applications")
    from starlette.endpoints import WebSocketEndpoint
    from starlette.routing import WebSocketRoute

    class Echo(WebSocketEndpoint):
        encoding = "text"

        async def on_receive(self, websocket: Any, data: Any) -> None:
            await websocket.send_text(data)

    return applications.Starlette(routes=[WebSocketRoute("/ws", Echo)])


def _fastapi() -> Any:
    fastapi = pytest.importorskip("fastapi")
    app = fastapi.FastAPI()

    async def handler(websocket: Any) -> None:
        await websocket.accept()
        async for data in websocket.iter_text():
            await websocket.send_text(data)

    handler.__annotations__["websocket"] = fastapi.WebSocket
    app.websocket("/ws")(handler)
    return app


def _litestar() -> Any:
    litestar = pytest.importorskip("litestar")

    async def handler(data: str) -> str:
        return data

    handler.__annotations__.update(data=str)
    handler.__annotations__["return"] = str
    return litestar.Litestar([litestar.websocket_listener("/ws")(handler)])


@pytest.mark.parametrize("make", [_starlette, _fastapi, _litestar])
def test_frameworks(hosts: Hosts, make: Any) -> None:
    with client_of(hosts.get(), make(), "/ws") as (client, outcome):
        client.request("/ws")
        client.response()
        client.send(client.frame(TEXT, b"hello"))
        client.read()
        client.close(1001)
    assert outcome.client == [(101, {}), (0x81, b"hello"), (0x88, b"\x03\xe9"), "end"]
    assert outcome.app[-1] == closed(1001, "")


def test_client_of_websockets_with_compression(hosts: Hosts) -> None:
    sync = pytest.importorskip("websockets.sync.client")
    host = hosts.get()
    host.apps["/c"] = echo
    with sync.connect(f"ws://127.0.0.1:{host.address[1]}/c") as ws:
        for message in ("hello" * 100, b"\0" * 100_000):
            ws.send(message)
            assert ws.recv() == message
        ws.close(4001, "done")
    host.settle()
