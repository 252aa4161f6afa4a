"""`python -m bench`: check, measure, compare."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from . import cases, runner, table
from .rivals import DEFAULT, KERNELS, RIVALS, kernel_rival

LATEST = runner.BENCH / "results" / "local" / "latest.json"


def names_from(known: list[str], what: str):
    """Return an argument type: names out of `known`, separated by commas."""

    def parse(value: str) -> list[str]:
        names = value.split(",")
        unknown = [name for name in names if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"no {what} {', '.join(unknown)}; there are {', '.join(known)}")
        return [name for name in known if name in names]

    return parse


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round: does it still run?")
    for option, what, known, default in (
        ("--only", "group", cases.GROUPS, cases.GROUPS),
        ("--rivals", "rival", list(RIVALS), list(DEFAULT)),
    ):
        parser.add_argument(
            option, metavar="NAMES", type=names_from(known, what), default=default, help=f"of {','.join(known)}"
        )
    parser.add_argument("--kernels", action="store_true", help="measure wscodec's kernels against each other")
    parser.add_argument("--passes", type=int, default=2, help="fresh processes per rival (2)")
    parser.add_argument("--rounds", type=int, default=20, help="rounds per case in each of them (20)")
    parser.add_argument("--output", type=Path, default=LATEST, help="the JSON file to write")
    options = parser.parse_args(argv)
    if options.kernels:
        options.only, options.rivals = ["mask", "utf8"], ["wscodec", *map(kernel_rival, KERNELS), "python"]
    return options


def main(argv: list[str] | None = None) -> int:
    """Run, print the table, write the JSON; return 1 if a rival's process failed."""
    options = arguments(argv)
    passes, rounds = (1, 1) if options.quick else (options.passes, options.rounds)
    try:
        report = runner.run(options.rivals, options.only, passes, rounds)
    except runner.BenchError as error:
        print(error, file=sys.stderr)
        return 1
    if not report.times:
        print("nothing was measured", file=sys.stderr)
        return 1
    settings = {"quick": options.quick, "passes": passes, "rounds": rounds, "groups": options.only}
    summary = report.summary(settings)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(summary) + "\n")
    print("", table.render(summary), sep="\n")
    if options.quick:
        print("A quick run shows that everything runs; its figures mean nothing.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
