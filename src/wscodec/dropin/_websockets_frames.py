"""Frames of websockets' sans-I/O protocol, read and written by this codec.

What is unusual is left to websockets: a header that it may refuse, a connection that logs each frame. Errors are
raised by its own code, or thrown into its own parser, which then fails the connection as it always does.

Floor 5.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side, State

from wscodec import apply_mask, build_header
from wscodec.frames import NO_LIMIT, take_frame
from wscodec.keys import take_key
from wscodec.spec import FIN, LENGTH, LENGTH_16, MASKED, OPCODE, RSV1, RSV2, RSV3

__all__ = ["host_parse", "host_send_binary", "host_send_text", "parse", "send_binary", "send_text"]

_OPCODES = {int(opcode): opcode for opcode in Opcode}
# The first bytes of whole messages that are not compressed.
_PLAIN = {FIN | opcode: opcode for opcode in (Opcode.TEXT, Opcode.BINARY)}
_SHORTEST = 2  # frame, in bytes
_DEFLATE = {PerMessageDeflate}

# They were renamed together.
_HAS_CURRENT_SIZE = "current_size" in Protocol.parse.__code__.co_names

host_parse = Protocol.parse
host_send_binary = Protocol.send_binary
host_send_text = Protocol.send_text


def parse(self: Any) -> Generator[None, None, None]:
    """Take the place of `Protocol.parse`: take frames from what is received, pause where more is needed."""
    if not self.debug:  # else each frame is logged
        yield from _take_frames(self)
    yield from host_parse(self)


def send_text(self: Any, data: Any, fin: bool = True) -> None:
    """Take the place of `Protocol.send_text`."""
    if not fin or not _send(self, Opcode.TEXT, data):
        host_send_text(self, data, fin)


def send_binary(self: Any, data: Any, fin: bool = True) -> None:
    """Take the place of `Protocol.send_binary`."""
    if not fin or not _send(self, Opcode.BINARY, data):
        host_send_binary(self, data, fin)


def _send(protocol: Any, opcode: int, data: Any) -> bool:
    """Write a message as one frame, if there is nothing to judge or to log, and return whether that was so."""
    if (
        type(data) is not bytes
        or protocol.state is not State.OPEN
        or protocol.expect_continuation_frame
        or protocol.extensions
        or protocol.debug
    ):
        return False
    if protocol.side is Side.SERVER:
        frame = build_header(opcode, len(data)) + data
    else:
        key = take_key()
        frame = build_header(opcode, len(data), masking_key=key) + apply_mask(data, key)
    protocol.writes.append(frame)
    return True


def _only_deflates(protocol: Any) -> bool:
    """Return whether there are no extensions but websockets' own, which doesn't look at plain messages."""
    return _DEFLATE.issuperset(map(type, protocol.extensions))


def _take_frames(protocol: Any) -> Generator[None, None, None]:
    """Take frames until there is something that websockets has to judge."""
    reader = protocol.reader
    while not reader.eof:
        try:
            needed = _take_whole_frames(protocol)
        except Exception as error:
            _fail(protocol, error)
            needed = _SHORTEST
        if needed is None:
            return
        while len(reader.buffer) < needed and not reader.eof:
            yield  # for good, if another parser is in place now


def _fail(protocol: Any, error: Exception) -> None:
    """Have websockets do what it does where its own parser raises this."""
    protocol.reader.discard()
    parser = host_parse(protocol)
    next(parser)  # it waits for data now
    parser.throw(error)


def _take_whole_frames(protocol: Any) -> int | None:
    """Take all frames that are whole.

    Returns:
        How many bytes there must be for the next one, as far as they tell; None where websockets is to go on.
    """
    buffer = protocol.reader.buffer
    masked = protocol.side is Side.SERVER
    plain = _PLAIN if _only_deflates(protocol) else {}
    position = 0
    try:
        while True:
            limit = _limit(protocol)
            bound = NO_LIMIT if limit is None else int(min(limit, NO_LIMIT))
            found = take_frame(buffer, position, masked, bound)
            if _size_so_far(protocol) is None:
                while found is not None and found[0] in plain:
                    first, payload, position = found
                    protocol.events.append(Frame(plain[first], payload))
                    found = take_frame(buffer, position, masked, bound)
            if found is None:
                break
            first, payload, end = found
            opcode = _OPCODES.get(first & OPCODE)
            if opcode is None:
                break
            position = end
            _take_other(protocol, opcode, first, payload, limit)
            if opcode is Opcode.CLOSE:
                return _SHORTEST
    finally:
        del buffer[:position]
    return _needed(buffer, masked, bound)


def _take_other(protocol: Any, opcode: int, first: int, payload: bytes, limit: int | None) -> None:
    """Take any other frame by websockets' rules."""
    frame = Frame(opcode, payload, first & FIN != 0, first & RSV1 != 0, first & RSV2 != 0, first & RSV3 != 0)
    for extension in reversed(protocol.extensions):
        frame = extension.decode(frame, max_size=limit)
    frame.check()
    protocol.recv_frame(frame)


def _size_so_far(protocol: Any) -> int | None:
    """Return how long the message is so far that comes in fragments, in bytes; None between two messages."""
    size: int | None = protocol.current_size if _HAS_CURRENT_SIZE else protocol.cur_size
    return size


def _limit(protocol: Any) -> int | None:
    """Return how long the next frame may be, in bytes."""
    limit: int | None = protocol.max_message_size if _HAS_CURRENT_SIZE else protocol.max_size
    so_far = _size_so_far(protocol)
    if limit is not None and so_far is not None:
        limit -= so_far
    of_frame: int | None = getattr(protocol, "max_fragment_size", None)
    if limit is None or of_frame is None:
        return of_frame if limit is None else limit
    return min(limit, of_frame)


def _needed(buffer: bytearray, masked: bool, bound: int) -> int | None:
    """Return how long the buffer must be, as far as it tells; None where websockets is to judge what is there."""
    known = len(buffer)
    if known < _SHORTEST:
        return _SHORTEST
    if buffer[0] & OPCODE not in _OPCODES or bool(buffer[1] & MASKED) is not masked:
        return None
    length, size = buffer[1] & LENGTH, 2
    if length >= LENGTH_16:
        size = 4 if length == LENGTH_16 else 10
        if known < size:
            return size
        length = int.from_bytes(buffer[2:size])
    if length > bound:
        return None
    size += length + 4 * masked
    return size if size > known else None  # where it is whole, its length is not in the shortest form
