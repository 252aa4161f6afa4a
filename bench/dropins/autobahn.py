"""`python -m bench.dropins.autobahn`: what Autobahn masks, validates and echoes, with the drop-in and without."""

from __future__ import annotations

import argparse
import timeit
from collections.abc import Iterator

from autobahn.websocket import protocol

import wscodec.dropin.autobahn as dropin

from ..runner import BenchError
from ..table import align
from .echoing import costs
from .pairs import TIMES, Work, measured, times

SIZES = {"32 B": 32, "1 KiB": 1 << 10, "64 KiB": 1 << 16}
LOADS = [(32, 1), (1024, 1), (65_536, 1), (1 << 20, 1)]
ROUND = 0.01  # seconds
KEY = b"\1\2\3\4"


def masking(data: bytes) -> Work:
    """Return what masks a payload."""
    make = protocol.create_xor_masker
    return lambda: make(KEY, len(data)).process(data)


def validating(data: bytes) -> Work:
    """Return what validates a text."""
    validator = protocol.Utf8Validator()

    def work() -> None:
        validator.reset()
        if not validator.validate(data)[1]:
            raise BenchError("a valid text was refused")

    return work


def seconds_of(work: Work) -> float:
    """Return what one call takes."""
    timer = timeit.Timer(work)
    count = max(1, round(ROUND / max(timer.timeit(1), 1e-7)))
    return timer.timeit(count) / count


def alone(rounds: int) -> Iterator[list[str]]:
    """Measure the masker and the validator by themselves."""
    yield ["us per call", *TIMES]
    for name, make in (("mask", masking), ("validate", validating)):
        for title, size in SIZES.items():
            data = b"a" * size
            if not dropin.install():
                raise BenchError("the drop-in stays out")
            ours = make(data)
            dropin.uninstall()
            works = {True: ours, False: make(data)}
            pairs = measured(rounds, lambda ours, works=works: seconds_of(works[ours]))
            yield [f"{name} {title}", *times(pairs, 2)]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.dropins.autobahn", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each round of the server")
    options = parser.parse_args()
    print("\n".join(align(list(alone(options.rounds)))), flush=True)
    rows = costs("us per message, Autobahn", "bench.dropins.autobahn_echo", LOADS, options.rounds, options.seconds)
    print("\n".join(align(list(rows))))


if __name__ == "__main__":
    main()
