"""What a decoder returns besides plain messages, which are `str` and `bytes` themselves.

Floor 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from .spec import CloseCode

__all__ = ["Close", "Event", "Fragment", "Frame", "Ping", "Pong"]


@dataclass(frozen=True, slots=True)
class Ping:
    """A Ping frame (RFC 6455 §5.5.2). `payload` has at most 125 bytes."""

    payload: bytes = b""


@dataclass(frozen=True, slots=True)
class Pong:
    """A Pong frame (RFC 6455 §5.5.3). `payload` has at most 125 bytes."""

    payload: bytes = b""


@dataclass(frozen=True, slots=True)
class Close:
    """A Close frame (RFC 6455 §5.5.1). `code` is 1005 where the frame carried none."""

    code: int = CloseCode.NO_STATUS_RCVD
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Fragment:
    """A part of a message, from a decoder that was asked to stream.

    Attributes:
        data: `str` for a text message, `bytes` for a binary one; it may be empty.
        fin: whether it is the last part of its message. Parts need not match the peer's frames.
    """

    data: str | bytes
    fin: bool


@dataclass(frozen=True, slots=True)
class Frame:
    """One raw frame, reserved bits and all (RFC 6455 §5.2)."""

    opcode: int
    payload: bytes = b""
    fin: bool = True
    rsv1: bool = False
    rsv2: bool = False
    rsv3: bool = False


Event: TypeAlias = str | bytes | Ping | Pong | Close | Fragment
