"""`python -m bench.dropins.websocket_client`: what a message costs websocket-client with the drop-in and without.

It is CPU time of the client, the kernel's share included, over a connection to another process.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial

import websocket

import wscodec.dropin.websocket_client as dropin

from ..echo import running
from ..runner import BenchError
from ..table import align
from .pairs import TIMES, measured, times

SIZES = {"32 B": 32, "1 KiB": 1 << 10, "64 KiB": 1 << 16, "1 MiB": 1 << 20}
ALPHABETS = {"ASCII": "a", "Cyrillic": "я"}
ROUND = 0.05  # seconds
Work = Callable[[int], float]


def receiving(ws: websocket.WebSocket, text: str) -> Work:
    """Return what takes a message so many times from a server that sends all of them at once."""

    def work(count: int) -> float:
        ws.send(f"{count} {text}")
        start = time.process_time()
        messages = [ws.recv() == text for _ in range(count)]
        taken = time.process_time() - start
        if not all(messages):
            raise BenchError("a wrong message")
        return taken

    return work


def sending(ws: websocket.WebSocket, text: str) -> Work:
    """Return what sends a message so many times."""
    message = f"0 {text[2:]}"

    def work(count: int) -> float:
        start = time.process_time()
        for _ in range(count):
            ws.send(message)
        return time.process_time() - start

    return work


def cost(work: Work, ours: bool) -> float:
    """Return what a message costs, in seconds of CPU time."""
    if ours and not dropin.install():
        raise BenchError("the drop-in stays out")
    try:
        count, taken = 1, work(1)
        while taken < ROUND:
            count *= 4
            taken = work(count)
    finally:
        dropin.uninstall()
    return taken / count


def rows(port: int, rounds: int) -> Iterator[list[str]]:
    """Measure all cases."""
    ws = websocket.create_connection(f"ws://127.0.0.1:{port}/")
    yield ["us per message", *TIMES]
    for title, size in SIZES.items():
        for alphabet, letter in ALPHABETS.items():
            text = letter * (size // len(letter.encode()))
            for name, make in (("receive", receiving), ("send", sending)):
                pairs = measured(rounds, partial(cost, make(ws, text)))
                yield [f"{name} {title}, {alphabet}", *times(pairs, 1)]
    ws.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.dropins.websocket_client", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with running.running([sys.executable, "-m", "bench.dropins.text_server"], None) as server:
        print("\n".join(align(list(rows(int(server.line()), options.rounds)))))


if __name__ == "__main__":
    main()
