"""Servers for all tests of a run; and what helpers assert says as much as what tests assert."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.register_assert_rewrite("comparing", "installing")


@pytest.fixture(scope="session")
def hosts() -> Iterator[Any]:
    """Uvicorn servers by their settings; see `Hosts`."""
    from uvicorn_host import Hosts  # where there is Uvicorn

    hosts = Hosts()
    yield hosts
    hosts.end()
