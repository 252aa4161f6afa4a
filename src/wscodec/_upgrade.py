"""The rules of the opening handshake, on headers that somebody has parsed already (RFC 6455 §4).

Floor 3.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterable, Sequence

from ._subprotocols import check_subprotocols
from .deflate import DeflateParameters, PerMessageDeflate
from .errors import (
    BadExtensions,
    BadRequest,
    BadResponse,
    BadStatus,
    MethodRefused,
    OriginRefused,
    VersionRefused,
)
from .extensions import Extension, agreed_extensions, format_extensions
from .headers import (
    WHITESPACE,
    Headers,
    HeadersLike,
    OriginsLike,
    allowed_origins,
    check_headers,
    is_token,
    parse_list,
    parse_tokens,
)
from .spec import ACCEPT_GUID, VERSION
from .uri import WebSocketURI, split_host_port

__all__ = [
    "accept_key",
    "check_request",
    "check_response",
    "generate_key",
    "request_headers",
    "response_headers",
]

# What the handshake says itself, beside every Sec-WebSocket header; a second word on it would be a lie.
_OWN_HEADERS = frozenset({"connection", "upgrade", "content-length", "transfer-encoding"})

_KEY_SIZE = 16
_ENCODED_KEY_SIZE = 24


def generate_key() -> str:
    """Return a fresh Sec-WebSocket-Key: 16 random bytes in base64 (RFC 6455 §4.1)."""
    return base64.b64encode(os.urandom(_KEY_SIZE)).decode("ascii")


def accept_key(key: str) -> str:
    """Return the Sec-WebSocket-Accept that answers `key` (RFC 6455 §4.2.2).

    Raises:
        ValueError: `key` is not ASCII, hence no key.
    """
    digest = hashlib.sha1(key.encode("ascii") + ACCEPT_GUID, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode("ascii")


def request_headers(
    uri: WebSocketURI,
    key: str,
    *,
    origin: str | None = None,
    subprotocols: Sequence[str] = (),
    compression: PerMessageDeflate | None = None,
    headers: HeadersLike = (),
) -> list[tuple[str, str]]:
    """Return the headers of the request that asks for a WebSocket.

    Args:
        uri: gives Host and, where there is a user in it, Authorization.
        key: see `generate_key`.
        origin: the Origin header, or None.
        subprotocols: different tokens, best first.
        compression: to be offered, or None.
        headers: more headers. They may override Host and Authorization.

    Raises:
        ValueError: one of `headers` is not safe to send, is the handshake's own, or stands twice where it
            may stand once; or the user's name can't be sent.

    RFC 6455 §4.1.
    """
    extra = check_extra_headers(headers)
    defaults = [
        ("Host", uri.host_header),
        ("Origin", origin),
        ("Authorization", _basic_authorization(uri)),
    ]
    given = Headers(extra)
    if any(len(given.get_all(name)) > 1 for name, _ in defaults) or (origin is not None and "Origin" in given):
        raise ValueError("Host, Origin and Authorization stand once in a request")
    own = [(name, value) for name, value in defaults if value is not None and name not in given]
    own += [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", key),
        ("Sec-WebSocket-Version", VERSION),
    ]
    if subprotocols:
        own.append(("Sec-WebSocket-Protocol", ", ".join(check_subprotocols(subprotocols))))
    if compression is not None:
        own.append(("Sec-WebSocket-Extensions", format_extensions([compression.offer()])))
    # RFC 9110 §7.2: Host comes first, the user's one too.
    return sorted(own + extra, key=lambda pair: pair[0].lower() != "host")


def check_request(
    method: str,
    http_version: str,
    headers: HeadersLike,
    *,
    origins: OriginsLike = "same",
) -> str:
    """Check that a request is a WebSocket handshake.

    The rules are taken in this order: HTTP version, Host, no body, method, Upgrade, Connection, version,
    key, origin. A request that asks for no WebSocket at all is answered 426 with "Upgrade: websocket".

    Args:
        method: such as "GET".
        http_version: such as "1.1".
        headers: of the request.
        origins: who may connect: "same" for pages whose host and port, with http or https, are those of Host,
            and for who sends no Origin; a collection, see `Origins`; None checks nothing, so that every page that
            a user's browser shows can connect in the user's name.

    Returns:
        the Sec-WebSocket-Key.

    Raises:
        BadRequest: status 400, or 426 where no upgrade to WebSocket is asked for.
        MethodRefused: 405.
        VersionRefused: 426.
        OriginRefused: 403.

    RFC 6455 §4.2.1, §4.2.2.
    """
    headers = Headers.of(headers)
    _check_version(http_version)
    _check_host(headers)
    check_no_body(headers)
    if method != "GET":
        raise MethodRefused("a WebSocket handshake is a GET request", headers=(("Allow", "GET"),))
    _check_upgrade(headers)
    if headers.get_all("Sec-WebSocket-Version") != [VERSION]:
        # §4.4: the answer lists the versions that we know. A request without one is told the same.
        known = (("Sec-WebSocket-Version", VERSION), ("Upgrade", "websocket"))
        raise VersionRefused(f"Sec-WebSocket-Version must be {VERSION}", headers=known)
    key = _check_key(headers)
    _check_origin(headers, origins)
    return key


def response_headers(
    key: str,
    *,
    subprotocol: str | None = None,
    extensions: Iterable[Extension] = (),
    headers: HeadersLike = (),
) -> list[tuple[str, str]]:
    """Return the headers of the 101 response that accepts a handshake.

    Args:
        key: the client's Sec-WebSocket-Key.
        subprotocol: one of those that the client offered, or None.
        extensions: those that are accepted, as `PerMessageDeflate.accept` returns its own.
        headers: more headers, such as cookies.

    Raises:
        ValueError: `subprotocol` is not a token, or one of `headers` is not safe to send or is the
            handshake's own.

    RFC 6455 §4.2.2.
    """
    own = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accept_key(key))]
    if subprotocol is not None:
        own.append(("Sec-WebSocket-Protocol", check_subprotocols([subprotocol])[0]))
    if accepted := format_extensions(extensions):
        own.append(("Sec-WebSocket-Extensions", accepted))
    return own + check_extra_headers(headers)


def check_response(
    status: int,
    headers: HeadersLike,
    key: str,
    *,
    subprotocols: Sequence[str] = (),
    compression: PerMessageDeflate | None = None,
) -> str | None:
    """Check that a response accepts our handshake.

    Args:
        status: the HTTP status.
        headers: of the response.
        key: the Sec-WebSocket-Key that was sent.
        subprotocols: those that were offered.
        compression: what was offered, or None. Its `agree` says what the response makes of it.

    Returns:
        the subprotocol that the server chose, or None.

    Raises:
        BadStatus: the status is not 101.
        BadResponse: the response breaks a rule, or agrees to what was not offered.
        BadExtensions: that is about extensions.

    RFC 6455 §4.1.
    """
    return judge_response(status, Headers.of(headers), key, subprotocols, compression)[0]


def judge_response(
    status: int,
    headers: Headers,
    key: str,
    subprotocols: Sequence[str],
    compression: PerMessageDeflate | None,
) -> tuple[str | None, DeflateParameters | None]:
    """Do what `check_response` does, and return what is agreed on compression, too."""
    if status != 101:
        raise BadStatus(f"the server answered with status {status}", status, tuple(headers))
    try:
        _check_switch(headers, key)
        agreed = _check_extensions(headers, compression)
        return _check_subprotocol(headers, subprotocols), agreed
    except ValueError as error:
        raise BadResponse(str(error), status, tuple(headers)) from None
    except BadExtensions as error:
        error.headers = tuple(headers)
        raise


def check_no_body(headers: Headers) -> None:
    """Raise BadRequest for a request with a body: a proxy might take it for part of the connection."""
    if _has_body(headers):
        raise BadRequest("a WebSocket handshake has no body")


def check_extra_headers(headers: HeadersLike) -> list[tuple[str, str]]:
    """Return a user's `headers`; ValueError where one is not safe to send or is the handshake's own."""
    checked = check_headers(headers)
    for name, _ in checked:
        folded = name.lower()
        if folded in _OWN_HEADERS or folded.startswith("sec-websocket-"):
            raise ValueError(f"{name} is set by the handshake")
    return list(checked)


def is_http_1_1(http_version: str) -> bool:
    """Tell whether `http_version`, such as "1.1" or "2", is 1.1 or above (RFC 6455 §4.1)."""
    major, _, minor = http_version.partition(".")
    digits = "0123456789"
    if len(major) != 1 or major not in digits or len(minor) > 1 or minor not in digits:
        return False
    return (major, minor) >= ("1", "1")


def _basic_authorization(uri: WebSocketURI) -> str | None:
    """Return the Authorization header for the user in `uri`, if there is one (RFC 7617 §2)."""
    if uri.username is None:
        return None
    if ":" in uri.username:
        raise ValueError("a user name has no colon")
    credentials = f"{uri.username}:{uri.password or ''}".encode()
    return f"Basic {base64.b64encode(credentials).decode('ascii')}"


def _check_version(http_version: str) -> None:
    if not is_http_1_1(http_version):
        raise BadRequest("a WebSocket handshake needs HTTP/1.1")


def _check_host(headers: Headers) -> None:
    hosts = headers.get_all("Host")
    if len(hosts) != 1:
        raise BadRequest("a request has one Host header")
    try:
        split_host_port(hosts[0])
    except ValueError as error:
        raise BadRequest("the Host header names no host") from error


def _check_upgrade(headers: Headers) -> None:
    protocols = parse_list(headers.get_all("Upgrade"))
    if not all(is_token(part) for protocol in protocols for part in protocol.split("/", 1)):
        raise BadRequest("Upgrade is not a list of protocols")  # RFC 9110 §7.8
    if not _has("websocket", protocols):
        raise BadRequest("this is a WebSocket server: Upgrade must be websocket", 426, (("Upgrade", "websocket"),))
    try:
        options = parse_tokens(headers.get_all("Connection"))
    except ValueError as error:
        raise BadRequest("Connection is not a list of tokens") from error
    if not _has("upgrade", options):
        raise BadRequest("Connection must name Upgrade")


def _check_key(headers: Headers) -> str:
    keys = headers.get_all("Sec-WebSocket-Key")
    if len(keys) != 1:
        raise BadRequest("a WebSocket handshake has one Sec-WebSocket-Key")
    key = keys[0]
    try:
        # Without `validate`, bytes that are not base64 are skipped.
        decoded = base64.b64decode(key, validate=True)
    except ValueError:
        decoded = b""
    if len(key) != _ENCODED_KEY_SIZE or len(decoded) != _KEY_SIZE:
        raise BadRequest("Sec-WebSocket-Key is not 16 bytes in base64")
    return key


def _check_origin(headers: Headers, origins: OriginsLike) -> None:
    values = headers.get_all("Origin")
    if len(values) > 1:
        raise BadRequest("a request has one Origin header at most")
    allowed = allowed_origins(origins)
    if allowed is not None and not allowed.allows(values[0] if values else None, headers["Host"]):
        raise OriginRefused(allowed.refusal)


def _check_switch(headers: Headers, key: str) -> None:
    """Raise ValueError for a 101 response that breaks a rule (RFC 6455 §4.1, 2 to 4)."""
    # Unlike a request's, a response's Upgrade is the word alone: it names what the connection becomes.
    if [value.lower() for value in parse_tokens(headers.get_all("Upgrade"))] != ["websocket"]:
        raise ValueError("Upgrade must be websocket")
    if not _has("upgrade", parse_tokens(headers.get_all("Connection"))):
        raise ValueError("Connection must name Upgrade")
    accepts = [value.strip(WHITESPACE) for value in headers.get_all("Sec-WebSocket-Accept")]
    if accepts != [accept_key(key)]:
        raise ValueError("Sec-WebSocket-Accept does not answer our key")
    # RFC 9112 §6.3: a 101 ends with its blank line. Who reads a body there reads our frames otherwise.
    if _has_body(headers):
        raise ValueError("a 101 response has no body")


def _check_extensions(headers: Headers, compression: PerMessageDeflate | None) -> DeflateParameters | None:
    """Return what a 101 response makes of our offer; ValueError or BadExtensions where it may not (§4.1, 5)."""
    if "Sec-WebSocket-Extensions" not in headers:
        return None
    if compression is None:
        raise BadExtensions("the server uses an extension that was not offered", 101)
    return compression.agree(agreed_extensions(headers))


def _check_subprotocol(headers: Headers, subprotocols: Sequence[str]) -> str | None:
    """Return the subprotocol of a 101 response; ValueError where it was not offered (RFC 6455 §4.1, 6)."""
    chosen = headers.get_all("Sec-WebSocket-Protocol")
    if not chosen:
        return None
    if len(chosen) > 1 or chosen[0] not in subprotocols:
        raise ValueError("the server uses a subprotocol that was not offered")
    return chosen[0]


def _has_body(headers: Headers) -> bool:
    return "Transfer-Encoding" in headers or any(size != "0" for size in headers.get_all("Content-Length"))


def _has(name: str, tokens: Iterable[str]) -> bool:
    """Tell whether a lower-case `name` is among `tokens`, which are ASCII, in any case."""
    return any(token.lower() == name for token in tokens)
