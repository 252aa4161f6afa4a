"""`python -m bench.dropins.websockets`: websockets with the drop-in and without, its protocol alone and its server.

Times are CPU time, those of the server with the kernel's share; with and without take turns, and ratios are medians
over rounds that were measured next to each other. Larger messages are measured with the server alone: in one process,
what they cost depends most on the heap that the other way has left behind.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.protocol import CLIENT, SERVER, Protocol

import wscodec.dropin.websockets as dropin
from wscodec import Encoder, Role

from ..runner import BenchError
from ..table import align
from .echoing import CONNECTIONS, RATES, rates
from .pairs import TIMES, Work, measured, seconds_of, times

SIZES = {"32 B": 32, "1 KiB": 1 << 10, "16 KiB": 1 << 14}
READ = 1 << 16
ROUND = 0.01  # seconds
LOADS = [(32, 1), (32, 16), (1024, 1), (65_536, 1)]
PEERS = {SERVER: Role.CLIENT, CLIENT: Role.SERVER}


@contextmanager
def codec(ours: bool) -> Iterator[None]:
    """Have the drop-in in place for a while, or not."""
    if ours and not dropin.install():
        raise BenchError("the drop-in stays out")
    yield
    dropin.uninstall()


def protocol(side: Any, deflate: bool = False) -> Protocol:
    """Return a protocol, without compression or with the one that servers of websockets agree on."""
    made = Protocol(side, max_size=None)
    if deflate:
        # Each message by itself, so that it can be read again and again.
        made.extensions = [PerMessageDeflate(True, True, 12, 12, {"memLevel": 5})]
    return made


def decoding(side: Any, reads: list[bytes], payloads: list[bytes], deflate: bool = False) -> Work:
    """Return what decodes all reads, after a look at the result."""
    decoder = protocol(side, deflate)
    found = []
    for data in reads:
        decoder.receive_data(data)
        found += [event.data for event in decoder.events_received()]
    if found != payloads:
        raise BenchError("wrong messages")

    def work() -> None:
        for data in reads:
            decoder.receive_data(data)
            decoder.events_received()

    return work


def encoding(side: Any, payloads: list[bytes]) -> Work:
    """Return what encodes all messages, after a look at the result."""
    encoder = protocol(side)
    peer = protocol(CLIENT if side is SERVER else SERVER)
    for payload in payloads:
        encoder.send_text(payload)
        peer.receive_data(b"".join(encoder.data_to_send()))
    if [event.data for event in peer.events_received()] != payloads:
        raise BenchError("wrong messages")

    def work() -> None:
        for payload in payloads:
            encoder.send_text(payload)
            encoder.data_to_send()

    return work


def cases() -> Iterator[tuple[str, int, Callable[[], Work]]]:
    """Return what is measured: a title, how many messages it is, and what makes the work."""
    for title, size in SIZES.items():
        texts = [f"{number:08}" * (size // 8) for number in range(max(1, 4 * READ // size))]
        payloads = [text.encode() for text in texts]
        for side in (SERVER, CLIENT):
            peer = Encoder(PEERS[side])
            frames = [peer.encode(text) for text in texts]
            stream = b"".join(frames)
            cuts = [stream[start : start + READ] for start in range(0, len(stream), READ)]
            name = f"{title}, {side.name.lower()}"
            yield f"decode {name}, one per read", len(texts), partial(decoding, side, frames, payloads)
            yield f"decode {name}, 64 KiB reads", len(texts), partial(decoding, side, cuts, payloads)
            yield f"encode {name}", len(texts), partial(encoding, side, payloads)
    payloads = [json.dumps({"id": n, "tags": ["a", "b", str(n)] * 9, "price": n / 7}).encode() for n in range(500)]
    deflating = protocol(CLIENT, deflate=True)
    for payload in payloads:
        deflating.send_text(payload)
    frames = deflating.data_to_send()
    yield "decode JSON of 200 B, compressed", len(payloads), partial(decoding, SERVER, frames, payloads, True)


def alone(rounds: int) -> Iterator[list[str]]:
    """Measure protocols by themselves."""
    yield ["us per message", *TIMES]
    for title, count, make in cases():
        works = {}
        for ours in (True, False):
            with codec(ours):
                works[ours] = make()
        yield [title, *times(measured(rounds, partial(cost, works, count)), 2)]


def cost(works: dict[bool, Work], count: int, ours: bool) -> float:
    """Return the CPU time of each of so many messages, with the drop-in or without."""
    with codec(ours):
        return seconds_of(works[ours], ROUND) / count


def server(rounds: int, seconds: float) -> Iterator[list[str]]:
    """Measure the asyncio server with a handler that echoes."""
    yield [f"uvloop, {CONNECTIONS} connections", *RATES]
    yield from rates("echo", ["bench.dropins.websockets_echo"], LOADS, rounds, seconds)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.dropins.websockets", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.7, help="of each round of the server")
    parser.add_argument("--only", choices=("alone", "server"))
    options = parser.parse_args()
    if options.only != "server":
        print("\n".join(align(list(alone(options.rounds)))), flush=True)
    if options.only != "alone":
        print("\n".join(align(list(server(options.rounds, options.seconds)))), flush=True)


if __name__ == "__main__":
    main()
