"""aiohttp: its compiled reader behind its queue, read as `receive()` reads it, and its writer.

Neither is free of I/O: the reader puts what it reads into a queue that pauses a protocol, and the writer
writes to a transport. Both get the least that they ask for; what the writer writes is collected in a list.
"""

from __future__ import annotations

import asyncio

import aiohttp
from aiohttp import WSMsgType
from aiohttp._websocket.helpers import websocket_mask
from aiohttp._websocket.reader import WebSocketDataQueue, WebSocketReader
from aiohttp._websocket.writer import WebSocketWriter
from aiohttp.helpers import DEFAULT_CHUNK_SIZE

# What a server gives its reader unless told otherwise.
MAX_MESSAGE_SIZE = 4 * 1024 * 1024

_BYTES_DECODE = "it uses bytes.decode, see the column of python"
SKIPPED = {
    "frame_decoder": "its reader makes messages only",
    "mask": "it masks in place only",
    "validate_utf8": _BYTES_DECODE,
    "decode_utf8": _BYTES_DECODE,
    "handshake": "its handshake is a part of its web server: parser, request, task and response",
}


class Protocol:
    """What the queue and the writer ask of a protocol."""

    _reading_paused = False
    _paused = False

    def pause_reading(self):
        self._reading_paused = True

    def resume_reading(self):
        self._reading_paused = False


class Transport:
    """What the writer asks of a transport; `write` appends to a list."""

    def __init__(self):
        self.written = []
        self.write = self.written.append

    def is_closing(self):
        return False


def about():
    """Return the version and which reader it is."""
    return {"version": aiohttp.__version__, "reader": WebSocketReader.__module__}


def run(coroutine):
    """Run a coroutine that never has to wait, and return its result."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise RuntimeError("the coroutine waits")


def _reader():
    queue = WebSocketDataQueue(Protocol(), DEFAULT_CHUNK_SIZE, loop=asyncio.new_event_loop())
    return queue, WebSocketReader(queue, MAX_MESSAGE_SIZE, False, True)


def text_decoder():
    queue, reader = _reader()

    async def receive_all():
        messages = []
        while queue._buffer:
            messages.append((await queue.read()).data)
        return messages

    def feed(chunk):
        reader.feed_data(chunk)
        return run(receive_all())

    return feed


binary_decoder = fragment_decoder = connection = text_decoder


def _writer(masked):
    transport = Transport()
    writer = WebSocketWriter(Protocol(), transport, use_mask=masked, limit=DEFAULT_CHUNK_SIZE)
    return writer.send_frame, transport.written


def _answerer(answer):
    queue, reader = _reader()
    send, written = _writer(masked=False)

    async def answer_all():
        while queue._buffer:
            message = await queue.read()
            await answer(send, message.data)

    def feed(chunk):
        reader.feed_data(chunk)
        run(answer_all())
        answers = b"".join(written)
        written.clear()
        return answers

    return feed


def echo():
    return _answerer(lambda send, text: send(text.encode(), WSMsgType.TEXT))


def pong():
    return _answerer(lambda send, payload: send(payload, WSMsgType.PONG))


def encode_one(masked):
    send, written = _writer(masked)

    def encode(message):
        run(send(message.encode(), WSMsgType.TEXT))
        return written.pop()

    return encode


def encode_many(masked):
    send, written = _writer(masked)

    async def send_all(messages):
        for message in messages:
            await send(message.encode(), WSMsgType.TEXT)

    def encode(messages):
        run(send_all(messages))
        data = b"".join(written)
        written.clear()
        return data

    return encode


def mask_inplace(buffer, key):
    return websocket_mask, (key, buffer)
