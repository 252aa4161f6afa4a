"""`python -m bench.dropins.wsproto`: wsproto with the drop-in and without, alone and under Hypercorn.

Times are CPU time, those of Hypercorn the server's with the kernel's share; with and without take turns, and ratios are
medians over rounds that were measured next to each other.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator

from wsproto.connection import Connection, ConnectionType
from wsproto.events import TextMessage

import wscodec.dropin.wsproto as dropin
from wscodec import Encoder, Role

from ..echo import running
from ..runner import BenchError
from ..table import align, cell, figure

SIZES = {"32 B": 32, "1 KiB": 1 << 10, "64 KiB": 1 << 16, "1 MiB": 1 << 20}
READ = 1 << 16
ROUND = 0.02  # seconds
CONNECTIONS = 50
LOADS = [(32, 1), (32, 16), (1024, 1), (65_536, 1)]
Work = Callable[[], None]


def connection(kind: ConnectionType, ours: bool) -> Connection:
    """Return a connection with the frame protocol of wscodec or with wsproto's."""
    if ours and not dropin.install():
        raise BenchError("the drop-in stays out")
    made = Connection(kind)
    dropin.uninstall()
    return made


def decoding(reads: list[bytes], texts: list[str], ours: bool) -> Work:
    """Return what decodes all reads, after a look at the result."""
    server = connection(ConnectionType.SERVER, ours)
    found = ""
    for data in reads:
        server.receive_data(data)
        found += "".join(event.data for event in server.events())
    if found != "".join(texts):
        raise BenchError("wrong messages")

    def work() -> None:
        for data in reads:
            server.receive_data(data)
            for _ in server.events():
                pass

    return work


def encoding(texts: list[str], kind: ConnectionType, ours: bool) -> Work:
    """Return what encodes all messages, after a look at the result."""
    sender = connection(kind, ours)
    events = [TextMessage(data=text) for text in texts]
    peer = connection(ConnectionType.SERVER if kind is ConnectionType.CLIENT else ConnectionType.CLIENT, False)
    for event in events:
        peer.receive_data(sender.send(event))
        if list(peer.events()) != [event]:
            raise BenchError("a wrong message")

    def work() -> None:
        for event in events:
            sender.send(event)

    return work


def cases() -> Iterator[tuple[str, int, Callable[[bool], Work]]]:
    """Return what is measured: a title, how many messages it is, and what makes the work."""
    client = Encoder(Role.CLIENT)
    for title, size in SIZES.items():
        texts = [f"{number:08}" * (size // 8) for number in range(max(1, 4 * READ // size))]
        frames = [client.encode(text) for text in texts]
        stream = b"".join(frames)
        cuts = [stream[start : start + READ] for start in range(0, len(stream), READ)]
        if size < READ:
            yield f"decode {title}, one per read", len(texts), lambda ours, f=frames, t=texts: decoding(f, t, ours)
        yield f"decode {title}, 64 KiB reads", len(texts), lambda ours, c=cuts, t=texts: decoding(c, t, ours)
        for kind in (ConnectionType.SERVER, ConnectionType.CLIENT):
            name = f"encode {title}, {kind.name.lower()}"
            yield name, len(texts), lambda ours, k=kind, t=texts: encoding(t, k, ours)


def seconds_of(work: Work) -> float:
    """Return the CPU time that the work takes."""
    count, start = 0, time.process_time()
    while True:
        work()
        count += 1
        taken = time.process_time() - start
        if taken > ROUND:
            return taken / count


def alone(rounds: int) -> Iterator[list[str]]:
    """Measure connections by themselves."""
    yield ["us per message", "with", "without", "ratio"]
    for title, count, make in cases():
        ours, theirs = make(True), make(False)
        times = [(seconds_of(ours) / count, seconds_of(theirs) / count) for _ in range(rounds)]
        yield [title, *medians(times, 1e6, 2), cell(figure([without / with_ for with_, without in times]))]


def hypercorn(rounds: int, seconds: float) -> Iterator[list[str]]:
    """Measure Hypercorn with an application that echoes."""
    running.build()
    yield [f"Hypercorn, {CONNECTIONS} connections", "with", "without", "ratio", "CPU time"]
    for size, in_flight in LOADS:
        told = [
            (echoes(True, size, in_flight, seconds), echoes(False, size, in_flight, seconds)) for _ in range(rounds)
        ]
        rates = [(ours["messages_per_second"], theirs["messages_per_second"]) for ours, theirs in told]
        costs = [tuple(one["server_cpu"] / one["messages"] for one in pair) for pair in told]
        yield [
            f"echo {size} B, {in_flight} in flight",
            *medians(rates, 1, 0),
            cell(figure([ours / theirs for ours, theirs in rates])),
            cell(figure([theirs / ours for ours, theirs in costs])),
        ]


def echoes(ours: bool, size: int, in_flight: int, seconds: float) -> dict[str, float]:
    """Return what a fresh server did in one round."""
    server_core, load_core = running.cores() or (None, None)
    command = [sys.executable, "-m", "bench.dropins.hypercorn_echo", *(["wscodec"] if ours else [])]
    with running.running(command, server_core) as server:
        port, pid = server.line().strip(), str(server.process.pid)
        load = [str(running.LOAD), "echo", port, str(CONNECTIONS), pid, str(seconds), "0", str(size), str(in_flight)]
        with running.running(load, load_core) as program:
            return json.loads(program.line())


def medians(pairs: list[tuple[float, float]], factor: float, digits: int) -> list[str]:
    return [f"{statistics.median(values) * factor:,.{digits}f}" for values in zip(*pairs, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.dropins.wsproto", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each round of Hypercorn")
    parser.add_argument("--only", choices=("alone", "hypercorn"))
    options = parser.parse_args()
    if options.only != "hypercorn":
        print("\n".join(align(list(alone(options.rounds)))), flush=True)
    if options.only != "alone":
        print("\n".join(align(list(hypercorn(options.rounds, options.seconds)))), flush=True)


if __name__ == "__main__":
    main()
