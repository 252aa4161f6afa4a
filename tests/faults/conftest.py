"""Each test here runs on both backends; the helpers of the network tests, which stand beside those, can be imported."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from implementations import COMPILED, PURE, Implementation, using

sys.path.append(str(Path(__file__).parents[1] / "asyncio"))


@pytest.fixture(params=["pure", "compiled"], autouse=True)
def backend(request: pytest.FixtureRequest) -> Iterator[Implementation]:
    """The backend of the whole package during the test; what `impl` says of tables holds here too."""
    if request.param == "compiled":
        request.getfixturevalue("compiled")
    with using(PURE if request.param == "pure" else COMPILED[0]) as implementation:
        yield implementation
