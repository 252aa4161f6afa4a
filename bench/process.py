"""The process of one rival: `python -m bench.process RIVAL GROUPS JSON`, started by `runner.py`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from .turns import Turns

BENCH = Path(__file__).parent

# Time on the CPU, not on the wall: nothing here waits while its time is taken, and what else runs on the machine then
# disturbs less. Windows counts it in steps of 15 ms, which is too coarse.
CLOCK = "time.perf_counter" if sys.platform == "win32" else "time.process_time"


def main() -> int:
    """Measure one rival and write the JSON of pytest-benchmark."""
    rival, groups, rounds, output = sys.argv[1:]
    arguments = [
        *("-q", "-x", "--tb=short", "-c", str(BENCH / "pytest.ini"), str(BENCH)),
        *("-p", "no:cacheprovider", "-p", "pytest_benchmark.plugin", "--benchmark-quiet"),
        *(f"--benchmark-timer={CLOCK}", f"--benchmark-json={output}"),
        f"--benchmark-storage=file://{Path(output).parent}",
        *("--rival", rival, "--only", groups, "--rounds", rounds),
    ]
    return pytest.main(arguments, plugins=[Turns()])


if __name__ == "__main__":
    sys.exit(main())
