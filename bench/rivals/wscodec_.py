"""wscodec itself, compiled or pure as WSCODEC_BACKEND says."""

from __future__ import annotations

import wscodec
from wscodec import Connection, Decoder, Encoder, FrameDecoder, Role, ServerHandshake

SKIPPED = {}


def about():
    """Return version, backend and kernels."""
    return {
        "version": getattr(wscodec, "__version__", "?"),
        "backend": wscodec.backend,
        "kernels": list(wscodec.kernels()),
    }


def text_decoder():
    return Decoder(Role.SERVER).feed


binary_decoder = fragment_decoder = text_decoder


def frame_decoder():
    return FrameDecoder(Role.SERVER).feed, lambda frame: (frame.opcode, frame.payload)


def connection():
    peer = Connection(Role.SERVER)

    def feed(chunk):
        events = peer.receive(chunk)
        peer.data_to_send()
        return events

    return feed


def echo():
    peer = Connection(Role.SERVER)

    def feed(chunk):
        for message in peer.receive(chunk):
            peer.send(message)
        return peer.data_to_send()

    return feed


def pong():
    peer = Connection(Role.SERVER)

    def feed(chunk):
        peer.receive(chunk)
        return peer.data_to_send()

    return feed


def encode_one(masked):
    return Encoder(Role.CLIENT).encode if masked else wscodec.encode


def encode_many(masked):
    return Encoder(Role.CLIENT).encode_many if masked else wscodec.encode_many


def mask(data, key):
    return wscodec.apply_mask, (data, key)


def mask_inplace(buffer, key):
    return wscodec.apply_mask_inplace, (buffer, key)


def validate_utf8(data):
    return wscodec.is_valid_utf8, (data,)


def decode_utf8(data):
    return wscodec.decode_utf8, (data,)


def handshake():
    def shake(request):
        server = ServerHandshake()
        server.receive(request)
        return server.accept()

    return shake
