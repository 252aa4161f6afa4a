"""The opening handshake with other implementations on the other side, in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from websockets.client import ClientProtocol
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol
from websockets.uri import parse_uri as websockets_parse_uri
from wsproto import ConnectionType, WSConnection
from wsproto import events as wsproto_events

from wscodec.errors import BadStatus, OriginRefused
from wscodec.handshake import ClientHandshake, ServerHandshake


def feed(receive: Callable[[bytes], Any], data: bytes, step: int) -> Any:
    """Feed `data` in parts until there is a result."""
    for i in range(0, len(data), step):
        result = receive(data[i : i + step])
        if result is not None:
            return result
    return None


@pytest.mark.parametrize("step", [1, 10**6])
def test_interop_our_client_with_a_websockets_server(step: int) -> None:
    asking = ClientHandshake("ws://h:81/a?b", origin="http://o", subprotocols=["x", "y"])
    server = ServerProtocol(origins=["http://o"], subprotocols=[Subprotocol("y")])  # type: ignore[list-item]
    request = asking.request()
    for i in range(0, len(request), step):
        server.receive_data(request[i : i + step])
    (event,) = server.events_received()
    assert event.path == "/a?b"  # type: ignore[union-attr]
    response = server.accept(event)  # type: ignore[arg-type]
    server.send_response(response)
    server.send_text(b"hello")
    answer = b"".join(server.data_to_send())
    assert feed(asking.receive, answer, step) is not None
    assert asking.subprotocol == "y"
    if step > 1:
        assert asking.trailing == b"\x81\x05hello"


def test_interop_our_client_refused_by_a_websockets_server() -> None:
    asking = ClientHandshake("ws://h/", origin="http://o")
    server = ServerProtocol(origins=["http://other"])  # type: ignore[list-item]
    server.receive_data(asking.request())
    (event,) = server.events_received()
    server.send_response(server.accept(event))  # type: ignore[arg-type]
    with pytest.raises(BadStatus) as caught:
        asking.receive(b"".join(server.data_to_send()))
    assert caught.value.status == 403
    assert b"Origin" in caught.value.body
    assert asking.body_ended


@pytest.mark.parametrize("step", [1, 10**6])
def test_interop_our_server_with_a_websockets_client(step: int) -> None:
    asking = ClientProtocol(
        websockets_parse_uri("ws://user:pass@h:81/a?b"),
        origin="http://o",  # type: ignore[arg-type]
        subprotocols=[Subprotocol("x"), Subprotocol("y")],
    )
    asking.send_request(asking.connect())
    data = b"".join(asking.data_to_send())
    server = ServerHandshake(origins=["http://o"], subprotocols=["y", "x"])
    request = feed(server.receive, data, step)
    assert request is not None
    assert request.path == "/a?b"
    asking.receive_data(server.accept() + b"\x81\x05hello")
    response, frame = asking.events_received()
    assert asking.handshake_exc is None
    assert response.status_code == 101  # type: ignore[union-attr]
    assert asking.subprotocol == "y"
    assert frame.data == b"hello"  # type: ignore[union-attr]


def test_interop_our_server_refuses_a_websockets_client() -> None:
    asking = ClientProtocol(websockets_parse_uri("ws://h/"))
    asking.send_request(asking.connect())
    with pytest.raises(OriginRefused) as caught:
        ServerHandshake(origins=["http://o"]).receive(b"".join(asking.data_to_send()))
    asking.receive_data(caught.value.response)
    assert asking.handshake_exc is not None
    assert asking.handshake_exc.response.status_code == 403  # type: ignore[attr-defined]
    assert asking.handshake_exc.response.body == b"this origin is not allowed\n"  # type: ignore[attr-defined]


def test_interop_our_client_with_a_wsproto_server() -> None:
    asking = ClientHandshake("ws://h/a?b", subprotocols=["x", "y"])
    server = WSConnection(ConnectionType.SERVER)
    server.receive_data(asking.request())
    (event,) = server.events()
    assert isinstance(event, wsproto_events.Request)
    assert (event.target, event.subprotocols) == ("/a?b", ["x", "y"])
    answer = server.send(wsproto_events.AcceptConnection(subprotocol="y"))
    assert asking.receive(answer + b"\x89\x00") is not None
    assert asking.subprotocol == "y"
    assert asking.trailing == b"\x89\x00"


def test_interop_our_client_refused_by_a_wsproto_server() -> None:
    asking = ClientHandshake("ws://h/")
    server = WSConnection(ConnectionType.SERVER)
    server.receive_data(asking.request())
    assert list(server.events())
    head = server.send(wsproto_events.RejectConnection(status_code=401, headers=[(b"x", b"y")], has_body=True))
    body = server.send(wsproto_events.RejectData(b"go away"))
    with pytest.raises(BadStatus):
        asking.receive(head)
    with pytest.raises(BadStatus) as caught:
        asking.receive(body)
    assert caught.value.status == 401
    assert ("x", "y") in caught.value.headers
    assert caught.value.body == b"go away"
    assert asking.body_ended


def test_interop_our_server_with_a_wsproto_client() -> None:
    asking = WSConnection(ConnectionType.CLIENT)
    data = asking.send(wsproto_events.Request(host="h", target="/a?b", subprotocols=["x", "y"]))
    server = ServerHandshake(subprotocols=["y"])
    assert server.receive(data) is not None
    asking.receive_data(server.accept(headers=[("X", "y")]) + b"\x81\x05hello")
    accepted, message = asking.events()
    assert isinstance(accepted, wsproto_events.AcceptConnection)
    assert accepted.subprotocol == "y"
    assert isinstance(message, wsproto_events.TextMessage)
    assert message.data == "hello"


def test_interop_our_server_refuses_a_wsproto_client() -> None:
    asking = WSConnection(ConnectionType.CLIENT)
    server = ServerHandshake()
    server.receive(asking.send(wsproto_events.Request(host="h", target="/")))
    asking.receive_data(server.reject(503, body=b"busy"))
    rejected, data, end = asking.events()
    assert isinstance(rejected, wsproto_events.RejectConnection)
    assert rejected.status_code == 503
    assert isinstance(data, wsproto_events.RejectData)
    assert data.data == b"busy"
    assert isinstance(end, wsproto_events.RejectData)
    assert end.body_finished


def test_interop_our_client_with_our_server() -> None:
    asking = ClientHandshake("wss://h/", subprotocols=["x", "y"], origin="https://h")
    server = ServerHandshake(subprotocols=["y"], origins=["https://h:443"])
    assert server.receive(asking.request()) is not None
    assert asking.receive(server.accept()) is not None
    assert asking.subprotocol == server.subprotocol == "y"
