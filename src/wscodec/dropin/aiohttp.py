"""aiohttp, whose WebSockets write once in a tick, and on this codec where aiohttp itself is not compiled.

    import wscodec.dropin.aiohttp
    wscodec.dropin.aiohttp.install()

From then on each new WebSocket of aiohttp, server or client, writes once in a tick of the event loop. The compiled
reader and mask of aiohttp are fast and stay. Where it runs without them, ours read what is not compressed, and mask.

Floor 5.
"""

from __future__ import annotations

import functools
from typing import Any

import aiohttp._websocket.writer
import aiohttp.client
import aiohttp.web_ws
from aiohttp.client_proto import ResponseHandler
from aiohttp.web_protocol import RequestHandler

from wscodec import apply_mask_inplace, backend

from ._aiohttp_check import check
from ._aiohttp_reader import ClientReader, HostReader, ServerReader
from ._aiohttp_transport import Writer, flush_at_eof
from ._patching import Patch, Place

__all__ = ["install", "installed", "uninstall"]


def install() -> bool:
    """Give ours to all WebSockets of aiohttp that are opened from now on.

    Before that it is tried on this version of aiohttp. Where something is not as it was, a warning says so, once, and
    aiohttp stays as it is.

    Returns:
        Whether ours is in place.
    """
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


# The readers of which aiohttp's are slower: none where those are compiled, or ours are not.
_readers = [ServerReader, ClientReader] if backend == "compiled" and HostReader.__module__.endswith("_py") else []
_places = [
    Place(aiohttp.web_ws, "WebSocketWriter", Writer),
    Place(aiohttp.client, "WebSocketWriter", Writer),
    Place(RequestHandler, "eof_received", flush_at_eof(RequestHandler.eof_received)),
    Place(ResponseHandler, "eof_received", flush_at_eof(ResponseHandler.eof_received)),
]
if _readers:
    _places += [
        Place(aiohttp.web_ws, "WebSocketReader", server_reader),
        Place(aiohttp.client, "WebSocketReader", client_reader),
        Place(aiohttp._websocket.writer, "websocket_mask", _mask),
    ]

_patch = Patch("aiohttp", (3, 11), (3, 15), _places, functools.partial(check, Writer, _readers))
