"""wsproto on this codec, and with it Hypercorn, Quart, trio-websocket, httpx-ws, simple-websocket, mitmproxy.

    import wscodec.dropin.wsproto
    wscodec.dropin.wsproto.install()

From then on each new `wsproto.connection.Connection` has a frame protocol of ours. All else is wsproto's: the events,
the handshake, the extensions. What a peer does wrong is told by wsproto, too: it is shown the bytes in question.

Floor 5.
"""

from __future__ import annotations

import functools
from collections.abc import Generator, Iterable
from typing import Any

import wsproto.connection
from wsproto.extensions import Extension, PerMessageDeflate
from wsproto.frame_protocol import CloseReason, Frame, Opcode, ParseFailed, RsvBits
from wsproto.frame_protocol import FrameProtocol as HostProtocol

from wscodec import Encoder, ProtocolError, Role, encode_frame
from wscodec.events import Event
from wscodec.frames import (
    NO_LIMIT,
    FrameReader,
    check_control_length,
    check_first,
    check_length,
    check_limit,
    check_masking,
    take_frame,
    take_messages,
)
from wscodec.keys import take_key
from wscodec.spec import CONTROL, FIN, OPCODE, RSV, RSV1, RSV2, RSV3

from ._patching import Patch, Place
from ._wsproto_check import check
from ._wsproto_payloads import TextDecoder, limit_inflating

__all__ = ["DEFAULT_MAX_INFLATED", "FrameProtocol", "install", "installed", "uninstall"]

DEFAULT_MAX_INFLATED = 1 << 24

_new = tuple.__new__  # a NamedTuple's own way of being made takes twice as long


class FrameProtocol:
    """Frames in and out, with the methods, events and errors of `wsproto.frame_protocol.FrameProtocol`.

    Args:
        client: whether we are the client.
        extensions: those of wsproto, or of others after its model; the ones that are not enabled are left out.

    Attributes:
        client: as it was given.
        extensions: those that are enabled.
        max_inflated: the longest message that permessage-deflate may make, in bytes; `install` sets it, for all.
    """

    max_inflated = DEFAULT_MAX_INFLATED

    def __init__(self, client: bool, extensions: Iterable[Extension]) -> None:
        self.client = client
        self.extensions: list[Any] = [extension for extension in extensions if extension.enabled()]
        # permessage-deflate has nothing to do with whole messages without RSV1.
        self._plain = all(type(extension) is PerMessageDeflate for extension in self.extensions)
        self._encoder = Encoder(Role.CLIENT if client else Role.SERVER)
        self._sending: Opcode | None = None  # what the message is that goes out in parts
        self._data: bytes | bytearray = b""
        self._position = 0
        self._ready: list[Event] = []  # plain messages, the last one first
        self._reader = FrameReader()
        self._first: int | None = None  # byte of the frame that is not all there
        self._begun = False  # whether a piece of that frame has been handed out
        self._receiving: Opcode | None = None  # what the message is that is not all there
        self._text = TextDecoder()
        self._ended = False

    # Received

    def receive_bytes(self, data: Any) -> None:
        """Take the next bytes of the stream; `received_frames` says what they are."""
        if type(data) is not bytes:
            data = bytes(memoryview(data))
        if self._ended:
            return  # nobody will ask for it
        if self._position == len(self._data):
            self._data, self._position = data, 0
            return
        if type(self._data) is bytes:
            self._data = bytearray(self._data)
        del self._data[: self._position]  # type: ignore[union-attr]
        self._data += data
        self._position = 0

    def received_frames(self) -> Generator[Frame, None, None]:
        """Yield what has arrived: whole control frames, and as much of data frames as there is.

        Raises:
            ParseFailed: the peer broke a rule; what comes behind that is not read.
        """
        ready = self._ready
        while True:
            while ready:
                message = ready.pop()
                opcode = Opcode.TEXT if type(message) is str else Opcode.BINARY
                yield _new(Frame, (opcode, message, True, True))
            if self._position == len(self._data):
                self._data, self._position = b"", 0
                return
            if self._receiving is None and self._first is None and self._plain and not self._reader.held:
                self._position = take_messages(self._data, self._position, not self.client, NO_LIMIT, ready)
                if ready:
                    ready.reverse()
                    continue
            try:
                frame = self._take_frame()
            except BaseException:
                self._end()
                raise
            if frame is None:
                return
            yield frame

    def _end(self) -> None:
        self._ended = True
        self._data, self._position = b"", 0

    def _take_frame(self) -> Frame | None:
        """Return a control frame, or as much of a data frame as there is, or None."""
        reader = self._reader
        first = self._first
        if first is None:
            found = None if reader.held else take_frame(self._data, self._position, not self.client, NO_LIMIT)
            if found is not None:
                first, payload, end = found
                self._judge(first, len(payload), None)
                self._position = end
                return self._hand_out(first, payload)
            first = self._take_header()
            if first is None:
                return None
        needed = reader.remaining if first & CONTROL else min(reader.remaining, 1)
        if len(self._data) - self._position < needed:
            return None
        piece = reader.read_payload(self._data, self._position)
        self._position += len(piece)
        return self._hand_out(first, piece)

    def _take_header(self) -> int | None:
        """Return the first byte of the next frame, if its header is all there and good."""
        head = self._reader.preview(self._data, self._position)
        header, self._position = self._reader.read_header(head, self._position)
        if header is None:
            self._show_host(head)
            return None
        self._judge(head[0], header.length, head[: header.size])
        self._first = head[0]
        return head[0]

    def _judge(self, first: int, length: int, head: bytes | None) -> None:
        """Raise ParseFailed for a bad header; `head` is None where `take_frame` has judged all but the first byte."""
        try:
            check_first(first & ~RSV)
            check_control_length(first, length)
            if head is not None:
                check_length(head, NO_LIMIT)
            if first & RSV or self._concerns_extensions(first):
                self._ask_extensions(first, length)
            if head is not None:
                check_masking(head[1], not self.client)
        except ProtocolError as error:
            self._show_host(head or self._reader.preview(self._data, self._position))
            raise ParseFailed(str(error)) from None

    def _show_host(self, head: bytes) -> None:
        """Have wsproto raise what it raises for a header, or for the beginning of one."""
        host = HostProtocol(self.client, self.extensions if self._concerns_extensions(head[0]) else [])
        host.receive_bytes(head)
        for _ in host.received_frames():
            pass

    def _concerns_extensions(self, first: int) -> bool:
        """Return whether a frame with this first byte is to be shown to the extensions.

        permessage-deflate is not asked about control frames: after one of them it would forget that the message
        around it is compressed.
        """
        return bool(self.extensions) and not (self._plain and first & CONTROL and not first & RSV)

    def _ask_extensions(self, first: int, length: int) -> None:
        """Let the extensions judge a header; ProtocolError where a reserved bit is none of theirs."""
        rsv = RsvBits(first & RSV1 != 0, first & RSV2 != 0, first & RSV3 != 0)
        unclaimed = first & RSV
        for extension in self.extensions:
            bits = _unless_refused(extension.frame_inbound_header(self, Opcode(first & OPCODE), rsv, length))
            for bit, claimed in zip((RSV1, RSV2, RSV3), bits, strict=False):
                if claimed:
                    unclaimed &= ~bit
            if isinstance(extension, PerMessageDeflate):
                limit_inflating(extension, self.max_inflated, first)
        if unclaimed:
            raise ProtocolError("a reserved bit is set")

    def _pass_extensions(self, piece: bytes, fin: bool) -> bytes:
        """Return what the extensions make of a piece of payload."""
        for extension in self.extensions:
            piece = bytes(_unless_refused(extension.frame_inbound_payload_data(self, piece)))
        if self._reader.remaining:
            return piece
        # What one extension adds at the end of a frame does not go through the others.
        added = [_unless_refused(extension.frame_inbound_complete(self, fin)) for extension in self.extensions]
        return b"".join([piece, *filter(None, added)])

    def _hand_out(self, first: int, piece: bytes) -> Frame:
        """Return a piece of a frame, or all of it, as wsproto has it."""
        whole = not self._reader.remaining
        if self._concerns_extensions(first):
            piece = self._pass_extensions(piece, first & FIN != 0)
        frame = self._control_frame(first, piece) if first & CONTROL else self._data_frame(first, piece, whole)
        if whole:
            self._first = None
            self._begun = False
        return frame

    def _control_frame(self, first: int, payload: bytes) -> Frame:
        opcode = Opcode(first & OPCODE)
        if opcode is not Opcode.CLOSE:
            return _new(Frame, (opcode, payload, True, True))
        # There is one in a connection, and what wsproto thinks of its code and reason depends on its version.
        frame = _host_reads(encode_frame(Opcode.CLOSE, payload))
        self._end()
        return frame

    def _data_frame(self, first: int, piece: bytes, whole: bool) -> Frame:
        if not self._begun:
            self._begun = True
            opcode = Opcode(first & OPCODE)
            if (opcode is Opcode.CONTINUATION) is (self._receiving is None):
                self._refuse_opcode(opcode)
            if self._receiving is None:
                self._receiving = opcode
        kind = self._receiving
        last = whole and first & FIN != 0
        data: Any = self._text.decode(piece, last) if kind is Opcode.TEXT else piece
        if last:
            self._receiving = None
        return _new(Frame, (kind, data, whole, last))

    def _refuse_opcode(self, opcode: int) -> None:
        """Have wsproto raise what it raises for a frame that begins a message within another, or continues none."""
        before = b"" if self._receiving is None else encode_frame(self._receiving, fin=False)
        _host_reads(before + encode_frame(opcode))
        raise ParseFailed("a frame does not go with the one before it")

    # Sent

    def send_data(self, payload: Any = b"", fin: bool = True) -> bytes:
        """Return the frame of a message, or of the next part of one."""
        if fin and self._sending is None and not self.extensions and type(payload) in (str, bytes):
            return self._encoder.encode(payload)
        if isinstance(payload, (bytes, bytearray, memoryview)):
            kind = Opcode.BINARY
        elif isinstance(payload, str):
            kind = Opcode.TEXT
            payload = payload.encode()
        else:
            return bytes(HostProtocol(self.client, []).send_data(payload))  # which raises
        opcode = kind if self._sending is None else Opcode.CONTINUATION
        if self._sending not in (None, kind):
            raise TypeError("a message goes on with what it began with, text or bytes")
        self._sending = None if fin else kind
        return self._frame(opcode, bytes(payload), fin)

    def ping(self, payload: Any = b"") -> bytes:
        """Return a Ping frame; ValueError above 125 bytes."""
        return self._frame(Opcode.PING, payload)

    def pong(self, payload: Any = b"") -> bytes:
        """Return a Pong frame; ValueError above 125 bytes."""
        return self._frame(Opcode.PONG, payload)

    def close(self, code: int | None = None, reason: str | None = None) -> bytes:
        """Return a Close frame, as wsproto writes it: which codes and reasons may be sent is its affair."""
        return bytes(HostProtocol(self.client, self.extensions).close(code, reason))

    def _frame(self, opcode: Opcode, payload: Any, fin: bool = True) -> bytes:
        """Return a frame that has gone through the extensions, the last one first."""
        rsv = RsvBits(False, False, False)
        for extension in reversed(self.extensions):
            rsv, payload = extension.frame_outbound(self, opcode, rsv, bytes(payload), fin)
        key = take_key() if self.client else None
        return encode_frame(opcode, payload, fin=fin, rsv1=rsv[0], rsv2=rsv[1], rsv3=rsv[2], masking_key=key)


def _unless_refused(result: Any) -> Any:
    """Return what an extension answers; ParseFailed where that is a close code."""
    if isinstance(result, CloseReason):
        raise ParseFailed("error in extension", result)
    return result


def _host_reads(data: bytes) -> Frame:
    """Return the last frame that wsproto sees in what a server sends, or raise what it raises."""
    host = HostProtocol(True, [])
    host.receive_bytes(data)
    return list(host.received_frames())[-1]


def install(*, max_inflated: int | None = DEFAULT_MAX_INFLATED) -> bool:
    """Give ours to all connections of wsproto that are made from now on.

    Before that it is tried on this version of wsproto. Where something is not as it was, a warning says so, once, and
    wsproto stays as it is.

    Args:
        max_inflated: the longest message that permessage-deflate may make of what a peer sends, in bytes: beyond it
            the connection ends with code 1009. None for no limit, as in wsproto. The last call counts, for all.

    Returns:
        Whether ours is in place.

    Raises:
        ValueError, TypeError: `max_inflated` can't be a size.
    """
    FrameProtocol.max_inflated = check_limit("max_inflated", max_inflated)
    return _patch.install()


def uninstall() -> None:
    """Give wsproto's own to the connections that are made from now on; the others keep ours."""
    _patch.uninstall()


def installed() -> bool:
    """Return whether new connections get ours."""
    return _patch.installed()


_patch = Patch(
    "wsproto",
    (1, 2),
    (2,),
    [Place(wsproto.connection, "FrameProtocol", FrameProtocol)],
    functools.partial(check, FrameProtocol),
)
