"""`python -m bench.dropins.tornado`: tornado's WebSockets with the drop-in and without, alone and as an echo server.

Times are CPU time, those of the server with the kernel's share; with and without take turns, and ratios are medians
over rounds that were measured next to each other.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import time
import zlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from tornado import websocket
from tornado.iostream import IOStream

import wscodec.dropin.tornado as dropin
from wscodec import AgreedDeflate, Connection, DeflateParameters, Opcode, PerMessageDeflate, Role, encode_frame

from ..runner import BenchError
from ..table import align
from .echoing import CONNECTIONS, RATES, rates
from .pairs import TIMES, times

SIZES = {"32 B": 32, "1 KiB": 1 << 10, "64 KiB": 1 << 16, "1 MiB": 1 << 20}
ROUND = 0.02  # seconds
LOADS = [(32, 1), (32, 16), (1024, 1), (65_536, 1)]
AGREED = AgreedDeflate(PerMessageDeflate(), DeflateParameters())
CHUNK = 1 << 16
Work = Callable[[], Awaitable[None]]


class Handler:
    """Counts messages, as what a protocol tells."""

    def __init__(self) -> None:
        self.missing = 0
        self.found: list[Any] | None = []
        self.done: asyncio.Future[None] | None = None
        self.reading: asyncio.Task[None] | None = None

    def on_message(self, message: str | bytes) -> None:
        """Take a message."""
        if self.found is not None:
            self.found.append(message)
        self.missing -= 1
        if not self.missing:
            self.done.set_result(None)

    def expect(self, count: int) -> asyncio.Future[None]:
        """Return what is done when so many messages more have come."""
        self.missing = count
        self.done = asyncio.get_running_loop().create_future()
        return self.done

    def on_ws_connection_close(self, code: int | None, reason: str | None) -> None:
        """Hear of the end."""

    def log_exception(self, *error: Any) -> None:
        """Hear of an error."""
        raise BenchError(str(error))


def connected(ours: bool, client: bool, deflate: bool) -> tuple[Any, Handler, socket.socket]:
    """Return a protocol of tornado's or of ours, what it tells, and its peer's socket."""
    near, far = socket.socketpair()
    far.setblocking(False)
    handler = Handler()
    kind = dropin.WebSocketProtocol13 if ours else websocket.WebSocketProtocol13
    protocol = kind(handler, client, websocket._WebSocketParams())
    protocol.stream = IOStream(near)
    if deflate:
        protocol._create_compressors("client" if client else "server", {})
    return protocol, handler, far


def frame(message: str, client: bool, deflate: bool) -> bytes:
    """Return a message as the peer of a client or of a server sends it."""
    key = None if client else os.urandom(4)
    if not deflate:
        return encode_frame(Opcode.TEXT, message.encode(), masking_key=key)
    compressor = zlib.compressobj(wbits=-15)
    payload = compressor.compress(message.encode()) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return encode_frame(Opcode.TEXT, payload[:-4], rsv1=True, masking_key=key)


async def receiving(ours: bool, client: bool, deflate: bool, messages: list[str], at_once: int) -> Work:
    """Return what receives all messages, so many in one write of the peer's, after a look at the result."""
    protocol, handler, far = connected(ours, client, deflate)
    handler.reading = asyncio.create_task(protocol._receive_frame_loop())
    frames = [frame(message, client, deflate) for message in messages]
    writes = [b"".join(frames[start : start + at_once]) for start in range(0, len(frames), at_once)]
    loop = asyncio.get_running_loop()

    async def work() -> None:
        for data in writes:
            arriving = handler.expect(at_once)
            await loop.sock_sendall(far, data)
            await arriving

    await work()
    if handler.found != messages:
        raise BenchError("wrong messages")
    handler.found = None
    return work


async def sending(ours: bool, client: bool, deflate: bool, messages: list[str], at_once: int) -> Work:
    """Return what sends all messages, and waits after so many until the peer has them; after a look at the result."""
    protocol, _, far = connected(ours, client, deflate)
    loop = asyncio.get_running_loop()

    async def work(keep: list[bytes] | None = None) -> None:
        for start in range(0, len(messages), at_once):
            before = protocol._wire_bytes_out
            sent = [protocol.write_message(message) for message in messages[start : start + at_once]]
            missing = protocol._wire_bytes_out - before
            while missing:
                data = await loop.sock_recv(far, missing)
                missing -= len(data)
                if keep is not None:
                    keep.append(data)
            for future in sent:
                await future

    received: list[bytes] = []
    await work(received)
    decoder = Connection(Role.SERVER if client else Role.CLIENT, compression=AGREED if deflate else None, max_size=None)
    if decoder.receive(b"".join(received)) != messages:
        raise BenchError("wrong messages")
    return work


def cases() -> Iterator[tuple[str, Any, bool, bool, int, int, int]]:
    """Return what is measured: a title, what makes the work, client, compression, size, messages, and in what runs."""
    for client in (False, True):
        name = "client" if client else "server"
        for title, size in SIZES.items():
            count = max(1, 2 * CHUNK // size) if size > 1024 else 64
            yield f"{name} receives {title}", receiving, client, False, size, count, 1
            if size <= 1024:
                yield f"{name} receives {title}, 16 at once", receiving, client, False, size, count, 16
        for title, size in SIZES.items():
            yield f"{name} sends {title}", sending, client, False, size, 16 if size <= 1024 else 1, 1
    yield "server receives 320 B, compressed", receiving, False, True, 320, 64, 1
    yield "server receives 320 B, compressed, 16 at once", receiving, False, True, 320, 64, 16
    yield "server sends 320 B, compressed", sending, False, True, 320, 16, 1


async def seconds_of(work: Work) -> float:
    """Return the CPU time that the work takes."""
    count, start = 0, time.process_time()
    while True:
        await work()
        count += 1
        taken = time.process_time() - start
        if taken > ROUND:
            return taken / count


async def alone(rounds: int) -> list[list[str]]:
    """Measure connections by themselves."""
    lines = [["us per message", *TIMES]]
    for title, make, client, deflate, size, count, at_once in cases():
        messages = [f"{number:08}" * (size // 8) for number in range(count)]
        ours, theirs = [await make(kind, client, deflate, messages, at_once) for kind in (True, False)]
        pairs = [((await seconds_of(ours)) / count, (await seconds_of(theirs)) / count) for _ in range(rounds)]
        lines.append([title, *times(pairs, 1)])
    return lines


def echo(rounds: int, seconds: float) -> Iterator[list[str]]:
    """Measure a server that echoes."""
    yield [f"tornado, {CONNECTIONS} connections", *RATES]
    yield from rates("echo", ["bench.dropins.tornado_echo", "sync"], LOADS, rounds, seconds)
    yield from rates("async handler,", ["bench.dropins.tornado_echo", "async"], [(32, 16)], rounds, seconds)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.dropins.tornado", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each round of the server")
    parser.add_argument("--only", choices=("alone", "echo"))
    options = parser.parse_args()
    if not dropin.install():
        raise BenchError("the drop-in stays out")
    dropin.uninstall()
    if options.only != "echo":
        print("\n".join(align(asyncio.run(alone(options.rounds)))), flush=True)
    if options.only != "alone":
        print("\n".join(align(list(echo(options.rounds, options.seconds)))), flush=True)


if __name__ == "__main__":
    main()
