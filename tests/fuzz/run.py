"""Runs the targets on random input, and compares the compiled modules, on every kernel, with their pure twins.

`make fuzz` runs it. Where atheris is installed, it chooses the input of each target by what the one before has reached
(guided.py). A case can be had again by what the report begins with:
`python tests/fuzz/run.py --target T --seed S --case N` or `... --target T --input HEX`.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import SystemRandom

sys.path.insert(0, str(Path(__file__).parents[1]))

from all_targets import TARGETS
from cases import Case, compare, corpus
from fuzz_targets import Difference
from implementations import COMPILED, IMPLEMENTATIONS

BATCH = 100  # cases between two switches of the implementation


def run(target: str, seed: int, seconds: float) -> int:
    """Compare what is kept of a target, and random cases until the time is over; return how many there were."""
    start = time.monotonic()
    compare(kept := corpus(target))
    done = 0
    while time.monotonic() - start < seconds:
        compare([Case(target, seed, number) for number in range(done, done + BATCH)])
        done += BATCH
    return len(kept) + done


def guide(target: str, seconds: float) -> int:
    """Let atheris choose the cases; return how many there were."""
    command = [sys.executable, str(Path(__file__).with_name("guided.py")), target, "--seconds", str(int(seconds))]
    result = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    counts = [
        line.split()[-1] for line in result.stderr.splitlines() if line.startswith("stat::number_of_executed_units")
    ]
    if result.returncode or not counts:
        text = result.stdout + result.stderr
        start = text.find(f"--target {target}")
        raise Difference(text[start:].split("\nINFO:")[0] if start >= 0 else text[-3000:])
    return int(counts[0])


def run_all(options: list[str], jobs: int) -> int:
    """Run each target in a process of its own, some at a time; return 1 where something differs."""

    def one(target: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, __file__, "--target", target, *options]
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)

    failed = 0
    with ThreadPoolExecutor(jobs) as pool:
        for result in pool.map(one, TARGETS):
            print(result.stdout.partition("\n")[2], end="", flush=True)
            failed = failed or result.returncode
    return failed


def main() -> int:
    """Read the command line and run; return 1 where something differs, 2 where there is nothing to compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20, help="for each target")
    parser.add_argument("--target", choices=TARGETS, metavar="NAME", help=f"one of {', '.join(TARGETS)}")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="targets at a time (one for each CPU)")
    parser.add_argument("--random", action="store_true", help="don't use atheris")
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(1 << 32))
    parser.add_argument("--case", type=int, metavar="N", help="run this one alone")
    parser.add_argument("--input", type=bytes.fromhex, metavar="HEX", help="run this one alone")
    args = parser.parse_args()
    if not COMPILED:
        print("the compiled modules are not there: nothing to compare", file=sys.stderr)
        return 2
    guided = not args.random and importlib.util.find_spec("atheris") is not None
    names = ", ".join(implementation.name for implementation in IMPLEMENTATIONS)
    print(f"seed {args.seed}, on {names}{', guided by atheris' if guided else ''}", flush=True)
    if args.target is None:
        if args.case is not None or args.input is not None:
            parser.error("a case is one of a --target")
        options = ["--seconds", str(args.seconds), "--seed", str(args.seed), *(["--random"] if args.random else [])]
        return run_all(options, args.jobs)
    if args.case is not None or args.input is not None:
        return _one(Case(args.target, args.seed, args.case or 0, args.input))
    try:
        done = guide(args.target, args.seconds) if guided else run(args.target, args.seed, args.seconds)
    except Difference as difference:
        print(difference)
        return 1
    print(f"{args.target:20} {done:9} cases, no difference")
    return 0


def _one(case: Case) -> int:
    try:
        compare([case])
    except Difference as difference:
        print(difference)
        return 1
    print("1 case, no difference")
    return 0


if __name__ == "__main__":
    sys.exit(main())
