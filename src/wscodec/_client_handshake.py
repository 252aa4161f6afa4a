"""The client's side of the opening handshake, without I/O: bytes in, bytes out (RFC 6455 §4.1).

Floor 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import replace

from ._http import HeadReader, Response, ResponseParser, build_head, to_bytes
from ._subprotocols import check_subprotocols
from ._typing import Buffer
from ._upgrade import generate_key, is_http_1_1, judge_response, request_headers
from .deflate import AgreedDeflate, PerMessageDeflate
from .errors import BadResponse, BadStatus, HandshakeError
from .headers import Headers, HeadersLike
from .spec import DEFAULT_MAX_BODY_SIZE, DEFAULT_MAX_HEAD_SIZE, DEFAULT_MAX_HEADERS, DEFAULT_MAX_LINE_SIZE
from .uri import WebSocketURI, parse_uri

__all__ = ["ClientHandshake"]


class ClientHandshake:
    """Writes a WebSocket request, and reads the response.

    Attributes:
        uri: parsed.
        key: the Sec-WebSocket-Key of the request.
        response: the response, from when its head is whole; also where it is refused.
        subprotocol: what the server chose, or None.
        compression: what the server agreed to, or None.
        trailing: the bytes that came behind a 101 response. They are the connection's first.
        body_ended: after BadStatus, whether the error's body is all that there will be.
    """

    def __init__(
        self,
        uri: str | WebSocketURI,
        *,
        origin: str | None = None,
        subprotocols: Sequence[str] | None = None,
        compression: PerMessageDeflate | None = None,
        headers: HeadersLike = (),
        user_agent: str | None = "wscodec",
        max_line_size: int = DEFAULT_MAX_LINE_SIZE,
        max_head_size: int = DEFAULT_MAX_HEAD_SIZE,
        max_headers: int = DEFAULT_MAX_HEADERS,
        max_body_size: int = DEFAULT_MAX_BODY_SIZE,
    ) -> None:
        """Prepare a request.

        Args:
            uri: ws or wss; a user name and password in it are sent as Basic authentication.
            origin: the Origin header, or None.
            subprotocols: what we speak, best first.
            compression: what to offer, or None.
            headers: more headers. They may override Host, User-Agent and Authorization.
            user_agent: the User-Agent header, or None.
            max_line_size: of one line of the response, in bytes, its CRLF included.
            max_head_size: of the response's head, in bytes, with those of interim responses before it.
            max_headers: header lines of one head.
            max_body_size: how much to keep of the body of a response with another status than 101, in bytes.

        Raises:
            ValueError, TypeError: an argument can't be sent.

        RFC 6455 §4.1.
        """
        self.uri = parse_uri(uri) if isinstance(uri, str) else uri
        self.key = generate_key()
        self._subprotocols = check_subprotocols(subprotocols)
        self._wanted = compression
        pairs = request_headers(
            self.uri,
            self.key,
            origin=origin,
            subprotocols=self._subprotocols,
            compression=compression,
            headers=headers,
        )
        if user_agent is not None and "User-Agent" not in Headers(pairs):
            pairs.append(("User-Agent", user_agent))
        self._request = build_head(f"GET {self.uri.resource} HTTP/1.1", pairs)
        self._limits = (max_line_size, max_headers)
        self._left = max_head_size
        self._reader: HeadReader | None = self._next_reader()
        self._parser = ResponseParser(max_body_size)
        self._error: HandshakeError | None = None
        self.response: Response | None = None
        self.subprotocol: str | None = None
        self.compression: AgreedDeflate | None = None
        self.trailing = b""
        self.body_ended = False

    def request(self) -> bytes:
        """Return the request, the same at every call."""
        return self._request

    def receive(self, data: Buffer) -> Response | None:
        """Take bytes from the network. Interim responses (RFC 9110 §15.2) but 101 are skipped.

        Args:
            data: a bytes-like object; it is copied.

        Returns:
            the response, once it is whole and accepts the handshake; None while it is not whole.

        Raises:
            BadStatus: the status is not 101. `body` holds what has arrived of the body; every later call adds
                to it and raises again, until `body_ended`.
            BadResponse: the response breaks a rule. Every later call raises the like, as with HeadTooBig.
            BadExtensions: it agrees to extensions as they were not offered.
            HeadTooBig: its head is above a limit.
            RuntimeError: the response was returned already: what follows belongs to the connection.

        RFC 6455 §4.1.
        """
        received = to_bytes(data)
        if self._error is not None:
            self._add_to_body(self._error, received)
            raise copy(self._error)
        try:
            return self._receive(received)
        except HandshakeError as error:
            self._error = copy(error)  # not the one that is raised: its traceback would keep us alive
            self._reader = None
            raise

    def eof(self) -> None:
        """Take the end of the server's bytes: BadResponse where the response is not whole, else nothing."""
        self.body_ended = True
        if self._error is None and self._reader is not None:
            self._error = BadResponse("connection closed before the response was whole")
            self._reader = None
        if self._error is not None:
            raise copy(self._error)

    def _receive(self, data: bytes) -> Response | None:
        while True:
            if self._reader is None:
                raise RuntimeError("the response is whole: later bytes belong to the connection")
            head = self._reader.receive(data)
            if head is None:
                return None
            data = self._reader.trailing
            version, response = self._parser.head(head)
            if response.status >= 200 or response.status == 101:
                return self._take(version, response, data)
            self._left -= len(head)
            self._reader = self._next_reader()

    def _take(self, version: str, response: Response, trailing: bytes) -> Response:
        self.response = response
        try:
            subprotocol, agreed = judge_response(
                response.status, response.headers, self.key, self._subprotocols, self._wanted
            )
        except BadStatus as error:
            self._add_to_body(error, trailing)
            raise
        if not is_http_1_1(version):
            raise BadResponse("a 101 response needs HTTP/1.1", 101, tuple(response.headers))
        self.subprotocol = subprotocol
        if self._wanted is not None and agreed is not None:
            self.compression = AgreedDeflate(self._wanted, agreed)
        self.trailing = trailing
        self._reader = None
        return response

    def _add_to_body(self, error: HandshakeError, data: bytes) -> None:
        if self.body_ended or self.response is None or not isinstance(error, BadStatus):
            return
        error.body += self._parser.body(data)
        self.body_ended = self._parser.body_ended
        self.response = replace(self.response, body=error.body)

    def _next_reader(self) -> HeadReader:
        max_line_size, max_headers = self._limits
        return HeadReader(BadResponse, max_line_size, self._left, max_headers)
