"""Large messages that a thread compresses: their order, what goes on meanwhile, and how it ends (RFC 7692 §7.2.1)."""

from __future__ import annotations

import asyncio
import json
import threading
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import pytest
from net import ROLES, linked, settled

from wscodec import ConnectionClosed, PerMessageDeflate, PreparedMessage
from wscodec.asyncio import Broadcast, WebSocket, broadcast, messages

pytestmark = pytest.mark.parametrize("role", ROLES)
modes = pytest.mark.parametrize("alone", [False, True], ids=["takeover", "no-takeover"])

SIZE = 10_000
TEXTS = [json.dumps({"event": i, "user": f"someone-{i % 7}", "tags": ["a", "b"] * 30}) for i in range(200)]
LARGE = "".join(TEXTS)
SOON = 5  # seconds that nothing takes unless it hangs
Ends = tuple[WebSocket, WebSocket, "Gate"]


class Gate:
    """An engine like zlib, whose compressors let large messages wait until it is opened."""

    DEFLATED, Z_SYNC_FLUSH, Z_FULL_FLUSH = zlib.DEFLATED, zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH
    error = zlib.error
    decompressobj = staticmethod(zlib.decompressobj)

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.fault: Exception | None = None
        self.threads: list[int] = []

    def compressobj(self, *settings: int) -> Any:
        return Compressor(self, zlib.compressobj(*settings))

    async def reached(self) -> None:
        """Wait until the next large message is at the gate."""
        count = len(self.threads)
        while len(self.threads) == count:
            await asyncio.sleep(0.001)


class Compressor:
    def __init__(self, gate: Gate, compressor: Any) -> None:
        self.gate = gate
        self.compressor = compressor
        self.flush = compressor.flush

    def compress(self, data: Any) -> bytes:
        if len(data) < SIZE:
            return self.compressor.compress(data)
        half = self.compressor.compress(data[: SIZE // 2])
        self.gate.threads.append(threading.get_ident())
        assert self.gate.opened.wait(SOON)
        if self.gate.fault is not None:
            raise self.gate.fault
        return half + self.compressor.compress(data[SIZE // 2 :])


@asynccontextmanager
async def gated(role: str, alone: bool = False, **options: Any) -> AsyncIterator[Ends]:
    """Yield our end, whose large messages wait at a gate, the other one, and the gate."""
    gate = Gate()
    ours: Any = {"engine": gate, "background_size": SIZE}
    if alone:
        ours |= {"server_no_context_takeover": True, "client_no_context_takeover": True}
    async with linked(role, {"compression": PerMessageDeflate(**ours), **options}, {"compression": "deflate"}) as ends:
        try:
            yield *ends, gate
        finally:
            gate.opened.set()


def open_soon(gate: Gate) -> None:
    """Open the gate while the event loop is held up."""
    threading.Timer(0.05, gate.opened.set).start()


async def begun(gate: Gate, sending: Awaitable[None]) -> asyncio.Task[None]:
    """Return the task of a call of `send` whose message is at the gate."""
    task = asyncio.ensure_future(sending)
    await gate.reached()
    return task


@modes
async def test_order_is_that_of_the_calls(role: str, alone: bool) -> None:
    async with gated(role, alone) as (near, far, gate):
        messages: list[Any] = [
            "a",
            TEXTS[0],
            LARGE,
            "b",
            TEXTS[1],
            LARGE.encode(),
            b"c",
            TEXTS[2],
            LARGE,
            LARGE,
            TEXTS[0],
        ]
        tasks = [asyncio.create_task(near.send(message)) for message in messages]
        await gate.reached()
        assert [await far.recv() for _ in range(2)] == messages[:2]
        gate.opened.set()
        assert [await far.recv() for _ in messages[2:]] == messages[2:]
        await asyncio.gather(*tasks)
        assert len(gate.threads) == 4
        assert threading.get_ident() not in gate.threads
        assert near.stats.messages_sent == len(messages)
        # Each refers to those before it, if the two agreed on that.
        assert near.stats.bytes_sent < sum(map(len, messages)) / 5


@pytest.mark.parametrize("message", [LARGE, LARGE.encode(), "é" * 5000, "€" * 3400, memoryview(LARGE.encode())])
async def test_size_is_in_bytes(role: str, message: Any) -> None:
    async with gated(role) as (near, far, gate):
        gate.opened.set()
        await near.send(message)
        short: list[Any] = ["x" * (SIZE - 1), "é" * 4999, "€" * 3333, bytes(SIZE - 1)]
        for other in short:
            await near.send(other)
        assert [await far.recv() for _ in range(5)] == [message, *short]
        assert len(gate.threads) == 1
        assert threading.get_ident() not in gate.threads


async def test_kind_by_argument(role: str) -> None:
    async with gated(role) as (near, far, gate):
        gate.opened.set()
        await near.send(LARGE, text=False)
        await near.send(LARGE.encode(), text=True)
        assert [await far.recv(), await far.recv()] == [LARGE.encode(), LARGE]
        with pytest.raises(ValueError, match="UTF-8"):
            await near.send(b"\xff" * SIZE, text=True)
        with pytest.raises(ValueError, match="surrogates"):
            await near.send("\ud800" * SIZE)
        await near.send("still there")
        assert await far.recv() == "still there"
        assert len(gate.threads) == 2


async def test_what_stays_on_the_loop(role: str) -> None:
    async with gated(role) as (near, far, gate):
        gate.opened.set()
        near.send_nowait(LARGE)
        near.send_many([LARGE])
        await near.send(PreparedMessage(LARGE))
        await near.send([LARGE, LARGE])
        assert set(gate.threads) == {threading.get_ident()}
        count = len(gate.threads)
        await near.send(LARGE, compress=False)
        await near.send(PreparedMessage(LARGE, compress=False))
        assert len(gate.threads) == count
        assert [await far.recv() for _ in range(6)] == [LARGE] * 3 + [LARGE * 2] + [LARGE] * 2


async def test_without_compression_or_a_size_there_is_no_thread(role: str) -> None:
    gate = Gate()
    gate.opened.set()
    never = {"compression": PerMessageDeflate(engine=gate, background_size=None)}
    async with linked(role, never, {"compression": "deflate"}) as (near, far):
        await near.send(LARGE)
        assert await far.recv() == LARGE
    async with linked(role, never) as (near, far):  # the other end does not compress
        await near.send(LARGE)
        await near.send(LARGE, compress=False)
        assert [await far.recv(), await far.recv()] == [LARGE] * 2
    assert gate.threads == [threading.get_ident()]


async def test_loop_goes_on_meanwhile(role: str) -> None:
    async with gated(role) as (near, far, gate):
        task = await begun(gate, near.send(LARGE))
        for number in range(100):
            await far.send(str(number))
            assert await near.recv() == str(number)
        assert not task.done()
        gate.opened.set()
        await task
        assert await far.recv() == LARGE


async def test_loop_goes_on_while_zlib_works(role: str) -> None:
    deflate = {"compression": PerMessageDeflate(engine=zlib, level=9)}
    async with linked(role, deflate, {**deflate, "max_size": None}) as (near, far):
        message = LARGE * 100
        task = asyncio.create_task(near.send(message))
        ticks = 0
        while near._connection.stats.messages_sent == 0:
            await asyncio.sleep(0)
            ticks += 1
        assert ticks > 20  # on the loop it would be two or three
        assert await far.recv() == message
        await task


async def test_control_frames_go_out_meanwhile(role: str) -> None:
    async with gated(role) as (near, far, gate):
        task = await begun(gate, near.send(LARGE))
        await settled(near)
        await settled(far)
        await near.pong(b"x")
        gate.opened.set()
        await task
        assert await far.recv() == LARGE


@modes
@pytest.mark.parametrize(
    "follow",
    [
        lambda near: near.send_nowait("short"),
        lambda near: near.send_nowait(TEXTS[0]),
        lambda near: near.send_nowait(TEXTS[0], compress=False),
        lambda near: near.send_nowait(LARGE),
        lambda near: near.send_many(["a", TEXTS[0]]),
        lambda near: broadcast([near], "to all"),
        lambda near: near._connection.send_fragment("part", fin=True),
    ],
    ids=["short", "long", "not compressed", "large", "many", "broadcast", "part"],
)
async def test_what_does_not_wait_comes_behind_it(
    role: str, alone: bool, follow: Callable[[WebSocket], object]
) -> None:
    async with gated(role, alone) as (near, far, gate):
        task = await begun(gate, near.send(LARGE))
        later = asyncio.create_task(near.send("later"))
        await asyncio.sleep(0)
        count = near.stats.messages_sent
        open_soon(gate)
        follow(near)  # the thread is waited for
        count = near.stats.messages_sent - count
        await asyncio.gather(task, later)
        await near.send(TEXTS[0])
        received = [await far.recv() for _ in range(count + 2)]
        assert received[0] == LARGE
        assert received[-2:] == ["later", TEXTS[0]]
        assert near._sending is None


async def test_broadcast_reaches_it(role: str) -> None:
    async with gated(role) as (near, far, gate):
        task = await begun(gate, near.send(LARGE))
        open_soon(gate)
        assert broadcast([near], TEXTS[1]) == Broadcast(sent=1)
        await task
        assert [await far.recv(), await far.recv()] == [LARGE, TEXTS[1]]


async def test_who_waits_is_not_overtaken(role: str) -> None:
    async with gated(role) as (near, far, gate):

        async def send() -> None:
            await near.send(LARGE)
            await near.send("last")

        task = await begun(gate, send())
        waiting = [asyncio.create_task(near.send(message)) for message in ("first", "second")]
        await asyncio.sleep(0)
        gate.opened.set()
        assert [await far.recv() for _ in range(4)] == [LARGE, "first", "second", "last"]
        await asyncio.gather(task, *waiting)


async def test_turn_that_nobody_takes_goes_to_the_next(role: str) -> None:
    async with gated(role) as (near, far, gate):
        waiting: list[asyncio.Task[None]] = []

        async def send() -> None:
            await near.send(LARGE)
            # It is the next one's turn now, but its task has not gone on yet.
            for waiter in waiting[:3]:
                waiter.cancel()

        task = await begun(gate, send())
        waiting += [asyncio.create_task(near.send(message)) for message in ("first", LARGE, ["in", "parts"], "last")]
        await asyncio.sleep(0)
        gate.opened.set()
        await asyncio.gather(task, *waiting, return_exceptions=True)
        assert [waiter.cancelled() for waiter in waiting] == [True, True, True, False]
        assert near._sending is None  # plain messages are sent at once again
        assert [await far.recv(), await far.recv()] == [LARGE, "last"]


async def test_call_that_is_cancelled_is_sent_all_the_same(role: str) -> None:
    async with gated(role) as (near, far, gate):
        await near.send(TEXTS[0])
        buffer = bytearray(LARGE.encode())
        task = await begun(gate, near.send(buffer))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        buffer.clear()  # nobody holds it, and nobody reads it
        later = asyncio.create_task(near.send("later"))
        gate.opened.set()
        await later
        await near.send(TEXTS[0])
        assert [await far.recv() for _ in range(4)] == [TEXTS[0], LARGE.encode(), "later", TEXTS[0]]


async def test_call_that_is_cancelled_while_it_waits_is_not_sent(role: str) -> None:
    async with gated(role) as (near, far, gate):
        task = await begun(gate, near.send(LARGE))
        waiting = [asyncio.create_task(near.send(message)) for message in (LARGE * 2, "short", "last")]
        await asyncio.sleep(0)
        for waiter in waiting[:2]:
            waiter.cancel()
        gate.opened.set()
        await asyncio.gather(task, *waiting, return_exceptions=True)
        assert [waiter.cancelled() for waiter in waiting] == [True, True, False]
        assert [await far.recv(), await far.recv()] == [LARGE, "last"]


@pytest.mark.parametrize("cancelled", [False, True])
@pytest.mark.parametrize(
    "end",
    [
        lambda near, far: near.close_nowait(4000),
        lambda near, far: far.close_nowait(4000),
        lambda near, far: near._fail("no reason"),
    ],
    ids=["ours", "theirs", "failed"],
)
async def test_close_frame_comes_behind_it(
    role: str, end: Callable[[WebSocket, WebSocket], object], cancelled: bool
) -> None:
    async with gated(role) as (near, far, gate):
        task = await begun(gate, near.send(LARGE))
        waiting = [asyncio.create_task(near.send(message)) for message in (LARGE, "short")]
        await asyncio.sleep(0)
        if cancelled:
            task.cancel()
        open_soon(gate)
        end(near, far)
        first, *others = await asyncio.gather(task, *waiting, return_exceptions=True)
        assert first is None or (cancelled and isinstance(first, asyncio.CancelledError))
        sent = [LARGE, LARGE, "short"][: 1 + others.count(None)]  # those that wait are answers to what the peer said
        assert [await far.recv() for _ in sent] == sent
        assert all(other is None or isinstance(other, ConnectionClosed) for other in others)
        with pytest.raises(ConnectionClosed):
            await far.recv()
        await asyncio.gather(near.wait_closed(), far.wait_closed())
        nothing_is_left(near)


async def answer(near: WebSocket) -> None:
    async for message in near:
        await near.send(message)
        await near.send("that was it")


async def answer_apart(near: WebSocket) -> None:
    async with asyncio.TaskGroup() as answers:
        async for message in near:
            answers.create_task(answer_one(near, message))


async def answer_one(near: WebSocket, message: str | bytes) -> None:
    await near.send(message)
    near.send_nowait("that was it")


@pytest.mark.parametrize("handler", [answer, answer_apart])
@pytest.mark.parametrize("count", [1, 2])
async def test_answer_goes_ahead_of_the_close_frame(
    role: str, handler: Callable[[WebSocket], Awaitable[None]], count: int
) -> None:
    async with gated(role) as (near, far, gate):
        handling = asyncio.ensure_future(handler(near))
        far.send_many([LARGE] * count)
        await gate.reached()
        far.close_nowait()
        while near.close_code is None:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)
        assert near._connection.close_sent is None  # type: ignore[attr-defined]
        gate.opened.set()
        answers = [await far.recv() for _ in range(2 * count)]
        assert sorted(answers) == sorted([LARGE, "that was it"] * count)
        assert answers[0] == LARGE
        await asyncio.wait_for(near.wait_closed(), SOON / 5)  # no deadline has to pass
        await handling


async def test_answer_of_a_callback_goes_ahead_of_the_close_frame(role: str) -> None:
    if role == "server":
        pytest.skip("the server of these tests has a handler")
    tasks = []

    def on_messages(near: WebSocket, messages: list[Any]) -> None:
        tasks.extend(asyncio.ensure_future(near.send(message)) for message in messages)

    async with gated(role, on_messages=on_messages) as (near, far, gate):
        await far.send(LARGE)
        await gate.reached()
        far.close_nowait(4000)
        while near.close_code is None:
            await asyncio.sleep(0.001)
        gate.opened.set()
        assert await far.recv() == LARGE
        await asyncio.wait_for(near.wait_closed(), SOON / 5)
        await asyncio.gather(*tasks)


@pytest.mark.parametrize("cancelled", [False, True])
async def test_connection_that_is_cut_meanwhile(role: str, cancelled: bool) -> None:
    async with gated(role) as (near, far, gate):
        task = await begun(gate, near.send(LARGE))
        waiting = [asyncio.create_task(near.send(message)) for message in (LARGE, "short")]
        await asyncio.sleep(0)
        if cancelled:
            task.cancel()
        assert near.transport is not None
        near.transport.abort()
        await near.wait_closed()  # the thread keeps nobody from closing
        gate.opened.set()
        results = await asyncio.gather(task, *waiting, return_exceptions=True)
        assert isinstance(results[0], asyncio.CancelledError) is cancelled
        assert all(isinstance(result, ConnectionClosed) for result in results[cancelled:])
        await far.wait_closed()
        with pytest.raises(ConnectionClosed):
            await far.recv()
        with pytest.raises(ConnectionClosed):
            await near.send(LARGE)
        nothing_is_left(near)
        assert len(gate.threads) == 1


def nothing_is_left(near: WebSocket) -> None:
    connection: Any = near._connection
    assert connection._deflation is connection._encoder._deflation is None
    assert connection._encoder._deflater._compressor is None


@modes
async def test_error_of_the_compressor_is_that_of_the_call(role: str, alone: bool) -> None:
    async with gated(role, alone) as (near, far, gate):
        for cancelled in (False, True, False):
            await near.send(TEXTS[0])
            gate.opened.clear()
            task = await begun(gate, near.send(LARGE))
            later = asyncio.create_task(near.send(TEXTS[1]))
            if cancelled:
                task.cancel()
            gate.fault = MemoryError("no room")
            gate.opened.set()
            (result,) = await asyncio.gather(task, return_exceptions=True)
            assert isinstance(result, asyncio.CancelledError if cancelled else MemoryError)
            await later
            gate.fault = None
            await near.send(LARGE)
            near.send_nowait(TEXTS[0])
            assert [await far.recv() for _ in range(4)] == [TEXTS[0], TEXTS[1], LARGE, TEXTS[0]]


def use(monkeypatch: pytest.MonkeyPatch, executor: ThreadPoolExecutor) -> None:
    """Have large messages compressed by the threads of `executor`."""
    monkeypatch.setattr(messages, "threads", lambda: executor)


async def test_without_a_thread_it_is_compressed_here(role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(ThreadPoolExecutor):
        def submit(self, *args: Any, **kwargs: Any) -> Any:
            super().submit(*args, **kwargs)  # the job may be in its queue all the same
            raise RuntimeError("can't start new thread")

    async with gated(role) as (near, far, gate):
        gate.opened.set()
        use(monkeypatch, Full(1))
        for _ in range(3):
            await near.send(LARGE)
            await near.send(TEXTS[0])
        assert [await far.recv() for _ in range(6)] == [LARGE, TEXTS[0]] * 3
        assert len(gate.threads) == 3


async def test_executor_that_drops_its_work(role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with gated(role) as (near, far, gate):
        executor = ThreadPoolExecutor(1)
        use(monkeypatch, executor)
        busy = threading.Event()
        executor.submit(busy.wait, SOON)  # it has something else to do first
        gate.opened.set()
        task = asyncio.create_task(near.send(LARGE))
        await asyncio.sleep(0)
        executor.shutdown(wait=False, cancel_futures=True)
        await task
        assert await far.recv() == LARGE
        assert gate.threads == [threading.get_ident()]
        busy.set()


async def test_executor_that_is_busy_is_not_waited_for(role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with gated(role) as (near, far, gate):
        executor = ThreadPoolExecutor(1)
        use(monkeypatch, executor)
        busy = threading.Event()
        executor.submit(busy.wait, SOON)
        gate.opened.set()
        task = asyncio.create_task(near.send(LARGE))
        await asyncio.sleep(0)
        near.send_nowait("behind it")
        assert [await far.recv(), await far.recv()] == [LARGE, "behind it"]
        busy.set()
        await task


async def test_threads_of_the_application_may_all_wait_for_it(role: str) -> None:
    async with gated(role) as (near, far, gate):
        gate.opened.set()
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1))

        async def send() -> None:
            await near.send(LARGE)

        await asyncio.to_thread(lambda: asyncio.run_coroutine_threadsafe(send(), loop).result(SOON))
        assert await far.recv() == LARGE
        assert threading.get_ident() not in gate.threads


def test_event_loop_may_end_before_the_thread(
    role: str,
    loop_factory: Callable[[], asyncio.AbstractEventLoop],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    gate = Gate()
    executor = ThreadPoolExecutor(1)
    use(monkeypatch, executor)

    async def main() -> None:
        near_options = {"compression": PerMessageDeflate(engine=gate, background_size=SIZE)}
        async with linked(role, near_options, {"compression": "deflate"}) as (near, _):
            await begun(gate, near.send(LARGE))
            assert near.transport is not None
            near.transport.abort()
            await near.wait_closed()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main())
    gate.opened.set()
    executor.shutdown()
    assert not [record for record in caplog.records if record.name == "concurrent.futures"]


async def test_slow_reader_is_waited_for(role: str) -> None:
    noise = b"".join(zlib.crc32(bytes([i % 256, i >> 8])).to_bytes(4) for i in range(1 << 16)) * 8
    async with linked(
        role,
        {"compression": PerMessageDeflate(), "write_limit": 1000},
        {"compression": "deflate", "max_size": None, "max_queue": 1},
    ) as (near, far):
        sending = asyncio.create_task(near.send([noise]))
        tasks = [asyncio.create_task(near.send(noise)) for _ in range(5)]
        for _ in range(6):
            assert await far.recv() == noise
        await asyncio.gather(sending, *tasks)
