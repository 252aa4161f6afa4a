"""Heads of requests and responses, and what comes of those that are refused."""

from __future__ import annotations

import re
from collections.abc import Callable

from attacks import chunks
from net import response_to

from wscodec import ClientHandshake, HandshakeError, ServerHandshake

_LINES = {
    b"Host": b"example.com",
    b"Upgrade": b"websocket",
    b"Connection": b"Upgrade",
    b"Sec-WebSocket-Key": b"dGhlIHNhbXBsZSBub25jZQ==",
    b"Sec-WebSocket-Version": b"13",
}
# RFC 9110 §5.6.2, §5.5: what a header line may consist of.
_SAFE_LINE = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+: [\t\x20-\x7e\x80-\xff]*")


def request(*lines: bytes, without: bytes = b"", first: bytes = b"GET /chat HTTP/1.1") -> bytes:
    """Return a request with more header lines, or without one of its own."""
    own = [b"%s: %s" % pair for pair in _LINES.items() if pair[0] != without]
    return b"\r\n".join([first, *own, *lines, b"", b""])


def response(handshake: ClientHandshake, *lines: bytes) -> bytes:
    """Return the 101 response to `handshake`, with more header lines."""
    return response_to(handshake.request(), b"".join(line + b"\r\n" for line in lines))


def refusal(handshake: ServerHandshake | ClientHandshake, data: bytes, step: int) -> HandshakeError:
    """Return the error that a head ends with, read in pieces of `step` bytes."""
    for chunk in chunks(data, step):
        try:
            handshake.receive(chunk)
        except HandshakeError as error:
            return error
    raise AssertionError("it was not refused")


def is_safe(head: bytes) -> bool:
    """Tell whether a head is one first line and header lines that hold no other line."""
    lines, end, _ = head.partition(b"\r\n\r\n")
    return bool(end) and all(map(_SAFE_LINE.fullmatch, lines.split(b"\r\n")[1:]))


def assert_refused(
    data: bytes, status: int, make: Callable[[], ServerHandshake] | None = None, again: bytes = b"x"
) -> None:
    """See that a server refuses a request, however it is cut, with a whole answer, and hears nothing after it."""
    for step in (len(data), 1 if len(data) < 9000 else 999, 100):
        handshake = ServerHandshake() if make is None else make()
        error = refusal(handshake, data, step)
        assert error.status == status
        assert error.response.startswith(b"HTTP/1.1 %d " % status)
        head, _, body = error.response.partition(b"\r\n\r\n")
        assert is_safe(error.response)
        assert re.search(rb"\r\nConnection: close(, Upgrade)?\r\n", head)
        assert b"\r\nContent-Length: %d" % len(body) in head
        assert refusal(handshake, again, 1).status == status


def assert_response_refused(handshake: Callable[[], ClientHandshake], *lines: bytes, kind: str = "BadResponse") -> None:
    """See that a client refuses a 101 response with these lines, with an error of that name."""
    for step in (10_000, 1, 50):
        ours = handshake()
        error = refusal(ours, response(ours, *lines), step)
        assert type(error).__name__ == kind
        assert ours.compression is None
