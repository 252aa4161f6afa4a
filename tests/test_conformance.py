"""`make conformance`: what it takes for good, what it selects, and that it ends what it starts.

The suite itself needs Python 2.7 and is played by a program of a few lines here.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conformance import __main__ as command
from conformance import running, suite, testee
from conformance.hosts import changes, pairs
from conformance.running import Combination, Run
from conformance.suite import Suite, SuiteError, case_key
from conformance.verdict import QUICK, Result, bad_results, read_results, select, table

from wscodec.asyncio import serve

CASES = ["1.1.1", "1.1.2", "1.2.1", "2.1", "7.1.6", "7.13.1", "10.1.1", "12.1.1", "12.1.2", "12.10.1"]
GOOD = Result("OK", "OK")

# Plays the suite's client: it says which case it plays, and reports what it was told to.
FAKE = """\
import json, sys
mode, path, verdicts = sys.argv[1:]
spec = json.load(open(path))
agent = spec["servers"][0]["agent"]
results = {}
for case in spec["cases"]:
    print(f"Running test case ID {case} for agent {agent} from peer {spec['servers'][0]['url']}", flush=True)
    behavior, close = json.loads(verdicts).get(case, ["OK", "OK"])
    report = f"{case}.json"
    results[case] = {"behavior": behavior, "behaviorClose": close, "duration": 1, "reportfile": report}
    open(f"{spec['outdir']}/{report}", "w").write(json.dumps({"result": "why", "resultClose": "why close"}))
json.dump({agent: results}, open(f"{spec['outdir']}/index.json", "w"))
"""
STUCK = "import time; print('Running test case ID 1.1.1 for agent', flush=True); time.sleep(600)"


@dataclass(frozen=True)
class FakeSuite(Suite):
    """A suite whose verdicts are told beforehand, or that is a program of its own."""

    verdicts: str = "{}"
    program: str = FAKE

    @property
    def environment(self) -> dict[str, str]:
        return dict(os.environ)

    def command(self, mode: str, spec: Path) -> list[str]:
        return [self.python, "-c", self.program, mode, str(spec), self.verdicts]

    def cases(self) -> list[str]:
        return CASES


def fake(program: str = FAKE, **verdicts: Sequence[str]) -> FakeSuite:
    """Return a suite with these verdicts; `case_1_1_1` stands for "1.1.1"."""
    named = {name.removeprefix("case_").replace("_", "."): verdict for name, verdict in verdicts.items()}
    return FakeSuite(sys.executable, json.dumps(named), program)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class TestReadResults:
    def write(self, folder: Path, text: str) -> Path:
        path = folder / "index.json"
        path.write_text(text)
        return path

    def test_results_are_those_of_the_agent(self, tmp_path: Path) -> None:
        entry = {"behavior": "OK", "behaviorClose": "UNCLEAN", "duration": 3, "reportfile": "a.json", "other": None}
        path = self.write(tmp_path, json.dumps({"other": {}, "pure-server": {"1.1.1": entry}}))
        assert read_results(path, "pure-server") == {"1.1.1": Result("OK", "UNCLEAN", 3, "a.json")}

    @pytest.mark.parametrize("text", ["", "{", "{}", '{"other": {}}', '{"pure-server": {"1.1.1": {}}}'])
    def test_what_is_no_report_is_an_error(self, tmp_path: Path, text: str) -> None:
        path = self.write(tmp_path, text)
        with pytest.raises(SuiteError, match="has no results of pure-server"):
            read_results(path, "pure-server")

    def test_missing_report_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(SuiteError, match="has no results"):
            read_results(tmp_path / "index.json", "pure-server")


class TestBadResults:
    def test_ok_is_good(self) -> None:
        assert bad_results(dict.fromkeys(CASES, GOOD), CASES) == {}

    @pytest.mark.parametrize("behavior", ["FAILED", "NON-STRICT", "UNIMPLEMENTED", "INFORMATIONAL", "WRONG CODE", ""])
    def test_everything_else_is_bad(self, behavior: str) -> None:
        assert bad_results({"1.1.1": Result(behavior, "OK")}, ["1.1.1"]) == {"1.1.1": f"{behavior}, close OK"}

    @pytest.mark.parametrize("close", ["FAILED", "UNCLEAN", "WRONG CODE", "FAILED BY CLIENT", "INFORMATIONAL"])
    def test_close_that_is_not_ok_is_bad(self, close: str) -> None:
        assert bad_results({"1.1.1": Result("OK", close)}, ["1.1.1"]) == {"1.1.1": f"OK, close {close}"}

    @pytest.mark.parametrize("case", ["7.1.6", "7.13.1", "7.13.2"])
    def test_case_without_verdict_may_be_informational(self, case: str) -> None:
        assert bad_results({case: Result("INFORMATIONAL", "INFORMATIONAL")}, [case]) == {}
        assert bad_results({case: Result("INFORMATIONAL", "OK")}, [case]) == {}
        assert bad_results({case: Result("FAILED", "INFORMATIONAL")}, [case]) == {case: "FAILED, close INFORMATIONAL"}

    def test_case_that_was_not_played_is_bad(self) -> None:
        assert bad_results({"1.1.1": GOOD}, ["1.1.1", "1.1.2"]) == {"1.1.2": "not played"}
        assert bad_results({}, ["1.1.1"]) == {"1.1.1": "not played"}


class TestSelect:
    @pytest.mark.parametrize(
        ("patterns", "cases"),
        [
            (["1"], CASES[:3]),
            (["1.*"], CASES[:3]),
            (["1.1"], CASES[:2]),
            (["1.1.*"], CASES[:2]),
            (["12.1"], ["12.1.1", "12.1.2"]),
            (["7.13.1"], ["7.13.1"]),
            (["1-10"], CASES[:7]),
            (["7-10", "2"], CASES[3:7]),
            (["1", "1.1.1", "1-2"], CASES[:4]),
            (list(command.ALL), CASES),
        ],
    )
    def test_pattern_names_whole_numbers(self, patterns: list[str], cases: list[str]) -> None:
        assert select(patterns, CASES) == cases

    @pytest.mark.parametrize("pattern", ["8", "1.1.9", "10-9", "11", "1.1.1.1"])
    def test_pattern_without_cases_is_an_error(self, pattern: str) -> None:
        with pytest.raises(ValueError, match="there is no case"):
            select(["1", pattern], CASES)

    @pytest.mark.parametrize("pattern", ["", "x", "*", "1-2-3", "1.1-1.2", "1..1"])
    def test_nonsense_is_an_error(self, pattern: str) -> None:
        with pytest.raises(ValueError, match="not a case, nor some"):
            select([pattern], CASES)

    def test_quick_run_has_groups_1_to_10_and_a_dozen_of_compression(self) -> None:
        """What exists is only known to the suite: 18 cases for each of 5 payloads and of 7 sets of parameters."""
        compression = [f"{group}.{part}.{n}" for group, parts in ((12, 5), (13, 7)) for part in range(1, parts + 1)
                       for n in range(1, 19)]  # fmt: skip
        chosen = select(QUICK, [*CASES[:7], *compression])
        assert chosen[:7] == CASES[:7]
        assert {case.rpartition(".")[0] for case in chosen[7:]} == {case.rpartition(".")[0] for case in compression}
        assert len(chosen[7:]) <= 15


def test_cases_are_sorted_by_their_numbers() -> None:
    assert sorted(sorted(CASES), key=case_key) == CASES != sorted(CASES)


def test_table_counts_by_group() -> None:
    server = {**dict.fromkeys(CASES[:4], GOOD), "7.1.6": Result("INFORMATIONAL", "INFORMATIONAL")}
    client = {"1.1.1": Result("NON-STRICT", "OK"), "1.1.2": Result("OK", "UNCLEAN"), "1.2.1": GOOD}
    assert table({"server": server, "client": client}).splitlines() == [
        "| group |  | server | client |",
        "| --- | --- | --- | --- |",
        "| 1 | framing | 3 OK | 1 OK, 1 NON-STRICT, 1 close UNCLEAN |",
        "| 2 | pings and pongs | 1 OK | none |",
        "| 7 | closing | 1 INFORMATIONAL | none |",
        "| all |  | 4 OK, 1 INFORMATIONAL | 1 OK, 1 NON-STRICT, 1 close UNCLEAN |",
    ]


class TestCommand:
    @pytest.fixture
    def main(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., int]:
        """Returns what runs the command on our server, on pure Python, with a suite that is none."""

        def run(fake_suite: Suite, *arguments: str) -> int:
            monkeypatch.setattr(command, "find_python", lambda: sys.executable)
            monkeypatch.setattr(command, "install", lambda python: fake_suite)
            return command.main(["--backend", "pure", "--role", "server", "--reports", str(tmp_path), *arguments])

        return run

    def test_without_python_2_it_is_skipped(self, monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Path) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
        assert command.main([]) == 0
        assert "skipped: the Autobahn Testsuite needs Python 2.7" in capsys.readouterr().out

    def test_all_ok_is_exit_code_0(self, main: Callable[..., int], capsys: Any) -> None:
        assert main(fake(), "--cases", "1", "2.1") == 0
        out, err = capsys.readouterr()
        assert "server, pure: 4 cases" in out
        assert "| 1 | framing | 3 OK |" in out
        assert err == ""

    def test_bad_case_is_exit_code_1_and_explained(self, main: Callable[..., int], capsys: Any) -> None:
        assert main(fake(case_1_1_2=["NON-STRICT", "OK"], case_2_1=["OK", "UNCLEAN"])) == 1
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 2
        assert lines[0].startswith("==> server, pure: case 1.1.2: NON-STRICT, close OK; why why close (")
        assert lines[1].startswith("==> server, pure: case 2.1: OK, close UNCLEAN; why why close (")

    def test_case_that_is_not_there_is_exit_code_2(self, main: Callable[..., int], capsys: Any) -> None:
        assert main(fake(), "--cases", "14") == 2
        assert capsys.readouterr().err == "==> there is no case 14\n"

    def test_suite_that_fails_is_exit_code_1(self, main: Callable[..., int], capsys: Any) -> None:
        assert main(fake("import sys; sys.exit('no such thing')"), "--cases", "1.1.1") == 1
        err = capsys.readouterr().err
        assert "server, pure: the suite has failed" in err
        assert "no such thing" in err

    def test_suite_that_fails_has_no_results_of_a_run_before(self, main: Callable[..., int], capsys: Any) -> None:
        assert main(fake(), "--cases", "1.1.1") == 0
        assert main(fake("pass"), "--cases", "1.1.1") == 1
        assert "has no results of pure-server" in capsys.readouterr().err

    def test_what_the_server_complains_about_is_a_fault(
        self, main: Callable[..., int], capsys: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")  # something on its stderr
        assert main(fake(), "--cases", "1.1.1") == 1
        assert "server, pure: on stderr:" in capsys.readouterr().err


class TestHosts:
    def test_changes_are_told_by_what_is_worse(self) -> None:
        good, lax, bad = GOOD, Result("NON-STRICT", "OK"), Result("FAILED", "UNCLEAN")
        informational = Result("INFORMATIONAL", "OK")
        before = {"1.1.1": good, "1.1.2": lax, "1.2.1": bad, "2.1": good, "7.1.6": good, "10.1.1": bad}
        after = {"1.1.1": lax, "1.1.2": good, "1.2.1": bad, "7.1.6": informational, "10.1.1": Result("FAILED", "OK")}
        assert list(changes(before, after)) == [
            ("1.1.1", 1, "OK (close OK) without, NON-STRICT (close OK) with"),
            ("1.1.2", -1, "NON-STRICT (close OK) without, OK (close OK) with"),
            ("2.1", 1, "OK (close OK) without, not played (close not played) with"),
            ("10.1.1", -1, "FAILED (close UNCLEAN) without, FAILED (close OK) with"),
        ]

    def test_worse_case_is_a_fault(self, tmp_path: Path, capsys: Any) -> None:
        without, with_ = pairs(["hypercorn"])[0]
        lax = Run(tmp_path, {"1.1.1": GOOD, "1.1.2": Result("NON-STRICT", "OK")}, 1, "")
        good = Run(tmp_path, {"1.1.1": GOOD, "1.1.2": GOOD}, 1, "")
        assert command.hosts_faults({without: lax, with_: good}, ["hypercorn"]) == []
        better = "hypercorn: case 1.1.2: NON-STRICT (close OK) without, OK (close OK) with\n"
        assert capsys.readouterr().out == better
        worse = "hypercorn: case 1.1.2: OK (close OK) without, NON-STRICT (close OK) with"
        assert command.hosts_faults({without: good, with_: lax}, ["hypercorn"]) == [worse]
        assert command.hosts_faults({without: good, with_: SuiteError("stuck")}, ["hypercorn"]) == ["stuck"]

    def test_host_is_played_without_the_drop_in_and_with_it(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any
    ) -> None:
        pytest.importorskip("uvicorn", reason="uvicorn is not installed")
        monkeypatch.setattr(command, "find_python", lambda: sys.executable)
        monkeypatch.setattr(command, "install", lambda python: fake())
        assert command.main(["--host", "uvicorn-websockets", "--cases", "1", "--reports", str(tmp_path)]) == 0
        out, err = capsys.readouterr()
        assert "| group |  | uvicorn-websockets, without | uvicorn-websockets, with |" in out
        assert err == ""


class TestProcesses:
    def test_stuck_suite_is_killed(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(running, "CASE_TIMEOUT", 1)
        monkeypatch.setattr(running, "END_TIMEOUT", 0.2)
        pids = self.recorded(monkeypatch)
        with pytest.raises(SuiteError, match="nothing happened for 1 s"):
            asyncio.run(self.play(fake(STUCK), tmp_path, print))
        assert len(pids) == 2
        assert not any(map(alive, pids))

    def test_cancelled_run_leaves_no_process(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(running, "END_TIMEOUT", 0.2)
        pids = self.recorded(monkeypatch)

        async def cancel() -> None:
            begun = asyncio.Event()
            task = asyncio.create_task(self.play(fake(STUCK), tmp_path, lambda case: begun.set()))
            await begun.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(cancel())
        assert len(pids) == 2
        assert not any(map(alive, pids))

    async def play(self, fake_suite: Suite, folder: Path, on_case: Callable[[str], object]) -> None:
        await running.run(fake_suite, Combination("server", "pure"), ["1.1.1"], folder, on_case)

    def recorded(self, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        """Return the list that the ids of all processes are appended to."""
        pids: list[int] = []
        start = asyncio.create_subprocess_exec

        async def record(*arguments: Any, **settings: Any) -> Any:
            process = await start(*arguments, **settings)
            pids.append(process.pid)
            return process

        monkeypatch.setattr(asyncio, "create_subprocess_exec", record)
        return pids


@asynccontextmanager
async def suite_server(count: int, asked: list[str], echoed: list[Any]) -> AsyncIterator[str]:
    """Serve as the suite does; case 2 breaks the rules."""

    async def handler(ws: Any) -> None:
        asked.append(ws.request.target)
        if "getCaseCount" in ws.request.target:
            await ws.send(str(count))
        elif "case=2&" in ws.request.target:
            ws.transport.write(b"\x83\x00")
            await ws.wait_closed()
        elif "runCase" in ws.request.target:
            for message in ("text", b"bytes"):
                await ws.send(message)
                echoed.append(await ws.recv())

    async with serve(handler, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"


class TestClient:
    def test_each_case_is_played_and_then_reported(self) -> None:
        asked: list[str] = []
        echoed: list[Any] = []

        async def play() -> None:
            async with suite_server(3, asked, echoed) as uri:
                await testee.run_client(uri, "me", 3)

        asyncio.run(play())
        runs = [f"/runCase?case={case}&agent=me" for case in (1, 2, 3)]
        assert asked == ["/getCaseCount", *runs, "/updateReports?agent=me"]
        assert echoed == ["text", b"bytes"] * 2

    def test_other_number_of_cases_is_an_error(self) -> None:
        async def play() -> None:
            async with suite_server(3, [], []) as uri:
                await testee.run_client(uri, "me", 4)

        with pytest.raises(ValueError, match="the suite has 3 cases, and not 4"):
            asyncio.run(play())

    def test_server_that_does_not_come_is_an_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(testee, "START_TIMEOUT", 0.3)
        started = time.monotonic()
        with pytest.raises(ConnectionRefusedError):
            asyncio.run(testee.case_count(f"ws://127.0.0.1:{running._free_port()}"))
        assert 0.2 < time.monotonic() - started < 20


def test_python_that_is_only_a_name_is_not_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As pyenv has a python2.7 on PATH that says that no such version was chosen."""
    shim, real = tmp_path / "bin" / "python2.7", tmp_path / "versions" / "2.7.18" / "bin" / "python2.7"
    for path, code in ((shim, 127), (real, 0)):
        path.parent.mkdir(parents=True)
        path.write_text(f"#!/bin/sh\nexit {code}\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{shim.parent}:/usr/bin:/bin")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    assert suite.find_python() == str(real)
    shim.write_text("#!/bin/sh\n")
    assert suite.find_python() == str(shim)
