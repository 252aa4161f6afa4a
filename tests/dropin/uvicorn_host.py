"""Uvicorn in a thread, an application for each path, and a raw client; what they saw is put into an `Outcome`."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import importlib
import importlib.util
import logging
import re
import socket
import threading
import time
import warnings
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn
from helpers import CLOSE, KEY, PING, close_payload, frame
from uvicorn.importer import import_from_string

WSCODEC = "wscodec.dropin.uvicorn:WebSocketProtocol"
WEBSOCKETS = "uvicorn.protocols.websockets.websockets_impl:WebSocketProtocol"
SANSIO = "uvicorn.protocols.websockets.websockets_sansio_impl:WebSocketsSansIOProtocol"
TIMEOUT = 10.0  # seconds: for what hangs; no test waits for it
SAMPLE_KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
UNTOLD = {"date", "server", "sec-websocket-accept", "sec-websocket-extensions", "upgrade", "connection"}

App = Callable[[dict[str, Any], Any, Any], Awaitable[Any]]


def is_installed(*modules: str) -> bool:
    return all(importlib.util.find_spec(module) for module in modules)


LOOPS = {"asyncio": asyncio.new_event_loop}
if is_installed("uvloop"):
    LOOPS["uvloop"] = importlib.import_module("uvloop").new_event_loop
FAST = "uvloop" if "uvloop" in LOOPS else "asyncio"
HTTP = "httptools" if is_installed("httptools") else "h11"

# The servers that all scenarios run on: ours on either loop and behind either parser, then Uvicorn's own.
SERVERS = {"ours": (WSCODEC, FAST, HTTP), "ours on asyncio": (WSCODEC, "asyncio", "h11")}
PEERS = {"websockets": (WEBSOCKETS, FAST, HTTP), "sansio": (SANSIO, FAST, HTTP)}
if tuple(map(int, uvicorn.__version__.split(".")[:2])) < (0, 50):
    del PEERS["sansio"]  # it was not finished


def load(name: str) -> Any:
    """Return a class of Uvicorn's, or None where this version, or what it needs, has none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some are deprecated
        try:
            return import_from_string(name)
        except Exception:
            return None


@dataclass
class Outcome:
    """What the application was told, what the client saw, and what was logged."""

    app: list[Any] = field(default_factory=list)
    client: list[Any] = field(default_factory=list)
    log: list[str] = field(default_factory=list)


class Records(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def lines(self) -> list[str]:
        """Return the lines about applications and requests, without addresses, tracebacks, and what a library adds."""
        texts = [f"{record.levelname} {record.getMessage().strip()}" for record in self.records]
        # Before 0.38 or so, some lines have the address as a tuple.
        texts = [re.sub(r"127\.0\.0\.1:\d+|\('127\.0\.0\.1', \d+\)", "HOST", text) for text in texts]
        return [text for text in texts if '"WebSocket' in text or text.startswith("ERROR")]


class Host:
    """A Uvicorn server in a thread of its own. Each path has an application."""

    def __init__(self, ws: Any, loop_factory: Any, **settings: Any) -> None:
        self.apps: dict[str, App] = {}
        self.config = uvicorn.Config(
            self.run_app, **{"port": 0, "lifespan": "off", "log_config": None, "interface": "asgi3", **settings}, ws=ws
        )
        self.server = uvicorn.Server(self.config)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.config.load()
        self._loop_factory = loop_factory
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self.wait(lambda: self.server.started)
        self.address = None if self.config.uds else self.server.servers[0].sockets[0].getsockname()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=self._loop_factory) as runner:
            self.loop = runner.get_loop()
            runner.run(self.server.serve())

    async def run_app(self, scope: dict[str, Any], receive: Any, send: Any) -> Any:
        return await self.apps[scope["path"]](scope, receive, send)

    def wait(self, condition: Callable[[], Any]) -> None:
        """Wait until something holds."""
        until = time.monotonic() + TIMEOUT
        while not condition():
            assert time.monotonic() < until, "it never comes"
            time.sleep(0.001)

    def settle(self) -> None:
        """Wait until no connection and no application is left."""
        state = self.server.server_state
        self.wait(lambda: not state.connections and not state.tasks)

    def stop(self) -> None:
        """Have it shut down; `join` waits for that."""
        self.server.should_exit = True

    def join(self) -> None:
        self.stop()
        self._thread.join(TIMEOUT)
        assert not self._thread.is_alive()

    def connect(self) -> socket.socket:
        if self.address is None:
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(TIMEOUT)
            sock.connect(self.config.uds)
            return sock
        return socket.create_connection(self.address, TIMEOUT)


def recording(app: App, seen: list[Any]) -> App:
    """Return an application that keeps in `seen` what it is told, and what is raised for what it sends."""

    async def recorded(scope: dict[str, Any], receive: Any, send: Any) -> Any:
        async def heard() -> Any:
            message = await receive()
            seen.append(message)
            return message

        async def said(message: Any) -> None:
            try:
                await send(message)
            except Exception as error:
                seen.append(type(error).__name__)
                raise

        return await app(scope, heard, said)

    return recorded


class Client:
    """A raw client that keeps what it saw: the head of the response as (status, headers), frames, and the end."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.seen: list[Any] = []
        self.extensions: str | None = None
        self.told: list[Any] = []  # what the application has been told so far
        self._data = b""

    def request(self, path: str = "/", headers: bytes = b"", key: bytes = SAMPLE_KEY, version: bytes = b"13") -> None:
        self.sock.sendall(
            b"GET " + path.encode() + b" HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: " + key + b"\r\nSec-WebSocket-Version: " + version + b"\r\n" + headers + b"\r\n"
        )

    def response(self) -> int:
        """Read the response's head, and the body where it is no 101; return the status."""
        while b"\r\n\r\n" not in self._data:
            if not self._more():
                return 0
        head, _, self._data = self._data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        status = int(first.split()[1])
        told = {name: value for name, value in headers.items() if name not in UNTOLD}
        self.extensions = headers.get("sec-websocket-extensions")
        if status == 101:
            expected = base64.b64encode(hashlib.sha1(SAMPLE_KEY + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
            assert headers["sec-websocket-accept"] == expected.decode()
            assert headers["upgrade"].lower() == "websocket"
            self.seen.append((status, told))
        else:
            while self._more():
                pass
            self.seen[-1] = (status, told, self._data)
        return status

    def send(self, *frames: bytes) -> None:
        self.sock.sendall(b"".join(frames))

    def frame(self, opcode: int, payload: bytes = b"", **settings: Any) -> bytes:
        return frame(opcode, payload, **{"key": KEY, **settings})

    def close(self, code: int | None = 1000, reason: bytes = b"") -> None:
        """Send a Close frame, and read to the end."""
        self.send(self.frame(CLOSE, b"" if code is None else close_payload(code, reason)))
        self.finish()

    def read(self, count: int = 1) -> None:
        """Keep so many frames."""
        for _ in range(count):
            if not self._read_frame():
                return

    def finish(self, answer: bool = True) -> None:
        """Keep all frames up to the end; answer a Close frame."""
        while self._read_frame():
            opcode = self.seen[-1][0]
            if opcode == 0x80 | CLOSE and answer:
                with contextlib.suppress(OSError):
                    self.send(self.frame(CLOSE, self.seen[-1][1]))

    def wait_until_told(self, count: int = 1) -> None:
        """Wait until the application has been told so much."""
        until = time.monotonic() + TIMEOUT
        while len(self.told) < count:
            assert time.monotonic() < until, "the application is told nothing"
            time.sleep(0.001)

    def settled(self) -> None:
        """Wait until the server has taken what was sent so far."""
        self.send(self.frame(PING, b"settled?"))
        self.read()
        assert self.seen.pop() == (0x8A, b"settled?")

    def _read_frame(self) -> bool:
        while (sizes := self._whole()) is None:
            if not self._more():
                return False
        head, size = sizes
        self.seen.append((self._data[0], self._data[head : head + size]))
        self._data = self._data[head + size :]
        return True

    def _whole(self) -> tuple[int, int] | None:
        """Return the sizes of the next frame's header and payload, if it is all there."""
        if len(self._data) < 2:
            return None
        length = self._data[1]
        assert length < 128, "a server masks nothing"
        width = {126: 2, 127: 8}.get(length, 0)
        if len(self._data) < 2 + width:
            return None
        size = int.from_bytes(self._data[2 : 2 + width], "big") if width else length
        return None if len(self._data) < 2 + width + size else (2 + width, size)

    def _more(self) -> bool:
        try:
            data = self.sock.recv(1 << 16)
        except ConnectionResetError:
            data = b""
        self._data += data
        if not data:
            self.seen.append("end")
        return bool(data)


@contextlib.contextmanager
def client_of(host: Host, app: App, path: str = "/", wrap: Any = None) -> Iterator[tuple[Client, Outcome]]:
    """Yield a client that has asked for nothing yet; at the end the outcome is whole."""
    outcome, handler, logger = Outcome(), Records(), logging.getLogger("uvicorn.error")
    host.apps[path] = recording(app, outcome.app)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    sock = host.connect()
    client = Client(wrap(sock) if wrap else sock)
    client.told = outcome.app
    try:
        yield client, outcome
        client.sock.close()
        host.settle()
    finally:
        client.sock.close()
        logger.removeHandler(handler)
        logger.setLevel(level)
        outcome.client = client.seen
        outcome.log = handler.lines()


class Hosts:
    """Servers by their settings: made once, ended together."""

    def __init__(self) -> None:
        self._hosts: dict[Any, Host] = {}

    def get(self, ws: str = WSCODEC, loop: str = FAST, http: str = HTTP, **settings: Any) -> Host:
        key = (ws, loop, http, *sorted(settings.items()))
        if key not in self._hosts:
            protocol = load(ws)
            if protocol is None:
                pytest.skip(f"there is no {ws} here")
            self._hosts[key] = Host(protocol, LOOPS[loop], http=http, **settings)
        return self._hosts[key]

    def end(self) -> None:
        for host in self._hosts.values():
            host.stop()
        for host in self._hosts.values():
            host.join()
