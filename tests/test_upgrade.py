"""The rules of the handshake on headers that were parsed elsewhere (RFC 6455 §4)."""

from __future__ import annotations

import pytest

from wscodec.errors import (
    BadRequest,
    BadResponse,
    BadStatus,
    HandshakeError,
    MethodRefused,
    OriginRefused,
    VersionRefused,
)
from wscodec.handshake import (
    Headers,
    accept_key,
    check_request,
    check_response,
    negotiate_subprotocol,
    request_headers,
    response_headers,
)
from wscodec.uri import parse_uri

# RFC 6455 §1.3.
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_accept_key_of_the_rfc() -> None:
    assert accept_key(KEY) == ACCEPT
    with pytest.raises(ValueError):  # noqa: PT011 - that of str.encode
        accept_key("é")


REQUEST_HEADERS = {
    "host": "h",
    "upgrade": "websocket",
    "connection": "upgrade",
    "sec-websocket-key": KEY,
    "sec-websocket-version": "13",
}


def test_check_request_returns_the_key() -> None:
    pairs = [(name.encode(), value.encode()) for name, value in REQUEST_HEADERS.items()]
    for headers in (REQUEST_HEADERS, Headers(REQUEST_HEADERS), pairs):
        assert check_request("GET", "1.1", headers) == KEY
    assert check_request("GET", "2", REQUEST_HEADERS) == KEY


@pytest.mark.parametrize(
    "version",
    ["1.0", "0.9", "1", "", "11", "1.11", "²", "1.²", "HTTP/1.1", "٢", "-1.1", "1.1.1", "1.12", "12.1", "01.1", ".1"],
)
def test_check_request_http_version_refused(version: str) -> None:
    with pytest.raises(BadRequest, match="needs HTTP"):
        check_request("GET", version, REQUEST_HEADERS)


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("host", None, BadRequest),
        ("upgrade", None, BadRequest),
        ("upgrade", "webso\u212aet", BadRequest),
        ("connection", None, BadRequest),
        ("sec-websocket-key", None, BadRequest),
        ("sec-websocket-key", "é" * 24, BadRequest),
        ("sec-websocket-version", None, VersionRefused),
        ("content-length", "00", BadRequest),
        ("transfer-encoding", "identity", BadRequest),
    ],
)
def test_check_request_each_header(name: str, value: str | None, kind: type[HandshakeError]) -> None:
    headers = {**REQUEST_HEADERS, name: value}
    with pytest.raises(kind):
        check_request("GET", "1.1", {key: text for key, text in headers.items() if text is not None})


def test_check_request_method_and_origin() -> None:
    with pytest.raises(MethodRefused):
        check_request("CONNECT", "1.1", REQUEST_HEADERS)
    with pytest.raises(OriginRefused):
        check_request("GET", "1.1", REQUEST_HEADERS, origins=["https://example.com"])
    headers = {**REQUEST_HEADERS, "origin": "https://example.com"}
    assert check_request("GET", "1.1", headers, origins=["https://example.com"]) == KEY


def test_check_request_default_is_the_same_origin() -> None:
    host = REQUEST_HEADERS["host"]
    assert check_request("GET", "1.1", {**REQUEST_HEADERS, "origin": f"https://{host}"}) == KEY
    stranger = {**REQUEST_HEADERS, "origin": f"https://{host}.evil.example"}
    with pytest.raises(OriginRefused):
        check_request("GET", "1.1", stranger)
    assert check_request("GET", "1.1", stranger, origins=None) == KEY


def test_negotiate_subprotocol_on_headers() -> None:
    headers = [("Sec-WebSocket-Protocol", "a"), ("sec-websocket-protocol", "b, c")]
    assert negotiate_subprotocol(headers) is None
    assert negotiate_subprotocol(headers, ["x", "c", "a"]) == "c"
    assert negotiate_subprotocol(headers, select=lambda offered: offered[1]) == "b"
    with pytest.raises(ValueError, match="offer"):
        negotiate_subprotocol(headers, select=lambda offered: "x")
    with pytest.raises(BadRequest):
        negotiate_subprotocol([*headers, ("Sec-WebSocket-Protocol", "a")], ["a"])


def test_response_headers_and_check_response_agree() -> None:
    headers = response_headers(KEY, subprotocol="b", headers={"X": "y"})
    assert headers == [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", ACCEPT),
        ("Sec-WebSocket-Protocol", "b"),
        ("X", "y"),
    ]
    assert check_response(101, headers, KEY, subprotocols=["a", "b"]) == "b"
    spaced = [(name, f"\t {value} " if value == ACCEPT else value) for name, value in headers]
    assert check_response(101, spaced, KEY, subprotocols=["b"]) == "b"
    with pytest.raises(BadResponse) as caught:
        check_response(101, headers, KEY, subprotocols=["a"])
    assert (caught.value.status, caught.value.headers) == (101, tuple(headers))
    with pytest.raises(BadStatus) as refused:
        check_response(200, headers, KEY)
    assert (refused.value.status, refused.value.headers) == (200, tuple(headers))
    for subprotocol in ("", "a b", "a\r\nX: y"):
        with pytest.raises(ValueError, match="token"):
            response_headers(KEY, subprotocol=subprotocol)


def test_request_headers_and_check_request_agree() -> None:
    headers = request_headers(parse_uri("wss://h/"), KEY, origin="https://o", subprotocols=["a", "b"])
    assert check_request("GET", "1.1", headers, origins=["https://o"]) == KEY
    assert negotiate_subprotocol(headers, ["b"]) == "b"
