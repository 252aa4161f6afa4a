"""The drop-in for gevent-websocket: whatever a client sends to a server on it, it comes to the same as without."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from implementations import Implementation

pytest.importorskip("geventwebsocket", reason="gevent-websocket is not installed")

import gevent
import geventwebsocket.websocket
from comparing import outcome, with_and_without
from gevent.pywsgi import WSGIServer
from geventwebsocket.handler import WebSocketHandler
from geventwebsocket.websocket import Header, WebSocket
from helpers import BINARY, CLOSE, CONT, KEY, PING, PONG, TEXT, frame
from installing import Change, Place, check_it_comes_and_goes, check_it_stays_out, standing, version
from streams import closes, payloads

from wscodec.dropin import gevent_websocket as dropin

PLACES: list[Place] = [
    (geventwebsocket.websocket, "Utf8Validator"),
    (Header, "mask_payload"),
    (Header, "unmask_payload"),
    (WebSocket, "_decode_bytes"),
]
HOSTS_OWN = standing(PLACES)
REQUEST = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@pytest.fixture(autouse=True)
def gevent_websocket_is_left_as_it_was() -> Iterator[None]:
    yield
    assert standing(PLACES) == HOSTS_OWN


class Host:
    """A server in a thread of its own that echoes; what it received last is in `heard`."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._ready.wait(10)

    def _run(self) -> None:
        self._server = WSGIServer(
            ("127.0.0.1", 0), self._echo, handler_class=WebSocketHandler, log=None, error_log=None
        )
        self._server.start()
        self._loop = gevent.get_hub().loop
        self._ready.set()
        self._server.serve_forever()

    def _echo(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        ws = environ["wsgi.websocket"]
        try:
            while (message := ws.receive()) is not None:
                self.heard.append((message, type(message)))
                ws.send(message)
        except Exception as error:
            self.heard.append((type(error), str(error)))
        return []

    def told(self, data: bytes) -> tuple[bytes, list[Any]]:
        """Return what the server answers to a client that sends some frames and goes, and what it received."""
        self.heard.clear()
        with socket.create_connection(("127.0.0.1", self._server.server_port), timeout=20) as client:
            sender = threading.Thread(target=send, args=(client, REQUEST + data))
            sender.start()
            answer = b""
            while piece := client.recv(1 << 16):
                answer += piece
            sender.join()
        return answer.partition(b"\r\n\r\n")[2], self.heard.copy()

    def end(self) -> None:
        self._loop.run_callback_threadsafe(gevent.spawn, self._server.stop)
        self._thread.join(10)


def send(client: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):  # the server may be gone
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    host = Host()
    yield host
    host.end()


# -------------------------------------------------------------------------------------------------------- received

keys = st.sampled_from([KEY, KEY, KEY, KEY, None])
frames = st.one_of(
    st.builds(frame, st.sampled_from([TEXT, TEXT, BINARY]), payloads, key=keys),
    st.builds(frame, st.sampled_from([TEXT, CONT, CONT]), payloads, fin=st.booleans(), key=keys),
    st.builds(frame, st.sampled_from([PING, PONG]), st.binary(max_size=5), key=keys),
    st.builds(frame, st.just(CLOSE), closes, key=keys),
    st.builds(frame, st.integers(0, 15), payloads, fin=st.booleans(), rsv=st.sampled_from([0, 0, 1, 4]), key=keys),
)


@settings(max_examples=60)
@given(st.lists(frames, max_size=6).map(b"".join))
@example(frame(TEXT, b"h\xc3", fin=False, key=KEY) + frame(PING, b"p", key=KEY) + frame(CONT, b"\xa9", key=KEY))
@example(frame(TEXT, b"h\xc3", key=KEY))
@example(frame(TEXT, b"h", key=KEY) + frame(CLOSE, b"\x03\xe8bye", key=KEY))
@example(frame(CLOSE, b"\x03\xe8bye\xff", key=KEY))
@example(frame(TEXT, b"hello", key=KEY)[:-2])
def test_what_comes_is_told_the_same(host: Host, data: bytes) -> None:
    with_and_without(dropin, lambda: host.told(data))


@pytest.mark.parametrize("text", ["ab", "é", "中", "😀"])
def test_large_messages(host: Host, text: str) -> None:
    texts = [text * (size // len(text.encode())) for size in (31, 125, 300, 100_000)]
    sent = b"".join(frame(TEXT, text.encode(), key=KEY) + frame(BINARY, text.encode(), key=KEY) for text in texts)
    answer, heard = with_and_without(dropin, lambda: host.told(sent))
    assert [message for message, _ in heard] == [message for text in texts for message in (text, text.encode())]
    echoed = b"".join(frame(TEXT, text.encode()) + frame(BINARY, text.encode()) for text in texts)
    assert answer == echoed + frame(CLOSE)


def test_a_payload_that_is_not_as_long_as_its_header_says() -> None:
    def test() -> list[Any]:
        found: list[Any] = []
        for length in (0, 3, 5, 6):
            header = Header(length=length)
            header.mask = b"abcd"
            try:
                masked = header.mask_payload(b"hello")
                found.append((masked, type(masked)))
            except IndexError:
                found.append(IndexError)
        return found

    assert with_and_without(dropin, test)[-1] is IndexError


@pytest.mark.parametrize("text", [b"", "hé€😀".encode(), b"a\xff", b"a\xe2\x82"])
def test_what_is_no_text_is_not_decoded(text: bytes) -> None:
    def test() -> Any:
        codes: list[int] = []
        # By itself, since on a connection the validator has refused it before.
        return outcome(WebSocket._decode_bytes, SimpleNamespace(close=codes.append), bytearray(text)), codes

    with_and_without(dropin, test)


# -------------------------------------------------------------------------------------------------- installation


def test_installing_is_idempotent_and_can_be_undone(impl: Implementation) -> None:
    check_it_comes_and_goes(dropin, PLACES)


# Ways in which another gevent-websocket might differ, by what the warning says.
CHANGES: dict[str, Change] = {
    "version 0.11.0 is not": version("0.11.0"),
    "version 0.9.5 is not": version("0.9.5"),
    "there is no": lambda patch: patch.delattr(geventwebsocket.websocket, "Utf8Validator"),
    "instead of": lambda patch: patch.setattr(WebSocket, "handle_close", lambda *_: None),
}


@pytest.mark.parametrize("reason", CHANGES)
def test_where_it_has_changed_it_is_left_alone_and_one_warning_says_so(impl: Implementation, reason: str) -> None:
    check_it_stays_out(dropin, PLACES, CHANGES[reason], f"gevent-websocket.*{reason}")
