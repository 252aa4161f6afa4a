"""Cases: a target and what its input is drawn from, a seed and a number or given bytes; and the comparison of them."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any
from zlib import crc32

from all_targets import TARGETS
from fuzz_bytes import ByteRandom
from fuzz_targets import Difference, Observe
from implementations import COMPILED, IMPLEMENTATIONS, Implementation, using

CORPUS = Path(__file__).parent / "corpus"
SHOWN = 2000  # characters of an observation


@dataclass(frozen=True)
class Case:
    """One input of a target, and what it has found, if it was kept for that."""

    target: str
    seed: int = 0
    number: int = 0
    data: bytes | None = None
    found: str = ""

    def draw(self) -> Observe:
        """Return what observes an implementation on this input."""
        rng = Random(f"{self.seed}:{self.number}") if self.data is None else ByteRandom(self.data)
        return TARGETS[self.target](rng)

    def __str__(self) -> str:
        origin = f"--seed {self.seed} --case {self.number}" if self.data is None else f"--input {self.data.hex()}"
        return f"--target {self.target} {origin}"


def corpus(target: str) -> list[Case]:
    """Return the inputs of a target that are kept, one a line, in hexadecimal; behind a # is what one has found."""
    path = CORPUS / f"{target}.txt"
    lines = path.read_text("ascii").splitlines() if path.exists() else []
    parts = [line.partition("#") for line in lines]
    return [Case(target, data=bytes.fromhex(data), found=found.strip()) for data, _, found in parts]


def in_turn(data: bytes) -> Implementation:
    """Return the compiled implementation whose turn it is with an input: each has its share of them."""
    return COMPILED[crc32(data) % len(COMPILED)]


def observe_all(implementation: Implementation, cases: Iterable[Observe]) -> Iterator[Any]:
    """Yield what comes of each case on one implementation; an error that no target expects is a Difference, too."""
    with using(implementation):
        for case in cases:
            try:
                yield case(implementation)
            except Difference as difference:
                yield difference
            except Exception:
                yield Difference(traceback.format_exc()[-SHOWN:])


def compare(cases: Sequence[Case], implementations: Sequence[Implementation] = IMPLEMENTATIONS) -> None:
    """Run some cases on every implementation; raise a Difference for the first that does not agree."""
    drawn = [case.draw() for case in cases]
    expected: list[Any] = []
    for implementation in implementations:
        results = list(observe_all(implementation, drawn))
        for case, result in zip(cases, results, strict=True):
            if isinstance(result, Difference):
                raise Difference(_report(case, {implementation.name: result}))
        expected = expected or results
        for case, want, got in zip(cases, expected, results, strict=True):
            if want != got:
                raise Difference(_report(case, {"pure": want, implementation.name: got}))


def _report(case: Case, results: dict[str, Any]) -> str:
    lines = [str(case)]
    for name, result in results.items():
        text = str(result)
        lines.append(f"{name}: {text[:SHOWN]}{' ...' if len(text) > SHOWN else ''}")
    return "\n".join(lines)
