"""`python -m bench.compare before.json after.json`: what a change did to wscodec, case by case."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from .table import NOISY, align, nanoseconds, times


def read(path: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the figures of a result file, by case and column."""
    return {
        (f"{result['group']}: {result['name']}", name): figures
        for result in json.loads(path.read_text())["results"]
        for name, figures in result["rivals"].items()
    }


def changes(before: dict, after: dict, column: str) -> list[list[str]]:
    """Return a row per case that both files have; what lies within the noise is marked with `~`."""
    rows = [[column, "before ns", "after ns", "x faster"]]
    for key in before.keys() & after.keys():
        if key[1] == column:
            old, new = before[key], after[key]
            noise = max(old["spread"], new["spread"], NOISY / 2)
            ratio = old["ns"] / new["ns"]
            mark = "~" if 1 - noise <= ratio <= 1 + noise else ""
            rows.append([key[0], nanoseconds(old["ns"]), nanoseconds(new["ns"]), mark + times(ratio)])
    return [rows[0], *sorted(rows[1:])]


def main() -> None:
    """Print the table of changes."""
    parser = argparse.ArgumentParser(prog="python -m bench.compare", description=__doc__)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--column", default="wscodec", help="whose figures to compare (wscodec)")
    options = parser.parse_args()
    print("\n".join(align(changes(read(options.before), read(options.after), options.column))))


if __name__ == "__main__":
    main()
