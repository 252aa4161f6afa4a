"""The table: one row per case, wscodec's time, and how many times faster it is than each peer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

NOISY = 0.10
NONE = "-"


class Goal(NamedTuple):
    """A ratio that the first release has to reach."""

    case: str
    ours: str
    peer: str
    ratio: float


GOALS = [
    Goal("text 8 B", "wscodec", "websockets", 100),
    Goal("text 8 B", "wscodec", "aiohttp", 25),
    Goal("text 128 B", "wscodec", "websockets", 60),
    Goal("text 128 B", "wscodec", "aiohttp", 12),
    Goal("text 8 B", "pure", "websockets", 1.5),
    Goal("text 32 B", "pure", "websockets", 1.5),
]


def render(summary: dict[str, Any]) -> str:
    """Return everything that is printed at the end of a run."""
    return "\n".join([*heading(summary), "", *table(summary), "", *goals(summary), *notes(summary)])


def heading(summary: dict[str, Any]) -> Iterator[str]:
    """Say what was measured, and on what."""
    machine = summary["machine"]
    yield f"{machine['cpu']}, {machine['cores']} cores, governor {machine['governor']}, {machine['python']}"
    for name, about in summary["rivals"].items():
        own = about.keys() - {"version", "skipped"}
        details = [f"{key} {_plain(about[key])}" for key in sorted(own)]
        yield f"{name} {about['version']}" + (f" ({', '.join(details)})" if details else "")
    for name, reason in summary["missing"].items():
        yield f"{name} was left out: {reason}"


def _plain(value: Any) -> str:
    return " ".join(value) if isinstance(value, list) else str(value)


def base_of(summary: dict[str, Any]) -> str:
    """Return the column that the others are compared with: wscodec, compiled if it could be measured."""
    measured = summary["rivals"]
    return next(name for name in ("wscodec", "pure", *measured) if name in measured)


def table(summary: dict[str, Any]) -> list[str]:
    """Return the lines of the table."""
    base = base_of(summary)
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
    """Return the cells of one case; `~` marks a figure whose spread is too wide."""
    ours = result["rivals"].get(base)
    if ours is None:
        return [f"  {result['name']}", *[NONE] * (3 + len(peers))]
    cells = [f"  {result['name']}", nanoseconds(ours["ns"]), f"{result['size'] / ours['ns']:.2f}"]
    return [*cells, f"{ours['spread']:.0%}", *(faster(ours, result["rivals"].get(peer)) for peer in peers)]


def faster(ours: dict[str, float], theirs: dict[str, float] | None) -> str:
    """Return how many times longer the peer takes."""
    if theirs is None:
        return NONE
    noisy = max(ours["spread"], theirs["spread"]) > NOISY
    return ("~" if noisy else "") + times(theirs["ns"] / ours["ns"])


def times(ratio: float) -> str:
    """Return a ratio in three figures."""
    return f"{ratio:.0f}" if ratio >= 100 else f"{ratio:.1f}" if ratio >= 10 else f"{ratio:.2f}"


def nanoseconds(value: float) -> str:
    """Return a time in three figures or to the nanosecond."""
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
    results = summary["results"]
    decoded = {result["name"]: result["rivals"] for result in results if result["group"] == "decode"}
    for goal in GOALS:
        rivals = decoded.get(goal.case, {})
        if goal.ours in rivals and goal.peer in rivals:
            ratio = rivals[goal.peer]["ns"] / rivals[goal.ours]["ns"]
            verdict = "reached" if ratio >= goal.ratio else "MISSED"
            pair = f"decode {goal.case}: {goal.ours} {times(ratio)} x faster than {goal.peer}"
            yield f"goal {verdict:<8} {pair} (at least {goal.ratio:g})"


def notes(summary: dict[str, Any]) -> Iterator[str]:
    """Warn of noise, and say why cells are empty."""
    results = summary["results"]
    measured = [
        (figures["spread"], f"{result['group']}: {result['name']}", name)
        for result in results
        for name, figures in result["rivals"].items()
    ]
    noisy = [entry for entry in measured if entry[0] > NOISY]
    if noisy:
        spread, case, name = max(noisy)
        yield f"WARNING: {len(noisy)} of {len(measured)} figures (~) have a spread above {NOISY:.0%},"
        yield f"         the widest {spread:.0%} ({case}, {name}). Measure again before you quote them."
    groups = {result["operation"]: result["group"] for result in results}
    for name, about in summary["rivals"].items():
        reasons: dict[str, dict[str, None]] = {}
        for operation, reason in about["skipped"].items():
            if operation in groups:
                reasons.setdefault(reason, {})[groups[operation]] = None
        for reason, empty in reasons.items():
            yield f"{NONE} {name}, {', '.join(empty)}: {reason}"
