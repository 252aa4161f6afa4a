"""Plain messages of websockets' asyncio connections, without the steps that all else needs.

Floor 5.
"""

from __future__ import annotations

import functools
from typing import Any

from websockets.asyncio.connection import Connection
from websockets.frames import Opcode
from websockets.protocol import Side, State

from wscodec import Encoder, Role, decode_utf8

__all__ = ["host_recv", "host_send", "recv", "send"]

_TEXT, _CONT = Opcode.TEXT, Opcode.CONT
_ENCODERS = {Side.CLIENT: Encoder(Role.CLIENT), Side.SERVER: Encoder(Role.SERVER)}

host_recv = Connection.recv
host_send = Connection.send


@functools.wraps(host_recv)
async def recv(self: Any, decode: bool | None = None) -> Any:
    """Take the place of `Connection.recv`: return a message that waits already and is one frame."""
    waiting = self.recv_messages.frames.queue
    if not waiting or not waiting[0].fin or waiting[0].opcode is _CONT or self.recv_messages.get_in_progress:
        return await host_recv(self, decode)
    frame = waiting[0]
    try:
        as_text = frame.opcode is _TEXT if decode is None else decode
        message = decode_utf8(frame.data) if as_text else bytes(frame.data)
    except UnicodeDecodeError:
        message = None
    if message is None:
        return await host_recv(self, decode)  # which fails the connection
    waiting.popleft()
    self.recv_messages.maybe_resume()
    return message


@functools.wraps(host_send)
async def send(self: Any, message: Any, *how: Any, **options: Any) -> None:
    """Take the place of `Connection.send`: send a message as one frame, where nothing is in the way."""
    kind = type(message)
    if (kind is not str and kind is not bytes) or how or options or not _is_free(self):
        await host_send(self, message, *how, **options)
        return
    try:
        frame = _encode(self.protocol, message)
    except Exception:
        async with self.send_context():
            raise
    try:
        self.transport.write(frame)
    except Exception:
        self.protocol.writes.append(frame)  # to fail once more, in websockets' own hands
    else:
        if not self.paused and not self.transport.is_closing():
            return
    async with self.send_context():
        pass  # which waits until there is room


def _is_free(connection: Any) -> bool:
    """Return whether a message can go out now, and nothing else with it."""
    protocol = connection.protocol
    return (
        protocol.state is State.OPEN
        and not protocol.expect_continuation_frame
        and not protocol.writes
        and not connection.paused
        and not connection.transport.is_closing()
    )


def _encode(protocol: Any, message: str | bytes) -> bytes:
    """Return the frame of a message."""
    if not protocol.extensions and not protocol.debug:
        return _ENCODERS[protocol.side].encode(message)
    if isinstance(message, str):
        protocol.send_text(message.encode())
    else:
        protocol.send_binary(message)
    return b"".join(protocol.data_to_send())  # more than one where a subclass cuts it into fragments
