"""Messages received where permessage-deflate was agreed on: some of them are compressed (RFC 7692 §6.2, §7.2.2).

Floor 3.
"""

from __future__ import annotations

from ._backend import decode_utf8
from .assembly import Assembly
from .compression import Inflater
from .errors import InvalidUtf8
from .events import Event
from .frames import NO_LIMIT
from .messages import Decoder
from .spec import DEFAULT_MAX_FRAGMENTS, DEFAULT_MAX_SIZE, FIN, OPCODE, RSV1, Opcode, Role

__all__ = ["InflatingDecoder"]

_DATA = frozenset(map(int, (Opcode.TEXT, Opcode.BINARY)))
_WHOLE_BINARY = FIN | RSV1 | int(Opcode.BINARY)
_WHOLE = frozenset((FIN | RSV1 | int(Opcode.TEXT), _WHOLE_BINARY))

# What a message may have in compressed bytes beyond an eighth more than `max_size`: no compressor of sense makes a
# byte longer than 9 bits; the rest is for the headers of blocks, and for the empty ones that end each fragment.
_MARGIN = 1 << 16


class InflatingDecoder(Decoder):
    """A decoder that takes compressed messages, too.

    Args:
        role: ours, as `Decoder` takes it.
        inflater: inflates the messages, in their order.
        max_size: the longest message, in bytes; those of a compressed one are counted as they are inflated. Its
            compressed bytes may be an eighth and 64 KiB more. None for no limit.
        max_frame_size, max_fragments, streaming: as `Decoder` takes them. A frame's payload is measured as it comes.
    """

    __slots__ = ("_inflater", "_max_compressed")

    def __init__(
        self,
        role: Role,
        inflater: Inflater,
        *,
        max_size: int | None = DEFAULT_MAX_SIZE,
        max_frame_size: int | None = None,
        max_fragments: int | None = DEFAULT_MAX_FRAGMENTS,
        streaming: bool = False,
    ) -> None:
        super().__init__(
            role,
            max_size=max_size,
            max_frame_size=max_frame_size,
            max_fragments=max_fragments,
            streaming=streaming,
        )
        self._inflater = inflater
        self._max_compressed = min(self._max_size + self._max_size // 8 + _MARGIN, NO_LIMIT)

    def release(self) -> None:
        """Let go of what only more input would need, the decompressor too."""
        super().release()
        self._inflater.release()

    def _take_whole(self, first: int, payload: bytes, events: list[Event]) -> None:
        if first not in _WHOLE or self._message is not None or self._run_limit < 0:
            super()._take_whole(first, payload, events)
            return
        # What nearly all of them are, a message in one frame that is all there, needs no assembly.
        self.frames += 1
        data = self._inflater.inflate(payload, self._max_size, fin=True)
        events.append(data if first == _WHOLE_BINARY else text_of(data))

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
        message = super()._assemble(opcode, rsv1)
        return CompressedMessage(message, self._inflater, self._max_size) if rsv1 else message


class CompressedMessage:
    """A compressed message under assembly: it is inflated as it arrives, and judged as what it says.

    Args:
        message: what the inflated bytes are for.
        inflater: that of the connection.
        max_size: the longest message, in inflated bytes.

    Attributes:
        fragments: how many frames there were so far.
        size: of what arrived, in compressed bytes.
    """

    __slots__ = ("_inflater", "_max_size", "_message", "fragments", "size")

    def __init__(self, message: Assembly, inflater: Inflater, max_size: int) -> None:
        self._message = message
        self._inflater = inflater
        self._max_size = max_size
        self.fragments = 0
        self.size = 0

    def add(self, piece: bytes, fin: bool, events: list[Event]) -> None:
        """Take the next piece of payload; see the other messages.

        Raises:
            InvalidDeflate, MessageTooBig: as `Inflater.inflate` does.
            InvalidUtf8: what it says is no text.
        """
        message = self._message
        pieces = self._inflater.inflate_pieces(piece, self._max_size - message.size, fin=fin)
        message.size += sum(map(len, pieces))
        *earlier, last = pieces or (b"",)
        # One by one: put together they would take as much memory again, before the message is known to be good.
        for data in earlier:
            message.add(data, False, events)
        message.add(last, fin, events)


def text_of(data: bytes) -> str:
    """Return the text of a whole message; InvalidUtf8 where it is none (RFC 6455 §8.1)."""
    try:
        return decode_utf8(data)
    except UnicodeDecodeError:
        raise InvalidUtf8("a text message is not UTF-8") from None
