"""Uvicorn with our class, beside Uvicorn with its own: the same applications and clients, the same outcome."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("uvicorn", reason="uvicorn is not installed")

from helpers import CLOSE, TEXT  # noqa: E402
from uvicorn_host import SANSIO, WEBSOCKETS, WSCODEC, Host, Outcome, client_of, is_installed, load  # noqa: E402
from uvicorn_scenarios import OURS, SCENARIOS, Scenario  # noqa: E402

pytestmark = [
    pytest.mark.timeout(60),
    # `websockets` deprecates what Uvicorn calls while a server runs.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
LOOPS = {"asyncio": asyncio.new_event_loop}
if is_installed("uvloop"):
    import uvloop

    LOOPS["uvloop"] = uvloop.new_event_loop
FAST = "uvloop" if "uvloop" in LOOPS else "asyncio"
HTTP = "httptools" if is_installed("httptools") else "h11"

ALL_FIELDS = "app client log"

# The servers that all scenarios run on: ours on either loop and behind either parser, then Uvicorn's own.
SERVERS = {"ours": (WSCODEC, FAST, HTTP), "ours on asyncio": (WSCODEC, "asyncio", "h11")}
PEERS = {"websockets": (WEBSOCKETS, FAST, HTTP), "sansio": (SANSIO, FAST, HTTP)}


class Hosts:
    """Servers by their settings: made once, ended together."""

    def __init__(self) -> None:
        self._hosts: dict[Any, Host] = {}

    def get(self, ws: str = WSCODEC, loop: str = FAST, http: str = HTTP, **settings: Any) -> Host:
        key = (ws, loop, http, *sorted(settings.items()))
        if key not in self._hosts:
            protocol = load(ws)
            if protocol is None:
                pytest.skip(f"there is no {ws} here")
            self._hosts[key] = Host(protocol, LOOPS[loop], http=http, **settings)
        return self._hosts[key]

    def end(self) -> None:
        for host in self._hosts.values():
            host.stop()
        for host in self._hosts.values():
            host.join()


@pytest.fixture(scope="session")
def hosts() -> Iterator[Hosts]:
    hosts = Hosts()
    yield hosts
    hosts.end()


def play(host: Host, scenario: Scenario) -> Outcome:
    path = scenario.path.partition("?")[0].replace("%C3%A4", "ä")
    with client_of(host, scenario.app, path) as (client, outcome):
        client.request(scenario.path, scenario.headers, scenario.key, scenario.version)
        scenario.play(client)
    return outcome


@pytest.fixture(scope="session")
def outcome(hosts: Hosts) -> Any:
    """Return what gives the outcome of a scenario on a server; each is played once."""

    @functools.cache
    def outcome(name: str, who: str) -> Outcome:
        return play(hosts.get(*{**SERVERS, **PEERS}[who]), SCENARIOS[name])

    return outcome


# -------------------------------------------------------------------------------------------- beside Uvicorn's own


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("name", [name for name, scenario in SCENARIOS.items() if scenario.differs[0] != ALL_FIELDS])
def test_outcome_is_that_of_uvicorns_own_class(outcome: Any, name: str, peer: str) -> None:
    ours, theirs = outcome(name, "ours"), outcome(name, peer)
    for field in {"app", "client", "log"} - set(SCENARIOS[name].differs[0].split()):
        assert getattr(ours, field) == getattr(theirs, field), field


@pytest.mark.parametrize("name", SCENARIOS)
def test_outcome_is_the_same_on_either_loop_and_parser(outcome: Any, name: str) -> None:
    assert outcome(name, "ours") == outcome(name, "ours on asyncio")


@pytest.mark.parametrize("name", OURS)
def test_outcome_where_we_differ(outcome: Any, name: str) -> None:
    ours = outcome(name, "ours")
    seen = [each for each in ours.client if each != "end"]
    assert (ours.app[-1], seen[-1] if seen else None) == OURS[name]


def test_every_difference_has_its_reason() -> None:
    assert all(bool(scenario.differs[0]) is bool(scenario.differs[1]) for scenario in SCENARIOS.values())
