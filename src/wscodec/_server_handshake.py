"""The server's side of the opening handshake, without I/O: bytes in, bytes out (RFC 6455 §4.2).

Floor 3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from types import EllipsisType

from ._http import HeadReader, Request, build_head, build_response, parse_request, to_bytes
from ._subprotocols import check_offered, check_subprotocols, negotiate_subprotocol, offered_subprotocols
from ._typing import Buffer
from ._upgrade import check_no_body, check_request, response_headers
from .deflate import AgreedDeflate, PerMessageDeflate
from .errors import BadRequest, HandshakeError
from .extensions import Extension, offered_extensions
from .headers import Headers, HeadersLike, OriginsLike, allowed_origins, check_headers
from .spec import DEFAULT_MAX_HEAD_SIZE, DEFAULT_MAX_HEADERS, DEFAULT_MAX_LINE_SIZE

__all__ = ["ServerHandshake"]


class ServerHandshake:
    """Reads one WebSocket request, and writes the answer.

    A request that is not to the letter is refused: line ends are CRLF, folded header lines, control
    characters and empty lines before the request line are no part of a head. The first fault is final.

    Attributes:
        request: the request, from when its head is known to be well-formed and without a body. It is there
            too where the rules of WebSocket then refuse it, so that a plain GET can be answered with a page.
        offered_subprotocols: what the client speaks, from when the request has been accepted by the rules.
        subprotocol: what `accept` agreed to.
        compression: what `accept` will agree to, or None, from when the request has been accepted by the rules.
        head: the bytes of the request.
        trailing: the bytes that came behind the head. They are the connection's first.
    """

    def __init__(
        self,
        *,
        origins: OriginsLike = "same",
        subprotocols: Sequence[str] | None = None,
        select_subprotocol: Callable[[Sequence[str]], str | None] | None = None,
        compression: PerMessageDeflate | None = None,
        server_header: str | None = "wscodec",
        max_line_size: int = DEFAULT_MAX_LINE_SIZE,
        max_head_size: int = DEFAULT_MAX_HEAD_SIZE,
        max_headers: int = DEFAULT_MAX_HEADERS,
    ) -> None:
        """Wait for a request.

        Args:
            origins: who may connect: "same" for pages whose host and port, with http or https, are those of
                Host, and for who sends no Origin; a collection, see `Origins` (None among them: who sends no
                Origin). None as a whole checks nothing: a server that knows its users by cookies must not say so.
            subprotocols: what the server speaks, best first.
            select_subprotocol: chooses from the client's offers instead.
            compression: what the server accepts, or None.
            server_header: the Server header of every answer, or None.
            max_line_size: of one line, in bytes, its CRLF included.
            max_head_size: of the whole head, in bytes, line ends included.
            max_headers: header lines.

        Raises:
            ValueError, TypeError: an argument can't be sent or matched.
        """
        self._origins = allowed_origins(origins)
        self._subprotocols = check_subprotocols(subprotocols)
        self._select = select_subprotocol
        self._wanted = compression
        if server_header is not None:
            check_headers([("Server", server_header)])
        self._server = server_header
        self._reader: HeadReader | None = HeadReader(BadRequest, max_line_size, max_head_size, max_headers)
        self._key: str | None = None
        self._error: HandshakeError | None = None
        self._answered = False
        self._extensions: tuple[Extension, ...] = ()
        self.request: Request | None = None
        self.offered_subprotocols: tuple[str, ...] = ()
        self.subprotocol: str | None = None
        self.compression: AgreedDeflate | None = None
        self.head = b""
        self.trailing = b""

    def receive(self, data: Buffer) -> Request | None:
        """Take bytes from the network.

        Args:
            data: a bytes-like object; it is copied.

        Returns:
            the request, once it is whole and a WebSocket handshake; None while it is not whole.

        Raises:
            HandshakeError: it is refused. `response` of the error holds the whole answer, after which the
                connection is to be closed. Every later call raises the like.
            RuntimeError: the request was returned already: what follows belongs to the connection.

        RFC 6455 §4.2.1.
        """
        if self._error is not None:
            raise copy(self._error)
        if self._reader is None:
            raise RuntimeError("the request is whole: later bytes belong to the connection")
        try:
            head = self._reader.receive(to_bytes(data))
            if head is not None:
                self._take(head, self._reader.trailing)
        except HandshakeError as error:
            self._refuse(error)
            raise
        return None if head is None else self.request

    def eof(self) -> None:
        """Take the end of the client's bytes: BadRequest where the request is not whole, else nothing."""
        if self._error is not None:
            raise copy(self._error)
        if self._reader is not None:
            error = BadRequest("connection closed before the request was whole")
            self._refuse(error)
            raise error

    def accept(self, *, subprotocol: str | EllipsisType | None = ..., headers: HeadersLike = ()) -> bytes:
        """Return the 101 response that opens the connection.

        Args:
            subprotocol: one that the client offered, or None; left out, it is negotiated.
            headers: more headers, such as cookies.

        Raises:
            ValueError: the subprotocol was not offered, or a header is not safe to send or is the
                handshake's own. Nothing has changed then.
            RuntimeError: there is no request to accept, or it was answered already.

        RFC 6455 §4.2.2.
        """
        if self.request is None or self._key is None:
            raise RuntimeError("there is no WebSocket request to accept")
        self._check_unanswered()
        if isinstance(subprotocol, EllipsisType):
            chosen = negotiate_subprotocol(self.request.headers, self._subprotocols, select=self._select)
        else:
            chosen = check_offered(subprotocol, self.offered_subprotocols)
        pairs = response_headers(self._key, subprotocol=chosen, extensions=self._extensions, headers=headers)
        if self._server is not None and "Server" not in Headers(pairs):
            pairs.append(("Server", self._server))
        answer = build_head("HTTP/1.1 101 Switching Protocols", pairs)
        self.subprotocol = chosen
        self._answered = True
        return answer

    def reject(self, status: int, headers: HeadersLike = (), body: Buffer = b"") -> bytes:
        """Return a plain HTTP response, after which the connection is to be closed.

        It may answer any request, a refused one too (in place of the error's `response`), and one that is
        not whole, such as with 408 or 503.

        Args:
            status: 200 to 599.
            headers: more headers, such as Content-Type.
            body: bytes-like; left out of what is sent where the request is a HEAD.

        Raises:
            ValueError: the status is out of range, or a header is not safe to send or is the handshake's own.
            RuntimeError: the request was answered already.

        RFC 6455 §4.2.2.
        """
        self._check_unanswered()
        answer = self._build(status, headers, to_bytes(body))
        self._answered = True
        return answer

    def _take(self, head: bytes, trailing: bytes) -> None:
        request = parse_request(head)
        check_no_body(request.headers)
        self.request = request
        self.head = head
        self.trailing = trailing
        _check_target(request.target)
        key = check_request(request.method, request.http_version, request.headers, origins=self._origins)
        self.offered_subprotocols = offered_subprotocols(request.headers)
        if self._wanted is not None:
            self._take_offers(self._wanted, request.headers)
        self._key = key
        self._reader = None

    def _take_offers(self, wanted: PerMessageDeflate, headers: Headers) -> None:
        accepted = wanted.accept(offered_extensions(headers))
        if accepted is not None:
            answer, parameters = accepted
            self._extensions = (answer,)
            self.compression = AgreedDeflate(wanted, parameters)

    def _refuse(self, error: HandshakeError) -> None:
        """Give `error` its answer, and keep a copy to raise again: its own traceback would keep us alive."""
        error.response = self._build(
            error.status,
            [("Content-Type", "text/plain; charset=utf-8"), *error.headers],
            f"{error.reason}\n".encode(),
        )
        self._error = copy(error)
        self._reader = None

    def _build(self, status: int, headers: HeadersLike, body: bytes) -> bytes:
        head_only = self.request is not None and self.request.method == "HEAD"
        return build_response(status, headers, body, server=self._server, head_only=head_only)

    def _check_unanswered(self) -> None:
        if self._answered:
            raise RuntimeError("the request was answered already")


def _check_target(target: str) -> None:
    """Raise BadRequest unless `target` holds a resource name (RFC 6455 §4.2.1, point 1, and §3)."""
    absolute = target[:8].lower().startswith(("http://", "https://"))
    if not absolute and not target.startswith("/"):
        raise BadRequest("the request's target is no resource")
    if "#" in target:
        raise BadRequest("the request's target has a fragment")
