"""The errors: their tree, what they carry, what they say."""

from __future__ import annotations

import pickle

import pytest

import wscodec
from wscodec import errors
from wscodec.errors import (
    BadRequest,
    ConcurrencyError,
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    HandshakeError,
    HeadTooBig,
    InvalidDeflate,
    InvalidUtf8,
    MessageTooBig,
    MethodRefused,
    OriginRefused,
    ProtocolError,
    TooManyFragments,
    VersionRefused,
    WebSocketError,
    connection_closed,
)


def tree(kind: type, depth: int = 0) -> list[str]:
    """Return the names of the errors below `kind`, as the module's docstring draws them."""
    lines = []
    for below in kind.__subclasses__():
        if below.__module__ == errors.__name__:
            lines += [f"{depth}:{below.__name__}", *tree(below, depth + 1)]
    return lines


def drawn() -> list[str]:
    lines = []
    for line in (errors.__doc__ or "").splitlines():
        head, mark, rest = line.partition("── ")
        if mark:
            lines.append(f"{(len(head) - 5) // 4}:{rest.split()[0]}")
    return lines


def test_tree_is_the_one_drawn() -> None:
    assert tree(WebSocketError) == drawn()
    assert len(drawn()) > 10


def test_every_error_is_public() -> None:
    names = {line.partition(":")[2] for line in tree(WebSocketError)} | {"WebSocketError"}
    assert names == set(errors.__all__)
    assert names <= set(wscodec.__all__)
    for name in names:
        assert getattr(wscodec, name) is getattr(errors, name)
        assert getattr(errors, name).__doc__


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (ProtocolError, 1002),
        (InvalidUtf8, 1007),
        (InvalidDeflate, 1007),
        (MessageTooBig, 1009),
        (TooManyFragments, 1009),
    ],
)
def test_protocol_error_close_code(kind: type[ProtocolError], code: int) -> None:
    error = kind("why")
    assert (error.close_code, error.reason, error.events, str(error)) == (code, "why", [], f"why ({code})")
    assert kind("why", 1008).close_code == 1008


def test_protocol_error_events_are_its_own() -> None:
    first, second = ProtocolError("a"), ProtocolError("b")
    first.events.append("x")
    assert second.events == []


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (HandshakeError, 400),
        (BadRequest, 400),
        (OriginRefused, 403),
        (MethodRefused, 405),
        (VersionRefused, 426),
        (HeadTooBig, 431),
    ],
)
def test_handshake_error_status(kind: type[HandshakeError], status: int) -> None:
    error = kind("why")
    assert (error.status, error.reason, error.headers, error.response, error.body, str(error)) == (
        status,
        "why",
        (),
        b"",
        b"",
        "why",
    )
    assert kind("why", 503, (("Retry-After", "1"),)).status == 503


@pytest.mark.parametrize("code", [1000, 1001, 1005])
def test_connection_closed_ok(code: int) -> None:
    assert type(connection_closed(code, "")) is ConnectionClosedOK


@pytest.mark.parametrize("code", [1002, 1003, 1006, 1007, 1011, 1012, 3000, 4999])
def test_connection_closed_error(code: int) -> None:
    assert type(connection_closed(code, "")) is ConnectionClosedError


def test_connection_closed_says_code_and_reason() -> None:
    error = connection_closed(wscodec.CloseCode.GOING_AWAY, "bye")
    assert isinstance(error, ConnectionClosed)
    assert (error.code, error.reason, str(error)) == (1001, "bye", "1001 bye")
    assert str(connection_closed(1006, "")) == "1006"


def test_concurrency_error_is_a_runtime_error_too() -> None:
    assert issubclass(ConcurrencyError, RuntimeError)


@pytest.mark.parametrize(
    "error",
    [ProtocolError("why", 1008), TooManyFragments("why"), connection_closed(4000, "why"), BadRequest("why", 404)],
    ids=lambda error: type(error).__name__,
)
def test_error_survives_pickling(error: WebSocketError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert vars(copy) == vars(error)
    assert str(copy) == str(error)
