"""What `serve` and `connect` have in common: the settings of a connection, and awaiting or entering them.

Floor 4.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import math
import socket
import sys
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Generic, TypeAlias, TypeVar

from .._backend import Outbox
from ..connection import Connection
from ..deflate import PerMessageDeflate
from ..spec import DEFAULT_MAX_FRAGMENTS, DEFAULT_MAX_SIZE, CloseCode, Role
from ._rounds import Rounds

__all__ = [
    "STOPS",
    "CompressionLike",
    "LoggerLike",
    "Opening",
    "Options",
    "check_time",
    "closing_code",
    "end_output",
    "set_nodelay",
]

CompressionLike: TypeAlias = "PerMessageDeflate | str | None"
LoggerLike: TypeAlias = "logging.Logger | logging.LoggerAdapter[Any]"
T = TypeVar("T")

# What is raised to stop the program. All else that a callback raises is a failure of its own, CancelledError included:
# one that asks a cancelled future for its result is not cancelled.
STOPS = (SystemExit, KeyboardInterrupt)

# What a block leaves with that is ended from outside.
_LEAVING = (asyncio.CancelledError, GeneratorExit, *STOPS)


@dataclass(frozen=True, slots=True)
class Options:
    """The settings that all connections of one `serve` or `connect` share; times in seconds, None for no limit."""

    logger: LoggerLike
    ping_interval: float | None = 20
    ping_timeout: float | None = 20
    close_timeout: float | None = 10
    max_size: int | None = DEFAULT_MAX_SIZE
    max_fragments: int | None = DEFAULT_MAX_FRAGMENTS
    queue_high: int = 16
    queue_low: int = 4
    write_high: int = 32768
    write_low: int = 8192
    streaming: bool = False
    compression: PerMessageDeflate | None = None
    on_messages: Callable[[Any, list[Any]], object] | None = None
    on_open: Callable[[Any], object] | None = None
    on_close: Callable[[Any], object] | None = None
    rounds: Rounds = field(default_factory=functools.partial(Rounds, 1))
    outbox: Outbox = field(default_factory=Outbox)

    @classmethod
    def of(
        cls,
        logger: LoggerLike,
        max_queue: int | tuple[int, int] | None,
        write_limit: int | tuple[int, int],
        compression: CompressionLike,
        **settings: Any,
    ) -> Options:
        """Return the settings for these arguments of `serve` and `connect`.

        Raises:
            ValueError: a limit is negative, a low mark is above its high mark, a time is not above 0 or
                without end, or there is no such `compression`.
            TypeError: a limit is not a number.
        """
        for name in ("ping_interval", "ping_timeout", "close_timeout"):
            check_time(name, settings[name])
        # To complain now, and not as the first peer comes.
        Connection(Role.SERVER, max_size=settings.get("max_size"), max_fragments=settings.get("max_fragments"))
        queue_high, queue_low = (sys.maxsize, sys.maxsize) if max_queue is None else _marks("max_queue", max_queue)
        write_high, write_low = _marks("write_limit", write_limit)
        return cls(
            logger,
            queue_high=queue_high,
            queue_low=queue_low,
            write_high=write_high,
            write_low=write_low,
            compression=_compression(compression),
            rounds=Rounds(_step(settings["ping_interval"], settings["ping_timeout"])),
            **settings,
        )


@functools.cache
def _default_deflate() -> PerMessageDeflate:
    """Return the one of all that say no more: a new one tries itself out on its engine."""
    return PerMessageDeflate()


def _compression(compression: CompressionLike) -> PerMessageDeflate | None:
    """Return what `compression` means; ValueError where it means nothing."""
    if compression is None or isinstance(compression, PerMessageDeflate):
        return compression
    if compression == "deflate":
        return _default_deflate()
    raise ValueError(f'compression is "deflate", a PerMessageDeflate or None, not {compression!r}')


def _marks(name: str, limit: int | tuple[int, int]) -> tuple[int, int]:
    """Return the high and the low mark that `limit` means; ValueError where they are no marks."""
    high, low = limit if isinstance(limit, tuple) else (limit, limit // 4)
    if not 0 <= low <= high:
        raise ValueError(f"{name} is a high mark or (high, low), each 0 or more, not {limit!r}")
    return high, low


def check_time(name: str, seconds: float | None) -> None:
    """Refuse what is no time to wait for: ValueError for 0 and less, for infinity, and for what is no number."""
    if seconds is not None and not 0 < seconds < math.inf:
        raise ValueError(f"{name} is a finite number of seconds above 0, or None, not {seconds!r}")


def _step(*times: float | None) -> float:
    """Return the time between two rounds of keepalive: a second, or less where one of `times` is short."""
    return min([1.0, *(time / 20 for time in times if time is not None)])


def set_nodelay(transport: asyncio.BaseTransport) -> None:
    """Have small frames sent at once where the transport is TCP.

    Event loops do so themselves, but not for each socket that a caller brings along.
    """
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError):  # the peer may be gone already
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def end_output(transport: asyncio.Transport) -> None:
    """End our output and leave input open where the transport can do that, as TLS can't; else close it."""
    if not transport.can_write_eof():
        transport.close()
        return
    try:
        transport.write_eof()
    except OSError:  # the peer has reset the connection
        transport.abort()


class Opening(Generic[T]):
    """What can be awaited to open something, or entered to open it and to close it at the end."""

    _opened: T

    def _open(self) -> Coroutine[Any, Any, T]:
        raise NotImplementedError

    async def _close(self, opened: T, error: BaseException | None) -> None:
        raise NotImplementedError

    def __await__(self) -> Generator[Any, None, T]:
        return self._open().__await__()

    async def __aenter__(self) -> T:
        self._opened = await self._open()
        return self._opened

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        opened = self._opened
        del self._opened
        await self._close(opened, error)


def closing_code(error: BaseException | None) -> CloseCode:
    """Return the close code for a block that ended with `error`, if any (RFC 6455 §7.4.1)."""
    if error is None:
        return CloseCode.NORMAL_CLOSURE
    return CloseCode.GOING_AWAY if isinstance(error, _LEAVING) else CloseCode.INTERNAL_ERROR
