"""picows: its parser sits inside an asyncio protocol, which is driven here with a transport that is a list.

A read is copied into the buffer that the protocol offers, as the kernel would do; no other peer pays for that
copy. The transport says that it is encrypted, since picows writes past a plain one to the socket itself.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
import re
from asyncio.events import _set_running_loop
from operator import itemgetter

from picows import WSAutoPingStrategy, WSListener, WSMsgType
from picows.picows import WSProtocol
from picows.version import __version__

from ..cases import REQUEST

# Room for a whole read and a whole message of 64 KiB: the buffer never has to grow.
BUFFER_SIZE = 4 * 65536
MAX_FRAME_SIZE = 10 * 1024 * 1024
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

_NOT_EXPOSED = "its kernel is not exposed to Python"
_BYTES_DECODE = "it decodes with the C function behind bytes.decode, see the column of python"
SKIPPED = {
    "mask": _NOT_EXPOSED,
    "mask_inplace": _NOT_EXPOSED,
    "validate_utf8": _BYTES_DECODE,
    "decode_utf8": _BYTES_DECODE,
}

logger = logging.getLogger("bench.picows")
logger.setLevel(logging.CRITICAL)
# The protocol asks for the running loop when it is made, and never runs it.
_set_running_loop(asyncio.new_event_loop())


class Socket:
    """The few questions that picows asks a socket."""

    def fileno(self):
        return -1

    def setsockopt(self, *_):
        pass

    def getsockopt(self, *_):
        return 0


EXTRA = {"socket": Socket(), "ssl_object": object()}


class Transport:
    """What picows asks of a transport; `write` appends to a list."""

    def __init__(self):
        self.written = []
        self.write = self.written.append
        self.get_extra_info = EXTRA.get

    def get_write_buffer_size(self):
        return 0

    def is_closing(self):
        return False


def about():
    """Return the version."""
    return {"version": __version__}


def make_protocol(listener, client=False):
    """Return a protocol whose handshake is still to come."""
    return WSProtocol(
        "localhost",
        "/",
        client,
        lambda *_: listener,
        logger,
        True,
        None,
        False,
        20,
        20,
        WSAutoPingStrategy.PING_WHEN_IDLE,
        True,
        MAX_FRAME_SIZE,
        None,
        BUFFER_SIZE,
    )


def copier(protocol):
    """Return a function that hands `data` to the protocol, as an event loop does."""
    get_buffer, buffer_updated = protocol.get_buffer, protocol.buffer_updated

    def copy_in(data):
        while data:
            buffer = get_buffer(-1)
            size = min(len(buffer), len(data))
            buffer[:size] = data[:size]
            buffer_updated(size)
            data = data[size:]

    return copy_in


def opened(listener, client=False):
    """Return a protocol after its handshake: what feeds it, its transport, what it has written."""
    protocol, transport = make_protocol(listener, client), Transport()
    protocol.connection_made(transport)
    feed = copier(protocol)
    feed(response_to(transport.written.pop()) if client else REQUEST)
    transport.written.clear()
    return feed, protocol.transport, transport.written


def response_to(request):
    """Return a server's answer to a request of picows."""
    key = re.search(rb"Sec-WebSocket-Key: (\S+)", request)[1]
    accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
    lines = (b"HTTP/1.1 101 Switching Protocols", b"Upgrade: websocket", b"Connection: Upgrade")
    return b"\r\n".join((*lines, b"Sec-WebSocket-Accept: " + accept, b"", b""))


class TextListener(WSListener):
    def on_ws_frame(self, transport, frame):
        self.messages.append(frame.get_payload_as_utf8_text())


class BinaryListener(WSListener):
    def on_ws_frame(self, transport, frame):
        self.messages.append(frame.get_payload_as_bytes())


class FragmentListener(WSListener):
    def __init__(self):
        self.parts = []

    def on_ws_frame(self, transport, frame):
        self.parts.append(frame.get_payload_as_bytes())
        if frame.fin:
            self.messages.append(b"".join(self.parts).decode())
            self.parts.clear()


class FrameListener(WSListener):
    def on_ws_frame(self, transport, frame):
        self.messages.append((frame.msg_type, frame.get_payload_as_bytes()))


class EchoListener(WSListener):
    def on_ws_frame(self, transport, frame):
        transport.send(WSMsgType.TEXT, frame.get_payload_as_utf8_text())


def _collector(listener):
    listener.messages = []
    copy_in = opened(listener)[0]

    def feed(chunk):
        listener.messages = messages = []
        copy_in(chunk)
        return messages

    return feed


def text_decoder():
    return _collector(TextListener())


connection = text_decoder


def binary_decoder():
    return _collector(BinaryListener())


def fragment_decoder():
    return _collector(FragmentListener())


def frame_decoder():
    return _collector(FrameListener()), itemgetter(0, 1)


def _answerer(listener):
    copy_in, _, written = opened(listener)

    def feed(chunk):
        copy_in(chunk)
        answers = b"".join(written)
        written.clear()
        return answers

    return feed


def echo():
    return _answerer(EchoListener())


def pong():
    return _answerer(WSListener())


def encode_one(masked):
    _, transport, written = opened(WSListener(), client=masked)
    send, text = transport.send, WSMsgType.TEXT

    def encode(message):
        send(text, message)
        return written.pop()

    return encode


def encode_many(masked):
    _, transport, written = opened(WSListener(), client=masked)
    send, text = transport.send, WSMsgType.TEXT

    def encode(messages):
        for message in messages:
            send(text, message)
        data = b"".join(written)
        written.clear()
        return data

    return encode


def handshake():
    def shake(request):
        protocol, transport = make_protocol(WSListener()), Transport()
        protocol.connection_made(transport)
        copier(protocol)(request)
        return transport.written.pop()

    return shake
