"""Autobahn|Python on this codec: how it masks, and how it validates text.

    import wscodec.dropin.autobahn
    wscodec.dropin.autobahn.install()

All else is Autobahn's: events, errors and their words, close codes, on asyncio and on Twisted.

Floor 5.
"""

from __future__ import annotations

from typing import Any

from autobahn.websocket import protocol

from ._patching import Patch, Place
from ._wsaccel import TextValidator, XorMasker

__all__ = ["install", "installed", "uninstall"]

_HostValidator = protocol.Utf8Validator
_host_masker = protocol.create_xor_masker


def _masker(key: Any, length: int | None = None) -> Any:
    """Return what masks a payload with this key; Autobahn's own where it is not one."""
    return XorMasker(key) if type(key) is bytes and len(key) == 4 else _host_masker(key, length)


def install() -> bool:
    """Have Autobahn mask and validate with this codec.

    Connections that are open keep Autobahn's own validator. Before that it is tried on this version of Autobahn. Where
    something is not as it was, a warning says so, once, and Autobahn stays as it is.

    Returns:
        Whether ours is in place.
    """
    return _patch.install()


def uninstall() -> None:
    """Give Autobahn its own functions again; connections that are open keep our validator."""
    _patch.uninstall()


def installed() -> bool:
    """Return whether ours is in place."""
    return _patch.installed()


# The self-test: texts in pieces, the last of which has the first wrong byte, where there is one.
_TEXTS = [
    (b"", b"hello"),
    (b"h\xc3", b"", b"\xa9\xe2\x82", b"\xac\xf0\x9f", b"\x98\x80!"),
    (b"hello\xc3", b"a"),
    (b"\xe2", b"\x82", b"\xac\xff"),
    (b"a\xed", b"\xa0\x80"),
    (b"\xf4\x90",),
    (b"\xc0\x80",),
    (b"a\xc3",),
]


def _check() -> None:
    """Raise an exception where Autobahn is not as it was when this was written; ours is in place."""
    for text in _TEXTS:
        _expect(_told(TextValidator(), text), _told(_HostValidator(), text))
    payload = bytes(range(256)) * 5
    for sizes in ((5, 3, 6), (127,), (128, 0, 1, 1000)):
        ours, host = XorMasker(b"\1\2\3\4"), _host_masker(b"\1\2\3\4", sum(sizes))
        for size in sizes:
            piece = payload[:size]
            _expect((ours.process(piece), ours.pointer()), (host.process(piece), host.pointer()))
    frame = protocol.PreparedMessage(payload, True, True, True).payloadHybi
    _expect(frame[8:], XorMasker(frame[4:8]).process(payload))


def _told(validator: Any, pieces: tuple[bytes, ...]) -> list[tuple[Any, ...]]:
    return [tuple(validator.validate(piece)) for piece in pieces]


def _expect(found: object, expected: object) -> None:
    if found != expected:
        raise AssertionError(f"{found!r} instead of {expected!r}")


_patch = Patch(
    "autobahn",
    (23,),
    (27,),
    [Place(protocol, "create_xor_masker", _masker), Place(protocol, "Utf8Validator", TextValidator)],
    _check,
)
