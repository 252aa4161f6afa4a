"""gevent-websocket on this codec: how it unmasks what it receives, and validates and decodes text.

    import wscodec.dropin.gevent_websocket
    wscodec.dropin.gevent_websocket.install()

All else is gevent-websocket's: what it reads and when, events and errors, close codes.

Floor 5.
"""

from __future__ import annotations

from typing import Any

import geventwebsocket.websocket
from geventwebsocket.websocket import Header, WebSocket

from wscodec import apply_mask_inplace, decode_utf8

from ._gevent_websocket_check import check
from ._patching import Patch, Place
from ._wsaccel import TextValidator

__all__ = ["install", "installed", "uninstall"]

_host_mask = Header.mask_payload
_host_decode = WebSocket._decode_bytes


def _mask(header: Any, payload: Any) -> Any:
    """Return a payload, masked or unmasked, as a bytearray."""
    if len(payload) != header.length:
        return _host_mask(header, payload)  # which masks as much as the header says
    masked = bytearray(payload)
    apply_mask_inplace(masked, header.mask)
    return masked


def _decode(ws: Any, text: Any) -> Any:
    """Return the text of a message."""
    try:
        return decode_utf8(text) if text else ""
    except UnicodeDecodeError:
        return _host_decode(ws, text)  # which closes the connection


def install() -> bool:
    """Have gevent-websocket unmask, validate and decode with this codec.

    Connections that are open keep gevent-websocket's own validator. Before that it is tried on this version of
    gevent-websocket. Where something is not as it was, a warning says so, once, and gevent-websocket stays as it is.

    Returns:
        Whether ours is in place.
    """
    return _patch.install()


def uninstall() -> None:
    """Give gevent-websocket its own functions again; connections that are open keep our validator."""
    _patch.uninstall()


def installed() -> bool:
    """Return whether ours is in place."""
    return _patch.installed()


_patch = Patch(
    "gevent-websocket",
    (0, 10),
    (0, 11),
    [
        Place(geventwebsocket.websocket, "Utf8Validator", TextValidator),
        Place(Header, "mask_payload", _mask),
        Place(Header, "unmask_payload", _mask),
        Place(WebSocket, "_decode_bytes", _decode),
    ],
    check,
)
