"""The opening handshake over real sockets: what is answered, what is refused, and in what time."""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import Any

import pytest
from helpers import KEY, PING, PONG, TEXT, frame
from net import REQUEST, Peer, address, echo, idle, linked, listen, raw_client, raw_server, response_to, uri

from wscodec import BadResponse, BadStatus, ConnectionClosed, HandshakeError
from wscodec.asyncio import Request, Response, ServerConnection, WebSocket, connect

PLAIN = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


async def answer_to(server: Any, request: bytes, *, half_close: bool = False) -> bytes:
    """Return all that the server says to a request, up to the end."""
    async with raw_client(server, None) as peer:
        peer.send(request)
        if half_close:
            peer.writer.write_eof()
        return await peer.reader.read()


async def test_echo_without_options() -> None:
    async with listen(echo) as server, connect(uri(server)) as ws:
        await ws.send("hi")
        assert await ws.recv() == "hi"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (PLAIN, b"4"),
        (REQUEST.replace(b"GET", b"POST"), b"405"),
        (REQUEST.replace(b": 13", b": 8"), b"426"),
        (REQUEST.replace(b"\r\n\r\n", b"\r\nX: " + b"x" * 9000 + b"\r\n\r\n"), b"431"),
        (b"\x16\x03\x01\x02\x00\x01", b"400"),
        (b"\r\n\r\n", b"400"),
    ],
)
async def test_server_refusal_arrives_whole_and_the_next_client_is_served(request_: bytes, status: bytes) -> None:
    async with listen(echo) as server:
        answer = await answer_to(server, request_ + b"x" * 100_000)
        assert answer.startswith(b"HTTP/1.1 " + status)
        head, _, body = answer.partition(b"\r\n\r\n")
        assert b"Content-Length: %d" % len(body) in head
        async with connect(uri(server)) as ws:
            await ws.send("next")
            assert await ws.recv() == "next"


async def test_server_origins() -> None:
    async with listen(echo, origins=["https://example.com", None]) as server:
        async with connect(uri(server), origin="https://example.com"), connect(uri(server)):
            pass
        with pytest.raises(BadStatus) as caught:
            await connect(uri(server), origin="https://evil.example")
        assert caught.value.status == 403


async def test_server_logs_why_it_refuses_and_nothing_of_what_the_application_answers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def process_request(ws: ServerConnection, request: Request) -> Response | None:
        return ws.respond(200, "fine\n") if request.path == "/health" else None

    caplog.set_level(logging.INFO, "wscodec.server")
    async with listen(echo, process_request=process_request) as server:
        caplog.clear()
        await answer_to(server, PLAIN)
        assert not caplog.messages
        await answer_to(server, REQUEST.replace(b"\r\n\r\n", b"\r\nOrigin: https://evil.example\r\n\r\n"))
        (message,) = caplog.messages
    assert message.startswith("opening handshake refused with 403: ")
    assert "origins" in message
    assert "evil" not in message


async def test_server_deadline_is_absolute() -> None:
    async with (
        listen(echo, open_timeout=0.15) as server,
        raw_client(server, None) as drip,
        raw_client(server, None) as mute,
    ):

        async def feed() -> None:
            for byte in REQUEST:
                drip.send(bytes([byte]))
                await asyncio.sleep(0.01)

        feeding = asyncio.create_task(feed())
        assert (await drip.reader.read()).startswith(b"HTTP/1.1 408 ")
        assert (await mute.reader.read()).startswith(b"HTTP/1.1 408 ")
        feeding.cancel()
        assert not server._handshakes


async def test_server_deadline_covers_process_request() -> None:
    async def process_request(ws: ServerConnection, request: Request) -> None:
        await asyncio.Event().wait()

    async with listen(echo, open_timeout=0.05, process_request=process_request) as server:
        assert (await answer_to(server, REQUEST)).startswith(b"HTTP/1.1 503 ")


@pytest.mark.parametrize("later", [False, True])
async def test_process_request(later: bool) -> None:
    seen = []

    def decide(ws: ServerConnection, request: Request) -> Response | None:
        seen.append((request.path, ws.request is request, ws.remote_address[0]))
        return ws.respond(200, "fine\n", [("X-A", "b")]) if request.path == "/health" else None

    async def decide_later(ws: ServerConnection, request: Request) -> Response | None:
        await asyncio.sleep(0)
        return decide(ws, request)

    async with listen(echo, process_request=decide_later if later else decide) as server:
        for half_close in (False, True):
            answer = await answer_to(server, PLAIN, half_close=half_close)
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
            assert answer.endswith(b"\r\n\r\nfine\n")
            assert b"X-A: b\r\n" in answer
        assert (await answer_to(server, PLAIN.replace(b"GET", b"HEAD"))).endswith(b"\r\n\r\n")
        assert (await answer_to(server, PLAIN.replace(b"health", b"other"))).startswith(b"HTTP/1.1 4")
        with pytest.raises(BadStatus) as caught:
            await connect(uri(server, "/health"))
        assert (caught.value.status, caught.value.body) == (200, b"fine\n")
        async with connect(uri(server, "/chat")) as ws:
            await ws.send("hi")
            assert await ws.recv() == "hi"
        assert [path for path, *_ in seen] == ["/health"] * 3 + ["/other", "/health", "/chat"]
        assert all(same and host == "127.0.0.1" for _, same, host in seen)


async def test_process_request_bytes_behind_the_request_are_kept() -> None:
    async def process_request(ws: ServerConnection, request: Request) -> None:
        await asyncio.sleep(0.02)

    async with listen(echo, process_request=process_request) as server, raw_client(server, None) as peer:
        peer.send(REQUEST, peer.frame(TEXT, b"early"))
        await asyncio.sleep(0.01)
        peer.send(peer.frame(TEXT, b"later"))
        await peer.head()
        assert [await peer.next_frame(), await peer.next_frame()] == [(TEXT, b"early"), (TEXT, b"later")]


@pytest.mark.parametrize("call", ["send", "ping", "pong"])
async def test_process_request_may_have_a_task_that_sends(call: str) -> None:
    begun = []

    async def process_request(ws: ServerConnection, request: Request) -> None:
        async def early() -> None:
            await getattr(ws, call)("early")

        begun.append(asyncio.create_task(early()))
        await asyncio.sleep(0)

    async def handler(ws: ServerConnection) -> None:
        await begun[0]
        await ws.send("later")

    async with listen(handler, process_request=process_request) as server, raw_client(server) as peer:
        opcodes = {"send": TEXT, "ping": PING, "pong": PONG}
        assert await peer.next_frame() == (opcodes[call], b"early")
        assert await peer.next_frame() == (TEXT, b"later")


@pytest.mark.skipif(sys.version_info < (3, 12), reason="tasks can't be eager")
async def test_eager_handlers_and_tasks_of_on_open_send_first() -> None:
    loop = asyncio.get_running_loop()
    if type(loop).__module__.startswith("uvloop"):
        pytest.skip("on Python 3.13 uvloop says more to the factory of eager tasks than that takes")
    loop.set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined,unused-ignore]
    greetings = []

    def on_open(ws: WebSocket) -> None:
        async def greet() -> None:
            await ws.send("hello")
            await ws.send("how are you")

        greetings.append(asyncio.create_task(greet()))

    async def handler(ws: ServerConnection) -> None:
        await ws.send("welcome")
        await echo(ws)

    async with listen(handler) as server, connect(uri(server), on_open=on_open) as ws:
        assert [await ws.recv() for _ in range(3)] == ["welcome", "hello", "how are you"]
        await greetings[0]


@pytest.mark.parametrize("kind", ["raises", "raises later", "bad header", "no response", "101"])
async def test_process_request_that_fails_is_500_and_logged(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    def process_request(ws: ServerConnection, request: Request) -> Any:
        if kind == "raises":
            raise LookupError
        if kind == "raises later":
            return asyncio.to_thread(lambda: 1 // 0)
        if kind == "no response":
            return "text"
        if kind == "101":
            return Response(101, "", request.headers)
        return ws.respond(200, "x", [("A", "b\r\nInjected: c")])

    async with listen(echo, process_request=process_request) as server:
        assert (await answer_to(server, REQUEST)).startswith(b"HTTP/1.1 500 ")
        assert (await answer_to(server, PLAIN)).startswith(b"HTTP/1.1 500 ")
    records = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(records) == 2
    assert all(record.name == "wscodec.server" and record.exc_info for record in records)


async def test_process_request_and_a_client_that_leaves() -> None:
    cancelled = asyncio.Event()
    connections = []

    async def process_request(ws: ServerConnection, request: Request) -> None:
        connections.append(ws)
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async with listen(echo, process_request=process_request) as server:
        async with raw_client(server, None) as peer:
            peer.send(REQUEST)
            while not connections:
                await asyncio.sleep(0.001)
            (handshake,) = server._handshakes
            handshake._transport.abort()
            await cancelled.wait()
        (ws,) = connections
        assert ws.transport is None
        with pytest.raises(ConnectionClosed):
            await ws.recv()
        await ws.wait_closed()


async def test_process_request_cancelled_by_itself_is_answered() -> None:
    async def process_request(ws: ServerConnection, request: Request) -> None:
        raise asyncio.CancelledError

    async with listen(echo, process_request=process_request, open_timeout=0.05) as server:
        assert (await answer_to(server, REQUEST)).startswith(b"HTTP/1.1 503 ")


@pytest.mark.parametrize(
    ("server_speaks", "client_speaks", "chosen"),
    [(["b", "a"], ["a", "b"], "b"), (["a"], ["b"], None), (None, ["a"], None), (["a"], None, None)],
)
async def test_subprotocols(server_speaks: Any, client_speaks: Any, chosen: str | None) -> None:
    async with linked(near={"subprotocols": client_speaks}, far={"subprotocols": server_speaks}) as (near, far):
        assert near.subprotocol == far.subprotocol == chosen


async def test_select_subprotocol() -> None:
    def select(ws: ServerConnection, offered: Any) -> str | None:
        if "boom" in offered:
            raise LookupError
        return "none of them" if "x" in offered else offered[-1] if offered else None

    async with listen(idle, select_subprotocol=select) as server:
        for offered, chosen in ((["a", "b"], "b"), (None, None)):
            async with connect(uri(server), subprotocols=offered) as ws:
                assert ws.subprotocol == chosen
        for offered in (["boom"], ["x"]):
            with pytest.raises(BadStatus) as caught:
                await connect(uri(server), subprotocols=offered)
            assert caught.value.status == 500


async def test_first_messages_in_the_segment_of_the_handshake() -> None:
    async def play(peer: Peer) -> None:
        peer.send(response_to(await peer.head()), frame(TEXT, b"first"))
        await peer.reader.read()

    async with raw_server(play) as raw, connect(uri(raw)) as ws:
        assert await ws.recv() == "first"
        ws.transport.abort()
    async with listen(echo) as server, raw_client(server, None) as peer:
        peer.send(REQUEST, frame(TEXT, b"first", key=KEY))
        await peer.head()
        assert await peer.next_frame() == (TEXT, b"first")


async def test_connect_headers() -> None:
    settings: dict[str, Any] = {"additional_headers": {"X-A": "b"}, "user_agent_header": "you/2"}
    async with listen(idle, server_header="me/1") as server, connect(uri(server, "/a?b"), **settings) as ws:
        (far,) = server.connections
        assert far.request.path == "/a?b"
        assert (far.request.headers["X-A"], far.request.headers["User-Agent"]) == ("b", "you/2")
        assert ws.response.headers["Server"] == "me/1"
    async with listen(idle, server_header=None) as server, connect(uri(server), user_agent_header=None) as ws:
        (far,) = server.connections
        assert "User-Agent" not in far.request.headers
        assert "Server" not in ws.response.headers


@pytest.mark.parametrize(
    "address_", ["http://localhost/", "ws://", "ws://host:port/", "ws://localhost/#a", "ws://localhost/ a", ""]
)
async def test_connect_to_what_is_no_uri(address_: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        await connect(address_)


async def test_connect_to_nobody() -> None:
    async with listen(idle) as server:
        nobody = uri(server)
    with pytest.raises(OSError, match=r".+"):
        await connect(nobody)


async def test_connect_times_out() -> None:
    ended = asyncio.Event()

    async def play(peer: Peer) -> None:
        await peer.reader.read()
        ended.set()

    async with raw_server(play) as raw:
        with pytest.raises(TimeoutError, match="opening handshake"):
            await connect(uri(raw), open_timeout=0.05)
        await ended.wait()


async def test_connect_cancelled_leaves_no_socket() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def play(peer: Peer) -> None:
        begun.set()
        await peer.reader.read()
        ended.set()

    async with raw_server(play) as raw:
        task = asyncio.create_task(connect(uri(raw))._open())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await ended.wait()


@pytest.mark.parametrize("ticks", range(8))
async def test_connect_cancelled_at_any_tick(ticks: int) -> None:
    async with listen(echo) as server:
        task = asyncio.create_task(connect(uri(server))._open())
        for _ in range(ticks):
            await asyncio.sleep(0)
        task.cancel()
        try:
            ws: WebSocket | None = await task
        except asyncio.CancelledError:
            ws = None
        if ws is not None:
            await ws.close()
        await asyncio.sleep(0.01)  # a server of asyncio's that is closed in the tick of an accept leaks that socket


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", BadResponse),
        (b"HTTP/1.1 101 Sw", BadResponse),
        (b"SSH-2.0-OpenSSH\r\n\r\n", BadResponse),
        (b"HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", BadResponse),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone", BadStatus),
        (b"HTTP/1.1 404 Not Found\r\n\r\ngone", BadStatus),
    ],
)
async def test_connect_to_a_wrong_server(answer: bytes, error: type[HandshakeError]) -> None:
    async def play(peer: Peer) -> None:
        await peer.head()
        peer.send(answer)

    async with raw_server(play) as raw:
        with pytest.raises(error) as caught:
            await connect(uri(raw))
        assert caught.value.body == (b"gone" if error is BadStatus else b"")


async def test_connect_refused_with_a_body_that_does_not_end() -> None:
    async def play(peer: Peer) -> None:
        await peer.head()
        peer.send(b"HTTP/1.1 404 Not Found\r\n\r\ngone")
        await peer.reader.read()

    async with raw_server(play) as raw:
        with pytest.raises(BadStatus) as caught:
            await connect(uri(raw), open_timeout=0.1)
        assert (caught.value.status, caught.value.body) == (404, b"gone")


async def test_connect_reset_is_an_oserror() -> None:
    async def play(peer: Peer) -> None:
        peer.writer.transport.abort()  # the request is unread: a reset

    async with raw_server(play) as raw:
        with pytest.raises((OSError, BadResponse)):
            await connect(uri(raw))


async def test_connect_host_and_port_override_the_uri() -> None:
    async with listen(idle) as server:
        host, port = address(server)
        async with connect("ws://example.invalid/", host=host, port=port):
            (far,) = server.connections
            assert far.request.headers["Host"] == "example.invalid"


async def test_wrong_settings_are_refused_at_once() -> None:
    for wrong in ({"origins": "https://a.b"}, {"subprotocols": ["a b"]}, {"origins": ["not an origin"]}):
        with pytest.raises((TypeError, ValueError)):
            listen(echo, **wrong)
    for wrong in ({}, {"on_messages": print, "handler": echo}):
        with pytest.raises(TypeError):
            listen(**wrong)
    for wrong in ({"subprotocols": ["a b"]}, {"additional_headers": {"A": "b\r\n"}}):
        with pytest.raises(ValueError, match=r".+"):
            await connect("ws://localhost/", **wrong)
    with pytest.raises(ValueError, match="proxies"):
        connect("ws://localhost/", proxy="http://localhost:1")
    with pytest.raises(ValueError, match="wss"):
        await connect("ws://localhost/", ssl=True)
    with pytest.raises(ValueError, match="TLS"):
        await connect("wss://localhost/", ssl=False)
