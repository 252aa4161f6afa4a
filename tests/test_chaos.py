"""The chaos: its verdict, and that it runs. `make chaos` is the long one."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from bench.chaos.verdict import MIB, Outcome, faults, remains

ROOT = Path(__file__).parents[1]
SHORT = ("--connections", "60", "--minutes", "0.05", "--timeout", "2", "--rate", "300", "--misdeeds", "40")
# After the first round such a server grows by less than half a MiB, over TLS or not.
MARGIN = ("--margin", "1")
# One is over TLS, where all misdeeds are done.
KINDS = [("asyncio", True), *([("uvloop", False)] if importlib.util.find_spec("uvloop") else [])]

needs_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it looks at /proc")


def contents(**changes: Any) -> dict[str, Any]:
    """Return what is in a server that nobody is connected to."""
    nothing = {"connections": 0, "tasks": 1, "files": 9, "objects": {"TimerHandle": 1}, "resident": 50 * MIB}
    return nothing | {"booms": 0, "errors": 0} | changes


def outcome(*rounds: dict[str, Any], **changes: Any) -> Outcome:
    """Return the outcome of rounds after which the server had these contents."""
    settings: dict[str, Any] = {"messages": 5, "misdeeds": {"boom": 0, "leave": 3}} | changes
    return Outcome([contents(), *(rounds or (contents(), contents()))], **settings)


def test_nothing_wrong() -> None:
    assert list(faults(outcome(), ["leave"])) == []


@pytest.mark.parametrize(
    ("change", "left"),
    [
        ({"connections": 1}, {"connections": 1}),
        ({"tasks": 3}, {"tasks": 2}),
        ({"files": 10}, {"files": 1}),
        ({"objects": {"TimerHandle": 2, "ServerConnection": 4}}, {"TimerHandle": 1, "ServerConnection": 4}),
        ({"objects": {}, "files": 8}, {}),
    ],
)
def test_what_is_left(change: dict[str, Any], left: dict[str, int]) -> None:
    assert remains(contents(), contents(**change)) == left
    found = list(faults(outcome(contents(**change), contents()), ["leave"]))
    assert found == ([f"round 1 has left {left}"] if left else [])


def test_growth() -> None:
    assert list(faults(outcome(contents(), contents(resident=56.4 * MIB)), [])) == []
    (fault,) = faults(outcome(contents(), contents(resident=56.6 * MIB)), [])
    assert fault == "the server has grown by 6.60 MiB; 6.50 are tolerated"
    assert list(faults(outcome(contents(resident=60 * MIB), contents(resident=60 * MIB)), [])) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"messages": 0}, "there were no messages"),
        ({"misdeeds": {"boom": 0, "leave": 0}}, "no peer did this: leave"),
        ({"misdeeds": {"boom": 2, "leave": 1}}, "failed 2 times, and 0 of them were logged"),
        ({"complaints": Counter(["lost", "lost"])}, "lost (2 times)"),
    ],
)
def test_what_went_wrong(changes: dict[str, Any], words: str) -> None:
    (fault,) = faults(outcome(**changes), ["leave"])
    assert words in fault


def test_what_was_logged() -> None:
    (fault,) = faults(outcome(contents(), contents(errors=1)), ["leave"])
    assert fault == "the server has logged 1 other errors or warnings"


@needs_linux
@pytest.mark.slow
@pytest.mark.parametrize(("loop", "tls"), KINDS, ids=lambda value: {True: "tls", False: "plain"}.get(value, value))
def test_short_one(loop: str, tls: bool) -> None:
    more = ["--tls"] if tls else []
    command = [sys.executable, "-m", "bench.chaos", *SHORT, *MARGIN, "--loop", loop, *more]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    *rounds, misdeeds, _memory, verdict = done.stdout.splitlines()
    assert len(rounds) == 3
    assert all(line.endswith("0 complaints  left: nothing") for line in rounds)
    assert len(misdeeds.split("  ")) == (19 if tls else 15)
    assert verdict == "every message came once and in order, and nothing is left"


@pytest.mark.parametrize("arguments", [("--connections", "0"), ("--minutes", "0"), ("--loop", "other")])
def test_wrong_value(arguments: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "bench.chaos", *arguments]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, timeout=100).returncode == 2
