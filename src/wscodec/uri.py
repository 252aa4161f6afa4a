"""WebSocket URIs, and the host and port that they share with the Host and Origin headers (RFC 6455 §3).

Floor 3.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

__all__ = ["WebSocketURI", "parse_uri", "split_host_port"]

_DEFAULT_PORTS = {False: 80, True: 443}
_DIGITS = frozenset("0123456789")
_HOST_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~")
_MAX_PORT = 65535

# The longest text form of an IPv6 address, with an IPv4 tail.
_MAX_IPV6_SIZE = 45

# A control character or a space would end the request line or a header early, and inject another one.
_UNSAFE = re.compile(r"[\x00-\x20\x7f]")

# What RFC 3986 §3.3 and §3.4 allow in a path and a query, beside letters, digits and "-._~"; "%" so that
# what is encoded already stays as it is.
_RESOURCE_SAFE = "/?:@!$&'()*+,;=%"


@dataclass(frozen=True, slots=True)
class WebSocketURI:
    """The parts of a ws or wss URI that a client needs (RFC 6455 §3).

    Attributes:
        secure: whether the scheme is wss.
        host: in ASCII and lower case, an IPv6 address without its brackets.
        port: 1 to 65535.
        resource: the path and query for the request line, in ASCII; it starts with "/".
        username, password: decoded, or None where the URI carries none.
    """

    secure: bool
    host: str
    port: int
    resource: str = "/"
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """ValueError for a resource that would not stay one word of the request line."""
        if not self.resource.startswith("/") or not self.resource.isascii() or _UNSAFE.search(self.resource):
            raise ValueError("a resource starts with a slash, and is ASCII without spaces and control characters")

    @property
    def host_header(self) -> str:
        """The value of the Host header: the port is left out where it is the scheme's own (RFC 6455 §4.1)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.secure] else f"{host}:{self.port}"


def parse_uri(uri: str) -> WebSocketURI:
    """Parse a ws or wss URI.

    A host beyond ASCII is encoded by IDNA, and what RFC 3986 does not allow in a path or a query is
    percent-encoded as UTF-8.

    Args:
        uri: such as "wss://user:password@example.com:8443/chat?room=1".

    Returns:
        its parts.

    Raises:
        TypeError: `uri` is not a str.
        ValueError: it is not a WebSocket URI. A space, a control character, a fragment, or a host that two
            parsers could read differently is refused, never mended.

    RFC 6455 §3.
    """
    if not isinstance(uri, str):
        raise TypeError(f"a URI is a str, not {type(uri).__name__!r}")
    if _UNSAFE.search(uri):
        raise ValueError("a URI has no spaces and no control characters: percent-encode them")
    if "#" in uri:
        raise ValueError('a WebSocket URI has no fragment: write "#" as "%23"')
    scheme, separator, rest = uri.partition("://")
    secure = {"ws": False, "wss": True}.get(scheme.lower())
    if secure is None or not separator:
        raise ValueError("a WebSocket URI starts with ws:// or wss://")
    authority, resource = _split_resource(rest)
    userinfo, _, host_port = authority.rpartition("@")
    host, port = split_host_port(_to_ascii(host_port))
    if port is None:
        port = _DEFAULT_PORTS[secure]
    elif port == 0:
        raise ValueError("port 0 can't be connected to")
    if "@" not in authority:
        return WebSocketURI(secure, host, port, resource)
    return WebSocketURI(secure, host, port, resource, *_split_userinfo(userinfo))


def split_host_port(text: str) -> tuple[str, int | None]:
    """Split "host", "host:port" or "[IPv6]:port".

    Letters, digits, "-", ".", "_" and "~" make a host; the other characters that RFC 3986 allows in a name
    are in no host that resolves, and in many attacks.

    Args:
        text: an authority without user information, in ASCII.

    Returns:
        the host, in lower case and without brackets, and the port, 0 to 65535, or None where there is none.

    Raises:
        ValueError: it is none of the three.

    RFC 3986 §3.2.2 and §3.2.3.
    """
    if text.startswith("["):
        host, bracket, tail = text[1:].partition("]")
        if not bracket or (tail and not tail.startswith(":")):
            raise ValueError("an IPv6 address ends with a bracket")
        return _parse_ipv6(host), _parse_port(tail[1:])
    host, _, port = text.partition(":")
    if not host or not _HOST_CHARACTERS.issuperset(host):
        raise ValueError("not a host")
    return host.lower(), _parse_port(port)


def _split_resource(rest: str) -> tuple[str, str]:
    """Return the authority, and the path and query as the request line shows them (RFC 6455 §3)."""
    end = min((i for i in (rest.find("/"), rest.find("?")) if i >= 0), default=len(rest))
    path, _, query = rest[end:].partition("?")
    resource = (path or "/") + ("?" + query if query else "")
    return rest[:end], quote(resource, safe=_RESOURCE_SAFE)


def _split_userinfo(userinfo: str) -> tuple[str, str]:
    """Return the decoded user name and password; a URI with one alone means an empty other."""
    if "@" in userinfo:
        raise ValueError('write the "@" of a user name or password as "%40"')
    username, _, password = userinfo.partition(":")
    return unquote(username, errors="strict"), unquote(password, errors="strict")


def _to_ascii(host_port: str) -> str:
    """Return `host_port` with its host encoded by IDNA (RFC 3490).

    The caller checks the result: compatibility forms of "/", "@" and the like become those very characters
    here, and would move the end of the host.
    """
    if host_port.isascii():
        return host_port
    host, colon, port = host_port.partition(":")
    return host.encode("idna").decode("ascii") + colon + port


def _parse_ipv6(text: str) -> str:
    """Return the canonical form of an IPv6 address. A zone means nothing to the other side: refused."""
    if len(text) > _MAX_IPV6_SIZE or "%" in text:
        raise ValueError("not an IPv6 address")
    return str(ipaddress.IPv6Address(text))


def _parse_port(text: str) -> int | None:
    """Return the port, None where it is empty, as RFC 3986 allows behind the colon."""
    if not text:
        return None
    # int() alone would take "+80", "8_0" and digits beyond ASCII.
    if len(text) > 5 or not _DIGITS.issuperset(text) or int(text) > _MAX_PORT:
        raise ValueError("a port is a number from 0 to 65535")
    return int(text)
