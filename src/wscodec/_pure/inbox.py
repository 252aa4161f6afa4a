"""What a connection on an event loop has received and nobody has asked for yet, in pure Python; `_inbox.pyx`'s twin.

Floor 1.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Literal, overload

from ..spec import QUEUE_SIZE

__all__ = ["Inbox"]


class Inbox:
    """The items that were received and wait to be asked for.

    Args:
        loop: the event loop.
        queue_high: how many may wait before reading is paused.
        direct: whether all items are whole messages, for whoever asks.
    """

    __slots__ = (
        "_closing",
        "_direct",
        "_discarding",
        "_loop",
        "_next",
        "_queue",
        "_queue_high",
        "_queue_size",
        "_reading_paused",
        "_waiter",
    )

    def __init__(self, loop: Any, queue_high: int, direct: bool) -> None:
        self._loop = loop
        self._queue_high = queue_high
        self._direct = direct
        self._queue: list[Any] | None = None
        self._next = 0
        self._queue_size = 0
        self._waiter: Any = None
        self._closing = self._discarding = self._reading_paused = False

    def _enqueue(self, items: list[Any]) -> None:
        """Keep items until they are asked for; while closing, only as many as the limits allow."""
        if self._closing and (self._discarding or self._is_queue_full()):
            self._discarding = True  # what comes later would follow a gap
            return
        if self._queue is None:
            self._queue, self._next = items, 0
        else:
            del self._queue[: self._next]
            self._next = 0
            self._queue += items
        self._queue_size += sum(map(_size_of, items))
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        if self._is_queue_full():
            self._regulate()

    @property
    def _unread(self) -> int:
        """How many items wait to be asked for."""
        return 0 if self._queue is None else len(self._queue) - self._next

    def _is_queue_full(self) -> bool:
        """Tell whether there is as much in the queue as there may be."""
        return self._unread > self._queue_high or self._queue_size > QUEUE_SIZE

    def _dequeue(self) -> Any:
        """Return the oldest item."""
        assert self._queue is not None
        item = self._queue[self._next]
        self._queue[self._next] = None
        self._next += 1
        if self._next == len(self._queue):
            # The size is that of all that came since the queue was empty: to take off each item's size as it
            # goes would cost more than the item's whole way through here.
            self._queue = None
            self._queue_size = 0
        if self._reading_paused:
            self._regulate()
        return item

    def _has_message(self) -> bool:
        """Tell whether a whole message can be taken from the queue, and nobody else is about to."""
        return self._queue is not None and self._waiter is None and isinstance(self._queue[self._next], (str, bytes))

    async def __anext__(self) -> str | bytes:
        """Return the next message; the iteration ends where the connection was closed with 1000, 1001 or 1005."""
        return self._dequeue() if self._has_message() else await self._anext_by_rules()

    @overload
    async def recv(self, decode: Literal[True]) -> str: ...

    @overload
    async def recv(self, decode: Literal[False]) -> bytes: ...

    @overload
    async def recv(self, decode: bool | None = None) -> str | bytes: ...

    async def recv(self, decode: bool | None = None) -> str | bytes:
        """Return the next message.

        A cancelled call loses no message. With `streaming`, the message is put together here.

        Args:
            decode: True turns bytes into str, False str into bytes; None leaves a text message str and a binary
                one bytes.

        Raises:
            ConnectionClosed: there are no more messages.
            ConcurrencyError: another task is receiving, or messages go to `on_messages`.
            UnicodeDecodeError: `decode` is True, and the message is no UTF-8.

        RFC 6455 §6.2.
        """
        if decode is None and self._has_message():
            message: str | bytes = self._dequeue()
            return message
        return await self._recv_by_rules(decode)

    def _anext_by_rules(self) -> Coroutine[Any, Any, str | bytes]:
        raise NotImplementedError

    def _recv_by_rules(self, decode: bool | None) -> Coroutine[Any, Any, str | bytes]:
        raise NotImplementedError

    def _regulate(self) -> None:
        raise NotImplementedError


def _size_of(item: Any) -> int:
    """Return the size of an item of the queue: in characters for text, else in bytes."""
    return len(item) if isinstance(item, (str, bytes)) else len(item.data)
