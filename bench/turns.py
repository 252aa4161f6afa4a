"""A rival's process works only when it is its turn.

It says on its standard output what it wants to do next, waits for a line on its standard input, and does it; what
pytest prints goes to standard error.
"""

from __future__ import annotations

import os
import sys


class Turns:
    """Waits for this process's turn; a plugin of pytest, so that `conftest.py` finds it."""

    def __init__(self) -> None:
        # Copies, since pytest takes the originals away.
        self._grants = os.fdopen(os.dup(0))
        self._wishes = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)

    def wait(self, case: int, step: int) -> None:
        """Ask for a step of a case and wait until it may be done."""
        print(case, step, file=self._wishes, flush=True)
        if not self._grants.readline():
            sys.exit("the runner is gone")
