"""The server's side of one opening handshake, from accept to 101 or to another answer (RFC 6455 §4.2).

Floor 4.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from types import EllipsisType
from typing import TYPE_CHECKING, cast

from ..deflate import PerMessageDeflate
from ..errors import HandshakeError
from ..handshake import Request, Response, ServerHandshake
from ..headers import OriginsLike
from ._options import STOPS, end_output, set_nodelay
from .connection import ServerConnection

if TYPE_CHECKING:
    from .server import Server

__all__ = ["Accepting", "Admission"]


@dataclass(frozen=True, slots=True)
class Admission:
    """Who is let in, and what the others are told: the settings of `serve` that end with the handshake."""

    origins: OriginsLike
    subprotocols: Sequence[str] | None
    select_subprotocol: Callable[[ServerConnection, Sequence[str]], str | None] | None
    process_request: Callable[[ServerConnection, Request], Response | Awaitable[Response | None] | None] | None
    compression: PerMessageDeflate | None
    server_header: str | None
    open_timeout: float | None

    def handshake(self) -> ServerHandshake:
        """Return a handshake to begin; TypeError or ValueError where a setting can't be sent or matched."""
        return ServerHandshake(
            origins=self.origins,
            subprotocols=self.subprotocols,
            compression=self.compression,
            server_header=self.server_header,
        )


class Accepting(asyncio.Protocol):
    """Reads one request, and hands the transport to a ServerConnection or answers in plain HTTP.

    Its deadline runs from accept on, TLS included, and is not moved by what arrives.
    """

    __slots__ = (
        "_accepted_at",
        "_admission",
        "_answered",
        "_early",
        "_eof",
        "_handshake",
        "_loop",
        "_server",
        "_task",
        "_timer",
        "_transport",
        "_whole",
        "_write_paused",
        "_ws",
    )

    def __init__(self, server: Server, admission: Admission) -> None:
        self._loop = asyncio.get_running_loop()
        self._accepted_at = self._loop.time()
        self._server = server
        self._admission = admission
        self._handshake = admission.handshake()
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[Response | None] | None = None
        self._ws: ServerConnection | None = None
        self._early = b""
        self._whole = False
        self._answered = False
        self._eof = False
        self._write_paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the clock."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        set_nodelay(transport)
        self._server.add(self)
        timeout = self._admission.open_timeout
        if timeout is not None:
            self._timer = self._loop.call_at(self._accepted_at + timeout, self._on_deadline)
        if not self._server.is_open:
            self.refuse(HTTPStatus.SERVICE_UNAVAILABLE)

    def data_received(self, data: bytes) -> None:
        """Take bytes of the request; what comes behind it is the connection's."""
        if self._answered:
            return
        if self._whole:
            self._early += data
            return
        refusal: HandshakeError | None = None
        try:
            if self._handshake.receive(data) is None:
                return
        except HandshakeError as error:
            refusal = error
        self._whole = True
        self._process(refusal)

    def eof_received(self) -> bool:
        """Take the end of the client's bytes; a plain HTTP client may still want its answer."""
        self._eof = True
        if self._answered:
            return False
        if not self._whole:
            try:
                self._handshake.eof()
            except HandshakeError as error:
                self._answer(error.response)
            return False
        assert self._transport is not None
        return self._transport.can_write_eof()

    def pause_writing(self) -> None:
        """Remember it for the connection."""
        self._write_paused = True

    def resume_writing(self) -> None:
        """Remember it for the connection."""
        self._write_paused = False

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of everything."""
        if self._task is not None:
            self._task.cancel()
        if self._ws is not None:
            self._ws._abandon()
        self._leave()

    def refuse(self, status: int) -> None:
        """Answer with `status` and close, unless there is an answer already."""
        if not self._answered:
            self._answer(self._handshake.reject(status))

    def _leave(self) -> None:
        """Have nobody refer to this object, nor this object to anybody."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._task = self._ws = self._transport = None
        self._server.discard(self)

    def _on_deadline(self) -> None:
        """Close, with a word about it: the client has had its time."""
        transport = self._transport
        if transport is None:
            return
        self._timer = None
        self.refuse(HTTPStatus.SERVICE_UNAVAILABLE if self._whole else HTTPStatus.REQUEST_TIMEOUT)
        transport.close()

    def _process(self, refusal: HandshakeError | None) -> None:
        """Ask the application what it makes of the request; `refusal` is what the rules make of it, if they do."""
        process, request = self._admission.process_request, self._handshake.request
        if process is None or request is None:
            self._conclude(None, refusal)
            return
        ws = self._connection()
        ws._request = request
        try:
            result = process(ws, request)
        except BaseException as error:
            self._fail("process_request failed", error)
            return
        if inspect.isawaitable(result):
            if self._transport is not None and not self._transport.is_closing():
                self._transport.pause_reading()
            self._task = self._loop.create_task(_result_of(result))
            self._task.add_done_callback(functools.partial(self._on_processed, refusal))
        else:
            self._conclude(result, refusal)

    def _on_processed(self, refusal: HandshakeError | None, task: asyncio.Task[Response | None]) -> None:
        """Go on with what the application has awaited; where that was cancelled, there is nobody to answer."""
        self._task = None
        if task.cancelled() or isinstance(error := task.exception(), STOPS):
            return
        if error is not None:
            self._fail("process_request failed", error)
        elif self._transport is not None and not self._answered:
            if not self._transport.is_closing():
                self._transport.resume_reading()
            self._conclude(task.result(), refusal)

    def _conclude(self, response: Response | None, refusal: HandshakeError | None) -> None:
        """Answer: with the application's response, with the refusal, or with 101."""
        if response is not None:
            try:
                answer = self._handshake.reject(response.status, response.headers, response.body)
            except BaseException as error:
                self._fail("process_request returned a response that can't be sent", error)
                return
            self._answer(answer)
        elif refusal is not None:
            self._server.options.logger.info("opening handshake refused with %d: %s", refusal.status, refusal)
            self._answer(refusal.response)
        else:
            self._accept()

    def _accept(self) -> None:
        ws, handshake, transport = self._connection(), self._handshake, self._transport
        assert transport is not None
        select = self._admission.select_subprotocol
        try:
            chosen: str | EllipsisType | None = ...
            if select is not None:
                chosen = select(ws, handshake.offered_subprotocols)
            answer = handshake.accept(subprotocol=chosen)
        except BaseException as error:
            self._fail("the subprotocol could not be agreed on", error)
            return
        ws.subprotocol = handshake.subprotocol
        trailing, eof = handshake.trailing + self._early, self._eof
        transport.write(answer)
        self._ws = None
        try:
            self._server.open(ws)
            ws._start(trailing, self._write_paused)
        except BaseException:  # the program is to stop, and nobody else would end what has only half begun
            ws._abort()
            ws.connection_lost(None)
            raise
        finally:
            self._leave()
        if eof and not ws.eof_received():
            transport.close()

    def _connection(self) -> ServerConnection:
        """Return the connection that this handshake is for."""
        if self._ws is None:
            assert self._transport is not None
            self._ws = ServerConnection(self._transport, self._server.options, self._handshake.compression)
            self._ws._head = self._handshake.head
        return self._ws

    def _fail(self, what: str, error: BaseException) -> None:
        """Answer 500, for the application has raised, and log it."""
        if isinstance(error, STOPS):
            raise error
        self._server.options.logger.error(what, exc_info=error)
        if self._transport is not None:
            self.refuse(HTTPStatus.INTERNAL_SERVER_ERROR)

    def _answer(self, answer: bytes) -> None:
        """Send a plain HTTP answer, end our output, and discard input until the client has ended too."""
        transport = self._transport
        assert transport is not None
        self._answered = True
        if self._task is not None:
            self._task.cancel()
        if transport.is_closing():
            return
        transport.write(answer)
        timeout = self._server.options.close_timeout
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if timeout is None else self._loop.call_later(timeout, transport.abort)
        if self._eof:
            transport.close()
        else:
            transport.resume_reading()
            end_output(transport)


async def _result_of(awaitable: Awaitable[Response | None]) -> Response | None:
    """Be the coroutine that a task needs."""
    return await awaitable
