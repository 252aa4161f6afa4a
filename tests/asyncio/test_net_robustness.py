"""The ordinary faults of WebSocket libraries, R1 to R17, over real sockets, with a bad peer beside a good one.

`robustness.py` says what they are, and which tests of them stand elsewhere.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import functools
import itertools
import logging
import os
import socket
import struct
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers import BINARY, CLOSE, CONT, PING, PONG, TEXT, close_payload, frame
from net import (
    REQUEST,
    ROLES,
    Peer,
    beside_good,
    echo,
    good_peer,
    listen,
    raw_client,
    raw_server,
    response_to,
    stop_reading,
    uri,
)
from robustness import CLASSES

from wscodec import BadStatus, ConnectionClosed, ConnectionClosedError, HandshakeError, State
from wscodec.asyncio import Server, WebSocket, connect

roles = pytest.mark.parametrize("role", ROLES)
TESTS = Path(__file__).parents[1]


@functools.cache
def read_tests(path: Path) -> dict[str, ast.AST]:
    """Return the tests of a file by name."""
    nodes = ast.parse(path.read_text(encoding="utf-8")).body
    functions = [node for node in nodes if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    return {function.name: function for function in functions if function.name.startswith("test_")}


def has_good_peer(test: ast.AST) -> bool:
    """Tell whether a test speaks of one: `good_peer`, `beside_good`, or a `good` of its own."""
    return any(isinstance(node, ast.Name) and "good" in node.id for node in ast.walk(test))


def test_every_class_is_tested_where_the_table_says_and_beside_a_good_peer() -> None:
    assert list(CLASSES) == [f"R{number}" for number in range(1, 18)]
    here = read_tests(Path(__file__))
    for name, (_, elsewhere) in CLASSES.items():
        tests = [test for title, test in here.items() if title.startswith(f"test_{name.lower()}_")]
        for path, titles in elsewhere.items():
            there = read_tests(TESTS / path)
            assert set(titles) <= set(there), (name, path)
            tests += [there[title] for title in titles]
        assert any(has_good_peer(test) for test in tests), name


def reset(peer: Peer) -> None:
    """Have TCP reset the connection."""
    sock = peer.writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.writer.transport.abort()


async def alone(server: Server, number: int = 1) -> None:
    """Wait until the server has that many connections, and no handshakes."""
    async with asyncio.timeout(10):
        while len(server.connections) != number or server._handshakes:
            await asyncio.sleep(0.001)


def conversation(role: str) -> bytes:
    """Return what a peer says of one that has `role`."""
    peer = Peer(None, None, "client" if role == "server" else "server")  # type: ignore[arg-type]
    return b"".join(
        (
            peer.frame(TEXT, "größer".encode()),
            peer.frame(PING, b"ping"),
            peer.frame(BINARY, b"first ", fin=False),
            peer.frame(PING),
            peer.frame(CONT, b"second" * 30),
            peer.frame(CLOSE, close_payload(4000, b"done")),
        )
    )


async def test_r1_compressing_peers_that_vanish_leave_no_compressor() -> None:
    async with listen(echo) as server, good_peer(server):
        good = server.connections
        peers = [await connect(uri(server)) for _ in range(5)]
        for bad in peers:
            await bad.send("long enough " * 20)
            await bad.recv()
        left = [ws._connection for ws in server.connections - good]
        assert len(left) == 5
        assert all(connection._encoder._deflater._compressor for connection in left)
        for bad in peers:
            bad.transport.abort()
        await alone(server)
        for connection in left:
            assert connection._encoder._deflater._compressor is connection._decoder._inflater._stream is None


@roles
async def test_r2_recv_that_times_out_again_and_again_loses_nothing_of_a_slow_message(role: str) -> None:
    async with beside_good(role) as (ws, peer):

        async def dribble() -> None:
            for byte in conversation(role):
                peer.send(bytes([byte]))
                await asyncio.sleep(0.001)

        async def receive() -> None:
            while True:
                with contextlib.suppress(TimeoutError):
                    got.append(await asyncio.wait_for(ws.recv(), 0.0005))

        got: list[Any] = []
        dribbling = asyncio.create_task(dribble())
        with pytest.raises(ConnectionClosedError, match="4000"):
            await receive()
        await dribbling
        assert got == ["größer", b"first " + b"second" * 30]


@roles
async def test_r3_send_to_a_peer_that_does_not_read_is_cancelled_and_leaves_the_stream_whole(role: str) -> None:
    messages = [bytes([65 + i]) * 70_000 for i in range(8)]
    async with beside_good(role, compression=None) as (ws, peer):
        ws.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        peer.writer.transport.pause_reading()
        for message in messages:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ws.send(message), 0.001)
        assert ws._write_paused
        peer.writer.transport.resume_reading()
        assert [await peer.next_frame() for _ in messages] == [(BINARY, message) for message in messages]


@roles
async def test_r4_senders_at_the_same_time_to_a_peer_that_pings_and_does_not_read(role: str) -> None:
    async with beside_good(role, compression=None) as (ws, peer):
        stop_reading(ws, peer)
        numbers = [b"%02d" % i for i in range(30)]
        messages = [[number, bytes(3000)] if i % 2 else number + bytes(3000) for i, number in enumerate(numbers)]
        got = [b""]
        async with asyncio.TaskGroup() as group:
            for message in messages:
                group.create_task(ws.send(message))
            peer.send(*(peer.frame(PING, number) for number in numbers))
            await asyncio.sleep(0.01)
            peer.writer.transport.resume_reading()
            while len(got) <= len(messages):
                opcode, payload = await peer.next_frame()
                if opcode != PONG:
                    got[-1] += payload
                    if not opcode & 0x100:
                        got.append(b"")
        assert sorted(got[:-1]) == [number + bytes(3000) for number in numbers]


async def test_r5_shutdown_among_bad_peers_closes_all_at_once() -> None:
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(listen(echo, close_timeout=0.5))
        good = await stack.enter_async_context(connect(uri(server)))
        half = await stack.enter_async_context(raw_client(server, None))
        half.send(REQUEST[:50])
        bad = [await stack.enter_async_context(raw_client(server)) for _ in range(4)]
        for peer, data in zip(bad, (b"", b"\x82", frame(BINARY, bytes(900_000), key=bytes(4)), b"\xff"), strict=True):
            peer.writer.transport.pause_reading()
            peer.send(data)
        await asyncio.sleep(0.05)
        served = tuple(server.connections)
        assert len(served) == 5
        server.close()
        for _ in range(10):
            await asyncio.sleep(0)
        assert State.OPEN not in {ws.state for ws in served}  # so that it takes one timeout, not one after the other
        await server.wait_closed()
        await good.wait_closed()
        assert good.close_code == 1001


@roles
async def test_r6_frames_behind_the_end_are_dropped(role: str) -> None:
    async with beside_good(role, close_timeout=0.2) as (ws, peer):
        late = (peer.frame(PING, b"late"), peer.frame(TEXT, b"late"), b"\xff")
        peer.send(peer.frame(CLOSE, close_payload(4000)), *late)
        await asyncio.sleep(0.01)
        peer.send(*late)
        if role == "client":
            peer.writer.write_eof()
        assert await peer.frames() == [(CLOSE, close_payload(4000))]
        for call in (ws.recv, ws.ping, ws.pong):
            with pytest.raises(ConnectionClosedError, match="4000"):
                await call()


@roles
async def test_r7_silent_peer_is_given_up_and_not_the_others(role: str) -> None:
    async with beside_good(role, ping_interval=0.02, ping_timeout=0.2, close_timeout=None) as (ws, _):
        await ws.wait_closed()
        assert (ws.close_code, ws.close_reason) == (1011, "keepalive ping timeout")


async def test_r9_client_that_resets_at_any_point_of_a_conversation() -> None:
    data = REQUEST + conversation("server")
    async with listen(echo) as server, good_peer(server):
        for end, waits in itertools.product(range(0, len(data) + 1, 11), (False, True)):
            async with raw_client(server, None) as peer:
                peer.send(data[:end])
                await asyncio.sleep(0.001 if waits else 0)
                reset(peer)
        await alone(server)


async def test_r9_server_that_resets_at_any_point_of_a_conversation() -> None:
    ends = list(range(0, 300, 11))

    async def play(peer: Peer) -> None:
        peer.send((response_to(await peer.head()) + conversation("client"))[: ends.pop()])
        await asyncio.sleep(0)
        reset(peer)

    async with listen(echo) as server, good_peer(server), raw_server(play) as raw:
        while ends:
            try:
                ws = await connect(uri(raw))
            except (OSError, HandshakeError):
                continue
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await ws.recv()
            await ws.wait_closed()
            assert ws.close_code in (1006, 4000)


@roles
async def test_r10_byte_by_byte(role: str) -> None:
    heard: list[tuple[int, bytes]] = []

    async def speak(peer: Peer, data: bytes) -> None:
        for byte in data:
            peer.send(bytes([byte]))
            await asyncio.sleep(0)
        while not heard or heard[-1][0] != CLOSE:
            heard.append(await peer.next_frame())

    async def play(peer: Peer) -> None:
        await speak(peer, response_to(await peer.head()) + conversation("client"))

    async with listen(echo) as server, good_peer(server):
        if role == "server":
            async with raw_client(server) as peer:
                await speak(peer, conversation("server"))
        else:
            async with raw_server(play) as raw, connect(uri(raw)) as ws:
                with pytest.raises(ConnectionClosedError, match="4000"):
                    await echo(ws)
    *answers, close = heard
    echoes = [(TEXT, "größer".encode()), (BINARY, b"first " + b"second" * 30)]
    assert sorted(answers) == sorted([*echoes, (PONG, b"ping"), (PONG, b"")])
    assert close == (CLOSE, close_payload(4000, b"done"))


@roles
async def test_r11_reset_while_we_send_is_told_to_everybody_and_once(role: str) -> None:
    ended: list[WebSocket] = []
    async with beside_good(role, on_close=ended.append, compression=None) as (ws, peer):
        stop_reading(ws, peer)
        senders = [asyncio.create_task(ws.send(bytes(1_000_000))) for _ in range(5)]
        closing = asyncio.create_task(ws.wait_closed())
        await asyncio.sleep(0.01)
        assert not any(sender.done() for sender in senders)
        reset(peer)
        results = await asyncio.gather(*senders, return_exceptions=True)
        assert [type(result) for result in results] == [ConnectionClosedError] * 5
        await closing
        assert ended == [ws]
        assert ws.close_code == 1006


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="open files are counted as Linux has them")
async def test_r12_bad_peers_leave_no_socket_task_or_logger() -> None:
    def count() -> tuple[int, int, int]:
        return len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks()), len(logging.Logger.manager.loggerDict)

    options: dict[str, Any] = {"open_timeout": 0.05, "close_timeout": 0.05, "ping_interval": 0.05, "ping_timeout": 0.05}
    async with listen(echo, **options) as server, good_peer(server):
        before = count()
        async with contextlib.AsyncExitStack() as stack:
            for request in (REQUEST[:30], REQUEST):
                for data in (b"", b"\x81", b"\xff", frame(CLOSE, close_payload(1000), key=bytes(4))):
                    peer = await stack.enter_async_context(raw_client(server, None))
                    peer.send(request, data)
            await alone(server)  # though the peers are all there
        await asyncio.sleep(0.01)
        assert count() == before


async def test_r12_connect_cancelled_where_the_loop_closes_the_transport_and_tells_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As uvloop does where the response is there in the tick of `connection_made`, and the time is over in the next."""
    loop = asyncio.get_running_loop()
    create = loop.create_connection
    connections: list[WebSocket] = []
    ended: list[WebSocket] = []

    async def cancelled(*args: Any, **kwargs: Any) -> None:
        transport, connecting = await create(*args, **kwargs)
        connections.append(await connecting.opened)
        transport.set_protocol(asyncio.Protocol())
        transport.abort()
        raise asyncio.CancelledError

    async with listen(echo) as server:
        with monkeypatch.context() as patch:
            # uvloop's own can't be replaced.
            patch.setattr(asyncio, "get_running_loop", lambda: Lent(loop, cancelled))
            with pytest.raises(asyncio.CancelledError):
                await connect(uri(server), on_close=ended.append)
        assert ended == connections
        assert connections[0].transport is None
        assert connections[0]._round is None


class Lent:
    """An event loop whose `create_connection` is another one."""

    def __init__(self, loop: asyncio.AbstractEventLoop, create_connection: Any) -> None:
        self._loop = loop
        self.create_connection = create_connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)


@roles
async def test_r13_peer_that_floods_is_not_read_for_ever(role: str) -> None:
    async with beside_good(role, compression=None, close_timeout=0.05) as (ws, peer):
        while not ws._reading_paused:
            peer.send(peer.frame(BINARY, bytes(50_000)))
            await asyncio.sleep(0)
            assert ws._unread < 50
        peer.writer.transport.abort()


@roles
async def test_r14_peer_that_dribbles_and_answers_no_ping_lives(role: str) -> None:
    async with beside_good(role, ping_interval=0.05, ping_timeout=0.2, close_timeout=0.05) as (ws, peer):
        peer.send(peer.frame(BINARY, bytes(60_000))[:100])
        for _ in range(4):
            reading = asyncio.create_task(peer.next_frame())
            while not reading.done():
                peer.send(b"\0")
                await asyncio.sleep(0.002)
            assert reading.result()[0] == PING
        assert ws.state is State.OPEN
        peer.writer.transport.abort()


async def test_r15_wrong_requests_are_refused_and_right_ones_are_not() -> None:
    wrong = [
        (REQUEST.replace(b": 13", b": 12"), b"426"),
        (REQUEST.replace(b"Upgrade: websocket", b"Upgrade: h2c"), b"426"),
        (REQUEST.replace(b"\r\nUpgrade", b"\r\nHost: b\r\nUpgrade"), b"400"),
        (REQUEST.replace(b"Sec-WebSocket-Key", b"X-Key"), b"400"),
    ]
    async with listen(echo) as server, good_peer(server):
        for request, status in wrong:
            async with raw_client(server, None) as peer:
                peer.send(request)
                assert (await peer.head()).split()[1] == status
        async with raw_client(server, REQUEST.replace(b"Upgrade: websocket", b"Upgrade: h2c\r\nUpgrade: WebSocket")):
            pass


async def test_r15_wrong_responses_are_refused() -> None:
    wrong = [
        (b"Upgrade: websocket\r\n", b""),
        (b"Connection: Upgrade", b"Connection: keep-alive"),
        (b"Accept: ", b"Accept: a"),
        (b"101 Switching", b"101null Switching"),
        (b"\r\n\r\n", b"\r\nSec-WebSocket-Protocol: unasked\r\n\r\n"),
    ]

    async def play(peer: Peer) -> None:
        peer.send(response_to(await peer.head()).replace(*fault))

    async with listen(echo) as server, good_peer(server), raw_server(play) as raw:
        for fault in wrong:
            with pytest.raises(HandshakeError):
                async with connect(uri(raw)):
                    pytest.fail(f"{fault} is let through")


async def test_r17_redirect_is_an_error_and_nobody_is_told_the_password() -> None:
    heads: list[bytes] = []

    async def elsewhere(peer: Peer) -> None:
        heads.append(await peer.head())

    async def play(peer: Peer) -> None:
        await peer.head()
        place = uri(other, scheme="http").encode()
        peer.send(b"HTTP/1.1 %d Moved\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % (status, place))

    async with listen(echo) as server, good_peer(server), raw_server(elsewhere) as other, raw_server(play) as raw:
        for status in (301, 302, 303, 307, 308):
            with pytest.raises(BadStatus) as caught:
                await connect(uri(raw).replace("//", "//user:secret@"))
            assert caught.value.status == status
        await asyncio.sleep(0.01)
        assert heads == []
