"""What a connection counts.

Floor 0.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Stats"]


@dataclass(frozen=True, slots=True)
class Stats:
    """What a connection has received and sent so far, and what waits.

    Attributes:
        messages_received, messages_sent: whole ones.
        frames_received, frames_sent: whole ones, those of control too.
        bytes_received, bytes_sent: with headers, and what waits to be sent.
        unsent_size: bytes that wait for `data_to_send`.
    """

    messages_received: int
    messages_sent: int
    frames_received: int
    frames_sent: int
    bytes_received: int
    bytes_sent: int
    unsent_size: int
