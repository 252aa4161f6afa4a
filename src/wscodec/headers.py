"""HTTP headers as text: a container, the lists that stand in values, origins, and checks of what we send.

Every parser here is linear in its input, and strips spaces and tabs alone: `str.strip`, `str.splitlines`,
`str.isdigit` and `int` know more characters than HTTP does, and a proxy in front of us may not.

Floor 3.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, TypeAlias, overload

from .uri import split_host_port

__all__ = [
    "Headers",
    "HeadersLike",
    "Origins",
    "OriginsLike",
    "SameOrigin",
    "allowed_origins",
    "check_headers",
    "is_token",
    "parse_list",
    "parse_tokens",
]

WHITESPACE = " \t"
HeadersLike: TypeAlias = (
    "Headers | Mapping[str, str] | Mapping[bytes, bytes] | Iterable[tuple[str | bytes, str | bytes]]"
)
OriginsLike: TypeAlias = "Origins | SameOrigin | Iterable[str | None] | Literal['same'] | None"

# RFC 9110 §5.6.2.
_TOKEN_CHARACTERS = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
# RFC 3986 §3.1.
_SCHEME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789+-.")

# RFC 9110 §5.5: visible characters, spaces, tabs and the bytes above ASCII, which travel as latin-1.
_NOT_IN_VALUE = re.compile(r"[^\t\x20-\x7e\x80-\xff]")

_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


class Headers:
    """The headers of one head: immutable, in order, names compared without case, repeats kept.

    Iteration yields (name, value) pairs, one per header line, so `len` counts lines.
    """

    __slots__ = ("_index", "_items")

    def __init__(self, headers: HeadersLike = ()) -> None:
        """Copy `headers`: another Headers, a mapping, or pairs. Bytes are decoded as latin-1.

        Raises:
            TypeError: a name or a value is neither str nor bytes.
        """
        pairs = headers.items() if isinstance(headers, Mapping) else headers
        self._items = tuple((_to_str(name), _to_str(value)) for name, value in pairs)
        self._index: dict[str, list[str]] = {}
        for name, value in self._items:
            self._index.setdefault(name.lower(), []).append(value)

    @classmethod
    def of(cls, headers: HeadersLike) -> Headers:
        """Return `headers` itself where it is a Headers already."""
        return headers if isinstance(headers, Headers) else cls(headers)

    @overload
    def get(self, name: str) -> str | None: ...

    @overload
    def get(self, name: str, default: str) -> str: ...

    def get(self, name: str, default: str | None = None) -> str | None:
        """Return the value of the first line of that name, or `default`."""
        values = self._index.get(name.lower())
        return default if values is None else values[0]

    def get_all(self, name: str) -> list[str]:
        """Return the values of every line of that name, in order."""
        return list(self._index.get(name.lower(), ()))

    def __getitem__(self, name: str) -> str:
        """Return the values of that name joined with ", ", as RFC 9110 §5.3 joins them; KeyError without."""
        return ", ".join(self._index[name.lower()])

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._index

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __eq__(self, other: object) -> bool:
        """Compare name by name and value by value, in order; the case of names makes no difference."""
        if not isinstance(other, Headers):
            return NotImplemented
        return self._folded() == other._folded()

    def __hash__(self) -> int:
        return hash(self._folded())

    def __repr__(self) -> str:
        return f"Headers({list(self._items)!r})"

    def _folded(self) -> tuple[tuple[str, str], ...]:
        return tuple((name.lower(), value) for name, value in self._items)


class Origins:
    """The origins that a server allows (RFC 6455 §4.2.2, §10.2; RFC 6454 §4, §5).

    An origin matches where scheme, host and port are equal, the scheme's own port put in where none is
    written; never by prefix, suffix or pattern. "null", the origin of sandboxed pages and files, matches
    only where it is listed, and so does None, the lack of an Origin header.

    Attributes:
        refusal: what the others are told.
    """

    __slots__ = ("_absent", "_allowed")

    refusal = "this origin is not allowed"

    def __init__(self, origins: Iterable[str | None]) -> None:
        """Allow `origins`: each "https://example.com", "http://localhost:8000", "null" or None.

        Raises:
            TypeError: `origins` is one str, where a collection of them is meant.
            ValueError: one of them is not an origin, such as a URL with a path.
        """
        if isinstance(origins, str):
            raise TypeError("origins is a collection of str and None, not a str")
        listed = tuple(origins)
        self._absent = None in listed
        self._allowed = frozenset(_parse_origin(origin) for origin in listed if origin is not None)

    @classmethod
    def of(cls, origins: Origins | Iterable[str | None]) -> Origins:
        """Return `origins` itself where it is an Origins already, so that a server parses its list once."""
        return origins if isinstance(origins, Origins) else cls(origins)

    def allows(self, origin: str | None, host: str = "") -> bool:
        """Tell whether a request with that Origin header, None where it has none, is allowed, whatever its Host."""
        if origin is None:
            return self._absent
        try:
            return _parse_origin(origin) in self._allowed
        except ValueError:
            return False


class SameOrigin:
    """The server's own origin, as the request's Host header has it (RFC 6455 §4.2.2, §10.2; RFC 6454 §4, §5).

    An origin matches where its host and port are those of Host, the port of the origin's scheme put in where
    either writes none. http and https are not told apart: TLS often ends in a proxy before us, and the request
    does not say. "null" and the origins of extensions never match. A request without an Origin header is
    allowed: no browser leaves it out (RFC 6455 §4.1), and what is no browser may write there what it likes.

    Attributes:
        refusal: what the others are told.
    """

    __slots__ = ()

    refusal = "the page's origin is not that of this server: see `origins`"

    def allows(self, origin: str | None, host: str) -> bool:
        """Tell whether a request with that Origin header, None where it has none, and that Host is allowed."""
        if origin is None:
            return True
        try:
            scheme, *page = _parse_origin(origin)
            name, port = split_host_port(host)
        except ValueError:
            return False
        default = _DEFAULT_PORTS.get(scheme)
        return default is not None and page == [name, default if port is None else port]


def allowed_origins(origins: OriginsLike) -> Origins | SameOrigin | None:
    """Return what judges the origins of a server's requests, made once for all of them; None lets all in.

    Raises:
        TypeError, ValueError: as `Origins` says; the one str that is no mistake is "same".
    """
    if origins is None or isinstance(origins, SameOrigin):
        return origins
    return SameOrigin() if origins == "same" else Origins.of(origins)


def is_token(text: str) -> bool:
    """Tell whether `text` is a token: one or more of the characters of RFC 9110 §5.6.2."""
    return bool(text) and _TOKEN_CHARACTERS.issuperset(text)


def parse_list(values: Iterable[str]) -> list[str]:
    """Return the elements of a comma-separated list that may be spread over several header lines.

    Empty elements are left out, as RFC 9110 §5.6.1.2 has it. Quoted strings are not known here.
    """
    parts = (part.strip(WHITESPACE) for value in values for part in value.split(","))
    return [part for part in parts if part]


def parse_tokens(values: Iterable[str]) -> list[str]:
    """Return the tokens of a comma-separated list that may be spread over several header lines.

    Raises:
        ValueError: an element is not a token.

    RFC 9110 §5.6.1, §5.6.2.
    """
    tokens = parse_list(values)
    if not all(map(is_token, tokens)):
        raise ValueError("not a list of tokens")
    return tokens


def check_headers(headers: HeadersLike) -> Headers:
    """Return `headers` once they are known to be safe to send.

    Raises:
        TypeError: a name or a value is neither str nor bytes.
        ValueError: a name is not a token, or a value holds CR, LF, NUL, another control character but the
            tab, or a character beyond latin-1: it could end its line and start one of an attacker's.

    RFC 9110 §5.1, §5.5.
    """
    checked = Headers(headers)
    for name, value in checked:
        if not is_token(name):
            raise ValueError(f"not a header name: {name!r}")
        if _NOT_IN_VALUE.search(value):
            raise ValueError(f"the value of {name} holds a character that can't be in a header")
    return checked


def _to_str(text: str | bytes) -> str:
    if isinstance(text, str):
        return text
    if isinstance(text, bytes):
        return text.decode("latin-1")
    raise TypeError(f"a header's name and value are str or bytes, not {type(text).__name__!r}")


def _parse_origin(text: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port of an origin in the ASCII form that browsers send (RFC 6454 §6.2).

    Raises:
        ValueError: it is neither "null" nor scheme "://" host [":" port].
    """
    if text == "null":
        return ("null", "", None)
    scheme, separator, authority = text.partition("://")
    scheme = scheme.lower()
    if not separator or not scheme or not _SCHEME_CHARACTERS.issuperset(scheme):
        raise ValueError(f"not an origin: {text!r}")
    if not authority and scheme not in _DEFAULT_PORTS:
        return (scheme, "", None)  # "file://", which embedded browsers send for local pages
    try:
        host, port = split_host_port(authority)
    except ValueError as error:
        raise ValueError(f"not an origin: {text!r}") from error
    return (scheme, host, _DEFAULT_PORTS.get(scheme) if port is None else port)
