"""What is measured, on whom, and what has to be reached."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

# The rivals are the programs in servers/; each says which package it needs.
PACKAGES = {
    "wscodec_callback": "wscodec",
    "wscodec_async_for": "wscodec",
    "picows_callback": "picows",
    "picows_websockets": "picows",
    "websockets_async_for": "websockets",
    "aiohttp_async_for": "aiohttp",
    "picows_text": "picows",
    "uvicorn_wscodec": "uvicorn",
    "uvicorn_websockets": "uvicorn",
    "uvicorn_sansio": "uvicorn",
}
UVICORN = tuple(name for name in PACKAGES if name.startswith("uvicorn"))
# The others are measured only if they are named.
RIVALS = [name for name in PACKAGES if name not in ("picows_text", *UVICORN)]
ASYNC_FOR = ("wscodec_async_for", "picows_websockets", "websockets_async_for", "aiohttp_async_for")
BROADCASTERS = tuple(name for name in PACKAGES if not name.startswith(("aiohttp", "picows_text", "uvicorn")))


@dataclass(frozen=True)
class Case:
    """A kind of load; `rivals` are those that can be compared in it."""

    key: str
    title: str
    kind: str
    connections: int
    size: int = 0
    in_flight: int = 0
    rivals: tuple[str, ...] = tuple(PACKAGES)


def echo(key: str, size: str, size_in_bytes: int, in_flight: int) -> Case:
    """Return the case of echoes on 50 connections."""
    return Case(f"echo-{key}-{in_flight}", f"{size}, {in_flight} in flight", "echo", 50, size_in_bytes, in_flight)


# How many connections an idle server has before those that are counted.
WARM_UP = 500

ALL = [
    echo("32", "32 B", 32, 1),
    echo("32", "32 B", 32, 16),
    echo("1k", "1 KiB", 1024, 1),
    echo("1k", "1 KiB", 1024, 16),
    echo("16k", "16 KiB", 16384, 1),
    echo("64k", "64 KiB", 65536, 1),
    echo("1m", "1 MiB", 1048576, 1),
    Case("fanout", "fan-out of 128 B to 5,000", "fanout", 5000, rivals=BROADCASTERS),
    Case("idle", "2,000 idle connections", "idle", 2000, rivals=(*ASYNC_FOR, "picows_callback", *UVICORN)),
]


class Goal(NamedTuple):
    """A ratio that has to be reached, of speeds or of bytes per idle connection; or, without a peer, the most bytes."""

    case: str
    ours: str
    peer: str | None
    value: float


GOALS = [
    Goal("echo-32-1", "wscodec_callback", "picows_callback", 1.0),
    Goal("echo-32-16", "wscodec_callback", "picows_callback", 10),
    Goal("echo-32-1", "wscodec_async_for", "picows_callback", 0.85),
    Goal("echo-32-1", "wscodec_async_for", "picows_websockets", 1.0),
    Goal("echo-32-1", "wscodec_async_for", "websockets_async_for", 1.8),
    Goal("echo-32-16", "wscodec_async_for", "picows_callback", 6),
    Goal("echo-32-16", "wscodec_async_for", "websockets_async_for", 12),
    Goal("echo-16k-1", "wscodec_async_for", "picows_callback", 1.0),
    Goal("echo-16k-1", "wscodec_async_for", "websockets_async_for", 2),
    Goal("echo-1m-1", "wscodec_async_for", "picows_callback", 0.95),
    Goal("echo-1m-1", "wscodec_async_for", "websockets_async_for", 1.6),
    Goal("fanout", "wscodec_async_for", "websockets_async_for", 3),
    Goal("idle", "wscodec_async_for", None, 4096),
    Goal("echo-32-1", "uvicorn_wscodec", "uvicorn_websockets", 2.2),
    Goal("echo-32-1", "uvicorn_wscodec", "uvicorn_sansio", 1.5),
    Goal("echo-32-16", "uvicorn_wscodec", "uvicorn_websockets", 8),
    Goal("echo-32-16", "uvicorn_wscodec", "uvicorn_sansio", 6),
    Goal("idle", "uvicorn_wscodec", "uvicorn_websockets", 1),
    Goal("idle", "uvicorn_wscodec", "uvicorn_sansio", 1),
]
