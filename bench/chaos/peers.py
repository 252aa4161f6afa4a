"""The bad peers: each does one thing that a server has to survive.

They are raw sockets, or TLS over them, with frames made by hand. What the server owes to some of them, such as a Close
frame with a certain code or the end of the connection, is looked at: `Broken` says that it did not come.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from ..wire import PING
from .server import HOST

KEY = bytes(4)
# A request whose answer everybody knows (RFC 6455 §1.3).
REQUEST = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
)
OFFER = b"Sec-WebSocket-Extensions: permessage-deflate\r\n"
# By so many of its timeouts the server has cut whoever is silent: it pings after one, waits for another, and rounds of
# keepalive, a busy machine and TLS take the rest.
PATIENCE = 8


class Broken(Exception):
    """The server did not do what it has to."""


@dataclass(frozen=True)
class Target:
    """What there is to attack.

    Attributes:
        ports: the server's.
        timeout: its timeouts, in seconds.
        context: for TLS, or None.
    """

    ports: tuple[int, int]
    timeout: float
    context: ssl.SSLContext | None


class Peer:
    """A raw client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: Target) -> None:
        self.reader = reader
        self.writer = writer
        self.target = target

    def send(self, *data: bytes) -> None:
        self.writer.write(b"".join(data))

    async def open(self, offer: bool = False) -> None:
        """Do the opening handshake."""
        self.send(REQUEST, OFFER if offer else b"", b"\r\n")
        await self.answered(offer)

    async def answered(self, offer: bool) -> None:
        """Take the server's part of the opening handshake; Broken where it is not what is expected."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101 ") or (b"permessage-deflate" in head) is not offer:
            raise Broken(f"answered {head!r}")

    async def next_frame(self) -> tuple[int, bytes]:
        """Return the first byte and the payload of the next frame that is no ping."""
        while True:
            first, length = await self.reader.readexactly(2)
            if length >= 126:
                size = await self.reader.readexactly(2 if length == 126 else 8)
                length = int.from_bytes(size, "big")
            payload = await self.reader.readexactly(length)
            if first != 0x80 | PING:
                return first, payload

    async def expect(self, opcode: int, start: bytes) -> None:
        """Take the next frame that is no ping; Broken where it is another one."""
        first, payload = await self.next_frame()
        if first != 0x80 | opcode or not payload.startswith(start):
            raise Broken(f"expected {opcode:#x} {start!r}, got {first:#x} {payload[:100]!r}")

    async def ended(self) -> None:
        """Read until the server ends or cuts the connection; Broken where it doesn't."""
        try:
            async with asyncio.timeout(PATIENCE * self.target.timeout):
                with contextlib.suppress(OSError):
                    while await self.reader.read(1 << 16):
                        pass
        except TimeoutError:
            raise Broken("the connection was not ended") from None

    def reset(self) -> None:
        """Have TCP reset the connection."""
        self.option(socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    def option(self, name: int, value: Any) -> None:
        """Set an option of the socket, unless the connection has ended already."""
        sock = self.writer.get_extra_info("socket")
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, name, value)


@contextlib.asynccontextmanager
async def dialled(target: Target, random: random.Random, *, tls: bool = True) -> AsyncIterator[Peer]:
    """Yield a peer that has said nothing yet; in the end it is cut."""
    settings: dict[str, Any] = {}
    if target.context is not None and tls:
        settings = {"ssl": target.context, "server_hostname": "localhost"}
    reader, writer = await asyncio.open_connection(HOST, random.choice(target.ports), limit=1 << 12, **settings)
    try:
        yield Peer(reader, writer, target)
    finally:
        writer.transport.abort()


@contextlib.asynccontextmanager
async def opened(target: Target, random: random.Random) -> AsyncIterator[tuple[Peer, bool]]:
    """Yield a peer whose opening handshake is done, and whether it may compress."""
    offer = random.random() < 0.5
    async with dialled(target, random) as peer:
        await peer.open(offer)
        yield peer, offer


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0) -> bytes:
    """Return one frame of a client."""
    return head_of((0x80 if fin else 0) | rsv << 4 | opcode, len(payload)) + payload


def head_of(first: int, size: int) -> bytes:
    """Return the header of a frame with a key of zeros, which changes nothing: that is quick."""
    if size < 126:
        return struct.pack("!BB", first, 0x80 | size) + KEY
    if size < 65536:
        return struct.pack("!BBH", first, 0xFE, size) + KEY
    return struct.pack("!BBQ", first, 0xFF, size) + KEY
