"""Messages received where permessage-deflate was agreed on: some of them are compressed (RFC 7692 §6.2, §7.2.2).

Floor 3.
"""

from __future__ import annotations

from ._backend import Utf8Validator, decode_utf8
from .assembly import Assembly, StreamedMessage
from .compression import Inflater
from .errors import InvalidUtf8
from .events import Event
from .frames import NO_LIMIT, FrameReader, check_limit
from .messages import Decoder
from .spec import DEFAULT_MAX_FRAGMENTS, DEFAULT_MAX_SIZE, FIN, OPCODE, RSV1, Opcode, Role

__all__ = ["InflatingDecoder"]

# What of a message that is handed on in pieces is inflated at a time, in bytes of payload: with a limit on bursts it
# decides how far one is exceeded, since each byte may become a thousand. For a whole message that is up to `max_size`.
_STEP = 1 << 12

_DATA = frozenset(map(int, (Opcode.TEXT, Opcode.BINARY)))
_WHOLE_BINARY = FIN | RSV1 | int(Opcode.BINARY)
_WHOLE = frozenset((FIN | RSV1 | int(Opcode.TEXT), _WHOLE_BINARY))

# What a message may have in compressed bytes beyond an eighth more than `max_size`: no compressor of sense makes a
# byte longer than 9 bits; the rest is for the headers of blocks, and for the empty ones that end each fragment.
_MARGIN = 1 << 16

# Pieces smaller than this are put together at once: each as an object of its own would take a multiple of its size.
_SMALL = 4096
_BLOCK = 65536


class InflatingDecoder(Decoder):
    """A decoder that takes compressed messages, too.

    Args:
        role: ours, as `Decoder` takes it.
        inflater: inflates the messages, in their order.
        max_size: the longest message, in bytes; those of a compressed one are counted as they are inflated. Its
            compressed bytes may be an eighth and 64 KiB more. None for no limit.
        max_frame_size, max_fragments, streaming: as `Decoder` takes them. A frame's payload is measured as it comes.
        burst_size: after how many inflated bytes `feed` holds the rest of its input back, so that a peer whose
            small messages become large ones can't have a read become a thousand times its size; None for never.

    Attributes:
        held_back: whether input is held back: then `feed(b"")` goes on with it.
    """

    __slots__ = ("_burst_size", "_inflater", "_max_compressed", "_rest", "_rest_start")

    def __init__(
        self,
        role: Role,
        inflater: Inflater,
        *,
        max_size: int | None = DEFAULT_MAX_SIZE,
        max_frame_size: int | None = None,
        max_fragments: int | None = DEFAULT_MAX_FRAGMENTS,
        streaming: bool = False,
        burst_size: int | None = None,
    ) -> None:
        super().__init__(
            role,
            max_size=max_size,
            max_frame_size=max_frame_size,
            max_fragments=max_fragments,
            streaming=streaming,
        )
        self._burst_size = check_limit("burst_size", burst_size)
        # What is held back: `_rest`, from `_rest_start` on.
        self._rest, self._rest_start = b"", 0
        if streaming:
            self._whole_limit = _STEP
        self._inflater = inflater
        self._max_compressed = min(self._max_size + self._max_size // 8 + _MARGIN, NO_LIMIT)

    def release(self) -> None:
        """Let go of what only more input would need, the decompressor too."""
        super().release()
        self._inflater.release()
        self._rest, self._held_back = b"", False

    def _feed(self, data: bytes | memoryview, position: int, events: list[Event]) -> int:
        """Go on with what was held back, and hold back what is behind a burst."""
        if self._held_back:
            data, position = self._with_rest(data, position)
        self._inflater.inflated = 0
        position = Decoder._feed(self, data, position, events)
        if self._held_back:
            self._hold_back(data, position)
        return position

    def _with_rest(self, data: bytes | memoryview, position: int) -> tuple[bytes, int]:
        """Return what was held back with `data` behind it, and where to go on."""
        rest, start = self._rest, self._rest_start
        self._rest, self._held_back = b"", False
        if position == len(data):
            return rest, start
        return b"".join((memoryview(rest)[start:], data[position:])), 0

    def _hold_back(self, data: bytes | memoryview, position: int) -> None:
        """Keep what is behind a burst, if anything is, and anything may follow."""
        self._held_back = position < len(data) and not self._closed
        if self._held_back:
            self._rest, self._rest_start = bytes(data), position

    def _take_piece(self, data: bytes | memoryview, position: int, events: list[Event]) -> int:
        position = super()._take_piece(data, position, events)
        self._held_back = self._inflater.inflated > self._burst_size
        return position

    def _take_whole(self, first: int, payload: bytes, events: list[Event]) -> None:
        if first not in _WHOLE or self._message is not None or self._run_limit < 0:
            super()._take_whole(first, payload, events)
        else:
            # What nearly all of them are, a message in one frame that is all there, needs no assembly.
            self.frames += 1
            data = self._inflater.inflate(payload, self._max_size, fin=True)
            events.append(data if first == _WHOLE_BINARY else text_of(data))
        self._held_back = self._inflater.inflated > self._burst_size

    def _check_first(self, first: int) -> None:
        # RFC 7692 §6: the bit stands on the first frame of a message, and on no control frame.
        if first & RSV1 and first & OPCODE in _DATA:
            first ^= RSV1
        super()._check_first(first)

    def _limit(self) -> int:
        message = self._message
        if isinstance(message, CompressedMessage):
            return min(self._max_frame_size, self._max_compressed - message.size)
        return super()._limit()

    def _limit_of(self, first: int) -> int:
        # The bit is judged: where it stands, a message begins.
        return min(self._max_frame_size, self._max_compressed) if first & RSV1 else self._limit()

    def _assemble(self, opcode: int, rsv1: bool) -> Assembly:
        if not rsv1:
            return super()._assemble(opcode, rsv1)
        if self.streaming:
            return CompressedMessage(StreamedMessage(opcode), self._inflater, self._max_size, _STEP)
        return CompressedMessage(InflatedMessage(opcode), self._inflater, self._max_size, NO_LIMIT)


class CompressedMessage:
    """A compressed message under assembly: it is inflated as it arrives, and judged as what it says.

    Args:
        message: what the inflated bytes are for.
        inflater: that of the connection.
        max_size: the longest message, in inflated bytes.
        step: how much of a frame is inflated at a time, in bytes of its payload.

    Attributes:
        fragments: how many frames there were so far.
        size: of what arrived, in compressed bytes.
    """

    __slots__ = ("_inflater", "_max_size", "_message", "_step", "fragments", "size")

    def __init__(
        self, message: StreamedMessage | InflatedMessage, inflater: Inflater, max_size: int, step: int
    ) -> None:
        self._message = message
        self._inflater = inflater
        self._max_size = max_size
        self._step = step
        self.fragments = 0
        self.size = 0

    def add(self, piece: bytes, fin: bool, events: list[Event]) -> None:
        """Take the next piece of payload; see the other messages.

        Raises:
            InvalidDeflate, MessageTooBig: as `Inflater.inflate` does.
            InvalidUtf8: what it says is no text.
        """
        self.size += len(piece)
        message = self._message
        pieces = self._inflater.inflate_pieces(piece, self._max_size - message.size, fin=fin)
        last = pieces.pop() if pieces else b""
        # One by one: put together they would take as much memory again, before the message is known to be good.
        for data in pieces:
            message.add(data, False, events)
        pieces.clear()  # the message has them, until it is whole
        message.add(last, fin, events)

    def read(self, reader: FrameReader, data: bytes | memoryview, position: int, fin: bool, events: list[Event]) -> int:
        """Do the same with the piece that `reader` reads from `data`, and return the piece's size."""
        piece = reader.read_payload(memoryview(data)[: position + self._step], position)
        self.add(piece, fin and not reader.remaining, events)
        return len(piece)


class InflatedMessage:
    """An inflated message under assembly, in pieces until it is whole.

    A buffer that grows would take up to twice as much, for what may turn out to be a bomb.

    Attributes:
        size: of what was added, in bytes.
    """

    __slots__ = ("_pieces", "_small", "_validator", "size")

    def __init__(self, opcode: int) -> None:
        self._pieces: list[bytes | bytearray] = []
        self._small: bytearray | None = None
        self._validator = Utf8Validator() if opcode == Opcode.TEXT else None
        self.size = 0

    def add(self, piece: bytes, fin: bool, events: list[Event]) -> None:
        """Take the next piece; with the last one, append the message to `events`."""
        self.size += len(piece)
        if self._validator is not None and not self._validator.feed(piece):
            raise InvalidUtf8("a text message is not UTF-8")
        if len(piece) >= _SMALL:
            self._small = None
            self._pieces.append(piece)
        elif self._small is not None and len(self._small) < _BLOCK:
            self._small += piece
        else:
            self._small = bytearray(piece)
            self._pieces.append(self._small)
        if fin:
            data = b"".join(self._pieces)
            self._pieces.clear()  # text takes as much again
            events.append(data if self._validator is None else text_of(data))


def text_of(data: bytes) -> str:
    """Return the text of a whole message; InvalidUtf8 where it is none (RFC 6455 §8.1)."""
    try:
        return decode_utf8(data)
    except UnicodeDecodeError:
        raise InvalidUtf8("a text message is not UTF-8") from None
