"""aiohttp on this codec: what its WebSockets read from clients, and when they write.

    import wscodec.dropin.aiohttp
    wscodec.dropin.aiohttp.install()

From then on each new WebSocket of aiohttp, server or client, writes once in a tick of the event loop, and servers read
with ours what is not compressed. Where aiohttp runs without its compiled modules, clients do, too, and mask with ours.
All else is aiohttp's.

Floor 5.
"""

from __future__ import annotations

import functools
from typing import Any

import aiohttp._websocket.writer
import aiohttp.client
import aiohttp.web_ws

from wscodec import apply_mask_inplace, backend

from ._aiohttp_check import check
from ._aiohttp_reader import ClientReader, HostReader, ServerReader
from ._aiohttp_transport import Writer
from ._patching import Patch, Place

__all__ = ["install", "installed", "uninstall"]


def install(*, gather: bool = True) -> bool:
    """Give ours to all WebSockets of aiohttp that are opened from now on.

    Before that it is tried on this version of aiohttp. Where something is not as it was, a warning says so, once, and
    aiohttp stays as it is.

    Args:
        gather: whether what is sent in one tick of the event loop is written at its end, all at once. Without, each
            message is written at once, as in aiohttp: for applications that send and then block the event loop. The
            last call counts, for all.

    Returns:
        Whether ours is in place.
    """
    Writer.gathering = gather
    return _patch.install()


def uninstall() -> None:
    """Give aiohttp's own to the WebSockets that are opened from now on; the others keep ours."""
    _patch.uninstall()


def installed() -> bool:
    """Return whether new WebSockets get ours."""
    return _patch.installed()


def _new_reader(ours: type[ServerReader], queue: Any, max_msg_size: int, **options: Any) -> HostReader:
    """Return our reader, or aiohttp's where that is what compressed messages or undecoded text need."""
    plain = not options.get("compress", True) and options.get("decode_text", True)
    return (ours if plain else HostReader)(queue, max_msg_size, **options)


def _mask(key: bytes, data: bytearray) -> None:
    apply_mask_inplace(data, key)


server_reader = functools.partial(_new_reader, ServerReader)
client_reader = functools.partial(_new_reader, ClientReader)


def _places() -> list[Place]:
    """Return where ours is faster, which depends on what of aiohttp and of this codec is compiled."""
    places = [
        Place(aiohttp.web_ws, "WebSocketWriter", Writer),
        Place(aiohttp.client, "WebSocketWriter", Writer),
    ]
    if backend == "compiled":
        places.append(Place(aiohttp.web_ws, "WebSocketReader", server_reader))
        if HostReader.__module__.endswith("_py"):
            places.append(Place(aiohttp.client, "WebSocketReader", client_reader))
            places.append(Place(aiohttp._websocket.writer, "websocket_mask", _mask))
    return places


_patch = Patch("aiohttp", (3, 11), (3, 15), _places(), functools.partial(check, ServerReader, ClientReader, Writer))
