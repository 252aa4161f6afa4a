"""Flow control: slow readers on either side, floods, and what they cost."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import math
from typing import Any

import pytest
from helpers import CLOSE, PING, PONG, TEXT
from net import ROLES, calls_of, echo, facing_raw, linked, listen, raw_client, settled, stop_reading

from wscodec import ConnectionClosed, ConnectionClosedError
from wscodec.asyncio import WebSocket, connect

pytestmark = pytest.mark.parametrize("role", ROLES)


async def test_send_waits_for_a_slow_reader_and_all_arrives(role: str) -> None:
    async with linked(role, far={"max_queue": (2, 1)}) as (near, far):
        count = 300
        senders = [asyncio.create_task(near.send(b"%06d" % i + b"x" * 50_000)) for i in range(count)]
        await asyncio.sleep(0.05)
        assert not all(sender.done() for sender in senders)
        for i in range(count):
            assert (await far.recv())[:6] == b"%06d" % i
        await asyncio.gather(*senders)


async def test_send_waiting_senders_are_told_of_a_lost_connection(role: str) -> None:
    async with facing_raw(role) as (ws, peer):
        stop_reading(ws, peer)
        senders = [asyncio.create_task(ws.send(b"x" * 5_000_000)) for _ in range(5)]
        await asyncio.sleep(0.01)
        waiting = [sender for sender in senders if not sender.done()]
        assert waiting
        peer.writer.transport.abort()
        for sender in waiting:
            with pytest.raises(ConnectionClosedError) as caught:
                await sender
            assert caught.value.code == 1006
        assert ws._write_waiters == ()


async def test_pings_and_pongs_wait_for_a_slow_reader_too(role: str) -> None:
    async with facing_raw(role) as (ws, peer):
        stop_reading(ws, peer)
        ws.send_nowait(b"x" * 120_000)
        await asyncio.sleep(0)
        calls = [asyncio.create_task(ws.ping(b"a")), asyncio.create_task(ws.pong(b"b"))]
        await asyncio.sleep(0.01)
        assert not any(call.done() for call in calls)
        peer.writer.transport.resume_reading()
        assert len((await peer.next_frame())[1]) == 120_000
        assert [await peer.next_frame(), await peer.next_frame()] == [(PING, b"a"), (PONG, b"b")]
        await asyncio.gather(*calls)


async def test_send_cancelled_leaves_the_stream_whole(role: str) -> None:
    async with linked(role) as (near, far):
        far.transport.pause_reading()
        messages = [bytes([65 + i]) * 800_000 for i in range(20)]
        for message in messages:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.002):
                    await near.send(message)
        far.transport.resume_reading()
        assert [await far.recv() for _ in messages] == messages
        assert near._write_waiters == ()


@pytest.mark.parametrize(
    ("options", "size", "most"),
    [({"max_queue": 16}, 20_000, 50), ({"max_queue": None}, 20_000, 200), ({"max_queue": (3, 0)}, 200_000, 8)],
)
async def test_reading_is_paused_and_goes_on(role: str, options: dict[str, Any], size: int, most: int) -> None:
    async with linked(role, near=options) as (near, far):
        count = 40_000_000 // size
        senders = [asyncio.create_task(far.send(b"x" * size)) for _ in range(count)]
        while not near._reading_paused:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.05)
        assert near._reading_paused
        assert near._unread <= most
        for _ in range(count):
            assert len(await near.recv()) == size
        await asyncio.gather(*senders)
        assert near._queue_size == 0


async def test_no_limit_reads_all(role: str) -> None:
    async with linked(role, near={"max_queue": None}) as (near, far):
        far.send_many(["x"] * 5000)
        await settled(far)
        assert near._unread == 5000
        assert [await near.recv() for _ in range(5000)] == ["x"] * 5000


async def test_queue_that_was_drained_is_given_back(role: str) -> None:
    def lists(ws: WebSocket) -> int:
        return sum(isinstance(referent, list) for referent in gc.get_referents(ws))

    async with linked(role) as (near, far):
        assert lists(near) == 0
        await far.send("x")
        await settled(far)
        assert lists(near) == near._unread == 1
        await near.recv()
        assert lists(near) == near._unread == 0


async def test_peer_that_pings_and_never_reads_costs_no_memory(role: str) -> None:
    async with facing_raw(role, close_timeout=0.05) as (ws, peer):
        stop_reading(ws, peer)
        burst = peer.frame(PING, b"x" * 125) * 1000
        for _ in range(50):
            peer.send(burst)
            await peer.writer.drain()
            await asyncio.sleep(0)
            assert ws._connection.unsent_size + ws.transport.get_write_buffer_size() < 100_000
        assert ws._write_paused
        assert not ws._reading_paused
        peer.writer.transport.abort()


async def test_peer_that_reads_late_gets_the_latest_pong(role: str) -> None:
    async with facing_raw(role) as (ws, peer):
        stop_reading(ws, peer)
        while not ws._write_paused:
            peer.send(peer.frame(PING, b"x" * 125) * 1000)
            await peer.writer.drain()
            await asyncio.sleep(0)
        peer.send(peer.frame(PING, b"y" * 125) * 1000, peer.frame(PING, b"last"), peer.frame(CLOSE))
        peer.writer.transport.resume_reading()
        frames = [await peer.next_frame()]
        while frames[-1][0] == PONG:
            frames.append(await peer.next_frame())
        assert frames[-2:] == [(PONG, b"last"), (CLOSE, b"")]


async def test_peer_that_sends_and_never_reads_is_not_read(role: str) -> None:
    async with facing_raw(role, echo, close_timeout=0.05) as (ws, peer):
        stop_reading(ws, peer)
        sent = 0
        with contextlib.suppress(TimeoutError):
            while True:
                peer.send(peer.frame(TEXT, b"x" * 100_000))
                sent += 1
                async with asyncio.timeout(0.3):
                    await peer.writer.drain()
        assert ws._reading_paused
        assert ws._unread < 100
        assert ws._connection.unsent_size + ws.transport.get_write_buffer_size() < 1_000_000
        peer.writer.transport.abort()


async def test_callback_that_answers_a_peer_that_never_reads_is_not_called_for_ever(role: str) -> None:
    def on_messages(ws: WebSocket, messages: list[Any]) -> None:
        ws.send_many(messages)

    if role == "client":
        return
    async with listen(on_messages=on_messages, close_timeout=0.05) as server, raw_client(server) as peer:
        (ws,) = server.connections
        stop_reading(ws, peer)
        with contextlib.suppress(TimeoutError):
            while True:
                peer.send(peer.frame(TEXT, b"x" * 100_000))
                async with asyncio.timeout(0.3):
                    await peer.writer.drain()
        assert ws._reading_paused
        assert ws._connection.unsent_size + ws.transport.get_write_buffer_size() < 1_000_000
        # It goes on where it was stopped.
        peer.writer.transport.resume_reading()
        assert await peer.next_frame() == (TEXT, b"x" * 100_000)
        peer.writer.transport.abort()


async def test_write_limit_of_nothing_still_works(role: str) -> None:
    async with linked(role, near={"write_limit": 0, "max_queue": 0}, far={"write_limit": (10, 0)}) as (near, far):
        echoing = asyncio.create_task(echo(far))
        for message in ("a", b"x" * 500_000, "c"):
            await near.send(message)
            assert await near.recv() == message
        await near.close()
        await echoing


async def test_wrong_limits_are_refused(role: str) -> None:
    for options in ({"max_queue": -1}, {"max_queue": (1, 2)}, {"write_limit": -1}, {"write_limit": (0, 1)}):
        with pytest.raises(ValueError, match="high mark"):
            listen(echo, **options) if role == "server" else connect("ws://localhost/", **options)
    for options in ({"max_size": -1}, {"max_fragments": "x"}, {"max_queue": "x"}, {"write_limit": None}):
        with pytest.raises((TypeError, ValueError)):
            listen(echo, **options) if role == "server" else connect("ws://localhost/", **options)
    with pytest.raises(ValueError, match="compression"):
        listen(echo, compression="gzip") if role == "server" else connect("ws://localhost/", compression="gzip")


@pytest.mark.parametrize("name", ["open_timeout", "ping_interval", "ping_timeout", "close_timeout"])
async def test_times_that_are_none_are_refused(role: str, name: str) -> None:
    for time in (0, -1, math.nan, math.inf):
        with pytest.raises(ValueError, match=rf"^{name} is .* seconds .* {time}$"):
            listen(echo, **{name: time}) if role == "server" else connect("ws://localhost/", **{name: time})


async def test_concurrent_senders_and_pings_in_a_storm(role: str) -> None:
    async with linked(role) as (near, far):

        async def collect() -> list[Any]:
            with contextlib.suppress(ConnectionClosed):
                return [await far.recv() for _ in range(500)]
            return []

        async def send(i: int) -> None:
            await near.send([b"%03d" % i, b"x" * 3000] if i % 3 else b"%03d" % i + b"x" * 3000)
            await (await near.ping())

        collected, *_ = await asyncio.gather(collect(), *(send(i) for i in range(500)))
        assert sorted(message[:3] for message in collected) == [b"%03d" % i for i in range(500)]
        assert {len(message) for message in collected} == {3003}


async def test_waking_senders_takes_linear_work(role: str) -> None:
    async with linked(role) as (near, far):
        calls = []
        for count in (50, 400):
            near.pause_writing()
            senders = [asyncio.create_task(near.send(b"")) for _ in range(count)]
            await asyncio.sleep(0)
            near.resume_writing()
            calls.append(await calls_of(senders))
            assert [await far.recv() for _ in senders] == [b""] * count
        few, many = calls
        assert many < 10 * few


async def test_large_messages_wait_for_a_slow_reader(role: str) -> None:
    message = b"x" * (1 << 20)
    async with facing_raw(role, close_timeout=0.05) as (ws, peer):
        stop_reading(ws, peer)

        async def flood() -> None:
            while True:
                await ws.send(message)

        task = asyncio.create_task(flood())
        while not ws._write_paused:
            await asyncio.sleep(0)
        await asyncio.sleep(0.05)
        assert ws.stats.messages_sent < 32
        assert ws.stats.unwritten_size < 32 * len(message)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
