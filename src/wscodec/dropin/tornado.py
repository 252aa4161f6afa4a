"""tornado on this codec, and with it Jupyter Server, Bokeh, Streamlit and whatever else has tornado's WebSockets.

    import wscodec.dropin.tornado
    wscodec.dropin.tornado.install()

From then on tornado's handlers and `websocket_connect` have a protocol of ours. It takes whole messages out of what was
read at once, and sends plain ones in one step. All else is tornado's: fragments, control frames, the closing handshake,
compression, limits, and what is done about a peer that breaks a rule.

Floor 5.
"""

from __future__ import annotations

import asyncio
import functools
from typing import Any

import tornado.websocket
from tornado.iostream import StreamClosedError
from tornado.websocket import WebSocketClosedError
from tornado.websocket import WebSocketProtocol13 as HostProtocol

from wscodec import Encoder, Role, backend
from wscodec.frames import NO_LIMIT, take_frame
from wscodec.spec import FIN, LENGTH, LENGTH_16, LENGTH_64, MASKED, OPCODE, RSV1, Opcode

from ._patching import Patch, Place
from ._tornado_check import check

__all__ = ["WebSocketProtocol13", "install", "installed", "uninstall"]

# What a stream of tornado reads from its socket at a time, in bytes.
_CHUNK = 1 << 16

# The longest message that we mask, in bytes or characters: in pure Python, tornado's masking in C soon overtakes ours.
_LONGEST = NO_LIMIT if backend == "compiled" else 1 << 12

_WHOLE = (FIN | Opcode.TEXT, FIN | Opcode.BINARY)

_HEADER_SIZES = {LENGTH_16: 4, LENGTH_64: 10}


class WebSocketProtocol13(HostProtocol):  # type: ignore[misc]
    """A WebSocket after its handshake, with the methods and attributes of `tornado.websocket.WebSocketProtocol13`.

    Args:
        handler: what is told of messages, pings, pongs and the end.
        mask_outgoing: whether we are the client.
        params: the limits and times of tornado.
    """

    def __init__(self, handler: Any, mask_outgoing: bool, params: Any) -> None:
        super().__init__(handler, mask_outgoing, params)
        self._limit = int(min(params.max_message_size, _LONGEST))  # tornado's may be a float
        self._encoder = Encoder(Role.CLIENT if mask_outgoing else Role.SERVER)
        self._ahead = b""  # what was read, ...
        self._position = 0  # ... and how much of it is taken

    # Received

    async def _receive_frame(self) -> None:
        """Take the next frame: here, if it is a message and all there; all else is left to tornado's rules."""
        if self._position == len(self._ahead):
            self._ahead, self._position = b"", 0
            self._ahead = await self.stream.read_bytes(_CHUNK, partial=True)
        found = self._take_message()
        if found is None:
            await super()._receive_frame()
            return
        handled = self._handle_message(*found)
        if handled is not None:
            await handled

    def _take_message(self) -> tuple[int, bytes] | None:
        """Return opcode and payload of the next frame, if it is a whole message; None where that needs a judgement."""
        if self._fragmented_message_buffer is not None:
            return None
        found = take_frame(self._ahead, self._position, not self.mask_outgoing, self._limit)
        if found is None:
            return None
        first, payload, end = found
        compressed = first & RSV1 if self._decompressor is not None else 0
        if first - compressed not in _WHOLE:
            return None
        self._frame_compressed = compressed != 0
        self._wire_bytes_in += end - self._position
        self._position = end
        return first & OPCODE, payload

    async def _read_bytes(self, n: int) -> bytes:
        """Return the next bytes of the stream, those that were read ahead first: tornado's rules ask for them."""
        end = self._position + n
        data = self._ahead[self._position : end]
        if len(data) == n:
            self._position = end
        else:
            self._ahead, self._position = b"", 0
            data += await self.stream.read_bytes(n - len(data))
        self._wire_bytes_in += n
        return data

    # Sent

    def _write_frame(self, fin: bool, opcode: int, data: bytes, flags: int = 0) -> Any:
        """Write a frame of tornado's. Where a Pong finds the stream closed, that does not end what was read ahead."""
        try:
            return super()._write_frame(fin, opcode, data, flags)
        except StreamClosedError:
            if opcode != Opcode.PONG or self._position == len(self._ahead):
                raise
            return _done_soon(asyncio.get_running_loop())

    def write_message(self, message: Any, binary: bool = False) -> Any:
        """Send a message, and return a future that is done when the system has it.

        Args:
            message: str, bytes, or a dict, which is sent as JSON.
            binary: whether it is sent as binary.

        Raises:
            WebSocketClosedError: the connection is closed; where that happens later, the future raises it.
        """
        if self._compressor is not None or type(message) is not (bytes if binary else str) or len(message) > _LONGEST:
            return super().write_message(message, binary)
        frame = self._encoder.encode(message)
        self._wire_bytes_out += len(frame)
        self._message_bytes_out += len(frame) - _header_size(frame)
        try:
            written = self.stream.write(frame)
        except StreamClosedError:
            raise WebSocketClosedError from None
        if written.done() and written.exception() is None:
            return _done_soon(written.get_loop())
        return asyncio.ensure_future(_until_written(written))


def _header_size(frame: bytes) -> int:
    size = _HEADER_SIZES.get(frame[1] & LENGTH, 2)
    return size if frame[1] < MASKED else size + 4


def _done_soon(loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
    """Return a future that is done in the loop's next round: who awaits each message lets others run in between."""
    future = loop.create_future()
    loop.call_soon(_finish, future)
    return future


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


async def _until_written(written: Any) -> None:
    try:
        await written
    except StreamClosedError:
        raise WebSocketClosedError from None


def install() -> bool:
    """Give ours to all connections of tornado that are made from now on.

    Before that it is tried on this version of tornado. Where something is not as it was, a warning says so, once, and
    tornado stays as it is.

    Returns:
        Whether ours is in place.
    """
    return _patch.install()


def uninstall() -> None:
    """Give tornado's own to the connections that are made from now on; the others keep ours."""
    _patch.uninstall()


def installed() -> bool:
    """Return whether new connections get ours."""
    return _patch.installed()


_patch = Patch(
    "tornado",
    (6, 2),
    (7,),
    [Place(tornado.websocket, "WebSocketProtocol13", WebSocketProtocol13)],
    functools.partial(check, WebSocketProtocol13),
)
