"""`python -m bench.compare before.json after.json`: what a change did to wscodec, case by case."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from .table import Figure, align, cell, figure, nanoseconds


def read(path: Path, column: str) -> dict[str, Figure]:
    """Return the figures of one column of a result file, by case."""
    return {
        f"{result['group']}: {result['name']}": figure(result["times"][column])
        for result in json.loads(path.read_text())["results"]
        if column in result["times"]
    }


def change(case: str, old: Figure, new: Figure) -> list[str]:
    """Return a row; `~` marks a change where either time is spread too wide."""
    faster = cell(Figure(old.median / new.median, max(old.spread, new.spread)))
    return [case, nanoseconds(old.median), nanoseconds(new.median), faster]


def main() -> None:
    """Print the table of changes."""
    parser = argparse.ArgumentParser(prog="python -m bench.compare", description=__doc__)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--column", default="wscodec", help="whose figures to compare (wscodec)")
    options = parser.parse_args()
    before, after = read(options.before, options.column), read(options.after, options.column)
    rows = [change(case, old, after[case]) for case, old in before.items() if case in after]
    print("\n".join(align([[options.column, "before ns", "after ns", "x faster"], *rows])))


if __name__ == "__main__":
    main()
