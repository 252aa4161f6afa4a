"""What a connection on an event loop does is the same over both twins, whatever happens in whatever order."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Awaitable, Iterator
from itertools import count
from random import Random
from typing import Any

import pytest
from helpers import BINARY, CLOSE, CONT, PING, PONG, TEXT, close_payload, frame, to
from implementations import IMPLEMENTATIONS, Implementation, using

from wscodec import PreparedMessage, Role
from wscodec.asyncio import ClientConnection, ServerConnection, WebSocket, broadcast
from wscodec.asyncio._options import Options

SEEDS = 200
STEPS = 60
MESSAGES: tuple[Any, ...] = (
    *("", "a", "n\u00f6t", "x" * 300, b"", b"bytes", b"y" * 70_000, bytearray(b"kept")),
    *(3, "\ud800"),  # no messages
)


class ScriptedTransport(asyncio.Transport):
    """Writes down what it is told, and stops taking more when it is told to."""

    def __init__(self, log: list[Any]) -> None:
        super().__init__()
        self.log = log
        self.closing = False

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"nobody asks for {name}")

    def write(self, data: Any) -> None:
        self.log.append(("write", bytes(data)))

    def writelines(self, list_of_data: Any) -> None:
        self.log.append(("writelines", [bytes(data) for data in list_of_data]))

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.log.append("close")
        self.closing = True

    def abort(self) -> None:
        self.log.append("abort")
        self.closing = True

    def pause_reading(self) -> None:
        self.log.append("pause_reading")

    def resume_reading(self) -> None:
        self.log.append("resume_reading")

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.log.append("write_eof")

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def get_write_buffer_size(self) -> int:
        return 0


def some_frame(rng: Random, role: Role, within: bool) -> bytes:
    """Return a frame for `role`: mostly one that may come, `within` a fragmented message or not."""
    key = to(role)
    payload = rng.choice([b"", b"a", "n\u00f6t".encode(), b"x" * 200, b"z" * 3000])
    kind = rng.random()
    if kind < 0.1:
        return frame(PING, payload[:100], key=key)
    if kind < 0.15:
        return frame(PONG, rng.choice([b"0", b"1", b"2"]), key=key)
    if kind < 0.17:
        return frame(CLOSE, rng.choice([b"", close_payload(1000), close_payload(4000, b"bye")]), key=key)
    if kind < 0.18:
        return frame(rng.choice([TEXT, CONT, 3]), b"\xff", key=key)
    opcode = CONT if within else rng.choice([TEXT, BINARY])
    return frame(opcode, payload, fin=rng.random() < (0.5 if within else 0.85), key=key)


def frames(rng: Random, role: Role) -> Iterator[bytes]:
    within = False
    while True:
        made = some_frame(rng, role, within)
        if made[0] & 0x0F < PING - 1:
            within = not made[0] & 0x80
        yield made


class Script:
    """Does random things to a connection, and writes down what comes of them."""

    def __init__(self, seed: int) -> None:
        self.rng = rng = Random(seed)
        self.log: list[Any] = []
        self.role = rng.choice([Role.CLIENT, Role.SERVER])
        self.wire = b""
        self.frames = frames(rng, self.role)
        self.tasks: list[asyncio.Task[None]] = []
        self.numbers = count()
        self.lost = self.ended = False
        callback = rng.random() < 0.3
        low = rng.choice([0, 1, 4])
        options = Options(
            logging.getLogger("wscodec.nobody"),
            ping_interval=None,
            close_timeout=None,
            max_size=rng.choice([None, 2500]),
            queue_high=low + rng.choice([0, 12]),
            queue_low=low,
            write_high=rng.choice([0, 1000, 32768]),
            write_low=0,
            streaming=rng.random() < 0.2,
            on_messages=self.on_messages if callback else None,
            on_close=lambda ws: self.log.append("on_close"),
        )
        kind: type[WebSocket] = ServerConnection if self.role is Role.SERVER else ClientConnection
        self.transport = ScriptedTransport(self.log)
        self.ws = kind(self.transport, options)
        self.ws._write_paused = False

    def on_messages(self, ws: WebSocket, messages: list[Any]) -> None:
        self.log.append(("messages", messages))
        what = self.rng.random()
        if what < 0.5:
            ws.send_nowait("answer")
        elif what < 0.55:
            ws.close_nowait(4001)
        elif what < 0.6:
            raise KeyError("callback")

    def on_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Write down an error of ours; of tasks that nobody asked, the collector of garbage decides when we hear."""
        if "never retrieved" not in context["message"]:
            self.log.append((context["message"], repr(context.get("exception"))))

    async def record(self, name: str, call: Awaitable[Any]) -> None:
        """Write down what a call returned or raised."""
        number = next(self.numbers)
        try:
            result = await call
            self.log.append((number, name, None if name == "ping" else result))
        except asyncio.CancelledError:
            self.log.append((number, name, "cancelled"))
            raise
        except BaseException as error:
            self.log.append((number, name, type(error).__name__, str(error)))

    def begin(self, name: str, call: Any) -> None:
        if self.rng.random() < 0.3:
            call = asyncio.create_task(call)
        task = asyncio.create_task(self.record(name, call))
        if not isinstance(call, asyncio.Task):
            # Where the task was cancelled before it began, nobody has awaited the call.
            task.add_done_callback(lambda _: call.close())
        self.tasks.append(task)

    def try_to(self, name: str, *args: Any) -> None:
        try:
            getattr(self.ws, name)(*args)
        except Exception as error:
            self.log.append((name, type(error).__name__, str(error)))

    def receive(self) -> None:
        """Have some bytes come in, one way or the other."""
        rng, ws = self.rng, self.ws
        while len(self.wire) < 4000 and rng.random() < 0.7:
            self.wire += next(self.frames)
        size = rng.choice([1, 5, len(self.wire), len(self.wire)])
        data, self.wire = self.wire[:size], self.wire[size:]
        if not data or self.lost or self.ended or self.transport.closing:
            return
        if rng.random() < 0.5:
            ws.data_received(data)
        else:
            ws.get_buffer(-1)[: len(data)] = data
            ws.buffer_updated(len(data))

    async def step(self) -> None:
        rng, ws = self.rng, self.ws
        what = rng.random()
        message = rng.choice(MESSAGES)
        if what < 0.25:
            self.receive()
        elif what < 0.40:
            self.begin("recv", ws.recv() if rng.random() < 0.5 else ws.__anext__())
        elif what < 0.50:
            self.begin("send", ws.send(message))
        elif what < 0.52:
            self.begin("send", ws.send([part for part in ("a", "b", message) if isinstance(part, str)]))
        elif what < 0.56:
            self.try_to("send_nowait", message)
        elif what < 0.60:
            self.try_to("send_many", [message, "b", rng.choice(MESSAGES)])
        elif what < 0.63:
            self.log.append(repr(broadcast([ws], PreparedMessage("all"), slow=rng.choice(["skip", "send"]))))
        elif what < 0.66:
            self.begin("ping", ws.ping(str(rng.randrange(3))))
        elif what < 0.70 and self.tasks:
            rng.choice(self.tasks).cancel()
        elif what < 0.73:
            ws.pause_writing()
        elif what < 0.78 and not self.lost:
            ws.resume_writing()
        elif what < 0.79:
            ws.close_nowait(1000)
        elif what < 0.795 and not self.lost and not self.ended:
            self.ended = True
            self.log.append(("eof", ws.eof_received()))
        elif what < 0.80 and not self.lost:
            self.lost = True
            ws.connection_lost(None)
        else:
            await asyncio.sleep(0)

    async def run(self) -> list[Any]:
        """Do it, and return what came of it."""
        asyncio.get_running_loop().set_exception_handler(self.on_error)
        ws = self.ws
        for _ in range(STEPS):
            await self.step()
            self.log.append((ws._unread, ws._reading_paused, ws._connection.unsent_size))
            self.log.append((ws._closing, ws._held, ws.state))
        if not self.lost:
            ws.resume_writing()
            ws.connection_lost(None)
        await asyncio.gather(*self.tasks, return_exceptions=True)
        while ws._unread:
            self.log.append(ws._dequeue())
        stats = ws.stats
        self.log.append((ws.close_code, ws.close_reason, stats.messages_received, stats.messages_sent))
        return self.log


async def play(seed: int) -> list[Any]:
    return await asyncio.wait_for(Script(seed).run(), 20)


def known_keys(patch: pytest.MonkeyPatch) -> None:
    """Let clients mask with 1, 2, 3, ... instead of random keys."""
    numbers = count(1)

    def take_keys(size: int) -> bytes:
        return b"".join(next(numbers).to_bytes(4) for _ in range(size))

    for module in ("connection", "encoder"):
        patch.setattr(f"wscodec.{module}.take_keys", take_keys)
    patch.setattr("wscodec.encoder.take_key", lambda: take_keys(1))


def observe(implementation: Implementation, seed: int) -> list[Any]:
    """Return what comes of a script on one implementation."""
    with using(implementation), pytest.MonkeyPatch.context() as patch, asyncio.Runner() as runner:
        known_keys(patch)
        return runner.run(play(seed))


@pytest.mark.skipif(len(IMPLEMENTATIONS) < 2, reason="there is but one implementation")
@pytest.mark.filterwarnings("ignore")  # tasks are cancelled, and calls dropped, at any time
@pytest.mark.parametrize("start", range(0, SEEDS, 50))
def test_twins_do_the_same(start: int) -> None:
    for seed in range(start, start + 50):
        one, other = (observe(implementation, seed) for implementation in IMPLEMENTATIONS[:2])
        assert one == other, f"seed {seed}"
    gc.collect()  # so that no other test sees what was dropped here


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS, ids=str)
@pytest.mark.parametrize("wrong", [None, "text", bytearray(b"\x81\x00"), 5], ids=repr)
def test_frame_that_is_no_bytes_is_not_written(implementation: Implementation, wrong: Any) -> None:
    with pytest.raises(TypeError, match="bytes"):
        implementation.twin("write_frame")([], wrong)
