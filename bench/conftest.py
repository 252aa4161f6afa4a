"""What the bench files share: the rival that this process measures, and the clock."""

from __future__ import annotations

import gc
import importlib
import time
from collections import deque
from itertools import count

import pytest

from . import cases, rivals
from .turns import Turns

# Long enough that the clock's own cost doesn't show, short enough that the rivals take turns quickly.
ROUND_SECONDS = 0.004


def pytest_addoption(parser):
    parser.addoption("--rival", default="wscodec", help="the adapter to measure")
    parser.addoption("--only", default=",".join(cases.GROUPS), help="groups of cases, separated by commas")
    parser.addoption("--rounds", type=int, default=10, help="how often each case is measured; 1 for a quick look")


def pytest_configure(config):
    name = config.getoption("--rival")
    try:
        config.adapter = importlib.import_module(rivals.RIVALS[name].module, __package__)
    except ImportError as error:
        pytest.exit(str(error), returncode=rivals.NOT_INSTALLED)


def pytest_collection_modifyitems(config, items):
    wanted = config.getoption("--only").split(",")
    chosen = [item for item in items if case_of(item).group in wanted]
    items[:] = sorted(chosen, key=lambda item: cases.ALL.index(case_of(item)))


def case_of(item):
    """Return the case that a collected function measures."""
    return item.callspec.params["case"]


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(config, machine_info):
    machine_info["rival"] = {**config.adapter.about(), "skipped": config.adapter.SKIPPED}


@pytest.fixture(scope="session", autouse=True)
def _frozen_heap():
    """Keep what pytest itself has allocated out of the garbage collections that fall into a measurement."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def turn(case, pytestconfig):
    """Return a function that waits for this process's turn; without a runner there is nobody to wait for."""
    turns = next((plugin for plugin in pytestconfig.pluginmanager.get_plugins() if isinstance(plugin, Turns)), None)
    number, steps = cases.ALL.index(case), count()
    return lambda: turns and turns.wait(number, next(steps))


@pytest.fixture
def operation(case, turn, pytestconfig):
    """Return the adapter's function for this case, or skip where the rival has no such thing."""
    function = getattr(pytestconfig.adapter, case.operation, None)
    if function is None:
        pytest.skip(pytestconfig.adapter.SKIPPED[case.operation])
    turn()
    return function


@pytest.fixture
def measure(case, turn, benchmark, pytestconfig):
    """Return a function that times `function` over columns of arguments, after the outputs were checked.

    `operations` is what one walk over the columns stands for: messages or calls.
    """

    def run(operations, function, *columns):
        rounds = pytestconfig.getoption("--rounds")
        walks = 1 if rounds == 1 else walks_per_round(function, columns)
        benchmark.extra_info.update(case=str(case), operations=operations * walks)
        arguments = (function, *(column * walks for column in columns))
        benchmark.pedantic(exhaust, arguments, setup=turn, rounds=rounds)

    return run


def walks_per_round(function, columns):
    """Return how many walks over the columns make a round of the wanted length; it warms up as well."""
    for _ in range(2):
        began = time.process_time()
        exhaust(function, *columns)
        seconds = time.process_time() - began
    return max(1, round(ROUND_SECONDS / max(seconds, 1e-6)))


def exhaust(function, *columns):
    """Call `function` for every row of arguments; the loop itself is in C."""
    deque(map(function, *columns), maxlen=0)
