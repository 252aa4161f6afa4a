"""One message to many connections, prepared messages, and counters."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from helpers import TEXT
from net import ROLES, Peer, facing_raw, linked, listen, raw_client, stop_reading, uri

from wscodec.asyncio import Broadcast, PreparedMessage, Server, WebSocket, broadcast, connect


@contextlib.asynccontextmanager
async def crowd(size: int, **options: Any):
    """Yield a server and `size` raw clients."""

    async def handler(ws: WebSocket) -> None:
        await ws.wait_closed()

    async with listen(handler, **options) as server, contextlib.AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(raw_client(server)) for _ in range(size)]
        yield server, peers


async def slowed(server: Server, peers: list[Peer]) -> WebSocket:
    """Fill the way to one client that doesn't read, and return the server's end of it."""
    ws = next(iter(server.connections))
    peer = next(peer for peer in peers if peer.writer.get_extra_info("sockname") == ws.remote_address)
    peers.remove(peer)
    stop_reading(ws, peer)
    ws.send_nowait(b"x" * 10_000_000)
    await asyncio.sleep(0.01)
    return ws


@pytest.mark.parametrize(
    ("message", "text", "expected"),
    [("hällo", None, (1, "hällo".encode())), (b"\0\xff", None, (2, b"\0\xff")), (b"a", True, (1, b"a"))],
)
async def test_broadcast_reaches_all(message: str | bytes, text: bool | None, expected: tuple[int, bytes]) -> None:
    async with crowd(5) as (server, peers):
        assert broadcast(server.connections, message, text=text) == Broadcast(sent=5)
        assert [await peer.next_frame() for peer in peers] == [expected] * 5


async def test_broadcast_keeps_the_order_of_what_was_sent_before() -> None:
    async with crowd(1) as (server, [peer]):
        (ws,) = server.connections
        ws.send_nowait("1")
        broadcast([ws], "2")
        ws.send_nowait("3")
        assert [(await peer.next_frame())[1] for _ in range(3)] == [b"1", b"2", b"3"]


async def test_broadcast_from_clients_is_masked() -> None:
    echo = listen(on_messages=lambda ws, messages: ws.send_many(messages))
    async with echo as server, connect(uri(server)) as one, connect(uri(server)) as two:
        assert broadcast([one, two], "hello") == Broadcast(sent=2)
        assert [await one.recv(), await two.recv()] == ["hello", "hello"]


async def test_broadcast_skips_the_slow_and_sends_to_them_later() -> None:
    async with crowd(3) as (server, peers):
        slow = await slowed(server, peers)
        assert broadcast(server.connections, "a") == Broadcast(sent=2, skipped=1)
        assert [await peer.next_frame() for peer in peers] == [(TEXT, b"a")] * 2
        assert slow.state.name == "OPEN"


async def test_broadcast_closes_the_slow_where_it_is_told_to() -> None:
    async with crowd(3, close_timeout=0.05) as (server, peers):
        slow = await slowed(server, peers)
        assert broadcast(server.connections, "a", slow="close") == Broadcast(sent=2, dropped=1)
        assert broadcast(server.connections, "b", slow="close") == Broadcast(sent=2, closed=1)
        await slow.wait_closed()
        assert len(server.connections) == 2


async def test_broadcast_lets_the_slow_wait_where_it_is_told_to() -> None:
    async with crowd(2) as (server, peers):
        slow = await slowed(server, peers)
        unsent = slow.stats.unsent_size
        assert broadcast(server.connections, "a", slow="send") == Broadcast(sent=2)
        assert slow.stats.unsent_size == unsent + 3


async def test_broadcast_leaves_out_the_closed_and_those_amid_a_message() -> None:
    async with crowd(3) as (server, _):
        closed, busy, _ = server.connections
        closed.close_nowait()

        async def parts():
            yield "a"
            await asyncio.sleep(60)

        task = asyncio.create_task(busy.send(parts()))
        await asyncio.sleep(0.01)
        assert broadcast(server.connections | {closed}, "m") == Broadcast(sent=1, skipped=1, closed=1)
        task.cancel()


async def test_broadcast_leaves_out_those_that_were_cut() -> None:
    async with listen(on_messages=print) as server, connect(uri(server)) as ws:
        (far,) = server.connections
        for end in (far, ws):
            end.transport.abort()
            assert broadcast([end], "m") == Broadcast(closed=1)


async def test_broadcast_refuses_before_it_sends() -> None:
    async with crowd(1) as (server, _):
        (ws,) = server.connections
        for bad, error in ((3, TypeError), ("\ud800", ValueError)):
            with pytest.raises(error):
                broadcast([ws], bad)
        with pytest.raises(ValueError, match=r"^slow is"):
            broadcast([ws], "a", slow="maybe")  # type: ignore[arg-type]
        assert ws.stats.messages_sent == 0
        assert broadcast([], "a") == Broadcast()


@pytest.mark.parametrize("role", ROLES)
async def test_prepared_message_is_sent_by_every_way_of_sending(role: str) -> None:
    prepared = PreparedMessage("hello")
    async with linked(role) as (near, far):
        await near.send(prepared)
        near.send_nowait(prepared)
        broadcast([near], prepared)
        assert [await far.recv() for _ in range(3)] == ["hello"] * 3


@pytest.mark.parametrize("role", ROLES)
async def test_stats_count_both_ways(role: str) -> None:
    async with linked(role) as (near, far):
        await near.send("hello")
        near.send_many(["a", b"b"])
        await near.send(["c", "d"])
        await (await near.ping())
        key = 4 if role == "client" else 0
        sent, got = near.stats, far.stats
        assert (sent.messages_sent, sent.frames_sent) == (4, 7)  # the parts, an end, and a ping
        assert (got.messages_received, got.frames_received) == (4, 7)
        assert sent.bytes_sent == got.bytes_received == 7 + 3 + 3 + 3 + 3 + 2 + 6 + 7 * key
        assert got.unread_messages == 4
        assert (sent.frames_received, got.frames_sent, got.messages_sent) == (1, 1, 0)
        assert 0 < sent.latency == near.latency
        # What is unread would put off the close.
        assert [await far.recv() for _ in range(4)] == ["hello", "a", b"b", "cd"]


@pytest.mark.parametrize("role", ROLES)
async def test_stats_say_what_waits(role: str) -> None:
    async with facing_raw(role) as (ws, peer):
        stop_reading(ws, peer)
        ws.send_nowait(b"x" * 10_000_000)
        await asyncio.sleep(0.01)
        ws.send_nowait(b"y" * 1000)
        assert ws.stats.unwritten_size > 1_000_000
        assert ws.stats.unsent_size >= 1000
        peer.writer.transport.abort()
        await ws.wait_closed()
        assert ws.stats.unwritten_size == 0
