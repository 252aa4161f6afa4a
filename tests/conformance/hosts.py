"""Servers of others, with a drop-in of ours and without: no case is to be worse with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .running import Combination
from .verdict import Result, Results

__all__ = ["HOSTS", "Hosted", "changes", "pairs"]

HOSTS = ("uvicorn-websockets", "uvicorn-websockets-sansio", "hypercorn")
# From good to bad; the suite has no opinion on what is INFORMATIONAL.
RANKS = {"OK": 0, "INFORMATIONAL": 0, "NON-STRICT": 1}
WORST = 2


@dataclass(frozen=True)
class Hosted(Combination):
    """A server of others.

    Attributes:
        host: one of `HOSTS`.
        drop_in: whether it runs on our codec.
    """

    host: str
    drop_in: bool

    @property
    def agent(self) -> str:
        return f"{self.host}-{self._how}"

    @property
    def server(self) -> tuple[str, ...]:
        return "tests.conformance.hosted", self.host, self._how

    @property
    def _how(self) -> str:
        return "with" if self.drop_in else "without"

    def __str__(self) -> str:
        return f"{self.host}, {self._how}"


def pairs(hosts: list[str]) -> list[tuple[Hosted, Hosted]]:
    """Return what is compared: each host without the drop-in, and with it."""
    return [(Hosted("server", "compiled", host, False), Hosted("server", "compiled", host, True)) for host in hosts]


def changes(without: Results, with_: Results) -> Iterator[tuple[str, int, str]]:
    """Yield each case whose verdict is another with the drop-in: the case, -1 for better, 1 for worse, and both."""
    for case, before in without.items():
        after = with_.get(case, Result("not played", "not played"))
        change = _rank(after) - _rank(before)
        if change:
            yield case, -1 if change < 0 else 1, f"{_verdict(before)} without, {_verdict(after)} with"


def _rank(result: Result) -> int:
    return RANKS.get(result.behavior, WORST) + RANKS.get(result.behavior_close, WORST)


def _verdict(result: Result) -> str:
    return f"{result.behavior} (close {result.behavior_close})"
