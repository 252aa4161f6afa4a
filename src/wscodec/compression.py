"""Payloads deflated and inflated: the working halves of permessage-deflate (RFC 7692 §7.2).

A compressor takes 6 to 260 KiB and up to a tenth of a millisecond to make, so it is made for the first message that
needs it, or shared by all connections of a thread.

Floor 3.
"""

from __future__ import annotations

import functools
import threading
import zlib
from typing import Any, Final, NamedTuple, Protocol, cast

from .errors import InvalidDeflate, MessageTooBig

__all__ = [
    "Deflater",
    "Engine",
    "FreshInflater",
    "Inflater",
    "Setting",
    "SharedDeflater",
    "default_engine",
    "engine_name",
]


class Engine(Protocol):
    """A module that has what the standard library's `zlib` has, such as `zlib_ng.zlib_ng`."""

    DEFLATED: int
    Z_SYNC_FLUSH: int
    Z_FULL_FLUSH: int
    # What the parameters are called differs from module to module, and so they are passed by position.
    compressobj: Any
    decompressobj: Any

    @property
    def error(self) -> type[Exception]:
        """What the objects raise for data that are not DEFLATE."""


@functools.cache
def default_engine() -> Engine:
    """Return zlib-ng where it is installed, or else the standard library's zlib.

    zlib-ng is faster, but a compressor of a window of 12 bits takes some 170 KB there and 37 KB here: where each
    connection keeps one, that is most of what it costs.
    """
    try:
        from zlib_ng import zlib_ng  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        return zlib
    return cast(Engine, zlib_ng)  # its stubs have another type for `error`


def engine_name() -> str:
    """Return the name and the version of the library behind `default_engine`."""
    engine: Any = default_engine()
    if engine is zlib:
        return f"zlib {zlib.ZLIB_RUNTIME_VERSION}"
    return f"zlib-ng {getattr(engine, 'ZLIBNG_RUNTIME_VERSION', None) or getattr(engine, 'ZLIB_RUNTIME_VERSION', '')}"


class Setting(NamedTuple):
    """What a compressor is made with.

    Attributes:
        engine: makes it.
        window_bits: 9 to 15; zlib has no compressor for a window of 8 bits.
        level: 0 to 9.
        mem_level: 1 to 9.
    """

    engine: Engine
    window_bits: int
    level: int
    mem_level: int

    def compressor(self) -> Any:
        """Return a new compressor."""
        return self.engine.compressobj(self.level, self.engine.DEFLATED, -self.window_bits, self.mem_level)


# §7.2.1: what a flush ends with, which the sender takes off and the receiver puts on again.
_TAIL: Final = b"\x00\x00\xff\xff"
# A block that holds nothing, is the last of its stream, and ends with its second byte.
_LAST_BLOCK: Final = b"\x03\x00"
# §7.2.3.6: the beginning of an empty block, which the tail makes whole.
_EMPTY: Final = b"\x00"


class Deflater:
    """Deflates the messages of one connection, each with what the messages before it said in its window.

    Args:
        setting: of the compressor, which is made when the first message needs it.
        threshold: shorter messages are not worth it; in bytes.

    Attributes:
        setting, threshold: as they were given.
    """

    __slots__ = ("_compressor", "setting", "threshold")

    def __init__(self, setting: Setting, threshold: int) -> None:
        self.setting = setting
        self.threshold = threshold
        self._compressor: Any = None

    def deflate(self, message: bytes | memoryview) -> bytes | None:
        """Deflate a whole message.

        Args:
            message: its payload, flat.

        Returns:
            The payload to send with RSV1 set. None where the message is to be sent as it is: it is shorter
            than the threshold, or would have grown.

        RFC 7692 §7.2.1.
        """
        if len(message) < self.threshold:
            return None
        compressor = self.take()
        payload = self.deflate_with(compressor, message)
        self.put_back(compressor)
        return payload

    def deflate_with(self, compressor: Any, message: bytes | memoryview) -> bytes | None:
        """Do what `deflate` does with a compressor that was taken and is put back then, whatever the threshold.

        This uses nothing that others may be using meanwhile, so that any thread can do it.
        """
        payload: bytes = compressor.compress(message) + self._flush(compressor)
        if len(payload) - len(_TAIL) < len(message):
            return payload[: -len(_TAIL)]
        self._unsay(compressor)
        return None

    def deflate_part(self, part: bytes | memoryview, *, fin: bool) -> bytes:
        """Deflate the next part of a message that goes out in fragments.

        Args:
            part: flat; it may be empty.
            fin: whether it is the last part.

        Returns:
            The payload of the fragment; the peer can inflate it at once. It may be empty where `part` is.

        RFC 7692 §7.2.1.
        """
        compressor = self.take()
        payload: bytes = compressor.compress(part) + self._flush(compressor)
        self.put_back(compressor)
        if not fin:
            return payload
        # Right behind a flush, another one may have nothing to say.
        return payload[: -len(_TAIL)] or _EMPTY

    def forget(self) -> None:
        """Refer to no message so far: the peer has got one, compressed, that did not come from here."""
        if self._compressor is not None:
            self._unsay(self._compressor)

    def release(self) -> None:
        """Drop the compressor: nothing more will be sent."""
        self._compressor = None

    def take(self) -> Any:
        """Return the compressor for one message or part.

        It is put back when all went well. What an exception left half done must never go into another message.
        """
        compressor, self._compressor = self._compressor, None
        return self.setting.compressor() if compressor is None else compressor

    def put_back(self, compressor: Any) -> None:
        """Keep the compressor for the next message or part."""
        self._compressor = compressor

    def _flush(self, compressor: Any) -> bytes:
        flushed: bytes = compressor.flush(self.setting.engine.Z_SYNC_FLUSH)
        return flushed

    def _unsay(self, compressor: Any) -> None:
        """Take back what was compressed: the peer won't have it in its window, so nothing may refer to it.

        Nor then to what was said before; but a copy of the compressor, which could, costs as much as a new one.
        """
        compressor.flush(self.setting.engine.Z_FULL_FLUSH)


class _Idle(threading.local):
    """The compressors of one thread that no message is using."""

    def __init__(self) -> None:
        self.compressors: dict[Setting, Any] = {}


_idle = _Idle()


class SharedDeflater(Deflater):
    """Deflates each message, and each part of one, by itself; it keeps nothing between two of them.

    All connections of a thread with the same setting share a compressor. The full flush behind every message is
    what makes that right: nothing after it refers to what is before it, so that no peer is sent a reference to a
    message that it never had. It gives the bytes that a fresh compressor gives, without the cost of making one.
    """

    __slots__ = ()

    def take(self) -> Any:
        compressor = _idle.compressors.pop(self.setting, None)
        return self.setting.compressor() if compressor is None else compressor

    def put_back(self, compressor: Any) -> None:
        _idle.compressors[self.setting] = compressor

    def _flush(self, compressor: Any) -> bytes:
        flushed: bytes = compressor.flush(self.setting.engine.Z_FULL_FLUSH)
        return flushed

    def _unsay(self, compressor: Any) -> None:
        """Do nothing: the compressor has forgotten it already."""


# What is inflated at a time, in bytes of output: CPython's own first buffer, which it then need not copy from.
_PIECE: Final = 1 << 15
# What is given to a decompressor at a time, in bytes: what it leaves over it copies, once for each piece of output.
_STEP: Final = 1 << 14
# How many streams may end within a message. An end fits into two bytes, and costs a new decompressor and a copy of
# what is left of the step. Senders that end streams at all do so once for a message, or for a fragment.
_MAX_ENDS: Final = 4096

# The last byte of a message holds the three bits of the empty block's header, all 0, or the rest of them, and then
# padding, which all but strange senders fill with 0.
_NOT_HEADER: Final = 0xE0


class Inflater:
    """Inflates the messages of one connection, each with what the messages before it said in its window.

    Args:
        engine: makes the decompressor, when the first message needs it.
        window_bits: 8 to 15, what the peer agreed to use at most.

    Attributes:
        inflated: how many bytes came of it since somebody set this to 0.
    """

    __slots__ = ("_ends", "_engine", "_last", "_stream", "_window_bits", "inflated")

    def __init__(self, engine: Engine, window_bits: int) -> None:
        self._engine = engine
        self._window_bits = window_bits
        self._stream: Any = None
        # The last byte that the stream has got of this message, if any.
        self._last: int | None = None
        self._ends = 0
        self.inflated = 0

    def inflate(self, data: bytes | memoryview, limit: int, *, fin: bool) -> bytes:
        """Inflate the next bytes of a message.

        Args:
            data: of the payloads of its frames; cut anywhere.
            limit: how many bytes the message may have from here on, inflated.
            fin: whether they are the message's last.

        Returns:
            What the message has said until here and not been returned before; with `fin`, all the rest.

        Raises:
            MessageTooBig: the message is longer, of which one byte was inflated; or it consists of more than
                4096 streams. Nothing of it is returned.
            InvalidDeflate: the message is not DEFLATE, or refers further back than was agreed, or is cut short
                (neither of which can always be told).

        After an error there is no going on.

        A block that ends the stream (BFINAL) is followed by a stream with an empty window, as in browsers: who
        sends one has ended a compressor, and begins with nothing, too.

        RFC 7692 §7.2.2, §7.2.3.4, §7.2.3.6.
        """
        pieces = self.inflate_pieces(data, limit, fin=fin)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def inflate_pieces(self, data: bytes | memoryview, limit: int, *, fin: bool) -> list[bytes]:
        """Do what `inflate` does, and return pieces of 32 KiB at most, which are not copied once more."""
        pieces: list[bytes] = []
        try:
            if len(data) > _STEP:
                data, limit = self._take_steps(memoryview(data), limit, pieces)
            if data:
                self._last = data[-1]
            if fin and self._last is not None:
                self._take_end(data, self._last, limit, pieces)
            elif data:
                self._take(data, limit, pieces)
        except self._engine.error:
            raise InvalidDeflate("a compressed message is not DEFLATE") from None
        if fin:
            self._ends = 0
        return pieces

    def release(self) -> None:
        """Drop the decompressor: nothing more will be received."""
        self._stream = None

    def _take_steps(self, data: memoryview, limit: int, pieces: list[bytes]) -> tuple[memoryview, int]:
        """Inflate all steps but the last one; return that and what is left of the limit."""
        last = (len(data) - 1) // _STEP * _STEP
        for position in range(0, last, _STEP):
            limit = self._take(data[position : position + _STEP], limit, pieces)
        return data[last:], limit

    def _take_end(self, data: bytes | memoryview, last: int, limit: int, pieces: list[bytes]) -> None:
        """Inflate the end of a message, whose last byte is `last`, and be ready for the next one."""
        self._take(b"".join((data, _TAIL)), limit, pieces, _TAIL)
        # Some engines' streams can't be copied, and are not asked.
        copy = getattr(self._stream, "copy", None) if last & _NOT_HEADER else None
        if copy is not None and not _is_between_blocks(copy()):
            raise _cut_short()
        self._last = None

    def _take(self, data: bytes | memoryview, limit: int, pieces: list[bytes], tail: bytes = b"") -> int:
        """Inflate `data`, which ends with `tail`; append the output to `pieces`, return what is left of the limit."""
        while True:
            stream = self._stream
            if stream is None:
                stream = self._stream = self._engine.decompressobj(-self._window_bits)
            # One byte more than there may be: output that is cut at the limit is not told from one that ends
            # there, neither by its size nor by what is left of the input. Never 0, which would be no limit.
            asked = min(limit + 1, _PIECE)
            piece: bytes = stream.decompress(data, asked)
            limit -= len(piece)
            self.inflated += len(piece)
            if limit < 0:
                raise MessageTooBig("a compressed message is above the limit once it is inflated")
            if piece:
                pieces.append(piece)
            if stream.eof:
                data, self._stream = stream.unused_data, None
                # A stream that ends with the message needs no tail.
                if not data or data == tail:
                    self._last = None
                    return limit
                self._count_end()
            elif len(piece) < asked:
                return limit
            else:
                data = stream.unconsumed_tail  # there may be more to come even where this is empty

    def _count_end(self) -> None:
        self._ends += 1
        if self._ends > _MAX_ENDS:
            raise MessageTooBig(f"a compressed message consists of more than {_MAX_ENDS} streams")


class FreshInflater(Inflater):
    """Inflates each message by itself (no context takeover), and keeps nothing between two of them.

    Connections never share a decompressor: a peer's reference to what it never sent would tell it what another sent.
    """

    __slots__ = ()

    def _take_end(self, data: bytes | memoryview, last: int, limit: int, pieces: list[bytes]) -> None:
        # The stream is of no use any more, so that it can be asked to end, as it does between two blocks only.
        self._take(b"".join((data, _TAIL, _LAST_BLOCK)), limit, pieces, _TAIL + _LAST_BLOCK)
        if self._stream is not None:
            raise _cut_short()
        self._last = None


def _is_between_blocks(stream: Any) -> bool:
    """Tell whether the decompressor is at the beginning of a block and of a byte. It is of no use afterwards."""
    stream.decompress(_LAST_BLOCK, 1)
    return bool(stream.eof)


def _cut_short() -> InvalidDeflate:
    return InvalidDeflate("a compressed message ends within a block")
