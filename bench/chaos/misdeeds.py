"""What the bad peers do. Each misdeed is a coroutine function that returns when the connection is over."""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
import zlib
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from ..wire import BINARY, CONTINUATION, PING, TEXT
from .peers import PATIENCE, REQUEST, Broken, Peer, Target, dialled, frame, head_of, opened
from .server import BOOM, MAX_SIZE

Misdeed: TypeAlias = Callable[[Target, random.Random], Awaitable[None]]

CLOSE = 8
LARGE = random.Random(6455).randbytes(20_000)  # no compression makes it smaller


def deflated(payload: bytes) -> bytes:
    """Return the payload of a compressed message (RFC 7692 §7.2.1)."""
    compressor = zlib.compressobj(wbits=-15)
    return (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


# What makes no sense or is too much, and the close code for it; the last ones where compression was agreed on.
OFFENCES = [
    (b"\x81\x05hello", 1002),
    (frame(3), 1002),
    (frame(TEXT, b"x", rsv=2), 1002),
    (frame(CLOSE, b"\x03"), 1002),
    (frame(CONTINUATION), 1002),
    (frame(TEXT, b"x" * 50 + b"\xff"), 1007),
    (head_of(0x82, 1 << 40), 1009),
    (frame(TEXT, b"\xff" * 100, rsv=4), 1007),
    (frame(BINARY, deflated(bytes(20 * MAX_SIZE)), rsv=4), 1009),
]
WITHOUT_COMPRESSION = 7


def part(data: bytes, random: random.Random) -> bytes:
    """Return the beginning of `data`, from nothing to all but a byte."""
    return data[: random.randrange(len(data))]


def half_sent(offer: bool, random: random.Random) -> bytes:
    """Return a few messages, and a frame or a message that is not all there."""
    payload = random.randbytes(random.choice((10, 1000, 50_000)))
    last = frame(BINARY, payload, fin=random.random() < 0.5)
    if offer and random.random() < 0.5:
        last = frame(TEXT, deflated(payload.hex().encode()), rsv=4, fin=random.random() < 0.5)
    return frame(TEXT, b"whole") * random.randrange(3) + part(last, random)


async def pause(target: Target, random: random.Random) -> None:
    """Wait for a while, or not at all."""
    await asyncio.sleep(random.choice((0, random.random() * target.timeout / 2)))


# In the opening handshake.


async def leave_in_the_request(target: Target, random: random.Random) -> None:
    async with dialled(target, random) as peer:
        peer.send(part(REQUEST, random))
        await pause(target, random)
        peer.writer.close()
        await asyncio.sleep(0)


async def reset_in_the_request(target: Target, random: random.Random) -> None:
    async with dialled(target, random) as peer:
        peer.send(part(REQUEST, random))
        await pause(target, random)
        peer.reset()


async def reset_before_the_answer(target: Target, random: random.Random) -> None:
    async with dialled(target, random) as peer:
        peer.send(REQUEST, b"\r\n", frame(TEXT, b"early"))
        peer.reset()


async def stall_in_the_request(target: Target, random: random.Random) -> None:
    async with dialled(target, random) as peer:
        peer.send(part(REQUEST, random))
        await peer.ended()


# Amid messages.


async def leave_in_a_frame(target: Target, random: random.Random) -> None:
    async with opened(target, random) as (peer, offer):
        peer.send(half_sent(offer, random))
        await pause(target, random)
        peer.writer.close()
        await asyncio.sleep(0)


async def reset_in_a_frame(target: Target, random: random.Random) -> None:
    async with opened(target, random) as (peer, offer):
        peer.send(half_sent(offer, random))
        await pause(target, random)
        peer.reset()


async def stall_in_a_frame(target: Target, random: random.Random) -> None:
    async with opened(target, random) as (peer, offer):
        peer.send(half_sent(offer, random))
        await peer.ended()


async def reset_amid_messages(target: Target, random: random.Random) -> None:
    async with opened(target, random) as (peer, _):
        peer.send(frame(BINARY, LARGE) * random.randrange(10))
        await pause(target, random)
        peer.reset()


async def send_byte_by_byte(target: Target, random: random.Random) -> None:
    """Say nothing wrong, and say it slowly."""
    async with dialled(target, random) as peer:
        peer.send(REQUEST[:-4])  # the rest takes long enough where everybody is busy
        for byte in REQUEST[-4:] + b"\r\n":
            peer.send(bytes([byte]))
            await asyncio.sleep(0)
        await peer.answered(offer=False)
        for byte in frame(TEXT, "größer".encode()) + frame(PING, b"p") + frame(BINARY, b"x" * 130):
            peer.send(bytes([byte]))
            await asyncio.sleep(0.001)
        answers = [await peer.next_frame() for _ in range(3)]
        if set(answers) != {(0x81, "größer".encode()), (0x8A, b"p"), (0x82, b"x" * 130)}:
            raise Broken(f"answered {answers}")
        peer.send(frame(CLOSE, b"\x03\xe8"))
        await peer.expect(CLOSE, b"\x03\xe8")


async def never_read(target: Target, random: random.Random) -> None:
    """Have the server answer more than it can get rid of; it has to notice."""
    async with dialled(target, random) as peer:
        await peer.open()  # with nothing to compress: it would cost the server more than all the rest
        peer.option(socket.SO_RCVBUF, 4096)
        await cut(peer, frame(BINARY, LARGE) * 50)


async def ping_and_never_read(target: Target, random: random.Random) -> None:
    async with opened(target, random) as (peer, _):
        peer.option(socket.SO_RCVBUF, 4096)
        for _ in range(10):
            peer.send(frame(PING, bytes(125)) * 100)
            await asyncio.sleep(random.random() * target.timeout / 10)
        peer.reset()


async def offend(target: Target, random: random.Random) -> None:
    async with opened(target, random) as (peer, offer):
        offence, code = random.choice(OFFENCES if offer else OFFENCES[:WITHOUT_COMPRESSION])
        peer.send(offence)
        await peer.expect(CLOSE, code.to_bytes(2, "big"))


async def boom(target: Target, random: random.Random) -> None:
    """Have the application fail."""
    async with opened(target, random) as (peer, _):
        peer.send(frame(TEXT, BOOM.encode()))
        await peer.expect(CLOSE, b"\x03\xf3")


# In the closing handshake.


async def reset_while_closing(target: Target, random: random.Random) -> None:
    async with opened(target, random) as (peer, _):
        peer.send(frame(BINARY, LARGE) * random.randrange(5), frame(CLOSE, b"\x03\xe8"))
        await pause(target, random)
        peer.reset()


async def never_end_tcp(target: Target, random: random.Random) -> None:
    async with opened(target, random) as (peer, _):
        peer.send(frame(CLOSE, b"\x03\xe8"))
        await peer.expect(CLOSE, b"\x03\xe8")
        await cut(peer, b"x")


# In the TLS handshake.


def hello(target: Target) -> bytes:
    """Return a ClientHello."""
    assert target.context is not None
    out = ssl.MemoryBIO()
    try:
        target.context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="localhost").do_handshake()
    except ssl.SSLWantReadError:
        return out.read()
    raise AssertionError("it is done already")


async def reset_in_tls(target: Target, random: random.Random) -> None:
    async with dialled(target, random, tls=False) as peer:
        peer.send(part(hello(target), random))
        await pause(target, random)
        peer.reset()


async def reset_after_the_server_s_hello(target: Target, random: random.Random) -> None:
    async with dialled(target, random, tls=False) as peer:
        peer.send(hello(target))
        await peer.reader.readexactly(100)
        peer.reset()


async def stall_in_tls(target: Target, random: random.Random) -> None:
    async with dialled(target, random, tls=False) as peer:
        peer.send(part(hello(target), random))
        await peer.ended()


async def talk_plainly_to_tls(target: Target, random: random.Random) -> None:
    async with dialled(target, random, tls=False) as peer:
        peer.send(REQUEST, b"\r\n")
        await peer.ended()


async def cut(peer: Peer, data: bytes) -> None:
    """Send `data` again and again, until the server cuts the connection; Broken where it doesn't."""
    seconds = PATIENCE * peer.target.timeout
    try:
        async with asyncio.timeout(seconds):
            while not peer.writer.transport.is_closing():
                if not peer.writer.transport.get_write_buffer_size():
                    peer.send(data)
                await asyncio.sleep(seconds / 100)
    except TimeoutError:
        raise Broken("the connection was not cut") from None


IN_TLS: list[Misdeed] = [reset_in_tls, reset_after_the_server_s_hello, stall_in_tls, talk_plainly_to_tls]
MISDEEDS: list[Misdeed] = [
    leave_in_the_request,
    reset_in_the_request,
    reset_before_the_answer,
    stall_in_the_request,
    leave_in_a_frame,
    reset_in_a_frame,
    stall_in_a_frame,
    reset_amid_messages,
    send_byte_by_byte,
    never_read,
    ping_and_never_read,
    offend,
    boom,
    reset_while_closing,
    never_end_tcp,
]
