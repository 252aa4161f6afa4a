"""The soak: its verdict, and that it runs. `make soak` is the long one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bench.soak.verdict import MIB, Outcome, ends, faults

ROOT = Path(__file__).parents[1]
HAS_COMPILER = shutil.which(os.environ.get("CC", "cc").split()[0]) is not None
SHORT = ("--connections", "300", "--active", "30", "--minutes", "0.15", "--ping-interval", "1", "--rate", "2000")

needs_load = pytest.mark.skipif(
    not (sys.platform.startswith("linux") and HAS_COMPILER), reason="the load is a program in C for Linux"
)


def soak(*arguments: str, files: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run a soak, with a hard limit of open files if one is given."""
    command = [sys.executable, "-m", "bench.soak", *arguments]
    if files is not None:
        command = ["sh", "-c", f'ulimit -n {files} && exec "$@"', "sh", *command]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)


def outcome(growth: float = 0, **changes: object) -> Outcome:
    """Return the outcome of ten minutes on a server of 100 MiB that grows by `growth` bytes a second."""
    samples = [(float(at), int(100 * MIB + growth * at)) for at in range(0, 601, 5)]
    counts = {"connections": 1000, "received": 5000, "sent": 5000, "errors": 0}
    return replace(Outcome(1000, 600, 20, samples, messages=5000, pings=28_000, counts=counts), **changes)


class TestVerdict:
    def test_nothing_wrong(self):
        assert list(faults(outcome())) == []

    def test_growth(self):
        # From the middle of the first tenth behind the warm-up to that of the last there are 432 of the 600 seconds.
        assert list(faults(outcome(1.9 * MIB / 432))) == []
        (fault,) = faults(outcome(2.1 * MIB / 432))
        assert fault.startswith("the server has grown by 2.")

    def test_growth_while_warming_up_does_not_count(self):
        samples = [(float(at), min(at, 115) * MIB) for at in range(0, 601, 5)]
        assert list(faults(outcome(samples=samples))) == []

    def test_one_large_sample_does_not_count(self):
        samples = [(at, size + (50 * MIB if at == 600 else 0)) for at, size in outcome().samples]
        assert list(faults(outcome(samples=samples))) == []

    def test_ends_of_a_few_samples(self):
        assert ends([(0.0, 1), (5.0, 2), (10.0, 3)], 10) == (2, 3)

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"pings": 0}, "there were 0 pings"),
            ({"pings": 20_000}, "there were 20000 pings"),
            ({"ping_interval": 3600, "pings": 0}, "there were 0 pings"),
            ({"counts": {"connections": 999, "received": 5000, "sent": 5000, "errors": 0}}, "999 connections"),
            ({"counts": {"connections": 1000, "received": 4999, "sent": 5000, "errors": 0}}, "received 4999"),
            ({"counts": {"connections": 1000, "received": 5000, "sent": 4999, "errors": 0}}, "sent 4999"),
            ({"counts": {"connections": 1000, "received": 5000, "sent": 5000, "errors": 2}}, "logged 2 errors"),
        ],
    )
    def test_what_is_lost(self, changes, words):
        (fault,) = faults(outcome(**changes))
        assert words in fault

    def test_no_messages(self):
        counts = {"connections": 1000, "received": 0, "sent": 0, "errors": 0}
        assert list(faults(outcome(messages=0, counts=counts))) == ["there were no messages"]


@needs_load
class TestSoak:
    @pytest.mark.slow
    def test_short_one(self):
        done = soak(*SHORT)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
        *lines, growth, verdict = done.stdout.splitlines()
        assert len(lines) == 6
        reopened, pings, messages = map(int, re.findall(r"(\d+) (?:reopened|pings|messages)", lines[-1]))
        assert reopened >= 60
        assert pings >= 300
        assert messages >= 9000
        assert growth.startswith("after the warm-up ")
        assert verdict == "nothing grew, and nothing was lost"

    def test_too_few_files(self):
        done = soak("--connections", "500", "--active", "10", files=300)
        assert done.returncode == 2
        assert done.stderr == "500 connections need `ulimit -n 550`, and the hard limit is 300\n"

    @pytest.mark.parametrize("arguments", [("--active", "0"), ("--minutes", "0"), ("--connections", "5")])
    def test_wrong_value(self, arguments):
        assert soak(*arguments).returncode == 2
