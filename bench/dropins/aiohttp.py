"""`python -m bench.dropins.aiohttp`: aiohttp with the drop-in and without, its reader alone, a server and clients.

Times are CPU time, those of servers and clients with the kernel's share; with and without take turns, and ratios are
medians over rounds that were measured next to each other. With AIOHTTP_NO_EXTENSIONS=1 in the environment, aiohttp runs
without its compiled modules.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any

from aiohttp.http import WebSocketReader
from aiohttp.web_ws import WebSocketDataQueue

import wscodec.dropin.aiohttp as dropin
from wscodec import Encoder, Role

from ..echo import running
from ..runner import BenchError
from ..table import align
from .echoing import CONNECTIONS, RATES, rates
from .pairs import TIMES, Cases, Work, alone, measured, times

SIZES = {"32 B": 32, "1 KiB": 1 << 10, "64 KiB": 1 << 16, "1 MiB": 1 << 20}
READ = 1 << 16
ROUND = 0.02  # seconds
LOADS = [(32, 1), (32, 16), (1024, 1), (65_536, 1)]
BURSTS = [(32, 1), (32, 16), (1024, 16), (65_536, 1)]


class Protocol:
    """What a queue asks of a connection."""

    _reading_paused = False

    def pause_reading(self) -> None:
        self._reading_paused = True

    def resume_reading(self) -> None:
        self._reading_paused = False


def reading(kind: Any, reads: list[bytes], texts: list[str]) -> Work:
    """Return what reads and takes the messages out of the queue, after a look at them."""
    queue: Any = WebSocketDataQueue(Protocol(), 1 << 16, loop=None)
    options = {"decode_text": True} if hasattr(queue, "_stalled_reader") else {}
    reader = kind(queue, 0, compress=False, **options)

    async def take(into: list[str]) -> None:
        while queue._buffer:
            into.append((await queue.read()).data)

    def work() -> list[str]:
        found: list[str] = []
        for data in reads:
            reader.feed_data(data)
            with suppress(StopIteration):
                take(found).send(None)
        return found

    if work() != texts:
        raise BenchError("wrong messages")
    return work


def cases() -> Cases:
    """Return what is measured of readers by themselves; ours are in use only where aiohttp's are not compiled."""
    for masked in (True, False):
        encoder = Encoder(Role.CLIENT if masked else Role.SERVER)
        kind = dropin.ServerReader if masked else dropin.ClientReader
        for title, size in SIZES.items():
            texts = [f"{number:08}" * (size // 8) for number in range(max(1, 4 * READ // size))]
            frames = [encoder.encode(text) for text in texts]
            stream = b"".join(frames)
            cuts = [stream[start : start + READ] for start in range(0, len(stream), READ)]
            for name, reads in (("one per read", frames), ("64 KiB reads", cuts)):
                if size < READ or reads is cuts:
                    yield (
                        f"{'server' if masked else 'client'}, {title}, {name}",
                        len(texts),
                        lambda ours, k=kind, r=reads, t=texts: reading(k if ours else WebSocketReader, r, t),
                    )


def server(rounds: int, seconds: float, loop: str) -> Iterator[list[str]]:
    """Measure a server that echoes."""
    yield [f"server on {loop}, {CONNECTIONS} connections", *RATES]
    yield from rates("echo", ["bench.dropins.aiohttp_echo", loop], LOADS, rounds, seconds)


def clients(rounds: int, seconds: float) -> Iterator[list[str]]:
    """Measure clients that send bursts to a server of this codec."""
    yield [f"us per message, {CONNECTIONS} clients", *TIMES]
    for size, burst in BURSTS:
        pairs = measured(rounds, partial(cost, size, burst, seconds))
        yield [f"send and receive {size} B, {burst} at a time", *times(pairs, 2)]


def cost(size: int, burst: int, seconds: float, ours: bool) -> float:
    """Return what a message cost fresh clients, in seconds."""
    server_core, client_core = running.cores() or (None, None)
    with running.running([sys.executable, "-m", "bench.echo.servers.wscodec_callback", "echo"], server_core) as program:
        command = [sys.executable, "-m", "bench.dropins.aiohttp_client", program.line().strip(), str(size), str(burst)]
        with running.running([*command, str(seconds), *["wscodec"] * ours], client_core) as talking:
            return float(talking.line())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.dropins.aiohttp", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.6, help="of each round of a server, and of clients")
    parser.add_argument("--loop", choices=("uvloop", "asyncio"), default="uvloop", help="of the server")
    parser.add_argument("--only", choices=("alone", "server", "clients"))
    options = parser.parse_args()
    tables = {
        "alone": lambda: alone(cases(), options.rounds, ROUND),
        "server": lambda: server(options.rounds, options.seconds, options.loop),
        "clients": lambda: clients(options.rounds, options.seconds),
    }
    for name, table in tables.items():
        if options.only in (None, name):
            print("\n".join(align(list(table()))), flush=True)


if __name__ == "__main__":
    main()
