"""Runs the bench files, each rival in a process of its own, and joins what they measured.

The rivals take turns: every pass measures each of them once, in a fresh process, and the rounds of all passes
are pooled, so that a slow minute of the machine falls on all of them.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from . import cases
from .rivals import NOT_INSTALLED, RIVALS

BENCH = Path(__file__).parent
ROOT = BENCH.parent

# Time on the CPU, not on the wall: nothing here waits, and what else runs on the machine then disturbs less.
# Windows counts it in steps of 15 ms, which is too coarse.
CLOCK = "time.perf_counter" if sys.platform == "win32" else "time.process_time"
FULL = [
    f"--benchmark-timer={CLOCK}",
    "--benchmark-max-time=0.1",
    "--benchmark-min-rounds=5",
    "--benchmark-min-time=0.0005",
    "--benchmark-warmup=on",
    "--benchmark-warmup-iterations=1",
]
QUICK = ["--benchmark-max-time=0.0001", "--benchmark-min-rounds=1", "--benchmark-min-time=0.00001"]


class BenchError(Exception):
    """A rival gave a wrong result, or its process failed."""


@dataclass
class Report:
    """What all processes measured so far."""

    rivals: dict[str, dict[str, Any]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    rounds: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)

    def add(self, rival: str, measured: dict[str, Any]) -> int:
        """Add the JSON of one process of pytest-benchmark; return the number of cases in it."""
        info = measured["machine_info"]
        self.rivals[rival] = info["rival"]
        self.machine = {"cpu": info["cpu"].get("brand_raw", ""), "system": info["system"]}
        for benchmark in measured["benchmarks"]:
            case, operations = benchmark["extra_info"]["case"], benchmark["extra_info"]["operations"]
            times = [second * 1e9 / operations for second in benchmark["stats"]["data"]]
            self.rounds.setdefault(case, {}).setdefault(rival, []).extend(times)
        return len(measured["benchmarks"])

    def summary(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Return what the JSON file holds and the table shows, in the order of the cases."""
        return {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "settings": settings,
            "machine": {**self.machine, **this_machine()},
            "rivals": self.rivals,
            "missing": self.missing,
            "results": [
                {
                    "group": case.group,
                    "name": case.name,
                    "operation": case.operation,
                    "size": case.size,
                    "rivals": {rival: figures(times) for rival, times in self.rounds[str(case)].items()},
                }
                for case in cases.ALL
                if str(case) in self.rounds
            ],
        }


def figures(times: list[float]) -> dict[str, float]:
    """Return ns per operation (median and best), spread (interquartile range by median), number of rounds."""
    median = statistics.median(times)
    lower, _, upper = statistics.quantiles(times, n=4) if len(times) > 1 else (median, median, median)
    return {"ns": median, "best_ns": min(times), "spread": (upper - lower) / median, "rounds": len(times)}


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


def run(names: list[str], groups: list[str], passes: int, options: list[str]) -> Report:
    """Measure every rival in every pass, and say so line by line."""
    report = Report()
    for number in range(1, passes + 1):
        for name in names:
            if name not in report.missing:
                run_one(report, name, groups, options, f"pass {number} of {passes}, {name}")
    return report


def run_one(report: Report, name: str, groups: list[str], options: list[str], title: str) -> None:
    """Measure one rival in a fresh process."""
    began = time.monotonic()
    print(f"{title:<30}", end="", flush=True)
    with scratch_file() as output:
        line = command(name, groups, output, options)
        process = subprocess.run(line, cwd=ROOT, env=environment(name), capture_output=True, text=True)
        if process.returncode == NOT_INSTALLED:
            report.missing[name] = process.stderr.strip().removeprefix("Exit: ")
            print("left out:", report.missing[name], flush=True)
            return
        if process.returncode:
            print("failed", flush=True)
            raise BenchError(process.stdout + process.stderr)
        # Where every case was skipped there is no file.
        count = report.add(name, json.loads(output.read_text())) if output.exists() else 0
    print(f"{count:3} cases in {time.monotonic() - began:5.1f} s", flush=True)


def command(name: str, groups: list[str], output: Path, options: list[str]) -> list[str]:
    """Return the command line that measures one rival."""
    return [
        *(sys.executable, "-m", "pytest", str(BENCH), "-c", str(BENCH / "pytest.ini")),
        *("-q", "-x", "--tb=short", "--benchmark-quiet", "-p", "no:cacheprovider"),
        *("-p", "pytest_benchmark.plugin"),
        *("--rival", name, "--only", ",".join(groups), f"--benchmark-json={output}"),
        f"--benchmark-storage=file://{output.parent}",
        *options,
    ]


def environment(name: str) -> dict[str, str]:
    """Return a rival's environment: no foreign plugins, and a checkout of wscodec need not be installed."""
    added = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONHASHSEED": "0", **RIVALS[name].environment}
    if importlib.util.find_spec("wscodec") is None:
        added["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT / "src"), os.environ.get("PYTHONPATH")]))
    return os.environ | added


@contextlib.contextmanager
def scratch_file() -> Iterator[Path]:
    """Lend a path for one process's results."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "measured.json"
