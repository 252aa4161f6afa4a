"""What is measured with a drop-in and without, turn by turn: medians, and the ratios of what was measured together."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from ..table import cell, figure

T = TypeVar("T")
Work = Callable[[], object]
Pairs = list[tuple[float, float]]
# A title, how many messages it is, and what makes the work, with the drop-in or without.
Cases = Iterable[tuple[str, int, Callable[[bool], Work]]]

TIMES = ["with", "without", "ratio"]


def measured(rounds: int, measure: Callable[[bool], T]) -> list[tuple[T, T]]:
    """Return what is measured with the drop-in and without, in so many rounds."""
    return [(measure(True), measure(False)) for _ in range(rounds)]


def times(pairs: Pairs, digits: int) -> list[str]:
    """Return the cells for below TIMES, of seconds: both medians in microseconds, and the ratio."""
    return [*medians(pairs, 1e6, digits), ratio(pairs)]


def medians(pairs: Pairs, factor: float, digits: int) -> list[str]:
    """Return the cells of both medians."""
    return [f"{statistics.median(values) * factor:,.{digits}f}" for values in zip(*pairs, strict=True)]


def ratio(pairs: Pairs) -> str:
    """Return the cell of how many times more it is without the drop-in."""
    return cell(figure([theirs / ours for ours, theirs in pairs]))


def alone(cases: Cases, rounds: int, least: float) -> Iterator[list[str]]:
    """Measure work that has its process for itself, each time for at least so many seconds."""
    yield ["us per message", *TIMES]
    for title, count, make in cases:
        yield [title, *times(per_message(make, count, rounds, least), 2)]


def per_message(make: Callable[[bool], Work], count: int, rounds: int, least: float) -> Pairs:
    """Return what one of so many messages takes, in seconds."""
    works = {ours: make(ours) for ours in (True, False)}
    return measured(rounds, lambda ours: seconds_of(works[ours], least) / count)


def seconds_of(work: Work, least: float) -> float:
    """Return the CPU time of some work, which is done again and again for at least so many seconds."""
    count, start = 0, time.process_time()
    while True:
        work()
        count += 1
        taken = time.process_time() - start
        if taken > least:
            return taken / count
