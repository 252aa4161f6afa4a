"""websockets: its sans-I/O protocol in the OPEN state, as its own asyncio layer drives it.

It returns text as bytes; the decoding to str that its `recv()` does is done here.
"""

from __future__ import annotations

from operator import attrgetter
from types import BuiltinFunctionType

import websockets
from websockets.client import ClientProtocol
from websockets.frames import Frame, apply_mask
from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from websockets.streams import StreamReader
from websockets.uri import parse_uri

_BYTES_DECODE = "it uses bytes.decode, see the column of python"
SKIPPED = {
    "mask_inplace": "it masks to new bytes only",
    "validate_utf8": _BYTES_DECODE,
    "decode_utf8": _BYTES_DECODE,
}


def about():
    """Return the version and which masking it is."""
    mask = "compiled" if isinstance(apply_mask, BuiltinFunctionType) else "pure"
    return {"version": websockets.__version__, "mask": mask}


def text_decoder():
    protocol = ServerProtocol(state=OPEN)

    def feed(chunk):
        protocol.receive_data(chunk)
        return [event.data.decode() for event in protocol.events_received()]

    return feed


def binary_decoder():
    protocol = ServerProtocol(state=OPEN)

    def feed(chunk):
        protocol.receive_data(chunk)
        return [event.data for event in protocol.events_received()]

    return feed


def fragment_decoder():
    protocol = ServerProtocol(state=OPEN)
    parts = []

    def feed(chunk):
        protocol.receive_data(chunk)
        messages = []
        for event in protocol.events_received():
            parts.append(event.data)
            if event.fin:
                messages.append(b"".join(parts).decode())
                parts.clear()
        return messages

    return feed


def frame_decoder():
    reader = StreamReader()
    frames = []

    def parse():
        while True:
            frames.append((yield from Frame.parse(reader.read_exact, mask=True)))

    parser = parse()

    def feed(chunk):
        frames.clear()
        reader.feed_data(chunk)
        next(parser)
        return frames

    return feed, attrgetter("opcode", "data")


def connection():
    protocol = ServerProtocol(state=OPEN)

    def feed(chunk):
        protocol.receive_data(chunk)
        protocol.data_to_send()
        return [event.data.decode() for event in protocol.events_received()]

    return feed


def echo():
    protocol = ServerProtocol(state=OPEN)

    def feed(chunk):
        protocol.receive_data(chunk)
        for event in protocol.events_received():
            protocol.send_text(event.data.decode().encode())
        return b"".join(protocol.data_to_send())

    return feed


def pong():
    protocol = ServerProtocol(state=OPEN)

    def feed(chunk):
        protocol.receive_data(chunk)
        protocol.events_received()
        return b"".join(protocol.data_to_send())

    return feed


def _sender(masked):
    return ClientProtocol(parse_uri("ws://localhost/"), state=OPEN) if masked else ServerProtocol(state=OPEN)


def encode_one(masked):
    protocol = _sender(masked)

    def encode(message):
        protocol.send_text(message.encode())
        return protocol.data_to_send()[0]

    return encode


def encode_many(masked):
    protocol = _sender(masked)

    def encode(messages):
        for message in messages:
            protocol.send_text(message.encode())
        return b"".join(protocol.data_to_send())

    return encode


def mask(data, key):
    return apply_mask, (data, key)


def handshake():
    def shake(request):
        protocol = ServerProtocol()
        protocol.receive_data(request)
        [event] = protocol.events_received()
        protocol.send_response(protocol.accept(event))
        return b"".join(protocol.data_to_send())

    return shake
