"""websockets at work, with the drop-in and without: its servers and clients for asyncio, threads and trio; Uvicorn."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib.util
import logging
import queue
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("websockets", reason="websockets is not installed")

import websockets.asyncio.client
import websockets.asyncio.server
import websockets.sync.client
import websockets.sync.server
from comparing import run
from installing import installed
from websockets.exceptions import ConcurrencyError, ConnectionClosed
from websockets.protocol import Protocol

from wscodec import backend
from wscodec.dropin import websockets as dropin

pytestmark = [
    pytest.mark.timeout(30),
    pytest.mark.skipif(backend == "pure", reason="without compiled modules it stays out"),
]

TEXTS = ["", "hello", "hé€😀", "ab" * 500, "é" * 200_000]
BINARIES = [b"", b"\0\xff", bytes(range(256)) * 3000]
MESSAGES: list[Any] = [*TEXTS, *BINARIES]
COMPRESSIONS: list[Any] = [None, "deflate"]


@pytest.fixture(params=["wscodec", "websockets"])
def made(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run a test with the drop-in, and without."""
    if request.param == "wscodec":
        assert dropin.install()
    yield request.param
    dropin.uninstall()


def with_and_without(test: Callable[[], Awaitable[Any]]) -> Any:
    """See that a test tells the same with the drop-in and without, and return that."""
    expected = run(test)
    with installed(dropin):
        assert run(test) == expected
    return expected


def has(module: str) -> bool:
    """Return whether a module can be imported."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # it is within one that can't
        return False


def needs(*hosts: str) -> pytest.MarkDecorator:
    """Mark a test that runs only where all of `hosts` are installed."""
    missing = [host for host in hosts if not has(host)]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


# -------------------------------------------------------------------------------------------------------- asyncio


async def echo(ws: Any) -> None:
    async for message in ws:
        await ws.send(message)


@contextlib.asynccontextmanager
async def talk(handler: Any = echo, server: Any = None, **options: Any) -> AsyncIterator[Any]:
    """Yield a client's connection to a server with this handler."""
    serving = websockets.asyncio.server.serve(handler, "127.0.0.1", 0, **options | (server or {}))
    async with serving as listening:
        port = listening.sockets[0].getsockname()[1]
        async with websockets.asyncio.client.connect(f"ws://127.0.0.1:{port}", **options) as ws:
            yield ws


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_messages_of_all_kinds(made: str, compression: Any) -> None:
    async def chunks() -> AsyncIterator[str]:
        for chunk in ("hé", "", "llo"):
            yield chunk

    async def test() -> None:
        async with talk(compression=compression) as ws:
            for message in MESSAGES:
                await ws.send(message)
                assert await ws.recv() == message
            for message in MESSAGES:
                await ws.send(message)
            assert [await ws.recv() for _ in MESSAGES] == MESSAGES
            for parts in (["hé", "", "llo"], chunks()):
                await ws.send(parts)
                assert await ws.recv() == "héllo"
            await ws.send(bytearray(b"abc"))
            assert await ws.recv() == b"abc"
            await ws.send(memoryview(b"abcdef")[2:])
            assert await ws.recv() == b"cdef"
            assert await (await ws.ping()) >= 0
            await ws.send("hello")
            assert [part async for part in ws.recv_streaming()] == ["hello"]
        assert (ws.protocol.close_code, ws.protocol.close_reason) == (1000, "")

    run(test)


@pytest.mark.parametrize("decode", [None, True, False])
def test_decoding_is_as_asked(made: str, decode: bool | None) -> None:
    async def test() -> None:
        async with talk() as ws:
            for message in ("hé", b"hi"):
                for _ in range(2):
                    await ws.send(message)
                await asyncio.sleep(0.05)  # the second one waits in any case
                for _ in range(2):
                    found = await ws.recv(decode)
                    as_text = isinstance(message, str) if decode is None else decode
                    data = message.encode() if isinstance(message, str) else message
                    assert found == (data.decode() if as_text else data)
                    assert type(found) is (str if as_text else bytes)

    run(test)


def test_the_end_is_told_in_the_same_words() -> None:
    async def test() -> list[Any]:
        found: list[Any] = []
        errors: list[Any] = []

        async def handler(ws: Any) -> None:
            try:
                async for message in ws:
                    if message == "close":
                        await ws.close(4001, "enough")
                    await ws.send(message)
            except ConnectionClosed as error:
                errors.append(told(error))
                raise

        wrong: list[Callable[[Any], Awaitable[None]]] = [
            lambda ws: ws.close(1001, "bye"),
            lambda ws: ws.send("close"),
            lambda ws: ws.send("x" * 1001),
            lambda ws: ws.send([b"x" * 600, b"x" * 600]),
            lambda ws: ws.send("a\ud800"),
            lambda ws: ws.send(["a", b"b"]),
            lambda ws: raw(ws, b"\x81\x82\0\0\0\0a\xff"),
            lambda ws: raw(ws, b"\x81\x81\0\0\0\0a" * 3 + b"\x81\x81\0\0\0\0\xff"),
            lambda ws: raw(ws, b"\x83\x80\0\0\0\0"),
            lambda ws: raw(ws, b"\x81\0"),
            lambda ws: abort(ws),
        ]
        for compression in COMPRESSIONS:
            for act in wrong:
                options = {"compression": compression, "max_size": 1000}
                async with contextlib.AsyncExitStack() as stack:
                    ws = await stack.enter_async_context(talk(handler, **options))
                    try:
                        await act(ws)
                        while True:
                            found.append(await ws.recv())
                    except Exception as error:
                        found.append(told(error))
                    for call in (ws.recv, lambda ws=ws: ws.send("x"), ws.ping):
                        with pytest.raises(ConnectionClosed) as caught:
                            await call()
                        found.append(told(caught.value))
                    found.append((ws.protocol.close_code, ws.protocol.close_reason, ws.state))
        return [found, errors]

    found, errors = with_and_without(test)
    assert len(found) > 100
    assert len(errors) > 10


def told(error: BaseException | None) -> Any:
    """Return an exception with those that its traceback shows."""
    if error is None:
        return None
    context = None if error.__suppress_context__ else error.__context__
    return type(error), str(error), told(error.__cause__), told(context)


@pytest.mark.skipif(
    not hasattr(websockets.asyncio.messages, "MAX_FRAGMENTS"), reason="this version of websockets takes any number"
)
def test_what_is_left_of_a_message_with_too_many_fragments_is_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websockets.asyncio.messages, "MAX_FRAGMENTS", 4)

    async def test() -> Any:
        found: list[Any] = []

        async def handler(ws: Any) -> None:
            await asyncio.sleep(0.1)  # until all fragments are there
            for _ in range(4):
                try:
                    found.append(await ws.recv())
                except Exception as error:
                    found.append(type(error))

        async with talk(handler) as ws:
            with contextlib.suppress(ConnectionClosed):
                await ws.send(["a"] * 6)
                await ws.wait_closed()
        return found

    with_and_without(test)


async def raw(ws: Any, data: bytes) -> None:
    ws.transport.write(data)


async def abort(ws: Any) -> None:
    ws.transport.abort()


def test_wrong_calls_are_told_in_the_same_words() -> None:
    async def test() -> list[Any]:
        found = []
        async with talk() as ws:
            waiting = asyncio.create_task(ws.recv())
            await asyncio.sleep(0)
            with pytest.raises(ConcurrencyError) as caught:
                await ws.recv()
            found.append(told(caught.value))
            for wrong in (None, 5, {"a": 1}):
                with pytest.raises(TypeError) as refused:
                    await ws.send(wrong)
                found.append(told(refused.value))
            with pytest.raises(TypeError):
                await ws.send("a", wrong=True)
            with pytest.raises(TypeError):
                await ws.send()
            waiting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await waiting
            await ws.send("still there")
            found.append(await ws.recv())
        return found

    assert with_and_without(test)[-1] == "still there"


def test_sending_waits_for_a_peer_that_does_not_read(made: str) -> None:
    sent: list[int] = []

    async def handler(ws: Any) -> None:
        for number in range(1000):
            await ws.send(bytes(100_000))
            sent.append(number)

    async def test() -> None:
        async with talk(handler, compression=None, max_queue=1) as ws:
            count = -1
            while count != len(sent):
                count = len(sent)
                await asyncio.sleep(0.1)
            assert count < 500
            for _ in range(1000):
                assert len(await ws.recv()) == 100_000
            assert len(sent) >= 999

    run(test)


def test_a_peer_that_goes_while_sending_waits_is_told_in_the_same_words() -> None:
    async def test() -> list[Any]:
        found: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        async def handler(ws: Any) -> None:
            try:
                while True:
                    await ws.send(bytes(100_000))
            except ConnectionClosed as error:
                found.set_result((type(error), str(error)))

        async with talk(handler, compression=None, max_queue=1) as ws:
            await asyncio.sleep(0.1)
            ws.transport.abort()
            return [await found]

    with_and_without(test)


def test_messages_between_fragments_wait(made: str) -> None:
    async def test() -> None:
        async with talk() as ws:
            begun, go_on = asyncio.Event(), asyncio.Event()

            async def parts() -> AsyncIterator[str]:
                yield "a"
                begun.set()
                await go_on.wait()
                yield "b"

            sending = asyncio.create_task(ws.send(parts()))
            await begun.wait()
            other = asyncio.create_task(ws.send("other"))
            await asyncio.sleep(0.01)
            assert not other.done()
            go_on.set()
            await asyncio.gather(sending, other)
            assert [await ws.recv(), await ws.recv()] == ["ab", "other"]

    run(test)


def test_broadcast(made: str) -> None:
    async def handler(ws: Any) -> None:
        websockets.asyncio.server.broadcast([ws], "hé")
        websockets.asyncio.server.broadcast([ws], b"\0")
        await ws.wait_closed()

    async def test() -> None:
        async with talk(handler) as ws:
            assert [await ws.recv(), await ws.recv()] == ["hé", b"\0"]

    run(test)


@pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO])
def test_logs_are_the_same(caplog: pytest.LogCaptureFixture, level: int) -> None:
    async def test() -> None:
        async with talk(compression=None) as ws:
            for message in ("hi", b"\0" * 100, ["a", "b"], "wrong"):
                await ws.send(message)
                await ws.recv()
            ws.transport.write(b"\x83\x80\0\0\0\0")
            with pytest.raises(ConnectionClosed):
                await ws.recv()

    def lines() -> dict[str, list[str]]:
        """Return what was logged by each side, without what is different each time."""
        found: dict[str, list[str]] = {}
        for record in caplog.records:
            changing = ("Sec-WebSocket", "Date:", "Host:", "listening")
            if record.name.startswith("websockets") and not any(word in record.getMessage() for word in changing):
                found.setdefault(record.name, []).append(f"{record.levelname} {record.getMessage()}")
        caplog.clear()
        return found

    with caplog.at_level(level):
        run(test)
        without = lines()
        with installed(dropin):
            run(test)
        assert lines() == without
    assert sum(map(len, without.values())) > (50 if level == logging.DEBUG else 1)


def reads_with_ours(ws: Any) -> bool:
    return ws.protocol.parser.gi_yieldfrom.gi_code is dropin.parse.__code__


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_create_connection_by_hand(compression: Any) -> None:
    served: list[Any] = []

    async def handler(ws: Any) -> None:
        served.append((type(ws) is dropin.ServerConnection, reads_with_ours(ws)))
        await echo(ws)

    async def test() -> None:
        server = {"create_connection": dropin.ServerConnection}
        async with talk(handler, server, compression=compression) as ws:
            assert not reads_with_ours(ws)
            for message in MESSAGES:
                await ws.send(message)
                assert await ws.recv() == message
        options = {"create_connection": dropin.ClientConnection, "compression": compression}
        async with talk(handler, {"create_connection": None}, **options) as ws:
            assert reads_with_ours(ws)
            assert isinstance(ws, websockets.asyncio.client.ClientConnection)
            for message in MESSAGES:
                await ws.send(message)
                assert await ws.recv() == message

    run(test)
    assert served == [(True, True), (False, False)]


class Fragmenting(Protocol):
    """Sends each message in two frames."""

    def send_text(self, data: Any, fin: bool = True) -> None:
        super().send_text(data[:1], False)
        self.send_continuation(data[1:], fin)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_protocol_may_send_more_than_a_frame(made: str, compression: Any) -> None:
    async def test() -> None:
        async with talk(compression=compression) as ws:
            ws.protocol.__class__ = type("Cutting", (Fragmenting, type(ws.protocol)), {})
            await ws.send("hello")
            assert await ws.recv() == "hello"

    run(test)


def test_a_subclass_by_hand_is_made_once() -> None:
    class Mine(dropin.ServerConnection):  # type: ignore[misc]
        pass

    for made in (dropin.ServerConnection, dropin.ClientConnection, Mine):
        assert dropin.with_codec(made) is made
    with pytest.raises(TypeError):
        dropin.with_codec(5)


# -------------------------------------------------------------------------------------------------------- threads


@contextlib.contextmanager
def serving_in_threads(handler: Any, **options: Any) -> Iterator[str]:
    with websockets.sync.server.serve(handler, "127.0.0.1", 0, **options) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        server.shutdown()
        thread.join(10)


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("by_hand", [False, True])
def test_threads(made: str, compression: Any, by_hand: bool) -> None:
    errors: queue.SimpleQueue[str] = queue.SimpleQueue()

    def handler(ws: Any) -> None:
        try:
            for message in ws:
                if message == "close":
                    ws.close(4001, "enough")
                ws.send(message)
        except ConnectionClosed as error:
            errors.put(str(error))

    server: dict[str, Any] = {"compression": compression}
    client = dict(server)
    if by_hand:
        server["create_connection"] = dropin.with_codec(websockets.sync.server.ServerConnection)
        client["create_connection"] = dropin.with_codec(websockets.sync.client.ClientConnection)
    with (
        serving_in_threads(handler, max_size=None, **server) as address,
        websockets.sync.client.connect(address, max_size=None, **client) as ws,
    ):
        for message in MESSAGES:
            ws.send(message)
            assert ws.recv() == message
        ws.send(["hé", "", "llo"])
        assert ws.recv() == "héllo"
        assert ws.ping().wait(10)
        assert reads_with_ours(ws) is (by_hand or made == "wscodec")
        ws.send("close")
        with pytest.raises(ConnectionClosed, match=r"received 4001 \(private use\) enough"):
            ws.recv()
        assert errors.get(timeout=10) == "sent 4001 (private use) enough; then received 4001 (private use) enough"


# ----------------------------------------------------------------------------------------------------------- trio


@needs("trio", "websockets.trio")
@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("by_hand", [False, True])
def test_trio(made: str, compression: Any, by_hand: bool) -> None:
    import trio
    import websockets.trio.client
    import websockets.trio.server

    async def handler(ws: Any) -> None:
        async for message in ws:
            await ws.send(message)

    server_options: dict[str, Any] = {"compression": compression}
    options = dict(server_options)
    if by_hand:
        server_options["create_connection"] = dropin.with_codec(websockets.trio.server.ServerConnection)
        options["create_connection"] = dropin.with_codec(websockets.trio.client.ClientConnection)

    async def test() -> None:
        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                serve = functools.partial(websockets.trio.server.serve, host="127.0.0.1", **server_options)
                server = await nursery.start(serve, handler, 0)
                port = server.listeners[0].socket.getsockname()[1]
                async with websockets.trio.client.connect(f"ws://127.0.0.1:{port}", **options) as ws:
                    for message in MESSAGES:
                        await ws.send(message)
                        assert await ws.recv() == message
                    assert reads_with_ours(ws) is (by_hand or made == "wscodec")
                    await ws.aclose(1001, "bye")
                    assert ws.protocol.close_code == 1001
                nursery.cancel_scope.cancel()

    trio.run(test)


# -------------------------------------------------------------------------------------------------------- Uvicorn


@needs("uvicorn", "uvicorn.protocols.websockets.websockets_sansio_impl")
def test_uvicorn(made: str) -> None:
    import uvicorn

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "websocket"
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            answer = {"websocket.connect": "websocket.accept"}.get(message["type"], "websocket.send")
            await send(message | {"type": answer})

    async def test() -> None:
        config = uvicorn.Config(app, port=0, ws="websockets-sansio", lifespan="off", log_level="error")
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        async with websockets.asyncio.client.connect(f"ws://127.0.0.1:{port}") as ws:
            for message in MESSAGES:
                await ws.send(message)
                assert await ws.recv() == message
        server.should_exit = True
        await serving

    run(test)


def test_websockets_is_left_as_it_was() -> None:
    assert Protocol.parse is not dropin.parse
