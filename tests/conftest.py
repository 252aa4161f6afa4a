"""The `impl` fixture: a test that uses it runs on pure Python and on the compiled modules, with several kernels."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

import pytest
from hypothesis import settings
from implementations import COMPILED, PURE, Implementation, using

settings.register_profile("wscodec", deadline=None, print_blob=True)
settings.load_profile("wscodec")

# These are tested with every kernel that the CPU can run, the others with the best and the portable one.
_KERNEL_TESTS = {"test_mask", "test_utf8"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require-compiled",
        action="store_true",
        help="fail, rather than skip, where the compiled modules are not there",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "impl" in metafunc.fixturenames:
        kernels = COMPILED if metafunc.module.__name__ in _KERNEL_TESTS else (*COMPILED[:1], *COMPILED[1:][-1:])
        # Without the compiled modules one id stands for all of them, to be skipped or to fail.
        params = [PURE, *(kernels or [None])]
        names = [param.name if param else "compiled" for param in params]
        metafunc.parametrize("impl", params, ids=names, indirect=True)


def pytest_itemcollected(item: pytest.Item) -> None:
    if "impl" in getattr(item, "fixturenames", ()):
        item.add_marker("both")


def pytest_collection_finish() -> None:
    """Have the tests that collect garbage look at their own, and not at all other tests each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def impl(request: pytest.FixtureRequest) -> Iterator[Implementation]:
    """The implementation that the whole package runs on during the test.

    On pure Python a test sees another copy of the package, in the globals of its module and in what it imports. So it
    looks up classes and functions of the package when it runs; a parameter or a table would hold those of the first.
    """
    if request.param is None:
        miss(request.config)
    with using(request.param) as implementation:
        yield implementation


@pytest.fixture
def compiled(request: pytest.FixtureRequest) -> None:
    """For tests that compare the twins: the compiled modules are there."""
    if not COMPILED:
        miss(request.config)


def miss(config: pytest.Config) -> None:
    """Skip a test for want of the compiled modules, or fail it where they are required."""
    if config.getoption("--require-compiled"):
        pytest.fail("the compiled modules are not there")
    pytest.skip(f"no compiled modules (WSCODEC_BACKEND={os.environ.get('WSCODEC_BACKEND', '')!r})")
