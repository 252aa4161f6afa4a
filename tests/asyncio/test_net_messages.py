"""Receiving and sending over real sockets, in both roles."""

from __future__ import annotations

import array
import asyncio
from typing import Any

import pytest
from helpers import BINARY, CLOSE, CONT, PING, PONG, TEXT, close_payload
from net import ROLES, facing_raw, linked, settled, step

from wscodec import ConcurrencyError, ConnectionClosed, ConnectionClosedError, State

pytestmark = pytest.mark.parametrize("role", ROLES)
PART = 0x100  # what `Peer` adds to the opcode of a frame without FIN


async def test_recv_messages_arrive_as_str_and_bytes_in_order(role: str) -> None:
    async with linked(role) as (near, far):
        messages = ["héllo", b"\x00\xff", "", b"", "x" * 100_000]
        for message in messages:
            await far.send(message)
        assert [await near.recv() for _ in messages] == messages


async def test_recv_queued_message_does_not_suspend(role: str) -> None:
    async with linked(role) as (near, far):
        for message in ("a", b"b", "c"):
            await far.send(message)
        await settled(far)
        assert step(near.recv()) == "a"
        assert step(near.__anext__()) == b"b"
        assert step(near.recv(decode=False)) == b"c"


async def test_recv_cancelled_as_the_message_comes_loses_nothing(role: str) -> None:
    async with linked(role) as (near, far):
        for expected in ("one", "two"):
            task = asyncio.create_task(near.recv())
            await asyncio.sleep(0)
            near._deliver([expected])  # what a read does; then, in the same tick, the cancellation
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await near.recv() == expected
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await near.recv()
        await far.send("three")
        assert await near.recv() == "three"


async def test_recv_twice_at_once_is_refused(role: str) -> None:
    async with linked(role) as (near, far):
        first = asyncio.create_task(near.recv())
        await asyncio.sleep(0)
        with pytest.raises(ConcurrencyError):
            await near.recv()
        await far.send("for the first")
        assert await first == "for the first"


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("woken", [False, True])
async def test_recv_right_behind_a_cancelled_one_is_served(role: str, streaming: bool, woken: bool) -> None:
    async with linked(role, near={"streaming": streaming}) as (near, far):
        for again in (near.recv, lambda: anext(near)):
            first = asyncio.create_task(again())
            await asyncio.sleep(0)
            if woken:
                await far.send("hello")
                while not near._unread:
                    await asyncio.sleep(0)
            else:
                far.send_nowait("hello")
            first.cancel()
            assert await again() == "hello"
            assert first.cancelled()


@pytest.mark.parametrize(
    ("sent", "decode", "received"),
    [("é", None, "é"), ("é", False, b"\xc3\xa9"), ("é", True, "é"), (b"\xc3\xa9", True, "é"), (b"a", False, b"a")],
)
async def test_recv_decode(role: str, sent: Any, decode: bool | None, received: Any) -> None:
    async with linked(role) as (near, far):
        await far.send(sent)
        assert await near.recv(decode=decode) == received


async def test_recv_decode_of_what_is_not_utf8_raises_and_goes_on(role: str) -> None:
    async with linked(role) as (near, far):
        await far.send(b"\xff")
        await far.send("next")
        with pytest.raises(UnicodeDecodeError):
            await near.recv(decode=True)
        assert await near.recv() == "next"


async def test_send_does_not_suspend_and_one_tick_is_one_write(role: str) -> None:
    async with linked(role) as (near, far):
        transport, near._transport = near._transport, Spy(near._transport)
        for message in ("a", b"b", ["c", "d"]):
            step(near.send(message))
        step(near.ping(b"p"))
        near.send_nowait("e")
        near.send_many(["f", "g"])
        assert near._transport.writes == []
        await settled(near)
        assert len(near._transport.writes) == 1
        near._transport = transport
        assert [await far.recv() for _ in range(6)] == ["a", b"b", "cd", "e", "f", "g"]


async def test_send_above_the_write_limit_is_written_at_once(role: str) -> None:
    async with linked(role, near={"write_limit": 1000}) as (near, far):
        transport, near._transport = near._transport, Spy(near._transport)
        near.send_nowait("x" * 900)
        assert not near._transport.writes
        near.send_nowait("y" * 900)
        assert len(near._transport.writes) == 1
        near._transport = transport
        assert [await far.recv(), await far.recv()] == ["x" * 900, "y" * 900]


class Spy:
    """A transport that remembers what is written to it."""

    def __init__(self, transport: Any) -> None:
        self.transport = transport
        self.writes: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.writes.append(data)
        self.transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)


@pytest.mark.parametrize(
    ("message", "text", "opcode", "payload"),
    [
        ("é", None, TEXT, b"\xc3\xa9"),
        ("é", False, BINARY, b"\xc3\xa9"),
        (b"\xc3\xa9", True, TEXT, b"\xc3\xa9"),
        (bytearray(b"a"), None, BINARY, b"a"),
        (memoryview(b"ab"), None, BINARY, b"ab"),
        (array.array("B", [1, 2]), None, BINARY, b"\x01\x02"),
    ],
)
async def test_send_text_and_binary(role: str, message: Any, text: bool | None, opcode: int, payload: bytes) -> None:
    async with facing_raw(role) as (ws, peer):
        await ws.send(message, text=text)
        assert await peer.next_frame() == (opcode, payload)
        peer.send(peer.frame(CLOSE))


@pytest.mark.parametrize("message", [None, 3, {"a": 1}, object(), [3], [{"a": 1}], [None]])
async def test_send_of_what_is_no_message_sends_nothing(role: str, message: Any) -> None:
    async with linked(role) as (near, far):
        with pytest.raises(TypeError):
            await near.send(message)
        await near.send([])
        await near.send("still there")
        assert await far.recv() == "still there"


@pytest.mark.parametrize("message", [["\ud800"], "\ud800", b"\xff"])
async def test_send_of_text_that_is_no_utf8_sends_nothing(role: str, message: Any) -> None:
    async with linked(role) as (near, far):
        with pytest.raises(ValueError, match=r".*"):
            await near.send(message, text=True)
        await near.send("still there")
        assert await far.recv() == "still there"


async def test_send_fragments_lets_pings_pass_and_messages_wait(role: str) -> None:
    async with facing_raw(role) as (ws, peer):
        more = asyncio.Event()

        async def parts() -> Any:
            yield "a"
            await more.wait()
            yield "b"

        first = asyncio.create_task(ws.send(parts()))
        assert await peer.next_frame() == (TEXT | PART, b"a")
        second = asyncio.create_task(ws.send("later"))
        third = asyncio.create_task(ws.send([b"c", b"d"]))
        await asyncio.sleep(0)
        with pytest.raises(ConcurrencyError):
            ws.send_nowait("now")
        await ws.ping(b"between")
        peer.send(peer.frame(PING, b"theirs"))
        assert await peer.next_frame() == (PING, b"between")
        assert await peer.next_frame() == (PONG, b"theirs")
        more.set()
        await asyncio.gather(first, second, third)
        assert [await peer.next_frame() for _ in range(6)] == [
            (CONT | PART, b"b"),
            (CONT, b""),
            (TEXT, b"later"),
            (BINARY | PART, b"c"),
            (CONT | PART, b"d"),
            (CONT, b""),
        ]
        assert ws._sending is None  # plain messages are sent at once again
        peer.send(peer.frame(CLOSE))


@pytest.mark.parametrize(
    ("parts", "text", "message"),
    [([b"\xc3", b"\xa9"], True, "é"), (["é", "a"], False, b"\xc3\xa9a"), (("a",), None, "a"), (("", ""), None, "")],
)
async def test_send_fragments_as_text_or_binary(role: str, parts: Any, text: bool | None, message: Any) -> None:
    async with linked(role) as (near, far):
        await near.send(iter(parts), text=text)
        assert await far.recv() == message


async def test_send_fragments_that_break_off_fail_the_connection(role: str) -> None:
    def parts() -> Any:
        yield "a"
        raise LookupError

    async with linked(role) as (near, far):
        with pytest.raises(LookupError):
            await near.send(parts())
        with pytest.raises(ConnectionClosedError) as caught:
            await far.recv()
        assert caught.value.code == 1011


@pytest.mark.parametrize(("parts", "text"), [(["a", b"b"], None), ([b"a", b"\xff"], True), ([b"\xc3"], True)])
async def test_send_fragments_that_do_not_fit_fail_the_connection(role: str, parts: Any, text: bool | None) -> None:
    async with linked(role) as (near, far):
        with pytest.raises((TypeError, ValueError)):
            await near.send(parts, text=text)
        await far.wait_closed()
        assert far.close_code == near.close_code == 1011


async def test_send_behind_fragments_that_stall_ends_with_the_connection(role: str) -> None:
    async def parts(*begun: str) -> Any:
        for part in begun:
            yield part
        await asyncio.Event().wait()

    async with linked(role) as (near, far):
        stalled = [asyncio.create_task(near.send(parts("a")))]
        await asyncio.sleep(0)
        waiting = [asyncio.create_task(near.send(message)) for message in ("b", ["c"], "d")]
        await settled(near)
        far.transport.abort()
        for task in waiting:
            with pytest.raises(ConnectionClosedError):
                await task
        stalled.append(asyncio.create_task(near.send(parts())))
        await asyncio.sleep(0)
        for message in ("e", ["f"]):
            with pytest.raises(ConnectionClosedError):
                await near.send(message)
        for task in stalled:
            task.cancel()
        await asyncio.gather(*stalled, return_exceptions=True)


async def test_send_fragments_cancelled_midway_fails_the_connection(role: str) -> None:
    async def parts() -> Any:
        yield "a"
        await asyncio.Event().wait()

    async with linked(role) as (near, far):
        task = asyncio.create_task(near.send(parts()))
        await settled(near)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await far.wait_closed()
        assert far.close_code == 1011


async def test_streaming_hands_on_parts_and_recv_puts_them_together(role: str) -> None:
    async with facing_raw(role, streaming=True) as (ws, peer):
        euro = "€".encode()
        text = peer.frame(TEXT, b"a" + euro[:1], fin=False), peer.frame(CONT, euro[1:])
        for _ in range(3):
            peer.send(*text, peer.frame(BINARY, b"b"))
        assert "".join([part async for part in ws.recv_streaming()]) == "a€"
        assert [part async for part in ws.recv_streaming(decode=True)] == ["b"]
        assert await ws.recv() == "a€"
        assert await ws.recv(decode=True) == "b"
        assert b"".join([part async for part in ws.recv_streaming(decode=False)]) == b"a" + euro
        peer.send(peer.frame(CLOSE))


async def test_streaming_recv_cancelled_midway_goes_on_later(role: str) -> None:
    async with facing_raw(role, streaming=True) as (ws, peer):
        for again in (ws.recv, lambda: anext(ws)):
            peer.send(peer.frame(TEXT, b"a", fin=False))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await ws.recv()
            peer.send(peer.frame(CONT, b"b"))
            assert await again() == "ab"
        peer.send(peer.frame(CLOSE))


async def test_streaming_left_midway_is_not_taken_for_a_message(role: str) -> None:
    async with facing_raw(role, streaming=True) as (ws, peer):
        peer.send(peer.frame(TEXT, b"a", fin=False), peer.frame(CONT, b"b"))
        parts = ws.recv_streaming()
        assert await anext(parts) == "a"
        with pytest.raises(ConcurrencyError):
            await ws.recv()
        with pytest.raises(ConcurrencyError):
            await anext(ws.recv_streaming())
        assert await anext(parts) == "b"
        peer.send(peer.frame(CLOSE))
        with pytest.raises(StopAsyncIteration):
            await anext(parts)


@pytest.mark.parametrize("rest", [["b"], ["b", "c"]])
async def test_streaming_left_midway_behind_a_recv_that_was_cancelled(role: str, rest: list[str]) -> None:
    async with facing_raw(role, streaming=True) as (ws, peer):
        peer.send(peer.frame(TEXT, b"a", fin=False))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await ws.recv()
        peer.send(*(peer.frame(CONT, part.encode(), fin=part == rest[-1]) for part in rest), peer.frame(TEXT, b"next"))
        parts = ws.recv_streaming()
        assert await anext(parts) == "a"
        with pytest.raises(ConcurrencyError):
            await ws.recv()
        with pytest.raises(ConcurrencyError):
            await anext(ws.recv_streaming())
        assert [part async for part in parts] == rest
        assert await ws.recv() == "next"
        peer.send(peer.frame(CLOSE))


async def test_recv_streaming_without_streaming_yields_one_part(role: str) -> None:
    async with linked(role) as (near, far):
        await far.send(["a", "b"])
        assert [part async for part in near.recv_streaming()] == ["ab"]
        await far.send(b"\xff")
        with pytest.raises(UnicodeDecodeError):
            await anext(near.recv_streaming(decode=True))


async def test_facts(role: str) -> None:
    async with linked(role) as (near, far):
        assert near.state is State.OPEN
        assert near.close_code is near.close_reason is None
        assert near.local_address == far.remote_address
        assert near.id == near.id != far.id
        assert near.logger.name == f"wscodec.{role}"
        assert (near.request or far.request).path == "/"
        assert (near.response or far.response).status == 101
        near.user = "ada"  # an attribute of the application's
        before = near.local_address, near.remote_address
        await far.close(4000, "why")
        await near.wait_closed()
        assert near.state is State.CLOSED
        assert (near.close_code, near.close_reason) == (4000, "why")
        assert (near.local_address, near.remote_address) == before
        assert near.transport is None
        with pytest.raises(ConnectionClosed, match="4000 why"):
            await near.send("x")


async def test_max_size_is_kept(role: str) -> None:
    async with linked(role, near={"max_size": 100}) as (near, far):
        await far.send("x" * 100)
        await far.send("x" * 101)
        assert await near.recv() == "x" * 100
        with pytest.raises(ConnectionClosedError) as caught:
            await near.recv()
        assert caught.value.code == 1009
        await far.wait_closed()
        assert far.close_code == 1009


async def test_max_fragments_is_kept(role: str) -> None:
    async with facing_raw(role, max_fragments=2) as (_, peer):
        peer.send(*(peer.frame(opcode, fin=False) for opcode in (TEXT, CONT, CONT)))
        assert await peer.next_frame() == (CLOSE, close_payload(1009, b"a message has more than 2 fragments"))
