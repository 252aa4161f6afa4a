"""A server with a drop-in and without, turn by turn: how much it echoes, and what a message costs it in CPU time.

That is with the kernel's share. The server is a module of this package, run as a program with its arguments; `wscodec`
behind them has it install the drop-in. It prints its port, echoes, and ends when its stdin is closed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from functools import partial

from ..echo import running
from .pairs import TIMES, Pairs, measured, medians, ratio, times

CONNECTIONS = 50
RATES = ["with", "without", "ratio", "CPU time"]

# How many bytes a message has, and how many messages are in flight.
Loads = list[tuple[int, int]]
Told = dict[str, float]


def costs(title: str, module: str, loads: Loads, rounds: int, seconds: float) -> Iterator[list[str]]:
    """Measure what a message costs, with two connections."""
    running.build()
    yield [title, *TIMES]
    for size, in_flight in loads:
        told = measured(rounds, partial(echoes, [module], 2, size, in_flight, seconds))
        yield [f"echo {size} B, {in_flight} in flight", *times(cpu_times(told), 1)]


def rates(name: str, program: list[str], loads: Loads, rounds: int, seconds: float) -> Iterator[list[str]]:
    """Return rows for below RATES: messages a second, how many times more they are, how many times less one costs."""
    running.build()
    for size, in_flight in loads:
        told = measured(rounds, partial(echoes, program, CONNECTIONS, size, in_flight, seconds))
        pairs = [(ours["messages_per_second"], theirs["messages_per_second"]) for ours, theirs in told]
        more = ratio([(theirs, ours) for ours, theirs in pairs])
        yield [f"{name} {size} B, {in_flight} in flight", *medians(pairs, 1, 0), more, ratio(cpu_times(told))]


def cpu_times(told: list[tuple[Told, Told]]) -> Pairs:
    """Return what a message cost, in seconds."""
    return [tuple(one["server_cpu"] / one["messages"] for one in pair) for pair in told]


def echoes(program: list[str], connections: int, size: int, in_flight: int, seconds: float, ours: bool) -> Told:
    """Return what a fresh server did."""
    server_core, load_core = running.cores() or (None, None)
    with running.running([sys.executable, "-m", *program, *["wscodec"] * ours], server_core) as server:
        port, pid = server.line().strip(), str(server.process.pid)
        numbers = (connections, pid, seconds, 0, size, in_flight)
        with running.running([str(running.LOAD), "echo", port, *map(str, numbers)], load_core) as load:
            return json.loads(load.line())
