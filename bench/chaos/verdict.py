"""What must not have happened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

MIB = 1 << 20
# Complaints are legion where something is wrong.
MOST_COMPLAINTS = 20


@dataclass
class Outcome:
    """What came of a run.

    Attributes:
        contents: what was in the server before all rounds, and after each; see `contents` there.
        messages: that came back to good peers.
        misdeeds: how often each was done.
        complaints: of good peers, and of bad ones that the server owed something; how often each came.
        margin: of memory, in MiB; see `tolerance`.
    """

    contents: list[dict[str, Any]] = field(default_factory=list)
    messages: int = 0
    misdeeds: dict[str, int] = field(default_factory=dict)
    complaints: Counter[str] = field(default_factory=Counter)
    margin: float = 4


def tolerance(resident: float, margin: float) -> float:
    """Return by how much a process of that size may be larger than after the first round.

    One that was at its largest leaves gaps, and how large it was is left to chance.
    """
    return margin * MIB + resident / 20


def remains(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Return what is in the server besides what was in it before all."""
    counts = {name: after[name] - before[name] for name in ("connections", "tasks", "files")}
    objects = {name: count - before["objects"].get(name, 0) for name, count in after["objects"].items()}
    return {name: count for name, count in (counts | objects).items() if count > 0}


def faults(outcome: Outcome, misdeeds: list[str]) -> Iterator[str]:
    """Yield what is wrong, in words; all of `misdeeds` have to have been done."""
    before, *rounds = outcome.contents
    for complaint, times in outcome.complaints.most_common(MOST_COMPLAINTS):
        yield f"{complaint} ({times} times)"
    for number, after in enumerate(rounds, 1):
        left = remains(before, after)
        if left:
            yield f"round {number} has left {left}"
    first, last = rounds[0]["resident"], rounds[-1]["resident"]
    tolerated = tolerance(first, outcome.margin)
    if last - first > tolerated:
        yield f"the server has grown by {(last - first) / MIB:.2f} MiB; {tolerated / MIB:.2f} are tolerated"
    if outcome.messages == 0:
        yield "there were no messages"
    for name in misdeeds:
        if not outcome.misdeeds.get(name):
            yield f"no peer did this: {name}"
    booms = outcome.misdeeds.get("boom", 0)
    if rounds[-1]["booms"] != booms:
        yield f"the application has failed {booms} times, and {rounds[-1]['booms']} of them were logged"
    if rounds[-1]["errors"]:
        yield f"the server has logged {rounds[-1]['errors']} other errors or warnings"
