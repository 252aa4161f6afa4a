"""The subprotocol of a connection: offered, chosen, checked (RFC 6455 §1.9, §4).

Floor 3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from .errors import BadRequest
from .headers import Headers, HeadersLike, is_token, parse_tokens

__all__ = ["check_offered", "check_subprotocols", "negotiate_subprotocol", "offered_subprotocols"]


def offered_subprotocols(headers: HeadersLike) -> tuple[str, ...]:
    """Return the subprotocols that a client offers, those that it likes best first; often none.

    Raises:
        BadRequest: the header is there and is not a list of different tokens.

    RFC 6455 §4.1 (10), §4.3.
    """
    values = Headers.of(headers).get_all("Sec-WebSocket-Protocol")
    try:
        offered = parse_tokens(values)
    except ValueError as error:
        raise BadRequest("Sec-WebSocket-Protocol is not a list of tokens") from error
    if values and not offered:
        raise BadRequest("Sec-WebSocket-Protocol is empty")
    if len(set(offered)) != len(offered):
        raise BadRequest("Sec-WebSocket-Protocol names a subprotocol twice")
    return tuple(offered)


def negotiate_subprotocol(
    headers: HeadersLike,
    subprotocols: Sequence[str] | None = None,
    *,
    select: Callable[[Sequence[str]], str | None] | None = None,
) -> str | None:
    """Choose the subprotocol of a connection.

    Args:
        headers: of the request.
        subprotocols: what the server speaks; the first one that the client offers is taken.
        select: chooses instead, given the client's offers (perhaps none) in the client's order.

    Returns:
        the subprotocol, or None where the sides share none: the connection may be accepted without.

    Raises:
        BadRequest: the client's header is malformed.
        ValueError: `select` returned what was not offered.

    RFC 6455 §4.2.2.
    """
    offered = offered_subprotocols(headers)
    if select is not None:
        return check_offered(select(offered), offered)
    return next((name for name in subprotocols or () if name in offered), None)


def check_subprotocols(subprotocols: Iterable[str] | None) -> tuple[str, ...]:
    """Return our own list of subprotocols: different tokens, or ValueError."""
    if isinstance(subprotocols, str):
        raise TypeError("subprotocols is a collection of str, not a str")
    names = tuple(subprotocols or ())
    if not all(map(is_token, names)):
        raise ValueError("a subprotocol is a token")
    if len(set(names)) != len(names):
        raise ValueError("a subprotocol is listed twice")
    return names


def check_offered(subprotocol: str | None, offered: Sequence[str]) -> str | None:
    """Return the `subprotocol` that a server's code chose; ValueError where the client did not offer it."""
    if subprotocol is not None and subprotocol not in offered:
        raise ValueError(f"the client did not offer the subprotocol {subprotocol!r}")
    return subprotocol
