"""`run`: another program, with this codec under the libraries that it uses.

The program runs as it would without us: it is what this process becomes. Only its environment is another one: there is
a folder on PYTHONPATH whose `sitecustomize` waits for hosts to be imported. Processes that it starts inherit that.

Floor 6.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from importlib.machinery import PathFinder

from wscodec.dropin._hosts import HOSTS, Host

from .report import complain, why

__all__ = ["HELP", "configure", "run"]

HELP = "run a program with this codec under the servers and libraries that it uses"

SITE = os.path.join(os.path.dirname(__file__), "site")

# What Python ignores for itself. It would stay ignored, in shell scripts, say, and in all that those start.
_IGNORED = [getattr(signal, name) for name in ("SIGPIPE", "SIGXFSZ") if hasattr(signal, name)]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `run`."""
    parser.usage = "%(prog)s [--only NAME,...] -- PROGRAM [ARGUMENT ...]"
    parser.add_argument("--only", metavar="NAME,...", help=f"leave others alone than these, of {', '.join(HOSTS)}")
    parser.add_argument(
        "program", nargs="?", metavar="PROGRAM", help="a console script, -m and a module, or a .py file"
    )
    parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="ARGUMENT", help="what the program is given")


def run(args: argparse.Namespace) -> int:
    """Become the program; 2 where there is no such program, or no such host."""
    try:
        hosts = _hosts(args.only)
        command = _command(args.program, args.arguments)
    except LookupError as error:
        complain("run", error.args[0])
        return 2
    try:
        return _become(command, _environment(hosts))
    except OSError as error:
        complain("run", f"can't run {command[0]}: {why(error)}")
        return 1


def _hosts(only: str | None) -> list[Host]:
    """Return the hosts that are installed, of those that are wanted; say what is missed."""
    names = list(HOSTS) if only is None else [name.strip() for name in only.split(",")]
    for name in names:
        if name not in HOSTS:
            raise LookupError(f"--only: {name!r} is none of {', '.join(HOSTS)}")
    missing = [name for name in names if HOSTS[name].version is None]
    if missing and (only is not None or missing == names):
        complain("run", f"not installed: {', '.join(missing)}")
    return [HOSTS[name] for name in names if name not in missing]


def _command(program: str | None, arguments: list[str]) -> list[str]:
    """Return the command line of the program; LookupError where there is no such program."""
    if program is None:
        raise LookupError("nothing to run: the program stands behind --")
    if program == "-m":
        if not arguments or not _is_module(arguments[0]):
            raise LookupError(f"there is no module {' '.join(arguments[:1])!r}")
        return [sys.executable, "-m", *arguments]
    if program.endswith(".py"):
        if not os.path.isfile(program):
            raise LookupError(f"there is no file {program!r}")
        return [sys.executable, program, *arguments]
    script = shutil.which(program, path=_script_folders())
    if script:
        return [script, *arguments]
    if _is_module(program):
        return [sys.executable, "-m", program, *arguments]
    raise LookupError(f"there is no console script and no module {program!r} for {sys.executable}")


def _environment(hosts: list[Host]) -> dict[str, str]:
    """Return the environment of the program."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WSCODEC_RUN")}
    environment["WSCODEC_RUN"] = ",".join(f"{host.name}={host.module}" for host in hosts)
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [SITE, os.environ.get("PYTHONPATH")]))
    return environment


def _script_folders() -> str:
    """Return where this Python has its console scripts: in its environment, and in the user's own."""
    user = sysconfig.get_path("scripts", sysconfig.get_preferred_scheme("user"))
    return os.pathsep.join([os.path.dirname(sys.executable), sysconfig.get_path("scripts"), user])


def _is_module(name: str) -> bool:
    """Return whether `python -m` finds the module, or its package; nothing is imported."""
    package = name.partition(".")[0]
    if not package.isidentifier():
        return False
    return bool(PathFinder.find_spec(package, [os.getcwd()]) or importlib.util.find_spec(package))


def _become(command: list[str], environment: dict[str, str]) -> int:
    """Replace this process by another one; on Windows, which can't, wait for it and return its exit code."""
    if os.name != "nt":
        sys.stderr.flush()
        handlers = {number: signal.signal(number, signal.SIG_DFL) for number in _IGNORED}
        try:
            os.execve(command[0], command, environment)
        finally:  # here only where there is no such program
            for number, handler in handlers.items():
                signal.signal(number, handler)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the program
    return subprocess.run(command, env=environment, check=False).returncode
