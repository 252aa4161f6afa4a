"""The closing handshake, failures and lost connections: every way for a connection to end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import Any

import pytest
from helpers import BINARY, CLOSE, PING, PONG, TEXT, close_payload
from net import ROLES, calls_of, echo, facing_raw, linked, listen, raw_client, settled, step, stop_reading, uri

from wscodec import ConnectionClosed, ConnectionClosedError, ConnectionClosedOK, State
from wscodec.asyncio import WebSocket, connect, transport

pytestmark = pytest.mark.parametrize("role", ROLES)


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "bye"), (1011, "é"), (3000, ""), (4999, "x" * 123)])
async def test_close_code_and_reason_reach_the_peer(role: str, code: int, reason: str) -> None:
    async with linked(role) as (near, far):
        await near.close(code, reason)
        await far.wait_closed()
        assert (near.close_code, near.close_reason) == (far.close_code, far.close_reason) == (code, reason)
        assert near.state is far.state is State.CLOSED


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000])
async def test_close_with_a_code_that_may_not_be_sent_changes_nothing(role: str, code: int) -> None:
    async with linked(role) as (near, far):
        with pytest.raises(ValueError, match=str(code)):
            await near.close(code)
        await far.send("still there")
        assert await near.recv() == "still there"


async def test_close_from_both_sides_and_again(role: str) -> None:
    async with linked(role) as (near, far):
        await asyncio.gather(near.close(4000), far.close(4001), near.close(4002))
        assert (near.close_code, far.close_code) == (4001, 4000)
        await near.close(4003)
        near.close_nowait()
        assert near.close_code == 4001


async def test_calls_after_the_end_raise_one_error(role: str) -> None:
    async with linked(role) as (near, far):
        await far.close(4000, "over")
        await near.wait_closed()
        for call in (near.recv(), near.send("x"), near.send(["x"]), near.ping(), near.pong()):
            with pytest.raises(ConnectionClosedError) as caught:
                await call
            assert (caught.value.code, caught.value.reason) == (4000, "over")
        with pytest.raises(ConnectionClosedError):
            near.send_nowait("x")
        with pytest.raises(ConnectionClosedError):
            near.send_many(["x"])


async def test_calls_while_closing_raise_and_recv_goes_on(role: str) -> None:
    async with facing_raw(role) as (ws, peer):
        ws.close_nowait(1001)
        for call in (ws.send("x"), ws.ping()):
            with pytest.raises(ConnectionClosedOK):
                await call
        assert await peer.next_frame() == (CLOSE, close_payload(1001))
        peer.send(peer.frame(TEXT, b"late"), peer.frame(PING, b"x"), peer.frame(CLOSE, close_payload(1001)))
        assert await ws.recv() == "late"
        with pytest.raises(ConnectionClosedOK):
            await ws.recv()
        await peer.close()
        await ws.wait_closed()
        assert ws.close_code == 1001


async def test_recv_that_waits_is_woken(role: str) -> None:
    for end in ("close", "abort"):
        async with linked(role) as (near, far):
            task = asyncio.create_task(near.recv())
            await asyncio.sleep(0)
            if end == "close":
                await far.close()
            else:
                far.transport.abort()
            with pytest.raises(ConnectionClosed) as caught:
                await task
            assert caught.value.code == (1000 if end == "close" else 1006)


@pytest.mark.parametrize(("code", "quiet"), [(1000, True), (1001, True), (None, True), (1011, False), (4000, False)])
async def test_iteration_ends_or_raises_by_the_code(role: str, code: int | None, quiet: bool) -> None:
    async with facing_raw(role) as (ws, peer):
        peer.send(peer.frame(TEXT, b"a"), peer.frame(CLOSE, b"" if code is None else close_payload(code)))
        with contextlib.nullcontext() if quiet else pytest.raises(ConnectionClosedError):
            assert [message async for message in ws] == ["a"]
        assert ws.close_code == (code or 1005)


async def test_messages_before_the_end_are_received_after_it(role: str) -> None:
    async with linked(role) as (near, far):
        far.send_many(["a", b"b", "c"])
        far.close_nowait()
        assert (await near.recv(), await near.recv()) == ("a", b"b")
        near.close_nowait()
        await near.wait_closed()
        assert await near.recv() == "c"
        with pytest.raises(ConnectionClosedOK):
            await near.recv()


async def test_peer_that_never_answers_close_is_cut(role: str) -> None:
    async with facing_raw(role, close_timeout=0.05) as (ws, peer):
        waiting = asyncio.create_task(ws.recv())
        await ws.close()
        assert (ws.close_code, ws.state) == (1006, State.CLOSED)
        with pytest.raises(ConnectionClosedError):
            await waiting
        assert await peer.next_frame() == (CLOSE, close_payload(1000))


async def test_peer_that_answers_close_and_keeps_tcp_open_is_cut(role: str) -> None:
    async with facing_raw(role, close_timeout=0.05) as (ws, peer):
        peer.send(peer.frame(CLOSE, close_payload(1000)))
        await ws.close()
        assert ws.close_code == 1000


async def test_close_cancelled_goes_on_by_itself(role: str) -> None:
    async with facing_raw(role, close_timeout=0.1) as (ws, _):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await ws.close()
        await ws.wait_closed()


@pytest.mark.parametrize("part", [b"", b"\x81", b"\x81\x85\x01\x02", b"\x01\x80\0\0\0\0"])
async def test_eof_without_close_is_1006(role: str, part: bytes) -> None:
    async with facing_raw(role) as (ws, peer):
        peer.send(part if role == "server" else part.replace(b"\x85", b"\x05").replace(b"\x80\0\0\0\0", b"\x00"))
        peer.writer.write_eof()
        with pytest.raises(ConnectionClosedError) as caught:
            await ws.recv()
        assert (caught.value.code, ws.close_code, ws.close_reason) == (1006, 1006, "")
        await ws.wait_closed()
        assert await peer.frames() == []


async def test_reset_is_1006(role: str) -> None:
    async with facing_raw(role) as (ws, peer):
        linger = struct.pack("ii", 1, 0)
        peer.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        peer.writer.transport.abort()
        with pytest.raises(ConnectionClosedError) as caught:
            await ws.recv()
        assert caught.value.code == 1006


async def slow_echo(ws: WebSocket) -> None:
    async for message in ws:
        await asyncio.sleep(0.01)
        await ws.send(message)


@pytest.mark.parametrize("handler", [echo, slow_echo])
@pytest.mark.parametrize("half_close", [False, True])
async def test_close_right_behind_messages_is_answered_behind_the_echoes(
    role: str, handler: Any, half_close: bool
) -> None:
    async with facing_raw(role, handler) as (ws, peer):
        peer.send(peer.frame(TEXT, b"a"), peer.frame(BINARY, b"b"), peer.frame(PING, b"p"))
        peer.send(peer.frame(CLOSE, close_payload(4000, b"why")))
        if half_close:
            peer.writer.write_eof()
        frames = [await peer.next_frame() for _ in range(4)]
        frames.remove((PONG, b"p"))
        assert frames == [(TEXT, b"a"), (BINARY, b"b"), (CLOSE, close_payload(4000, b"why"))]
        await peer.close()
        await ws.wait_closed()
        assert ws.close_code == 4000


@pytest.mark.parametrize("handler", [echo, slow_echo])
async def test_offence_right_behind_a_message_is_answered_behind_the_echo(role: str, handler: Any) -> None:
    async with facing_raw(role, handler) as (ws, peer):
        peer.send(peer.frame(TEXT, b"good"), peer.frame(0x3, b"reserved"), peer.frame(TEXT, b"not seen"))
        assert await peer.next_frame() == (TEXT, b"good")
        opcode, payload = await peer.next_frame()
        assert (opcode, payload[:2]) == (CLOSE, close_payload(1002))
        await peer.close()
        await ws.wait_closed()
        assert ws.close_code == 1002


async def test_close_that_waits_for_the_application_waits_no_longer_than_the_timeout(role: str) -> None:
    for recv in (False, True):

        async def handler(ws: WebSocket, recv: bool = recv) -> None:
            if recv:
                await ws.recv()
            await ws.wait_closed()

        async with facing_raw(role, handler, close_timeout=0.05) as (ws, peer):
            peer.send(peer.frame(TEXT, b"a"), peer.frame(TEXT, b"b"), peer.frame(CLOSE, close_payload(1000)))
            assert await peer.next_frame() == (CLOSE, close_payload(1000))
            await ws.wait_closed()
            assert ws.close_code == 1000


async def test_close_that_waits_for_the_application_goes_out_without_a_timeout_too(
    role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "_PATIENCE_WITHOUT_TIMEOUT", 0.05)
    async with facing_raw(role, close_timeout=None) as (ws, peer):
        peer.send(peer.frame(TEXT, b"unread"), peer.frame(CLOSE, close_payload(4000)))
        assert await peer.next_frame() == (CLOSE, close_payload(4000))
        await peer.close()
        await ws.wait_closed()
        assert await ws.recv() == "unread"


async def test_close_that_comes_alone_is_answered_at_once(role: str) -> None:
    async def ticker(ws: WebSocket) -> None:
        await ws.recv()
        with contextlib.suppress(ConnectionClosed):
            while True:
                await ws.send("tick")
                await asyncio.sleep(0.01)

    async with facing_raw(role, ticker, close_timeout=None) as (ws, peer):
        peer.send(peer.frame(TEXT, b"subscribe"))
        assert await peer.next_frame() == (TEXT, b"tick")
        peer.send(peer.frame(CLOSE, close_payload(1000)))
        while (frame := await peer.next_frame()) == (TEXT, b"tick"):
            pass
        assert frame == (CLOSE, close_payload(1000))
        await peer.close()
        await ws.wait_closed()


async def test_own_close_releases_the_one_that_waits(role: str) -> None:
    async with facing_raw(role, close_timeout=None) as (ws, peer):
        peer.send(peer.frame(TEXT, b"unread"), peer.frame(CLOSE, close_payload(4000)))
        while ws.state is State.OPEN:
            await asyncio.sleep(0)
        ws.close_nowait(1000)
        assert await peer.next_frame() == (CLOSE, close_payload(4000))
        await peer.close()
        await ws.wait_closed()
        assert await ws.recv() == "unread"


async def test_close_with_a_full_queue_does_not_hang(role: str) -> None:
    async with linked(role, near={"max_queue": 1, "close_timeout": None}, far={"close_timeout": None}) as (near, far):
        sending = asyncio.create_task(send_until_closed(far, "x" * 10_000))
        while not near._reading_paused:
            await asyncio.sleep(0)
        await near.close(4000)
        await sending
        assert near.close_code == far.close_code == 4000


async def send_until_closed(ws: WebSocket, message: str) -> None:
    with contextlib.suppress(ConnectionClosed):
        while True:
            await ws.send(message)
            await asyncio.sleep(0)


async def test_close_to_a_peer_that_does_not_read_is_cut(role: str) -> None:
    async with facing_raw(role, close_timeout=0.05) as (ws, peer):
        stop_reading(ws, peer)
        ws.send_nowait(b"x" * 5_000_000)
        await asyncio.sleep(0)
        senders = [asyncio.create_task(ws.send(b"more")) for _ in range(3)]
        await asyncio.sleep(0)
        await ws.close()
        for sender in senders:
            with pytest.raises(ConnectionClosed):
                await sender
        peer.writer.transport.abort()


async def test_eof_from_a_peer_that_does_not_read_is_cut(role: str) -> None:
    async with facing_raw(role, close_timeout=0.05) as (ws, peer):
        stop_reading(ws, peer)
        ws.send_nowait(b"x" * 5_000_000)
        await asyncio.sleep(0)
        peer.writer.write_eof()
        await ws.wait_closed()
        assert ws.close_code == 1006
        peer.writer.transport.abort()


@pytest.mark.parametrize("reads", [True, False])
@pytest.mark.parametrize("end", [(CLOSE, close_payload(4000)), (0x3, b"")])
async def test_eof_behind_the_last_frame_leaves_time_for_ours(role: str, end: tuple[int, bytes], reads: bool) -> None:
    async with facing_raw(role, close_timeout=10 if reads else 0.05) as (ws, peer):
        ws.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        peer.writer.transport.pause_reading()
        while not ws._write_paused:
            ws.send_nowait(b"x" * 60_000)
            await asyncio.sleep(0)
        ws.send_nowait(b"last")
        ws.close_nowait(4001)
        assert ws.stats.unsent_size > 0
        peer.send(peer.frame(*end))
        peer.writer.write_eof()
        while not ws._eof:
            await asyncio.sleep(0)
        if reads:
            peer.writer.transport.resume_reading()
            assert (await peer.frames())[-2:] == [(BINARY, b"last"), (CLOSE, close_payload(4001))]
        await ws.wait_closed()
        assert ws.close_code == (4000 if end[0] == CLOSE else 1002)
        peer.writer.transport.abort()


async def test_bytes_after_the_end_are_dropped(role: str) -> None:
    async with facing_raw(role, close_timeout=0.2) as (ws, peer):
        peer.send(b"\xff\xff")
        opcode, payload = await peer.next_frame()
        assert (opcode, payload[:2]) == (CLOSE, close_payload(1002))
        with contextlib.suppress(ConnectionError):
            while ws.transport is not None:
                peer.send(peer.frame(TEXT, b"x" * 100_000))
                await peer.writer.drain()
                assert not ws._unread
        with pytest.raises(ConnectionClosedError):
            await ws.recv()


async def test_no_frame_follows_the_close_frame(role: str) -> None:
    async with facing_raw(role) as (ws, peer):
        ws.close_nowait()
        peer.send(*(peer.frame(PING, b"x") for _ in range(100)), peer.frame(CLOSE, close_payload(1000)))
        if role == "client":
            peer.writer.write_eof()
        assert await peer.frames() == [(CLOSE, close_payload(1000))]


async def test_leaving_the_context_closes_with_the_code_of_what_happened(role: str) -> None:
    class Odd(BaseException):
        pass

    codes = {None: 1000, LookupError: 1011, Odd: 1011, asyncio.CancelledError: 1001, GeneratorExit: 1001}
    for error, code in codes.items():
        async with linked(role) as (near, far):
            with contextlib.suppress(LookupError, Odd, asyncio.CancelledError, GeneratorExit):
                async with near:
                    if error:
                        raise error
            await far.wait_closed()
            assert far.close_code == code


async def test_connect_context_closes_with_the_code_of_what_happened(role: str) -> None:
    seen = []

    async def handler(ws: WebSocket) -> None:
        await ws.wait_closed()
        seen.append(ws.close_code)

    async with listen(handler) as server:
        async with connect(uri(server)):
            pass
        with contextlib.suppress(LookupError):
            async with connect(uri(server)):
                raise LookupError
    assert seen == [1000, 1011]


async def test_server_ends_tcp_first_and_input_in_flight_resets_nothing(role: str) -> None:
    if role == "client":
        return
    async with listen(echo) as server, raw_client(server) as peer:
        peer.send(peer.frame(CLOSE, close_payload(1000)), b"x" * 1_000_000)
        await asyncio.sleep(0.05)
        assert await peer.frames() == [(CLOSE, close_payload(1000))]


async def test_client_waits_for_the_server_to_end_tcp(role: str) -> None:
    if role == "server":
        return
    async with facing_raw("client") as (ws, peer):
        peer.send(peer.frame(CLOSE, close_payload(1000)))
        assert await peer.next_frame() == (CLOSE, close_payload(1000))
        peer.send(b"ignored")
        await asyncio.sleep(0.02)
        assert ws.transport is not None
        peer.writer.write_eof()
        await ws.wait_closed()


@pytest.mark.parametrize("cancelled", [False, True])
async def test_waking_those_who_wait_for_the_end_takes_linear_work(role: str, cancelled: bool) -> None:
    calls = []
    for count in (50, 400):
        async with linked(role) as (near, _):
            waiting = [asyncio.ensure_future(near.wait_closed()) for _ in range(count)]
            await asyncio.sleep(0)
            for task in waiting[1:] if cancelled else ():
                task.cancel()
            near.transport.abort()
            calls.append(await calls_of(waiting))
    few, many = calls
    assert many < 10 * few


async def test_wait_closed_cancelled_leaves_nothing(role: str) -> None:
    async with linked(role) as (near, far):
        before = list(near._close_waiters)
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.001):
                    await near.wait_closed()
        assert list(near._close_waiters) == before
        await settled(far)
        await near.close()
        step(near.wait_closed())
