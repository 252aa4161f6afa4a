"""The table: one row per case, wscodec's time, and how many times faster it is than each peer."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Any, NamedTuple

NOISY = 0.10
NONE = "-"


class Goal(NamedTuple):
    """A ratio that has to be reached."""

    group: str
    case: str
    ours: str
    peer: str
    ratio: float


GOALS = [
    Goal("decode", "text 8 B", "wscodec", "websockets", 100),
    Goal("decode", "text 8 B", "wscodec", "aiohttp", 25),
    Goal("decode", "text 128 B", "wscodec", "websockets", 60),
    Goal("decode", "text 128 B", "wscodec", "aiohttp", 12),
    Goal("decode", "text 300 B, Chinese", "wscodec", "websockets", 18),
    Goal("decode", "text 300 B, Chinese", "wscodec", "aiohttp", 6),
    Goal("decode", "text 8 B", "pure", "websockets", 1.5),
    Goal("decode", "text 32 B", "pure", "websockets", 1.5),
    *(Goal("mask", f"to new bytes, {size} B", "wscodec", "websockets", 1) for size in (16, 64, 1024)),
    *(Goal("mask", f"to new bytes, {size} B", "wscodec", "websockets", 1.5) for size in (16384, 262144)),
    *(Goal("mask", f"in place, {size} B", "wscodec", "python", 0.8) for size in (16384, 262144)),
    *(
        Goal("utf8", f"{operation} {kind}, {size} B", "wscodec", "python", ratio)
        for kind in ("Latin", "Cyrillic", "Chinese", "emoji")
        for operation, size, ratio in (
            ("validate", 64, 1.5),
            ("validate", 1024, 6),
            ("validate", 65536, 8),
            ("decode", 64, 1),
            ("decode", 1024, 2),
            ("decode", 65536, 2.5),
        )
    ),
    Goal("utf8", "validate ASCII, 65536 B", "wscodec", "python", 2.5),
    Goal("utf8", "decode ASCII, 65536 B", "wscodec", "python", 0.95),
]


class Figure(NamedTuple):
    """A median of many values, and how wide they are spread: the interquartile range by the median."""

    median: float
    spread: float


def figure(values: list[float]) -> Figure:
    """Return what stands for many values."""
    median = statistics.median(values)
    lower, _, upper = statistics.quantiles(values, n=4) if len(values) > 1 else (median, median, median)
    return Figure(median, (upper - lower) / median)


def ratio(times: dict[str, list[float]], ours: str, peer: str) -> Figure:
    """Return how many times longer the peer takes, each round compared with the one of ours next to it."""
    return figure([theirs / own for own, theirs in zip(times[ours], times[peer], strict=True)])


def render(summary: dict[str, Any]) -> str:
    """Return everything that is printed at the end of a run."""
    base = base_of(summary)
    return "\n".join([*heading(summary), "", *table(summary, base), "", *goals(summary), *notes(summary, base)])


def heading(summary: dict[str, Any]) -> Iterator[str]:
    """Say what was measured, and on what."""
    machine = summary["machine"]
    yield f"{machine['cpu']}, {machine['cores']} cores, governor {machine['governor']}, {machine['python']}"
    for name, about in summary["rivals"].items():
        own = about.keys() - {"version", "skipped"}
        details = [f"{key} {plain(about[key])}" for key in sorted(own)]
        yield f"{name} {about['version']}" + (f" ({', '.join(details)})" if details else "")
    for name, reason in summary["missing"].items():
        yield f"{name} was left out: {reason}"


def plain(value: Any) -> str:
    """Return a list's members, or a value, as words."""
    return " ".join(value) if isinstance(value, list) else str(value)


def base_of(summary: dict[str, Any]) -> str:
    """Return the column that the others are compared with: wscodec, compiled if it could be measured."""
    measured = summary["rivals"]
    return next(name for name in ("wscodec", "pure", *measured) if name in measured)


def table(summary: dict[str, Any], base: str) -> list[str]:
    """Return the lines of the table."""
    peers = [name for name in summary["rivals"] if name != base]
    rows = [["", f"{base} ns", "GB/s", "spread", *(f"x {peer}" for peer in peers)]]
    group = None
    for result in summary["results"]:
        if result["group"] != group:
            group = result["group"]
            rows.append([group.upper()])
        rows.append(row(result, base, peers))
    return align(rows)


def row(result: dict[str, Any], base: str, peers: list[str]) -> list[str]:
    """Return the cells of one case."""
    title, times = f"  {result['name']}", result["times"]
    if base not in times:
        return [title, *[NONE] * (3 + len(peers))]
    ours = figure(times[base])
    cells = [title, nanoseconds(ours.median), f"{result['size'] / ours.median:.2f}", f"{ours.spread:.0%}"]
    return [*cells, *(cell(ratio(times, base, peer)) if peer in times else NONE for peer in peers)]


def cell(value: Figure) -> str:
    """Return a ratio in three figures; `~` marks one whose spread is too wide."""
    mark = "~" if value.spread > NOISY else ""
    return f"{mark}{value.median:.{2 if value.median < 10 else 1 if value.median < 100 else 0}f}"


def nanoseconds(value: float) -> str:
    """Return a time to the nanosecond, or to a tenth of one where it is small."""
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def align(rows: list[list[str]]) -> list[str]:
    """Pad the first column on the right and the others on the left."""
    full = [cells for cells in rows if len(cells) > 1]
    widths = [max(len(cells[index]) for cells in full) for index in range(len(full[0]))]
    return [
        "  ".join(
            cell.rjust(width) if index else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(cells, widths, strict=False))
        ).rstrip()
        for cells in rows
    ]


def goals(summary: dict[str, Any]) -> Iterator[str]:
    """Say which of the required ratios are reached, as far as they were measured."""
    measured = {(result["group"], result["name"]): result["times"] for result in summary["results"]}
    for goal in GOALS:
        times = measured.get((goal.group, goal.case), {})
        if goal.ours in times and goal.peer in times:
            value = ratio(times, goal.ours, goal.peer)
            verdict = "reached" if value.median >= goal.ratio else "MISSED"
            pair = f"{goal.group} {goal.case}: {goal.ours} {cell(value)} x faster than {goal.peer}"
            yield f"goal {verdict:<8} {pair} (at least {goal.ratio:g})"


def notes(summary: dict[str, Any], base: str) -> Iterator[str]:
    """Warn of noise, and say why cells are empty."""
    ratios = [
        (ratio(result["times"], base, name).spread, f"{result['group']}: {result['name']}, {name}")
        for result in summary["results"]
        for name in result["times"].keys() - {base}
        if base in result["times"]
    ]
    noisy = [entry for entry in ratios if entry[0] > NOISY]
    if noisy:
        spread, which = max(noisy)
        yield f"WARNING: {len(noisy)} of {len(ratios)} ratios (~) have a spread above {NOISY:.0%},"
        yield f"         the widest {spread:.0%} ({which}). Measure again before you quote them."
    groups = {result["operation"]: result["group"] for result in summary["results"]}
    for name, about in summary["rivals"].items():
        reasons: dict[str, dict[str, None]] = {}
        for operation, reason in about["skipped"].items():
            if operation in groups:
                reasons.setdefault(reason, {})[groups[operation]] = None
        for reason, empty in reasons.items():
            yield f"{NONE} {name}, {', '.join(empty)}: {reason}"
