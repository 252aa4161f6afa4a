"""Frames of websockets' sans-I/O protocol, read and written by this codec.

Frames that are whole are cut out by this codec. A frame that a read cuts is left to websockets, and so is a header that
it may refuse, and a connection that logs each frame. Errors are thrown into its own parser, which then fails the
connection as it always does.

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
from wscodec.spec import FIN, OPCODE, RSV1, RSV2, RSV3

__all__ = ["host_parse", "host_send_binary", "host_send_text", "parse", "send_binary", "send_text"]

_OPCODES = {int(opcode): opcode for opcode in Opcode}
# The first bytes of whole messages that are not compressed.
_PLAIN = {FIN | opcode: opcode for opcode in (Opcode.TEXT, Opcode.BINARY)}
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
    """Take frames until the stream ends: the whole ones in a run, and the one that is cut as websockets does."""
    reader = protocol.reader
    # The last event lives on until the next one, as in websockets' parser. Without that, the C library gives the top of
    # its heap back after each message and takes it again: a third of the time, with 64 KiB.
    last = None
    try:
        while not (yield from reader.at_eof()):
            last = _take_whole_frames(protocol) or last
            if reader.buffer:
                last = yield from _take_cut_frame(protocol)
    except Exception as error:
        _fail(protocol, error)
        yield  # for good: another parser is in place


def _take_cut_frame(protocol: Any) -> Generator[None, None, Any]:
    """Take a frame that is not all there, or whose header may be refused, and return it."""
    frame = yield from Frame.parse(
        protocol.reader.read_exact,
        mask=protocol.side is Side.SERVER,
        max_size=_limit(protocol),
        extensions=protocol.extensions,
    )
    protocol.recv_frame(frame)
    return frame


def _fail(protocol: Any, error: Exception) -> None:
    """Have websockets do what it does where its own parser raises this."""
    reader = protocol.reader
    reader.discard()
    ended, reader.eof = reader.eof, False
    parser = host_parse(protocol)
    next(parser)  # it waits for data now
    reader.eof = ended
    parser.throw(error)


def _take_whole_frames(protocol: Any) -> Any:
    """Take frames for as long as they are whole and their headers as they should be, and return the last event."""
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
            opcode = None if found is None else _OPCODES.get(found[0] & OPCODE)
            if found is None or opcode is None:
                break
            first, payload, position = found
            _take_other(protocol, opcode, first, payload, limit)
            if opcode is Opcode.CLOSE:
                break
    finally:
        del buffer[:position]
    return protocol.events[-1] if protocol.events else None


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
