"""The table of the network benchmark, and its goals."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Any

from ..table import NOISY, NONE, Figure, align, cell, figure
from .cases import ALL, GOALS, Case, Goal

SATURATED = 0.90
# A server or a load that had to wait for its core longer than this was disturbed by other programs.
DISTURBED = 0.05
OURS = ("wscodec_callback", "wscodec_async_for")
HEADS = {
    "echo": ["messages/s", "x callback", "x async for", "p50 us", "p99 us", "server us", "server CPU", "load busy"],
    "fanout": ["messages/s", "x callback", "x async for", "p50 us", "p99 us", "server us", "server CPU", "load busy"],
    "idle": ["bytes"],
}

Rounds = list[dict[str, float]]


def render(summary: dict[str, Any]) -> str:
    """Return everything that is printed at the end of a run."""
    cases = [case for case in ALL if case.key in summary["results"]]
    lines = [*heading(summary)]
    for case in cases:
        lines += ["", *table(case, summary["results"][case.key])]
    return "\n".join([*lines, "", *goals(summary["results"]), *notes(summary["results"])])


def heading(summary: dict[str, Any]) -> Iterator[str]:
    """Say what was measured, and on what."""
    machine, settings = summary["machine"], summary["settings"]
    yield f"{machine['cpu']}, {machine['cores']} cores, governor {machine['governor']}, {machine['python']}"
    yield ", ".join(f"{name} {version}" for name, version in summary["versions"].items())
    load = "spins" if settings["spin"] else "sleeps when idle"
    yield f"{settings['loop']}, medians of {settings['rounds']} rounds of {settings['seconds']:g} s; the load {load}"
    if settings["cores"] is None:
        yield "WARNING: server and load share a core: these figures mean little."
    yield from (f"{name} was left out: {reason}" for name, reason in summary["missing"].items())


def table(case: Case, results: dict[str, Rounds]) -> list[str]:
    """Return the lines of one case: a row for each rival."""
    make = idle_row if case.kind == "idle" else row
    rows = [[case.title, *HEADS[case.kind]], *([f"  {name}", *make(name, results)] for name in results)]
    return align(rows)


def idle_row(name: str, results: dict[str, Rounds]) -> list[str]:
    """Return the cells of a rival's idle connections."""
    return [f"{median(results[name], 'bytes_per_connection'):,.0f}"]


def row(name: str, results: dict[str, Rounds]) -> list[str]:
    """Return the cells of one rival under load."""
    rounds = results[name]
    mark = ">" if is_saturated(rounds) else ""
    return [
        f"{mark}{median(rounds, 'messages_per_second'):,.0f}",
        *(ratio_cell(results, ours, name) for ours in OURS),
        f"{median(rounds, 'p50'):,.0f}",
        f"{median(rounds, 'p99'):,.0f}",
        f"{statistics.median(map(cpu_time, rounds)):.2f}",
        f"{share(rounds, 'server'):.0%}",
        f"{share(rounds, 'load', 'busy'):.0%}",
    ]


def median(rounds: Rounds, key: str) -> float:
    """Return the median of what the rounds say."""
    return statistics.median(one[key] for one in rounds)


def share(rounds: Rounds, who: str, what: str = "cpu") -> float:
    """Return which share of a core the server or the load had or waited for, or was busy for."""
    return statistics.median(one[f"{who}_{what}"] / one["seconds"] for one in rounds)


def is_saturated(rounds: Rounds) -> bool:
    """Whether the load had no more time to give."""
    return share(rounds, "load", "busy") > SATURATED


def speed(one: dict[str, float]) -> float:
    """Return what is compared."""
    return one["messages_per_second"]


def cpu_time(one: dict[str, float]) -> float:
    """Return the microseconds of CPU time that the server spent on each message."""
    return 1e6 * one["server_cpu"] / one["messages"]


def ratio(results: dict[str, Rounds], ours: str, peer: str) -> Figure:
    """Return how many times as fast ours is, each round compared with the one of the peer next to it."""
    return figure([speed(own) / speed(its) for own, its in zip(results[ours], results[peer], strict=True)])


def cpu_ratio(results: dict[str, Rounds], ours: str, peer: str) -> Figure:
    """Return how many times as much CPU time the peer spends on a message."""
    return figure([cpu_time(its) / cpu_time(own) for own, its in zip(results[ours], results[peer], strict=True)])


def ratio_cell(results: dict[str, Rounds], ours: str, peer: str) -> str:
    """Return the ratio as the table shows it; nothing where ours was left out, or against itself."""
    return NONE if ours not in results or ours == peer else cell(ratio(results, ours, peer))


def goals(results: dict[str, dict[str, Rounds]]) -> Iterator[str]:
    """Say which goals are reached, as far as they were measured."""
    for goal in GOALS:
        measured = results.get(goal.case, {})
        if goal.ours in measured and (goal.peer is None or goal.peer in measured):
            yield judge(goal, measured)


def judge(goal: Goal, measured: dict[str, Rounds]) -> str:
    """Say whether a goal is reached."""
    title = next(case.title for case in ALL if case.key == goal.case)
    if goal.peer is None:
        value = median(measured[goal.ours], "bytes_per_connection")
        verdict = "reached" if value <= goal.value else "MISSED"
        return f"goal {verdict:<8} {title}: {goal.ours} {value:,.0f} bytes each (at most {goal.value:,g})"
    if goal.case == "idle":
        return judge_memory(goal, measured, title)
    value = ratio(measured, goal.ours, goal.peer)
    verdict = "reached" if value.median >= goal.value else "MISSED"
    by_cpu = cell(cpu_ratio(measured, goal.ours, goal.peer))
    pair = f"{goal.ours} {cell(value)} x {goal.peer} (at least {goal.value:g}; by the server's CPU time {by_cpu})"
    return f"goal {verdict:<8} {title}: {pair}"


def judge_memory(goal: Goal, measured: dict[str, Rounds], title: str) -> str:
    """Say whether a peer's idle connection takes so many times as much as one of ours."""
    own, its = (median(measured[name], "bytes_per_connection") for name in (goal.ours, goal.peer))
    verdict = "reached" if its / own >= goal.value else "MISSED"
    pair = f"{goal.ours} {own:,.0f} bytes each, {goal.peer} {its:,.0f}: {its / own:.2f} x (at least {goal.value:g})"
    return f"goal {verdict:<8} {title}: {pair}"


def notes(results: dict[str, dict[str, Rounds]]) -> Iterator[str]:
    """Warn of figures that say less than they seem to."""
    loaded = {
        f"{key} {name}": rounds
        for key, measured in results.items()
        if key != "idle"
        for name, rounds in measured.items()
    }
    saturated = [name for name, rounds in loaded.items() if is_saturated(rounds)]
    if saturated:
        yield f"WARNING: the load was saturated (>), so these could be faster: {', '.join(saturated)}"
    waits = [share(rounds, who, "waited") for rounds in loaded.values() for who in ("server", "load")]
    if waits and max(waits) > DISTURBED:
        yield f"WARNING: other programs disturbed the run: up to {max(waits):.0%} of the time a core was not free."
        yield "         Then trust `server us`, the server's CPU time per message, before messages/s."
    if any(wide(case) for key, case in results.items() if key != "idle"):
        yield f"WARNING: ratios with ~ have a spread above {NOISY:.0%}. Measure again before you quote them."


def wide(measured: dict[str, Rounds]) -> bool:
    """Whether a ratio of this case is spread too wide."""
    ours = [name for name in OURS if name in measured]
    return any(ratio(measured, own, peer).spread > NOISY for own in ours for peer in measured if peer != own)
