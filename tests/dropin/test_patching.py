"""What the drop-ins share: names of ours in the place of a host's, and the loop of their self-tests."""

from __future__ import annotations

import asyncio
import linecache
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from wscodec.dropin._aside import run_aside
from wscodec.dropin._patching import Patch, Place


def patch_of(owner: Any, check: Callable[[], None]) -> Patch:
    """Return a patch of a host that is surely installed."""
    return Patch("pytest", (0,), (1000,), [Place(owner, "first", "ours"), Place(owner, "second", "ours")], check)


@pytest.mark.parametrize("fits", [True, False])
@pytest.mark.filterwarnings("ignore:wscodec stays out")
def test_two_threads_may_install_at_once(fits: bool) -> None:
    """What the first one is still trying is not in place for the second one."""
    owner = SimpleNamespace(__name__="host", first=1, second=2)
    trying, go_on = threading.Event(), threading.Event()

    def check() -> None:
        trying.set()
        assert go_on.wait(10)
        assert fits

    patch = patch_of(owner, check)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(patch.install)
        assert trying.wait(10)
        second = threads.submit(patch.install)
        with pytest.raises(TimeoutError):
            second.result(0.1)
        go_on.set()
        assert first.result(10) is second.result(10) is fits
    patch.uninstall()
    assert (owner.first, owner.second) == (1, 2)


def test_interrupted_self_test_leaves_the_host_as_it_was() -> None:
    def check() -> None:
        raise KeyboardInterrupt

    owner = SimpleNamespace(__name__="host", first=1, second=2)
    with pytest.raises(KeyboardInterrupt):
        patch_of(owner, check).install()
    assert (owner.first, owner.second) == (1, 2)


def test_warning_names_the_line_that_installs() -> None:
    def install(patch: Patch) -> bool:  # what each drop-in has
        return patch.install()

    owner = SimpleNamespace(__name__="host", first=1, second=None)
    with pytest.warns(RuntimeWarning, match="there is no host.second") as caught:
        assert not install(patch_of(owner, lambda: None))
    assert caught[0].filename == __file__
    assert linecache.getline(__file__, caught[0].lineno).strip().startswith("assert not install(")


def test_a_self_test_has_a_loop_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program's may be one that can be made in its own thread only."""

    def refuse(*_: object) -> None:
        raise AssertionError("the program's loop is used")

    async def thread() -> tuple[Any, int]:
        return type(asyncio.get_running_loop()), threading.get_ident()

    async def test() -> None:
        monkeypatch.setattr(asyncio.events, "new_event_loop", refuse)
        kind, ident = run_aside(thread())
        assert kind is asyncio.SelectorEventLoop
        assert ident != threading.get_ident()

    asyncio.run(test())


def test_a_self_test_that_takes_long_is_not_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> bool:
        return asyncio.get_running_loop().get_debug()

    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")
    assert run_aside(test()) is False
