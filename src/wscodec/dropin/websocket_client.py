"""websocket-client on this codec: how it validates and decodes text, and how it masks what it sends.

    import wscodec.dropin.websocket_client
    wscodec.dropin.websocket_client.install()

All else is websocket-client's: what it reads and when, events and errors, close codes.

Floor 5.
"""

from __future__ import annotations

from os import urandom
from typing import Any

import websocket._utils
from websocket import ABNF, WebSocket

from wscodec import apply_mask, build_header, decode_utf8
from wscodec.keys import take_key

from ._patching import Patch, Place
from ._websocket_client_check import check
from ._wsaccel import begins_text

__all__ = ["install", "installed", "uninstall"]

_MASKED = "mask_value" if hasattr(ABNF(), "mask_value") else "mask"  # by version
_host_format = ABNF.format


def _format(frame: Any) -> Any:
    """Return the bytes of a frame; what is not plain, or masked by a key of the user's, is websocket-client's."""
    payload = frame.data
    if (
        type(payload) not in (bytes, bytearray)
        or frame.rsv1
        or frame.rsv2
        or frame.rsv3
        or frame.fin not in (0, 1)
        or frame.opcode not in ABNF.OPCODES
        or getattr(frame, _MASKED) != 1
        or frame.get_mask_key is not urandom
    ):
        return _host_format(frame)
    key = take_key()
    return build_header(frame.opcode, len(payload), fin=frame.fin, masking_key=key) + apply_mask(payload, key)


def _recv(ws: Any) -> Any:
    """Return the next message; "" for what is neither text nor binary."""
    with ws.readlock:
        opcode, data = ws.recv_data()
    if opcode == ABNF.OPCODE_TEXT:
        return decode_utf8(data) if type(data) is bytes else data
    return data if opcode == ABNF.OPCODE_BINARY else ""


def install() -> bool:
    """Have websocket-client validate, decode and mask with this codec, on all connections, open ones too.

    Before that it is tried on this version of websocket-client. Where something is not as it was, a warning says so,
    once, and websocket-client stays as it is.

    Returns:
        Whether ours is in place.
    """
    return _patch.install()


def uninstall() -> None:
    """Give websocket-client its own functions again."""
    _patch.uninstall()


def installed() -> bool:
    """Return whether ours is in place."""
    return _patch.installed()


_patch = Patch(
    "websocket-client",
    (1, 4),
    (2,),
    [
        Place(websocket._utils, "_validate_utf8", begins_text),
        Place(ABNF, "format", _format),
        Place(WebSocket, "recv", _recv),
    ],
    check,
)
