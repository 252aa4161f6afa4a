# cython: language_level=3, binding=True, annotation_typing=False, wraparound=False, nonecheck=True
# cython: freethreading_compatible=True, subinterpreters_compatible=own_gil, auto_pickle=False
"""The fast lanes of a decoder and of a connection, compiled; the twin of `_pure/lanes.py`.

A lane is the part of a class that plain messages pass through. It knows no rule of the protocol: whatever is not plain
goes to a method of the class itself, which is Python.

Floor 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint64_t

from wscodec._frames cimport is_plain, pack_plain, plain_size, take_run, wsc_header_size

from ._typing import Buffer, Message, Prepared
from .events import Event

__all__ = ["ConnectionLane", "DecoderLane"]


cdef enum:
    LARGE = 1 << 16  # as in `spec.py`


cdef class DecoderLane:
    """What a decoder does with plain messages.

    Args:
        masked: whether frames must be masked; otherwise they must not be.
        run_limit: the longest payload of a plain message, in bytes; -1 if none is plain.

    Attributes:
        frames: how many frames were whole so far.
    """

    def __init__(self, masked: bool, run_limit: int) -> None:
        self._masked = masked
        self._run_limit = run_limit
        self._between = True
        self._taking = False
        self._held_back = False
        self._controls = None
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
        cdef list events = []
        cdef Py_ssize_t position = 0
        if PyBytes_CheckExact(data):
            position = self.take(<const uint8_t *>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), events)
            if position == PyBytes_GET_SIZE(data) and self._between:
                return events
        else:
            self.check_whole()
        self._feed_by_rules(data, position, events)
        return events

    cdef int check_whole(self) except -1:
        """Fail where the bytes before were not taken to their end."""
        if self._taking:
            self._break_off()
        return 0

    cdef Py_ssize_t take(self, const uint8_t *p, Py_ssize_t size, list events) except -1:
        """Take the run of plain messages that `size` bytes at `p` begin with; return where it ends, in bytes."""
        cdef Py_ssize_t position
        self.check_whole()
        self._taking = True
        if not self._between:
            return 0
        position = take_run(p, size, 0, self._masked, self._run_limit, events)
        self.frames += <uint64_t>len(events)
        self._controls = None
        self._taking = position < size
        return position


cdef class ConnectionLane:
    """What a connection does with plain messages.

    Args:
        decoder: for what the peer sends.
        take_keys: returns so many masking keys, or None where frames are not masked.
        plain_limit: the longest message that is plain when we send it, in bytes; -1 if none is.

    Attributes:
        unsent_size: how many bytes wait for `data_to_send`.
        error: what the peer broke, or None.
    """

    def __init__(self, decoder: DecoderLane, take_keys: Callable[[int], bytes] | None, plain_limit: int) -> None:
        self._decoder = decoder
        self._take_keys = take_keys
        self._plain_limit = plain_limit
        self._listening = self._speaking = True
        self._controls = None
        self.error = None
        self._late_pong = None
        self._owed = None
        # Frames, and behind them messages that become frames all at once when they are written.
        self._output = None
        self._unpacked = None
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
        cdef list events = []
        if PyBytes_CheckExact(data):
            return self.take(<const uint8_t *>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), data)
        if self._listening:
            self._decoder.check_whole()
            self._receive_by_rules(data, 0, events)
        return events

    cdef list take(self, const uint8_t *p, Py_ssize_t size, object data):
        """Do the work of `receive` with the `size` bytes at `p`, which are those that `data` begins with."""
        cdef list events = []
        cdef Py_ssize_t position
        if not self._listening:
            return events
        position = self._decoder.take(p, size, events)
        if position == size and self._decoder._between:
            self._bytes_received += <uint64_t>position
            self._messages_received += <uint64_t>len(events)
            self._controls = None
            return events
        self._receive_by_rules(data if PyBytes_CheckExact(data) else data[:size], position, events)
        return events

    def send(self, message: Message | Prepared, *, text: bool | None = None, compress: bool = True) -> None:
        """Send one message.

        Args:
            message, text, compress: as `Encoder.encode` takes them.

        Raises:
            ConnectionClosed: our Close frame is out, or the connection is closed.
            TypeError, ValueError, ConcurrencyError: as `Encoder.encode` does.
        """
        if text is None and compress is True:
            self.put(message)
        else:
            self._send_by_rules(message, text, compress)

    cdef int put(self, object message) except -1:
        """Do the work of `send` for a message of which nothing more is said."""
        if not self._speaking or not self.goes_plain(message):
            self._send_by_rules(message, None, True)
            return 0
        # It can't change or fail any more: so it can wait, to be packed together with what follows it.
        if self._unpacked is None:
            self._unpacked = [message]
        else:
            self._unpacked.append(message)
        self.unsent_size += self.frame_size(message)
        return 0

    def send_many(self, messages: Sequence[Message]) -> None:
        """Send a burst of messages: as `send` for each, but all of them or none."""
        self.put_many(messages)

    cdef int put_many(self, object messages) except -1:
        """Do the work of `send_many`."""
        cdef list run
        cdef Py_ssize_t size = 0
        if not self._speaking or not isinstance(messages, (list, tuple)):
            self._send_many_by_rules(messages)
            return 0
        run = list(messages)
        for message in run:
            if not self.goes_plain(message):
                self._send_many_by_rules(run)
                return 0
            size += self.frame_size(message)
        if self._unpacked is None:
            self._unpacked = run
        else:
            self._unpacked += run
        self.unsent_size += size
        return 0

    cdef bint goes_plain(self, object message) noexcept:
        """Whether a message can wait to be packed as it is."""
        return is_plain(message) and plain_size(message) <= self._plain_limit

    cdef Py_ssize_t frame_size(self, object message):
        """The size of the frame that a plain message becomes, in bytes."""
        cdef Py_ssize_t size = plain_size(message)
        return size + <Py_ssize_t>wsc_header_size(<uint64_t>size) + (0 if self._take_keys is None else 4)

    def data_to_send(self) -> bytes:
        """Return all that is to be written now, and forget it.

        A Close frame that answers the peer's or an offence goes at the end; after it there is nothing to send.
        """
        return self.output()

    cdef bytes output(self):
        """Do the work of `data_to_send`."""
        cdef bytes data
        if self._late_pong is not None or self._owed is not None:
            self._put_what_is_owed()
        if self._output is not None or self.unsent_size >= LARGE:
            return self._take_joined()
        data = b"" if self._unpacked is None else self.packed()
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
        self._output[len(self._output) - 1] = self.packed()

    cdef bytes packed(self):
        """Return the frames of the messages that wait for it."""
        cdef list run = self._unpacked
        cdef uint64_t count = <uint64_t>len(run)
        self._unpacked = None
        try:
            frames = pack_plain(run, None if self._take_keys is None else self._take_keys(count))
        except BaseException:
            self._unpacked = run
            raise
        self.count(frames, count)
        return frames

    cdef int count(self, bytes frames, uint64_t messages) except -1:
        """Count frames, each a message."""
        self._bytes_sent += <uint64_t>PyBytes_GET_SIZE(frames)
        self._frames_sent += messages
        self._messages_sent += messages
        return 0

    cdef bint takes_frame(self, bytes frame) except -1:
        """Whether the next that is written can be a frame that was made before, not masked."""
        if not self._speaking or self.unsent_size != 0 or self._take_keys is not None or self._late_pong is not None:
            return False
        return PyBytes_GET_SIZE(frame) <= self._plain_limit
