"""What the drop-in for aiohttp puts between a connection and its transport: all that is sent in a tick is one write.

A write is a call of the system, and costs as much as all that aiohttp does for a short message.

Floor 5.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any, Final

from aiohttp.http import WebSocketWriter as HostWriter

__all__ = ["GatheringTransport", "HostWriter", "Writer", "flush_at_eof"]

# So much, in bytes, is not kept for the end of the tick, and a piece of it not copied to make one of several.
_LARGE: Final = 1 << 16


class GatheringTransport:
    """A transport that writes once in a tick of the event loop, at its end, and before it closes.

    Args:
        transport: what it writes to; it answers everything else, too.
        loop: calls it at the end of the tick.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._call_soon = loop.call_soon
        self._pieces: list[Any] = []
        self._size = 0
        self.is_closing = transport.is_closing  # asked for every frame

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: Any) -> None:
        """Write `data` at the end of the tick; at once where it is long, or could change until then."""
        size = len(data)
        if size >= _LARGE or type(data) is not bytes:
            self.flush()
            self._transport.write(data)
            return
        pieces = self._pieces
        if not pieces:
            self._call_soon(self.flush)
        pieces.append(data)
        self._size += size
        if self._size >= _LARGE:
            self.flush()

    def writelines(self, pieces: Any) -> None:
        """Write all of the pieces."""
        for data in pieces:
            self.write(data)

    def flush(self) -> None:
        """Write now what is to be written."""
        if not self._pieces:
            return
        data = b"".join(self._pieces)
        self._pieces = []
        self._size = 0
        # Not `writelines`: in Python 3.12.0 to 3.12.8, 3.13.0 and 3.13.1 it never pauses the writer (CVE-2024-12254).
        if not self.is_closing():
            self._transport.write(data)

    def write_eof(self) -> None:
        """Write, and close this direction."""
        self.flush()
        self._transport.write_eof()

    @property
    def _sendfile_compatible(self) -> Any:
        # `loop.sendfile` asks for it, and would send past what waits here: aiohttp writes the file where there is none.
        raise NotImplementedError

    def get_write_buffer_size(self) -> int:
        """Return how many bytes are not written yet."""
        return self._size + self._transport.get_write_buffer_size()

    def close(self) -> None:
        """Write, and close the connection."""
        self.flush()
        self._transport.close()

    def abort(self) -> None:
        """Write what the system takes, and cut the connection."""
        self.flush()
        self._transport.abort()


class Writer(HostWriter):  # type: ignore[misc]
    """aiohttp's writer of frames, on a transport that gathers what is written.

    The connection's protocol gets the same transport, so that whoever closes it closes that one.

    Args:
        protocol, transport, options: as aiohttp's writer takes them.
    """

    def __init__(self, protocol: Any, transport: Any, **options: Any) -> None:
        if protocol.transport is transport and type(transport) is not GatheringTransport:
            transport = protocol.transport = GatheringTransport(transport, protocol._loop)
        super().__init__(protocol, transport, **options)


def flush_at_eof(eof_received: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a protocol's `eof_received` that writes first what waits: the transport is closed right behind it."""

    @functools.wraps(eof_received)
    def flush_first(protocol: Any) -> Any:
        if type(protocol.transport) is GatheringTransport:
            protocol.transport.flush()
        return eof_received(protocol)

    return flush_first
