"""What the targets do on the compiled modules, done again and again, leaves no object behind."""

from __future__ import annotations

import ctypes
import gc
import sys
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from all_targets import TARGETS
from cases import Case, observe_all
from implementations import COMPILED

from wscodec import Decoder, Role

CASES = 6
ROUNDS = 20  # caches and free lists fill in the first ones
QUIET = 2  # so many rounds that leave nothing are no chance

pytestmark = pytest.mark.skipif(not COMPILED, reason="there are no compiled modules")


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start(1)
    yield
    tracemalloc.stop()


def in_use() -> int:
    """Return how much memory is in use, in bytes, without what Python keeps of names that were looked up."""
    sys._clear_type_cache()
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def settles(drawn: list[Any]) -> bool:
    """Return whether rounds of the cases come to leave not one byte more in use than those before."""
    before = quiet = 0
    for _ in range(ROUNDS):
        for _ in observe_all(COMPILED[0], drawn):
            pass
        after = in_use()
        quiet += before and after <= before
        if quiet == QUIET:
            return True
        before = after
    return False


def cases_of(target: str) -> list[Any]:
    return [Case(target, seed=7, number=number).draw() for number in range(CASES)]


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("target", TARGETS)
def test_leaks_none(target: str) -> None:
    assert settles(cases_of(target))


def lose_decoder(_: object) -> None:
    """Count a reference to a Decoder that nobody has."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(Decoder(Role.SERVER)))


@pytest.mark.usefixtures("traced")
def test_one_lost_reference_a_round_is_seen() -> None:
    assert not settles([*cases_of("decoder")[:8], lose_decoder])
