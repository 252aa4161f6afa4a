"""A short run of the comparison, always on the same cases, and proof that it finds a difference."""

from __future__ import annotations

import pytest
import run
from copies import copies
from fuzz_targets import TARGETS
from implementations import COMPILED, PURE
from run import Difference, compare

CASES = 900


@pytest.mark.usefixtures("compiled")
def test_the_twins_agree_on_random_input() -> None:
    for start in range(0, CASES, run.BATCH):
        compare(1, range(start, start + run.BATCH))


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("target", [target.__name__ for target in TARGETS])
def test_the_same_seed_gives_the_same_case(target: str) -> None:
    number = [target.__name__ for target in TARGETS].index(target)
    once, again = (list(run.observe_all(PURE, [run.draw(5, number)])) for _ in range(2))
    assert once == again


@pytest.fixture
def broken_twin(monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiled `build_header` that forgets the FIN bit."""
    broken = COMPILED[0]
    build_header = broken.twin("build_header")

    def twin(implementation: object, name: str) -> object:
        if name == "build_header" and implementation is broken:
            return lambda *args, **kwargs: build_header(*args, **{**kwargs, "fin": False})
        return original(implementation, name)

    original = type(broken).twin
    monkeypatch.setattr(type(broken), "twin", twin)


@pytest.mark.usefixtures("compiled", "broken_twin")
def test_a_difference_is_found_and_can_be_had_again() -> None:
    with pytest.raises(Difference, match=r"--seed 1 --case \d+"):
        compare(1, range(run.BATCH))


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("backend", ["pure", "compiled"])
@pytest.mark.parametrize(
    ("kind", "method"),
    [("Decoder", "feed"), ("FrameDecoder", "feed"), ("Encoder", "encode"), ("Connection", "receive")],
)
def test_a_difference_between_the_copies_is_found(
    monkeypatch: pytest.MonkeyPatch, kind: str, method: str, backend: str
) -> None:
    broken = getattr(copies()[backend]["wscodec"], kind)
    monkeypatch.setattr(broken, method, lambda *args, **kwargs: [])
    with pytest.raises(Difference, match=r"--seed 1 --case \d+\npure: .*\ncompiled"):
        compare(1, range(run.BATCH))
