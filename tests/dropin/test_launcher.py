"""The launcher: it runs a program as it would run without, but for the drop-ins, in all of its processes."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from launching import RUN, TIMEOUT, environment, free_port, needs_signals, talk

import wscodec.dropin
from wscodec.asyncio import ClientConnection
from wscodec.cli import main
from wscodec.cli import run as launcher
from wscodec.dropin._hosts import HOSTS, Host

pytestmark = pytest.mark.timeout(2 * TIMEOUT)
INSTALLED = [host for host in HOSTS.values() if host.version is not None]

needs_wsproto = pytest.mark.skipif(HOSTS["wsproto"].version is None, reason="wsproto is not installed")


def run(*command: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder, with more variables in the environment."""
    variables = {**environment(), **variables}
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=TIMEOUT)


def old_pythons(name: str) -> list[str]:
    """Return a Python from `PATH` or from pyenv that is older than ours may be, if there is one that runs."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    found = [shutil.which(name), *map(str, pyenv.glob(f"versions/*/bin/{name}"))]
    runs = [path for path in found if path and subprocess.run([path, "-c", ""], capture_output=True).returncode == 0]
    return runs[:1]


def outcome(done: subprocess.CompletedProcess[str]) -> tuple[int, str, str]:
    return done.returncode, done.stdout, done.stderr


# ------------------------------------------------------------------------------------------------------ the table


@pytest.mark.parametrize("host", HOSTS.values(), ids=list(HOSTS))
def test_each_host_has_its_dropin(host: Host) -> None:
    assert (Path(wscodec.dropin.__file__).parent / f"{host.dropin}.py").exists()


def test_the_documentation_names_each_host() -> None:
    document = Path(__file__).parents[2] / "docs" / "launcher.md"
    assert re.findall(r"^\| `([\w-]+)` \|", document.read_text("utf-8"), re.M) == list(HOSTS)


def test_all_that_is_installed_is_told_of_once(tmp_path: Path) -> None:
    imports = ";".join(f"import {host.module}" for host in INSTALLED)
    done = run(*RUN, "--", "python", "-W", "ignore", "-c", f"{imports};{imports}", folder=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    told = [re.match(r"wscodec (?:accelerates|stays out of) ([\w-]+)", line)[1] for line in done.stderr.splitlines()]
    assert sorted(told) == sorted(host.name for host in INSTALLED)


# ------------------------------------------------------------------------------------------- a program, unchanged

FACTS = """
import __main__, json, os, signal, sys
facts = [sys.argv, sys.orig_argv, sys.path, sys.flags, sys.warnoptions, vars(__main__)["__file__"]]
facts += [__name__, __spec__ and __spec__.name, os.getcwd(), str(signal.getsignal(signal.SIGINT))]
facts += [sorted(sys.modules.keys() - {"sitecustomize", "wscodec_finder", "__future__"})]
facts += [len(sys.meta_path)]
print(json.dumps(facts))
"""


@pytest.mark.parametrize("way", ["file", "module", "python"])
def test_the_program_sees_what_it_sees_without(tmp_path: Path, way: str) -> None:
    (tmp_path / "facts.py").write_text(FACTS)
    python = os.path.join(os.path.dirname(sys.executable), "python")
    commands = {
        "file": ([sys.executable, "facts.py"], ["facts.py"]),
        "module": ([sys.executable, "-m", "facts"], ["-m", "facts"]),
        "python": ([python, "-X", "dev", "-O", "facts.py"], ["python", "-X", "dev", "-O", "facts.py"]),
    }
    alone, launched = commands[way]
    arguments = ["a b", "--", "--only", "-m"]
    expected = run(*alone, *arguments, folder=tmp_path)
    done = run(*RUN, "--", *launched, *arguments, folder=tmp_path)
    assert (done.returncode, done.stderr) == (expected.returncode, expected.stderr) == (0, "")
    found, wanted = json.loads(done.stdout), json.loads(expected.stdout)
    assert found.pop() == wanted.pop() + 1
    assert found == wanted


@pytest.mark.parametrize("ending", ["raise ValueError('x')", "raise SystemExit(7)", "import os; os._exit(9)", "1 +"])
def test_the_program_ends_as_it_does_without(tmp_path: Path, ending: str) -> None:
    (tmp_path / "program.py").write_text(ending)
    expected = run(sys.executable, "program.py", folder=tmp_path)
    assert outcome(run(*RUN, "program.py", folder=tmp_path)) == outcome(expected)


@needs_signals
def test_a_program_that_is_no_python_has_its_signals(tmp_path: Path) -> None:
    """Python ignores some for itself; a shell would hand that on to all that it starts."""
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\nkill -s PIPE $$\necho ignored\n")
    script.chmod(0o700)
    done = run(*RUN, str(script), folder=tmp_path)
    assert outcome(done) == (-signal.SIGPIPE, "", "")


@pytest.mark.parametrize("own", ["print('mine', __name__)", "raise ValueError('mine')", "import no_such"])
def test_a_sitecustomize_of_the_users_own_is_run(tmp_path: Path, own: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(own)
    (tmp_path / "program.py").write_text("import sys; print(sys.modules.get('sitecustomize'))")
    # Without the launcher's own process, whose Python imports it, too.
    path = os.pathsep.join([launcher.SITE, str(tmp_path)])
    expected = run(sys.executable, "program.py", folder=tmp_path, PYTHONPATH=str(tmp_path))
    done = run(sys.executable, "program.py", folder=tmp_path, PYTHONPATH=path, WSCODEC_RUN="wsproto=wsproto.connection")
    assert "sitecustomize" in expected.stdout + expected.stderr
    assert outcome(done) == outcome(expected)


def test_what_any_python_imports_is_understood_by_the_oldest() -> None:
    """No Python before 3.11 reads more of ours than this file: it may be an old one that a program starts."""
    tree = ast.parse(Path(launcher.SITE, "sitecustomize.py").read_text("ascii"))
    imported = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert [node.module for node in imported] == ["wscodec_finder"]
    too_new = (ast.AnnAssign, ast.AsyncFunctionDef, ast.FunctionDef, ast.JoinedStr, ast.NamedExpr, ast.Nonlocal)
    assert not [node for node in ast.walk(tree) if isinstance(node, too_new)]


OLD_PYTHONS = [path for name in ("python2.7", "python3.6", "python3.10") for path in old_pythons(name)]


@pytest.mark.parametrize("python", OLD_PYTHONS)
def test_an_old_python_notices_nothing(tmp_path: Path, python: str) -> None:
    (tmp_path / "sitecustomize.py").write_text("print('mine')")
    (tmp_path / "program.py").write_text("import sys; print(sys.path, len(sys.meta_path))")
    path = os.pathsep.join([launcher.SITE, str(tmp_path)])
    expected = run(python, "program.py", folder=tmp_path, PYTHONPATH=str(tmp_path))
    done = run(python, "program.py", folder=tmp_path, PYTHONPATH=path, WSCODEC_RUN="wsproto=wsproto.connection")
    assert expected.stdout.startswith("mine\n")
    assert outcome(done) == outcome(expected)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "nothing to run"),
        (["--"], "nothing to run"),
        (["--", "no-such"], "there is no console script and no module 'no-such' for"),
        (["--", "no.such"], "there is no console script and no module 'no.such' for"),
        (["--", ""], "there is no console script and no module '' for"),
        (["--", "-c", "1"], "there is no console script and no module '-c' for"),
        (["--", "-m"], "there is no module ''"),
        (["--", "-m", "no_such.module"], "there is no module 'no_such.module'"),
        (["--", "no_such.py"], "there is no file 'no_such.py'"),
        (["--only", "no_such", "--", "python"], "--only: 'no_such' is none of uvicorn, wsproto"),
        (["--only", "wsproto,", "--", "python"], "--only: '' is none of"),
    ],
)
def test_what_can_not_be_run_is_one_line_and_exit_code_2(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", *arguments]) == 2
    out, error = capsys.readouterr()
    assert error.startswith(f"wscodec run: {complaint}")
    assert (out, error.count("\n")) == ("", 1)


@needs_signals
def test_a_script_that_can_not_be_executed_is_exit_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = tmp_path / "script"
    script.write_text("#!/no/such/python\n")
    script.chmod(0o700)
    assert main(["run", "--", str(script)]) == 1
    assert capsys.readouterr().err == f"wscodec run: can't run {script}: No such file or directory\n"
    assert signal.getsignal(signal.SIGPIPE) is signal.SIG_IGN  # as before, in this process


def test_the_options_of_a_program_are_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    become: list[list[str]] = []
    monkeypatch.setattr(launcher, "_become", lambda command, environment: become.append(command) or 0)
    for arguments in (["--", "-m", "json", "-h"], ["json", "-h"], ["--only", "wsproto", "--", "json", "-h"]):
        assert main(["run", *arguments]) == 0
    assert become == [[sys.executable, "-m", "json", "-h"]] * 3


def test_what_is_wanted_and_not_installed_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def version(name: str) -> str:
        if name == "uvicorn":
            return "0.54.0"
        raise metadata.PackageNotFoundError(name)

    told: list[str] = []
    monkeypatch.setattr(launcher, "_become", lambda _, environment: told.append(environment["WSCODEC_RUN"]) or 0)
    monkeypatch.setattr(metadata, "version", version)
    for only in ([], ["--only", "uvicorn,tornado"], ["--only", "wsproto"]):
        assert main(["run", *only, "--", "json"]) == 0
    assert told == ["uvicorn=uvicorn.config", "uvicorn=uvicorn.config", ""]
    assert capsys.readouterr().err == "wscodec run: not installed: tornado\nwscodec run: not installed: wsproto\n"


# --------------------------------------------------------------------------------------------------- accelerating

MODULE_SEEN = """
import importlib.util, inspect, json, sys
assert importlib.util.find_spec("wsproto").loader.get_filename("wsproto") == importlib.util.find_spec("wsproto").origin
assert "wscodec" not in sys.modules
import wsproto.frame_protocol as early
import wsproto
facts = [wsproto.connection.FrameProtocol.__module__, early.FrameProtocol.__module__]
for module in (wsproto, wsproto.connection, early):
    assert module.__loader__ is module.__spec__.loader
    facts += [type(module.__loader__).__name__, len(inspect.getsource(module))]
print(json.dumps(facts))
"""


@needs_wsproto
def test_a_host_is_accelerated_once_it_is_imported_and_shows_no_trace(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(MODULE_SEEN)
    expected = run(sys.executable, "program.py", folder=tmp_path)
    done = run(*RUN, "--only", "wsproto", "--", "program.py", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, f"wscodec accelerates wsproto {HOSTS['wsproto'].version}\n")
    assert json.loads(done.stdout) == ["wscodec.dropin.wsproto", *json.loads(expected.stdout)[1:]]


PROCESSES = """
import multiprocessing, subprocess, sys
import wsproto.connection
def tell():
    print(wsproto.connection.FrameProtocol.__module__, flush=True)
if __name__ == "__main__":
    for method in multiprocessing.get_all_start_methods():
        process = multiprocessing.get_context(method).Process(target=tell)
        process.start()
        process.join()
    subprocess.run([sys.executable, "-c", "import program; program.tell()"], check=True)
"""


@needs_wsproto
def test_the_programs_own_processes_are_accelerated_and_it_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROCESSES)
    done = run(*RUN, "program.py", folder=tmp_path)
    assert set(done.stdout.splitlines()) == {"wscodec.dropin.wsproto"}
    assert done.stdout.count("\n") >= 2
    assert (done.returncode, done.stderr) == (0, f"wscodec accelerates wsproto {HOSTS['wsproto'].version}\n")


OLD_LOADER = """
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
class Old:
    def find_spec(self, name, path, target=None):
        return ModuleSpec(name, self) if name == "wsproto" else None
    def load_module(self, name):
        return sys.modules.setdefault(name, ModuleType(name))
sys.meta_path.append(Old())
sys.path.clear()
import wsproto
print(vars(wsproto)["__name__"], type(wsproto.__loader__))
"""


@pytest.mark.skipif(sys.version_info >= (3, 15), reason="Python has no such loaders any more")
def test_a_loader_of_the_old_kind_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(OLD_LOADER)
    expected = run(sys.executable, "program.py", folder=tmp_path)
    assert outcome(run(*RUN, "program.py", folder=tmp_path)) == outcome(expected)
    assert expected.returncode == 0


IN_A_THREAD = """
import threading
from wscodec.dropin import _hosts
def accelerate(name):
    def test():
        import wsproto
        import wsproto.connection
        print(wsproto.connection.__name__)
    thread = threading.Thread(target=test, daemon=True)
    thread.start()
    thread.join(20)
    return f"{name} {thread.is_alive()}"
_hosts.accelerate = accelerate
import %s
"""


@needs_wsproto
@pytest.mark.parametrize("module", ["wsproto", "wsproto.connection"])
def test_a_self_test_may_import_the_host_in_a_thread(tmp_path: Path, module: str) -> None:
    (tmp_path / "program.py").write_text(IN_A_THREAD % module)
    done = run(*RUN, "--only", "wsproto", "--", "program.py", folder=tmp_path)
    assert outcome(done) == (0, "wsproto.connection\n", "wsproto False\n")


@pytest.mark.parametrize(
    ("version", "reason"),
    [("9.0", "LookupError: version 9.0 is not one that it knows"), ("1.2", "ModuleNotFoundError: No module named ")],
)
def test_a_host_that_does_not_fit_is_left_alone_in_one_line(tmp_path: Path, version: str, reason: str) -> None:
    """The second one has the right version, and nothing that a drop-in needs."""
    described = tmp_path / f"wsproto-{version}.dist-info"
    described.mkdir()
    (described / "METADATA").write_text(f"Metadata-Version: 2.1\nName: wsproto\nVersion: {version}\n")
    if version == "1.2":
        (tmp_path / "wsproto").mkdir()
        (tmp_path / "wsproto" / "__init__.py").touch()
        (tmp_path / "wsproto" / "connection.py").write_text("FrameProtocol = None")
    elif HOSTS["wsproto"].version is None:
        pytest.skip("wsproto is not installed")
    (tmp_path / "program.py").write_text("import wsproto.connection; print(wsproto.connection.FrameProtocol)")
    variables = {"PYTHONPATH": os.pathsep.join([str(tmp_path), environment()["PYTHONPATH"]])}
    expected = run(sys.executable, "program.py", folder=tmp_path, **variables)
    done = run(*RUN, "--", sys.executable, "-W", "error", "program.py", folder=tmp_path, **variables)
    assert (done.returncode, done.stdout) == (0, expected.stdout)
    assert done.stderr.startswith(f"wscodec stays out of wsproto, which works on as it is: {reason}")
    assert done.stderr.count("\n") == 1


# ---------------------------------------------------------------------------------------- servers with processes

APP = """
import sys
async def app(scope, receive, send):
    if scope["type"] != "websocket":
        return
    await receive()
    await send({"type": "websocket.accept"})
    wsproto = sys.modules.get("wsproto.connection")
    told = [type(getattr(receive, "__self__", None)).__module__, wsproto and wsproto.FrameProtocol.__module__]
    await send({"type": "websocket.send", "text": f"{scope['path']} {told}"})
    await receive()
"""
SERVERS = {
    "uvicorn": ("uvicorn", "uvicorn app:app --workers 2 --port {}"),
    "hypercorn": ("wsproto", "hypercorn app:app --workers 2 --bind 127.0.0.1:{}"),
    "gunicorn": ("uvicorn", "gunicorn app:app --worker-class uvicorn_worker.UvicornWorker --bind 127.0.0.1:{}"),
}


@needs_signals
@pytest.mark.parametrize("server", SERVERS)
def test_servers_are_accelerated_in_their_worker_processes(tmp_path: Path, server: str) -> None:
    host, command = SERVERS[server]
    needed = ["gunicorn", "uvicorn_worker"] if server == "gunicorn" else [server, host]
    missing = [module for module in needed if importlib.util.find_spec(module) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    (tmp_path / "app.py").write_text(APP)
    seen: list[Any] = []

    async def listen(ws: ClientConnection) -> None:
        seen.append(await ws.recv())

    port = free_port()
    errors = talk([*RUN, "--", *command.format(port).split()], port, tmp_path, listen)
    assert f"wscodec.dropin.{host}" in seen[0]
    assert errors.count(f"wscodec accelerates {host} {HOSTS[host].version}\n") == 1
