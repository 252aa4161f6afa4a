"""The drop-in for Uvicorn, installed: what `ws="auto"` means, and how it stays out."""

from __future__ import annotations

import asyncio
import logging
import warnings
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import Any

import pytest

pytest.importorskip("uvicorn", reason="uvicorn is not installed")


from helpers import TEXT
from uvicorn.config import WS_PROTOCOLS, Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn_host import FAST, LOOPS, Host, client_of, is_installed
from uvicorn_scenarios import echo

from wscodec.dropin import uvicorn as dropin

pytestmark = [
    pytest.mark.timeout(60),
    # Uvicorn's own modules are partly deprecated.
    pytest.mark.filterwarnings("ignore"),
]
AUTO = WS_PROTOCOLS["auto"]


@pytest.fixture(autouse=True)
def uninstalled() -> Iterator[None]:
    yield
    dropin.uninstall()
    assert WS_PROTOCOLS["auto"] == AUTO


def loaded(**settings: Any) -> Any:
    """Return the class that a server with these settings has."""
    config = Config(echo, log_config=None, **settings)
    config.load()
    return config.ws_protocol_class


def test_the_three_can_be_called_at_any_time_and_often() -> None:
    before = loaded()
    assert before is not dropin.WebSocketProtocol
    dropin.uninstall()
    for _ in range(2):
        assert (dropin.install(), dropin.installed(), loaded()) == (True, True, dropin.WebSocketProtocol)
    for _ in range(2):
        dropin.uninstall()
        assert (dropin.installed(), loaded()) == (False, before)


def test_a_setting_made_earlier_and_loaded_later_means_ours() -> None:
    config = Config(echo, log_config=None)
    dropin.install()
    config.load()
    assert config.ws_protocol_class is dropin.WebSocketProtocol


@pytest.mark.parametrize("ws", ["none", "websockets", "wsproto", "websockets-sansio"])
def test_another_setting_keeps_its_meaning(ws: str) -> None:
    if ws not in WS_PROTOCOLS or not is_installed(*ws.replace("none", "").partition("-")[0].split()):
        pytest.skip(f"there is no {ws} here")
    before = loaded(ws=ws)
    dropin.install()
    assert loaded(ws=ws) is before


@pytest.mark.parametrize("installed", [True, False])
def test_a_server_with_the_default_setting(installed: bool) -> None:
    if installed:
        assert dropin.install()
    host = Host("auto", LOOPS[FAST])
    try:
        with client_of(host, echo) as (client, outcome):
            client.request()
            client.response()
            client.send(client.frame(TEXT, "hé".encode()))
            client.read()
            client.close()
    finally:
        host.join()
    assert outcome.client == [(101, {}), (0x80 | TEXT, "hé".encode()), (0x88, b"\x03\xe8"), "end"]
    assert (host.config.ws_protocol_class is dropin.WebSocketProtocol) is installed


def test_it_can_be_installed_while_an_event_loop_runs() -> None:
    async def install() -> bool:
        return dropin.install()

    assert asyncio.run(install())


def test_what_others_put_over_ours_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    dropin.install()
    with monkeypatch.context() as patched:
        patched.setitem(WS_PROTOCOLS, "auto", "other:Class")
        assert not dropin.installed()
        dropin.uninstall()
        assert WS_PROTOCOLS["auto"] == "other:Class"


def test_the_self_test_says_nothing(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    loggers = [logging.getLogger(name) for name in ("uvicorn.error", "uvicorn.asgi")]
    levels = [logger.level for logger in loggers]
    with caplog.at_level(5):
        assert dropin.install()
    assert [record for record in caplog.records if "uvicorn" in record.name] == []
    assert [logger.level for logger in loggers] == levels
    assert capfd.readouterr() == ("", "")


def changes(monkeypatch: pytest.MonkeyPatch) -> dict[str, Callable[[], None]]:
    """Return ways in which another Uvicorn might differ, by what the warning says."""
    set_up = Config.load

    def load_other(config: Config) -> None:
        set_up(config)
        config.ws_protocol_class = asyncio.Protocol

    def hand_over_otherwise(protocol: Any, data: bytes) -> None:
        protocol.ws_protocol_class(protocol.config)

    return {
        "version 1.0.0 is not": lambda: monkeypatch.setattr(metadata, "version", lambda _: "1.0.0"),
        "version 0.29.0 is not": lambda: monkeypatch.setattr(metadata, "version", lambda _: "0.29.0"),
        "there is no entry 'auto'": lambda: monkeypatch.delitem(WS_PROTOCOLS, "auto"),
        "<class 'asyncio.protocols.Protocol'> instead of": lambda: monkeypatch.setattr(Config, "load", load_other),
        "WebSocketProtocol.__init__": lambda: monkeypatch.setattr(H11Protocol, "data_received", hand_over_otherwise),
        "<class 'NoneType'>": lambda: monkeypatch.setattr(H11Protocol, "data_received", lambda *_: None),
    }


@pytest.mark.parametrize("number", range(6))
def test_where_uvicorn_has_changed_it_is_left_alone_and_one_warning_says_so(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(dropin._patch, "_warned", False)
    with monkeypatch.context() as changed:
        reason, change = list(changes(changed).items())[number]
        change()
        before = WS_PROTOCOLS.get("auto")
        with pytest.warns(RuntimeWarning, match="stays out of uvicorn") as caught:
            assert dropin.install() is False
        assert reason in str(caught[0].message)
        assert caught[0].filename == __file__
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert dropin.install() is False
        assert not dropin.installed()
        assert WS_PROTOCOLS.get("auto") is before
    assert dropin.install() is True
