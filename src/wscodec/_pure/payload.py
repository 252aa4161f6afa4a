"""Large payloads in pure Python: put together from pieces, sent as they stand; the twin of `_payload.pyx`.

Floor 1.
"""

from __future__ import annotations

from collections.abc import Sequence

from .._buffers import flat_view
from .._typing import Buffer, Message
from .frames import build_header, pack_messages
from .mask import apply_mask, rotated
from .utf8 import Utf8Validator

__all__ = ["Payload", "pack_chunks"]

_TEXT = 0x1
_BINARY = 0x2

# Pieces smaller than this are put together at once: each as an object of its own would take a multiple of its size.
_SMALL = 4096
_BLOCK = 65536


class Payload:
    """The payload of one message, put together from the pieces that it arrives in.

    Its memory is that of what has arrived, at most doubled, whatever a header promises.

    RFC 6455 §5.3, §5.4, §8.1.

    Args:
        text: whether the message is text, to be validated as it arrives.
    """

    __slots__ = ("_pieces", "_small", "_valid", "_validator")

    def __init__(self, text: bool) -> None:
        # A buffer that grows would be copied again and again, and leave the allocator with holes.
        self._pieces: list[bytes | bytearray] = []
        self._small: bytearray | None = None
        self._validator = Utf8Validator() if text else None
        self._valid = True

    def take(self, data: Buffer, start: int, length: int, key: Buffer | None, offset: int) -> int:
        """Take the next piece, and unmask it.

        Args:
            data: any C-contiguous buffer; it isn't kept.
            start: where the piece begins in it, in bytes.
            length: how much of the frame's payload is still to come; what stands in `data` beyond it isn't taken.
            key: the 4 bytes of the masking key, or None for a frame that is not masked.
            offset: where the piece stands in the frame's payload, in bytes.

        Returns:
            How many bytes were taken.

        Raises:
            TypeError: `data` or `key` is not a C-contiguous bytes-like object.
            ValueError: `start` or `length` is negative, or `key` does not have 4 bytes.
        """
        if start < 0 or length < 0:
            raise ValueError(f"start or length is negative: {start}, {length}")
        if key is not None:
            key = rotated(key, offset)
        with flat_view(data) as view, view[start : start + length] as masked:
            piece = masked.tobytes() if key is None else apply_mask(masked, key)
        if self._validator is not None:
            self._valid = self._validator.feed(piece)
        self._append(piece)
        return len(piece)

    def _append(self, piece: bytes) -> None:
        if len(piece) >= _SMALL:
            self._small = None
            self._pieces.append(piece)
        elif self._small is not None and len(self._small) < _BLOCK:
            self._small += piece
        else:
            self._small = bytearray(piece)
            self._pieces.append(self._small)

    @property
    def valid(self) -> bool:
        """Whether what was taken can be the beginning of a message: for text, of UTF-8."""
        return self._valid

    def finish(self) -> str | bytes | None:
        """Return the message, and begin the next one; None where its text is not UTF-8, or ends within a character."""
        if self._validator is not None and not self._validator.complete:
            return None
        payload = b"".join(self._pieces)
        self._pieces, self._small = [], None
        return payload if self._validator is None else payload.decode()


def pack_chunks(messages: Sequence[Message], least: int) -> list[bytes | memoryview]:
    """Write a run of whole messages, one frame each and none masked, in chunks: large payloads are not copied.

    Args:
        messages: each a `str`, sent as text, or a C-contiguous buffer, sent as binary.
        least: how many characters or bytes make a `str` or a `bytes` large.

    Returns:
        The frames when joined. The payload of a large message is a chunk of its own: the `bytes` itself, a view of
        an ASCII `str`, the encoding of another.

    Raises:
        TypeError: a message is neither a str nor a C-contiguous bytes-like object.
        UnicodeEncodeError: a str has a lone surrogate.

    RFC 6455 §5.2, §5.6, §6.1.
    """
    # The caller's list could change while a message is asked for its bytes; a tuple can't.
    run = tuple(messages)
    chunks: list[bytes | memoryview] = []
    done = 0
    for index, message in enumerate(run):
        payload = _large_payload(message, least)
        if payload is not None:
            if done < index:
                chunks.append(pack_messages(run[done:index], None))
            chunks += (build_header(_BINARY if payload is message else _TEXT, len(payload)), payload)
            done = index + 1
    if done < len(run):
        chunks.append(pack_messages(run[done:], None))
    return chunks


def _large_payload(message: Message, least: int) -> bytes | memoryview | None:
    """Return the bytes of a message that can't change and has at least so many characters or bytes, else None."""
    if type(message) is bytes:
        return message if len(message) >= least else None
    if type(message) is str and len(message) >= least:
        # A view, as in the compiled twin, where it is one of the str itself.
        return memoryview(message.encode()) if message.isascii() else message.encode()
    return None
