"""What `send`, `recv` and `__anext__` return is taken for a coroutine by whatever awaits it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from helpers import CLOSE, TEXT, close_payload
from net import ROLES, facing_raw, linked, listen, raw_client, settled

from wscodec import ConnectionClosedOK
from wscodec.asyncio import WebSocket

pytestmark = pytest.mark.parametrize("role", ROLES)

CALLS: dict[str, Callable[[WebSocket], Coroutine[Any, Any, Any]]] = {
    "send": lambda ws: ws.send("x"),
    "recv": lambda ws: ws.recv(),
    "anext": lambda ws: ws.__anext__(),
}
calls = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
receiving = pytest.mark.parametrize("call", [CALLS["recv"], CALLS["anext"]], ids=["recv", "anext"])


def pair(role: str) -> contextlib.AbstractAsyncContextManager[tuple[WebSocket, WebSocket]]:
    """Return both ends, that do not wait for messages to be read before they close."""
    return linked(role, near={"close_timeout": 0.05}, far={"close_timeout": 0.05})


@calls
async def test_call_is_a_coroutine(role: str, call: Callable[..., Any]) -> None:
    async with pair(role) as (near, far):
        far.send_many(["a", "b"])
        await settled(far)
        made = call(near)
        assert isinstance(made, Coroutine)
        assert asyncio.iscoroutine(made)
        await asyncio.create_task(made)
        await asyncio.wait_for(call(near), 5)


@calls
async def test_call_does_nothing_before_it_is_awaited(role: str, call: Callable[..., Any]) -> None:
    async with pair(role) as (near, far):
        far.send_many(["a"])
        await settled(far)
        made = call(near)
        assert near._unread == 1
        assert near._connection.unsent_size == 0
        made.close()
        assert near._unread == 1
        assert near.stats.messages_sent == 0
        made.close()
        with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
            await made


@calls
async def test_call_that_is_never_awaited_warns(role: str, call: Callable[..., Any]) -> None:
    async with pair(role) as (near, far):
        far.send_many(["a", "b"])
        await settled(far)
        with pytest.warns(RuntimeWarning, match="never awaited"):  # noqa: PT031
            call(near)
            await call(near)  # the last one may be kept to be used again
            gc.collect()


@calls
async def test_call_is_awaited_once(role: str, call: Callable[..., Any]) -> None:
    async with pair(role) as (near, far):
        far.send_many(["a", "b"])
        await settled(far)
        made = call(near)
        await made
        with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
            await made
        assert near._unread + near.stats.messages_sent in (1, 3)


@receiving
async def test_calls_keep_their_messages_apart(role: str, call: Callable[..., Any]) -> None:
    async with pair(role) as (near, far):
        far.send_many(["a", "b", "c", "d"])
        await settled(far)
        first, second = call(near), call(near)
        assert await second == "a"
        assert await first == "b"
        assert [await call(near), await call(near)] == ["c", "d"]


@receiving
async def test_call_made_before_the_message_was_gone_waits_for_the_next(role: str, call: Callable[..., Any]) -> None:
    async with pair(role) as (near, far):
        await far.send("a")
        await settled(far)
        first, second = call(near), call(near)
        assert await first == "a"
        task = asyncio.create_task(second)
        await asyncio.sleep(0)
        assert not task.done()
        await far.send("b")
        assert await task == "b"


@receiving
async def test_call_cancelled_before_it_began_loses_no_message(role: str, call: Callable[..., Any]) -> None:
    async with pair(role) as (near, far):
        far.send_many(["a", "b"])
        await settled(far)
        task = asyncio.create_task(call(near))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await call(near) == "a"
        task = asyncio.create_task(call(near))
        await asyncio.sleep(0)
        task.cancel()
        assert await task == "b"


@receiving
@pytest.mark.parametrize("begun", [False, True])
async def test_cancelled_call_is_not_awaited_again(role: str, call: Callable[..., Any], begun: bool) -> None:
    async with pair(role) as (near, _):
        made = call(near)
        task = asyncio.create_task(made)
        if begun:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
            await made


@receiving
async def test_error_behind_the_wait_is_the_result_of_the_task(
    role: str, call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(ws: WebSocket) -> None:
        raise OSError("can't go on reading")

    async with pair(role) as (near, far):
        task = asyncio.create_task(call(near))
        await asyncio.sleep(0)
        monkeypatch.setattr(type(near), "_regulate", fail)
        near._reading_paused = True
        await far.send("a")
        with pytest.raises(OSError, match="can't go on reading"):
            await asyncio.wait_for(task, 5)
        monkeypatch.undo()


async def test_send_cancelled_before_it_began_sends_nothing(role: str) -> None:
    async with pair(role) as (near, _):
        task = asyncio.create_task(near.send("x"))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert near.stats.messages_sent == 0


@pytest.mark.filterwarnings("ignore:the .type, exc, tb. signature:DeprecationWarning")
@calls
async def test_errors_can_be_thrown_into_a_call(role: str, call: Callable[..., Any]) -> None:
    async with pair(role) as (near, far):
        await far.send("a")
        await settled(far)
        for error in ((KeyError("x"),), (KeyError,), (KeyError, KeyError("x"), None)):
            with pytest.raises(KeyError):
                call(near).throw(*error)
        assert near._unread == 1


async def test_iteration_ends_in_calls_made_ahead(role: str) -> None:
    async with pair(role) as (near, far):
        await far.send("a")
        await settled(far)
        first, second = near.__anext__(), near.__anext__()
        assert await first == "a"
        task = asyncio.create_task(second)
        await far.close()
        with pytest.raises(StopAsyncIteration):
            await task


async def test_recv_raises_in_calls_made_ahead(role: str) -> None:
    async with pair(role) as (near, far):
        await far.send("a")
        await settled(far)
        first, second = near.recv(), near.recv()
        assert await first == "a"
        await far.close()
        with pytest.raises(ConnectionClosedOK):
            await second


async def test_sends_go_out_in_the_order_in_which_they_began(role: str) -> None:
    messages = ["plain", "n\u00f6t", b"bytes", bytearray(b"kept"), "x" * 100_000, "last"]
    async with pair(role) as (near, far):
        await asyncio.gather(*(near.send(message) for message in messages))
        assert [await far.recv() for _ in messages] == messages


async def test_send_on_a_closed_connection_raises_where_it_is_awaited(role: str) -> None:
    async with pair(role) as (near, far):
        made = near.send("x")
        await far.close()
        await near.wait_closed()
        later = near.send("x")
        assert [type(result) for result in await asyncio.gather(made, later, return_exceptions=True)] == [
            ConnectionClosedOK,
            ConnectionClosedOK,
        ]


async def test_much_that_a_callback_sends_goes_out_ahead_of_the_close_frame(role: str) -> None:
    def answer(ws: WebSocket, messages: list[Any]) -> None:
        for _ in range(5):
            ws.send_nowait("x" * 30_000)

    async with contextlib.AsyncExitStack() as stack:
        if role == "server":
            server = await stack.enter_async_context(listen(on_messages=answer, close_timeout=0.05))
            peer = await stack.enter_async_context(raw_client(server))
        else:
            _, peer = await stack.enter_async_context(facing_raw(role, on_messages=answer, close_timeout=0.05))
        peer.send(peer.frame(TEXT, b"go"), peer.frame(CLOSE, close_payload(1000)))
        frames = await peer.frames()
    assert [opcode for opcode, _ in frames] == [TEXT] * 5 + [CLOSE]


async def test_connection_that_can_not_be_written_to_keeps_no_other_from_it(role: str) -> None:
    class Broken(asyncio.Transport):
        def is_closing(self) -> bool:
            raise OSError("broken")

    reported: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: reported.append(context))
    async with pair(role) as (near, _), pair(role) as (other, far):
        # Connections of one server, or a client's of which one has the settings of the other, share an outbox.
        broken = type(near)(Broken(), other._options)
        broken._write_paused = False
        broken.send_nowait("x")
        await other.send("y")
        assert await far.recv() == "y"
    assert [str(context["exception"]) for context in reported] == ["broken"]
