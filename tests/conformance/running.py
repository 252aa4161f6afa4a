"""Runs the suite and what it tests side by side, and makes sure that neither stays behind."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import re
import shutil
import socket
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .suite import ROOT, Suite, SuiteError
from .verdict import Results, read_results

__all__ = ["BACKENDS", "ROLES", "Combination", "Run", "backends_here", "run"]

ROLES = ("server", "client")
BACKENDS = ("compiled", "pure")
HOST = "127.0.0.1"
TESTEE = "tests.conformance.testee"
START_TIMEOUT = 60
# The suite itself gives a case up to eight minutes.
CASE_TIMEOUT = 540
END_TIMEOUT = 5
# Lines of a log that are shown.
SHOWN = 20

CASE = re.compile(r"Running test case ID (\S+) ")


@dataclass(frozen=True)
class Combination:
    """One of the things that are tested."""

    role: str
    backend: str

    @property
    def agent(self) -> str:
        """The name of it in reports and as a folder."""
        return f"{self.backend}-{self.role}"

    @property
    def server(self) -> tuple[str, ...]:
        """The module that serves, and its arguments."""
        return TESTEE, "server"

    def __str__(self) -> str:
        return f"{self.role}, {self.backend}"


@dataclass(frozen=True)
class Run:
    """What came of one combination.

    Attributes:
        folder: where the suite's reports are.
        results: by case.
        seconds: how long it took.
        complaints: what the testee wrote to stderr, which should be nothing.
    """

    folder: Path
    results: Results
    seconds: float
    complaints: str


def backends_here() -> tuple[str, ...]:
    """Return the backends that can be tested, which is one where nothing was compiled."""
    return BACKENDS if importlib.util.find_spec("wscodec._frames") else BACKENDS[1:]


async def run(
    suite: Suite, combination: Combination, cases: Sequence[str], reports: Path, on_case: Callable[[str], None]
) -> Run:
    """Play some cases.

    Args:
        suite: as it is installed.
        combination: what is tested.
        cases: in the suite's order.
        reports: the folder for the suite's reports; each combination has a folder of its own there.
        on_case: called with each case as it begins.

    Raises:
        SuiteError: a process did not start, ended too early, or got stuck.
    """
    folder = reports / combination.agent
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    started = time.monotonic()
    play = _play_server if combination.role == "server" else _play_client
    await play(suite, combination, cases, folder, on_case)
    results = read_results(folder / "index.json", combination.agent)
    return Run(folder, results, time.monotonic() - started, (folder / "testee.log").read_text())


async def _play_server(
    suite: Suite, combination: Combination, cases: Sequence[str], folder: Path, on_case: Callable[[str], None]
) -> None:
    """Have the suite's client play the cases with our server."""
    async with _testee(combination, folder, *combination.server) as testee:
        async with _in_time(START_TIMEOUT, combination, folder):
            port = (await _stdout(testee).readline()).decode().strip()
        if not port:
            raise SuiteError(_failure("the server did not start", combination, folder))
        target = {"agent": combination.agent, "url": f"ws://{HOST}:{port}"}
        spec = _write_spec(folder, cases, {"servers": [target]})
        async with _suite(suite, "fuzzingclient", spec, folder) as client:
            await _follow(client, combination, folder, on_case)


async def _play_client(
    suite: Suite, combination: Combination, cases: Sequence[str], folder: Path, on_case: Callable[[str], None]
) -> None:
    """Have our client play the cases with the suite's server."""
    uri = f"ws://{HOST}:{_free_port()}"
    spec = _write_spec(folder, cases, {"url": uri})
    async with (
        _suite(suite, "fuzzingserver", spec, folder) as server,
        _testee(combination, folder, TESTEE, "client", uri, combination.agent, str(len(cases))) as testee,
    ):
        following = asyncio.create_task(_follow(server, combination, folder, on_case))
        ending = asyncio.create_task(testee.wait())
        try:
            await asyncio.wait((following, ending), return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                await following
                raise SuiteError(_failure("the suite's server has ended", combination, folder))
            if testee.returncode:
                raise SuiteError(_failure("the client has failed", combination, folder))
        finally:
            following.cancel()
            ending.cancel()


async def _follow(suite: Process, combination: Combination, folder: Path, on_case: Callable[[str], None]) -> None:
    """Read what the suite prints until it ends; SuiteError where it fails or a case takes too long."""
    with (folder / "suite.log").open("a") as log:
        while True:
            async with _in_time(CASE_TIMEOUT, combination, folder):
                line = (await _stdout(suite).readline()).decode(errors="replace")
            if not line:
                break
            log.write(line)
            if (found := CASE.match(line)) is not None:
                on_case(found[1])
    async with _in_time(END_TIMEOUT, combination, folder):
        if await suite.wait():
            raise SuiteError(_failure("the suite has failed", combination, folder))


@contextlib.asynccontextmanager
async def _in_time(seconds: float, combination: Combination, folder: Path) -> AsyncIterator[None]:
    """Raise a SuiteError where the block takes longer."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise SuiteError(_failure(f"nothing happened for {seconds} s", combination, folder)) from error


def _testee(combination: Combination, folder: Path, *module: str) -> contextlib.AbstractAsyncContextManager[Process]:
    """Run our side of a combination: a module with its arguments."""
    path = os.pathsep.join(filter(None, [str(ROOT / "src"), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"WSCODEC_BACKEND": combination.backend, "PYTHONPATH": path}
    return _process([sys.executable, "-m", *module], environment, folder / "testee.log")


def _suite(suite: Suite, mode: str, spec: Path, folder: Path) -> contextlib.AbstractAsyncContextManager[Process]:
    """Run the suite."""
    return _process(suite.command(mode, spec), suite.environment, folder / "suite.log")


@contextlib.asynccontextmanager
async def _process(command: Sequence[str], environment: dict[str, str], log: Path) -> AsyncIterator[Process]:
    """Run a process during the block; what it writes to stderr goes to the log."""
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, env=environment, stdin=PIPE, stdout=PIPE, stderr=errors
        )
    try:
        yield process
    finally:
        await _end(process)


async def _end(process: Process) -> None:
    """End a process: it is to leave by itself when its stdin is closed, or it is killed."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(END_TIMEOUT):
                await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _stdout(process: Process) -> asyncio.StreamReader:
    assert process.stdout is not None
    return process.stdout


def _write_spec(folder: Path, cases: Sequence[str], settings: dict[str, object]) -> Path:
    """Write what the suite is to do, and return the file."""
    spec = folder / "spec.json"
    everything = {"outdir": str(folder), "cases": list(cases), "exclude-cases": [], "exclude-agent-cases": {}}
    spec.write_text(json.dumps(everything | settings))
    return spec


def _free_port() -> int:
    """Return a port that nobody listens on: the suite can't choose one itself."""
    with socket.create_server((HOST, 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


def _failure(what: str, combination: Combination, folder: Path) -> str:
    """Return what happened, and the ends of the logs."""
    lines = [f"{combination}: {what}"]
    for log in (folder / "suite.log", folder / "testee.log"):
        if log.exists():
            lines += [f"{log.name}:", *log.read_text(errors="replace").splitlines()[-SHOWN:]]
    return "\n".join(lines)
