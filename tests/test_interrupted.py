"""What an exception leaves behind that comes in the middle of a call, here for want of memory.

Each test lets one allocation after the other fail, and goes on as an application may that has caught the error: what
is delivered is what was sent, or the connection has failed. Python says RuntimeError or SystemError at times, and from
3.12 on its generators crash, so that the pure backend is tried on 3.11 alone.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from helpers import BINARY, CLOSE, CONT, PING, TEXT, frame
from implementations import Implementation

from wscodec import (
    AgreedDeflate,
    CloseCode,
    Connection,
    Decoder,
    DeflateParameters,
    FrameDecoder,
    PerMessageDeflate,
    ProtocolError,
    Role,
    encode,
)

testcapi = pytest.importorskip("_testcapi", reason="this Python's allocators can't be made to fail")

# A generator that can't be closed, either, is reported and forgotten.
pytestmark = [
    pytest.mark.usefixtures("on_safe_ground"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def on_safe_ground(impl: Implementation) -> None:
    if impl.backend == "pure" and sys.version_info >= (3, 12):
        pytest.skip("this Python itself crashes for want of memory")


SMUGGLED = encode("smuggled")
PAYLOADS = [SMUGGLED * 5, SMUGGLED * 300]
STREAM = b"".join(
    [
        encode("one") * 3,
        frame(BINARY, PAYLOADS[0]),
        encode("zwei €"),
        frame(PING, b"now"),
        frame(TEXT, b"thr", fin=False) + frame(CONT, b"ee"),
        frame(BINARY, PAYLOADS[1]),
        encode("four"),
        frame(CLOSE, b"\x03\xe8"),
    ]
)


def without(memory: int, call: Callable[..., Any], *arguments: Any) -> tuple[Any, bool]:
    """Return what a call returns, and whether it failed, since it could not have what it asked for at that time."""
    try:
        testcapi.set_nomemory(memory, memory + 1)
        return call(*arguments), False
    except (MemoryError, SystemError, RuntimeError):
        return None, True
    finally:
        testcapi.remove_mem_hooks()


def agreed() -> AgreedDeflate:
    return AgreedDeflate(PerMessageDeflate(engine=zlib, threshold=64), DeflateParameters())


def connection() -> Connection:
    return Connection(Role.CLIENT)


def decoder() -> Decoder:
    return Decoder(Role.CLIENT)


def frame_decoder() -> FrameDecoder:
    return FrameDecoder(Role.CLIENT)


def delivered(make: Callable[[], Any], pieces: list[Any], number: int, memory: int) -> tuple[list[Any], bool, bool]:
    """Feed pieces, one of them without that memory, and again if nothing of it was taken.

    Returns:
        What came, whether that piece failed, and whether the decoder did.
    """
    receiver = make()
    feed = receiver.receive if isinstance(receiver, Connection) else receiver.feed
    events, failed = [], False
    try:
        for index, piece in enumerate(pieces):
            came = None
            if index == number:
                came, failed = without(memory, feed, piece)
            if failed:
                events += feed(b"")
            events += feed(piece) if came is None else came
    except ProtocolError as error:
        return events, failed, error.close_code == CloseCode.INTERNAL_ERROR
    # Where it failed behind the Close frame, that one has counted.
    return events, failed, isinstance(receiver, Connection) and (receiver.error is not None or failed)


@pytest.mark.parametrize("make", [connection, decoder, frame_decoder], ids=lambda make: make.__name__)
@pytest.mark.parametrize("size", [400, len(STREAM)])
@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_what_is_received_in_a_call_that_fails_is_not_taken_up_in_its_middle(
    make: Callable[[], Any], size: int, kind: Callable[[bytes], bytes]
) -> None:
    pieces = [kind(STREAM[start : start + size]) for start in range(0, len(STREAM), size)]
    whole, *_ = delivered(make, pieces, -1, 0)
    assert len(whole) >= 9
    for number in range(len(pieces)):
        memory, failed = 0, True
        while failed:
            events, failed, broken = delivered(make, pieces, number, memory)
            assert events == (whole[: len(events)] if broken else whole)
            memory += 1
        assert memory > 3


LINES = b"".join(b"line %d; " % number for number in range(60))
# Compressed or not, packed late or at once, in one piece or in several.
MESSAGES: list[Any] = [LINES, b"plain", LINES[::-1], "\u00e9" * 5, LINES + b"2", b"x" * 70_000, b"again", LINES + b"3"]


def send(sender: Connection, message: Any) -> None:
    sender.send(message)


def send_many(sender: Connection, message: Any) -> None:
    sender.send_many([message])


def send_apart(sender: Connection, message: Any) -> None:
    sender.end_send(sender.begin_send(message))


def exchanged(
    role: Role, compression: AgreedDeflate | None, way: Callable[..., None], number: int, memory: int
) -> tuple[list[Any], list[Any], bool]:
    """Send messages, one of them without that memory, or write them without; return them and what came of them."""
    near = Connection(role, compression=compression)
    far = Connection(Role.SERVER if role is Role.CLIENT else Role.CLIENT, compression=compression)
    failed, came = False, []
    for index, message in enumerate(MESSAGES):
        if index == number:
            _, failed = without(memory, way, near, message)
        else:
            near.send(message)
        if index % 3 == 2:
            data = None
            if index + len(MESSAGES) == number:
                data, failed = without(memory, near.data_to_send)
            came += far.receive(near.data_to_send() if data is None else data)
    came += far.receive(near.data_to_send())
    assert far.error is None
    return [m for index, m in enumerate(MESSAGES) if index != number or not failed], came, failed


@pytest.mark.parametrize(
    ("compressed", "way"),
    [(False, send), (False, send_many), (True, send), (True, send_many), (True, send_apart)],
    ids=["send", "burst", "deflated", "deflated-burst", "deflated-apart"],
)
@pytest.mark.parametrize("role", Role, ids=lambda role: role.value)
def test_what_is_sent_behind_a_call_that_fails_arrives_as_it_is(
    role: Role, compressed: bool, way: Callable[..., None]
) -> None:
    for number in (*range(len(MESSAGES)), len(MESSAGES) + 2, len(MESSAGES) + 5):
        memory, failed = 0, True
        while failed:
            sent, came, failed = exchanged(role, agreed() if compressed else None, way, number, memory)
            # Where counting it failed, it is on its way, though the call has raised.
            assert came in (sent, MESSAGES)
            memory += 1
