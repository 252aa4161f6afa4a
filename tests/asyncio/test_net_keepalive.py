"""Pings of the application, keepalive, and peers that go silent."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from helpers import BINARY, CLOSE, PING, PONG, TEXT, close_payload
from net import ROLES, echo, facing_raw, linked, settled, stop_reading

from wscodec import ConcurrencyError, ConnectionClosedError, State

pytestmark = pytest.mark.parametrize("role", ROLES)

NEVER = 1000


async def test_ping_is_answered_and_timed(role: str) -> None:
    async with linked(role) as (near, _):
        assert near.latency == 0
        for data in (None, "text", b"bytes", bytearray(b"x" * 125), ""):
            latency = await (await near.ping(data))
            assert latency == near.latency > 0
        assert not near._pings


async def test_ping_with_a_payload_that_does_not_fit_changes_nothing(role: str) -> None:
    async with linked(role) as (near, _):
        for call in (near.ping, near.pong):
            with pytest.raises(ValueError, match="125"):
                await call(b"x" * 126)
            for data in (5, [1]):
                with pytest.raises(TypeError):
                    await call(data)  # type: ignore[arg-type]
        await settled(near)


async def test_ping_twice_with_one_payload_is_refused(role: str) -> None:
    async with facing_raw(role) as (ws, peer):
        first = await ws.ping(b"a")
        with pytest.raises(ConcurrencyError):
            await ws.ping(b"a")
        peer.send(peer.frame(PONG, b"a"))
        await first
        await ws.ping(b"a")


async def test_pong_settles_earlier_pings_and_unknown_ones_are_dropped(role: str) -> None:
    async with facing_raw(role) as (ws, peer):
        first, second, third = [await ws.ping(data) for data in (b"1", b"2", b"3")]
        peer.send(peer.frame(PONG, b"?"), peer.frame(PONG), peer.frame(PONG, b"2"), peer.frame(PONG, b"1"))
        await asyncio.gather(first, second)
        assert not third.done()
        third.cancel()
        peer.send(peer.frame(PONG, b"3"), peer.frame(TEXT, b"x"))
        assert await ws.recv() == "x"
        assert not ws._pings


async def test_pongs_for_many_pings_take_linear_work(role: str) -> None:
    class Pings(dict[Any, Any]):
        steps = 0

        def __iter__(self) -> Iterator[Any]:
            for payload in super().__iter__():
                self.steps += 1
                yield payload

    async with linked(role) as (near, _):
        pings: Any = Pings()
        near._pings = pings
        waiters = [await near.ping() for _ in range(100)]
        await asyncio.gather(*waiters)
        assert not near._pings
        assert pings.steps <= 2 * len(waiters)


async def test_pong_is_sent_unasked(role: str) -> None:
    async with facing_raw(role) as (ws, peer):
        await ws.pong("a")
        await ws.pong()
        assert [await peer.next_frame() for _ in range(2)] == [(PONG, b"a"), (PONG, b"")]


async def test_ping_of_a_lost_connection_raises(role: str) -> None:
    async with facing_raw(role) as (ws, peer):
        waiter = await ws.ping()
        await ws.ping()  # nobody waits for this one: it must not complain
        await peer.close()
        with pytest.raises(ConnectionClosedError) as caught:
            await waiter
        assert caught.value.code == 1006


async def test_pings_are_answered_all_of_them_in_order(role: str) -> None:
    async with facing_raw(role) as (_, peer):
        payloads = [b"%d" % i for i in range(10)]
        peer.send(*(peer.frame(PING, payload) for payload in payloads))
        assert [await peer.next_frame() for _ in payloads] == [(PONG, payload) for payload in payloads]


async def test_keepalive_pings_and_measures(role: str) -> None:
    async with facing_raw(role, ping_interval=0.01, ping_timeout=NEVER) as (ws, peer):
        payloads = set()
        for _ in range(3):
            opcode, payload = await peer.next_frame()
            assert opcode == PING
            payloads.add(payload)
            peer.send(peer.frame(PONG, payload), peer.frame(TEXT, b"x"))
            assert await ws.recv() == "x"
        assert len(payloads) == 3
        assert ws.latency > 0
        assert ws.state is State.OPEN


async def test_keepalive_silent_peer_is_given_up(role: str) -> None:
    async with facing_raw(role, ping_interval=0.01, ping_timeout=0.02, close_timeout=None) as (ws, peer):
        with pytest.raises(ConnectionClosedError) as caught:
            await ws.recv()
        assert (caught.value.code, caught.value.reason) == (1011, "keepalive ping timeout")
        await ws.wait_closed()
        assert ws.close_code == 1011
        frames = await peer.frames()
        assert frames[-1] == (CLOSE, close_payload(1011, b"keepalive ping timeout"))
        assert {opcode for opcode, _ in frames[:-1]} == {PING}


async def test_keepalive_silent_peer_that_does_not_read_is_given_up(role: str) -> None:
    async with facing_raw(role, ping_interval=0.01, ping_timeout=0.02, close_timeout=None) as (ws, peer):
        stop_reading(ws, peer)
        with pytest.raises(ConnectionClosedError):
            await ws.send(b"x" * 5_000_000)
        assert ws.close_code == 1011
        peer.writer.transport.abort()


async def test_keepalive_peer_that_sends_and_does_not_read_is_given_up(role: str) -> None:
    async with facing_raw(role, echo, ping_interval=0.01, ping_timeout=0.02, close_timeout=0.1) as (ws, peer):
        # The application waits for the peer to take an answer, and so we don't read either.
        stop_reading(ws, peer)
        message = peer.frame(BINARY, bytes(100_000))
        async with asyncio.timeout(10):
            while ws.transport is not None:
                if peer.writer.transport.get_write_buffer_size() < 1_000_000:
                    peer.send(message)
                await asyncio.sleep(0.001)
        assert ws.close_code == 1011
        peer.writer.transport.abort()


async def test_keepalive_peer_that_takes_nothing_is_given_up_even_while_we_do_not_listen(role: str) -> None:
    options: dict[str, Any] = {"ping_interval": 0.02, "ping_timeout": 0.02, "close_timeout": None, "max_queue": 1}
    async with facing_raw(role, echo, **options) as (ws, peer):
        stop_reading(ws, peer)
        peer.send(peer.frame(BINARY, bytes(100_000)) * 40)
        await ws.wait_closed()
        assert (ws.close_code, ws.close_reason) == (1011, "keepalive ping timeout")
        assert ws.stats.unread_messages  # the handler waited in `send`, so that we did not read
        peer.writer.transport.abort()


async def test_keepalive_any_byte_is_a_sign_of_life(role: str) -> None:
    async with facing_raw(role, ping_interval=0.05, ping_timeout=0.05) as (ws, peer):
        pings = 0
        reading = asyncio.create_task(peer.next_frame())
        while pings < 4:
            done, _ = await asyncio.wait({reading}, timeout=0.005)
            peer.send(peer.frame(PONG, b"another"))
            if done:
                assert reading.result()[0] == PING
                pings += 1
                reading = asyncio.create_task(peer.next_frame())
        assert ws.state is State.OPEN
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reading


async def test_keepalive_none_never_pings_and_no_timeout_never_gives_up(role: str) -> None:
    async with facing_raw(role, ping_interval=None) as (ws, _):
        assert ws._timer is None
    async with facing_raw(role, ping_interval=0.01, ping_timeout=None) as (ws, peer):
        for _ in range(5):
            assert (await peer.next_frame())[0] == PING
        assert ws.state is State.OPEN


async def test_keepalive_unread_messages_are_no_death(role: str) -> None:
    near = {"ping_interval": 0.01, "ping_timeout": 0.01, "max_queue": 1}
    async with linked(role, near=near) as (ws, far):
        sending = asyncio.create_task(far.send(b"x" * 900_000))
        tasks = [asyncio.create_task(far.send(b"x" * 900_000)) for _ in range(20)]
        while not ws._reading_paused:
            await asyncio.sleep(0)
        await asyncio.sleep(0.1)  # the application is busy
        for _ in range(21):
            assert len(await ws.recv()) == 900_000
        await asyncio.gather(sending, *tasks)
        assert ws.state is State.OPEN


async def test_keepalive_stops_as_the_close_starts(role: str) -> None:
    async with facing_raw(role, ping_interval=0.01, ping_timeout=0.01, close_timeout=0.1) as (ws, peer):
        await ws.close(4000)
        assert [frame for frame in await peer.frames() if frame[0] != PING] == [(CLOSE, close_payload(4000))]
        assert ws.close_code == 1006
        assert ws._timer is None
