"""Targets that compare opening handshakes with `websockets` and wsproto: who accepts which request, and how."""

from __future__ import annotations

import re
from random import Random
from typing import Any

from fuzz_handshake import KEY, some_request, some_response
from fuzz_targets import Difference, Observe
from implementations import Implementation
from known_differences import is_known
from other_codecs import Seen
from websockets.client import ClientProtocol
from websockets.http11 import Response
from websockets.server import ServerProtocol
from websockets.uri import parse_uri
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, Request
from wsproto.utilities import RemoteProtocolError

from wscodec import ClientHandshake, HandshakeError, ServerHandshake

PROTOCOLS = ["chat"]


def ours_of(request: bytes) -> Seen:
    """Return what we make of a request: the accepting answer, or why there is none."""
    server = ServerHandshake(origins=None, subprotocols=PROTOCOLS, server_header=None)  # the others look at none
    try:
        if server.receive(request) is None:
            return Seen(why="incomplete")
    except HandshakeError as error:
        return Seen(code=error.status, why=error.reason)
    return Seen(events=_facts(server.accept()))


def websockets_of(request: bytes) -> Seen:
    """Return what `websockets` makes of a request."""
    server = ServerProtocol(subprotocols=PROTOCOLS, select_subprotocol=_choose)  # type: ignore[arg-type]
    server.logger.disabled = True
    server.receive_data(request)
    events = server.events_received()
    if not events:
        error = server.handshake_exc
        return Seen(why="incomplete") if error is None else Seen(code=400, why=_in_words(error))
    response = server.accept(events[0])  # type: ignore[arg-type]
    if response.status_code != 101:
        return Seen(code=response.status_code, why=_in_words(server.handshake_exc or ""))
    server.send_response(response)
    written = b"".join(server.data_to_send())
    return Seen(
        events=_facts(written[written.index(b"HTTP/1.1 ") :])
    )  # a ping behind the request has its answer before


def wsproto_of(request: bytes) -> Seen:
    """Return what wsproto makes of a request."""
    server = WSConnection(ConnectionType.SERVER)
    try:
        server.receive_data(request)
        events = list(server.events())
    except (RemoteProtocolError, UnicodeDecodeError) as error:  # the second one is a fault of its own
        return Seen(code=400, why=_in_words(error))
    if not events or not isinstance(events[0], Request):
        return Seen(why="incomplete")
    chosen = "chat" if "chat" in events[0].subprotocols else None
    return Seen(events=_facts(server.send(AcceptConnection(subprotocol=chosen))))


def _choose(_: ServerProtocol, offered: Any) -> Any:
    return "chat" if "chat" in offered else None  # its own choice is to refuse who offers nothing of ours


def _in_words(error: object) -> str:
    cause = getattr(error, "__cause__", None)
    return f"{type(error).__name__}: {error}" + (f" ({cause})" if cause else "")


def _facts(answer: bytes) -> list[bytes]:
    """Return what counts of an answer: its status, the accepted key and the subprotocol."""
    lines = answer.split(b"\r\n\r\n")[0].split(b"\r\n")
    names = (b"sec-websocket-accept:", b"sec-websocket-protocol:")
    return [lines[0][:12], *sorted(line.lower() for line in lines if line.lower().startswith(names))]


def _judge(peer: str, ours: Seen, theirs: Seen) -> None:
    """See that both accept and answer the same, or both refuse, or that the difference is known."""
    if ours.events != theirs.events and not is_known(peer, ours, theirs):
        raise Difference(f"\nours   {ours}\ntheirs {theirs}")


def websockets_request(rng: Random) -> Observe:
    """A request to a server of ours and to one of `websockets`."""
    request = some_request(rng)

    def observe(_: Implementation) -> Any:
        ours = ours_of(request)
        _judge("websockets", ours, websockets_of(request))
        return ours

    return observe


def wsproto_request(rng: Random) -> Observe:
    """A request to a server of ours and to one of wsproto."""
    request = some_request(rng)

    def observe(_: Implementation) -> Any:
        ours = ours_of(request)
        _judge("wsproto", ours, wsproto_of(request))
        return ours

    return observe


def websockets_response(rng: Random) -> Observe:
    """A response to a client of ours and to one of `websockets`."""
    response = some_response(rng)

    def observe(_: Implementation) -> Any:
        client = ClientHandshake("ws://example.com/chat", subprotocols=PROTOCOLS)
        client.key = KEY
        try:
            ours = Seen(why="incomplete") if client.receive(response) is None else Seen(events=[client.subprotocol])
        except HandshakeError as error:
            ours = Seen(code=error.status, why=error.reason)
        _judge("websockets", ours, _websockets_client(response))
        return ours

    return observe


def _websockets_client(response: bytes) -> Seen:
    """Return what a client of `websockets` makes of a response."""
    client = ClientProtocol(parse_uri("ws://example.com/chat"), subprotocols=PROTOCOLS)  # type: ignore[arg-type]
    client.logger.disabled = True
    client.key = KEY
    client.send_request(client.connect())
    client.receive_data(response)
    events = client.events_received()
    if client.handshake_exc is not None:
        return Seen(code=400, why=re.sub(r"\s+", " ", _in_words(client.handshake_exc)))
    if not events or not isinstance(events[0], Response):
        return Seen(why="incomplete")
    return Seen(events=[client.subprotocol])


TARGETS = (websockets_request, wsproto_request, websockets_response)
