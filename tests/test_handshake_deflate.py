"""permessage-deflate in the opening handshake, either role (RFC 6455 §9.1, RFC 7692 §5, §7.1)."""

from __future__ import annotations

import zlib
from typing import Any

import pytest

from wscodec import (
    BadExtensions,
    BadRequest,
    BadResponse,
    ClientHandshake,
    DeflateParameters,
    PerMessageDeflate,
    ServerHandshake,
)
from wscodec.handshake import (
    Extension,
    accept_key,
    agreed_extensions,
    check_response,
    format_extensions,
    offered_extensions,
    request_headers,
    response_headers,
)
from wscodec.uri import parse_uri

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
WANTED = PerMessageDeflate(engine=zlib)
HEADER = b"Sec-WebSocket-Extensions: "


def request(*lines: bytes) -> bytes:
    return b"\r\n".join(
        [
            b"GET /chat HTTP/1.1",
            b"Host: example.com",
            b"Upgrade: websocket",
            b"Connection: Upgrade",
            b"Sec-WebSocket-Key: " + KEY.encode(),
            b"Sec-WebSocket-Version: 13",
            *(HEADER + line for line in lines),
            b"\r\n",
        ]
    )


def response(key: str, *lines: bytes) -> bytes:
    return b"\r\n".join(
        [
            b"HTTP/1.1 101 Switching Protocols",
            b"Upgrade: websocket",
            b"Connection: Upgrade",
            b"Sec-WebSocket-Accept: " + accept_key(key).encode(),
            *(HEADER + line for line in lines),
            b"\r\n",
        ]
    )


def extensions_in(head: bytes) -> list[bytes]:
    return [line.removeprefix(HEADER) for line in head.split(b"\r\n") if line.startswith(HEADER)]


# The server.

ACCEPTED: dict[str, tuple[tuple[bytes, ...], bytes, dict[str, Any]]] = {
    "browser": (
        (b"permessage-deflate; client_max_window_bits",),
        b"permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
        {"server_max_window_bits": 12, "client_max_window_bits": 12},
    ),
    "bare": (
        (b"permessage-deflate",),
        b"permessage-deflate; server_max_window_bits=12",
        {"server_max_window_bits": 12},
    ),
    "all": (
        (
            (
                b"permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
                b'server_max_window_bits="10"; client_max_window_bits=9'
            ),
        ),
        (
            b"permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
            b"server_max_window_bits=10; client_max_window_bits=9"
        ),
        {
            "server_no_context_takeover": True,
            "client_no_context_takeover": True,
            "server_max_window_bits": 10,
            "client_max_window_bits": 9,
        },
    ),
    "second-offer": (
        (b"x-other, permessage-deflate; nonsense, permessage-deflate; server_max_window_bits=11",),
        b"permessage-deflate; server_max_window_bits=11",
        {"server_max_window_bits": 11},
    ),
    "second-line": (
        (b"permessage-deflate; server_max_window_bits=8", b"permessage-deflate"),
        b"permessage-deflate; server_max_window_bits=12",
        {"server_max_window_bits": 12},
    ),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_server_accepts(name: str) -> None:
    lines, answer, parameters = ACCEPTED[name]
    server = ServerHandshake(compression=WANTED)
    assert server.receive(request(*lines)) is not None
    assert server.compression is not None
    assert server.compression.parameters == DeflateParameters(**parameters)
    assert server.compression.wanted is WANTED
    assert extensions_in(server.accept()) == [answer]


@pytest.mark.parametrize(
    "lines",
    [
        (),
        (b"x-webkit-deflate-frame",),
        (b"permessage-deflate; unknown",),
        (b"permessage-deflate; server_max_window_bits=16",),
        (b"permessage-deflate; server_no_context_takeover; server_no_context_takeover",),
    ],
)
def test_server_goes_on_without_what_it_declines(lines: tuple[bytes, ...]) -> None:
    server = ServerHandshake(compression=WANTED)
    assert server.receive(request(*lines)) is not None
    assert server.compression is None
    assert extensions_in(server.accept()) == []


def test_server_without_compression_answers_no_offer() -> None:
    server = ServerHandshake()
    assert server.receive(request(b"permessage-deflate")) is not None
    assert server.compression is None
    assert extensions_in(server.accept()) == []


def test_server_refuses_what_is_no_list() -> None:
    server = ServerHandshake(compression=WANTED)
    with pytest.raises(BadRequest) as caught:
        server.receive(request(b"permessage-deflate; =12"))
    assert caught.value.response.startswith(b"HTTP/1.1 400 ")
    with pytest.raises(RuntimeError):
        server.accept()


# The client.


def asking(**settings: Any) -> ClientHandshake:
    return ClientHandshake("ws://example.com/chat", compression=PerMessageDeflate(engine=zlib, **settings))


def test_client_offers() -> None:
    assert extensions_in(asking().request()) == [b"permessage-deflate; client_max_window_bits=12"]
    all_of_it = asking(
        server_no_context_takeover=True,
        client_no_context_takeover=True,
        server_max_window_bits=10,
        client_max_window_bits=15,
    )
    assert extensions_in(all_of_it.request()) == [
        (
            b"permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
            b"server_max_window_bits=10; client_max_window_bits"
        )
    ]
    assert extensions_in(ClientHandshake("ws://example.com/chat").request()) == []


@pytest.mark.parametrize(
    ("line", "parameters"),
    [
        (b"permessage-deflate", {"client_max_window_bits": 12}),
        (b'permessage-deflate; server_max_window_bits="8"', {"server_max_window_bits": 8}),
        (b"permessage-deflate; client_max_window_bits=10", {"client_max_window_bits": 10}),
        (b"permessage-deflate; server_no_context_takeover", {"server_no_context_takeover": True}),
        (b"permessage-deflate; client_no_context_takeover", {"client_no_context_takeover": True}),
    ],
)
def test_client_agrees(line: bytes, parameters: dict[str, Any]) -> None:
    client = asking()
    assert client.receive(response(client.key, line)) is not None
    assert client.compression is not None
    agreed = client.compression.parameters
    assert {name: getattr(agreed, name) for name in parameters} == parameters


def test_client_goes_on_without_what_was_declined() -> None:
    client = asking()
    assert client.receive(response(client.key)) is not None
    assert client.compression is None


BAD_ANSWERS = {
    "no-list": (b"permessage-deflate; =",),
    "empty": (b"",),
    "other": (b"x-other",),
    "also-other": (b"permessage-deflate, x-other",),
    "twice": (b"permessage-deflate", b"permessage-deflate"),
    "unknown": (b"permessage-deflate; unknown",),
    "duplicate": (b"permessage-deflate; server_max_window_bits=10; server_max_window_bits=10",),
    "no-value": (b"permessage-deflate; client_max_window_bits",),
    "bad-value": (b"permessage-deflate; server_max_window_bits=07",),
    "window-of-8": (b"permessage-deflate; client_max_window_bits=8",),
}


@pytest.mark.parametrize("name", BAD_ANSWERS)
def test_client_refuses(name: str) -> None:
    client = asking()
    answer = response(client.key, *BAD_ANSWERS[name])
    for _ in range(2):
        with pytest.raises(BadExtensions) as caught:
            client.receive(answer)
        assert caught.value.status == 101
    assert ("Upgrade", "websocket") in caught.value.headers
    assert client.compression is None


def test_client_refuses_an_answer_to_no_offer() -> None:
    client = ClientHandshake("ws://example.com/chat")
    with pytest.raises(BadExtensions, match="not offered"):
        client.receive(response(client.key, b"permessage-deflate"))


def test_client_refuses_less_than_it_asked_for() -> None:
    client = asking(server_no_context_takeover=True)
    with pytest.raises(BadExtensions, match="server_no_context_takeover"):
        client.receive(response(client.key, b"permessage-deflate"))


# On headers.


def test_on_headers() -> None:
    asked = request_headers(parse_uri("ws://example.com/"), KEY, compression=WANTED)
    accepted = WANTED.accept(offered_extensions(asked))
    assert accepted is not None
    extension, parameters = accepted
    answered = response_headers(KEY, extensions=[extension])
    assert ("Sec-WebSocket-Extensions", format_extensions([extension])) in answered
    assert check_response(101, answered, KEY, compression=WANTED) is None
    assert WANTED.agree(agreed_extensions(answered)) == parameters
    with pytest.raises(BadExtensions):
        check_response(101, answered, KEY)
    wrong = response_headers(KEY, extensions=[Extension("x-other")])
    with pytest.raises(BadResponse, match="x-other"):
        check_response(101, wrong, KEY, compression=WANTED)
