"""HTTP/1.1 heads for the opening handshake: read within limits, parsed by h11, written after checks.

Floor 3.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import h11

from ._typing import Buffer
from .errors import BadRequest, BadResponse, HandshakeError, HeadTooBig, not_a_buffer
from .headers import Headers, HeadersLike, check_headers

__all__ = [
    "HeadReader",
    "Request",
    "Response",
    "ResponseParser",
    "build_head",
    "build_response",
    "parse_request",
]

_PHRASES = {int(status): status.phrase for status in HTTPStatus}

# Control characters but tab, CR and LF; a CR or an LF outside of a pair. What is a line, or the end of the
# head, must be the same to every proxy in front of us, and with these gone h11's patterns, which would go
# back and forth over a run of spaces that such a byte ends, can't fail late.
_OFFENCE = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r[^\n]|(?<!\r)\n")

# The same kind of pattern reads the header of a chunk: h11 sees the body in pieces, so that one line that
# comes with a burst is no longer than this.
_PIECE_SIZE = 1024

# Statuses that have no body; 204 has no Content-Length either (RFC 9110 §8.6, §15.3.5, §15.4.5).
_NO_BODY = frozenset({204, 304})


@dataclass(frozen=True, slots=True)
class Request:
    """The head of a request (RFC 9112 §3). Text is decoded as latin-1.

    Attributes:
        method: such as "GET", in its own case.
        target: as it stands in the request line.
        http_version: such as "1.1".
        headers: in order.
    """

    method: str
    target: str
    http_version: str
    headers: Headers

    @property
    def path(self) -> str:
        """The resource name (RFC 6455 §3): the target, without what an absolute URI has before its path."""
        if self.target.startswith("/"):
            return self.target
        _, _, rest = self.target.partition("://")
        start = next((i for i, character in enumerate(rest) if character in "/?"), len(rest))
        return rest[start:] if rest.startswith("/", start) else "/" + rest[start:]


@dataclass(frozen=True, slots=True)
class Response:
    """The head of a response (RFC 9112 §4), and its body as far as it is known."""

    status: int
    reason_phrase: str
    headers: Headers
    body: bytes = b""


class HeadReader:
    """Gathers bytes up to the blank line that ends a head, and keeps what follows.

    Each byte is looked at once, however it arrives, and the verdict is that of the first byte that proves a
    fault: it does not depend on how the bytes were cut. Line folding is refused (RFC 9112 §5.2).
    """

    def __init__(
        self, malformed: type[HandshakeError], max_line_size: int, max_head_size: int, max_headers: int
    ) -> None:
        """Read one head.

        Args:
            malformed: what to raise where the bytes are no head.
            max_line_size: of one line, in bytes, its CRLF included.
            max_head_size: of the head, in bytes, the blank line included.
            max_headers: header lines, repeated names counted again.
        """
        self._malformed = malformed
        self._max_line_size = max_line_size
        self._max_head_size = max_head_size
        self._max_headers = max_headers
        self._data = bytearray()
        self._line = 0  # where the current line starts
        self._seen = 0  # where the bytes start that were not looked at yet
        self._lines = 0  # whole lines so far
        self.trailing = b""

    def receive(self, data: bytes) -> bytes | None:
        """Add `data`, and return the whole head, its blank line included, or None where it goes on.

        Raises:
            HeadTooBig: a limit is passed.
            HandshakeError: of the kind given at the start: these bytes are no head.
        """
        self._data += data
        while self._line < len(self._data):
            self._check_first_byte()
            cap = min(self._line + self._max_line_size, self._max_head_size)
            end = self._data.find(b"\n", self._seen, cap) + 1
            stop = end or min(cap, len(self._data))
            # One byte back: a CR that came last may be alone. The line's start was a whole CRLF.
            if _OFFENCE.search(self._data, max(self._line, self._seen - 1), stop):
                raise self._malformed("a line of the head holds a control character")
            self._seen = stop
            if not end:
                self._check_size(cap)
                return None
            if end - self._line == 2:
                return self._split(end)
            self._line = end
            self._lines += 1
        return None

    def _check_first_byte(self) -> None:
        first = self._data[self._line]
        if first == 0x0D and self._lines:
            return  # the blank line
        if first <= 0x20:
            raise self._malformed("a line of the head starts with a space or a control character")
        if self._lines > self._max_headers:
            raise HeadTooBig(f"more than {self._max_headers} header lines")

    def _check_size(self, cap: int) -> None:
        if len(self._data) <= cap:
            return
        if cap == self._max_head_size:
            raise HeadTooBig(f"a head of more than {self._max_head_size} bytes")
        raise HeadTooBig(f"a line of more than {self._max_line_size} bytes")

    def _split(self, end: int) -> bytes:
        head = bytes(self._data[:end])
        self.trailing = bytes(self._data[end:])
        self._data.clear()
        return head


class ResponseParser:
    """Parses the heads that answer one upgrade request, and the body of a final answer that is no upgrade."""

    def __init__(self, max_body_size: int) -> None:
        self._left = max_body_size
        self.body_ended = False
        self._connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=_PIECE_SIZE)
        # h11 reads an answer only to a request that it has seen; ours is written elsewhere.
        upgrade = [("Host", "host"), ("Connection", "Upgrade"), ("Upgrade", "websocket")]
        self._connection.send(h11.Request(method="GET", target="/", headers=upgrade))
        self._connection.send(h11.EndOfMessage())

    def head(self, head: bytes) -> tuple[str, Response]:
        """Return the HTTP version and the response of one whole head. BadResponse where it is malformed."""
        self._connection.receive_data(head)
        try:
            event: Any = self._connection.next_event()
        except h11.RemoteProtocolError as error:
            raise BadResponse(_reason("malformed response", error)) from error
        response = Response(event.status_code, event.reason.decode("latin-1"), _headers(event))
        return event.http_version.decode("ascii"), response

    def body(self, data: bytes) -> bytes:
        """Return what `data`, which may be empty, adds to the body, up to the limit.

        A body that is malformed ends there: the answer is a refusal with or without it.
        """
        body = self._take_body()
        for start in range(0, len(data), _PIECE_SIZE):
            if self.body_ended:
                break
            self._connection.receive_data(data[start : start + _PIECE_SIZE])
            body += self._take_body()
        return bytes(body)

    def _take_body(self) -> bytearray:
        body = bytearray()
        try:
            while isinstance(event := self._connection.next_event(), h11.Data):
                body += event.data[: self._left - len(body)]
        except h11.RemoteProtocolError:
            self.body_ended = True
            return body
        self._left -= len(body)
        self.body_ended = event is not h11.NEED_DATA or not self._left
        return body


def parse_request(head: bytes) -> Request:
    """Return the request of one whole head.

    Raises:
        BadRequest: it is no HTTP, or breaks a rule of HTTP that h11 knows: no Host or two (RFC 9112 §3.2),
            lengths that disagree (§6.3).
    """
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(head)
    try:
        event: Any = connection.next_event()
    except h11.RemoteProtocolError as error:
        raise BadRequest(_reason("malformed request", error)) from error
    return Request(
        event.method.decode("latin-1"),
        event.target.decode("latin-1"),
        event.http_version.decode("ascii"),
        _headers(event),
    )


def build_head(first_line: str, headers: HeadersLike) -> bytes:
    """Return the bytes of a head. ValueError, before anything is written, for a header that is not safe."""
    lines = [first_line, *(f"{name}: {value}" for name, value in check_headers(headers)), "\r\n"]
    return "\r\n".join(lines).encode("latin-1")


def build_response(status: int, headers: HeadersLike, body: bytes, *, server: str | None, head_only: bool) -> bytes:
    """Return a whole HTTP/1.1 response after which the connection is closed.

    Args:
        status: 200 to 599.
        headers: more headers. Connection and Content-Length are written here: either may be given where it
            says the same ("close", the body's size).
        body: may not be there with status 204 or 304.
        server: the Server header, unless `headers` has one.
        head_only: leave the body out, as the answer to HEAD does (RFC 9110 §9.3.2).

    Raises:
        ValueError: an argument is not fit to be sent.
    """
    if not 200 <= status <= 599:
        raise ValueError(f"an answer that ends the handshake has a status from 200 to 599, not {status}")
    if body and status in _NO_BODY:
        raise ValueError(f"a response with status {status} has no body")
    checked = check_headers(headers)
    own = {"connection": "close", "content-length": str(len(body)), "transfer-encoding": None}
    pairs: list[tuple[str, str]] = []
    if server is not None and "Server" not in checked:
        pairs.append(("Server", server))
    # RFC 9110 §7.8: who sends Upgrade names it in Connection.
    pairs.append(("Connection", "close, Upgrade" if "Upgrade" in checked else "close"))
    if status not in _NO_BODY:
        pairs.append(("Content-Length", str(len(body))))
    for name, value in checked:
        if name.lower() not in own:
            pairs.append((name, value))
        elif value.lower() != own[name.lower()]:
            raise ValueError(f"{name} is set by the handshake")
    first_line = f"HTTP/1.1 {status} {_PHRASES.get(status, '')}"
    return build_head(first_line, pairs) + (b"" if head_only else body)


def to_bytes(data: Buffer) -> bytes:
    """Return `data` as bytes. TypeError for what is no buffer: bytes(3) would be three zeros."""
    if isinstance(data, bytes):
        return data
    try:
        return bytes(memoryview(data))
    except TypeError:
        raise not_a_buffer(data) from None


def _headers(event: Any) -> Headers:
    return Headers(event.headers.raw_items())


def _reason(what: str, error: Exception) -> str:
    """Return h11's reason without the peer's bytes, which it quotes: they are not echoed into an answer."""
    detail, _, _ = str(error).partition(": b")
    return f"{what}: {detail}"
