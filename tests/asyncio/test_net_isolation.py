"""What the application raises ends the connection that it is about, and no other; it is logged once."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from typing import Any

import pytest
from net import ROLES, echo, good_peer, idle, linked, listen, settled, uri

from wscodec import BadStatus, ConnectionClosed, WebSocketError
from wscodec.asyncio import Server, WebSocket, connect


class Odd(BaseException):
    """No Exception, and nothing that stops the program either."""


# Not only what is an Exception: a callback that asks a cancelled future for its result raises CancelledError.
ERRORS = [LookupError("here"), asyncio.CancelledError("here"), Odd("here")]
errors = pytest.mark.parametrize("error", ERRORS, ids=["error", "cancelled", "odd"])
BAD = "/bad"


def logged(caplog: pytest.LogCaptureFixture) -> logging.LogRecord:
    """Return the one error that was logged."""
    (record,) = (record for record in caplog.records if record.levelno >= logging.ERROR)
    return record


def has_traceback(record: logging.LogRecord, error: BaseException) -> bool:
    """Tell whether a record has an error, and a traceback that leads to where these tests have raised it."""
    assert record.exc_info is not None
    _, value, traceback = record.exc_info
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return value is error and traceback is not None and traceback.tb_frame.f_code.co_filename == __file__


async def ended(ws: WebSocket) -> int | None:
    """Wait for the end of a connection, and return its close code."""
    with contextlib.suppress(ConnectionClosed):
        ws.send_nowait("x")
    await ws.wait_closed()
    return ws.close_code


@errors
async def test_handler(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    async def handler(ws: WebSocket) -> None:
        if ws.request.path == BAD:
            raise error
        await echo(ws)

    async with listen(handler) as server, good_peer(server), connect(uri(server, BAD)) as bad:
        assert await ended(bad) == 1011
    assert has_traceback(logged(caplog), error)


async def test_handler_that_takes_no_connection(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(ws: WebSocket, path: str) -> None:
        raise AssertionError

    async with listen(handler) as server, connect(uri(server)) as bad:
        assert await ended(bad) == 1011
        await asyncio.sleep(0.01)
        assert not server.connections
    assert "path" in str(logged(caplog).exc_info[1])


@errors
@pytest.mark.parametrize("which", ["on_open", "on_messages", "on_close"])
async def test_callback_of_a_server(which: str, error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    def callback(ws: WebSocket, *messages: Any) -> None:
        if ws.request.path == BAD:
            raise error
        if messages:
            ws.send_many(*messages)

    callbacks = {"on_messages": lambda ws, messages: ws.send_many(messages), which: callback}
    async with listen(**callbacks, close_timeout=1) as server, good_peer(server):
        async with connect(uri(server, BAD)) as bad:
            if which == "on_close":
                await bad.close()  # it is over already: there is nothing left to fail
                assert bad.close_code == 1000
            else:
                assert await ended(bad) == 1011
        await asyncio.sleep(0.01)
        assert len(server.connections) == 1
    assert has_traceback(logged(caplog), error)


@errors
@pytest.mark.parametrize("which", ["on_open", "on_messages", "on_close"])
async def test_callback_of_a_client(which: str, error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    def callback(*_: Any) -> None:
        raise error

    callbacks = {"on_messages": lambda *_: None, which: callback}
    async with listen(echo) as server, good_peer(server), connect(uri(server), **callbacks) as bad:
        if which == "on_close":
            await bad.close()
            assert bad.close_code == 1000
        else:
            assert await ended(bad) == 1011
    record = logged(caplog)
    assert record.name == "wscodec.client"
    assert has_traceback(record, error)


# A task that is cancelled is no failure: see `test_process_request_cancelled_by_itself_is_answered`.
@pytest.mark.parametrize(
    ("which", "error"),
    [
        *itertools.product(["process_request", "select_subprotocol"], ERRORS),
        *itertools.product(["process_request later", "process_request answer"], [ERRORS[0], ERRORS[2]]),
        ("process_request later", GeneratorExit("here")),
    ],
)
async def test_callback_of_the_handshake(which: str, error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    async def later() -> None:
        raise error

    class Answer:
        @property
        def status(self) -> int:
            raise error

    def callback(ws: Any, _: Any) -> Any:
        if ws.request.path != BAD:
            return None
        if which.endswith("later"):
            return later()
        if which.endswith("answer"):
            return Answer()
        raise error

    async with listen(echo, **{which.split()[0]: callback}) as server, good_peer(server):
        with pytest.raises(BadStatus) as caught:
            await connect(uri(server, BAD))
        assert caught.value.status == 500
    assert has_traceback(logged(caplog), error)


@pytest.mark.parametrize("role", ROLES)
async def test_what_stops_the_program_is_not_kept(role: str) -> None:
    error = SystemExit(3)
    async with linked(role) as (ws, _):
        with pytest.raises(SystemExit) as caught:
            ws._on_callback_error(error)
        assert caught.value is error
        assert ws.close_code is None


@pytest.mark.parametrize("which", ["on_open", "on_messages", "process_request", "handler"])
def test_what_stops_the_program_leaves_no_connection_behind(which: str, loop_factory: Any) -> None:
    def stop(*_: Any) -> None:
        raise SystemExit(3)

    async def handler(*_: Any) -> None:
        stop()

    async def main() -> None:
        others = {} if which in ("on_messages", "handler") else {"handler": echo}
        async with listen(**{which: handler if which == "handler" else stop}, **others) as server:
            servers.append(server)
            with contextlib.suppress(WebSocketError):
                async with connect(uri(server)) as ws:
                    await ws.send("x")
                    await ws.recv()

    servers: list[Server] = []
    code = None
    try:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(asyncio.wait_for(main(), 5))
    except SystemExit as error:
        code = error.code
    assert not servers[0].connections
    # uvloop takes what a protocol raises for the end of that transport, whatever it is.
    assert code == 3 or loop_factory is not asyncio.new_event_loop


async def test_failures_of_many_are_logged_one_by_one(caplog: pytest.LogCaptureFixture) -> None:
    def on_messages(ws: WebSocket, messages: list[Any]) -> None:
        raise LookupError

    async with listen(idle) as other, listen(on_messages=on_messages) as server, connect(uri(other)) as good:
        clients = [await connect(uri(server)) for _ in range(20)]
        for ws in clients:
            ws.send_many(["x"] * 5)
        assert [await ended(ws) for ws in clients] == [1011] * 20
        await settled(good)
    assert len([record for record in caplog.records if record.levelno >= logging.ERROR]) == 20
