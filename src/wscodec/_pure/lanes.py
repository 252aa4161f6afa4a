"""The fast lanes of a decoder and of a connection in pure Python, the twin of `_lanes.pyx`.

A lane is the part of a class that plain messages pass through. It knows no rule of the protocol: whatever is not plain
goes to a method of the class itself.

Floor 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeGuard

from .._typing import Buffer, Message, Prepared
from ..errors import ProtocolError
from ..events import Close, Event
from ..spec import LARGE, LEAST_16, LEAST_64
from .frames import pack_messages, take_messages

__all__ = ["ConnectionLane", "DecoderLane"]


class DecoderLane:
    """What a decoder does with plain messages.

    Args:
        masked: whether frames must be masked; otherwise they must not be.
        run_limit: the longest payload of a plain message, in bytes; -1 if none is plain.

    Attributes:
        frames: how many frames were whole so far.
    """

    __slots__ = ("_between", "_controls", "_held_back", "_masked", "_run_limit", "_taking", "frames")

    def __init__(self, masked: bool, run_limit: int) -> None:
        self._masked = masked
        self._run_limit = run_limit
        self._between = True
        self._taking = False
        self._held_back = False
        self._controls: list[Event] | None = None
        self.frames = 0

    @property
    def controls(self) -> list[Event]:
        """The control frames among the events that the last `feed` returned."""
        return [] if self._controls is None else self._controls

    @property
    def held_back(self) -> bool:
        """Whether input is held back, since what came before it is much: `feed(b"")` goes on with it."""
        return self._held_back

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
        position = 0
        if type(data) is bytes:
            position = self._take(data, events)
            if position == len(data) and self._between:
                return events
        else:
            self._check_whole()
        self._feed_by_rules(data, position, events)
        return events

    def _check_whole(self) -> None:
        """Fail where the bytes before were not taken to their end."""
        if self._taking:
            self._break_off()

    def _take(self, data: bytes, events: list[Event]) -> int:
        """Take the run of plain messages that `data` begins with; return where it ends, in bytes."""
        self._check_whole()
        self._taking = True
        if not self._between:
            return 0
        position = take_messages(data, 0, self._masked, self._run_limit, events)
        self.frames += len(events)
        self._controls = None
        self._taking = position < len(data)
        return position

    def _break_off(self) -> None:
        raise NotImplementedError

    def _feed_by_rules(self, data: Buffer, position: int, events: list[Event]) -> None:
        raise NotImplementedError


class ConnectionLane:
    """What a connection does with plain messages.

    Args:
        decoder: for what the peer sends.
        take_keys: returns so many masking keys, or None where frames are not masked.
        plain_limit: the longest message that is plain when we send it, in bytes; -1 if none is.

    Attributes:
        unsent_size: how many bytes wait for `data_to_send`.
        error: what the peer broke, or None.
    """

    __slots__ = (
        "_bytes_received",
        "_bytes_sent",
        "_controls",
        "_decoder",
        "_frames_sent",
        "_late_pong",
        "_listening",
        "_messages_received",
        "_messages_sent",
        "_output",
        "_owed",
        "_plain_limit",
        "_speaking",
        "_take_keys",
        "_unpacked",
        "error",
        "unsent_size",
    )

    def __init__(self, decoder: DecoderLane, take_keys: Callable[[int], bytes] | None, plain_limit: int) -> None:
        self._decoder = decoder
        self._take_keys = take_keys
        self._plain_limit = plain_limit
        self._listening = self._speaking = True
        self._bytes_received = self._bytes_sent = 0
        self._frames_sent = 0
        self._messages_received = self._messages_sent = 0
        self._controls: list[Event] | None = None
        self.error: ProtocolError | None = None
        self._late_pong: bytes | None = None
        self._owed: Close | None = None
        # Frames, and behind them messages that become frames all at once when they are written.
        self._output: list[bytes | memoryview] | None = None
        self._unpacked: list[str | bytes] | None = None
        self.unsent_size = 0

    @property
    def controls(self) -> list[Event]:
        """The control frames among the events that the last `receive` returned."""
        return [] if self._controls is None else self._controls

    @property
    def held_back(self) -> bool:
        """Whether input is held back, since what came before it is much: `receive(b"")` goes on with it."""
        return self._decoder._held_back

    def receive(self, data: Buffer) -> list[Event]:
        """Take the next bytes from the peer; never raises on what they say.

        Args:
            data: any C-contiguous buffer; it isn't kept.

        Returns:
            The events that these bytes complete, in order; after a Close frame, an offence or `eof` there are no
            more. Pings are answered already, until our own Close frame is out.

        Raises:
            TypeError: `data` is not a C-contiguous bytes-like object.

        RFC 6455 §5, §6.2, §7.
        """
        events: list[Event] = []
        position = 0
        if not self._listening:
            return events
        if type(data) is bytes:
            position = self._decoder._take(data, events)
            if position == len(data) and self._decoder._between:
                self._bytes_received += position
                self._messages_received += len(events)
                self._controls = None
                return events
        self._receive_by_rules(data, position, events)
        return events

    def send(self, message: Message | Prepared, *, text: bool | None = None, compress: bool = True) -> None:
        """Send one message.

        Args:
            message, text, compress: as `Encoder.encode` takes them.

        Raises:
            ConnectionClosed: our Close frame is out, or the connection is closed.
            TypeError, ValueError, ConcurrencyError: as `Encoder.encode` does.
        """
        if (
            text is not None
            or compress is not True
            or not self._speaking
            or not is_plain(message)
            or len(message) > self._plain_limit
        ):
            self._send_by_rules(message, text, compress)
            return
        # It can't change or fail any more: so it can wait, to be packed together with what follows it.
        if self._unpacked is None:
            self._unpacked = [message]
        else:
            self._unpacked.append(message)
        self.unsent_size += self._frame_size(message)

    def send_many(self, messages: Sequence[Message]) -> None:
        """Send a burst of messages: as `send` for each, but all of them or none."""
        if not self._speaking or not isinstance(messages, (list, tuple)):
            self._send_many_by_rules(messages)
            return
        run = list(messages)
        if not all(is_plain(message) and len(message) <= self._plain_limit for message in run):
            self._send_many_by_rules(run)
            return
        if self._unpacked is None:
            self._unpacked = run
        else:
            self._unpacked += run
        self.unsent_size += sum(map(self._frame_size, run))

    def _frame_size(self, message: str | bytes) -> int:
        """Return the size of the frame that a plain message becomes, in bytes."""
        size = len(message)
        header_size = 2 if size < LEAST_16 else 4 if size < LEAST_64 else 10
        return size + header_size + (0 if self._take_keys is None else 4)

    def data_to_send(self) -> bytes:
        """Return all that is to be written now, and forget it.

        A Close frame that answers the peer's or an offence goes at the end; after it there is nothing to send.
        """
        if self._late_pong is not None or self._owed is not None:
            self._put_what_is_owed()
        if self._output is not None or self.unsent_size >= LARGE:
            return self._take_joined()
        data = b"" if self._unpacked is None else self._packed()
        self.unsent_size = 0
        return data

    def _take_joined(self) -> bytes:
        """Return what is to be written, in one piece, and forget it once there is one."""
        if self._unpacked is not None:
            self._pack()
        data = b"" if self._output is None else b"".join(self._output)
        self._take_chunks()
        return data

    def _take_chunks(self) -> list[bytes | memoryview]:
        """Return what is to be written, in chunks, and forget it."""
        if self._unpacked is not None:
            self._pack()
        output, self._output = self._output, None
        self.unsent_size = 0
        return [] if output is None else output

    def _pack(self) -> None:
        """Make frames of the messages that wait for it."""
        if self.unsent_size >= LARGE:
            self._pack_large()
            return
        if self._output is None:
            self._output = []
        self._output.append(b"")  # room first: what is packed must not get lost for want of it
        self._output[-1] = self._packed()

    def _packed(self) -> bytes:
        """Return the frames of the messages that wait for it."""
        run, self._unpacked = self._unpacked, None
        assert run is not None
        count = len(run)
        try:
            frames = pack_messages(run, None if self._take_keys is None else self._take_keys(count))
            self._count_sent(frames, count)
        except BaseException:
            self._unpacked = run
            raise
        return frames

    def _count_sent(self, frames: bytes, messages: int) -> None:
        """Count frames, each a message."""
        self._bytes_sent += len(frames)
        self._frames_sent += messages
        self._messages_sent += messages

    def _takes_frame(self, frame: bytes) -> bool:
        """Tell whether the next that is written can be a frame that was made before, not masked."""
        if not self._speaking or self.unsent_size or self._take_keys is not None or self._late_pong is not None:
            return False
        return len(frame) <= self._plain_limit

    def _receive_by_rules(self, data: Buffer, position: int, events: list[Event]) -> None:
        raise NotImplementedError

    def _send_by_rules(self, message: Any, text: bool | None, compress: bool) -> None:
        raise NotImplementedError

    def _send_many_by_rules(self, messages: Sequence[Message]) -> None:
        raise NotImplementedError

    def _pack_large(self) -> None:
        raise NotImplementedError

    def _put_what_is_owed(self) -> None:
        raise NotImplementedError


def is_plain(message: object) -> TypeGuard[str | bytes]:
    """Whether a message's bytes can be had without asking: ASCII text and bytes."""
    return type(message) is bytes or (type(message) is str and message.isascii())
