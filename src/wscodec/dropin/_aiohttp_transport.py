"""What the drop-in for aiohttp puts between a connection and its transport: all that is sent in a tick is one write.

A write is a call of the system, and costs as much as all that aiohttp does for a short message.

Floor 5.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from aiohttp.http import WebSocketWriter as HostWriter

__all__ = ["GatheringTransport", "HostWriter", "Writer"]

# So much is not kept for the end of the tick, nor copied to make one piece of it.
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
        if type(data) is not bytes:
            self.flush()
            self._transport.write(data)
            return
        pieces = self._pieces
        if not pieces:
            self._call_soon(self.flush)
        pieces.append(data)
        self._size += len(data)
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
        pieces, self._pieces = self._pieces, []
        size, self._size = self._size, 0
        if self.is_closing():
            return
        if len(pieces) == 1:
            self._transport.write(pieces[0])
        elif size < _LARGE:
            self._transport.write(b"".join(pieces))
        else:
            self._transport.writelines(pieces)

    def write_eof(self) -> None:
        """Write, and close this direction."""
        self.flush()
        self._transport.write_eof()

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
