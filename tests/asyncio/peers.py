"""The libraries that test_interop talks to, each as a client and as an echo server.

An echo server sends every message back; at the text "close" it closes with 4002 "asked", and it speaks the
subprotocol "chat". A client is driven by `talk`, which sends the messages that it is given, collects as many,
and closes with 4001 "done" or waits for the close, whose code and reason it returns.

Those that know permessage-deflate take the parameters of RFC 7692 by their names, and use it then in both directions.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import os
import shutil
import socket
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

Result = tuple[list[Any], tuple[int, str]]
HERE = Path(__file__).parent
MAX_SIZE = 1 << 21  # websockets refuses an empty last frame, compressed to a byte, behind as much as there may be


class Websockets:
    def __init__(self, **deflate: Any) -> None:
        self.server = pytest.importorskip("websockets.asyncio.server")
        self.client = pytest.importorskip("websockets.asyncio.client")
        extension = importlib.import_module("websockets.extensions.permessage_deflate")
        self.offer, self.answer = {"max_size": MAX_SIZE}, {"max_size": MAX_SIZE}
        if deflate:
            self.offer["extensions"] = [extension.ClientPerMessageDeflateFactory(**deflate)]
            self.answer["extensions"] = [extension.ServerPerMessageDeflateFactory(**deflate)]

    async def talk(self, uri: str, messages: Sequence[Any], closes: bool) -> Result:
        async with self.client.connect(uri, subprotocols=["chat"], proxy=None, **self.offer) as ws:
            assert ws.subprotocol == "chat"
            await (await ws.ping())
            for message in messages:
                await ws.send(message)
            got = [await ws.recv() for _ in messages if _ != "close"]
            if closes:
                await ws.close(4001, "done")
            await ws.wait_closed()
            return got, (ws.close_code, ws.close_reason)

    @contextlib.asynccontextmanager
    async def echo(self) -> AsyncIterator[int]:
        async def handler(ws: Any) -> None:
            async for message in ws:
                if message == "close":
                    await ws.close(4002, "asked")
                else:
                    await ws.send([message[:1], message[1:]])

        async with self.server.serve(handler, "127.0.0.1", 0, subprotocols=["chat"], **self.answer) as server:
            yield server.sockets[0].getsockname()[1]


class Aiohttp:
    def __init__(self, **deflate: Any) -> None:
        self.compress = deflate.get("client_max_window_bits", 0)
        self.aiohttp = pytest.importorskip("aiohttp")
        self.web = importlib.import_module("aiohttp.web")

    async def talk(self, uri: str, messages: Sequence[Any], closes: bool) -> Result:
        async with (
            self.aiohttp.ClientSession() as session,
            session.ws_connect(uri, protocols=["chat"], autoclose=True, compress=self.compress) as ws,
        ):
            assert ws.protocol == "chat"
            await ws.ping(b"are you there")
            for message in messages:
                await (ws.send_str(message) if isinstance(message, str) else ws.send_bytes(message))
            got = [(await ws.receive()).data for _ in messages if _ != "close"]
            if closes:
                await ws.close(code=4001, message=b"done")
                return got, (4001, "done")
            last = await ws.receive()
            return got, (last.data, last.extra)

    @contextlib.asynccontextmanager
    async def echo(self) -> AsyncIterator[int]:
        async def handler(request: Any) -> Any:
            ws = self.web.WebSocketResponse(protocols=["chat"])
            await ws.prepare(request)
            async for message in ws:
                if message.data == "close":
                    await ws.close(code=4002, message=b"asked")
                elif message.type == self.aiohttp.WSMsgType.TEXT:
                    await ws.send_str(message.data)
                else:
                    await ws.send_bytes(message.data)
            return ws

        app = self.web.Application()
        app.router.add_get("/", handler)
        runner = self.web.AppRunner(app)
        await runner.setup()
        try:
            await self.web.TCPSite(runner, "127.0.0.1", 0).start()
            yield runner.addresses[0][1]
        finally:
            await runner.cleanup()


class Picows:
    def __init__(self) -> None:
        self.picows = pytest.importorskip("picows")

    def _listener(self, got: list[Any], done: asyncio.Future[Any] | None) -> Any:
        """Return a listener: it echoes where there is nothing to be `done`, else it collects."""
        kinds, opcodes = self.picows.WSMsgType, []

        class Listener(self.picows.WSListener):  # type: ignore[misc,name-defined]
            parts = b""

            def on_ws_frame(self, transport: Any, frame: Any) -> None:
                payload = frame.get_payload_as_bytes()
                if frame.msg_type == kinds.CLOSE:
                    code, reason = frame.get_close_code(), (frame.get_close_message() or b"")
                    transport.send_close(code, reason.encode() if isinstance(reason, str) else reason)
                    transport.disconnect()
                    if done and not done.done():
                        done.set_result((int(code), reason if isinstance(reason, str) else reason.decode()))
                if frame.msg_type in (kinds.TEXT, kinds.BINARY):
                    opcodes.append(frame.msg_type)
                    self.parts = b""
                if frame.msg_type not in (kinds.TEXT, kinds.BINARY, kinds.CONTINUATION):
                    return
                self.parts += payload
                if not frame.fin:
                    return
                if done is not None:
                    got.append(self.parts.decode() if opcodes[-1] == kinds.TEXT else self.parts)
                elif self.parts == b"close":
                    transport.send_close(4002, b"asked")
                else:
                    transport.send(opcodes[-1], self.parts)

        return Listener()

    async def talk(self, uri: str, messages: Sequence[Any], closes: bool) -> Result:
        got: list[Any] = []
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        transport, _ = await self.picows.ws_connect(
            lambda: self._listener(got, done), uri, extra_headers={"Sec-WebSocket-Protocol": "chat"}
        )
        transport.send_ping(b"are you there")
        for message in messages:
            kind = self.picows.WSMsgType.TEXT if isinstance(message, str) else self.picows.WSMsgType.BINARY
            transport.send(kind, message.encode() if isinstance(message, str) else message)
        while len(got) < len([_ for _ in messages if _ != "close"]):
            await asyncio.sleep(0.005)
        if closes:
            transport.send_close(4001, b"done")
        result = await done
        await transport.wait_disconnected()
        return got, result

    @contextlib.asynccontextmanager
    async def echo(self) -> AsyncIterator[int]:
        server = await self.picows.ws_create_server(lambda _: self._listener([], None), "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            await server.wait_closed()


class Wsproto:
    """wsproto behind a blocking socket in a thread."""

    def __init__(self, **deflate: Any) -> None:
        extensions = importlib.import_module("wsproto.extensions")
        self.extensions = [extensions.PerMessageDeflate(**deflate)] if deflate else []
        self.wsproto = pytest.importorskip("wsproto")
        self.events = importlib.import_module("wsproto.events")

    def _pump(self, sock: socket.socket, connection: Any, on_message: Callable[[Any], None]) -> tuple[int, str] | None:
        """Read once, and return the close code and reason if there are some; answer what wants an answer."""
        connection.receive_data(sock.recv(65536) or None)
        for event in connection.events():
            match event:
                case self.events.Request():
                    accept = self.events.AcceptConnection(
                        subprotocol="chat" if event.subprotocols else None, extensions=self.extensions
                    )
                    sock.sendall(connection.send(accept))
                case self.events.AcceptConnection():
                    assert event.subprotocol == "chat"
                case self.events.Ping():
                    sock.sendall(connection.send(event.response()))
                case self.events.CloseConnection():
                    if connection.state is not self.wsproto.ConnectionState.CLOSED:
                        sock.sendall(connection.send(event.response()))
                    return int(event.code), event.reason or ""
                case self.events.Message():
                    self.parts.append(event.data)
                    if event.message_finished:
                        parts, self.parts = self.parts, []
                        on_message(type(parts[0])().join(parts))
        return None

    def _talk(self, port: int, messages: Sequence[Any], closes: bool) -> Result:
        self.parts: list[Any] = []
        connection = self.wsproto.WSConnection(self.wsproto.ConnectionType.CLIENT)
        got: list[Any] = []
        wanted = len([_ for _ in messages if _ != "close"])
        with socket.create_connection(("127.0.0.1", port), timeout=20) as sock:
            request = self.events.Request(
                host="localhost", target="/", subprotocols=["chat"], extensions=self.extensions
            )
            sock.sendall(connection.send(request))
            while connection.state is not self.wsproto.ConnectionState.OPEN:
                self._pump(sock, connection, got.append)
            for message in messages:
                sock.sendall(connection.send(self.events.Message(data=message)))
                while len(got) < min(wanted, messages.index(message) + 1):
                    self._pump(sock, connection, got.append)
            if closes:
                sock.sendall(connection.send(self.events.CloseConnection(code=4001, reason="done")))
            while (end := self._pump(sock, connection, got.append)) is None:
                pass
            assert sock.recv(1) == b""
            return got, end

    async def talk(self, uri: str, messages: Sequence[Any], closes: bool) -> Result:
        port = int(uri.rsplit(":", 1)[1].strip("/"))
        return await asyncio.to_thread(self._talk, port, messages, closes)

    def _serve(self, listener: socket.socket) -> None:
        """Echo to one client."""
        self.parts = []
        connection = self.wsproto.WSConnection(self.wsproto.ConnectionType.SERVER)
        sock, _ = listener.accept()
        sock.settimeout(20)
        with sock:

            def answer(message: Any) -> None:
                close = self.events.CloseConnection(code=4002, reason="asked")
                echo = self.events.Message(data=message)
                sock.sendall(connection.send(close if message == "close" else echo))

            while self._pump(sock, connection, answer) is None:
                pass

    @contextlib.asynccontextmanager
    async def echo(self) -> AsyncIterator[int]:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            thread = threading.Thread(target=self._serve, args=(listener,))
            thread.start()
            try:
                yield listener.getsockname()[1]
            finally:
                await asyncio.to_thread(thread.join)


class Node:
    """Node.js: its own WebSocket client, and the `ws` package where WSCODEC_NODE_MODULES is where that is installed."""

    def __init__(self, *, own: bool, **deflate: Any) -> None:
        node = shutil.which("node")
        modules = os.environ.get("WSCODEC_NODE_MODULES", "")
        if node is None:
            pytest.skip("there is no Node.js")
        if not own and not (Path(modules) / "ws").is_dir():
            pytest.skip("WSCODEC_NODE_MODULES does not say where the ws package is")
        self._command = [node, "--no-warnings", *(["--experimental-websocket"] if own else []), str(HERE / "peer.js")]
        self._environment = {**os.environ, "WS_MODULE": "" if own else str(Path(modules).resolve() / "ws")}
        # A parameter that stands here is a demand there, the one that something be off, too.
        settings = {_camel(name): value for name, value in deflate.items() if value not in (False, 15)}
        self._environment["WS_DEFLATE"] = json.dumps(settings if deflate else None)
        self._own = own

    @contextlib.asynccontextmanager
    async def _run(self, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
        process = await asyncio.create_subprocess_exec(
            *self._command, *arguments, env=self._environment, stdin=-1, stdout=-1, limit=1 << 26
        )
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.communicate()

    async def talk(self, uri: str, messages: Sequence[Any], closes: bool) -> Result:
        order = [{"text": m} if isinstance(m, str) else {"hex": m.hex()} for m in messages]
        async with self._run("client", uri) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps({"messages": order, "closes": closes}).encode())
            process.stdin.close()
            line = await process.stdout.readline()
            if self._own and b"no WebSocket" in line:
                pytest.skip("this Node.js has no WebSocket of its own")
            answer = json.loads(line)
            assert answer["protocol"] == "chat"
            got = [bytes.fromhex(m["hex"]) if "hex" in m else m["text"] for m in answer["messages"]]
            return got, (answer["code"], answer["reason"])

    @contextlib.asynccontextmanager
    async def echo(self) -> AsyncIterator[int]:
        if self._own:
            pytest.skip("Node.js has no WebSocket server of its own")
        async with self._run("server") as process:
            assert process.stdout is not None
            yield int(await process.stdout.readline())


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


PEERS: dict[str, Callable[[], Any]] = {
    "websockets": Websockets,
    "aiohttp": Aiohttp,
    "picows": Picows,
    "wsproto": Wsproto,
    "node": partial(Node, own=True),
    "node-ws": partial(Node, own=False),
}
