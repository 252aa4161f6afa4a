"""Class G: what is a line, a head or a connection is the same to everybody, in what comes and in what is sent."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from attacks import play, tries
from heads import assert_refused, is_safe, refusal, request, response
from helpers import KEY, TEXT, frame
from net import REQUEST, echo, idle, listen, raw_client, raw_server, response_to, uri

from wscodec import BadRequest, BadResponse, BadStatus, ClientHandshake, HandshakeError, ServerHandshake
from wscodec.asyncio import Headers, Request, Response, ServerConnection, connect
from wscodec.handshake import check_request, request_headers, response_headers
from wscodec.uri import WebSocketURI, parse_uri

EVIL = "ok\r\nX-Evil: 1"
LINE_ENDS = [
    EVIL,
    "ok\nX-Evil: 1",
    "ok\rX-Evil: 1",
    "ok\0",
    "ok\x0b",
    "ok\x7f",
    "ok\u2028X",
    "ok\u010dX",
    "\r\n\r\nbody",
]
SMUGGLING = ("CVE-2026-69243",)


@pytest.mark.parametrize(
    ("lines", "settings", "status"),
    [
        pytest.param(*case, marks=tries(*SMUGGLING))
        for case in (
            ((b"Content-Length: 5",), {}, 400),
            ((b"Content-Length: 0", b"Content-Length: 5"), {}, 400),
            ((b"Content-Length: 0, 5",), {}, 400),
            ((b"Content-Length: +0",), {}, 400),
            ((b"Content-Length: 00",), {}, 400),
            ((b"Content-Length: 18446744073709551616",), {}, 400),
            ((b"Transfer-Encoding: chunked",), {}, 400),
            ((b"Transfer-Encoding: identity",), {}, 4),
            ((b"Transfer-Encoding: \x0bchunked",), {}, 400),
            ((b"Transfer-Encoding : chunked",), {}, 400),
            ((b"Transfer-Encoding: chunked", b"Content-Length: 0"), {}, 400),
            ((b"X: a\r\n folded: b",), {}, 400),
            ((b"X: a\nTransfer-Encoding: chunked",), {}, 400),
            ((b"X: a\rTransfer-Encoding: chunked",), {}, 400),
            ((b"X\0: a",), {}, 400),
            ((b"X: a\0",), {}, 400),
            ((b"X Y: a",), {}, 400),
            ((b": a",), {}, 400),
            ((b"Upgrade: h2c;",), {}, 400),
            ((b"Connection: close;",), {}, 400),
            ((b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",), {}, 400),
            ((b"Sec-WebSocket-Version: 8",), {}, 426),
            ((), {"first": b"GET /chat HTTP/1.0"}, 400),
            ((), {"first": b"GET /chat HTTP/1.1 "}, 400),
            ((), {"first": b"GET  /chat HTTP/1.1"}, 400),
            ((), {"first": b"GET\t/chat HTTP/1.1"}, 400),
            ((), {"first": b"GET /chat x HTTP/1.1"}, 400),
            ((), {"first": b"GET /chat"}, 400),
            ((), {"first": b"\r\nGET /chat HTTP/1.1"}, 400),
            ((), {"first": b"get /chat HTTP/1.1"}, 405),
            ((), {"first": b"POST /chat HTTP/1.1"}, 405),
            ((), {"first": b"CONNECT a:80 HTTP/1.1"}, 400),
        )
    ],
)
def test_a_request_that_two_could_read_differently_is_refused(
    lines: tuple[bytes, ...], settings: dict[str, Any], status: int
) -> None:
    data = request(*lines, **settings)
    if status == 4:  # h11 knows no other coding than chunked, and says 501
        assert refusal(ServerHandshake(), data, 1).status >= 400
        return
    assert_refused(data, status)


@tries("CVE-2026-34525")
@pytest.mark.parametrize("second", [b"Host: example.com", b"Host: attacker.example", b"host:", b"HOST: a, b"])
def test_there_is_one_host(second: bytes) -> None:
    assert_refused(request(second), 400)
    # Nor are there two where somebody else has parsed the request.
    lines = [line.split(b":", 1) for line in request(second).split(b"\r\n")[1:-2]]
    with pytest.raises(BadRequest, match="one Host"):
        check_request("GET", "1.1", [(name, value.strip()) for name, value in lines])


@tries("CVE-2026-34525")
def test_a_client_sends_one_host() -> None:
    for headers in ([("Host", "a"), ("host", "b")], [("Host", "a"), ("Host", "a")]):
        with pytest.raises(ValueError, match="once"):
            ClientHandshake("ws://example.com/", headers=headers)
    assert ClientHandshake("ws://example.com/", headers={"Host": "a"}).request().count(b"\nHost:") == 1


@tries("CVE-2026-1527")
@pytest.mark.parametrize("name", ["Upgrade", "upgrade", "Connection", "Sec-WebSocket-Key", "Content-Length"])
@pytest.mark.parametrize("value", ["websocket", "websocket\r\nX: y"])
def test_the_handshakes_own_headers_can_not_be_given(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=r"header|handshake"):
        ClientHandshake("ws://example.com/", headers=[(name, value)])
    with pytest.raises(ValueError, match=r"header|handshake"):
        request_headers(parse_uri("ws://example.com/"), "key", headers={name: value})


@tries("CVE-2026-1527", "tetsuo-pulse #3489")
@pytest.mark.parametrize("text", LINE_ENDS, ids=ascii)
def test_a_client_sends_no_line_of_anybody_elses(text: str) -> None:
    for settings in (
        {"headers": [("X", text)]}, {"headers": [(text, "x")]}, {"headers": {"Host": text}}, {"origin": text},
        {"user_agent": text}, {"subprotocols": ["chat", text]}, {"headers": [("Cookie", text)]},
    ):  # fmt: skip
        with pytest.raises(ValueError):  # noqa: PT011  # texts differ, and what counts is that nothing is sent
            ClientHandshake("ws://example.com/", **settings)
        # Nor by way of `connect`, before it connects to anything.
        names = {"headers": "additional_headers", "user_agent": "user_agent_header"}
        with pytest.raises(ValueError):  # noqa: PT011
            asyncio.run(_open("ws://127.0.0.1:1/", {names.get(key, key): value for key, value in settings.items()}))


async def _open(address: str, settings: dict[str, Any]) -> None:
    await connect(address, **settings)


@tries("circuits #251", "tetsuo-pulse #3489")
@pytest.mark.parametrize(
    "address",
    [
        "ws://localhost/ HTTP/1.1\r\nHeader: injected\r\nX:", "ws://localhost/a b", "ws://localhost/\n", "ws://a\r\nb/",
        "ws://localhost/?q=\r\nX: y", "ws://a b/", "ws://localhost/\0", "ws://localhost\t/", " ws://localhost/",
        "ws://localhost/\x7f", "ws://u\r\n:p@localhost/", "ws://[::1\r\n]/", "ws://localhost:80\r\n/",
    ],
    ids=ascii,
)  # fmt: skip
def test_a_uri_has_no_line_ends(address: str) -> None:
    with pytest.raises(ValueError, match="spaces"):
        parse_uri(address)
    with pytest.raises(ValueError, match="spaces"):
        ClientHandshake(address)


@tries("circuits #251", "tetsuo-pulse #3489")
def test_what_is_encoded_stays_so() -> None:
    ours = ClientHandshake("ws://us%0d%0aer:pw%0a@example.com/a%0d%0ab?c%20d\u00e9")
    assert ours.request().startswith(b"GET /a%0d%0ab?c%20d%C3%A9 HTTP/1.1\r\nHost: example.com\r\n")
    assert is_safe(ours.request())
    for resource in ("/a b", "/\r\n", "/\0", "a", "/\u00e9"):
        with pytest.raises(ValueError, match="resource"):
            WebSocketURI(False, "example.com", 80, resource)


@tries("CVE-2020-7695", "CVE-2020-35678")
@pytest.mark.parametrize("text", LINE_ENDS, ids=ascii)
def test_a_server_sends_no_line_of_anybody_elses(text: str) -> None:
    ours = ServerHandshake()
    ours.receive(request())
    for headers in ([("Location", text)], [(text, "x")], {"Set-Cookie": text}, [("Server", text)]):
        with pytest.raises(ValueError, match="header"):
            ours.accept(headers=headers)
        with pytest.raises(ValueError, match="header"):
            ours.reject(302, headers)
        with pytest.raises(ValueError, match="header"):
            response_headers("dGhlIHNhbXBsZSBub25jZQ==", headers=headers)
    with pytest.raises(ValueError):  # noqa: PT011
        response_headers("dGhlIHNhbXBsZSBub25jZQ==", subprotocol=text)
    with pytest.raises(ValueError):  # noqa: PT011
        ServerHandshake(server_header=text).reject(404)
    # All that has changed nothing.
    assert is_safe(ours.reject(302, [("Location", "/there")], b"moved\r\n\r\n"))


@tries("CVE-2020-35678", "CVE-2020-7695")
def test_a_redirect_with_line_ends_becomes_500(caplog: pytest.LogCaptureFixture) -> None:
    def redirect(ws: ServerConnection, request: Request) -> Response:
        return Response(302, "Found", Headers([("Location", request.path + EVIL)]))

    async def main() -> None:
        async with listen(idle, process_request=redirect) as server, raw_client(server, None) as peer:
            peer.send(REQUEST)
            answer = await peer.reader.read()
            assert answer.startswith(b"HTTP/1.1 500 ")
            assert b"Evil" not in answer
            assert is_safe(answer)

    play(main)
    assert "can't be sent" in caplog.text


@tries("CVE-2026-54273", "aiohttp #12734")
@pytest.mark.parametrize("count", [1, 400])
@pytest.mark.parametrize(
    ("bad", "status"), [((b": 13", b": 8"), b"426"), ((b"GET", b"PUT"), b"405"), ((b"==", b"="), b"400")]
)
def test_one_refusal_is_all_that_a_connection_gets(bad: tuple[bytes, bytes], status: bytes, count: int) -> None:
    async def main() -> None:
        async with listen(echo) as server:
            async with raw_client(server, None) as peer:
                peer.send(REQUEST.replace(*bad) + REQUEST * count)
                answer = await peer.reader.read()
                assert answer.startswith(b"HTTP/1.1 " + status)
                assert answer.count(b"HTTP/1.1") == 1
                assert b"\r\nConnection: close" in answer
            async with connect(uri(server)) as ws:
                await ws.send("next")
                assert await ws.recv() == "next"

    play(main)


@tries("CVE-2026-54273")
def test_what_comes_before_the_answer_is_not_piled_up() -> None:
    asked = asyncio.Event

    async def main() -> None:
        go_on, here = asked(), asked()

        async def slowly(ws: ServerConnection, request: Request) -> None:
            here.set()
            await go_on.wait()

        async with listen(echo, process_request=slowly) as server, raw_client(server, None) as peer:
            peer.send(REQUEST, frame(TEXT, b"early", key=KEY))
            await here.wait()
            for _ in range(40):
                peer.send(REQUEST * 4000)
                await asyncio.sleep(0.002)
            # The transport is not read, so that the peer can't write either: what it sent waits on its side.
            (accepting,) = server._handshakes
            assert len(accepting._early) + len(accepting._handshake.trailing) < 1 << 19
            assert peer.writer.transport.get_write_buffer_size() > 1 << 22
            go_on.set()
            assert (await peer.head()).startswith(b"HTTP/1.1 101 ")
            assert await peer.next_frame() == (TEXT, b"early")
            # A request is no frame.
            assert (await peer.next_frame())[1][:2] == (1002).to_bytes(2)

    play(main)


UPGRADE = b"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
REFUSALS = [b"HTTP/1.1 %d Other" % status + UPGRADE for status in (200, 204, 302, 400, 426, 500)]


@tries("CVE-2019-17567", "Egorov 2019")
@pytest.mark.parametrize("answer", REFUSALS)
def test_without_101_there_is_no_connection(answer: bytes) -> None:
    async def main() -> None:
        async def play_server(peer: Any) -> None:
            await peer.head()
            peer.send(answer + frame(TEXT, b"as if it were open"))

        async with raw_server(play_server) as raw:
            with pytest.raises(BadStatus):
                await connect(uri(raw))

    play(main)


@tries("CVE-2019-17567", "CVE-2026-69243")
def test_a_101_that_is_not_ours_is_no_connection() -> None:
    changes = [
        (b"Sec-WebSocket-Accept: ", b"Sec-WebSocket-Accept: x"), (b"Sec-WebSocket-Accept: ", b"X-Accept: "),
        (b"Upgrade: websocket", b"Upgrade: h2c"), (b"Upgrade: websocket", b"Upgrade: websocket, h2c"),
        (b"Connection: Upgrade", b"Connection: close"), (b"HTTP/1.1", b"HTTP/1.0"), (b" 101 ", b" 1010 "),
        (b"\r\nUpgrade", b"\r\nContent-Length: 4\r\nUpgrade"),
        (b"\r\nUpgrade", b"\r\nTransfer-Encoding: chunked\r\nUpgrade"),
        (b"\r\nUpgrade", b"\r\nSec-WebSocket-Protocol: chat\r\nUpgrade"), (b"\r\nUpgrade", b"\nUpgrade"),
        (b"\r\nUpgrade", b"\r\nSec-WebSocket-Accept: x\r\nUpgrade"),
    ]  # fmt: skip
    for old, new in changes:
        ours = ClientHandshake("ws://example.com/")
        error = refusal(ours, response_to(ours.request()).replace(old, new, 1) + frame(TEXT, b"x"), 1)
        assert isinstance(error, BadResponse)
        with pytest.raises(HandshakeError):
            ours.receive(response(ours))
        assert ours.trailing == b""


@tries("Egorov 2019")
@pytest.mark.parametrize("version", [b"1337", b"8", b"14", b"13.0", b"\xb113", b"13 13"])
def test_a_wrong_version_ends_the_connection_visibly(version: bytes) -> None:
    data = request(b"Sec-WebSocket-Version: " + version, without=b"Sec-WebSocket-Version")
    assert_refused(data, 426)
    answer = refusal(ServerHandshake(), data, 1).response
    assert b"\r\nSec-WebSocket-Version: 13\r\n" in answer
    assert b"\r\nConnection: close, Upgrade\r\n" in answer
