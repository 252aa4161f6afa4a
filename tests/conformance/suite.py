"""The Autobahn Testsuite itself: finding a Python for it, installing it, asking it for its cases, running it.

It needs Python 2.7 and is installed, with all that it needs, into a folder of its own, which Python takes for the
place of a user's own packages.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Suite", "SuiteError", "case_key", "find_python", "install"]

ROOT = Path(__file__).parents[2]
HOME = ROOT / "build" / "autobahn"
VERSION = "25.10.1"

# The suite ends with the process that started it: nobody else has the other end of its stdin.
RUN = """\
import os, sys, threading

def watch():
    sys.stdin.read()
    os._exit(1)

watcher = threading.Thread(target=watch)
watcher.daemon = True
watcher.start()
from autobahntestsuite.wstest import run
run()
"""

LIST = """\
import json
from autobahntestsuite.case import Cases
print(json.dumps([case.__name__[len("Case"):].replace("_", ".") for case in Cases]))
"""

PROBE_TIMEOUT = 30
INSTALL_TIMEOUT = 600


class SuiteError(Exception):
    """The suite, or what it talks to, did not do what it was started for."""


@dataclass(frozen=True)
class Suite:
    """An installed suite.

    Attributes:
        python: the Python 2.7 that runs it.
    """

    python: str

    @property
    def environment(self) -> dict[str, str]:
        """The environment of its processes, without what is meant for another Python."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        return kept | {"PYTHONUSERBASE": str(HOME), "PYTHONWARNINGS": "ignore", "PYTHONDONTWRITEBYTECODE": "1"}

    def command(self, mode: str, spec: Path) -> list[str]:
        """Return the command that runs it.

        Args:
            mode: "fuzzingclient" or "fuzzingserver".
            spec: the file that tells it what to do. As a server it has no page to show.
        """
        return [self.python, "-u", "-c", RUN, "--mode", mode, "--spec", str(spec), "--webport", "0"]

    def cases(self) -> list[str]:
        """Return all its cases, such as "1.1.1", in order."""
        result = self._call("-c", LIST, timeout=PROBE_TIMEOUT)
        return sorted(json.loads(result), key=case_key)

    def install(self) -> None:
        """Install it; SuiteError where that fails."""
        packages = ("--user", "--ignore-installed", f"autobahntestsuite=={VERSION}")
        quietly = ("--disable-pip-version-check", "--quiet", "--no-warn-script-location")
        self._call("-m", "pip", "install", *quietly, *packages, timeout=INSTALL_TIMEOUT)

    def _call(self, *arguments: str, timeout: float) -> str:
        """Return what its Python prints."""
        try:
            result = subprocess.run(
                [self.python, *arguments], env=self.environment, capture_output=True, text=True, timeout=timeout
            )
        except subprocess.TimeoutExpired as error:
            raise SuiteError(f"{self.python} {arguments[:3]} took more than {timeout} s") from error
        if result.returncode:
            raise SuiteError(result.stdout[-1000:] + result.stderr[-3000:])
        return result.stdout


def case_key(case: str) -> tuple[int, ...]:
    """Return the numbers of a case, by which cases are sorted."""
    return tuple(map(int, case.split(".")))


def find_python() -> str | None:
    """Return a Python 2.7 that has pip, from `PATH` or from pyenv; None where there is none."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    found = [shutil.which("python2.7"), *map(str, sorted(pyenv.glob("versions/2.7*/bin/python2.7"), reverse=True))]
    return next((python for python in found if python and _has_pip(python)), None)


def _has_pip(python: str) -> bool:
    """Tell whether this is more than a name: pyenv has one for each Python, be it chosen or not."""
    try:
        result = subprocess.run([python, "-m", "pip", "--version"], capture_output=True, timeout=PROBE_TIMEOUT)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return result.returncode == 0


def install(python: str) -> Suite:
    """Install the suite, unless that was done; SuiteError where that fails."""
    suite = Suite(python)
    stamp = HOME / "installed"
    wanted = f"{VERSION} {python}\n"
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"==> installing the Autobahn Testsuite {VERSION} (half a minute or so)", flush=True)
        shutil.rmtree(HOME, ignore_errors=True)
        HOME.mkdir(parents=True)
        suite.install()
        stamp.write_text(wanted)
    return suite
