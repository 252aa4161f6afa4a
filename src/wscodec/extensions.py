"""Extensions as the handshake names them: the header Sec-WebSocket-Extensions, read and written (RFC 6455 §9.1).

What an extension does is no business of this module.

Floor 3.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from .errors import BadExtensions, BadRequest
from .headers import Headers, HeadersLike, is_token

__all__ = ["Extension", "agreed_extensions", "format_extensions", "offered_extensions", "parse_extensions"]

# The extensions and parameters of all header lines together. A browser sends two.
_MAX_ELEMENTS: Final = 256

_CHARACTER = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
# Every repetition keeps what it has taken, so that no character is looked at more than a few times.
_NAME = re.compile(rf"{_CHARACTER}++")
_PARAMETER = re.compile(
    rf"[ \t]*+;[ \t]*+({_CHARACTER}++)"
    # §9.1: "the value after quoted-string unescaping MUST conform to the 'token' ABNF".
    rf'(?:[ \t]*+=[ \t]*+(?:({_CHARACTER}++)|"((?:\\?+{_CHARACTER})++)"))?+'
)
_BETWEEN = re.compile(r"[ \t,]*+")
_END = re.compile(r"[ \t]*+(?:,|\Z)")


class Extension(NamedTuple):
    """An extension as one side names it.

    Attributes:
        name: a token.
        parameters: name and value of each, in order; None where there is no value. Names may repeat.
    """

    name: str
    parameters: tuple[tuple[str, str | None], ...] = ()


def parse_extensions(values: Iterable[str]) -> list[Extension]:
    """Return the extensions of a list that may be spread over several header lines, in order.

    Args:
        values: those of the header lines. Quoted values come out without their quotes.

    Raises:
        ValueError: not a list of extensions, or one of more than 256 extensions and parameters.

    RFC 6455 §9.1.
    """
    extensions: list[Extension] = []
    left = _MAX_ELEMENTS
    for value in values:
        # RFC 9110 §5.6.1.2: elements may be empty.
        position = _skip(value, 0)
        while position < len(value):
            extension, position = _parse_extension(value, position, left)
            extensions.append(extension)
            left -= 1 + len(extension.parameters)
            position = _skip(value, position)
    return extensions


def format_extensions(extensions: Iterable[Extension]) -> str:
    """Return the value of a header line that names `extensions`.

    Raises:
        ValueError: a name or a value is not a token.

    RFC 6455 §9.1.
    """
    return ", ".join("; ".join([_token(name), *map(_format_parameter, parameters)]) for name, parameters in extensions)


def offered_extensions(headers: HeadersLike) -> list[Extension]:
    """Return the extensions that a client offers, those that it likes best first; often none.

    Raises:
        BadRequest: the header is there and is not a list of extensions.

    RFC 6455 §4.1 (11), §9.1.
    """
    try:
        return _extensions_of(headers)
    except ValueError as error:
        raise BadRequest(str(error)) from error


def agreed_extensions(headers: HeadersLike) -> list[Extension]:
    """Return the extensions that a server's response names; often none.

    Raises:
        BadExtensions: the header is there and is not a list of extensions.

    RFC 6455 §4.2.2 (5.6), §9.1.
    """
    try:
        return _extensions_of(headers)
    except ValueError as error:
        raise BadExtensions(str(error), 101) from error


def _extensions_of(headers: HeadersLike) -> list[Extension]:
    values = Headers.of(headers).get_all("Sec-WebSocket-Extensions")
    extensions = parse_extensions(values)
    if values and not extensions:
        raise ValueError("Sec-WebSocket-Extensions is empty")
    return extensions


def _parse_extension(value: str, position: int, left: int) -> tuple[Extension, int]:
    """Return the extension that begins there, and the position behind the comma after it."""
    if left <= 0:
        raise ValueError("Sec-WebSocket-Extensions names too many extensions")
    name = _NAME.match(value, position)
    if name is None:
        raise _malformed()
    position = name.end()
    parameters: list[tuple[str, str | None]] = []
    while (parameter := _PARAMETER.match(value, position)) is not None:
        if len(parameters) + 1 >= left:
            raise ValueError("Sec-WebSocket-Extensions names too many parameters")
        key, token, quoted = parameter.groups()
        # A token has no backslash, so each that stands in a quoted one escapes what is behind it.
        parameters.append((key, token if quoted is None else quoted.replace("\\", "")))
        position = parameter.end()
    end = _END.match(value, position)
    if end is None:
        raise _malformed()
    return Extension(name[0], tuple(parameters)), end.end()


def _skip(value: str, position: int) -> int:
    """Return the position of the next element that is not empty, or the end."""
    match = _BETWEEN.match(value, position)
    assert match is not None  # it matches nothing, too
    return match.end()


def _malformed() -> ValueError:
    return ValueError("Sec-WebSocket-Extensions is not a list of extensions")


def _format_parameter(parameter: tuple[str, str | None]) -> str:
    name, value = parameter
    return _token(name) if value is None else f"{_token(name)}={_token(value)}"


def _token(text: str) -> str:
    if not is_token(text):
        raise ValueError(f"not a token: {text!r}")
    return text
