"""The self-test of the drop-in for wsproto: what wsproto and ours make of the same bytes.

Floor 5.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from wsproto.connection import Connection, ConnectionType
from wsproto.extensions import PerMessageDeflate
from wsproto.frame_protocol import CloseReason, ParseFailed
from wsproto.frame_protocol import FrameProtocol as HostProtocol

from wscodec import encode_frame

__all__ = ["check"]

_Reads = list[tuple[bytes, ...]]

_HELLO = b"\x81\x05hello"
_MASKED = b"\x81\x85\1\2\3\4" + bytes(map(int.__xor__, b"hello", b"\1\2\3\4\1"))
# What the self-test has a client and a server read: for each connection what comes in one read after the other.
_TO_CLIENT: _Reads = [
    (_HELLO + b"\x82\x03\0\1\2\x89\x01p\x8a\0",),
    (b"\x01\x03h\xc3", b"\xa9", b"\x80", b"\x02!?", b"\x88\x04\x03\xe8ok"),
    (b"\x82\x7e\0\x7e" + bytes(100), bytes(26) + b"\x88", b"\x02\x0f\xa0"),
    (b"\x88\0" + _HELLO,),
    (b"\x88\x01\0",),
    (b"\x88\x02\x03\xed",),
    (b"\x81\x01\xff",),
    (b"\x80\0",),
    (b"\x01\x01a", _HELLO),
    (b"\x83\0",),
    (b"\x09\0",),
    (b"\xc1\0",),
    (b"\x82\x7e\0\x05",),
    (_MASKED, _HELLO),
]
_TO_SERVER: _Reads = [(_MASKED[:3], _MASKED[3:7], _MASKED[7:] + _MASKED), (_HELLO,)]
_COMPRESSED = b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\0"  # "Hello", as in RFC 7692 §7.2.3.1

_SENDS: list[Callable[[Any], bytes]] = [
    lambda protocol: protocol.send_data("h\xe9"),
    lambda protocol: protocol.send_data(b"h", False) + protocol.send_data(b"i", True),
    lambda protocol: protocol.send_data(bytes(70_000)),
    lambda protocol: protocol.ping(b"p") + protocol.pong(),
    lambda protocol: protocol.close(1000, "x" * 200),
]


def check(ours: Any) -> None:
    """The self-test: raise an exception where wsproto is not as it was when this was written.

    Args:
        ours: the frame protocol that is to take the place of wsproto's, and is in place.
    """
    for client, streams in ((True, _TO_CLIENT), (False, _TO_SERVER)):
        for reads in streams:
            _expect(_told(HostProtocol(client, []), reads), _told(ours(client, []), reads))
    for call in _SENDS:
        _expect(bytes(call(HostProtocol(False, []))), call(ours(False, [])))
    reads = (_COMPRESSED, _COMPRESSED[:4], _COMPRESSED[4:])
    _expect(_told(HostProtocol(True, [_deflate()]), reads), _told(ours(True, [_deflate()]), reads))
    sent = ours(False, [_deflate()]).send_data("Hello")
    _expect(sent, bytes(HostProtocol(False, [_deflate()]).send_data("Hello")))
    _check_limit(ours)
    own = Connection(ConnectionType.SERVER)
    if not any(isinstance(value, ours) for value in vars(own).values()):
        raise LookupError("a connection does not ask for its frame protocol where it did")


def _check_limit(ours: Any) -> None:
    """See that permessage-deflate can be kept from inflating a bomb."""
    bomb = ours(True, [_deflate()])
    bomb.max_inflated = 1000
    compressor = zlib.compressobj(wbits=-15)
    payload = compressor.compress(bytes(100_000)) + compressor.flush(zlib.Z_SYNC_FLUSH)
    told = _told(bomb, (encode_frame(2, payload[:-4], rsv1=True),))
    _expect([entry[:1] for entry in told], [(CloseReason.MESSAGE_TOO_BIG,)])


def _deflate() -> PerMessageDeflate:
    extension = PerMessageDeflate()
    extension.accept("permessage-deflate")
    return extension


def _told(protocol: Any, reads: Iterable[bytes]) -> list[tuple[Any, ...]]:
    """Return what a frame protocol makes of what it reads: frames, and the error that they end with."""
    told: list[tuple[Any, ...]] = []
    for data in reads:
        protocol.receive_bytes(data)
        told += _entries(protocol)
    return told


def _entries(protocol: Any) -> Iterator[tuple[Any, ...]]:
    try:
        yield from map(tuple, protocol.received_frames())
    except ParseFailed as error:
        yield error.code, str(error)


def _expect(found: object, expected: object) -> None:
    if found != expected:
        raise AssertionError(f"{found!r} instead of {expected!r}")
