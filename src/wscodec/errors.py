"""Every error that wscodec raises, and the text of those that both twins raise.

    WebSocketError
    ├── ProtocolError               the peer broke the rules of frames and messages
    │   ├── InvalidUtf8             1007
    │   ├── InvalidDeflate          1007
    │   └── MessageTooBig           1009
    │       └── TooManyFragments    1009
    ├── HandshakeError              the opening handshake failed
    │   ├── BadRequest              400: the server refuses the request
    │   ├── OriginRefused           403
    │   ├── MethodRefused           405
    │   ├── VersionRefused          426
    │   ├── HeadTooBig              431
    │   ├── BadResponse             the client refuses the response
    │   │   └── BadExtensions       the server uses extensions as the client did not offer them
    │   └── BadStatus               the server answered with another status than 101
    ├── ConnectionClosed            the connection can't be used any more
    │   ├── ConnectionClosedOK      1000, 1001 or 1005
    │   └── ConnectionClosedError   anything else
    └── ConcurrencyError            another message is being sent, or two tasks receive at once

A caller's mistake is a TypeError or a ValueError, and leaves the object as it was.

Floor 0.
"""

from __future__ import annotations

from typing import Any, ClassVar

from .spec import CloseCode

__all__ = [
    "BadExtensions",
    "BadRequest",
    "BadResponse",
    "BadStatus",
    "ConcurrencyError",
    "ConnectionClosed",
    "ConnectionClosedError",
    "ConnectionClosedOK",
    "HandshakeError",
    "HeadTooBig",
    "InvalidDeflate",
    "InvalidUtf8",
    "MessageTooBig",
    "MethodRefused",
    "OriginRefused",
    "ProtocolError",
    "TooManyFragments",
    "VersionRefused",
    "WebSocketError",
]


class WebSocketError(Exception):
    """The root of what goes wrong between two WebSocket peers."""


class ProtocolError(WebSocketError):
    """The peer broke a rule of RFC 6455 sections 5 to 8.

    With the close code 1011 it is none of the peer's: an exception has stopped an earlier call half-way.

    Attributes:
        close_code: what to say in the Close frame (RFC 6455 §7.4.1).
        reason: why, in words.
        events: the events (of a FrameDecoder: the frames) that were complete before the offence.
    """

    default_code: ClassVar[CloseCode] = CloseCode.PROTOCOL_ERROR

    def __init__(self, reason: str, close_code: int | None = None) -> None:
        super().__init__(reason)
        self.close_code: int = self.default_code if close_code is None else close_code
        self.reason = reason
        self.events: list[Any] = []

    def __str__(self) -> str:
        return f"{self.reason} ({int(self.close_code)})"


class InvalidUtf8(ProtocolError):
    """Text that is not UTF-8 (RFC 6455 §8.1)."""

    default_code = CloseCode.INVALID_DATA


class InvalidDeflate(ProtocolError):
    """A compressed message that is not DEFLATE, or refers further back than was agreed (RFC 7692 §7.2.2)."""

    default_code = CloseCode.INVALID_DATA


class MessageTooBig(ProtocolError):
    """A message above the receiver's limit (RFC 6455 §10.4)."""

    default_code = CloseCode.MESSAGE_TOO_BIG


class TooManyFragments(MessageTooBig):
    """A message in more fragments than the receiver allows, empty ones counted (RFC 6455 §10.4)."""


class HandshakeError(WebSocketError):
    """The opening handshake failed (RFC 6455 §4).

    Attributes:
        status: the HTTP status of the answer (a server's own answer, or the one that a client got).
        reason: why, in words.
        headers: more headers for a server's answer, or those that a client got.
        response: on a server, the whole HTTP answer to send before the connection is closed; else empty.
        body: on a client, what the server said behind its headers, as far as it had arrived; else empty.
    """

    default_status: ClassVar[int] = 400

    def __init__(
        self,
        reason: str,
        status: int | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status: int = self.default_status if status is None else status
        self.headers = headers
        self.response = b""
        self.body = b""


class BadRequest(HandshakeError):
    """The request is not a WebSocket handshake (RFC 6455 §4.2.1)."""


class OriginRefused(HandshakeError):
    """The request comes from an origin that the server does not allow (RFC 6455 §4.2.2, §10.2)."""

    default_status = 403


class MethodRefused(HandshakeError):
    """The method is not GET (RFC 6455 §4.1)."""

    default_status = 405


class VersionRefused(HandshakeError):
    """The client speaks another version of the protocol (RFC 6455 §4.2.2, §4.4)."""

    default_status = 426


class HeadTooBig(HandshakeError):
    """A request's or a response's head is above the limits (RFC 6585 §5)."""

    default_status = 431


class BadResponse(HandshakeError):
    """The response is not a WebSocket handshake (RFC 6455 §4.1, §4.2.2)."""


class BadExtensions(BadResponse):
    """The server uses extensions, or parameters of one, as we did not offer them (RFC 6455 §4.1, RFC 7692 §7.1)."""


class BadStatus(HandshakeError):
    """The server answered with another status than 101 (RFC 6455 §4.1)."""


class ConnectionClosed(WebSocketError):
    """The connection is closing or closed.

    Attributes:
        code: the close code that the connection ended with (RFC 6455 §7.1.5); 1006 where it broke.
        reason: the reason that came with it (RFC 6455 §7.1.6).
    """

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        return f"{int(self.code)} {self.reason}".rstrip()


class ConnectionClosedOK(ConnectionClosed):
    """It ended as planned: 1000, 1001 or 1005."""


class ConnectionClosedError(ConnectionClosed):
    """It ended otherwise."""


class ConcurrencyError(WebSocketError, RuntimeError):
    """A call came in the middle of another one that it can't share the connection with."""


_OK = frozenset({CloseCode.NORMAL_CLOSURE, CloseCode.GOING_AWAY, CloseCode.NO_STATUS_RCVD})


def connection_closed(code: int, reason: str) -> ConnectionClosed:
    """Return the ConnectionClosed that fits `code`."""
    kind = ConnectionClosedOK if code in _OK else ConnectionClosedError
    return kind(code, reason)


def not_a_buffer(data: object) -> TypeError:
    """Return what both twins raise for an argument that has no readable, C-contiguous buffer."""
    kind = type(data).__name__
    if isinstance(data, memoryview):
        kind = "non-contiguous memoryview"
    return TypeError(f"a C-contiguous bytes-like object is required, not {kind!r}")


def not_writable(data: object) -> TypeError:
    """Return what both twins raise for an argument that has no writable, C-contiguous buffer."""
    kind = type(data).__name__
    if isinstance(data, memoryview):
        kind = "read-only or non-contiguous memoryview"
    return TypeError(f"a writable, C-contiguous bytes-like object is required, not {kind!r}")


def bad_key(size: int) -> ValueError:
    """Return what both twins raise for a masking key of `size` bytes."""
    return ValueError(f"a masking key has 4 bytes, not {size}")


def not_a_message(message: object) -> TypeError:
    """Return what both twins raise for a message that is neither text nor bytes."""
    return TypeError(f"a message is a str or a bytes-like object, not {type(message).__name__!r}")
