"""Class K on the network: peers that do not read, and connections that end; nothing piles up, and all of it ends."""

from __future__ import annotations

import array
import asyncio
import contextlib
import gc
import logging
import threading
import weakref
from typing import Any

import pytest
from attacks import play, tries
from helpers import BINARY, CLOSE, KEY, PING, PONG, TEXT, close_payload, frame
from net import REQUEST, ROLES, echo, facing_raw, idle, linked, listen, raw_client, stop_reading, uri

from wscodec import BadStatus, Connection, ConnectionClosed, Encoder, Role
from wscodec.asyncio import Request, Response, ServerConnection, WebSocket, connect

SOON = 0.2  # seconds: the deadline
LATE = 10  # seconds: what nobody waits for

sides = pytest.mark.parametrize("side", ROLES)


@tries("CVE-2021-3690")
@sides
def test_pongs_leave_nothing_behind_on_the_network(side: str) -> None:
    async def main() -> None:
        async with facing_raw(side, ping_interval=None) as (ws, peer):
            for _ in range(20):
                peer.send(peer.frame(PONG, b"nobody asked") * 1000)
            peer.send(peer.frame(PING, b"over"))
            assert await peer.next_frame() == (PONG, b"over")
            assert not ws._pings
            assert ws.stats.unread_messages == 0

    play(main)


@tries("aiohttp #13655")
@sides
def test_input_behind_an_offence_is_dropped_and_ends(side: str) -> None:
    async def main() -> None:
        async with facing_raw(side, close_timeout=SOON, ping_interval=None) as (ws, peer):
            peer.send(peer.frame(TEXT, b"\xff"))
            assert (await peer.next_frame())[1][:2] == close_payload(1007)
            flood = peer.frame(BINARY, b"x" * 60_000)
            sent = 0
            with contextlib.suppress(ConnectionError):
                async with asyncio.timeout(LATE):
                    while ws.transport is not None:
                        peer.send(flood)
                        sent += 1
                        await peer.writer.drain()
            assert sent > 1
            assert ws.stats.unread_messages == 0
            assert ws.close_code == 1007

    play(main)


@tries("RUSTSEC-2020-0043", "CVE-2017-15268")
@sides
def test_output_that_is_not_read_stops_input_and_ends(side: str) -> None:
    async def main() -> None:
        options: dict[str, Any] = {"ping_interval": SOON, "ping_timeout": SOON, "close_timeout": SOON}
        async with facing_raw(side, echo, **options) as (ws, peer):
            stop_reading(ws, peer)
            most = 0
            with contextlib.suppress(ConnectionError, TimeoutError):
                async with asyncio.timeout(LATE):
                    while ws.transport is not None:
                        if peer.writer.transport.get_write_buffer_size() < 1 << 20:
                            peer.send(peer.frame(BINARY, bytes(4) * 250) * 50)
                        stats = ws.stats
                        most = max(most, stats.unsent_size + stats.unwritten_size + 1000 * stats.unread_messages)
                        await asyncio.sleep(0.001)
            peer.writer.transport.abort()
            assert ws.transport is None
            assert most < 1 << 20
            assert ws.stats.bytes_received < 1 << 23

    play(main)


@tries("CVE-2022-25762")
@sides
def test_sending_and_closing_at_once(side: str) -> None:
    async def main() -> None:
        async with facing_raw(side, close_timeout=SOON) as (ws, peer):
            sends = [ws.send(b"x" * 30_000) for _ in range(20)]
            calls = asyncio.gather(*sends, ws.close(4000), ws.ping(), *[ws.send("y")], return_exceptions=True)
            frames = []
            while not frames or frames[-1][0] != CLOSE:
                frames.append(await peer.next_frame())
            peer.send(peer.frame(CLOSE, close_payload(4000)))
            results = await calls
            assert len([1 for opcode, _ in frames if opcode == CLOSE]) == 1
            assert all(isinstance(result, ConnectionClosed | None) for result in results if not callable(result))
            assert all(payload == b"x" * 30_000 for opcode, payload in frames if opcode == BINARY)

    play(main)


@tries("CVE-2024-23672")
@sides
@pytest.mark.parametrize("full", [False, True], ids=["idle", "suspended"])
def test_closing_ends_where_the_peer_does_not_answer(side: str, full: bool) -> None:
    async def main() -> None:
        async with facing_raw(side, close_timeout=SOON, max_queue=1, ping_interval=None) as (ws, peer):
            if full:
                for _ in range(5):
                    peer.send(peer.frame(TEXT, b"unread") * 1000)
                    await asyncio.sleep(0.002)
            async with asyncio.timeout(LATE):
                await ws.close()
            assert ws.transport is None

    play(main)


@tries("CVE-2021-42340")
def test_nothing_is_kept_of_a_connection_that_is_over() -> None:
    seen: list[weakref.ref[Any]] = []

    async def handler(ws: WebSocket) -> None:
        seen.append(weakref.ref(ws))
        await ws.send(await ws.recv())

    async def main() -> None:
        async with listen(handler) as server:
            for i in range(12):
                async with connect(uri(server)) as ws:
                    await ws.send("x" * 300)
                    await ws.recv()
                    seen.append(weakref.ref(ws))
                    if i % 3 == 1:
                        ws.transport.abort()
                await ws.wait_closed()
                del ws
            for _ in range(50):
                await asyncio.sleep(0.001)
            assert not server.connections
            assert not server._tasks
            gc.collect()
            assert [one() for one in seen] == [None] * 24

    play(main)


@tries("CVE-2026-45736", "CVE-2016-10518")
@sides
def test_a_reason_is_text(side: str) -> None:
    async def main() -> None:
        async with linked(side) as (near, far):
            for odd in (array.array("f", [0] * 20), bytearray(20), memoryview(b"x" * 20), b"x", 20, None, ["x"], 1.5):
                with pytest.raises(TypeError):
                    await near.close(1000, odd)
                with pytest.raises(TypeError):
                    Connection(Role.SERVER).close(1000, odd)
                with pytest.raises(TypeError):
                    Encoder(Role.CLIENT).close(1000, odd)
            await far.send("still open")
            assert await near.recv() == "still open"
            assert near.stats.bytes_sent == 0

    play(main)


@tries("CVE-2025-11677")
@pytest.mark.parametrize("how", ["refuses", "raises", "refuses-later", "raises-later", "select-raises"])
def test_a_refusal_leaves_nothing_behind(how: str) -> None:
    seen: list[weakref.ref[Any]] = []
    logger = logging.Logger("nobody listens")  # for what is logged is the exception, which holds the frames
    logger.addHandler(logging.NullHandler())

    def refuse(ws: ServerConnection, request: Request) -> Response:
        seen.append(weakref.ref(ws))
        if how.startswith("raises"):
            raise OSError("the application's own fault")
        return ws.respond(403, "no\n")

    async def refuse_later(ws: ServerConnection, request: Request) -> Response:
        await asyncio.sleep(0)
        return refuse(ws, request)

    def select(ws: ServerConnection, offered: Any) -> str:
        seen.append(weakref.ref(ws))
        raise OSError("the application's own fault")

    async def main() -> None:
        hook = refuse_later if how.endswith("later") else refuse
        options: dict[str, Any] = {"process_request": hook}
        if how == "select-raises":
            options = {"select_subprotocol": select}
        status = b"403" if how.startswith("refuses") else b"500"
        async with listen(idle, logger=logger, **options) as server:
            for early in (b"", frame(TEXT, b"early", key=KEY)):
                async with raw_client(server, None) as peer:
                    peer.send(REQUEST + early)
                    assert (await peer.reader.read()).startswith(b"HTTP/1.1 " + status)
            with pytest.raises(BadStatus):
                await connect(uri(server))
            for _ in range(50):
                await asyncio.sleep(0.001)
            assert not server._handshakes
            assert not server.connections

    play(main)
    assert len(seen) == 3
    assert [one() for one in seen] == [None] * 3


@tries("Mesop")
def test_fast_messages_take_no_threads_and_wait_their_turn() -> None:
    async def main() -> None:
        async with listen(echo, max_queue=16) as server, raw_client(server) as peer:
            threads = threading.active_count()
            peer.send(peer.frame(TEXT, b"fast") * 5000)
            most = 0
            for _ in range(5000):
                assert (await peer.next_frame()) == (TEXT, b"fast")
                most = max(most, threading.active_count())
            assert most <= threads
            (ws,) = server.connections
            assert len(asyncio.all_tasks()) < 6
            assert ws.stats.messages_received == 5000

    play(main)


@tries("Mesop")
def test_unread_messages_stop_input() -> None:
    async def main() -> None:
        async with facing_raw("server", max_queue=16, ping_interval=None) as (ws, peer):
            for _ in range(50):
                peer.send(peer.frame(BINARY, bytes(4) * 2500) * 100)
                await asyncio.sleep(0.001)
            assert ws.stats.bytes_received < 1 << 20
            assert peer.writer.transport.get_write_buffer_size() > 1 << 20
            peer.writer.transport.abort()

    play(main)
