"""Both ends of a connection, or one of ours and a raw one whose bytes are made by hand."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import socket
import struct
import sys
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from typing import Any

from helpers import BINARY, KEY, frame

from wscodec import ConnectionClosed
from wscodec.asyncio import Server, WebSocket, connect, serve

ROLES = ("server", "client")
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

REQUEST = (
    b"GET /chat HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


async def idle(ws: WebSocket) -> None:
    await ws.wait_closed()


async def all_of(ws: WebSocket) -> tuple[list[Any], int | None]:
    """Return all messages up to the end, and the close code."""
    messages = []
    with contextlib.suppress(ConnectionClosed):
        while True:
            messages.append(await ws.recv())
    return messages, ws.close_code


def address(server: Server | asyncio.Server) -> tuple[str, int]:
    return server.sockets[0].getsockname()[:2]


def uri(server: Server | asyncio.Server, path: str = "/", scheme: str = "ws") -> str:
    return f"{scheme}://127.0.0.1:{address(server)[1]}{path}"


def listen(handler: Any = None, **options: Any) -> serve:
    return serve(handler, "127.0.0.1", 0, **options)


@contextlib.asynccontextmanager
async def linked(
    role: str = "client", near: dict[str, Any] | None = None, far: dict[str, Any] | None = None
) -> AsyncIterator[tuple[WebSocket, WebSocket]]:
    """Yield our end, which has `role`, and the other one; `near` and `far` are their options.

    Compression is off where these don't say otherwise: many tests count bytes.
    """
    other = "client" if role == "server" else "server"
    options = {role: {"compression": None, **(near or {})}, other: {"compression": None, **(far or {})}}
    arrived: asyncio.Future[WebSocket] = asyncio.get_running_loop().create_future()

    async def handler(ws: WebSocket) -> None:
        arrived.set_result(ws)
        await ws.wait_closed()

    async with listen(handler, **options["server"]) as server, connect(uri(server), **options["client"]) as client:
        ends = (client, await arrived)
        yield ends if role == "client" else (ends[1], ends[0])


class Peer:
    """A raw end of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, role: str = "client") -> None:
        self.reader = reader
        self.writer = writer
        self.role = role

    def frame(self, opcode: int, payload: bytes = b"", **settings: Any) -> bytes:
        """Return a frame, masked as our role demands."""
        return frame(opcode, payload, key=KEY if self.role == "client" else None, **settings)

    def send(self, *data: bytes) -> None:
        self.writer.write(b"".join(data))

    async def next_frame(self) -> tuple[int, bytes]:
        """Return the opcode and the payload of the next frame; IncompleteReadError where there is none."""
        first, second = await self.reader.readexactly(2)
        assert bool(second & 0x80) is (self.role == "server")
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack("!H", await self.reader.readexactly(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", await self.reader.readexactly(8))
        key = await self.reader.readexactly(4) if second & 0x80 else b"\0\0\0\0"
        payload = await self.reader.readexactly(length)
        fin = 0 if first & 0x80 else 0x100
        return first & 0x0F | fin, bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))

    async def frames(self) -> list[tuple[int, bytes]]:
        """Return all frames up to the end; those without FIN have 0x100 added to the opcode."""
        frames = []
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                frames.append(await self.next_frame())
        return frames

    async def head(self) -> bytes:
        return await self.reader.readuntil(b"\r\n\r\n")

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


@contextlib.asynccontextmanager
async def raw_client(server: Server, request: bytes | None = REQUEST, **settings: Any) -> AsyncIterator[Peer]:
    """Yield a raw client; its handshake is done where there is a request."""
    peer = Peer(*await asyncio.open_connection(*address(server), **settings))
    try:
        if request is not None:
            peer.send(request)
            head = await peer.head()
            assert head.startswith(b"HTTP/1.1 101 ")
        yield peer
    finally:
        await peer.close()


def response_to(request: bytes, extra: bytes = b"") -> bytes:
    """Return the 101 response to a request."""
    (key,) = (line[19:] for line in request.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key: "))
    accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n" + extra + b"\r\n"
    )


@contextlib.asynccontextmanager
async def raw_server(play: Callable[[Peer], Awaitable[None]]) -> AsyncIterator[asyncio.Server]:
    """Yield a server that has `play` deal with each client, from the request on."""
    tasks = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.current_task())
        peer = Peer(reader, writer, "server")
        try:
            await play(peer)
        finally:
            await peer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield server
    finally:
        server.close()
        await server.wait_closed()
        await asyncio.gather(*tasks)


@contextlib.asynccontextmanager
async def facing_raw(
    role: str, handler: Callable[[WebSocket], Awaitable[None]] | None = None, **options: Any
) -> AsyncIterator[tuple[WebSocket, Peer]]:
    """Yield our end, which has `role`, and a raw peer; `handler` is run on our end."""
    loop = asyncio.get_running_loop()
    arrived: asyncio.Future[Any] = loop.create_future()
    if role == "server":

        async def handle(ws: WebSocket) -> None:
            if arrived.done():  # another peer, beside the raw one
                await echo(ws)
                return
            arrived.set_result(ws)
            await (handler or idle)(ws)

        async with listen(handle, **options) as server, raw_client(server) as peer:
            yield await arrived, peer
        return

    over = asyncio.Event()

    async def play(peer: Peer) -> None:
        peer.send(response_to(await peer.head()))
        arrived.set_result(peer)
        await over.wait()

    async with raw_server(play) as raw, connect(uri(raw), **options) as ws:
        task = asyncio.create_task(handler(ws)) if handler else None
        try:
            yield ws, await arrived
        finally:
            over.set()
            if task is not None:
                await asyncio.gather(task, return_exceptions=True)


@contextlib.asynccontextmanager
async def good_peer(server: Server) -> AsyncIterator[None]:
    """Have a good client that is served before and after; and the next one is, too."""
    message = "fine" * 50  # enough to be compressed
    async with connect(uri(server)) as ws:
        await ws.send(message)
        assert await ws.recv() == message
        yield
        await ws.send(message)
        assert await ws.recv() == message
    async with connect(uri(server)) as ws:
        await settled(ws)


@contextlib.asynccontextmanager
async def beside_good(
    role: str, handler: Callable[[WebSocket], Awaitable[None]] | None = None, **options: Any
) -> AsyncIterator[tuple[WebSocket, Peer]]:
    """Do as `facing_raw`, beside a good peer: that of the same server, where we are one."""
    async with (
        listen(echo) as other,
        facing_raw(role, handler, **options) as (ws, peer),
        good_peer(ws._registry or other),
    ):
        yield ws, peer


def stop_reading(ws: WebSocket, peer: Peer) -> None:
    """Have the peer read nothing, and what is between the two ends hold little."""
    for transport, option in ((ws.transport, socket.SO_SNDBUF), (peer.writer.transport, socket.SO_RCVBUF)):
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, option, 4096)
    peer.writer.transport.pause_reading()


async def settled(ws: WebSocket) -> None:
    """Wait until the other end has taken in all that was sent so far."""
    await (await ws.ping())


async def calls_of(tasks: Collection[asyncio.Task[Any]]) -> int:
    """Let tasks go on to their end, and return how many calls of Python code that takes, steps of generators too."""
    count = 0

    def on_event(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(on_event)
    try:
        await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        sys.setprofile(None)
    return count


def step(coroutine: Any) -> Any:
    """Run a coroutine that must not suspend, and return its result."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    coroutine.close()
    raise AssertionError("it suspended")


# Messages that are a thousandth of their size on the wire, so that many of them fit into one read.
BOMBS = [bytes([i]) * (1 << 20) for i in range(40)]


def bombs(role: str) -> bytes:
    """Return them as frames for one that has `role`, each compressed by itself."""
    key = KEY if role == "server" else None
    frames = []
    for message in BOMBS:
        compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
        payload = compressor.compress(message) + compressor.flush(zlib.Z_FULL_FLUSH)[:-4]
        frames.append(frame(BINARY, payload, rsv=4, key=key))
    return b"".join(frames)
