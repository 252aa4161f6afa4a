"""Connections that another server has opened."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from helpers import CLOSE, PING, PONG, TEXT, close_payload
from net import REQUEST, Peer

from wscodec import HandshakeError, ServerHandshake
from wscodec.asyncio import Adopter, ServerConnection, connect


class Host(asyncio.Protocol):
    """A server that reads the request itself, and hands the transport over."""

    def __init__(self, adopter: Adopter, adopted: list[ServerConnection], settings: dict[str, Any]) -> None:
        self._handshake = ServerHandshake(subprotocols=["chat"])
        self._adopter, self._adopted, self._settings = adopter, adopted, settings

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        handshake = self._handshake
        try:
            if handshake.receive(data) is None:
                return
        except HandshakeError as error:
            self._transport.write(error.response)
            self._transport.close()
            return
        self._transport.write(handshake.accept())
        ws = self._adopter.adopt(
            self._transport,
            head=handshake.head,
            subprotocol=handshake.subprotocol,
            trailing=handshake.trailing,
            **self._settings,
        )
        self._adopted.append(ws)


@contextlib.asynccontextmanager
async def hosting(adopter: Adopter, **settings: Any) -> AsyncIterator[tuple[int, list[ServerConnection]]]:
    """Yield the port of a host, and the connections that it has handed over so far."""
    adopted: list[ServerConnection] = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Host(adopter, adopted, settings), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], adopted
    finally:
        server.close()
        await server.wait_closed()
        for ws in adopted:
            await ws.close()


@contextlib.asynccontextmanager
async def raw(port: int, data: bytes = REQUEST) -> AsyncIterator[Peer]:
    peer = Peer(*await asyncio.open_connection("127.0.0.1", port))
    peer.send(data)
    try:
        assert (await peer.head()).startswith(b"HTTP/1.1 101 ")
        yield peer
    finally:
        await peer.close()


async def test_adopted_connection_is_a_server_connection() -> None:
    async with hosting(Adopter()) as (port, adopted):
        async with connect(f"ws://127.0.0.1:{port}/path", subprotocols=["chat"], compression=None) as client:
            (ws,) = adopted
            await client.send("hello")
            assert await ws.recv() == "hello"
            await ws.send(b"\0")
            assert await client.recv() == b"\0"
            assert (ws.subprotocol, client.subprotocol) == ("chat", "chat")
            assert ws.request is not None
            assert ws.request.target == "/path"
            await client.close(4000, "why")
        assert (ws.close_code, ws.close_reason) == (4000, "why")


async def test_trailing_bytes_are_the_first_of_the_connection() -> None:
    peer = Peer.__new__(Peer)
    peer.role = "client"
    async with hosting(Adopter()) as (port, adopted), raw(port, REQUEST + peer.frame(TEXT, b"early")):
        assert await adopted[0].recv() == "early"


async def test_order_of_callbacks_and_of_the_registry() -> None:
    calls: list[str] = []

    class Registry:
        def discard(self, ws: Any) -> None:
            assert ws.close_code == 1000
            calls.append("registry")

    def note(what: str) -> Callable[..., None]:
        return lambda *_: calls.append(what)

    adopter = Adopter(on_open=note("open"), on_close=note("close"), on_messages=note("messages"))
    early = Peer.__new__(Peer)
    early.role = "client"
    async with (
        hosting(adopter, registry=Registry(), prepare=note("prepare")) as (port, adopted),
        raw(port, REQUEST + early.frame(TEXT, b"early")) as peer,
    ):
        peer.send(peer.frame(CLOSE, close_payload(1000)))
        assert await peer.frames() == [(CLOSE, close_payload(1000))]
        await peer.close()
        await adopted[0].wait_closed()
    assert calls == ["prepare", "open", "messages", "registry", "close"]


async def test_registry_that_raises_keeps_nobody_from_being_told(caplog: pytest.LogCaptureFixture) -> None:
    class Registry:
        def discard(self, ws: Any) -> None:
            raise LookupError

    ended: list[ServerConnection] = []
    async with hosting(Adopter(on_close=ended.append), registry=Registry()) as (port, adopted), raw(port) as peer:
        await peer.close()
        await adopted[0].wait_closed()
        await asyncio.sleep(0)
        assert ended == adopted
    assert [type(record.exc_info[1]) for record in caplog.records if record.exc_info] == [LookupError]


async def test_connections_of_an_adopter_share_settings_timer_and_outbox() -> None:
    adopter = Adopter(max_size=3, ping_interval=0.05, ping_timeout=None)
    async with hosting(adopter) as (port, adopted), raw(port) as one, raw(port) as other:
        assert adopted[0]._options is adopted[1]._options
        for peer in (one, other):
            opcode, payload = await peer.next_frame()
            assert opcode == PING
            peer.send(peer.frame(PONG, payload))
        one.send(one.frame(TEXT, b"four"))
        while (got := await one.next_frame())[0] == PING:
            pass
        assert (got[0], got[1][:2]) == (CLOSE, close_payload(1009))


async def test_write_paused_holds_back_what_is_sent_until_the_transport_resumes() -> None:
    async with hosting(Adopter(), write_paused=True) as (port, adopted), raw(port) as peer:
        (ws,) = adopted
        ws.send_nowait("later")
        await asyncio.sleep(0.02)
        assert ws.stats.unsent_size > 0
        ws.resume_writing()
        assert await peer.next_frame() == (TEXT, b"later")


@pytest.mark.parametrize("setting", ["ping_interval", "ping_timeout", "close_timeout"])
def test_settings_are_judged_at_once(setting: str) -> None:
    settings: dict[str, Any] = {setting: 0}
    with pytest.raises(ValueError, match=setting):
        Adopter(**settings)
