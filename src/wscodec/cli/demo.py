"""The server of the demo page: the page itself over HTTP, `/echo`, and `/control` beside it.

`/echo` sends every message back. `/control` talks JSON about it: what the server is, and, since a page can do
none of it itself, a Ping frame sent to the page's echo connection, a Close frame with any code, or how many bytes
crossed the wire.

Floor 6.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import platform
import re
import secrets
import time
from http import HTTPStatus
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, urlsplit

import wscodec
from wscodec.asyncio import Request, Response, ServerConnection
from wscodec.errors import ConnectionClosed
from wscodec.spec import MAX_REASON_SIZE, is_sendable_close_code

from . import loop

__all__ = ["Demo"]

PING_TIMEOUT = 10
SOCKET_PATHS = frozenset({"/echo", "/control"})
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Refusal(Exception):
    """An order on `/control` that can't be carried out; its text is for the reader of the page."""


async def echo(ws: ServerConnection) -> None:
    """Send every message back as it came, text as text and binary as binary, until the connection ends."""
    try:
        async for message in ws:
            await ws.send(message)
    except ConnectionClosed:
        pass  # how a connection ends is the peer's affair


class Demo:
    """The handlers of one server.

    Attributes:
        max_size: the largest message that the server accepts, in bytes.
    """

    def __init__(self, max_size: int) -> None:
        self.max_size = max_size
        self._page = (files(__package__) / "demo.html").read_bytes()
        self._hashes = {tag: _hashes(self._page, tag) for tag in (b"script", b"style")}
        self._echoes: dict[str, ServerConnection] = {}

    def process_request(self, ws: ServerConnection, request: Request) -> Response | None:
        """Answer what is not for one of our connections; None lets the handshake go on."""
        path = urlsplit(request.path).path
        if path == "/":
            return ws.respond(HTTPStatus.OK, self._page, headers=self._headers(request))
        if path not in SOCKET_PATHS:
            return ws.respond(HTTPStatus.NOT_FOUND, "The page is at /, and nothing else is here.\n")
        return None

    async def handle(self, ws: ServerConnection) -> None:
        """Serve one connection until it ends."""
        assert ws.request is not None  # an open connection has one
        url = urlsplit(ws.request.path)
        if url.path == "/control":
            await self._control(ws)
        else:
            await self._echo(ws, parse_qs(url.query).get("session", [""])[0])

    async def _echo(self, ws: ServerConnection, session: str) -> None:
        """Echo; the control connection that knows `session`, a random name, reaches this one meanwhile."""
        if not session or session in self._echoes:
            return await echo(ws)
        self._echoes[session] = ws
        try:
            return await echo(ws)
        finally:
            del self._echoes[session]

    async def _control(self, ws: ServerConnection) -> None:
        """Say what the server is, then carry out orders, each in a task: a pong may be long in coming."""
        session = secrets.token_urlsafe(12)
        try:
            await ws.send(json.dumps(self._info(session)))
            async with asyncio.TaskGroup() as tasks:
                async for message in ws:
                    tasks.create_task(self._answer(ws, session, message))
        except ConnectionClosed:
            pass

    async def _answer(self, ws: ServerConnection, session: str, message: str | bytes) -> None:
        """Carry out one order of the page and send what comes of it."""
        try:
            answer = await self._obey(session, message)
        except Refusal as refusal:
            answer = {"type": "error", "text": str(refusal)}
        with contextlib.suppress(ConnectionClosed):
            await ws.send(json.dumps(answer))

    async def _obey(self, session: str, message: str | bytes) -> dict[str, Any]:
        """Carry out an order: `{"do": "ping"}`, `{"do": "count"}`, `{"do": "close", "code": 1008, "reason": "why"}`."""
        order = _parse(message)
        ws = self._echoes.get(session)
        if ws is None:
            raise Refusal("there is no echo connection")
        if order.get("do") == "ping":
            return {"type": "pong", "ms": await _ping(ws)}
        if order.get("do") == "close":
            await ws.close(*_close_arguments(order))
            return {"type": "closed"}
        if order.get("do") == "count":
            stats = ws.stats
            return {"type": "count", "bytes": stats.bytes_received + stats.bytes_sent}
        raise Refusal("an order is a ping, a close or a count")

    def _info(self, session: str) -> dict[str, Any]:
        """Return what the page shows about the server."""
        return {
            "type": "info",
            "session": session,
            "version": wscodec.__version__,
            "backend": wscodec.backend,
            "kernels": list(wscodec.kernels()),
            "python": platform.python_version(),
            "loop": loop.name(),
            "maxSize": self.max_size,
        }

    def _headers(self, request: Request) -> list[tuple[str, str]]:
        """Return the headers of the page: nothing from elsewhere, and the finest clock there is."""
        host = request.headers.get("Host") or ""
        headers = [
            ("Content-Type", "text/html; charset=utf-8"),
            ("Content-Security-Policy", self._policy(host)),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
            ("Cache-Control", "no-store"),
        ]
        if urlsplit(f"//{host}").hostname in LOOPBACK:
            # An isolated page has a clock of 5 to 20 µs, any other one of 100 µs to 1 ms. Over plain HTTP
            # browsers take these two from loopback addresses alone, and complain about them elsewhere.
            headers.append(("Cross-Origin-Opener-Policy", "same-origin"))
            headers.append(("Cross-Origin-Embedder-Policy", "require-corp"))
        return headers

    def _policy(self, host: str) -> str:
        """Return the page's Content-Security-Policy: its own script and style, our WebSockets."""
        # Not every browser takes 'self' for ws: too. A policy can't name an IPv6 address.
        sockets = f" ws://{host} wss://{host}" if re.fullmatch(r"[\w.-]+(:\d+)?", host, re.ASCII) else ""
        return (
            f"default-src 'none'; script-src {self._hashes[b'script']}; style-src {self._hashes[b'style']}; "
            f"img-src blob: data:; connect-src 'self'{sockets}; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )


def _hashes(page: bytes, tag: bytes) -> str:
    """Return the CSP sources that allow each of the page's own `tag` elements, and no other."""
    bodies = re.findall(b"<%b>(.*?)</%b>" % (tag, tag), page, re.DOTALL)
    digests = (base64.b64encode(hashlib.sha256(body).digest()).decode() for body in bodies)
    return " ".join(f"'sha256-{digest}'" for digest in digests)


def _parse(message: str | bytes) -> dict[str, Any]:
    """Return the JSON object in `message`."""
    try:
        order = json.loads(message)
    except ValueError:
        order = None
    if not isinstance(order, dict):
        raise Refusal("an order is a JSON object")
    return order


def _close_arguments(order: dict[str, Any]) -> tuple[int, str]:
    """Return the code and the reason of an order to close."""
    code, reason = order.get("code"), order.get("reason", "")
    if not isinstance(code, int) or not is_sendable_close_code(code):
        raise Refusal("a server can't send that close code")
    if not isinstance(reason, str) or len(reason.encode(errors="replace")) > MAX_REASON_SIZE:
        raise Refusal(f"a reason is a text of at most {MAX_REASON_SIZE} bytes")
    return code, reason


async def _ping(ws: ServerConnection) -> float:
    """Send a Ping frame and return how long its Pong took, in milliseconds.

    The clock is not the event loop's: uvloop's counts whole milliseconds.
    """
    start = time.perf_counter()
    try:
        async with asyncio.timeout(PING_TIMEOUT):
            await (await ws.ping())
    except (TimeoutError, ConnectionClosed) as error:
        raise Refusal("no pong came") from error
    return 1000 * (time.perf_counter() - start)
