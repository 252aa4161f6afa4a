"""Messages received: fragments, control frames in between, UTF-8 and limits (RFC 6455 sections 5.4 to 5.6, 8.1).

Plain messages are taken in runs by the backend; the rules here judge every other frame.

Floor 3.
"""

from __future__ import annotations

from typing import TypedDict

from ._backend import DecoderLane, take_frame, take_messages
from ._buffers import flat_view
from ._typing import Buffer
from .assembly import Assembly, StreamedMessage, WholeMessage
from .control import check_close_payload, control_event
from .errors import ProtocolError, TooManyFragments
from .events import Event
from .frames import (
    INTERRUPTED,
    FrameReader,
    check_close_length,
    check_control_length,
    check_first,
    check_length,
    check_limit,
    check_masking,
    copy_of,
    is_server,
)
from .spec import (
    CONTROL,
    DEFAULT_MAX_FRAGMENTS,
    DEFAULT_MAX_SIZE,
    FIN,
    LARGE,
    LENGTH,
    OPCODE,
    RSV1,
    CloseCode,
    Header,
    Opcode,
    Role,
)

# Compared for every frame; members of an enumeration take several times as long to look up.
CLOSE = int(Opcode.CLOSE)
CONTINUATION = int(Opcode.CONTINUATION)

__all__ = ["Decoder"]


class Limits(TypedDict):
    """What both kinds of decoder take."""

    max_size: int | None
    max_frame_size: int | None
    max_fragments: int | None
    streaming: bool


class Decoder(DecoderLane):
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
        frames: how many frames were whole so far.
        streaming: as it was given.
    """

    __slots__ = (
        "_assembler",
        "_closed",
        "_control",
        "_failure",
        "_header",
        "_max_fragments",
        "_max_frame_size",
        "_max_size",
        "_message",
        "_reader",
        "_whole_limit",
        "streaming",
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
        self.streaming = streaming
        self._max_size = check_limit("max_size", max_size)
        self._max_frame_size = check_limit("max_frame_size", max_frame_size)
        self._max_fragments = check_limit("max_fragments", max_fragments)
        self._assembler: type[WholeMessage | StreamedMessage] = StreamedMessage if streaming else WholeMessage
        # A streaming decoder has every frame go through the rules, for only they hand on pieces; so has one that
        # takes no frame at all, for only they count.
        plain = self._max_fragments > 0 and not streaming
        super().__init__(is_server(role), min(self._max_size, self._max_frame_size) if plain else -1)
        # How long a frame may be that is taken at once, where all of it is there.
        self._whole_limit = LARGE
        self._reader = FrameReader()
        self._header: Header | None = None
        self._message: Assembly | None = None
        self._control = b""
        self._closed = False
        self._failure: ProtocolError | None = None

    def release(self) -> None:
        """Let go of what only more input would need, such as a message that is not whole: none will come."""
        self._message = None

    def _feed_by_rules(self, data: Buffer, position: int, events: list[Event]) -> None:
        """Go on from `position`, where a frame begins or goes on, and append to `events`; raises as `feed` does."""
        self._controls = []
        if self._failure is not None:
            raise copy_of(self._failure)
        try:
            if type(data) is bytes:
                self._feed(data, position, events)
            else:
                with flat_view(data) as view:
                    self._taking = True
                    self._feed(view, position, events)
        except ProtocolError as error:
            self._fail(error)
            error.events = events
            raise
        self._between = (
            self._message is None
            and self._header is None
            and not self._reader.held
            and not self._closed
            and not self._held_back
        )
        self._taking = False

    def _break_off(self) -> None:
        """Fail: an exception came out of the last call, and nobody knows any more where a frame begins."""
        if self._failure is None:
            self._fail(ProtocolError(INTERRUPTED, CloseCode.INTERNAL_ERROR))

    def _fail(self, error: ProtocolError) -> None:
        """Raise this from the next call on."""
        self._failure = copy_of(error)
        self.release()
        self._between = False

    def _feed(self, data: bytes | memoryview, position: int, events: list[Event]) -> int:
        """Take plain messages in runs, other whole frames by the rules, and the rest piece by piece.

        Returns:
            The position behind what was taken.
        """
        end = len(data)
        while position < end and not self._closed and not self._held_back:
            frame = None
            if self._header is None and not self._reader.held:
                if self._message is None:
                    before = len(events)
                    position = take_messages(data, position, self._masked, self._run_limit, events)
                    self.frames += len(events) - before
                    if position == end:
                        return position
                frame = take_frame(data, position, self._masked, min(self._limit(), self._whole_limit))
            if frame is None:
                position = self._take_piece(data, position, events)
            else:
                first, payload, position = frame
                self._take_whole(first, payload, events)
        return position

    def _take_whole(self, first: int, payload: bytes, events: list[Event]) -> None:
        """Take a whole frame, of which masking and length are judged already."""
        self.frames += 1
        self._check_first(first)
        if first & CONTROL:
            check_control_length(first, len(payload))
            check_close_length(first, len(payload))
            self._end_control(first & OPCODE, payload, events)
        else:
            self._begin(first & OPCODE, first & RSV1 != 0)
            assert self._message is not None
            self._message.add(payload, first & FIN != 0, events)
            if first & FIN:
                self._message = None

    def _take_piece(self, data: bytes | memoryview, position: int, events: list[Event]) -> int:
        """Take what there is of a frame that isn't all there, or is faulty, and return the position behind it."""
        if self._header is None:
            head = self._reader.preview(data, position)
            self._check(head)
            self._header, position = self._reader.read_header(head, position)
            if self._header is None:
                return position
            self._begin(self._header.opcode, self._header.rsv1)
        if self._header.opcode & CONTROL:
            piece = self._reader.read_payload(data, position)
            position += len(piece)
            self._take_control(self._header.opcode, piece, not self._reader.remaining, events)
        else:
            position = self._read_data(data, position, self._header.fin, events)
        if not self._reader.remaining:
            self._header = None
            self.frames += 1
        return position

    def _limit(self) -> int:
        """Return the longest payload that the next data frame may have (§10.4)."""
        size = 0 if self._message is None else self._message.size
        return min(self._max_frame_size, self._max_size - size)

    def _limit_of(self, first: int) -> int:
        """Return the longest payload that the data frame may have that begins with the byte `first` (§10.4)."""
        return self._limit()

    def _check(self, head: bytes) -> None:
        """Judge a header, or what there is of it, in the order of its bytes."""
        first = head[0]
        self._check_first(first)
        if len(head) == 1:
            return
        check_masking(head[1], self._masked)
        if first & CONTROL:
            check_control_length(first, head[1] & LENGTH)
            check_close_length(first, head[1] & LENGTH)
        else:
            check_length(head, self._limit_of(first))

    def _check_first(self, first: int) -> None:
        """Judge the first byte of a header."""
        check_first(first)
        if not first & CONTROL:
            self._check_order(first & OPCODE)

    def _check_order(self, opcode: int) -> None:
        """Refuse a continuation of nothing, a new message within another (§5.4), and too many fragments."""
        if self._message is None:
            if opcode == CONTINUATION:
                raise ProtocolError("a continuation frame continues nothing")
        elif opcode != CONTINUATION:
            raise ProtocolError("a message begins within another")
        fragments = 0 if self._message is None else self._message.fragments
        if fragments >= self._max_fragments:
            raise TooManyFragments(f"a message has more than {self._max_fragments} fragments")

    def _begin(self, opcode: int, rsv1: bool) -> None:
        """Count a data frame, which may begin a message."""
        if opcode & CONTROL:
            return
        if self._message is None:
            self._message = self._assemble(opcode, rsv1)
        self._message.fragments += 1

    def _assemble(self, opcode: int, rsv1: bool) -> Assembly:
        """Return a message that begins with a frame like that, which is judged already."""
        return self._assembler(opcode)

    def _read_data(self, data: bytes | memoryview, position: int, fin: bool, events: list[Event]) -> int:
        """Add what there is of a data frame to its message, and return the position behind it."""
        assert self._message is not None
        position += self._message.read(self._reader, data, position, fin, events)
        if fin and not self._reader.remaining:
            self._message = None
        return position

    def _take_control(self, opcode: int, piece: bytes, done: bool, events: list[Event]) -> None:
        """Add a piece of payload to a control frame."""
        payload = self._control + piece
        if done:
            self._control = b""
            self._end_control(opcode, payload, events)
            return
        if opcode == CLOSE:
            check_close_payload(payload, False)
        self._control = payload

    def _end_control(self, opcode: int, payload: bytes, events: list[Event]) -> None:
        """Append a control frame that is whole."""
        if opcode == CLOSE:
            check_close_payload(payload, True)
            self._closed = True
        event = control_event(opcode, payload)
        events.append(event)
        assert self._controls is not None
        self._controls.append(event)
