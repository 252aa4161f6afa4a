"""What must not have happened during a soak."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass

# What is allocated in this part of the time, caches and all, is not growth.
WARM_UP = 1 / 5
# The memory at either end of what is left is the median of a tenth of the samples.
END = 1 / 10

MIB = 1 << 20


@dataclass(frozen=True)
class Outcome:
    """What came of a soak.

    Attributes:
        connections: how many there were all the time.
        seconds: how long it took.
        ping_interval: of the server, in seconds.
        samples: the server's resident memory from time to time, as (seconds, bytes).
        messages: that came back to the load; all that it sent, or it would have complained.
        pings: that came to the load.
        counts: the server's own, see `Counts.totals` there.
    """

    connections: int
    seconds: float
    ping_interval: float
    samples: list[tuple[float, int]]
    messages: int
    pings: int
    counts: dict[str, int]


def ends(samples: list[tuple[float, int]], seconds: float) -> tuple[float, float]:
    """Return the memory behind the warm-up, and at the end."""
    kept = [size for at, size in samples if at >= seconds * WARM_UP]
    number = max(1, round(len(kept) * END))
    return statistics.median(kept[:number]), statistics.median(kept[-number:])


def tolerance(resident: float) -> float:
    """Return by how much a process of that size may grow."""
    return MIB + resident / 100


def least_pings(outcome: Outcome) -> float:
    """Return how many pings there have to be at least.

    Rounds of keepalive make an interval up to a second longer, and a connection that is opened anew begins an
    interval anew: four fifths of the pings are enough.
    """
    each = int(outcome.seconds / (outcome.ping_interval + 1))
    return max(1, 0.8 * outcome.connections * each)


def faults(outcome: Outcome) -> Iterator[str]:
    """Yield what is wrong, in words."""
    first, last = ends(outcome.samples, outcome.seconds)
    if last - first > tolerance(first):
        yield f"the server has grown by {(last - first) / MIB:.2f} MiB; {tolerance(first) / MIB:.2f} are tolerated"
    if outcome.messages == 0:
        yield "there were no messages"
    if outcome.pings < least_pings(outcome):
        yield f"there were {outcome.pings} pings; there should be {least_pings(outcome):.0f} or more"
    for name in ("received", "sent"):
        if outcome.counts[name] != outcome.messages:
            yield f"the server has {name} {outcome.counts[name]} messages, and {outcome.messages} came back"
    if outcome.counts["connections"] != outcome.connections:
        yield f"the server has {outcome.counts['connections']} connections instead of {outcome.connections}"
    if outcome.counts["errors"]:
        yield f"the server has logged {outcome.counts['errors']} errors"
