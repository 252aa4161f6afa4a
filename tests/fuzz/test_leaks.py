"""What the targets do on the compiled modules, done again and again, leaves no object behind."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from all_targets import TARGETS
from cases import Case, observe_all
from implementations import COMPILED

CASES = 10
ROUNDS = 40  # caches and free lists fill in the first ones; what is random makes some more noise
QUIET = 2  # so many rounds that leave nothing are no chance
# Bytes of a round that are no leak of ours: some Pythons keep the names of tasks.
SLACK = {"channel": 300}
OURS = [target for target in TARGETS if not target.startswith(("websockets_", "wsproto_"))]

pytestmark = pytest.mark.skipif(not COMPILED, reason="there are no compiled modules")


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start(1)
    yield
    tracemalloc.stop()


def settles(drawn: list[Any], slack: int = 0) -> bool:
    """Return whether rounds of the cases come to leave no more memory in use than those before, but for `slack`."""
    before = quiet = 0
    for _ in range(ROUNDS):
        for _ in observe_all(COMPILED[0], drawn):
            pass
        gc.collect()
        after = tracemalloc.get_traced_memory()[0]
        quiet += before and after <= before + slack
        if quiet == QUIET:
            return True
        before = after
    return False


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("target", OURS)
def test_leaks_none(target: str) -> None:
    cases = [Case(target, seed=7, number=number).draw() for number in range(CASES)]
    assert settles(cases, SLACK.get(target, 0))


@pytest.mark.usefixtures("traced")
def test_leaks_are_seen() -> None:
    kept: list[bytes] = []
    assert not settles([lambda _: kept.append(bytes(1000))] * CASES)
