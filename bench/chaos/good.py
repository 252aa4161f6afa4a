"""The good peers: clients that send numbered messages, and look at what comes back."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from typing import Any

from wscodec import PerMessageDeflate
from wscodec.asyncio import ClientConnection, connect

from .peers import HOST, PATIENCE, Broken, Target

FILLER = ("the quick brown fox jumps over the lazy dog, größer als 日本語 😀; " * 4000)[:200_000]
BURST = 8
COMPRESSION = (None, "deflate", PerMessageDeflate(server_no_context_takeover=True, client_no_context_takeover=True))


def messages(name: str, random: random.Random) -> Iterator[str | bytes]:
    """Yield messages of all sizes, each with its number."""
    number = 0
    while True:
        number += 1
        size = random.randrange(random.choices((200, 16_384, 200_000), (980, 19, 1))[0])
        start = random.randrange(len(FILLER) - size)
        text = f"{name} {number} {FILLER[start : start + size]}"
        yield text if random.random() < 0.5 else text.encode()


async def converse(target: Target, name: str, random: random.Random, until: float, mean_pause: float) -> int:
    """Send messages up to a time, and return how many came back, each once and in order; Broken where they don't."""
    scheme = "ws" if target.context is None else "wss"
    settings: dict[str, Any] = {"open_timeout": PATIENCE * target.timeout}
    if target.context is not None:
        settings |= {"ssl": target.context, "server_hostname": "localhost"}
    uri = f"{scheme}://{HOST}:{random.choice(target.ports)}/"
    clock = asyncio.get_running_loop().time
    stream, count = messages(name, random), 0
    async with connect(uri, compression=random.choice(COMPRESSION), **settings) as ws:
        while clock() < until:
            burst = [next(stream) for _ in range(random.randint(1, BURST))]
            await asyncio.gather(send_all(ws, burst, random), receive_all(ws, burst))
            count += len(burst)
            await asyncio.sleep(min(random.random() * 2 * mean_pause, max(0, until - clock())))
    if ws.close_code != 1000 or ws.stats.unread_messages:
        raise Broken(f"{name} ended with {ws.close_code} and {ws.stats.unread_messages} unread messages")
    return count


async def send_all(ws: ClientConnection, burst: list[str | bytes], random: random.Random) -> None:
    """Send messages, a few of them in fragments."""
    for message in burst:
        if random.random() < 0.05:
            middle = random.randrange(len(message) + 1)
            await ws.send([message[:middle], message[middle:]])
        else:
            await ws.send(message)


async def receive_all(ws: ClientConnection, burst: list[str | bytes]) -> None:
    """Take the echoes; Broken where one is not what was sent."""
    for message in burst:
        echo = await ws.recv()
        if echo != message:
            raise Broken(f"sent {message[:60]!r}, got {echo[:60]!r}")
