"""What the suite's reports say, and whether that will do."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .suite import SuiteError, case_key

__all__ = ["ALL", "GROUPS", "QUICK", "Result", "Results", "bad_results", "group_of", "read_results", "select", "table"]

# The suite has no group 8 and no group 11.
GROUPS = {
    1: "framing",
    2: "pings and pongs",
    3: "reserved bits",
    4: "opcodes",
    5: "fragmentation",
    6: "UTF-8",
    7: "closing",
    9: "limits and performance",
    10: "automatic fragmentation",
    12: "compression, by payload",
    13: "compression, by parameters",
}

# Cases that the suite plays to see what happens, and on which it has no opinion.
WITHOUT_VERDICT = frozenset({"7.1.6", "7.13.1", "7.13.2"})

# Groups 1 to 10, and of compression one case for each kind of payload and of parameters: messages of 256 bytes to 8
# KiB, in 12.4.11 in fragments. Shorter ones we don't compress ourselves, and the larger ones take minutes.
QUICK = (
    "1-10",
    *("12.1.3", "12.2.4", "12.3.5", "12.4.11", "12.5.3"),
    *("13.1.3", "13.2.4", "13.3.5", "13.4.4", "13.5.5", "13.6.4", "13.7.3"),
)
ALL = ("1-99",)


@dataclass(frozen=True)
class Result:
    """What the suite says of one case.

    Attributes:
        behavior: of the case itself, such as "OK" or "NON-STRICT".
        behavior_close: of the end of its connection.
        duration: in milliseconds.
        report: the name of the file that says more.
    """

    behavior: str
    behavior_close: str
    duration: int = 0
    report: str = ""


# By case.
Results = Mapping[str, Result]


def read_results(path: Path, agent: str) -> dict[str, Result]:
    """Return the results of an agent from the suite's index.json; SuiteError where there are none."""
    try:
        index = json.loads(path.read_text())
        return {
            case: Result(entry["behavior"], entry["behaviorClose"], entry["duration"], entry["reportfile"])
            for case, entry in index[agent].items()
        }
    except (OSError, ValueError, KeyError) as error:
        raise SuiteError(f"{path} has no results of {agent}: {error!r}") from error


def bad_results(results: Results, wanted: Iterable[str]) -> dict[str, str]:
    """Return the cases that are not as they have to be, each with what is wrong.

    OK is good, for the case and for the end of its connection. INFORMATIONAL will do for the few cases that have no
    other outcome. All else is bad, a case that was not played included.
    """
    bad = {}
    for case in wanted:
        result = results.get(case)
        if result is None:
            bad[case] = "not played"
            continue
        good = ("OK", "INFORMATIONAL") if case in WITHOUT_VERDICT else ("OK",)
        if result.behavior not in good or result.behavior_close not in good:
            bad[case] = f"{result.behavior}, close {result.behavior_close}"
    return bad


def group_of(case: str) -> int:
    """Return the number of a case's group."""
    return case_key(case)[0]


def select(patterns: Sequence[str], cases: Sequence[str]) -> list[str]:
    """Return those of `cases` that one of the patterns names, in their order.

    Args:
        patterns: a group ("7"), groups ("1-10"), a part of a group ("12.1" or "12.1.*"), a case ("7.13.1").
        cases: all that there are.

    Raises:
        ValueError: a pattern makes no sense, or names no case.
    """
    chosen: set[str] = set()
    for pattern in patterns:
        named = {case for case in cases if _names(pattern, case)}
        if not named:
            raise ValueError(f"there is no case {pattern}")
        chosen |= named
    return [case for case in cases if case in chosen]


def _names(pattern: str, case: str) -> bool:
    numbers = case_key(case)
    try:
        if "-" in pattern:
            first, last = map(int, pattern.split("-"))
            return first <= numbers[0] <= last
        prefix = case_key(pattern.removesuffix(".*"))
    except ValueError as error:
        raise ValueError(f"not a case, nor some: {pattern}") from error
    return numbers[: len(prefix)] == prefix


def table(columns: Mapping[str, Results]) -> str:
    """Return a Markdown table of how often there was which verdict, by group and by column."""
    groups = sorted({group_of(case) for results in columns.values() for case in results})
    rows = [["group", "", *columns], ["---"] * (len(columns) + 2)]
    for group in groups:
        counts = [_counts(results, group) for results in columns.values()]
        rows.append([str(group), GROUPS.get(group, ""), *counts])
    rows.append(["all", "", *(_counts(results) for results in columns.values())])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _counts(results: Results, group: int | None = None) -> str:
    """Return such as "34 OK, 3 INFORMATIONAL"; a case counts as OK if the end of its connection was OK, too."""
    counter = Counter(
        result.behavior if result.behavior_close in ("OK", result.behavior) else f"close {result.behavior_close}"
        for case, result in results.items()
        if group in (None, group_of(case))
    )
    # OK first, the others by how often they are.
    verdicts = sorted(counter, key=lambda verdict: (verdict != "OK", -counter[verdict], verdict))
    return ", ".join(f"{counter[verdict]} {verdict}" for verdict in verdicts) or "none"
