"""A whole WebSocket after its opening handshake, without I/O (RFC 6455 sections 5 to 7).

It answers pings, runs the closing handshake and fails with the right close code. What the application sends
in answer to a read goes out ahead of the Close frame that the same read made necessary.

Floor 3.
"""

from __future__ import annotations

from collections.abc import Sequence

from ._backend import ConnectionLane
from ._typing import Buffer, Message
from .control import close_event_of
from .deflate import AgreedDeflate
from .deflating import DeflatingEncoder, Deflation
from .encoder import Encoder, PreparedMessage
from .errors import ConnectionClosed, ProtocolError, connection_closed
from .events import Close, Event, Fragment, Ping
from .frames import copy_of
from .inflating import InflatingDecoder
from .keys import take_keys
from .messages import Decoder, Limits
from .spec import DEFAULT_MAX_FRAGMENTS, DEFAULT_MAX_SIZE, CloseCode, Role, State
from .stats import Stats

__all__ = ["Connection"]

# Above this many bytes of unsent output, only the latest ping is answered (§5.5.3), so that a peer that pings and
# never reads costs little memory: at worst one small object for every two of these bytes.
_PONG_LIMIT = 1 << 14


class Connection(ConnectionLane):
    """One side of a WebSocket connection.

    Args:
        role: ours.
        max_size, max_frame_size, max_fragments, streaming: as `Decoder` takes them; with compression, as
            `InflatingDecoder` does.
        compression: what the opening handshake agreed on, or None.
        burst_size: as `InflatingDecoder` takes it.

    Attributes:
        close_received: the peer's Close frame, or None.
        controls: the control frames among the events that the last `receive` returned, if it returned any.
        unsent_size: how many bytes wait for `data_to_send`.
        close_sent: our Close frame, or None; it is on its way as soon as `data_to_send` has returned it.
        error: what the peer broke, or None.
    """

    _decoder: Decoder

    __slots__ = ("_deflation", "_encoder", "_eof", "_failure", "close_received", "close_sent")

    def __init__(
        self,
        role: Role,
        *,
        max_size: int | None = DEFAULT_MAX_SIZE,
        max_frame_size: int | None = None,
        max_fragments: int | None = DEFAULT_MAX_FRAGMENTS,
        streaming: bool = False,
        compression: AgreedDeflate | None = None,
        burst_size: int | None = None,
    ) -> None:
        limits = Limits(
            max_size=max_size, max_frame_size=max_frame_size, max_fragments=max_fragments, streaming=streaming
        )
        if compression is None:
            decoder, encoder = Decoder(role, **limits), Encoder(role)
        else:
            decoder = InflatingDecoder(role, compression.inflater(role), burst_size=burst_size, **limits)
            encoder = DeflatingEncoder(role, compression.deflater(role))
        super().__init__(decoder, take_keys if role is Role.CLIENT else None, encoder.plain_limit)
        self._encoder: Encoder = encoder
        self._deflation: Deflation | None = None
        self._failure: Close | None = None
        self._eof = False
        self.close_received: Close | None = None
        self.close_sent: Close | None = None

    @property
    def state(self) -> State:
        """OPEN, CLOSING from the first Close frame or failure on, CLOSED after `eof` (RFC 6455 §7.1.3, §7.1.4)."""
        if self._eof:
            return State.CLOSED
        if self.close_sent or self.close_received or self._failure:
            return State.CLOSING
        return State.OPEN

    @property
    def close_code(self) -> int | None:
        """The code that the connection ended with: the peer's, that of our failure, or 1006 (RFC 6455 §7.1.5)."""
        return None if (end := self._end()) is None else end.code

    @property
    def close_reason(self) -> str | None:
        """The reason that goes with `close_code` (RFC 6455 §7.1.6)."""
        return None if (end := self._end()) is None else end.reason

    @property
    def close_owed(self) -> bool:
        """Whether the next `data_to_send` ends with the Close frame."""
        return self._owed is not None

    @property
    def message_begun(self) -> bool:
        """Whether a message is between `begin_send` and `end_send`."""
        return self._deflation is not None

    @property
    def finished(self) -> bool:
        """Whether neither side has anything more to say, so that the transport can be closed.

        A server closes it at once; a client gives the server a moment to do it first (RFC 6455 §7.1.1).
        """
        return self._eof or (self.close_sent is not None and not self._listening)

    @property
    def stats(self) -> Stats:
        """What was received and sent so far."""
        if self._unpacked is not None:
            self._pack()
        return Stats(
            self._messages_received,
            self._messages_sent,
            self._decoder.frames,
            self._frames_sent,
            self._bytes_received,
            self._bytes_sent,
            self.unsent_size,
        )

    def eof(self) -> None:
        """Say that the peer's bytes have ended. Without a Close frame the close code is 1006 (RFC 6455 §7.1.5)."""
        self._eof = True
        self._stop_listening()
        self._release_encoder()

    def send_fragment(self, data: Message, *, fin: bool, compress: bool = True) -> None:
        """Send the next part of a message, as `Encoder.encode_fragment` takes it; ConnectionClosed as in `send`."""
        self._check_open()
        self._put_deflation()
        self._put(self._encoder.encode_fragment(data, fin=fin, compress=compress))
        self._speaking = self._encoder.fragments_of is None
        self._messages_sent += bool(fin)

    def begin_send(self, message: Message, *, text: bool | None = None) -> Deflation:
        """Begin to send a message that takes long to compress, as `DeflatingEncoder.begin` does.

        A thread that calls `run` of what this returns does that work. All is as if the message were sent already:
        what is sent before that thread is done waits for it, the Close frame too. Pings and pongs don't.

        Args:
            message, text: as `send` takes them, but not prepared.

        Raises:
            ConnectionClosed, TypeError, ValueError, ConcurrencyError: as `send` does; TypeError also where the
                connection does not compress. Then nothing has begun.
        """
        self._check_open()
        if not isinstance(self._encoder, DeflatingEncoder):
            raise TypeError("the connection does not compress")
        self._put_deflation()
        self._deflation = self._encoder.begin(message, text=text)
        self._speaking = False
        return self._deflation

    def end_send(self, deflation: Deflation) -> None:
        """Send the message that was begun, unless something else has made that necessary before.

        Raises:
            ConnectionClosed: as `send` does.
            Exception: that of compressing it; other messages can be sent then.
        """
        if not deflation.ended:
            self._check_open()
            self._put_deflation()
        if deflation.error is not None:
            raise deflation.error

    def ping(self, payload: Buffer = b"") -> None:
        """Send a Ping frame of at most 125 bytes; ValueError above, ConnectionClosed as in `send`."""
        self._check_open()
        self._put(self._encoder.ping(payload))

    def pong(self, payload: Buffer = b"") -> None:
        """Send a Pong frame that nobody asked for (RFC 6455 §5.5.3); errors as in `ping`."""
        self._check_open()
        self._put(self._encoder.pong(payload))

    def close(self, code: int | None = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Begin the closing handshake; nothing happens if it has begun (RFC 6455 §7.1.2).

        Messages are received until the peer's Close frame comes.

        Args:
            code, reason: as `Encoder.close` takes them.

        Raises:
            ValueError: as `Encoder.close` does.
        """
        frame = self._encoder.close(code, reason)
        if self.close_sent is None and self._owed is None and not self._eof:
            self._put_deflation()
            self._put_late_pong()
            self._put(frame)
            self._stop_speaking(close_event_of(code, reason))

    def fail(self, code: int = CloseCode.INTERNAL_ERROR, reason: str = "") -> None:
        """Fail the connection: receive nothing more, and owe the peer a Close frame (RFC 6455 §7.1.7).

        Args:
            code, reason: as `Encoder.close` takes them.

        Raises:
            ValueError: as `Encoder.close` does.
        """
        failure = close_event_of(code, reason)
        if not self._listening:
            return
        self._failure = failure
        self._stop_listening()
        if self.close_sent is None:
            self._owed = failure

    def chunks_to_send(self) -> list[bytes | memoryview]:
        """Do what `data_to_send` does, but return chunks, as for `writelines`.

        A server's large payloads are not copied: they are the `bytes` that were sent, and views of the ASCII `str`.
        """
        self._put_what_is_owed()
        return self._take_chunks()

    def data_before_close(self) -> bytes:
        """Return what is to be written now but for a Close frame that is owed, and forget it.

        It is for those who let the application answer at its own pace before the connection closes.
        """
        self._put_late_pong()
        return self._take_joined()

    def chunks_before_close(self) -> list[bytes | memoryview]:
        """Do what `data_before_close` does, but return chunks, as `chunks_to_send`."""
        self._put_late_pong()
        return self._take_chunks()

    def closed_error(self) -> ConnectionClosed:
        """Return the error for using the connection once it has ended, or is about to."""
        end = self._end() or self.close_sent or Close(CloseCode.ABNORMAL_CLOSURE)
        return connection_closed(end.code, end.reason)

    def _receive_by_rules(self, data: Buffer, position: int, events: list[Event]) -> None:
        """Go on from `position` and append to `events`: there is more than plain messages."""
        decoder = self._decoder
        try:
            decoder._feed_by_rules(data, position, events)
        except ProtocolError as error:
            self.error = copy_of(error)  # its context may hold a whole message
        decoder._taking = True  # what was decoded is not dealt with yet
        self._controls = decoder._controls
        self._count(data, events)
        self._answer(self.controls)
        if self.error is not None:
            self.fail(self.error.close_code, self.error.reason)
        decoder._taking = False

    def _send_by_rules(self, message: Message | PreparedMessage, text: bool | None, compress: bool) -> None:
        """Send a message that is not plain, or not to be sent now."""
        self._check_open()
        self._put_deflation()
        self._put(self._encoder.encode(message, text=text, compress=compress))
        self._messages_sent += 1

    def _send_many_by_rules(self, messages: Sequence[Message]) -> None:
        """Send a burst of which not all are plain, or that is not to be sent now."""
        self._check_open()
        count = len(messages)  # what has no length must not have been compressed
        self._put_deflation()
        self._put(self._encoder.encode_many(messages), count)
        self._messages_sent += count

    def _put_what_is_owed(self) -> None:
        """Put the pong that waited and the Close frame that is owed behind everything else."""
        self._put_late_pong()
        if self._owed is not None:
            self._put_deflation()
            owed, self._owed = self._owed, None
            code = None if owed.code == CloseCode.NO_STATUS_RCVD else owed.code
            self._put(self._encoder.close(code, owed.reason))
            self._stop_speaking(owed)

    def _stop_speaking(self, close: Close) -> None:
        """Take it that our Close frame is out."""
        self.close_sent = close
        self._release_encoder()

    def _release_encoder(self) -> None:
        """Send nothing more, and let go of what that would need."""
        self._speaking = False
        self._deflation = None
        self._encoder.release()

    def _stop_listening(self) -> None:
        """Take nothing more from the peer."""
        self._listening = False
        self._decoder.release()

    def _end(self) -> Close | None:
        """Return the code and reason that the connection ended with, if it did."""
        end = self.close_received or self._failure
        return Close(CloseCode.ABNORMAL_CLOSURE) if end is None and self._eof else end

    def _answer(self, controls: Sequence[Event]) -> None:
        """Answer pings and the peer's Close frame (§5.5.1, §5.5.2)."""
        for event in controls:
            if isinstance(event, Ping):
                self._answer_ping(event)
            elif isinstance(event, Close):
                self.close_received = event
                self._stop_listening()
                if self.close_sent is None:
                    self._owed = event

    def _answer_ping(self, ping: Ping) -> None:
        """Answer a ping at once, or where much is unsent, put its answer in the place of an older one."""
        if self.close_sent is not None:
            return
        if self.unsent_size > _PONG_LIMIT:
            self._late_pong = ping.payload
        else:
            self._put(self._encoder.pong(ping.payload))

    def _put_late_pong(self) -> None:
        if self._late_pong is None:
            return
        payload, self._late_pong = self._late_pong, None
        self._put(self._encoder.pong(payload))

    def _put(self, frames: bytes, count: int = 1) -> None:
        try:
            if self._unpacked is not None:
                self._pack()
            self._add([frames], len(frames), count)
        except BaseException:
            self._encoder.lose()
            raise
        self.unsent_size += len(frames)

    def _pack_large(self) -> None:
        """Make chunks of the messages that wait for it, some of which are large."""
        messages, self._unpacked = self._unpacked, None
        assert messages is not None
        try:
            chunks = self._encoder.pack_chunks(messages)
            self._add(chunks, sum(map(len, chunks)), len(messages))
        except BaseException:
            self._unpacked = messages
            raise
        self._messages_sent += len(messages)

    def _add(self, chunks: list[bytes | memoryview], size: int, count: int) -> None:
        """Put `count` frames behind the others."""
        self._bytes_sent += size
        self._frames_sent += count
        if self._output is None:
            self._output = chunks
        else:
            self._output += chunks

    def _count(self, data: Buffer, events: list[Event]) -> None:
        """Count what was received."""
        self._bytes_received += len(data) if type(data) is bytes else memoryview(data).nbytes
        count = len(events) - len(self.controls)
        if count and self._decoder.streaming:
            count = sum(isinstance(event, Fragment) and event.fin for event in events)
        self._messages_received += count

    def _put_deflation(self) -> None:
        """Put a message that is being compressed elsewhere behind everything else, before more follows."""
        deflation = self._deflation
        if deflation is None:
            return
        assert isinstance(self._encoder, DeflatingEncoder)
        try:
            frame = self._encoder.end(deflation)
        except Exception:
            if not deflation.ended:
                raise  # it is none of the message, which is still begun
            frame = b""  # `end_send` raises it
        self._deflation, self._speaking = None, True
        if frame:
            self._put(frame)
            self._messages_sent += 1

    def _check_open(self) -> None:
        if self.close_sent is not None or self._eof:
            raise self.closed_error()
