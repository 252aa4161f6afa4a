"""wsproto: `Connection` for messages; text comes as str, in pieces where a read ends within a message."""

from __future__ import annotations

from operator import attrgetter

import wsproto
from wsproto import WSConnection
from wsproto.connection import Connection, ConnectionType
from wsproto.events import AcceptConnection, TextMessage
from wsproto.frame_protocol import FrameDecoder, XorMaskerSimple

_INCREMENTAL = "it decodes with the codecs of Python, see the column of python"
SKIPPED = {
    "mask_inplace": "it masks to new bytes only",
    "validate_utf8": _INCREMENTAL,
    "decode_utf8": _INCREMENTAL,
}


def about():
    """Return the version."""
    return {"version": wsproto.__version__}


def _decoder(empty):
    peer = Connection(ConnectionType.SERVER)
    parts = []

    def feed(chunk):
        peer.receive_data(chunk)
        messages = []
        for event in peer.events():
            if event.message_finished and not parts:
                messages.append(event.data)
                continue
            parts.append(event.data)
            if event.message_finished:
                messages.append(empty.join(parts))
                parts.clear()
        return messages

    return feed


def text_decoder():
    return _decoder("")


def binary_decoder():
    return _decoder(b"")


fragment_decoder = connection = text_decoder


def frame_decoder():
    decoder = FrameDecoder(client=False)
    parts = []

    def feed(chunk):
        decoder.receive_bytes(chunk)
        frames = []
        while (frame := decoder.process_buffer()) is not None:
            parts.append(frame)
            if frame.frame_finished:
                frames.append(parts[:])
                parts.clear()
        return frames

    return feed, lambda pieces: (pieces[0].opcode, b"".join(map(attrgetter("payload"), pieces)))


def echo():
    peer = Connection(ConnectionType.SERVER)
    parts = []

    def feed(chunk):
        peer.receive_data(chunk)
        answers = []
        for event in peer.events():
            parts.append(event.data)
            if event.message_finished:
                answers.append(peer.send(TextMessage(data="".join(parts))))
                parts.clear()
        return b"".join(answers)

    return feed


def pong():
    peer = Connection(ConnectionType.SERVER)

    def feed(chunk):
        peer.receive_data(chunk)
        return b"".join(peer.send(event.response()) for event in peer.events())

    return feed


def _sender(masked):
    return Connection(ConnectionType.CLIENT if masked else ConnectionType.SERVER).send


def encode_one(masked):
    send = _sender(masked)
    return lambda message: send(TextMessage(data=message))


def encode_many(masked):
    send = _sender(masked)
    return lambda messages: b"".join([send(TextMessage(data=message)) for message in messages])


def mask(data, key):
    return lambda payload: XorMaskerSimple(key).process(payload), (data,)


def handshake():
    def shake(request):
        peer = WSConnection(ConnectionType.SERVER)
        peer.receive_data(request)
        next(peer.events())
        return peer.send(AcceptConnection())

    return shake
