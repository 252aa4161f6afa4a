"""Messages: fragments put together, control frames in between, UTF-8 and limits (RFC 6455 sections 5.4 to 5.6, 8.1).

Plain messages are taken and written in runs by the backend; the rules here judge every other frame.

Floor 3.
"""

from __future__ import annotations

from collections.abc import Sequence

from ._backend import is_valid_utf8, pack_messages, take_messages
from ._buffers import flat_view
from ._typing import Buffer, Message
from .assembly import StreamedMessage, WholeMessage
from .control import check_close_payload, close_payload, control_event
from .errors import ConcurrencyError, ProtocolError, TooManyFragments, not_a_message
from .events import Event
from .frames import (
    FrameReader,
    check_close_length,
    check_control,
    check_length,
    check_limit,
    check_masking,
    check_reserved,
    copy_of,
    encode_frame,
    is_server,
)
from .keys import take_keys
from .spec import (
    DEFAULT_MAX_FRAGMENTS,
    DEFAULT_MAX_SIZE,
    MAX_CONTROL_LENGTH,
    OPCODE,
    CloseCode,
    Header,
    Opcode,
    Role,
)

__all__ = ["Decoder", "Encoder", "encode", "encode_many"]


class Decoder:
    """Decodes the peer's bytes into messages and control frames.

    Args:
        role: ours; a server demands masked frames, a client refuses them (§5.1).
        max_size: the longest message, in bytes; None for no limit.
        max_frame_size: the longest payload of one data frame, in bytes; None for no limit but `max_size`.
        max_fragments: the most frames that a message may come in, empty ones counted; None for no limit.
        streaming: whether messages come as `Fragment` events, as soon as their bytes are there, instead of
            as `str` and `bytes`.

    Attributes:
        controls: the `Ping`, `Pong` and `Close` events among those that the last `feed` returned.
    """

    __slots__ = (
        "_assembler",
        "_closed",
        "_control",
        "_failure",
        "_header",
        "_masked",
        "_max_fragments",
        "_max_frame_size",
        "_max_size",
        "_message",
        "_reader",
        "_run_limit",
        "controls",
    )

    def __init__(
        self,
        role: Role,
        *,
        max_size: int | None = DEFAULT_MAX_SIZE,
        max_frame_size: int | None = None,
        max_fragments: int | None = DEFAULT_MAX_FRAGMENTS,
        streaming: bool = False,
    ) -> None:
        self._masked = is_server(role)
        self._max_size = check_limit("max_size", max_size)
        self._max_frame_size = check_limit("max_frame_size", max_frame_size)
        self._max_fragments = check_limit("max_fragments", max_fragments)
        self._assembler: type[WholeMessage | StreamedMessage] = StreamedMessage if streaming else WholeMessage
        # A streaming decoder has every frame go through the rules, for only they hand on pieces; so has one that
        # takes no frame at all, for only they count.
        plain = self._max_fragments > 0 and not streaming
        self._run_limit = min(self._max_size, self._max_frame_size) if plain else -1
        self._reader = FrameReader()
        self._header: Header | None = None
        self._message: WholeMessage | StreamedMessage | None = None
        self._control = b""
        self._closed = False
        self._failure: ProtocolError | None = None
        self.controls: Sequence[Event] = ()

    def feed(self, data: Buffer) -> list[Event]:
        """Take the next bytes from the peer.

        Args:
            data: any C-contiguous buffer; it isn't kept.

        Returns:
            The events that these bytes complete, in order: a `str` for a text message, `bytes` for a binary
            one, `Ping`, `Pong`, `Close`. Nothing comes after a `Close`.

        Raises:
            ProtocolError: the peer broke a rule; `error.events` holds the events that were complete before the
                offence. The decoder stays failed and raises the same error from now on.
            TypeError: `data` is not a C-contiguous bytes-like object.

        RFC 6455 §5, §8.1.
        """
        events: list[Event] = []
        self.controls = ()
        if self._failure is not None:
            raise copy_of(self._failure)
        taken = 0
        if type(data) is bytes and self._between_messages():
            taken = take_messages(data, 0, self._masked, self._run_limit, events)
            if taken == len(data):
                return events
        with flat_view(data) as view:
            try:
                self._feed(view, taken, events)
            except ProtocolError as error:
                self._failure = copy_of(error)
                self._message = None
                error.events = events
                raise
        return events

    def _between_messages(self) -> bool:
        """Whether the next byte is the first of a frame that may be a whole message."""
        return self._message is None and self._header is None and not self._reader.held and not self._closed

    def _feed(self, data: memoryview, position: int, events: list[Event]) -> None:
        """Take frames by the rules, and plain messages behind them in runs."""
        end = len(data)
        while position < end and not self._closed:
            if self._between_messages():
                position = take_messages(data, position, self._masked, self._run_limit, events)
                if position == end:
                    return
            position = self._take_frame(data, position, events)

    def _take_frame(self, data: memoryview, position: int, events: list[Event]) -> int:
        """Take one frame, or what there is of it, and return the position behind it."""
        if self._header is None:
            head = self._reader.preview(data, position)
            self._check(head)
            self._header, position = self._reader.read_header(head, position)
            if self._header is None:
                return position
            self._begin(self._header)
        piece = self._reader.read_payload(data, position)
        done = not self._reader.remaining
        if self._header.opcode & Opcode.CLOSE:
            self._take_control(self._header.opcode, piece, done, events)
        else:
            self._take_data(piece, done, self._header.fin, events)
        if done:
            self._header = None
        return position + len(piece)

    def _check(self, head: bytes) -> None:
        """Judge a header, or what there is of it, in the order of its bytes."""
        check_reserved(head)
        check_control(head)
        self._check_order(head)
        check_masking(head, self._masked)
        check_close_length(head)
        if not head[0] & Opcode.CLOSE:
            size = 0 if self._message is None else self._message.size
            check_length(head, min(self._max_frame_size, self._max_size - size))

    def _check_order(self, head: bytes) -> None:
        """Refuse a continuation of nothing, a new message within another (§5.4), and too many fragments."""
        opcode = head[0] & OPCODE
        if opcode & Opcode.CLOSE:
            return
        if self._message is None:
            if opcode == Opcode.CONTINUATION:
                raise ProtocolError("a continuation frame continues nothing")
        elif opcode != Opcode.CONTINUATION:
            raise ProtocolError("a message begins within another")
        fragments = 0 if self._message is None else self._message.fragments
        if fragments >= self._max_fragments:
            raise TooManyFragments(f"a message has more than {self._max_fragments} fragments")

    def _begin(self, header: Header) -> None:
        """Count a data frame, which may begin a message."""
        if header.opcode & Opcode.CLOSE:
            return
        if self._message is None:
            self._message = self._assembler(header.opcode)
        self._message.fragments += 1

    def _take_data(self, piece: bytes, done: bool, fin: bool, events: list[Event]) -> None:
        """Add a piece of payload to its message."""
        message = self._message
        assert message is not None
        message.size += len(piece)
        message.add(piece, done and fin, events)
        if done and fin:
            self._message = None

    def _take_control(self, opcode: int, piece: bytes, done: bool, events: list[Event]) -> None:
        """Add a piece of payload to a control frame, and append the frame when it is whole."""
        payload = self._control + piece
        if opcode == Opcode.CLOSE:
            check_close_payload(payload, done)
        self._control = b"" if done else payload
        if not done:
            return
        event = control_event(opcode, payload)
        events.append(event)
        if not isinstance(self.controls, list):
            self.controls = []
        self.controls.append(event)
        self._closed = opcode == Opcode.CLOSE


class Encoder:
    """Encodes messages and control frames for the peer.

    Args:
        role: ours; a client masks every frame, with a fresh key from the system's random source (§5.3, §10.3).
    """

    __slots__ = ("_fragments_of", "_masked")

    def __init__(self, role: Role) -> None:
        self._masked = not is_server(role)
        self._fragments_of: Opcode | None = None

    def encode(self, message: Message, *, text: bool | None = None) -> bytes:
        """Encode one message as one frame.

        Args:
            message: a `str`, sent as text, or a C-contiguous buffer, sent as binary.
            text: True sends bytes as text (they must be UTF-8), False sends a str as binary; None goes by type.

        Returns:
            The frame.

        Raises:
            TypeError: `message` is neither a str nor a C-contiguous bytes-like object.
            ValueError: text that can't be UTF-8: a str with a lone surrogate, bytes that are no UTF-8.
            ConcurrencyError: a message is being sent in fragments.

        RFC 6455 §5.6, §6.1.
        """
        self._check_free()
        if text is None or text is isinstance(message, str):
            return pack_messages((message,), take_keys(1) if self._masked else None)
        return self._frame(*_as_kind(message, text))

    def encode_many(self, messages: Sequence[Message]) -> bytes:
        """Encode a burst of messages, one frame each, for one write.

        Args:
            messages: each as `encode` takes it.

        Returns:
            The frames.

        Raises:
            TypeError, ValueError, ConcurrencyError: as `encode` does; then nothing was encoded.

        RFC 6455 §5.6, §6.1.
        """
        self._check_free()
        return pack_messages(messages, take_keys(len(messages)) if self._masked else None)

    def encode_fragment(self, data: Message, *, fin: bool) -> bytes:
        """Encode the next part of a message as one frame.

        Args:
            data: a `str` for a text message, a C-contiguous buffer for a binary one; it may be empty.
            fin: whether it is the last part.

        Returns:
            The frame: the first of a message says what it is, the others continue it.

        Raises:
            TypeError: `data` is not of the kind that the message began with.
            ValueError: a str has a lone surrogate.

        RFC 6455 §5.4.
        """
        kind, payload = _payload_of(data)
        begun = self._fragments_of
        if begun is not None and begun is not kind:
            raise TypeError(f"a {begun.name.lower()} message can't go on with {type(data).__name__!r}")
        frame = self._frame(kind if begun is None else Opcode.CONTINUATION, payload, fin)
        self._fragments_of = None if fin else kind
        return frame

    def ping(self, payload: Buffer = b"") -> bytes:
        """Encode a Ping frame of at most 125 bytes; ValueError above (RFC 6455 §5.5.2)."""
        return self._control(Opcode.PING, payload)

    def pong(self, payload: Buffer = b"") -> bytes:
        """Encode a Pong frame of at most 125 bytes; ValueError above (RFC 6455 §5.5.3)."""
        return self._control(Opcode.PONG, payload)

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

    def _control(self, opcode: Opcode, payload: Buffer) -> bytes:
        with flat_view(payload) as view:
            if len(view) > MAX_CONTROL_LENGTH:
                raise ValueError(f"a control frame has at most 125 bytes, not {len(view)}")
            return self._frame(opcode, view)

    def _frame(self, opcode: Opcode, payload: Buffer, fin: bool = True) -> bytes:
        return encode_frame(opcode, payload, fin=fin, masking_key=take_keys(1) if self._masked else None)

    def _check_free(self) -> None:
        if self._fragments_of is not None:
            raise ConcurrencyError("a message is being sent in fragments")


def _payload_of(data: Message) -> tuple[Opcode, Buffer]:
    """Return the opcode and the payload of a message or of a part of one."""
    if isinstance(data, str):
        return Opcode.TEXT, data.encode()
    try:
        flat_view(data).release()
    except TypeError:
        raise not_a_message(data) from None
    return Opcode.BINARY, data


def _as_kind(message: Message, text: bool) -> tuple[Opcode, Buffer]:
    """Return the opcode that `text` asks for and the payload."""
    _, payload = _payload_of(message)
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
