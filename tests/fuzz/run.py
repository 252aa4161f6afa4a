"""Compares the compiled modules, on every kernel, with their pure twins on random input. `make fuzz` runs it.

Every case has a number, and with the seed that is printed first it can be had again:
`python tests/fuzz/run.py --seed S --case N`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzz_targets import TARGETS, Difference, Observe
from implementations import COMPILED, IMPLEMENTATIONS, Implementation, using

BATCH = 200  # cases between two switches of the implementation
SHOWN = 2000  # characters of an observation


def draw(seed: int, number: int) -> Observe:
    """Return case `number`."""
    return TARGETS[number % len(TARGETS)](Random(f"{seed}:{number}"))


def observe_all(implementation: Implementation, cases: Iterable[Observe]) -> Iterator[Any]:
    """Yield what comes of each case on one implementation."""
    with using(implementation):
        for case in cases:
            try:
                yield case(implementation)
            except Difference as difference:
                yield difference


def compare(seed: int, numbers: Sequence[int]) -> None:
    """Run some cases on every implementation; raise a Difference for the first that does not agree."""
    cases = [draw(seed, number) for number in numbers]
    expected: list[Any] = []
    for implementation in IMPLEMENTATIONS:
        results = list(observe_all(implementation, cases))
        for number, result in zip(numbers, results, strict=True):
            if isinstance(result, Difference):
                raise Difference(_report(seed, number, {implementation.name: result}))
        expected = expected or results
        for number, want, got in zip(numbers, expected, results, strict=True):
            if want != got:
                raise Difference(_report(seed, number, {"pure": want, implementation.name: got}))


def _report(seed: int, number: int, results: dict[str, Any]) -> str:
    lines = [f"{TARGETS[number % len(TARGETS)].__name__}: --seed {seed} --case {number}"]
    for name, result in results.items():
        text = str(result)
        lines.append(f"{name}: {text[:SHOWN]}{' ...' if len(text) > SHOWN else ''}")
    return "\n".join(lines)


def run(seed: int, seconds: float) -> int:
    """Compare until the time is over; return how many cases there were."""
    start = said = time.monotonic()
    done = 0
    every = 1.0 if sys.stdout.isatty() else 10.0
    while (now := time.monotonic()) - start < seconds:
        compare(seed, range(done, done + BATCH))
        done += BATCH
        if now - said > every:
            said = now
            print(f"{now - start:5.0f} s, {done} cases", flush=True)
    return done


def main() -> int:
    """Read the command line and run; return 1 where something differs, 2 where there is nothing to compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(1 << 32))
    parser.add_argument("--case", type=int, metavar="N", help="run this one alone")
    args = parser.parse_args()
    if not COMPILED:
        print("the compiled modules are not there: nothing to compare", file=sys.stderr)
        return 2
    names = ", ".join(implementation.name for implementation in IMPLEMENTATIONS)
    print(f"seed {args.seed}, on {names}", flush=True)
    try:
        if args.case is not None:
            compare(args.seed, [args.case])
            done = 1
        else:
            done = run(args.seed, args.seconds)
    except Difference as difference:
        print(difference)
        return 1
    print(f"{done} cases, no difference")
    return 0


if __name__ == "__main__":
    sys.exit(main())
