"""`python -m bench.soak`: many connections, some of them busy, for a long time; does the server grow?"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from collections.abc import Iterator
from typing import Any

from ..echo.running import LOAD, Program, build, cores, raise_file_limit, resident, running
from ..runner import BenchError
from .verdict import MIB, Outcome, ends, faults

# Files that a process has open besides its connections, and some to spare.
OTHER_FILES = 50
# A line every so many seconds, and five of a short run.
PROGRESS = 30.0
# The memory is looked at so often, in seconds, and a hundred times in a short run.
STEP = 5.0


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    best = "uvloop" if importlib.util.find_spec("uvloop") else "asyncio"
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--connections", type=count, default=10_000, metavar="N", help="that are open (10000)")
    parser.add_argument("--active", type=count, default=1_000, metavar="N", help="that send messages (1000)")
    parser.add_argument("--minutes", type=number, default=10, metavar="M", help="for how long (10)")
    parser.add_argument("--rate", type=number, default=5_000, metavar="N", help="messages a second, of all (5000)")
    parser.add_argument("--churn", type=float, default=10, metavar="N", help="connections reopened a second (10)")
    parser.add_argument("--ping-interval", type=number, default=20, metavar="S", help="seconds (20)")
    parser.add_argument("--loop", choices=("uvloop", "asyncio"), default=best, help=f"({best})")
    options = parser.parse_args(argv)
    if options.active > options.connections:
        parser.error("--active can't be more than --connections")
    return options


def count(text: str) -> int:
    """Return the number from 1 up that `text` is."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"not a number from 1 up: {text!r}")
    return int(text)


def number(text: str) -> float:
    """Return the number above 0 that `text` is."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"not a number above 0: {text!r}")
    return value


def obstacle(connections: int) -> str | None:
    """Return what stands in the way of a run, if anything does."""
    if not sys.platform.startswith("linux"):
        return "the load is a program for Linux"
    files = raise_file_limit()
    if files < connections + OTHER_FILES:
        return f"{connections} connections need `ulimit -n {connections + OTHER_FILES}`, and the hard limit is {files}"
    return None


def soak(options: argparse.Namespace) -> Outcome:
    """Run server and load side by side; BenchError where one of them complains."""
    server_core, load_core = cores() or (None, None)
    seconds = options.minutes * 60
    server_command = [sys.executable, "-m", "bench.soak.server", "--loop", options.loop]
    with running([*server_command, "--ping-interval", str(options.ping_interval)], server_core) as server:
        port, other_port = server.line().split()
        numbers = (seconds, min(STEP, seconds / 100), options.active, options.rate, options.churn)
        load_command = [str(LOAD), "soak", port, str(options.connections), other_port, *map(str, numbers)]
        with running(load_command, load_core) as load:
            samples = []
            for line, size in watched(load, server, options, seconds):
                samples.append((line["seconds"], size))
            counts = json.loads(server.ask())
    return Outcome(
        options.connections, seconds, options.ping_interval, samples, line["messages"], line["pings"], counts
    )


def watched(
    load: Program, server: Program, options: argparse.Namespace, seconds: float
) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield each line of the load, up to its last, and the server's memory at that time; print some of them."""
    next_at = 0.0
    while True:
        line = json.loads(load.line())
        size = resident(str(server.process.pid))
        if line["done"] or next_at <= line["seconds"] < seconds:
            print(progress(line, size, options.connections), flush=True)
            next_at += min(PROGRESS, seconds / 5)
        yield line, size
        if line["done"]:
            return


def progress(line: dict[str, Any], size: int, connections: int) -> str:
    """Return a line about how things stand."""
    return (
        f"{line['seconds']:6.0f} s  {size / MIB:8.2f} MiB  {connections} connections, {line['reopened']} reopened  "
        f"{line['pings']} pings  {line['messages']} messages, p99 {line['p99'] / 1e3:.1f} ms"
    )


def main(argv: list[str] | None = None) -> int:
    """Run, and print the verdict; return 1 if something is wrong, 2 if there can be no run."""
    options = arguments(argv)
    problem = obstacle(options.connections)
    if problem:
        print(problem, file=sys.stderr)
        return 2
    build()
    try:
        outcome = soak(options)
    except BenchError as error:
        print(error, file=sys.stderr)
        return 1
    first, last = ends(outcome.samples, outcome.seconds)
    print(f"after the warm-up {first / MIB:.2f} MiB, at the end {last / MIB:.2f} MiB: {(last - first) / 1024:+.0f} KiB")
    wrong = list(faults(outcome))
    print("\n".join(f"FAILED: {fault}" for fault in wrong) or "nothing grew, and nothing was lost")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
