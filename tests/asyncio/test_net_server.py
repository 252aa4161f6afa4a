"""The server as a whole: handlers, callbacks, shutdown, and that nothing outlives its connection."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import socket
import weakref
from typing import Any

import pytest
import soak
from helpers import CLOSE, PING, PONG, TEXT, close_payload
from net import REQUEST, ROLES, echo, idle, linked, listen, raw_client, settled, uri

from wscodec import ConcurrencyError, ConnectionClosed, ConnectionClosedError, ConnectionClosedOK, Fragment
from wscodec.asyncio import WebSocket, connect, serve


def errors_in(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_handler_that_returns_closes_with_1000() -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.send("bye")

    async with listen(handler) as server, connect(uri(server)) as ws:
        assert [message async for message in ws] == ["bye"]
        await ws.wait_closed()
        assert ws.close_code == 1000


async def test_handler_that_raises_closes_with_1011_and_the_others_live_on(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(ws: WebSocket) -> None:
        async for message in ws:
            if message == "boom":
                raise LookupError("here")
            await ws.send(message)

    async with listen(handler) as server, connect(uri(server)) as good, connect(uri(server)) as bad:
        await bad.send("boom")
        with pytest.raises(ConnectionClosedError) as caught:
            await bad.recv()
        assert caught.value.code == 1011
        await good.send("fine")
        assert await good.recv() == "fine"
    (record,) = errors_in(caplog)
    assert record.name == "wscodec.server"
    assert record.exc_info[0] is LookupError


async def test_handler_that_meets_the_end_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(ws: WebSocket) -> None:
        while True:
            await ws.recv()

    async with listen(handler) as server:
        for code in (1000, 4000):
            await (await connect(uri(server))).close(code)
    assert not errors_in(caplog)


async def test_handler_that_meets_the_end_of_another_connection_is_an_error(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(ws: WebSocket) -> None:
        raise ConnectionClosedOK(1000)

    async with listen(handler) as server, connect(uri(server)) as ws:
        await ws.wait_closed()
        assert ws.close_code == 1011
    assert len(errors_in(caplog)) == 1


async def test_shutdown_closes_with_1001_and_refuses_the_rest() -> None:
    ended = []

    async def handler(ws: WebSocket) -> None:
        await echo(ws)
        ended.append(ws.close_code)

    async with listen(handler) as server:
        assert server.is_serving()
        async with connect(uri(server)) as ws, raw_client(server, None) as half:
            half.send(REQUEST[:20])
            while not server._handshakes:
                await asyncio.sleep(0.001)
            assert len(server.connections) == 1
            address = uri(server)
            server.close(reason="night")
            server.close()
            assert not server.is_serving()
            assert (await half.reader.read()).startswith(b"HTTP/1.1 503 ")
            with pytest.raises(ConnectionClosedOK) as caught:
                await ws.recv()
            assert (caught.value.code, caught.value.reason) == (1001, "night")
        await server.wait_closed()
        assert ended == [1001]
        assert server.connections == set()
        assert server.sockets == ()
        with pytest.raises(OSError, match=r".+"):
            await connect(address)


async def test_shutdown_with_a_code_of_its_own_and_without_connections() -> None:
    async with listen(idle) as server, connect(uri(server)) as ws:
        server.close(code=1012)
        await ws.wait_closed()
        assert ws.close_code == 1012
    async with listen(idle) as server:
        pass
    assert not server.is_serving()


@pytest.mark.parametrize("close_connections", [True, False])
async def test_shutdown_with_a_code_that_may_not_be_sent_changes_nothing(close_connections: bool) -> None:
    async with listen(echo) as server, connect(uri(server)) as ws:
        with pytest.raises(ValueError, match="1005"):
            server.close(close_connections, code=1005)
        assert server.is_serving()
        await settled(ws)
        server.close(code=1012)
        await ws.wait_closed()
        assert ws.close_code == 1012


async def test_shutdown_can_leave_connections_alone() -> None:
    async with listen(echo) as server:
        async with connect(uri(server)) as ws:
            server.close(close_connections=False)
            await asyncio.sleep(0.01)
            await ws.send("still")
            assert await ws.recv() == "still"
        await server.wait_closed()


async def test_shutdown_cuts_peers_and_cancels_handlers_that_do_not_end() -> None:
    cancelled = []

    async def handler(ws: WebSocket) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(ws.close_code)
            raise

    async with listen(handler, close_timeout=0.05) as server, raw_client(server) as peer, raw_client(server, None):
        server.close()
        await server.wait_closed()
        assert await peer.frames() == [(CLOSE, close_payload(1001))]
    assert cancelled == [1006]


async def test_serve_forever_cancelled_closes_the_server() -> None:
    server = await listen(idle)
    task = asyncio.create_task(server.serve_forever())
    async with connect(uri(server)) as ws:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ws.close_code == 1001
    await server.wait_closed()


async def test_serve_forever_ends_as_the_server_is_closed() -> None:
    async with listen(idle, start_serving=False) as server:
        task = asyncio.create_task(server.serve_forever())
        await asyncio.sleep(0)
        assert server.is_serving()
        server.close()
        await task
        assert not server.is_serving()


async def test_server_is_a_context_itself_and_knows_its_loop() -> None:
    server = await listen(echo, open_timeout=None)
    async with server as same:
        assert same is server
        assert server.get_loop() is asyncio.get_running_loop()
        async with connect(uri(server), open_timeout=None) as ws:
            await settled(ws)
    assert not server.is_serving()


async def test_shutdown_refuses_who_was_accepted_just_before() -> None:
    async with listen(idle) as server, raw_client(server, None) as first:
        first.send(REQUEST)
        await first.head()
        address = server.sockets[0].getsockname()
        with socket.create_connection(address) as late:
            late.setblocking(False)
            while not server._handshakes:
                await asyncio.sleep(0)
            server.close()
            answer = await asyncio.get_running_loop().sock_recv(late, 1000)
            assert answer.startswith(b"HTTP/1.1 503 ")
            late.send(b"\r\n")  # not read any more
            (handshake,) = server._handshakes
            handshake.refuse(503)


async def test_serve_on_a_socket_of_the_callers_has_no_delay() -> None:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    async with serve(echo, sock=sock) as server, connect(uri(server)) as ws:
        for end in (ws, *server.connections):
            assert end.transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_a_bad_peer_next_to_a_good_one(caplog: pytest.LogCaptureFixture) -> None:
    async with listen(echo, close_timeout=0.2) as server, connect(uri(server)) as good:
        pongs = b"\x8a\x80\0\0\0\0" * 1000
        for bad in (b"\xff" * 50, b"\x81\xfe", b"\x81\x05hello", b"\x88\x81\0\0\0\0\x03", pongs, b""):
            async with raw_client(server) as peer:
                peer.send(bad)
                await good.send("fine")
                assert await good.recv() == "fine"
                peer.writer.transport.abort()
    assert not errors_in(caplog)


@pytest.mark.parametrize("role", ROLES)
async def test_callbacks_get_bursts_and_answer_in_the_same_tick(role: str) -> None:
    opened, closed, bursts = [], [], []

    def on_messages(ws: WebSocket, messages: list[Any]) -> None:
        bursts.append(messages)
        if "close" in messages:
            ws.send_nowait("last")
            ws.close_nowait(4000, "asked")
        else:
            ws.send_many(messages)

    callbacks = {"on_messages": on_messages, "on_open": opened.append, "on_close": closed.append}
    async with linked_callbacks(role, callbacks) as (near, far):
        assert opened == [near]
        far.send_many(["a", b"b"])
        await far.ping()
        far.send_nowait("c")
        assert [await far.recv() for _ in range(3)] == ["a", b"b", "c"]
        assert bursts[0] == ["a", b"b", "c"]
        with pytest.raises(ConcurrencyError):
            await near.recv()
        assert not closed
        far.send_nowait("close")
        assert await far.recv() == "last"
        with pytest.raises(ConnectionClosedError, match="4000 asked"):
            await far.recv()
        await near.wait_closed()
        assert closed == [near]
        assert near.close_code == 4000


@contextlib.asynccontextmanager
async def linked_callbacks(role: str, callbacks: dict[str, Any]) -> Any:
    """Yield our end, which has `role` and callbacks, and the other one."""
    if role == "client":
        async with linked(near=callbacks) as ends:
            yield ends
        return
    async with listen(**callbacks) as server, connect(uri(server)) as client:
        await settled(client)
        (ws,) = server.connections
        yield ws, client


async def test_callback_answers_go_out_before_the_close_frame() -> None:
    def on_messages(ws: WebSocket, messages: list[Any]) -> None:
        ws.send_many(messages)

    for end, code in (((CLOSE, close_payload(4000)), 4000), ((0x3, b""), 1002)):
        async with listen(on_messages=on_messages) as server, raw_client(server) as peer:
            peer.send(peer.frame(TEXT, b"a"), peer.frame(PING, b"p"), peer.frame(TEXT, b"b"), peer.frame(*end))
            frames = await peer.frames()
            frames.remove((PONG, b"p"))
            assert frames[:2] == [(TEXT, b"a"), (TEXT, b"b")]
            assert (frames[2][0], frames[2][1][:2]) == (CLOSE, close_payload(code))
            assert len(frames) == 3


async def test_callback_with_streaming_gets_fragments() -> None:
    got: list[Any] = []
    options: dict[str, Any] = {"on_messages": lambda _, parts: got.extend(parts), "streaming": True}
    async with listen(**options) as server, connect(uri(server)) as ws:
        await ws.send(["a", "b"])
        await settled(ws)
    assert "".join(part.data for part in got) == "ab"
    assert all(isinstance(part, Fragment) for part in got)
    assert got[-1].fin


@pytest.mark.parametrize("which", ["on_open", "on_messages", "on_close"])
async def test_callback_that_raises_closes_with_1011_and_is_logged_once(
    which: str, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise LookupError

    async with listen(**{"on_messages": lambda *_: None, which: fail}) as server:
        async with connect(uri(server)) as ws:
            if which == "on_close":
                await ws.close()
            else:
                with contextlib.suppress(ConnectionClosed):
                    ws.send_many(["a"] * 10)
                await ws.wait_closed()
                assert ws.close_code == 1011
        async with connect(uri(server)) as ws:
            pass
    assert {record.exc_info[0] for record in errors_in(caplog)} == {LookupError}
    assert len(errors_in(caplog)) == (1 if which == "on_messages" else 2)


async def test_callback_that_sends_to_a_closed_connection_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    def on_messages(ws: WebSocket, messages: list[Any]) -> None:
        ws.close_nowait()
        ws.send_nowait("too late")

    async with listen(on_messages=on_messages) as server, connect(uri(server)) as ws:
        await ws.send("x")
        await ws.wait_closed()
        assert ws.close_code == 1000
    assert not errors_in(caplog)


@pytest.mark.parametrize("end", ["close", "far close", "abort", "offence", "unread"])
async def test_nothing_refers_to_a_connection_that_is_lost(end: str) -> None:
    async with listen(echo) as server:
        ws = await connect(uri(server))
        (far,) = server.connections
        await ws.send("x")
        await ws.recv()
        pong = await ws.ping()
        if end == "abort":
            far.transport.abort()
        elif end == "offence":
            ws.transport.write(b"\xff\xff")
        elif end == "unread":
            ws.send_many(["x"] * 100)
        await (far if end == "far close" else ws).close(4000, "why")
        await far.wait_closed()
        references = weakref.ref(ws), weakref.ref(far)
        del ws, far, pong
        for _ in range(5):
            await asyncio.sleep(0)
        gc.collect()
        assert [reference() for reference in references] == [None, None]


async def test_many_connections_leave_nothing() -> None:
    before = asyncio.all_tasks()
    report = await soak.soak(300, together=50)
    assert report.connections == 300
    assert report.left == 0
    assert asyncio.all_tasks() == before
