"""Messages sent: whole, in bursts, in fragments, and control frames (RFC 6455 sections 5.4 to 5.6, 6.1).

Floor 3.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from ._backend import is_valid_utf8, pack_chunks, pack_messages
from ._buffers import flat_view
from ._typing import Buffer, Message
from .control import close_payload
from .errors import ConcurrencyError, not_a_message
from .frames import encode_frame, is_server
from .keys import take_key, take_keys
from .spec import LARGE, CloseCode, Opcode, Role

__all__ = ["Encoder", "PreparedMessage", "encode", "encode_many"]


class PreparedMessage:
    """A message that goes to many connections: encoded once for all those on which we are the server.

    A client's frame has a masking key of its own every time (§5.3), so there it is encoded again.

    Where permessage-deflate was agreed on, it is compressed once for all those that compress alike.

    Args:
        message, text: as `Encoder.encode` takes them.
        compress: False has it sent uncompressed on every connection.

    Attributes:
        frame: the message as a server's frame, not compressed.
        message, text, compress: as they were given, the bytes of a buffer copied.
        deflated: the message as servers' compressed frames, by what compresses them alike; None for those that
            would have grown. It is filled as it is needed.

    Raises:
        TypeError, ValueError: as `Encoder.encode` does.
    """

    __slots__ = ("compress", "deflated", "frame", "message", "text")

    def __init__(self, message: Message, *, text: bool | None = None, compress: bool = True) -> None:
        if not isinstance(message, str):
            message = bytes(flat_view(message))  # what changes later was not prepared
        self.message = message
        self.text = text
        self.compress = compress
        self.deflated: dict[Any, bytes | None] = {}
        self.frame: bytes = _server_encoder.encode(message, text=text)


class Encoder:
    """Encodes messages and control frames for the peer.

    Args:
        role: ours; a client masks every frame, with a fresh key from the system's random source (§5.3, §10.3).

    Attributes:
        fragments_of: what the message is that is being sent in fragments, TEXT or BINARY, or None.
    """

    __slots__ = ("_masked", "fragments_of")

    def __init__(self, role: Role) -> None:
        self._masked = not is_server(role)
        self.fragments_of: Opcode | None = None

    @property
    def plain_limit(self) -> int:
        """The longest message that is sent as it is, whatever it says, in bytes."""
        return sys.maxsize

    def release(self) -> None:
        """Let go of what only more messages would need: none will come."""

    def lose(self) -> None:
        """Take it that what was encoded last won't be sent."""

    def encode(self, message: Message | PreparedMessage, *, text: bool | None = None, compress: bool = True) -> bytes:
        """Encode one message as one frame.

        Args:
            message: a `str`, sent as text, a C-contiguous buffer, sent as binary, or either prepared.
            text: True sends bytes as text (they must be UTF-8), False sends a str as binary; None goes by type.
            compress: False sends it as it is where permessage-deflate was agreed on.

        Returns:
            The frame.

        Raises:
            TypeError: `message` is neither a str nor a C-contiguous bytes-like object.
            ValueError: text that can't be UTF-8: a str with a lone surrogate, bytes that are no UTF-8.
            ConcurrencyError: a message is being sent in fragments.

        RFC 6455 §5.6, §6.1.
        """
        self._check_free()
        if isinstance(message, PreparedMessage):
            return self._whole(message.message, message.text) if self._masked else message.frame
        return self._whole(message, text)

    def _whole(self, message: Message, text: bool | None) -> bytes:
        """Return a message as a frame."""
        if text is None or text is isinstance(message, str):
            return pack_messages((message,), take_key() if self._masked else None)
        return self._frame(*as_kind(message, text))

    def encode_many(self, messages: Sequence[Message]) -> bytes:
        """Encode a burst of messages, one frame each, for one write.

        Args:
            messages: each a `str` or a C-contiguous buffer.

        Returns:
            The frames.

        Raises:
            TypeError, ValueError, ConcurrencyError: as `encode` does; then nothing was encoded.

        RFC 6455 §5.6, §6.1.
        """
        self._check_free()
        if isinstance(messages, str):
            raise TypeError("a burst is a sequence of messages, not one message")
        return self._burst(messages)

    def _burst(self, messages: Sequence[Message]) -> bytes:
        """Return messages as frames."""
        return self.pack(messages)

    def pack(self, messages: Sequence[Message]) -> bytes:
        """Do what `encode_many` does, whatever has begun since the messages were sent."""
        return pack_messages(messages, take_keys(len(messages)) if self._masked else None)

    def pack_chunks(self, messages: Sequence[Message]) -> list[bytes | memoryview]:
        """Do what `pack` does, but return chunks: a server's large payloads are not copied."""
        return [self.pack(messages)] if self._masked else pack_chunks(messages, LARGE)

    def encode_fragment(self, data: Message, *, fin: bool, compress: bool = True) -> bytes:
        """Encode the next part of a message as one frame.

        Args:
            data: a `str` for a text message, a C-contiguous buffer for a binary one; it may be empty.
            fin: whether it is the last part.
            compress: as in `encode`; what is said with the first part counts.

        Returns:
            The frame: the first of a message says what it is, the others continue it.

        Raises:
            TypeError: `data` is not of the kind that the message began with.
            ValueError: a str has a lone surrogate.

        RFC 6455 §5.4.
        """
        kind, payload = payload_of(data)
        begun = self.fragments_of
        if begun is not None and begun is not kind:
            raise TypeError(f"a {begun.name.lower()} message can't go on with {type(data).__name__!r}")
        frame = self._part(kind if begun is None else Opcode.CONTINUATION, payload, fin, compress)
        self.fragments_of = None if fin else kind
        return frame

    def ping(self, payload: Buffer = b"") -> bytes:
        """Encode a Ping frame of at most 125 bytes; ValueError above (RFC 6455 §5.5.2)."""
        return self._frame(Opcode.PING, payload)

    def pong(self, payload: Buffer = b"") -> bytes:
        """Encode a Pong frame of at most 125 bytes; ValueError above (RFC 6455 §5.5.3)."""
        return self._frame(Opcode.PONG, payload)

    def close(self, code: int | None = CloseCode.NORMAL_CLOSURE, reason: str = "") -> bytes:
        """Encode a Close frame.

        Args:
            code: the close code; None sends none.
            reason: in words; what goes beyond 123 bytes of UTF-8 is cut off, between two characters.

        Returns:
            The frame.

        Raises:
            ValueError: the code may not be sent, or a reason comes without a code.

        RFC 6455 §5.5.1, §7.4.
        """
        return self._frame(Opcode.CLOSE, close_payload(code, reason))

    def _part(self, opcode: Opcode, payload: Buffer, fin: bool, compress: bool) -> bytes:
        """Return a part of a message as a frame."""
        return self._frame(opcode, payload, fin)

    def _frame(self, opcode: Opcode, payload: Buffer, fin: bool = True, *, rsv1: bool = False) -> bytes:
        return encode_frame(opcode, payload, fin=fin, rsv1=rsv1, masking_key=take_key() if self._masked else None)

    def _check_free(self) -> None:
        if self.fragments_of is not None:
            raise ConcurrencyError("another message is being sent")


def payload_of(data: Message) -> tuple[Opcode, Buffer]:
    """Return the opcode and the payload of a message or of a part of one."""
    if isinstance(data, str):
        return Opcode.TEXT, data.encode()
    try:
        flat_view(data).release()
    except TypeError:
        raise not_a_message(data) from None
    return Opcode.BINARY, data


def as_kind(message: Message, text: bool | None) -> tuple[Opcode, Buffer]:
    """Return the opcode and the payload of a message; `text` as `Encoder.encode` takes it."""
    kind, payload = payload_of(message)
    if text is None or text is isinstance(message, str):
        return kind, payload
    if not text:
        return Opcode.BINARY, payload
    if not is_valid_utf8(payload):
        raise ValueError("bytes sent as text are not UTF-8")
    return Opcode.TEXT, payload


_server_encoder = Encoder(Role.SERVER)


def encode(message: Message) -> bytes:
    """Encode one message as a server sends it: one frame, not masked. See `Encoder.encode`."""
    return _server_encoder.encode(message)


def encode_many(messages: Sequence[Message]) -> bytes:
    """Encode a burst of messages as a server sends them. See `Encoder.encode_many`."""
    return _server_encoder.encode_many(messages)
