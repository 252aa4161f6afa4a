"""`python -m bench.echo`: servers under load, over sockets."""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .. import runner
from . import report, running
from .cases import ALL, PACKAGES, RIVALS, Case

LATEST = runner.BENCH / "results" / "local" / "echo.json"


def cases_from(value: str) -> list[Case]:
    """Return the cases whose keys begin with one of the names."""
    names = tuple(value.split(","))
    chosen = [case for case in ALL if case.key.startswith(names)]
    if not chosen:
        raise argparse.ArgumentTypeError(f"no such case; there are {', '.join(case.key for case in ALL)}")
    return chosen


def rivals_from(value: str) -> list[str]:
    """Return the rivals whose names begin with one of the names."""
    names = tuple(value.split(","))
    chosen = [name for name in PACKAGES if name.startswith(names)]
    if not chosen:
        raise argparse.ArgumentTypeError(f"no such rival; there are {', '.join(PACKAGES)}")
    return chosen


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.echo", description=__doc__)
    parser.add_argument("--only", metavar="CASES", type=cases_from, default=ALL, help="such as echo-32,fanout,idle")
    parser.add_argument("--rivals", metavar="NAMES", type=rivals_from, default=RIVALS, help="such as wscodec,picows")
    parser.add_argument("--seconds", type=float, default=3, help="that each round is measured (3)")
    parser.add_argument("--rounds", type=int, default=3, help="fresh servers per rival and case (3)")
    parser.add_argument("--loop", choices=("uvloop", "asyncio"), default="uvloop")
    parser.add_argument("--spin", action="store_true", help="the load never sleeps, the server never wakes it")
    parser.add_argument("--output", type=Path, default=LATEST, help="the JSON file to write")
    return parser.parse_args(argv)


def missing(rivals: list[str]) -> dict[str, str]:
    """Return the rivals that can't be measured, and why."""
    return {
        name: f"{PACKAGES[name]} is not installed"
        for name in rivals
        if PACKAGES[name] != "wscodec" and importlib.util.find_spec(PACKAGES[name]) is None
    }


def run(options: argparse.Namespace, rivals: list[str]) -> dict[str, dict[str, report.Rounds]]:
    """Measure all rivals in turns, case by case and round by round."""
    results: dict[str, dict[str, report.Rounds]] = {}
    for case in options.only:
        entered = [name for name in rivals if name in case.rivals]
        results[case.key] = {name: [] for name in entered}
        for number in range(1, options.rounds + 1):
            print(
                f"{case.title}: round {number} of {options.rounds}, load average {os.getloadavg()[0]:.1f}", flush=True
            )
            for name in entered:
                results[case.key][name].append(running.measure(case, name, options.seconds, options.loop, options.spin))
    return {key: measured for key, measured in results.items() if measured}


def versions(rivals: list[str], loop: str) -> dict[str, str]:
    """Return the versions of the packages that were measured."""
    packages = dict.fromkeys([*(PACKAGES[name] for name in rivals), *(["uvloop"] if loop == "uvloop" else [])])
    return {name: version(name) for name in packages}


def version(package: str) -> str:
    """Return a package's version; a checkout that is not installed has none."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "(checkout)"


def cpu() -> str:
    """Return the processor's name."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown CPU")


def main(argv: list[str] | None = None) -> int:
    """Run, print the table, write the JSON; return 1 if a server or the load failed."""
    options = arguments(argv)
    if not sys.platform.startswith("linux"):
        print("the load is a program for Linux", file=sys.stderr)
        return 1
    running.raise_file_limit()
    running.build()
    left_out = missing(options.rivals)
    rivals = [name for name in options.rivals if name not in left_out]
    try:
        results = run(options, rivals)
    except runner.BenchError as error:
        print(error, file=sys.stderr)
        return 1
    summary: dict[str, Any] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "settings": {
            "loop": options.loop,
            "seconds": options.seconds,
            "rounds": options.rounds,
            "spin": options.spin,
            "cores": running.cores(),
        },
        "machine": {"cpu": cpu(), **runner.this_machine()},
        "versions": versions(rivals, options.loop),
        "missing": left_out,
        "results": results,
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(summary) + "\n")
    print("", report.render(summary), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
