"""All hosts that there is a drop-in for.

Floor 5.
"""

from __future__ import annotations

import importlib
import warnings
from importlib import metadata
from typing import NamedTuple

__all__ = ["HOSTS", "Host", "accelerate"]


class Host(NamedTuple):
    """A library that a drop-in puts this codec under.

    Attributes:
        name: that of its distribution.
        module: what a program imports that uses WebSockets by it.
        dropin: the drop-in's module in this package.
    """

    name: str
    module: str
    dropin: str

    @property
    def version(self) -> str | None:
        """The version that is installed, or None."""
        try:
            return metadata.version(self.name)
        except metadata.PackageNotFoundError:
            return None


HOSTS = {
    host.name: host
    for host in (
        Host("uvicorn", "uvicorn.config", "uvicorn"),
        Host("wsproto", "wsproto.connection", "wsproto"),
        Host("websockets", "websockets.protocol", "websockets"),
        Host("aiohttp", "aiohttp", "aiohttp"),
        Host("tornado", "tornado.websocket", "tornado"),
        Host("websocket-client", "websocket", "websocket_client"),
        Host("gevent-websocket", "geventwebsocket.websocket", "gevent_websocket"),
        Host("autobahn", "autobahn.websocket.protocol", "autobahn"),
    )
}


def accelerate(name: str) -> str:
    """Install the drop-in for a host, and return a line that says so, or why not.

    Args:
        name: one of `HOSTS`.

    Raises:
        Exception: the drop-in can't be imported, for the host is not what it knows.
    """
    host = HOSTS[name]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        dropin = importlib.import_module(f".{host.dropin}", __package__)
        if dropin.install():
            return f"wscodec accelerates {name} {host.version}"
    reasons = [str(warning.message) for warning in caught if warning.category is RuntimeWarning]
    return reasons[-1] if reasons else f"wscodec stays out of {name}, and has said why"
