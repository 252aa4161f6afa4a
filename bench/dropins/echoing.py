"""A server with a drop-in and without, turn by turn: what a message costs it in CPU time, the kernel's share included.

The server is a module of this package, run as a program. It installs the drop-in where `wscodec` is its argument,
prints its port, echoes, and ends when its stdin is closed.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Iterator

from ..echo import running
from ..table import cell, figure


def compare(title: str, module: str, loads: list[tuple[int, int]], rounds: int, seconds: float) -> Iterator[list[str]]:
    """Measure echoes: for each load, of so many bytes and so many messages in flight, the medians and their ratio."""
    running.build()
    yield [title, "with", "without", "ratio"]
    for size, in_flight in loads:
        pairs = [tuple(cost(module, ours, size, in_flight, seconds) for ours in (True, False)) for _ in range(rounds)]
        medians = [f"{statistics.median(costs) * 1e6:,.1f}" for costs in zip(*pairs, strict=True)]
        ratio = figure([without / with_ for with_, without in pairs])
        yield [f"echo {size} B, {in_flight} in flight", *medians, cell(ratio)]


def cost(module: str, ours: bool, size: int, in_flight: int, seconds: float) -> float:
    """Return what a message costs a fresh server, in seconds of CPU time."""
    server_core, load_core = running.cores() or (None, None)
    command = [sys.executable, "-m", module, *(["wscodec"] if ours else [])]
    with running.running(command, server_core) as server:
        port, pid = server.line().strip(), str(server.process.pid)
        load = [str(running.LOAD), "echo", port, "2", pid, str(seconds), "0", str(size), str(in_flight)]
        with running.running(load, load_core) as program:
            told = json.loads(program.line())
    return told["server_cpu"] / told["messages"]
