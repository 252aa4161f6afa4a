"""permessage-deflate on connections of asyncio: who uses it, in what order, what a bomb costs, and that it ends."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import random
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from helpers import BINARY, CLOSE, KEY, TEXT, frame
from net import BOMBS, REQUEST, ROLES, all_of, bombs, echo, idle, linked, listen, raw_client, uri

from wscodec import ConnectionClosedError, DeflateParameters, PerMessageDeflate, PreparedMessage
from wscodec.asyncio import WebSocket, broadcast, connect

RSV1 = 4
OFFER = REQUEST.replace(
    b"\r\n\r\n", b"\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
)
TEXTS = [json.dumps({"event": i, "user": f"someone-{i % 7}", "tags": ["a", "b"] * 30}) for i in range(20)]
MESSAGES: list[Any] = ["", "hi", *TEXTS, b"x", "héllo €𝄞 " * 100, b"\x00" * 500_000, random.Random(1).randbytes(9000)]
ON = {"compression": "deflate"}
ALONE = {"compression": PerMessageDeflate(server_no_context_takeover=True, client_no_context_takeover=True)}

roles = pytest.mark.parametrize("role", ROLES)
modes = pytest.mark.parametrize("options", [ON, ALONE], ids=["takeover", "no-takeover"])


def size(messages: list[Any]) -> int:
    return sum(len(message.encode() if isinstance(message, str) else message) for message in messages)


async def test_it_is_on_where_nothing_is_said() -> None:
    async with listen(echo) as server, connect(uri(server)) as ws:
        for text in TEXTS:
            await ws.send(text)
            assert await ws.recv() == text
        assert ws.stats.bytes_sent < size(TEXTS) / 3
        assert ws.stats.bytes_received < size(TEXTS) / 3


@pytest.mark.parametrize("off", ["server", "client", "both"])
async def test_either_side_can_do_without(off: str) -> None:
    server_side = {} if off == "client" else {"compression": None}
    client_side = {} if off == "server" else {"compression": None}
    async with listen(echo, **server_side) as server, connect(uri(server), **client_side) as ws:
        await ws.send(TEXTS[0])
        assert await ws.recv() == TEXTS[0]
        assert ws.stats.bytes_sent > ws.stats.bytes_received > len(TEXTS[0])
        assert ("Sec-WebSocket-Extensions" in ws.response.headers) is False


async def test_a_client_that_offers_nothing_gets_nothing_compressed() -> None:
    async with listen(echo) as server, raw_client(server) as peer:
        peer.send(peer.frame(TEXT, b"x" * 500))
        assert await peer.next_frame() == (TEXT, b"x" * 500)
        peer.send(peer.frame(TEXT, bytes.fromhex("f248cdc9c90700"), rsv=RSV1))
        assert (await peer.next_frame())[1][:2] == (1002).to_bytes(2)


async def test_settings_are_those_that_were_given() -> None:
    wanted = PerMessageDeflate(server_max_window_bits=10, client_max_window_bits=9, threshold=10_000)
    async with listen(idle, compression=wanted) as server, connect(uri(server)) as ws:
        (there,) = server.connections
        assert ws.response.headers["Sec-WebSocket-Extensions"] == (
            "permessage-deflate; server_max_window_bits=10; client_max_window_bits=9"
        )
        await there.send("x" * 9999)
        assert there.stats.bytes_sent > 9999
        await there.send("x" * 10_000)
        assert there.stats.bytes_sent < 11_000
        assert [await ws.recv(), await ws.recv()] == ["x" * 9999, "x" * 10_000]


@roles
def test_wrong_settings_are_refused(role: str) -> None:
    for wrong in ("gzip", "", True, 15, DeflateParameters()):
        with pytest.raises(ValueError, match="compression"):
            listen(echo, compression=wrong) if role == "server" else connect("ws://localhost/", compression=wrong)


@roles
@modes
async def test_all_ways_to_send_keep_the_order(role: str, options: dict[str, Any]) -> None:
    async with linked(role, options, options) as (near, far):

        async def send() -> None:
            for message in MESSAGES:
                await near.send(message)
            near.send_many(MESSAGES)
            for message in MESSAGES:
                near.send_nowait(message)
            await near.send(["x" * 300, "", "y" * 300])
            assert broadcast([near], TEXTS[0], slow="send").sent == 1
            await near.send(PreparedMessage(TEXTS[1], compress=False))
            await (await near.ping())

        expected = [*MESSAGES * 3, "x" * 300 + "y" * 300, TEXTS[0], TEXTS[1]]
        for _ in range(3):
            sending = asyncio.create_task(send())  # the other end stops reading where its queue is full
            assert [await far.recv() for _ in expected] == expected
            await sending


@roles
@modes
async def test_what_is_to_be_sent_as_it_is(role: str, options: dict[str, Any]) -> None:
    async with linked(role, options, options) as (near, far):
        before, long = 0, "x" * 5000
        ways: list[Callable[[bool], Any]] = [
            lambda compress: near.send(long, compress=compress),
            lambda compress: near.send(long.encode(), True, compress=compress),
            lambda compress: near.send([long[:2000], long[2000:]], compress=compress),
            lambda compress: near.send(PreparedMessage(long), compress=compress),
            lambda compress: near.send_nowait(long, compress=compress),
        ]
        for way in ways:
            for compress in (True, False, True):
                sending = way(compress)
                if sending is not None:
                    await sending
                assert await far.recv() == long
                sent = near.stats.bytes_sent
                assert (sent - before > 5000) is not compress
                before = sent


@roles
async def test_parts_are_compressed_as_they_go(role: str) -> None:
    async with linked(role, ON, {**ON, "streaming": True}) as (near, far):
        waiting = asyncio.Event()

        async def parts() -> Any:
            yield "x" * 50_000
            await waiting.wait()
            yield "y" * 50_000

        sending = asyncio.create_task(near.send(parts()))
        got = ""
        async for part in far.recv_streaming():
            got += part
            if len(got) == 50_000:
                waiting.set()  # the first part has come although the message goes on
        await sending
        assert got == "x" * 50_000 + "y" * 50_000
        assert near.stats.bytes_sent < 2000


async def test_callbacks_get_inflated_messages() -> None:
    got: list[Any] = []

    def on_messages(ws: WebSocket, messages: list[Any]) -> None:
        got.extend(messages)
        ws.send_many(messages)

    async with listen(on_messages=on_messages) as server, connect(uri(server)) as ws:
        for message in MESSAGES:
            await ws.send(message)
        assert [await ws.recv() for _ in MESSAGES] == got == MESSAGES


async def test_broadcast_compresses_once_for_those_that_compress_alike() -> None:
    async with listen(idle) as server, listen(idle, **ALONE) as alone:
        clients = [await connect(uri(server)) for _ in range(4)]
        clients += [await connect(uri(server), compression=None), await connect(uri(alone)), await connect(uri(alone))]
        for one in (*server.connections, *alone.connections):
            await one.send(TEXTS[0])  # so that some compressors have something to refer to
        prepared = PreparedMessage(TEXTS[1])
        everybody = [*server.connections, *alone.connections]
        for _ in range(2):
            assert broadcast(everybody, prepared).sent == 7
        assert len([frame for frame in prepared.deflated.values() if frame]) == 1
        for one in everybody:
            await one.send(TEXTS[2])
        for ws in clients:
            assert [await ws.recv() for _ in range(4)] == [TEXTS[0], TEXTS[1], TEXTS[1], TEXTS[2]]
            await ws.close()


def bomb(length: int) -> bytes:
    """Return a compressed payload that is that long once it is inflated, and a thousandth of it before."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    pieces = [compressor.compress(bytes(1 << 20)) for _ in range(length >> 20)]
    return b"".join(pieces) + compressor.flush(zlib.Z_SYNC_FLUSH)[:-4]


@pytest.mark.parametrize("fragments", [1, 50])
@pytest.mark.parametrize("streaming", [False, True])
async def test_a_bomb_costs_the_limit_and_a_mebibyte_at_most(streaming: bool, fragments: int) -> None:
    payload, limit = bomb(100 << 20), 1 << 20
    assert len(payload) < 110_000
    step = len(payload) // fragments + 1
    parts = [payload[i : i + step] for i in range(0, len(payload), step)]
    got: list[Any] = []

    async def handler(ws: WebSocket) -> None:
        try:
            async for message in ws:
                got.append(message)
                await ws.send(message)
        except ConnectionClosedError as error:
            got.append(error.code)

    async with listen(handler, max_size=limit, streaming=streaming) as server:
        async with connect(uri(server)) as bystander, raw_client(server, OFFER) as peer:
            await bystander.send(TEXTS[0])
            assert await bystander.recv() == TEXTS[0]
            wire = b"".join(
                frame(BINARY if i == 0 else 0, part, fin=i == len(parts) - 1, rsv=RSV1 * (i == 0), key=KEY)
                for i, part in enumerate(parts)
            )
            tracemalloc.start()
            try:
                before, _ = tracemalloc.get_traced_memory()
                peer.send(wire)
                opcode, close = await peer.next_frame()
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            assert (opcode, close[:2]) == (CLOSE, (1009).to_bytes(2))
            # What the test itself has to send, and the stream reader, is not the server's.
            assert peak - before < limit + (1 << 20)
            await bystander.send(TEXTS[1])
            assert await bystander.recv() == TEXTS[1]
        async with connect(uri(server)) as later:
            await later.send(TEXTS[2])
            assert await later.recv() == TEXTS[2]
    assert got[:1] == TEXTS[:1]
    assert 1009 in got
    assert set(got) <= {*TEXTS, 1009}


@pytest.mark.parametrize(
    ("opcode", "payload", "code"),
    [(BINARY, b"\xff\xff\xff\xff", 1007), (TEXT, bytes.fromhex("fa0700"), 1007), (9, b"", 1002), (0, b"", 1002)],
)
async def test_offences_end_the_connection_and_not_the_server(opcode: int, payload: bytes, code: int) -> None:
    async with listen(echo) as server:
        async with raw_client(server, OFFER) as peer:
            peer.send(peer.frame(opcode, payload, rsv=RSV1))
            assert (await peer.next_frame())[1][:2] == code.to_bytes(2)
        async with connect(uri(server)) as ws:
            await ws.send(TEXTS[0])
            assert await ws.recv() == TEXTS[0]


@roles
async def test_nothing_is_kept_of_a_connection_that_has_ended(role: str) -> None:
    async with linked(role, ON, ON) as (near, far):
        await near.send(TEXTS[0])
        await far.send(await far.recv())
        assert await near.recv() == TEXTS[0]
        connection = near._connection
        assert connection._encoder._deflater._compressor is not None
        assert connection._decoder._inflater._stream is not None
        await near.close()
        assert connection._encoder._deflater._compressor is None
        assert connection._decoder._inflater._stream is None


@roles
async def test_a_read_full_of_bombs_waits_compressed(role: str) -> None:
    async with linked(role, near=ON, far=ON) as (near, far):
        wire = bombs(role)
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            far.transport.write(wire)
            while not near._reading_paused:
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.05)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert near._unread <= 2
        assert peak - before < 6 << 20
        for message in BOMBS:
            assert await near.recv() == message
        assert not near._reading_paused
        await far.send("on")
        assert await near.recv() == "on"


@roles
async def test_callbacks_get_bombs_burst_by_burst(role: str) -> None:
    got: list[list[Any]] = []
    options = {**ON, "on_messages": lambda ws, messages: got.append(messages)}
    async with contextlib.AsyncExitStack() as stack:
        # As `linked`, but without a handler, which the server can't have beside callbacks.
        server = await stack.enter_async_context(
            listen(**options) if role == "server" else listen(idle, compression="deflate")
        )
        client = await stack.enter_async_context(connect(uri(server), **(ON if role == "server" else options)))
        (served,) = server.connections
        (client if role == "server" else served).transport.write(bombs(role))
        async with asyncio.timeout(10):
            while sum(map(len, got)) < len(BOMBS):
                await asyncio.sleep(0.001)
    assert list(itertools.chain(*got)) == BOMBS
    assert max(map(len, got)) <= 2


@roles
@pytest.mark.parametrize("reads", [True, False])
async def test_a_close_frame_behind_bombs_is_answered(role: str, reads: bool) -> None:
    async with linked(role, near=ON, far=ON) as (near, far):
        far.transport.write(bombs(role))
        far.close_nowait(4000, "done")
        if reads:
            assert await all_of(near) == (BOMBS, 4000)
            await far.wait_closed()
            assert near.close_code == far.close_code == 4000
        else:
            while not near._reading_paused:
                await asyncio.sleep(0.001)
            await near.close(4001)
            assert near.close_code == 4000
            assert near._unread <= 2
