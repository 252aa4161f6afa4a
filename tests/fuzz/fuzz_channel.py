"""A target for the connection of the asyncio layer, over a transport that does what a script says."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from random import Random
from typing import Any
from unittest.mock import patch

from fuzz_deflate import some_deflate, some_parameters
from fuzz_input import CLOSE_CODES, cut, some_bytes, some_message, some_text, stream
from fuzz_targets import MESSAGES, Difference, Observe, known_keys
from implementations import Implementation

from wscodec import AgreedDeflate, PerMessageDeflate, Role
from wscodec.asyncio import messages
from wscodec.asyncio._options import Options
from wscodec.asyncio.connection import ClientConnection, ServerConnection

QUIET = logging.getLogger("wscodec.fuzz")
QUIET.addHandler(logging.NullHandler())
QUIET.propagate = False


class ScriptedTransport(asyncio.Transport):
    """A transport that keeps what is written and notes what is asked of it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.ended = ""

    def write(self, data: Any) -> None:
        self.written += data

    def writelines(self, chunks: Any) -> None:
        self.written += b"".join(chunks)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        pass

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return bool(self.ended)

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = self.ended or "eof"

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def close(self) -> None:
        self.ended = "closed"

    def abort(self) -> None:
        self.ended = "aborted"


class ScriptedThreads(ThreadPoolExecutor):
    """Threads that work when they are told to: how long one takes is no chance."""

    def __init__(self) -> None:
        super().__init__(1)
        self._jobs: list[tuple[Future[Any], Callable[[], Any]]] = []

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        job: Future[Any] = Future()
        self._jobs.append((job, partial(function, *args, **kwargs)))
        return job

    def work(self) -> None:
        jobs, self._jobs = self._jobs, []
        for job, function in jobs:
            job.set_result(function())


class Script:
    """Does what it is told to a connection, and remembers what came of it."""

    def __init__(self, role: Role, limits: dict[str, Any], agreed: AgreedDeflate | None) -> None:
        kind = ServerConnection if role is Role.SERVER else ClientConnection
        options = Options(QUIET, ping_interval=None, ping_timeout=None, close_timeout=None, **limits)
        self.transport = ScriptedTransport()
        self.ws: Any = kind(self.transport, options, agreed)
        self.ws._start(b"", False)
        self.tasks: list[asyncio.Task[Any]] = []
        self._lost = False
        self.threads = ScriptedThreads()

    def feed(self, data: bytes) -> None:
        if not self._lost and not self.transport.ended:
            self.ws.data_received(data)

    def later(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Have a task call a method."""

        async def call() -> Any:
            return await getattr(self.ws, name)(*args, **kwargs)

        self.tasks.append(asyncio.get_running_loop().create_task(call()))

    def cancel(self, number: int) -> None:
        if self.tasks:
            self.tasks[number % len(self.tasks)].cancel()

    def pause(self) -> None:
        if not self._lost:
            self.ws.pause_writing()

    def resume(self) -> None:
        if not self._lost:
            self.ws.resume_writing()

    def eof(self) -> None:
        if not self._lost and not self.transport.ended:
            self.ws.eof_received()
            self.lose()

    def lose(self) -> None:
        """Have the transport end."""
        if not self._lost:
            self._lost = True
            self.ws.connection_lost(None)

    async def tick(self) -> bytes:
        """Let all that can go on do so, threads that were begun before, too; return what was written."""
        self.threads.work()
        for _ in range(6):
            await asyncio.sleep(0)
        if self.transport.ended in ("closed", "aborted"):
            self.lose()
        written, self.transport.written = self.transport.written, b""
        return written


async def _play(script: Script, plan: list[Any]) -> Any:
    seen, faults = [], []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    for name, args, kwargs in plan:
        if name != "tick":
            getattr(script, name)(*args, **kwargs)
        seen.append(await script.tick())
    script.lose()
    await script.tick()
    results = await asyncio.wait_for(asyncio.gather(*script.tasks, return_exceptions=True), 30)
    if faults:
        raise Difference(f"raised in the event loop: {faults}")
    return seen, [_plain(result) for result in results], script.transport.ended, script.ws.close_code


def _plain(result: Any) -> Any:
    """Return a result so that it can be compared; a task may also end with an error that `send` or `recv` names."""
    if not isinstance(result, BaseException):
        return repr(result)[:200]
    if not isinstance(result, (asyncio.CancelledError, *MESSAGES)):
        raise result
    return type(result).__name__, str(result)


def _some_step(rng: Random, chunks: list[bytes]) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
    kind = rng.randrange(12)
    if kind < 4:
        return ("feed", (chunks.pop(0),), {}) if chunks else ("tick", (), {})
    if kind < 6:
        return "later", ("recv",), {"decode": rng.choice((None, None, True, False))}
    if kind < 8:
        return "later", ("send", some_message(rng)), {"compress": rng.random() < 0.8}
    if kind == 8:
        return rng.choice((("pause", (), {}), ("resume", (), {}), ("resume", (), {})))
    if kind == 9:
        return "cancel", (rng.randrange(8),), {}
    if kind == 10:
        parts = [some_text(rng) if rng.random() < 0.9 else some_bytes(rng) for _ in range(rng.randrange(4))]
        return "later", ("send", parts), {}
    if rng.random() < 0.3:
        return "later", ("close", rng.choice(CLOSE_CODES), some_text(rng)[:40]), {}
    return ("eof", (), {}) if rng.random() < 0.1 else ("tick", (), {})


def channel(rng: Random) -> Observe:
    """A connection of the asyncio layer: read, awaited, sent on, held up, cancelled and ended in any order."""
    role = rng.choice(tuple(Role))
    limits = {
        "max_size": rng.choice((None, None, 10, 2000)),
        "queue_high": rng.choice((1, 2, 16)),
        "queue_low": rng.choice((0, 1)),
        "write_high": rng.choice((0, 100, 32768)),
        "write_low": 0,
    }
    chunks = cut(rng, stream(rng, role is Role.SERVER))
    plan = [_some_step(rng, chunks) for _ in range(rng.randrange(1, 30))]
    parameters = None if rng.random() < 0.6 else some_parameters(rng)
    deflate = {**some_deflate(rng), "background_size": rng.choice((None, 0, 100))}

    def observe(_: Implementation) -> Any:
        async def main() -> Any:
            agreed = None if parameters is None else AgreedDeflate(PerMessageDeflate(**deflate), parameters)
            script = Script(role, limits, agreed)
            with patch.object(messages, "threads", lambda: script.threads):
                return await _play(script, plan)

        with known_keys():
            return asyncio.run(main())

    return observe


TARGETS = (channel,)
