"""websockets on this codec: its frames, with asyncio, threads or trio, and whoever uses its sans-I/O protocol.

    import wscodec.dropin.websockets
    wscodec.dropin.websockets.install()

From then on all its connections have their frames read and written by ours. All else is websockets' own: the handshake,
the extensions, exceptions, limits, logs. For the connections of one server or one client alone, `create_connection=`
takes `ServerConnection` or `ClientConnection` from here.

Floor 5.
"""

from __future__ import annotations

import functools
from typing import Any

import websockets.asyncio.client
import websockets.asyncio.server
from websockets.asyncio.connection import Connection
from websockets.protocol import Protocol

from ._patching import Patch, Place
from ._websockets_asyncio import recv, send
from ._websockets_check import check
from ._websockets_frames import parse, send_binary, send_text

__all__ = ["ClientConnection", "ServerConnection", "install", "installed", "uninstall", "with_codec"]

_Frames: Any = type("_Frames", (Protocol,), {"parse": parse, "send_binary": send_binary, "send_text": send_text})
_Messages: Any = type("_Messages", (Connection,), {"recv": recv, "send": send})


def install() -> bool:
    """Give ours to all connections of websockets.

    Before that it is tried on this version of websockets. Where something is not as it was, a warning says so, once,
    and websockets stays as it is.

    Returns:
        Whether ours is in place.
    """
    return _patch.install()


def uninstall() -> None:
    """Give websockets its own back; a connection that was opened before goes on reading with ours."""
    _patch.uninstall()


def installed() -> bool:
    """Return whether ours is in place."""
    return _patch.installed()


def with_codec(connection_class: Any) -> Any:
    """Return a connection class on this codec, for the argument `create_connection` of `serve` or `connect`.

    Args:
        connection_class: a connection class of websockets, for asyncio, threads or trio, or a subclass of one.

    Returns:
        A subclass, or the class itself where it is on this codec already.
    """
    if issubclass(connection_class, _WithCodec):
        return connection_class
    bases = (connection_class, _Messages) if issubclass(connection_class, Connection) else (connection_class,)
    return type(connection_class.__name__, (_WithCodec, *bases), {"__module__": connection_class.__module__})


class _WithCodec:
    """A connection that has its protocol, which is one of its arguments, use this codec."""

    def __init__(self, *args: Any, **options: Any) -> None:
        for argument in args:
            if isinstance(argument, Protocol):
                host_class: Any = type(argument)
                argument.__class__ = _protocol_class(host_class)
        super().__init__(*args, **options)


@functools.cache
def _protocol_class(host_class: type[Any]) -> Any:
    """Return a subclass whose `super().parse()` is ours."""
    return type(host_class.__name__, (host_class, _Frames), {"__module__": host_class.__module__})


ServerConnection: Any = with_codec(websockets.asyncio.server.ServerConnection)
ClientConnection: Any = with_codec(websockets.asyncio.client.ClientConnection)


_patch = Patch(
    "websockets",
    (13,),
    (18,),
    [
        Place(Protocol, "parse", parse),
        Place(Protocol, "send_binary", send_binary),
        Place(Protocol, "send_text", send_text),
        Place(Connection, "recv", recv),
        Place(Connection, "send", send),
    ],
    check,
)
