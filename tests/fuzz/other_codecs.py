"""Other implementations behind one face: bytes in, and what they made of them out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from plain_reader import PlainReader
from websockets.extensions.permessage_deflate import PerMessageDeflate as WebsocketsDeflate
from websockets.frames import Opcode
from websockets.protocol import CLIENT, OPEN, SERVER, Protocol
from wsproto import events as wsproto_events
from wsproto.connection import Connection as WsprotoConnection
from wsproto.connection import ConnectionType
from wsproto.extensions import PerMessageDeflate as WsprotoDeflate

from wscodec import AgreedDeflate, Close, Connection, Ping, Pong, Role


@dataclass
class Seen:
    """What came of a stream.

    Attributes:
        events: messages and control frames, in order.
        code: the close code that the stream was refused with, or None.
        why: in the peer's words.
        answers: the control frames that were sent.
    """

    events: list[Any] = field(default_factory=list)
    code: int | None = None
    why: str = ""
    answers: list[Any] = field(default_factory=list)


class Ours:
    """wscodec."""

    def __init__(self, role: Role, max_size: int | None, agreed: AgreedDeflate | None) -> None:
        self.connection = Connection(role, max_size=max_size, max_fragments=None, compression=agreed)
        self._reader = PlainReader(15, False)
        self.seen = Seen()

    def receive(self, chunk: bytes) -> None:
        self.seen.events += self.connection.receive(chunk)
        self._reader.feed(self.connection.data_to_send())
        self.seen.answers = self._reader.events
        if self.connection.error is not None:
            self.seen.code, self.seen.why = self.connection.error.close_code, self.connection.error.reason

    def send(self, message: str | bytes, parts: list[Any]) -> None:
        """Send a message, in parts if there is more than one."""
        if len(parts) == 1:
            self.connection.send(message)
            return
        for index, part in enumerate(parts):
            self.connection.send_fragment(part, fin=index == len(parts) - 1)

    def ping(self, payload: bytes) -> None:
        self.connection.ping(payload)

    def close(self, code: int, reason: str) -> None:
        self.connection.close(code, reason)

    def written(self) -> bytes:
        return self.connection.data_to_send()


class Websockets:
    """The protocol of `websockets`; what its network layers do with frames, putting them together, is done here."""

    limits = True

    def __init__(self, role: Role, max_size: int | None, agreed: AgreedDeflate | None) -> None:
        server = role is Role.SERVER
        self.protocol = Protocol(SERVER if server else CLIENT, state=OPEN, max_size=max_size)
        self.protocol.logger.disabled = True
        if agreed is not None:
            parameters = agreed.parameters
            theirs = parameters.client_no_context_takeover, parameters.server_no_context_takeover
            bits = parameters.client_max_window_bits, parameters.server_max_window_bits
            step = 1 if server else -1
            self.protocol.extensions = [WebsocketsDeflate(*theirs[::step], *bits[::step])]
        self._reader = PlainReader(15, False)
        self._text, self._payload = False, b""
        self.seen = Seen()

    def receive(self, chunk: bytes) -> None:
        """Take bytes, and note what is answered."""
        self.receive_only(chunk)
        self._reader.feed(self.written())
        self.seen.answers = self._reader.events

    def receive_only(self, chunk: bytes) -> None:
        if self.seen.code is not None:
            return
        self.protocol.receive_data(chunk)
        for frame in self.protocol.events_received():
            if self.seen.code is None:
                self._take(frame)
        error = self.protocol.parser_exc
        if error is not None and self.seen.code is None:
            self.seen.code, self.seen.why = self.protocol.close_sent.code, str(error)

    def _take(self, frame: Any) -> None:
        if frame.opcode in (Opcode.PING, Opcode.PONG):
            kind = Ping if frame.opcode is Opcode.PING else Pong
            self.seen.events.append(kind(bytes(frame.data)))
        elif frame.opcode is Opcode.CLOSE:
            close = self.protocol.close_rcvd
            self.seen.events.append(Close(int(close.code), close.reason))
        else:
            if frame.opcode is not Opcode.CONT:
                self._text, self._payload = frame.opcode is Opcode.TEXT, b""
            self._payload += frame.data
            if frame.fin:
                self._whole()

    def _whole(self) -> None:
        try:
            self.seen.events.append(self._payload.decode() if self._text else self._payload)
        except UnicodeDecodeError:
            self.protocol.fail(1007, "text")
            self.seen.code, self.seen.why = 1007, "text"

    def send(self, message: str | bytes, parts: list[Any]) -> None:
        first = self.protocol.send_text if isinstance(message, str) else self.protocol.send_binary
        for index, part in enumerate(parts):
            send = self.protocol.send_continuation if index else first
            send(part.encode() if isinstance(part, str) else part, fin=index == len(parts) - 1)

    def ping(self, payload: bytes) -> None:
        self.protocol.send_ping(payload)

    def close(self, code: int, reason: str) -> None:
        self.protocol.send_close(code, reason)

    def written(self) -> bytes:
        return b"".join(self.protocol.data_to_send())


class Wsproto:
    """wsproto's connection; it has no limit on the size of a message."""

    limits = False

    def __init__(self, role: Role, max_size: int | None, agreed: AgreedDeflate | None) -> None:
        extensions = []
        if agreed is not None:
            parameters = agreed.parameters
            deflate = WsprotoDeflate(
                parameters.client_no_context_takeover,
                parameters.client_max_window_bits,
                parameters.server_no_context_takeover,
                parameters.server_max_window_bits,
            )
            deflate._enabled = True
            extensions.append(deflate)
        kind = ConnectionType.SERVER if role is Role.SERVER else ConnectionType.CLIENT
        self.connection = WsprotoConnection(kind, extensions)
        self._reader = PlainReader(15, False)
        self._parts: list[Any] = []
        self._out = b""
        self.seen = Seen()

    def receive(self, chunk: bytes) -> None:
        """Take bytes, and note what is answered."""
        self.receive_only(chunk)
        self._reader.feed(self.written())
        self.seen.answers = self._reader.events

    def receive_only(self, chunk: bytes) -> None:
        if self.seen.code is not None or (self.seen.events and isinstance(self.seen.events[-1], Close)):
            return
        try:
            self.connection.receive_data(chunk)
            for event in self.connection.events():
                self._take(event)
        except Exception as error:  # it should raise nothing
            self.seen.code, self.seen.why = 0, repr(error)

    def _take(self, event: Any) -> None:
        if isinstance(event, wsproto_events.Message):
            self._parts.append(bytes(event.data) if isinstance(event.data, bytearray) else event.data)
            if event.message_finished:
                self.seen.events.append(type(self._parts[0])().join(self._parts))
                self._parts = []
        elif isinstance(event, wsproto_events.Ping):
            self.seen.events.append(Ping(bytes(event.payload)))
            self._out += self.connection.send(event.response())
        elif isinstance(event, wsproto_events.Pong):
            self.seen.events.append(Pong(bytes(event.payload)))
        elif self.connection.state.name == "OPEN":  # an offence: the peer has not closed
            self.seen.code, self.seen.why = int(event.code), str(event.reason)
            self._out += self.connection.send(event.response())
        else:
            self.seen.events.append(Close(int(event.code), event.reason or ""))
            if self.connection.state.name == "REMOTE_CLOSING":
                self._out += self.connection.send(event.response())

    def send(self, message: str | bytes, parts: list[Any]) -> None:
        kind = wsproto_events.TextMessage if isinstance(message, str) else wsproto_events.BytesMessage
        for index, part in enumerate(parts):
            self._out += self.connection.send(kind(part, message_finished=index == len(parts) - 1))

    def ping(self, payload: bytes) -> None:
        self._out += self.connection.send(wsproto_events.Ping(payload))

    def close(self, code: int, reason: str) -> None:
        self._out += self.connection.send(wsproto_events.CloseConnection(code, reason))

    def written(self) -> bytes:
        out, self._out = self._out, b""
        return out


PEERS = {"websockets": Websockets, "wsproto": Wsproto}
