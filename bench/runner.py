"""Measures the rivals side by side, and joins what they measured.

Each rival has a fresh process, but only one of them works at a time: they do the same case round by round in turns, a
few milliseconds each. So a slow moment of the machine falls on all of them, and the ratio of two rivals is taken
between rounds that were measured next to each other.
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from . import cases
from .rivals import NOT_INSTALLED, RIVALS

BENCH = Path(__file__).parent
ROOT = BENCH.parent


class BenchError(Exception):
    """A rival gave a wrong result, or its process failed."""


@dataclass
class Report:
    """What all processes measured so far; `times` is ns per operation, by case and rival, round by round."""

    rivals: dict[str, dict[str, Any]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    times: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)

    def add(self, rival: str, measured: dict[str, Any]) -> None:
        """Add the JSON of one process of pytest-benchmark."""
        info = measured["machine_info"]
        self.rivals[rival] = info["rival"]
        self.machine = {"cpu": info["cpu"].get("brand_raw", ""), "system": info["system"]}
        for benchmark in measured["benchmarks"]:
            case, operations = benchmark["extra_info"]["case"], benchmark["extra_info"]["operations"]
            times = [round(second * 1e9 / operations, 2) for second in benchmark["stats"]["data"]]
            self.times.setdefault(case, {}).setdefault(rival, []).extend(times)

    def summary(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Return what the JSON file holds and the table shows, in the order of the cases."""
        return {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "settings": settings,
            "machine": {**self.machine, **this_machine()},
            "rivals": {name: self.rivals[name] for name in RIVALS if name in self.rivals},
            "missing": self.missing,
            "results": [
                {
                    "group": case.group,
                    "name": case.name,
                    "operation": case.operation,
                    "size": case.size,
                    "times": self.times[str(case)],
                }
                for case in cases.ALL
                if str(case) in self.times
            ],
        }


def this_machine() -> dict[str, Any]:
    """Return what else decides about speed on this machine."""
    governor = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    return {
        "cores": os.cpu_count(),
        "arch": platform.machine(),
        "governor": governor.read_text().strip() if governor.exists() else "unknown",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "python_compiler": platform.python_compiler(),
    }


class Child:
    """The process of one rival, and what it wants to do next: a case's number and a step of it, or None at its end."""

    def __init__(self, name: str, groups: list[str], rounds: int, folder: Path) -> None:
        self.name = name
        self.wish: tuple[int, int] | None = None
        self._measured = folder / f"{name}.json"
        self._said = (folder / f"{name}.txt").open("w+")
        command = (sys.executable, "-m", "bench.process", name, ",".join(groups), str(rounds), str(self._measured))
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment(name),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
        )

    def read_wish(self) -> None:
        """Wait until the process has done its step and wants the next, or has ended."""
        line = self._process.stdout.readline()
        self.wish = tuple(map(int, line.split())) if line else None
        if not line:
            self._process.wait()

    def go(self) -> None:
        """Let it do what it wants, and wait until that is done."""
        print(file=self._process.stdin, flush=True)
        self.read_wish()

    def hand_in(self, report: Report) -> None:
        """Add what the process measured, now that it has ended, to the report."""
        self._said.seek(0)
        if self._process.returncode == NOT_INSTALLED:
            report.missing[self.name] = self._said.read().strip().removeprefix("Exit: ")
        elif self._process.returncode:
            raise BenchError(f"{self.name}:\n{self._said.read()}")
        elif self._measured.exists():  # There is none where every case was skipped.
            report.add(self.name, json.loads(self._measured.read_text()))

    def stop(self) -> None:
        """End the process, if something went wrong before it ended."""
        for pipe in (self._process.stdin, self._process.stdout, self._said):
            pipe.close()
        self._process.kill()
        self._process.wait()


def environment(name: str) -> dict[str, str]:
    """Return a rival's environment: no foreign plugins, and a checkout of wscodec need not be installed."""
    added = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONHASHSEED": "0", **RIVALS[name].environment}
    if importlib.util.find_spec("wscodec") is None:
        added["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT / "src"), os.environ.get("PYTHONPATH")]))
    return os.environ | added


def run(names: list[str], groups: list[str], passes: int, rounds: int) -> Report:
    """Measure every rival in every pass, in fresh processes."""
    report = Report()
    for number in range(1, passes + 1):
        with tempfile.TemporaryDirectory() as folder:
            children = [Child(name, groups, rounds, Path(folder)) for name in names if name not in report.missing]
            try:
                conduct(children, f"pass {number} of {passes}")
                for child in children:
                    child.hand_in(report)
            finally:
                for child in children:
                    child.stop()
    return report


def conduct(children: list[Child], title: str) -> None:
    """Let the processes work one at a time: the one that is furthest behind is next."""
    began, group = time.monotonic(), ""
    for child in children:
        child.read_wish()
    while waiting := [child for child in children if child.wish]:
        behind = min(waiting, key=lambda child: child.wish)
        case = cases.ALL[behind.wish[0]]
        if case.group != group:
            group = case.group
            names = ", ".join(child.name for child in waiting)
            print(f"{title}, {time.monotonic() - began:5.1f} s: {group} ({names})", flush=True)
        behind.go()
