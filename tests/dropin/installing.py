"""What the tests of drop-ins share about installing them.

A drop-in is given as its module, by a test that runs: each copy of the package has another one. A place is an owner,
and a name that the host looks up there.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from importlib import metadata
from typing import Any

import pytest

Place = tuple[Any, str]
Change = Callable[[pytest.MonkeyPatch], None]


def standing(places: list[Place]) -> list[Any]:
    """Return what stands in places of a host; None where nothing does."""
    return [getattr(*place, None) for place in places]


@contextmanager
def installed(dropin: Any) -> Iterator[None]:
    """Have a drop-in in place for a while."""
    assert dropin.install() is True
    try:
        yield
    finally:
        dropin.uninstall()


@contextmanager
def made_by(dropin: Any, kind: Any, wanted: bool) -> Iterator[None]:
    """Have a drop-in in place for a while, or not; see that objects of its class are made then, or none."""
    made: list[Any] = []
    init = kind.__init__

    def recording(self: Any, *args: Any, **options: Any) -> None:
        made.append(self)
        init(self, *args, **options)

    with pytest.MonkeyPatch.context() as patch, installed(dropin) if wanted else nullcontext():
        patch.setattr(kind, "__init__", recording)  # the self-test made some, too
        yield
    assert bool(made) is wanted


def check_it_comes_and_goes(dropin: Any, places: list[Place]) -> None:
    """See that it can be installed and taken out again as often as one likes, in all places."""
    own = standing(places)
    assert not dropin.installed()
    dropin.uninstall()
    for _ in range(2):
        assert dropin.install() is True
        assert dropin.installed()
        assert not any(ours is host for ours, host in zip(standing(places), own, strict=True))
    for _ in range(2):
        dropin.uninstall()
        assert not dropin.installed()
        assert standing(places) == own


def check_it_leaves_others_alone(dropin: Any, places: list[Place], taken: Place) -> None:
    """See that what others put over ours, in one place, stays there, and ours goes from all the rest."""
    own, other = standing(places), object()
    assert dropin.install() is True
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(*taken, other)
        assert not dropin.installed()
        dropin.uninstall()
        assert standing(places) == [other if place == taken else host for place, host in zip(places, own, strict=True)]
    dropin.uninstall()
    assert standing(places) == own


def version(number: str) -> Change:
    """Return a change of the host's version."""
    return lambda patch: patch.setattr(metadata, "version", lambda _: number)


def check_it_stays_out(dropin: Any, places: list[Place], change: Change, words: str) -> None:
    """See that a host that has changed is left alone, and one warning says so in these words; and not for ever."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dropin._patch, "_warned", False)
        change(patch)
        before = standing(places)
        with pytest.warns(RuntimeWarning, match=f"stays out of {words}") as caught:
            assert dropin.install() is False
        assert [warning.filename for warning in caught] == [__file__]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert dropin.install() is False
        assert not dropin.installed()
        assert standing(places) == before
    with installed(dropin):
        assert dropin.installed()
