"""One message to many connections.

Floor 4.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from .._backend import write_frame
from .._typing import Message
from ..encoder import PreparedMessage
from ..errors import ConcurrencyError, ConnectionClosed
from ..spec import CloseCode
from .connection import WebSocket

__all__ = ["Broadcast", "broadcast"]


@dataclass(slots=True)
class Broadcast:
    """What became of a broadcast, in connections.

    Attributes:
        sent: have got it.
        skipped: have not, since they read too slowly, or are in the middle of a fragmented message.
        dropped: were closed, since they read too slowly.
        closed: were closed or closing already.
    """

    sent: int = 0
    skipped: int = 0
    dropped: int = 0
    closed: int = 0


def broadcast(
    connections: Iterable[WebSocket],
    message: Message | PreparedMessage,
    *,
    text: bool | None = None,
    slow: Literal["skip", "close", "send"] = "skip",
) -> Broadcast:
    """Send a message to many connections without waiting; it is encoded once for all of a server's.

    Where a thread is compressing a large message for one of them, that is waited for.

    A connection is slow while its transport has more to write than `write_limit`.

    Args:
        connections: on any mixture of servers and clients of this event loop.
        message: a str, sent as text; a bytes-like object, sent as binary; or either prepared.
        text: as in `WebSocket.send`; not with a prepared message.
        slow: "skip" leaves slow connections out this time; "close" closes them with 1013 (try again later), for
            those who can't do without a message; "send" has it wait in memory, without limit.

    Returns:
        How many connections got it, and what became of the others.

    Raises:
        TypeError, ValueError: as `WebSocket.send` does; then nothing was sent. Also for another `slow`.

    RFC 6455 §6.1.
    """
    if slow not in ("skip", "close", "send"):
        raise ValueError(f'slow is "skip", "close" or "send", not {slow!r}')
    prepared = message if isinstance(message, PreparedMessage) else PreparedMessage(message, text=text)
    count, others = write_frame(connections, prepared.frame)
    result = Broadcast(sent=count)
    for ws in others:
        if ws._transport is not None and ws._transport.is_closing():
            result.closed += 1
            continue
        if ws._write_paused and slow != "send":
            _pass_over(ws, slow, result)
            continue
        try:
            ws._send_at_once(prepared)
            result.sent += 1
        except ConnectionClosed:
            result.closed += 1
        except ConcurrencyError:
            result.skipped += 1
    return result


def _pass_over(ws: WebSocket, slow: str, result: Broadcast) -> None:
    """Skip or drop a connection that reads too slowly."""
    if ws._closing:
        result.closed += 1
    elif slow == "skip":
        result.skipped += 1
    else:
        ws.close_nowait(CloseCode.TRY_AGAIN_LATER, "reads too slowly")
        result.dropped += 1
