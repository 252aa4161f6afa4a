"""`python -m bench.dropins.wsproto`: wsproto with the drop-in and without, alone and under Hypercorn.

Times are CPU time, those of Hypercorn the server's with the kernel's share; with and without take turns, and ratios are
medians over rounds that were measured next to each other.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from wsproto.connection import Connection, ConnectionType
from wsproto.events import TextMessage

import wscodec.dropin.wsproto as dropin
from wscodec import Encoder, Role

from ..runner import BenchError
from ..table import align
from .echoing import CONNECTIONS, RATES, rates
from .pairs import Cases, Work, alone

SIZES = {"32 B": 32, "1 KiB": 1 << 10, "64 KiB": 1 << 16, "1 MiB": 1 << 20}
READ = 1 << 16
ROUND = 0.02  # seconds
LOADS = [(32, 1), (32, 16), (1024, 1), (65_536, 1)]


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


def cases() -> Cases:
    """Return what is measured of connections by themselves."""
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


def hypercorn(rounds: int, seconds: float) -> Iterator[list[str]]:
    """Measure Hypercorn with an application that echoes."""
    yield [f"Hypercorn, {CONNECTIONS} connections", *RATES]
    yield from rates("echo", ["bench.dropins.hypercorn_echo"], LOADS, rounds, seconds)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.dropins.wsproto", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each round of Hypercorn")
    parser.add_argument("--only", choices=("alone", "hypercorn"))
    options = parser.parse_args()
    if options.only != "hypercorn":
        print("\n".join(align(list(alone(cases(), options.rounds, ROUND)))), flush=True)
    if options.only != "alone":
        print("\n".join(align(list(hypercorn(options.rounds, options.seconds)))), flush=True)


if __name__ == "__main__":
    main()
