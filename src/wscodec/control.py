"""The payloads of control frames (RFC 6455 sections 5.5 and 7.4).

Floor 3.
"""

from __future__ import annotations

from ._backend import Utf8Validator
from .assembly import unfinished
from .errors import InvalidUtf8, ProtocolError
from .events import Close, Ping, Pong
from .spec import MAX_REASON_SIZE, Opcode, is_sendable_close_code

# Compared for every frame; members of an enumeration take several times as long to look up.
PING = int(Opcode.PING)
PONG = int(Opcode.PONG)

__all__ = ["check_close_payload", "close_event", "close_event_of", "close_payload", "control_event"]


def check_close_payload(payload: bytes, done: bool) -> None:
    """Refuse close codes that may not be sent and reasons that are not UTF-8, as far as they are there (§5.5.1)."""
    if len(payload) < 2:
        return
    code = int.from_bytes(payload[:2])
    if not is_sendable_close_code(code):
        raise ProtocolError(f"a Close frame has the close code {code}")
    validator = Utf8Validator()
    if not validator.feed(payload[2:]) or (done and not validator.complete):
        raise InvalidUtf8("a close reason is not UTF-8")


def control_event(opcode: int, payload: bytes) -> Ping | Pong | Close:
    """Return the event for a whole control frame."""
    if opcode == PING:
        return Ping(payload)
    return Pong(payload) if opcode == PONG else close_event(payload)


def close_event(payload: bytes) -> Close:
    """Return the event for a Close frame (§5.5.1)."""
    return Close(int.from_bytes(payload[:2]), payload[2:].decode()) if payload else Close()


def close_event_of(code: int | None, reason: str) -> Close:
    """Return the event that the peer will see for these arguments; errors as in `close_payload`."""
    return close_event(close_payload(code, reason))


def close_payload(code: int | None, reason: str) -> bytes:
    """Return the payload of a Close frame; ValueError for what may not be sent (§5.5.1, §7.4)."""
    if not isinstance(reason, str):
        raise TypeError(f"a close reason is a str, not {type(reason).__name__!r}")
    if not isinstance(code, int | None):
        raise TypeError(f"a close code is an int or None, not {type(code).__name__!r}")
    if code is None:
        if reason:
            raise ValueError("a close reason needs a close code")
        return b""
    if not is_sendable_close_code(code):
        raise ValueError(f"the close code {code} may not be sent")
    text = reason.encode()
    if len(text) > MAX_REASON_SIZE:
        text = text[: unfinished(text[: MAX_REASON_SIZE + 1])]
    return code.to_bytes(2) + text
