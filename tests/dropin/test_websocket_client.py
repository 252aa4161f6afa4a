"""The drop-in for websocket-client: whatever is received or sent, it comes to the same as without."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from implementations import Implementation

pytest.importorskip("websocket", reason="websocket-client is not installed")
pytest.importorskip("websocket._abnf", reason="another package has the name of websocket-client's module")

import websocket
import websocket._abnf
import websocket._utils
from comparing import outcome, sent_frames, with_and_without
from helpers import BINARY, CLOSE, CONT, KEY, PING, PONG, TEXT, frame
from installing import (
    Change,
    Place,
    check_it_comes_and_goes,
    check_it_leaves_others_alone,
    check_it_stays_out,
    installed,
    standing,
    version,
)
from streams import closes, payloads
from websocket import ABNF, WebSocket, WebSocketException

from wscodec import FrameDecoder, Role
from wscodec.asyncio import serve
from wscodec.dropin import websocket_client as dropin

PLACES: list[Place] = [(websocket._utils, "_validate_utf8"), (ABNF, "format"), (WebSocket, "recv")]
HOSTS_OWN = standing(PLACES)


@pytest.fixture(autouse=True)
def websocket_client_is_left_as_it_was() -> Iterator[None]:
    yield
    assert standing(PLACES) == HOSTS_OWN


# -------------------------------------------------------------------------------------------------------- received


class Reading(socket.socket):
    """A socket that gives no more than some bytes at a time, as a network does."""

    most = 1 << 20

    def recv(self, size: int, flags: int = 0) -> bytes:
        return super().recv(min(size, self.most), flags)


@contextmanager
def connection(most: int = 1 << 20, **options: Any) -> Iterator[tuple[WebSocket, socket.socket]]:
    """Return a WebSocket behind its handshake, and the server's end of its connection."""
    ours, servers = socket.socketpair()
    reading = Reading(fileno=ours.detach())
    reading.most = most
    ws = WebSocket(**options)
    ws.sock, ws.connected = reading, True
    with reading, servers:
        yield ws, servers


def told(stream: bytes, most: int, method: str, arguments: tuple[Any, ...], options: dict[str, bool]) -> list[Any]:
    """Return what a client makes of what a server sends before it goes away, and what it answers."""
    found: list[Any] = []
    with connection(most, **options) as (ws, server):
        server.sendall(stream)
        server.shutdown(socket.SHUT_WR)
        for _ in range(20):
            try:
                found.append(plain(getattr(ws, method)(*arguments)))
            except (WebSocketException, UnicodeDecodeError, AttributeError, OSError) as error:
                found.append((type(error), str(error)))
                break
        if ws.sock:
            ws.sock.close()
        found.append(sent_to(server))
    return found


def plain(result: Any) -> Any:
    """Return what can be compared: frames have no equality."""
    if isinstance(result, (tuple, list)):
        return [plain(part) for part in result]
    if isinstance(result, ABNF):
        return result.fin, result.opcode, result.data, type(result.data)
    return result, type(result)


def sent_to(server: socket.socket) -> list[Any]:
    """Return the frames that came before the end of the stream."""
    data = b""
    try:
        while piece := server.recv(1 << 16):
            data += piece
    except ConnectionResetError:
        pass
    return sent_frames(data)


frames = st.one_of(
    st.builds(frame, st.sampled_from([TEXT, TEXT, BINARY, CONT]), payloads, fin=st.sampled_from([True, True, False])),
    st.builds(frame, st.sampled_from([PING, PONG]), st.binary(max_size=5)),
    st.builds(frame, st.just(CLOSE), closes),
    st.builds(frame, st.integers(0, 15), payloads, fin=st.booleans(), rsv=st.sampled_from([0, 0, 1, 4])),
    st.builds(frame, st.just(TEXT), payloads, key=st.just(KEY)),
)
methods = st.sampled_from([("recv", ()), ("recv", ()), ("recv_data", ()), ("recv_data_frame", (True,))])
options = st.fixed_dictionaries({}, optional={"fire_cont_frame": st.booleans(), "skip_utf8_validation": st.booleans()})


@settings(max_examples=80)
@given(st.lists(frames, max_size=6).map(b"".join), st.sampled_from([1, 3, 1 << 20]), methods, options)
@example(frame(TEXT, b"a\xc3", fin=False) + frame(PING, b"p") + frame(CONT, b"\xa9"), 2, ("recv", ()), {})
@example(frame(TEXT, b"a\xc3"), 2, ("recv", ()), {})
@example(frame(TEXT, b"a\xff"), 2, ("recv", ()), {"skip_utf8_validation": True})
def test_what_is_received_comes_to_the_same(
    stream: bytes, most: int, method: tuple[str, tuple[Any, ...]], options: dict[str, bool]
) -> None:
    with_and_without(dropin, lambda: told(stream, most, *method, options))


@settings(max_examples=20)
@given(st.lists(st.builds(lambda a, b: a + b, payloads, payloads), max_size=50))
def test_text_is_judged_the_same(texts: list[bytes]) -> None:
    with_and_without(dropin, lambda: [websocket._utils.validate_utf8(text) for text in texts])


@pytest.mark.parametrize("text", ["aé", "a\ud800"])
def test_a_str_is_judged_too(text: str) -> None:
    def test() -> Any:
        try:
            return websocket._utils.validate_utf8(text)
        except TypeError:  # older versions take bytes only
            return TypeError

    with_and_without(dropin, test)


# ------------------------------------------------------------------------------------------------------------ sent


def sent(calls: list[tuple[str, tuple[Any, ...]]], key: Any = None) -> list[Any]:
    """Return what calls return or raise, and the frames that the server gets."""
    found: list[Any] = []
    with connection() as (ws, server):
        if key is not None:
            ws.set_mask_key(lambda size: key)
        for name, arguments in calls:
            found.append(outcome(getattr(ws, name), *arguments))
        ws.sock.close()
        found.append(sent_to(server))
    return found


sizes = st.sampled_from([0, 1, 31, 125, 126, 300])
messages = st.one_of(
    st.text(max_size=9), st.binary(max_size=9), st.builds(bytes, sizes), st.builds(bytearray, sizes), payloads
)
opcodes = st.sampled_from([TEXT, BINARY, CONT, PING, PONG, CLOSE, 3, 16])
calls = st.one_of(
    st.tuples(st.just("send"), st.tuples(messages) | st.tuples(messages, opcodes)),
    st.tuples(st.sampled_from(["send_binary", "ping", "pong"]), st.tuples(messages)),
    st.tuples(st.just("send"), st.tuples(st.sampled_from([None, 5, ["a"], "\ud800", memoryview(b"view")]))),
    st.tuples(st.just("send_close"), st.tuples(st.integers(-1, 70_000), messages)),
)


@settings(max_examples=60)
@given(st.lists(calls, max_size=6))
def test_what_is_sent_comes_to_the_same(made: list[tuple[str, tuple[Any, ...]]]) -> None:
    with_and_without(dropin, lambda: sent(made))


@pytest.mark.parametrize("key", [b"abcd", "abcd", "abcé", b"ab", b"abcde", b""])
def test_keys_of_the_users_are_used(key: Any) -> None:
    def test() -> list[Any]:
        masked = []
        for data in (b"", b"hello", bytes(200)):
            one = ABNF.create_frame(data, BINARY)
            one.get_mask_key = lambda size: key
            masked.append(outcome(one.format))
        return masked

    with_and_without(dropin, test)


@pytest.mark.parametrize("change", [{"fin": 2}, {"rsv1": 1}, {"rsv2": 2}, {"opcode": 3}, {"data": None}, {"data": "é"}])
def test_frames_that_are_not_plain_are_written_the_same(change: dict[str, Any]) -> None:
    def test() -> Any:
        made = ABNF(1, 0, 0, 0, BINARY, 1, b"hello")
        for name, value in change.items():
            setattr(made, name, value)
        made.get_mask_key = lambda size: b"abcd"
        return outcome(made.format)

    with_and_without(dropin, test)
    with_and_without(dropin, lambda: ABNF(1, 0, 0, 0, TEXT, 0, b"not masked").format())


@pytest.mark.parametrize("bit", ["rsv1", "rsv2", "rsv3"])
def test_reserved_bits_are_sent(bit: str) -> None:
    made = ABNF(1, opcode=TEXT, data=b"hi", **{bit: 1})
    (found,) = with_and_without(dropin, lambda: sent_frames(made.format()))
    assert (found.payload, found.rsv.bit_count()) == (b"hi", 1)


@pytest.mark.parametrize("size", [125, 126, 65_535, 65_536, 1 << 20])
def test_lengths_have_their_shortest_form(impl: Implementation, size: int) -> None:
    payload = os.urandom(size)
    with installed(dropin):
        for data in (payload, bytearray(payload)):
            made = ABNF.create_frame(data, BINARY).format()
            assert type(made) is bytes
            assert len(made) == size + 4 + (2 if size < 126 else 4 if size < 65_536 else 10)
            (found,) = FrameDecoder(Role.SERVER).feed(made)
            assert found.payload == payload


def test_masking_keys_differ(impl: Implementation) -> None:
    with installed(dropin):
        assert len({ABNF.create_frame(b"hello", TEXT).format()[2:6] for _ in range(100)}) > 95


# ---------------------------------------------------------------------------------------------- over the network

MESSAGES: list[Any] = ["", "hello", "hé€😀", "ab" * 500, "é" * 100_000, b"", b"\0\xff", bytes(range(256)) * 5000]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A server that echoes, and closes when it is told to."""
    ready, end = threading.Event(), asyncio.Event()
    found: list[Any] = []

    async def echo(ws: Any) -> None:
        async for message in ws:
            if message == "enough":
                await ws.close(4001, "énough")
            else:
                await ws.send(message)

    async def run() -> None:
        async with serve(echo, "127.0.0.1", 0, max_size=None) as server:
            found.extend((server.sockets[0].getsockname()[1], asyncio.get_running_loop()))
            ready.set()
            await end.wait()

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    assert ready.wait(10)
    yield f"ws://127.0.0.1:{found[0]}/"
    found[1].call_soon_threadsafe(end.set)
    thread.join(10)


def test_a_whole_connection(address: str) -> None:
    ws = websocket.create_connection(address, timeout=20)
    ws.send("enough")
    assert with_and_without(dropin, lambda: heard(address)) == MESSAGES
    assert ws.recv_data() == (CLOSE, b"\x0f\xa1" + "énough".encode())
    ws.shutdown()


def heard(address: str) -> list[Any]:
    """Return the messages that come back, and see that fragments and pings do no harm."""
    ws = websocket.create_connection(address, timeout=20)
    found: list[Any] = []
    for message in MESSAGES:
        ws.ping("p")
        ws.send(message, TEXT if isinstance(message, str) else BINARY)
        found.append(ws.recv())
    for data, opcode, fin in ((b"h\xc3", TEXT, 0), (b"\xa9", CONT, 0), (b"", CONT, 1)):
        ws.send_frame(ABNF.create_frame(data, opcode, fin))
    assert ws.recv() == "hé"
    ws.close()
    return found


def app_tells(address: str) -> list[Any]:
    """Return what a WebSocketApp calls back."""
    found: list[Any] = []
    opened_ones: list[WebSocket] = []

    def opened(app: Any) -> None:
        opened_ones.append(app.sock)
        for message in MESSAGES:
            app.send(message, TEXT if isinstance(message, str) else BINARY)
        app.send("enough")

    app = websocket.WebSocketApp(
        address,
        on_open=opened,
        on_message=lambda app, message: found.append(message),
        on_error=lambda app, error: found.append((type(error), str(error))),
        on_close=lambda app, code, reason: found.append((code, reason)),
    )
    app.run_forever()
    for ws in opened_ones:
        ws.shutdown()  # an app leaves the socket open where the server closed first
    return found


def test_an_app(address: str) -> None:
    found = with_and_without(dropin, lambda: app_tells(address))
    assert found[: len(MESSAGES)] == MESSAGES
    assert found[-1] == (4001, "énough")


# -------------------------------------------------------------------------------------------------- installation


def test_installing_is_idempotent_and_can_be_undone(impl: Implementation) -> None:
    check_it_comes_and_goes(dropin, PLACES)


def test_what_others_put_over_ours_stays(impl: Implementation) -> None:
    check_it_leaves_others_alone(dropin, PLACES, (ABNF, "format"))


def read_all(ws: Any) -> Any:
    while True:
        ws.frame_buffer.recv_strict(1)


# Ways in which another websocket-client might differ, by what the warning says.
CHANGES: dict[str, Change] = {
    "version 2.0.1 is not": version("2.0.1"),
    "version 0.59.0 is not": version("0.59.0"),
    "there is no": lambda patch: patch.delattr(websocket._utils, "_validate_utf8"),
    "reads on": lambda patch: patch.setattr(WebSocket, "recv_frame", read_all),
    "instead of <class": lambda patch: patch.setattr(websocket._abnf, "validate_utf8", lambda data: True),
    "instead of b": lambda patch: patch.setattr(ABNF, "_get_masked", lambda self, key: key + self.data),
}


@pytest.mark.parametrize("reason", CHANGES)
def test_where_it_has_changed_it_is_left_alone_and_one_warning_says_so(impl: Implementation, reason: str) -> None:
    check_it_stays_out(dropin, PLACES, CHANGES[reason], f"websocket-client.*{reason}")
