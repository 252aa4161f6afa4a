"""Our server and our client against other libraries, over real sockets."""

from __future__ import annotations

from typing import Any

import pytest
from net import listen, uri
from peers import PEERS

from wscodec import ConnectionClosed
from wscodec.asyncio import WebSocket, connect

pytestmark = pytest.mark.parametrize("peer", PEERS)

MESSAGES: list[Any] = ["", "hi", "héllo €𝄞", b"", b"\x00\xff", "x" * 126, b"y" * 65536, "€" * 300_000, b"z" * (1 << 20)]


def answer_of(peer: str, close: tuple[int, str]) -> tuple[int, str]:
    """Return the code and the reason that a library answers our Close frame with: some don't say ours again."""
    return {"aiohttp": (1000, ""), "node": (close[0], "")}.get(peer, close)


@pytest.mark.parametrize("closer", ["they", "we"])
async def test_their_client_our_server(peer: str, closer: str) -> None:
    ends = []

    async def handler(ws: WebSocket) -> None:
        assert ws.subprotocol == "chat"
        async with ws:
            await ws.ping()
            try:
                async for message in ws:
                    if message == "close":
                        await ws.close(4002, "asked")
                    elif len(message) > 1000:
                        await ws.send([message[:100], message[100:200], message[200:]])
                    else:
                        await ws.send(message)
            except ConnectionClosed:
                pass
        ends.append((ws.close_code, ws.close_reason))

    messages = MESSAGES if closer == "they" else [*MESSAGES, "close"]
    async with listen(handler, subprotocols=["chat"]) as server:
        got, end = await PEERS[peer]().talk(uri(server), messages, closes=closer == "they")
    assert got == MESSAGES
    assert end == ((4001, "done") if closer == "they" else (4002, "asked"))
    assert ends == [end if closer == "they" else answer_of(peer, end)]


@pytest.mark.parametrize("closer", ["they", "we"])
async def test_our_client_their_server(peer: str, closer: str) -> None:
    subprotocols = None if peer == "picows" else ["chat"]
    async with PEERS[peer]().echo() as port, connect(f"ws://127.0.0.1:{port}/", subprotocols=subprotocols) as ws:
        assert ws.subprotocol == (None if peer == "picows" else "chat")
        await (await ws.ping("are you there"))
        assert ws.latency > 0
        for message in MESSAGES:
            await ws.send([message[:1], message[1:]] if len(message) > 1000 else message)
            assert await ws.recv() == message
        if closer == "we":
            await ws.close(4001, "done")
        else:
            await ws.send("close")
            with pytest.raises(ConnectionClosed):
                await ws.recv()
        await ws.wait_closed()
        assert (ws.close_code, ws.close_reason) == (
            answer_of(peer, (4001, "done")) if closer == "we" else (4002, "asked")
        )
