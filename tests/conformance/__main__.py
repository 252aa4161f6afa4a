"""`python -m tests.conformance`: the cases of the Autobahn Testsuite against our server and our client, or drop-ins."""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from .hosts import HOSTS, changes, pairs
from .running import BACKENDS, ROLES, Combination, Run, backends_here, run
from .suite import ROOT, VERSION, Suite, SuiteError, find_python, install
from .verdict import ALL, QUICK, bad_results, select, table

REPORTS = ROOT / "build" / "conformance"
# Seconds between two lines of progress.
STEP = 10.0


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument(
        "--cases", nargs="+", metavar="CASES", help='a group ("7"), groups ("1-10"), a part ("12.1"), a case ("7.13.1")'
    )
    chosen.add_argument("--quick", action="store_true", help="groups 1 to 10 and some of compression")
    parser.add_argument("--role", choices=ROLES, action="append", help="what we are (both)")
    parser.add_argument("--backend", choices=BACKENDS, action="append", help="what we run on (all that there are)")
    parser.add_argument(
        "--host",
        choices=HOSTS,
        action="append",
        help="instead of ours: a server, on our drop-in and without",
    )
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="runs at a time (one for each CPU)"
    )
    parser.add_argument("--reports", type=Path, default=REPORTS, metavar="DIR", help="for the suite's own reports")
    options = parser.parse_args(argv)
    if options.jobs < 1:
        parser.error("--jobs is 1 or more")
    return options


def combinations(options: argparse.Namespace) -> list[Combination]:
    """Return what is to be tested."""
    backends = options.backend or backends_here()
    if backends == BACKENDS[1:]:
        print("==> there are no compiled modules: the pure backend alone")
    return [Combination(role, backend) for role, backend in itertools.product(options.role or ROLES, backends)]


class Progress:
    """Says from time to time how far a combination is."""

    def __init__(self, combination: Combination, total: int) -> None:
        self._combination = combination
        self._total = total
        self._count = 0
        self._started = self._said = time.monotonic()

    def on_case(self, case: str) -> None:
        """Take note of a case that begins."""
        self._count += 1
        now = time.monotonic()
        if now - self._said >= STEP:
            self._said = now
            seconds = now - self._started
            print(f"{self._combination}: case {case}, {self._count} of {self._total}, {seconds:.0f} s", flush=True)


async def run_all(
    suite: Suite, chosen: Sequence[Combination], cases: Sequence[str], options: argparse.Namespace
) -> dict[Combination, Run | SuiteError]:
    """Play the cases with each combination, some at a time; return what came of each, be it only an error."""
    this = asyncio.current_task()
    assert this is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    turn = asyncio.Semaphore(options.jobs)

    async def play(combination: Combination) -> Run | SuiteError:
        async with turn:
            progress = Progress(combination, len(cases))
            try:
                done = await run(suite, combination, cases, options.reports, progress.on_case)
            except SuiteError as error:
                print(f"{combination}: broken off", flush=True)
                return error
            print(f"{combination}: {len(done.results)} cases in {done.seconds:.0f} s", flush=True)
            return done

    async with asyncio.TaskGroup() as group:
        tasks = {combination: group.create_task(play(combination)) for combination in chosen}
    return {combination: task.result() for combination, task in tasks.items()}


def faults(combination: Combination, done: Run | SuiteError, cases: Sequence[str]) -> list[str]:
    """Return a line for each thing that is wrong with a run."""
    if isinstance(done, SuiteError):
        return [str(done)]
    lines = []
    for case, what in bad_results(done.results, cases).items():
        result = done.results.get(case)
        report = done.folder / result.report if result else None
        lines.append(f"{combination}: case {case}: {what}" + (f"; {_explained(report)}" if report else ""))
    if done.complaints:
        lines.append(f"{combination}: on stderr:\n{done.complaints[-2000:]}")
    return lines


def hosts_faults(runs: Mapping[Combination, Run | SuiteError], hosts: list[str]) -> list[str]:
    """Return a line for each case that is worse with a drop-in; print those that are better."""
    lines = []
    for pair in pairs(hosts):
        without, with_ = (runs[combination] for combination in pair)
        if isinstance(without, SuiteError) or isinstance(with_, SuiteError):
            lines += [str(done) for done in (without, with_) if isinstance(done, SuiteError)]
            continue
        for case, change, verdicts in changes(without.results, with_.results):
            line = f"{pair[1].host}: case {case}: {verdicts}"
            if change > 0:
                lines.append(line)
            else:
                print(line)
    return lines


def _explained(report: Path) -> str:
    """Return what the suite's report on a case says of it."""
    said = json.loads(report.read_text(errors="replace"))
    return f"{said['result']} {said['resultClose']} ({report})"


def main(argv: list[str] | None = None) -> int:
    """Run the suite and return the exit code: 0 where all is as it has to be, or where there is no Python for it."""
    options = arguments(argv)
    python = find_python()
    if python is None:
        print("==> skipped: the Autobahn Testsuite needs Python 2.7 with pip, and there is none on PATH or in pyenv")
        return 0
    try:
        suite = install(python)
        every = suite.cases()
        cases = select(options.cases or (QUICK if options.quick else ALL), every)
    except (SuiteError, ValueError) as error:
        print(f"==> {error}", file=sys.stderr)
        return 2
    chosen: list[Combination] = [*itertools.chain(*pairs(options.host))] if options.host else combinations(options)
    print(f"==> Autobahn Testsuite {VERSION}: {len(cases)} of {len(every)} cases, {len(chosen)} times", flush=True)
    try:
        runs = asyncio.run(run_all(suite, chosen, cases, options))
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("==> broken off", file=sys.stderr)
        return 130
    print(table({str(combination): done.results for combination, done in runs.items() if isinstance(done, Run)}))
    if options.host:
        wrong = hosts_faults(runs, options.host)
    else:
        wrong = [line for combination, done in runs.items() for line in faults(combination, done, cases)]
    for line in wrong:
        print(f"==> {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
