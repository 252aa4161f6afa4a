"""Many threads in one interpreter, and isolated sub-interpreters with a GIL of their own.

All of it runs in processes of its own, so that a crash there is a failed test here.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import wscodec

TESTS = Path(__file__).parent

# `work` and `network` use every compiled class and function; what they expect is made without them.
WORK = """
import wscodec
from helpers import BINARY, KEY, PING, TEXT, frame
from reference.masking import mask
from wscodec import (
    AgreedDeflate, Close, Connection, Decoder, DeflateParameters, Encoder, Header, PerMessageDeflate, Ping, Pong, Role,
    Utf8Validator,
)

TEXTS = [letters * times for letters in ("a", "ä", "€", "😀", "aä€😀") for times in (1, 5, 40, 300)]
DATA = bytes(range(256)) * 5
MASKED = mask(DATA, KEY)
BROKEN = "€".encode() * 40 + bytes([0xFF])
EVENTS = [*TEXTS, DATA, Ping(b"?")]
LARGE = [letters * 70_000 for letters in ("a", "€", b"b")]
AGREED = AgreedDeflate(PerMessageDeflate(), DeflateParameters())
NO_TAKEOVER = AgreedDeflate(
    PerMessageDeflate(), DeflateParameters(server_no_context_takeover=True, client_no_context_takeover=True)
)

def frames(key):
    texts = b"".join(frame(TEXT, text.encode(), key=key) for text in TEXTS)
    return texts + frame(BINARY, DATA, key=key) + frame(PING, b"?", key=key)

PLAIN, WIRE = frames(None), frames(KEY)

def check(right):
    if not right:
        raise AssertionError

def raises(error, function, *arguments):
    try:
        function(*arguments)
    except error:
        return True
    return False

def check_bytes():
    check(wscodec.apply_mask(DATA, KEY) == MASKED)
    buffer = bytearray(MASKED)
    wscodec.apply_mask_inplace(buffer, KEY)
    check(buffer == DATA)
    check(raises(ValueError, wscodec.apply_mask, DATA, b"123"))

def check_text(text, cut):
    data = text.encode()
    check(wscodec.is_valid_utf8(data) and wscodec.decode_utf8(data) == text)
    validator = Utf8Validator()
    check(validator.feed(data[:cut]) and validator.feed(data[cut:]) and validator.complete)

def check_frames(cut):
    decoder = Decoder(Role.SERVER)
    check(decoder.feed(WIRE[:cut]) + decoder.feed(WIRE[cut:]) == EVENTS)
    check(wscodec.encode_many(EVENTS[:-1]) + frame(PING, b"?") == PLAIN)
    check(Decoder(Role.SERVER).feed(Encoder(Role.CLIENT).encode_many(EVENTS[:-1])) == EVENTS[:-1])
    header = wscodec.build_header(2, 300, masking_key=KEY)
    check(wscodec.parse_header(header) == Header(True, False, False, False, 2, KEY, 300, 8))

def receive(peer, data, cut):
    return peer.receive(data[:cut]) + peer.receive(data[cut:])

def check_connections(compression, cut):
    ends = [Connection(role, compression=compression) for role in Role]
    for near, far in (ends, ends[::-1]):
        near.send_many(EVENTS[:-1])
        near.ping(b"?")
        check(receive(far, near.data_to_send(), cut) == EVENTS)
        check(near.receive(far.data_to_send()) == [Pong(b"?")])
        for message in LARGE:
            near.send(message)
            near.send("short")
        expected = [each for message in LARGE for each in (message, "short")]
        check(receive(far, b"".join(near.chunks_to_send()), 1000 * cut) == expected)
        for part in TEXTS:
            near.send_fragment(part, fin=False)
        near.send_fragment("", fin=True)
        check(receive(far, near.data_to_send(), cut) == ["".join(TEXTS)])
    near, far = ends
    near.close(4000, "over")
    check(far.receive(near.data_to_send()) == [Close(4000, "over")])
    check(near.receive(far.data_to_send()) == [Close(4000, "over")])
    check(near.finished and far.finished)

def work(rounds):
    for turn in range(rounds):
        check_bytes()
        for text in TEXTS:
            check_text(text, turn)
        check(not wscodec.is_valid_utf8(BROKEN) and raises(UnicodeDecodeError, wscodec.decode_utf8, BROKEN))
        check_frames(turn * 997 % len(WIRE))
        for compression in (None, AGREED, NO_TAKEOVER):
            check_connections(compression, turn * 31)
"""

# Each call has an event loop of its own, with a server and a client. What is awaited is there already, or has to come.
NETWORK = """
import asyncio
from wscodec.asyncio import connect, serve

async def echo(ws):
    async for message in ws:
        await ws.send(message)

def echo_at_once(ws, messages):
    for message in messages:
        ws.send_nowait(message)

async def check_echo(compression, **options):
    async with serve(host="127.0.0.1", port=0, compression=compression, **options) as server:
        host, port = server.sockets[0].getsockname()
        async with connect(f"ws://{host}:{port}/", compression=compression) as ws:
            for message in (*EVENTS[:-1], *LARGE):
                await ws.send(message)
                check(await ws.recv() == message)
            await asyncio.gather(*(ws.send(text) for text in TEXTS))
            check([await ws.recv() for _ in TEXTS] == TEXTS)
            await (await ws.ping())
            await ws.close(4000, "over")
        check((ws.close_code, ws.close_reason) == (4000, "over"))

async def check_network():
    await check_echo("deflate", handler=echo)
    await check_echo(None, on_messages=echo_at_once)

def network(rounds):
    for _ in range(rounds):
        asyncio.run(check_network())
"""


def run(*parts: str) -> list[str]:
    """Run code in a process of its own, on the backend of this one, and return the lines that it prints."""
    environment = {
        **os.environ,
        "WSCODEC_BACKEND": wscodec.backend,
        "PYTHONPATH": os.pathsep.join((str(Path(wscodec.__file__).parents[1]), str(TESTS))),
    }
    command = [sys.executable, "-X", "faulthandler", "-X", "utf8", "-c", "".join(parts)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, encoding="utf-8", timeout=60)
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout.splitlines()


# ------------------------------------------------------------------------------------------------------- threads

THREADS = """
import sys, threading
from concurrent.futures import ThreadPoolExecutor

sys.setswitchinterval(1e-5)

def at_once(count, function, *arguments):
    start = threading.Barrier(count)
    def begin():
        start.wait()
        return function(*arguments)
    with ThreadPoolExecutor(count) as pool:
        return [one.result() for one in [pool.submit(begin) for _ in range(count)]]
"""

# The choice of kernel goes round and round for as long as the others work.
SWITCHING = """
finished = threading.Event()

def switch():
    turns = 0
    while not finished.is_set():
        for name in wscodec.kernels():
            wscodec.use_kernel(name)
        turns += 1
    return turns

with ThreadPoolExecutor(1) as pool:
    switching = pool.submit(switch)
    try:
        at_once(8, work, 6)
    finally:
        finished.set()
print(switching.result() > 0)
"""

# No one should use an object like this, and no one is promised more than that it ends in no crash.
SHARED = """
import contextlib

validator, decoder, buffer = Utf8Validator(), Decoder(Role.SERVER), bytearray(WIRE)
taken = []

def misuse(rounds):
    for turn in range(rounds):
        cut = turn * 997 % len(WIRE)
        for chunk in (*(text.encode() for text in TEXTS), "€".encode()[:1]):
            check(validator.feed(chunk) in (True, False))
        validator.reset()
        for function, argument in (
            (decoder.feed, WIRE[:cut]),
            (decoder.feed, WIRE[cut:]),
            (buffer.extend, WIRE),
            (buffer.__delitem__, slice(0, len(WIRE))),
            (lambda data: wscodec._backend.take_messages(data, 0, True, 1 << 20, taken), buffer),
            (lambda data: wscodec.apply_mask_inplace(data, KEY), buffer),
        ):
            with contextlib.suppress(Exception):
                function(argument)

at_once(8, misuse, 20)
validator.reset()
check_text("€", 1)
check(validator.feed(b"a") and validator.complete)
work(1)
"""


def test_threads_at_once_while_the_kernel_is_switched() -> None:
    assert run(WORK, THREADS, SWITCHING) == ["True"]


def test_threads_with_an_event_loop_each() -> None:
    assert run(WORK, NETWORK, THREADS, "at_once(8, network, 2)") == []


def test_threads_that_share_what_they_should_not() -> None:
    assert run(WORK, THREADS, SHARED) == []


@pytest.mark.usefixtures("compiled")
@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="a Python that cannot do without its GIL")
def test_free_threading_stays() -> None:
    assert run("import sys, wscodec; print(sys._is_gil_enabled())") == ["False"]


def test_directives() -> None:
    # A Python with a GIL shows nothing of the first one, so the sources are asked.
    sources = list((TESTS.parent / "src/wscodec").glob("*.pyx"))
    assert len(sources) == 8
    for source in sources:
        directives = dict(re.findall(r"(\w+)=(\w+)", "".join(re.findall(r"(?m)^# cython:.*\n", source.read_text()))))
        assert directives["freethreading_compatible"] == "True", source.name
        assert directives["subinterpreters_compatible"] == "own_gil", source.name


# -------------------------------------------------------------------------------------------------- interpreters

INTERPRETERS = f"""
import _interpreters

WORK = {WORK!r}
NETWORK = {NETWORK!r}

def inside(interpreter, code):
    failed = _interpreters.exec(interpreter, code)
    if failed is not None:
        raise RuntimeError(failed.errdisplay)

def isolated():
    return _interpreters.create("isolated")
"""

ONE = """
interpreter = isolated()
inside(interpreter, WORK + "work(3); print(wscodec.backend)")
inside(interpreter, NETWORK + "network(1); print('ran')")
_interpreters.destroy(interpreter)
"""

AT_ONCE = """
interpreters = [isolated() for _ in range(4)]

def work_inside(interpreter, kernel):
    inside(interpreter, WORK + f"wscodec.use_kernel({kernel!r}); work(6)")

exec(WORK)
kernels = wscodec.kernels()
with ThreadPoolExecutor(5) as pool:
    parts = [pool.submit(work, 6)]
    for index, interpreter in enumerate(interpreters):
        parts.append(pool.submit(work_inside, interpreter, kernels[index % len(kernels)]))
    for part in parts:
        part.result()
SHOW = "print(*(id(thing) for thing in (wscodec._backend._utf8, wscodec.Utf8Validator, wscodec.apply_mask)))"
exec(SHOW)
for interpreter in interpreters:
    inside(interpreter, SHOW)
for interpreter in interpreters:
    _interpreters.destroy(interpreter)
work(1)
"""

# Cython finds a module's state in a table by the interpreter's number; beyond 32 it is laid out in another way.
AGAIN = """
kept = isolated()
inside(kept, WORK + "work(1)")
for _ in range(3):
    interpreter = isolated()
    inside(interpreter, WORK + "work(1)")
    _interpreters.destroy(interpreter)
for _ in range(33):
    last = isolated()
    _interpreters.destroy(last)
print(last > 32)
for _ in range(6):
    interpreter, other = isolated(), isolated()
    inside(interpreter, WORK + "work(1)")
    inside(other, WORK + "work(1)")
    _interpreters.destroy(interpreter)
    inside(other, "work(1)")
    inside(kept, "work(1)")
    _interpreters.destroy(other)
"""

interpreters = pytest.mark.skipif(
    sys.version_info < (3, 13),
    reason="no isolated interpreters before Python 3.13 (3.12's own hashlib crashes in them)",
)


@interpreters
@pytest.mark.usefixtures("compiled")
def test_interpreter_isolated_imports_and_works() -> None:
    assert run(INTERPRETERS, ONE) == ["compiled", "ran"]


@interpreters
@pytest.mark.usefixtures("compiled")
def test_interpreters_at_once_share_no_objects() -> None:
    shown = [line.split() for line in run(THREADS, INTERPRETERS, AT_ONCE)]
    assert len(shown) == 5
    assert len({identity for line in shown for identity in line}) == 15


@interpreters
@pytest.mark.usefixtures("compiled")
def test_interpreters_again_and_again() -> None:
    assert run(INTERPRETERS, AGAIN) == ["True"]
