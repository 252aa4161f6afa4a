"""Uvicorn with our class, beside Uvicorn with its own: the same applications and clients, the same outcome."""

from __future__ import annotations

import functools
from typing import Any

import pytest

pytest.importorskip("uvicorn", reason="uvicorn is not installed")

from uvicorn_host import PEERS, SERVERS, Host, Hosts, Outcome, client_of
from uvicorn_scenarios import OURS, SCENARIOS, Scenario

pytestmark = [
    pytest.mark.timeout(60),
    # `websockets` deprecates what Uvicorn calls while a server runs.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
ALL_FIELDS = "app client log"


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
    ours = outcome(name, "ours")
    try:
        theirs = outcome(name, peer)
    except TimeoutError:
        pytest.skip("this version of Uvicorn's own class never ends here")
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
