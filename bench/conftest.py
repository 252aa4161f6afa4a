"""What the bench files share: the rival that this process measures, and the clock."""

from __future__ import annotations

import gc
import importlib
from collections import deque

import pytest

from . import rivals


def pytest_addoption(parser):
    parser.addoption("--rival", default="wscodec", help="the adapter to measure")
    parser.addoption("--only", default="", help="groups of cases, separated by commas")


def pytest_configure(config):
    name = config.getoption("--rival")
    try:
        config.adapter = importlib.import_module(rivals.RIVALS[name].module, __package__)
    except ImportError as error:
        pytest.exit(str(error), returncode=rivals.NOT_INSTALLED)


def pytest_collection_modifyitems(config, items):
    only = config.getoption("--only")
    if only:
        items[:] = [item for item in items if item.callspec.params["case"].group in only.split(",")]


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(config, machine_info):
    machine_info["rival"] = {**config.adapter.about(), "skipped": config.adapter.SKIPPED}


@pytest.fixture(scope="session", autouse=True)
def _frozen_heap():
    """Keep what pytest itself has allocated out of the garbage collections that fall into a measurement."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def operation(case, pytestconfig):
    """Return the adapter's function for this case, or skip where the rival has no such thing."""
    function = getattr(pytestconfig.adapter, case.operation, None)
    if function is None:
        pytest.skip(pytestconfig.adapter.SKIPPED[case.operation])
    return function


@pytest.fixture
def measure(case, benchmark):
    """Return a function that times `function` over columns of arguments, after the outputs were checked.

    `operations` is what one round stands for: messages or calls.
    """

    def run(operations, function, *columns):
        benchmark.group = case.group
        benchmark.extra_info.update(case=str(case), operations=operations)
        benchmark(exhaust, function, *columns)

    return run


def exhaust(function, *columns):
    """Call `function` for every row of arguments; the loop itself is in C."""
    deque(map(function, *columns), maxlen=0)
