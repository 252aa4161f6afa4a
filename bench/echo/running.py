"""Builds the load, and runs one server and one load at a time, each on a core of its own."""

from __future__ import annotations

import importlib.util
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..runner import ROOT, BenchError
from .cases import WARM_UP, Case

SOURCE = Path(__file__).with_name("load.c")
LOAD = ROOT / "build" / "bench" / "load"
START_TIMEOUT = 20
# After so long, a server with nothing to do has freed what the handshakes needed.
SETTLE = 1.0


def build() -> None:
    """Compile the load, unless that was done."""
    if LOAD.exists() and LOAD.stat().st_mtime > SOURCE.stat().st_mtime:
        return
    LOAD.parent.mkdir(parents=True, exist_ok=True)
    compiler = os.environ.get("CC", "cc").split()
    subprocess.run([*compiler, "-O2", "-std=c11", "-Wall", "-Wextra", str(SOURCE), "-o", str(LOAD)], check=True)


def cores() -> tuple[int, int] | None:
    """Return one core for the server and one for the load, if there are two."""
    usable = sorted(os.sched_getaffinity(0))
    return (usable[0], usable[1]) if len(usable) > 1 else None


def raise_file_limit() -> int:
    """Allow as many open files as this system does, also to the processes that we start; return how many."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


def environment() -> dict[str, str]:
    """Return the servers' environment; a checkout of wscodec need not be installed."""
    added = {"PYTHONHASHSEED": "0"}
    if importlib.util.find_spec("wscodec") is None:
        added["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT / "src"), os.environ.get("PYTHONPATH")]))
    return os.environ | added


class Program:
    """A process on one core, that ends when its stdin is closed; what it complains about is kept."""

    def __init__(self, command: list[str], core: int | None, **settings: Any) -> None:
        self._complaints = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
            # Not from here: a thread that the process starts at once would stay behind.
            preexec_fn=None if core is None else lambda: os.sched_setaffinity(0, {core}),
            **settings,
        )

    def line(self) -> str:
        """Return the next line that it prints; BenchError where it ends instead."""
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            self._complaints.seek(0)
            raise BenchError(f"{' '.join(self.process.args)}:\n{self._complaints.read()[-4000:]}")
        return line

    def ask(self) -> str:
        """Give it a line, and return the one that it prints then."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.line()

    def stop(self) -> None:
        """Let it end, or end it."""
        self.process.stdin.close()
        try:
            self.process.wait(START_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self._complaints.close()


@contextmanager
def running(command: list[str], core: int | None) -> Iterator[Program]:
    """Run a program while something else is done."""
    program = Program(command, core)
    try:
        yield program
    finally:
        program.stop()


def measure(case: Case, rival: str, seconds: float, loop: str, spin: bool) -> dict[str, float]:
    """Return what a fresh server of the rival did in one round."""
    server_core, load_core = cores() or (None, None)
    mode = "fanout" if case.kind == "fanout" else "echo"
    command = [sys.executable, "-m", f"bench.echo.servers.{rival}", mode, "--loop", loop]
    with running(command, server_core) as server:
        port, pid = server.line().strip(), str(server.process.pid)
        if case.kind == "idle":
            return {"bytes_per_connection": idle(case.connections, port, pid, load_core)}
        load = [str(LOAD), case.kind, port, str(case.connections), pid, str(seconds), str(int(spin))]
        if case.kind == "echo":
            load += [str(case.size), str(case.in_flight)]
        with running(load, load_core) as program:
            return json.loads(program.line())


def idle(connections: int, port: str, pid: str, core: int | None) -> float:
    """Return the resident bytes that each of many more idle connections takes."""
    with held(WARM_UP, port, core):
        before = resident(pid)
        with held(connections, port, core):
            return (resident(pid) - before) / connections


@contextmanager
def held(connections: int, port: str, core: int | None) -> Iterator[None]:
    """Hold that many connections that say nothing."""
    with running([str(LOAD), "idle", port, str(connections)], core) as program:
        program.line()
        time.sleep(SETTLE)
        yield


def resident(pid: str) -> int:
    """Return how many bytes of a process are in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
