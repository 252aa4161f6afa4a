"""What the connections of one Uvicorn server have in common, and what its application is told.

Floor 5.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import math
import sys
from typing import Any
from urllib.parse import unquote
from weakref import WeakKeyDictionary

from uvicorn.config import Config
from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl

from wscodec import PerMessageDeflate, ServerHandshake
from wscodec.asyncio import Adopter, Request

__all__ = ["Message", "adopter_of", "disconnect", "new_handshake", "scope_of", "unexpected"]

Message = dict[str, Any]

# Uvicorn has no such limit. 4 MiB in fragments of 64 bytes are 65,536; they take no more memory than a single frame.
_MAX_FRAGMENTS = 1 << 17

_adopters: WeakKeyDictionary[Config, Adopter] = WeakKeyDictionary()


def adopter_of(config: Config) -> Adopter:
    """Return what all connections of a server share: they have one timer, and one write at the end of each tick."""
    adopter = _adopters.get(config)
    if adopter is None:
        adopter = _adopters[config] = Adopter(
            ping_interval=_time(config.ws_ping_interval),
            ping_timeout=_time(config.ws_ping_timeout),
            max_size=config.ws_max_size,
            max_fragments=_MAX_FRAGMENTS,
            max_queue=config.ws_max_queue or None,
            logger=logging.getLogger("uvicorn.error"),
        )
    return adopter


def _time(seconds: float | None) -> float | None:
    """Return a time of Uvicorn's settings, or None: 0, less and infinity mean never there."""
    return seconds if seconds is not None and 0 < seconds < math.inf else None


def new_handshake(config: Config) -> ServerHandshake:
    """Return the handshake for one request: Uvicorn has read it, judged its size, and takes any origin."""
    return ServerHandshake(
        origins=None,
        server_header=None,
        compression=_deflate() if config.ws_per_message_deflate else None,
        max_line_size=sys.maxsize,
        max_head_size=sys.maxsize,
        max_headers=sys.maxsize,
    )


@functools.cache
def _deflate() -> PerMessageDeflate:
    """Return the one of all: a new one tries itself out on its engine."""
    return PerMessageDeflate()


def scope_of(
    request: Request, subprotocols: tuple[str, ...], transport: asyncio.Transport, config: Config, state: dict[str, Any]
) -> Message:
    """Return what the application is told of a request; `root_path` comes ahead of each path, as in Uvicorn."""
    path, _, query = request.path.partition("?")
    root = config.root_path
    return {
        "type": "websocket",
        "asgi": {"version": config.asgi_version, "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "wss" if is_ssl(transport) else "ws",
        "server": get_local_addr(transport),
        "client": get_remote_addr(transport),
        "root_path": root,
        "path": root + unquote(path),
        "raw_path": (root + path).encode("latin-1"),
        "query_string": query.encode("latin-1"),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in request.headers],
        "subprotocols": list(subprotocols),
        "state": state.copy(),
        "extensions": {"websocket.http.response": {}},
    }


def disconnect(code: int, reason: str | None = None) -> Message:
    """Return the last message for an application; as in Uvicorn, one that the server makes up has no reason."""
    told: Message = {"type": "websocket.disconnect", "code": int(code)}
    return told if reason is None else {**told, "reason": reason}


def unexpected(message: Message, expected: tuple[str, ...]) -> RuntimeError:
    """Return the error for a message of the application that may not come now."""
    *others, last = (f"'{kind}'" for kind in expected)
    listed = f"{', '.join(others)} or {last}" if others else last
    return RuntimeError(f"Expected ASGI message {listed}, but got '{message['type']}'.")
