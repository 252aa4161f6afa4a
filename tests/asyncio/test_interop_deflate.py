"""permessage-deflate with other libraries, over real sockets: both roles, every parameter, asked for by either side."""

from __future__ import annotations

import itertools
import json
import random
from typing import Any

import pytest
from net import listen, uri
from peers import PEERS

from wscodec import ConnectionClosed, PerMessageDeflate
from wscodec.asyncio import WebSocket, connect

LARGE = 50_000  # what is sent whole, by a thread

# picows knows no extensions.
PEERS_TOO = ["websockets", "aiohttp", "wsproto", "node-ws"]
TEXTS = [json.dumps({"event": i, "user": f"someone-{i % 7}", "tags": ["a", "b"] * 30}) for i in range(6)]
MESSAGES: list[Any] = [
    "",
    *TEXTS,
    b"",
    "x" * 60_000,
    random.Random(1).randbytes(3000),
    "€𝄞" * 2000,
    b"\x00" * 300_000,
    *TEXTS,
    "hi",
]
NAMES = (
    "server_no_context_takeover",
    "client_no_context_takeover",
    "server_max_window_bits",
    "client_max_window_bits",
)
PRODUCT = [
    dict(zip(NAMES, (*contexts, *bits), strict=True))
    for contexts in itertools.product([False, True], repeat=2)
    for bits in ((15, 15), (10, 9))
]

pytestmark = [
    pytest.mark.parametrize("peer", PEERS_TOO),
    pytest.mark.parametrize("asked_by", ["us", "them"]),
]


def sides(asked_by: str, parameters: dict[str, Any]) -> tuple[PerMessageDeflate, dict[str, Any]]:
    """Return our settings and theirs."""
    neutral = dict(zip(NAMES, (False, False, 15, 15), strict=True))
    ours, theirs = (parameters, neutral) if asked_by == "us" else (neutral, parameters)
    return PerMessageDeflate(**ours, background_size=LARGE), theirs


def in_parts(message: Any) -> Any:
    """Return a message as we send it: those of some size in parts, large ones whole."""
    return [message[:200], message[200:250], message[250:]] if 1000 < len(message) < LARGE else message


def check(ws: WebSocket) -> None:
    """See that there was compression in both directions."""
    stats = ws.stats
    size = sum(len(message.encode() if isinstance(message, str) else message) for message in MESSAGES)
    assert stats.bytes_sent < size / 5
    assert stats.bytes_received < size / 5


@pytest.mark.parametrize("parameters", PRODUCT, ids=lambda p: "-".join(str(int(value)) for value in p.values()))
async def test_their_client_our_server(peer: str, asked_by: str, parameters: dict[str, Any]) -> None:
    ours, theirs = sides(asked_by, parameters)

    async def handler(ws: WebSocket) -> None:
        async for message in ws:
            await ws.send(in_parts(message))
        check(ws)

    async with listen(handler, subprotocols=["chat"], compression=ours) as server:
        got, end = await PEERS[peer](**theirs).talk(uri(server), MESSAGES, closes=True)
    assert got == MESSAGES
    assert end == (4001, "done")


@pytest.mark.parametrize("parameters", PRODUCT, ids=lambda p: "-".join(str(int(value)) for value in p.values()))
async def test_our_client_their_server(peer: str, asked_by: str, parameters: dict[str, Any]) -> None:
    ours, theirs = sides(asked_by, parameters)
    async with (
        PEERS[peer](**theirs).echo() as port,
        connect(f"ws://127.0.0.1:{port}/", subprotocols=["chat"], compression=ours) as ws,
    ):
        for message in MESSAGES:
            await ws.send(in_parts(message))
            assert await ws.recv() == message
        check(ws)
        await ws.send("close")
        with pytest.raises(ConnectionClosed):
            await ws.recv()
        assert (ws.close_code, ws.close_reason) == (4002, "asked")
