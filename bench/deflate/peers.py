"""`python -m bench.deflate.peers`: whole connections with compression, beside `websockets`.

A server on one core sends, receives or echoes JSON messages of about 600 bytes, with the defaults of its library.
This process, on the other core, is the client: it made what it sends beforehand, and inflates nothing. Times are the
server's CPU time, the kernel's share included; ratios are medians over rounds that were measured next to each other.
"""

from __future__ import annotations

import argparse
import base64
import importlib.util
import os
import socket
import statistics
import sys
import zlib
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from wscodec import Frame, FrameDecoder, Opcode, Role, encode_frame

from ..echo import running
from ..runner import ROOT, BenchError
from ..table import align, figure
from .texts import messages

RIVALS = {"websockets": "websockets", "wscodec": "wscodec", "wscodec_ng": "zlib_ng"}
TASKS = {
    "burst": "compress and send, as fast as it goes",
    "ticks": "compress and send, one a round of the event loop",
    "receive": "receive and inflate",
}
NO_TAKEOVER = "; server_no_context_takeover; client_no_context_takeover"
MODES = {"with context takeover": "", "without, on both sides": NO_TAKEOVER}
WARM_UP = 10
KEY = b"\x00\x00\x00\x00"  # masks nothing: what is compared is deflate


class Client:
    """A connection of blocking reads and writes, that looks at frames and not into them."""

    def __init__(self, port: int, more: str = "") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.sendall(request(port, more).encode())
        self.frames = FrameDecoder(Role.CLIENT)
        data = b""
        while b"\r\n\r\n" not in data:
            data += self.read()
        head, _, rest = data.partition(b"\r\n\r\n")
        if b" 101 " not in head or b"permessage-deflate" not in head:
            raise BenchError(f"no compression: {head!r}")
        self.waiting = deque(self.frames.feed(rest))

    def read(self) -> bytes:
        data = self.socket.recv(1 << 18)
        if not data:
            raise BenchError("the server closed the connection")
        return data

    def frame(self) -> Frame:
        """Return the next frame."""
        while not self.waiting:
            self.waiting.extend(self.frames.feed(self.read()))
        return self.waiting.popleft()

    def take(self, count: int) -> None:
        """Read so many messages, all of them compressed."""
        for _ in range(count):
            frame = self.frame()
            if not frame.rsv1:
                raise BenchError(f"not a compressed message: {frame!r}")

    def answer(self) -> None:
        """Answer the ping that comes next."""
        frame = self.frame()
        if frame.opcode != Opcode.PING:
            raise BenchError(f"not a ping: {frame!r}")
        self.socket.sendall(encode_frame(Opcode.PONG, frame.payload, masking_key=KEY))


def request(port: int, more: str) -> str:
    """Return an opening handshake."""
    key = base64.b64encode(os.urandom(16)).decode()
    return "\r\n".join(
        [
            "GET / HTTP/1.1",
            f"Host: 127.0.0.1:{port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=12{more}",
            "\r\n",
        ]
    )


def deflated(texts: list[bytes], *, takeover: bool) -> bytes:
    """Return texts as compressed frames of a client, that can be sent any number of times."""
    frames = []
    compressor = None
    for text in texts:
        if compressor is None or not takeover:
            compressor = zlib.compressobj(6, zlib.DEFLATED, -12, 5)
        payload = compressor.compress(text) + compressor.flush(zlib.Z_SYNC_FLUSH)
        frames.append(encode_frame(Opcode.TEXT, payload[:-4], rsv1=True, masking_key=KEY))
    return b"".join(frames)


@contextmanager
def serving(rival: str, task: str, count: int) -> Iterator[tuple[running.Program, int]]:
    """Run a server; yield it and its port."""
    server_core, load_core = running.cores() or (None, None)
    if load_core is not None:
        os.sched_setaffinity(0, {load_core})
    command = [sys.executable, "-m", "bench.deflate.server", rival, task, str(count)]
    try:
        with running.running(command, server_core) as server:
            yield server, int(server.line())
    finally:
        if load_core is not None:
            os.sched_setaffinity(0, {server_core, load_core})


def microseconds(rival: str, task: str, count: int) -> float:
    """Return the server's CPU time per message."""
    texts = messages(200)
    with serving(rival, task, count) as (server, port):
        client = Client(port)
        client.socket.sendall(deflated(texts[:1], takeover=False))
        if task == "receive":
            data = deflated(texts, takeover=True)
            for _ in range(count // len(texts)):
                client.socket.sendall(data)
        else:
            client.take(count)
            client.answer()
        return float(server.line()) / count * 1e6


def memory(rival: str, more: str, connections: int, count: int) -> tuple[float, float]:
    """Return the resident KiB of a connection that has negotiated, and of one after `count` messages each way."""
    texts = messages(200)
    data = deflated(texts, takeover=not more)
    with serving(rival, "echo", 0) as (server, port), ExitStack() as stack:
        pid = str(server.process.pid)
        for client in open_many(stack, port, more, WARM_UP):
            talk(client, data, count)
        before = running.resident(pid)
        clients = open_many(stack, port, more, connections)
        negotiated = running.resident(pid)
        for client in clients:
            talk(client, data, count)
        used = running.resident(pid)
    return (negotiated - before) / connections / 1024, (used - before) / connections / 1024


def open_many(stack: ExitStack, port: int, more: str, count: int) -> list[Client]:
    clients = [Client(port, more) for _ in range(count)]
    for client in clients:
        stack.callback(client.socket.close)
    return clients


def talk(client: Client, data: bytes, count: int) -> None:
    """Have `data`, 200 messages, echoed until there were `count`."""
    for _ in range(count // 200):
        client.socket.sendall(data)
        client.take(200)


def speed_rows(rivals: list[str], rounds: int, count: int) -> Iterator[list[str]]:
    """Yield a line for each task."""
    yield ["", *(f"{rival} us" for rival in rivals), *(f"{rival} x" for rival in rivals[1:])]
    for task, title in TASKS.items():
        times: dict[str, list[float]] = {rival: [] for rival in rivals}
        for number in range(1, rounds + 1):
            print(f"{title}: round {number} of {rounds}, load average {os.getloadavg()[0]:.1f}", flush=True)
            for rival in rivals:
                times[rival].append(microseconds(rival, task, count))
        medians = [f"{statistics.median(times[rival]):.1f}" for rival in rivals]
        yield [title, *medians, *(ratio(times[rivals[0]], times[rival]) for rival in rivals[1:])]


def ratio(theirs: list[float], ours: list[float]) -> str:
    """Return how many times longer they take, and how much the rounds differ."""
    value = figure([their / our for their, our in zip(theirs, ours, strict=True)])
    return f"{value.median:.2f} ({value.spread:.0%})"


def memory_rows(rivals: list[str], connections: int) -> Iterator[list[str]]:
    """Yield a line for each mode and rival."""
    yield ["KiB a connection", "negotiated", "after 1,000 messages each way"]
    for mode, more in MODES.items():
        for rival in rivals:
            print(f"memory {mode}: {rival}", flush=True)
            negotiated, used = memory(rival, more, connections, 1000)
            yield [f"  {mode}: {rival}", f"{negotiated:.1f}", f"{used:.1f}"]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.deflate.peers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=20_000, help="messages a round")
    parser.add_argument("--connections", type=int, default=100, help="where memory is measured")
    options = parser.parse_args()
    if not sys.platform.startswith("linux"):
        print("this is a program for Linux", file=sys.stderr)
        return 1
    os.chdir(ROOT)
    rivals = [name for name, package in RIVALS.items() if importlib.util.find_spec(package) is not None]
    speed = list(speed_rows(rivals, options.rounds, options.count))
    held = list(memory_rows(rivals, options.connections))
    print("", *align(speed), "", *align(held), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
