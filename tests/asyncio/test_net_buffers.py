"""How bytes come in: through one buffer of an event loop's connections, or as objects of their own."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from helpers import TEXT
from net import ROLES, facing_raw, linked

from wscodec.asyncio import WebSocket, transport

pytestmark = pytest.mark.parametrize("role", ROLES)


async def test_connections_of_a_loop_share_a_buffer(role: str) -> None:
    async with linked(role) as (near, far):
        assert near.get_buffer(-1) is far.get_buffer(1)
        buffer = near.get_buffer(0)
        assert not buffer.readonly
        assert len(buffer) >= 1 << 16


async def test_another_loop_has_a_buffer_of_its_own(role: str) -> None:
    found: list[memoryview] = []

    async def look() -> None:
        async with linked(role) as (near, _):
            found.append(near.get_buffer(-1))

    await look()
    other = threading.Thread(target=lambda: asyncio.run(look()))
    other.start()
    await asyncio.to_thread(other.join)
    assert found[0] is not found[1]


async def test_buffer_goes_with_its_loop(role: str) -> None:
    async def look() -> None:
        async with linked(role) as (near, _):
            near.get_buffer(-1)

    before = len(transport._buffers)
    await asyncio.to_thread(lambda: asyncio.run(look()))
    assert len(transport._buffers) <= before + 1


async def test_both_ways_in_are_the_same(role: str) -> None:
    async with facing_raw(role) as (ws, peer):
        frames = peer.frame(TEXT, b"one") + peer.frame(TEXT, "zw\u00f6lf".encode()) + peer.frame(TEXT, b"x" * 300)

        def at_once(data: bytes) -> None:
            ws.data_received(data)

        def through_the_buffer(data: bytes) -> None:
            ws.get_buffer(-1)[: len(data)] = data
            ws.buffer_updated(len(data))

        for take in (at_once, through_the_buffer):
            for step in (1, 7, len(frames)):
                for i in range(0, len(frames), step):
                    take(frames[i : i + step])
                assert [await ws.recv() for _ in range(3)] == ["one", "zw\u00f6lf", "x" * 300]
        assert ws.stats.bytes_received == 6 * len(frames)
        ws.data_received(bytearray(frames))  # type: ignore[arg-type]
        assert await ws.recv() == "one"


async def test_message_does_not_change_with_the_buffer(role: str) -> None:
    async with facing_raw(role) as (ws, peer):
        wire = peer.frame(TEXT, b"x" * 1000)
        ws.get_buffer(-1)[: len(wire)] = wire
        ws.buffer_updated(len(wire) - 10)
        ws.get_buffer(-1)[:] = bytes(len(ws.get_buffer(-1)))
        ws.get_buffer(-1)[:10] = wire[-10:]
        ws.buffer_updated(10)
        ws.get_buffer(-1)[:] = bytes(len(ws.get_buffer(-1)))
        assert await ws.recv() == "x" * 1000


@pytest.mark.parametrize("size", [-1, 1 << 30, 1 << 62])
async def test_more_than_the_buffer_has_is_refused(role: str, size: int) -> None:
    async with facing_raw(role) as (ws, _):
        ws.get_buffer(-1)
        with pytest.raises(ValueError, match=f"the buffer has not {size} bytes"):
            ws.buffer_updated(size)


async def test_which_way_the_loop_takes(role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # asyncio's own loops read into the buffer. uvloop has one like it, and hands over what it read.
    taken: list[str] = []

    def record(name: str) -> Any:
        method = getattr(WebSocket, name)

        def wrapper(self: WebSocket, data: Any) -> None:
            taken.append(name)
            method(self, data)

        return wrapper

    for name in ("data_received", "buffer_updated"):
        monkeypatch.setattr(WebSocket, name, record(name), raising=False)
    async with linked(role) as (near, far):
        taken.clear()
        await far.send("x")
        assert await near.recv() == "x"
    ways = set(taken) - (
        {"data_received"} if "pure" in WebSocket.send.__module__ and "buffer_updated" in taken else set()
    )
    uses_uvloop = type(asyncio.get_running_loop()).__module__.startswith("uvloop")
    assert ways == {"data_received" if uses_uvloop else "buffer_updated"}
