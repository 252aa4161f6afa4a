"""The opening handshake of either side (RFC 6455 §4): every rule, every cut, every limit."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import gc
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import h11
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import wscodec._client_handshake as handshake_module
import wscodec._http as http
from wscodec.errors import (
    BadRequest,
    BadResponse,
    BadStatus,
    HandshakeError,
    HeadTooBig,
    MethodRefused,
    OriginRefused,
    VersionRefused,
)
from wscodec.handshake import (
    ClientHandshake,
    Headers,
    Origins,
    Request,
    ServerHandshake,
    generate_key,
)
from wscodec.uri import parse_uri

# RFC 6455 §1.3.
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
RFC_REQUEST = (
    b"GET /chat HTTP/1.1\r\n"
    b"Host: server.example.com\r\n"
    b"Upgrade: websocket\r\n"
    b"Connection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Origin: http://example.com\r\n"
    b"Sec-WebSocket-Protocol: chat, superchat\r\n"
    b"Sec-WebSocket-Version: 13\r\n"
    b"\r\n"
)
RFC_RESPONSE = (
    b"HTTP/1.1 101 Switching Protocols\r\n"
    b"Upgrade: websocket\r\n"
    b"Connection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
    b"Sec-WebSocket-Protocol: chat\r\n"
    b"\r\n"
)
ORIGINS = ["http://example.com", None]


def change(head: bytes, name: bytes, *lines: bytes) -> bytes:
    """Put `lines` in the place of the one header line of that name."""
    first, *rest = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    kept = [line for line in rest if not line.startswith(name + b":")]
    assert len(kept) == len(rest) - 1
    return b"\r\n".join([first, *kept, *lines]) + b"\r\n\r\n"


def add(head: bytes, *lines: bytes) -> bytes:
    return b"\r\n".join([head.removesuffix(b"\r\n\r\n"), *lines]) + b"\r\n\r\n"


def first_line(head: bytes, line: bytes) -> bytes:
    return line + head[head.index(b"\r\n") :]


def swap(name: bytes, *values: bytes) -> bytes:
    """Return the RFC's request with other values in that header, none or several."""
    return change(RFC_REQUEST, name, *(name + b": " + value for value in values))


def swap_back(name: bytes, *values: bytes) -> bytes:
    """Return the RFC's response with other values in that header, none or several."""
    return change(RFC_RESPONSE, name, *(name + b": " + value for value in values))


def cuts(data: bytes) -> Iterator[list[bytes]]:
    """Yield `data` whole, byte by byte, and in every two parts."""
    yield [data]
    yield [data[i : i + 1] for i in range(len(data))]
    for i in range(len(data) + 1):
        yield [data[:i], data[i:]]


def feed(handshake: ServerHandshake | ClientHandshake, parts: Iterable[bytes]) -> Any:
    """Feed `parts` until there is a result; what is left is trailing data that was not fed."""
    for part in parts:
        result = handshake.receive(part)
        if result is not None:
            return result
    return None


def parse_answer(answer: bytes, method: str = "GET") -> tuple[int, Headers, bytes]:
    """Parse a whole HTTP answer with h11, and see that it ends where it says."""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target="/", headers=[("Host", "h")]))
    client.send(h11.EndOfMessage())
    client.receive_data(answer)
    head = client.next_event()
    assert isinstance(head, h11.Response)
    body = b""
    while isinstance(event := client.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert client.trailing_data[0] == b""
    assert client.their_state is h11.MUST_CLOSE
    return head.status_code, Headers(head.headers.raw_items()), body


def client(uri: str = "ws://server.example.com/chat", **arguments: Any) -> ClientHandshake:
    """Return a client whose key is the RFC's."""
    arguments.setdefault("subprotocols", ["chat", "superchat"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(handshake_module, "generate_key", lambda: KEY)
        return ClientHandshake(uri, **arguments)


def rfc_server(**arguments: Any) -> ServerHandshake:
    """Return a server that takes the RFC's request, whose page is from another host."""
    return ServerHandshake(origins=ORIGINS, **arguments)


# The server, reading.

GOOD_REQUESTS = {
    "rfc": RFC_REQUEST,
    "firefox": swap(b"Connection", b"keep-alive, Upgrade"),
    "connection-on-two-lines": swap(b"Connection", b"keep-alive", b"uPGRADE"),
    "connection-empty-elements": swap(b"Connection", b", ,\tupgrade ,"),
    "upgrade-case": swap(b"Upgrade", b"WebSocket"),
    "upgrade-list": swap(b"Upgrade", b"HTTP/2.0, websocket"),
    "upgrade-on-two-lines": swap(b"Upgrade", b"h2c", b"websocket"),
    "name-case-and-no-space": change(RFC_REQUEST, b"Host", b"hOST:h"),
    "space-and-tab-around-value": swap(b"Sec-WebSocket-Key", b" \t" + KEY.encode() + b"\t "),
    "subprotocols-on-two-lines": swap(b"Sec-WebSocket-Protocol", b"chat", b"b"),
    "no-subprotocols": swap(b"Sec-WebSocket-Protocol"),
    "no-origin": swap(b"Origin"),
    "host-port": swap(b"Host", b"server.example.com:8080"),
    "host-ipv6": swap(b"Host", b"[2001:db8::1]:80"),
    "empty-body": add(RFC_REQUEST, b"Content-Length: 0"),
    "latin-1-value": add(RFC_REQUEST, b"Cookie: a=\xff\x80"),
    "name-of-any-token": add(RFC_REQUEST, b"!#$%&'*+-.^_`|~1A: y"),
    "empty-value": add(RFC_REQUEST, b"X:"),
    "tab-in-value": add(RFC_REQUEST, b"X: a\tb"),
    "extension-offered": add(RFC_REQUEST, b"Sec-WebSocket-Extensions: permessage-deflate"),
    "http-1.2": first_line(RFC_REQUEST, b"GET /chat HTTP/1.2"),
    "query": first_line(RFC_REQUEST, b"GET /?a=b HTTP/1.1"),
    "absolute-target": first_line(RFC_REQUEST, b"GET http://server.example.com/chat HTTP/1.1"),
    # §4.1: the bits behind the 16 bytes are not zero in the RFC's own example.
    "rfc-other-key": swap(b"Sec-WebSocket-Key", b"AQIDBAUGBwgJCgsMDQ4PEC=="),
}


@pytest.mark.parametrize("head", GOOD_REQUESTS.values(), ids=GOOD_REQUESTS)
def test_server_good_request_returned_however_it_is_cut(head: bytes) -> None:
    for parts in cuts(head):
        server = ServerHandshake(origins=ORIGINS)
        request = feed(server, parts)
        assert isinstance(request, Request)
        assert server.request is request
        assert server.trailing == b""
        assert b" 101 " in server.accept()


def test_server_rfc_example_parsed_and_answered() -> None:
    server = rfc_server(subprotocols=["superchat", "chat"], server_header=None)
    request = server.receive(RFC_REQUEST)
    assert request is not None
    assert (request.method, request.target, request.path, request.http_version) == (
        "GET",
        "/chat",
        "/chat",
        "1.1",
    )
    assert next(iter(request.headers)) == ("Host", "server.example.com")
    assert len(request.headers) == 7
    assert server.offered_subprotocols == ("chat", "superchat")
    assert server.subprotocol is None
    assert server.accept() == RFC_RESPONSE.replace(b"Protocol: chat", b"Protocol: superchat")
    assert server.subprotocol == "superchat"


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_server_any_buffer_taken_and_copied(kind: type) -> None:
    server = rfc_server()
    data = bytearray(RFC_REQUEST + b"\x81")
    request = server.receive(data if kind is bytearray else kind(data))
    data[:] = bytes(len(data))
    assert request is not None
    assert request.target == "/chat"
    assert server.trailing == b"\x81"


@pytest.mark.parametrize("data", ["GET", 3, None, [1, 2]])
def test_handshakes_other_data_refused_without_effect(data: Any) -> None:
    server, other = rfc_server(), client()
    for receive in (server.receive, other.receive):
        with pytest.raises(TypeError, match=f"bytes-like object is required, not '{type(data).__name__}'"):
            receive(data)
    assert server.receive(RFC_REQUEST) is not None
    assert other.receive(RFC_RESPONSE) is not None


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/", "/"),
        (b"//x", "//x"),
        (b"/a?b=http://c/d", "/a?b=http://c/d"),
        (b"http://h", "/"),
        (b"HTTPS://h/a?b", "/a?b"),
        (b"http://h?a=/b", "/?a=/b"),
    ],
)
def test_request_path_is_the_resource_name(target: bytes, path: str) -> None:
    request = rfc_server().receive(first_line(RFC_REQUEST, b"GET " + target + b" HTTP/1.1"))
    assert request is not None
    assert request.target == target.decode()
    assert request.path == path


HEADLESS = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


def bad(
    name: str,
    head: bytes,
    reason: str,
    kind: type[HandshakeError] = BadRequest,
    status: int = 400,
    *,
    well_formed: bool = True,
) -> Any:
    """Return the row of a request that is refused; `well_formed` ones set `request` all the same."""
    return pytest.param(head, reason, kind, status, well_formed, id=name)


NOT_HTTP = {
    "tls-hello": (b"\x16\x03\x01\x02\x00", "line"),
    "empty-line-first": (b"\r\n" + RFC_REQUEST, "line"),
    "space-first": (b" " + RFC_REQUEST, "line"),
    "no-version": (first_line(RFC_REQUEST, b"GET /chat"), "request line"),
    "space-in-target": (first_line(RFC_REQUEST, b"GET /a b HTTP/1.1"), "request line"),
    "latin-1-target": (first_line(RFC_REQUEST, b"GET /\xe9 HTTP/1.1"), "request line"),
    "two-digit-version": (first_line(RFC_REQUEST, b"GET / HTTP/1.11"), "request line"),
    "bare-lf-first": (RFC_REQUEST.replace(b"\r\n", b"\n", 1), "control"),
    "bare-lf-everywhere": (RFC_REQUEST.replace(b"\r\n", b"\n"), "control"),
    "bare-lf-blank": (RFC_REQUEST[:-2] + b"\n", "line"),
    "bare-cr": (add(RFC_REQUEST, b"X: a\rb"), "control"),
    "cr-before-crlf": (add(RFC_REQUEST, b"X: a\r"), "control"),
    "cr-at-line-start": (RFC_REQUEST[:-2] + b"\rX: y\r\n\r\n", "control"),
    "nul-in-value": (add(RFC_REQUEST, b"X: a\x00b"), "control"),
    "vertical-tab-in-value": (add(RFC_REQUEST, b"X: a\x0bb"), "control"),
    "del-in-value": (add(RFC_REQUEST, b"X: a\x7fb"), "control"),
    "folded-line": (add(RFC_REQUEST, b"X: a", b" b"), "space"),
    "folded-first-line": (RFC_REQUEST.replace(b"\r\nHost", b"\r\n\tHost"), "space"),
    "no-colon": (add(RFC_REQUEST, b"X"), "header line"),
    "space-before-colon": (add(RFC_REQUEST, b"X : y"), "header line"),
    "empty-name": (add(RFC_REQUEST, b": y"), "header line"),
    "latin-1-name": (add(RFC_REQUEST, b"X\xe9: y"), "header line"),
    "no-host": (swap(b"Host"), "Host"),
    "two-hosts": (add(RFC_REQUEST, b"Host: evil.example"), "Host"),
    "same-host-twice": (add(RFC_REQUEST, b"host: server.example.com"), "Host"),
    "length": (add(RFC_REQUEST, b"Content-Length: 1"), "body"),
    "length-sign": (add(RFC_REQUEST, b"Content-Length: +0"), "Content-Length"),
    "lengths-disagree": (add(RFC_REQUEST, b"Content-Length: 0", b"Content-Length: 5"), "Content-Length"),
    "chunked": (add(RFC_REQUEST, b"Transfer-Encoding: chunked"), "body"),
    "other-coding": (add(RFC_REQUEST, b"Transfer-Encoding: gzip"), "Transfer-Encoding"),
    "post-with-body": (first_line(add(HEADLESS, b"Content-Length: 9"), b"POST / HTTP/1.1"), "body"),
}
BAD_HOSTS = {
    "empty": b"",
    "bracket": b"[",
    "user": b"a@b",
    "list": b"a,b",
    "path": b"a/b",
    "port-too-big": b"a:65536",
    "port-superscript": b"a:\xb2",
    "latin-1": b"\xe9",
}
BAD_KEYS = {
    "empty": b"",
    "15-bytes": base64.b64encode(bytes(15)),
    "17-bytes": base64.b64encode(bytes(17)),
    "18-bytes": base64.b64encode(bytes(18)),
    "no-padding": b"A" * 22,
    "padding-short": b"A" * 22 + b"=",
    "foreign-byte": b"dGhlIHNhbXBsZSBub25jZ\xff==",
    "foreign-bytes-too-many": KEY.encode() + b"!!!!",
    "space-inside": b"dGhlIHNhbXBs ZSBub25jZQ==",
    "url-alphabet": b"_" * 22 + b"==",
    "padding-first": b"==" + b"A" * 22,
    "list": KEY.encode() + b", " + KEY.encode(),
}
BAD_SUBPROTOCOLS = {
    "empty": b"",
    "commas": b" , ,",
    "twice": b"a, b, a",
    "no-token": b"a, b c",
    "latin-1": b"\xff\xfe",
    "spaces": b"b" + b" " * 200 + b"x",
}
BAD_REQUESTS = [
    *(bad(name, head, reason, well_formed=False) for name, (head, reason) in NOT_HTTP.items()),
    bad("http-1.0", first_line(RFC_REQUEST, b"GET /chat HTTP/1.0"), "HTTP/1.1"),
    bad("http-0.9", first_line(RFC_REQUEST, b"GET /chat HTTP/0.9"), "HTTP/1.1"),
    bad("post", first_line(RFC_REQUEST, b"POST /chat HTTP/1.1"), "GET", MethodRefused, 405),
    bad("head", first_line(RFC_REQUEST, b"HEAD /chat HTTP/1.1"), "GET", MethodRefused, 405),
    bad("get-lower-case", first_line(RFC_REQUEST, b"get /chat HTTP/1.1"), "GET", MethodRefused, 405),
    bad("target-star", first_line(RFC_REQUEST, b"GET * HTTP/1.1"), "target"),
    bad("target-relative", first_line(RFC_REQUEST, b"GET chat HTTP/1.1"), "target"),
    bad("target-ftp", first_line(RFC_REQUEST, b"GET ftp://h/ HTTP/1.1"), "target"),
    bad("target-fragment", first_line(RFC_REQUEST, b"GET /a#b HTTP/1.1"), "fragment"),
    *(bad(f"host-{name}", swap(b"Host", host), "Host") for name, host in BAD_HOSTS.items()),
    bad("plain-get", HEADLESS, "Upgrade", status=426),
    bad("no-upgrade", swap(b"Upgrade"), "Upgrade", status=426),
    bad("upgrade-empty", swap(b"Upgrade", b""), "Upgrade", status=426),
    bad("upgrade-other", swap(b"Upgrade", b"h2c"), "Upgrade", status=426),
    bad("upgrade-longer", swap(b"Upgrade", b"websockets"), "Upgrade", status=426),
    bad("upgrade-version", swap(b"Upgrade", b"websocket/13"), "Upgrade", status=426),
    bad("upgrade-malformed", swap(b"Upgrade", b"websocket, @"), "Upgrade"),
    bad("upgrade-nbsp", swap(b"Upgrade", b"websocket\xa0"), "Upgrade"),
    bad("no-connection", swap(b"Connection"), "Connection"),
    bad("connection-other", swap(b"Connection", b"close"), "Connection"),
    bad("connection-longer", swap(b"Connection", b"Upgraded"), "Connection"),
    bad("connection-malformed", swap(b"Connection", b"Upgrade, @"), "Connection"),
    bad("connection-semicolon", swap(b"Connection", b"a; Upgrade"), "Connection"),
    bad("no-websocket-version", swap(b"Sec-WebSocket-Version"), "13", VersionRefused, 426),
    bad("version-8", swap(b"Sec-WebSocket-Version", b"8"), "13", VersionRefused, 426),
    bad("version-list", swap(b"Sec-WebSocket-Version", b"13, 8"), "13", VersionRefused, 426),
    bad("version-zero-first", swap(b"Sec-WebSocket-Version", b"013"), "13", VersionRefused, 426),
    bad("version-twice", swap(b"Sec-WebSocket-Version", b"13", b"13"), "13", VersionRefused, 426),
    bad("no-key", swap(b"Sec-WebSocket-Key"), "one Sec-WebSocket-Key"),
    bad("two-keys", swap(b"Sec-WebSocket-Key", KEY.encode(), KEY.encode()), "one Sec-WebSocket-Key"),
    *(bad(f"key-{name}", swap(b"Sec-WebSocket-Key", key), "base64") for name, key in BAD_KEYS.items()),
    bad("origin-other", swap(b"Origin", b"https://evil.example"), "origin", OriginRefused, 403),
    bad("origin-null", swap(b"Origin", b"null"), "origin", OriginRefused, 403),
    bad("origin-empty", swap(b"Origin", b""), "origin", OriginRefused, 403),
    bad("origin-prefix", swap(b"Origin", b"http://example.com.evil"), "origin", OriginRefused, 403),
    bad("origin-twice", swap(b"Origin", b"http://example.com", b"http://example.com"), "Origin"),
    *(
        bad(f"subprotocols-{name}", swap(b"Sec-WebSocket-Protocol", value), "Sec-WebSocket-Protocol")
        for name, value in BAD_SUBPROTOCOLS.items()
    ),
    bad("subprotocols-two-lines", swap(b"Sec-WebSocket-Protocol", b"a", b"a"), "Sec-WebSocket-Protocol"),
]


@pytest.mark.parametrize(("head", "reason", "kind", "status", "well_formed"), BAD_REQUESTS)
def test_server_bad_request_refused_however_it_is_cut(
    head: bytes, reason: str, kind: type[HandshakeError], status: int, well_formed: bool
) -> None:
    responses = set()
    for parts in cuts(head):
        server = ServerHandshake(origins=ORIGINS)
        with pytest.raises(HandshakeError) as caught:
            feed(server, parts)
        assert type(caught.value) is kind
        assert caught.value.status == status
        assert reason in caught.value.reason
        assert (server.request is not None) is well_formed
        responses.add(caught.value.response)
    assert len(responses) == 1


@pytest.mark.parametrize(("head", "reason", "kind", "status", "well_formed"), BAD_REQUESTS)
def test_server_error_is_final_and_its_response_whole(
    head: bytes, reason: str, kind: type[HandshakeError], status: int, well_formed: bool
) -> None:
    server = ServerHandshake(origins=ORIGINS)
    with pytest.raises(kind) as first:
        server.receive(head)
    for again in (lambda: server.receive(RFC_REQUEST), server.eof):
        with pytest.raises(kind) as later:
            again()
        assert later.value.response == first.value.response
        assert later.value.reason == first.value.reason
    with pytest.raises(RuntimeError):
        server.accept()
    error = first.value
    method = "HEAD" if head.startswith(b"HEAD") else "GET"
    sent, headers, body = parse_answer(error.response, method)
    assert sent == status
    assert headers["Server"] == "wscodec"
    assert headers["Content-Type"] == "text/plain; charset=utf-8"
    assert "close" in headers["Connection"]
    assert body == (b"" if method == "HEAD" else f"{error.reason}\n".encode())
    assert headers["Content-Length"] == str(len(error.reason) + 1)
    assert headers.get("Upgrade") == ("websocket" if status == 426 else None)
    assert headers.get("Allow") == ("GET" if status == 405 else None)
    assert headers.get("Sec-WebSocket-Version") == ("13" if kind is VersionRefused else None)


def test_server_426_names_upgrade_in_connection() -> None:
    with pytest.raises(VersionRefused) as caught:
        ServerHandshake().receive(change(RFC_REQUEST, b"Sec-WebSocket-Version"))
    assert b"\r\nConnection: close, Upgrade\r\n" in caught.value.response


def test_server_error_does_not_echo_the_peer() -> None:
    with pytest.raises(BadRequest) as caught:
        ServerHandshake().receive(add(RFC_REQUEST, b"<script>"))
    assert b"script" not in caught.value.response


def test_server_checks_taken_in_order() -> None:
    """A request that breaks every rule is mended rule by rule, and each time the next one speaks."""
    head = (
        b"POST / HTTP/1.0\r\nHost: [\r\nUpgrade: x\r\nConnection: x\r\nSec-WebSocket-Version: 8\r\n"
        b"Sec-WebSocket-Key: x\r\nOrigin: x\r\nSec-WebSocket-Protocol: @\r\n\r\n"
    )
    mend: list[tuple[Callable[[bytes], bytes], str]] = [
        (lambda h: h, "HTTP/1.1"),
        (lambda h: first_line(h, b"POST / HTTP/1.1"), "Host"),
        (lambda h: change(h, b"Host", b"Host: h"), "GET request"),
        (lambda h: first_line(h, b"GET / HTTP/1.1"), "Upgrade must"),
        (lambda h: change(h, b"Upgrade", b"Upgrade: websocket"), "Connection"),
        (lambda h: change(h, b"Connection", b"Connection: Upgrade"), "Sec-WebSocket-Version"),
        (lambda h: change(h, b"Sec-WebSocket-Version", b"Sec-WebSocket-Version: 13"), "Sec-WebSocket-Key"),
        (lambda h: change(h, b"Sec-WebSocket-Key", b"Sec-WebSocket-Key: " + KEY.encode()), "origin"),
        (lambda h: change(h, b"Origin", b"Origin: http://example.com"), "Sec-WebSocket-Protocol"),
    ]
    for step, reason in mend:
        head = step(head)
        with pytest.raises(HandshakeError) as caught:
            ServerHandshake(origins=ORIGINS).receive(head)
        assert reason in caught.value.reason
    assert ServerHandshake(origins=ORIGINS).receive(change(head, b"Sec-WebSocket-Protocol"))


@pytest.mark.parametrize(
    ("origins", "lines", "allowed"),
    [
        pytest.param(None, [b"Origin: https://evil.example"], True, id="unchecked"),
        pytest.param(None, [], True, id="unchecked-absent"),
        pytest.param("same", [b"Origin: https://server.example.com"], True, id="same"),
        pytest.param("same", [b"Origin: http://example.com"], False, id="not-the-same"),
        pytest.param("same", [], True, id="same-absent"),
        pytest.param([], [b"Origin: http://example.com"], False, id="nobody"),
        pytest.param([], [], False, id="nobody-absent"),
        pytest.param([None], [], True, id="absent-listed"),
        pytest.param([None], [b"Origin: http://example.com"], False, id="only-absent-listed"),
        pytest.param(["http://example.com"], [], False, id="absent-not-listed"),
        pytest.param(["http://example.com:80"], [b"Origin: http://example.com"], True, id="default-port"),
        pytest.param(["null"], [b"Origin: null"], True, id="null-listed"),
        pytest.param(Origins(["http://example.com"]), [b"Origin: http://example.com"], True, id="parsed"),
    ],
)
def test_server_origins_allow_list(origins: Any, lines: list[bytes], allowed: bool) -> None:
    server = ServerHandshake(origins=origins)
    head = change(RFC_REQUEST, b"Origin", *lines)
    if allowed:
        assert server.receive(head) is not None
    else:
        with pytest.raises(OriginRefused):
            server.receive(head)


def test_server_default_is_the_same_origin() -> None:
    assert ServerHandshake().receive(swap(b"Origin", b"http://server.example.com")) is not None
    with pytest.raises(OriginRefused, match="not that of this server: see `origins`"):
        ServerHandshake().receive(RFC_REQUEST)


@pytest.mark.parametrize("origins", [None, "same", ["http://example.com"]])
def test_server_repeated_origin_refused_even_unchecked(origins: Any) -> None:
    with pytest.raises(BadRequest, match="Origin"):
        ServerHandshake(origins=origins).receive(add(RFC_REQUEST, b"Origin: http://example.com"))


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({"origins": "http://example.com"}, TypeError),
        ({"origins": "Same"}, TypeError),
        ({"origins": ""}, TypeError),
        ({"origins": ["example.com"]}, ValueError),
        ({"subprotocols": "chat"}, TypeError),
        ({"subprotocols": ["a b"]}, ValueError),
        ({"subprotocols": ["a", "a"]}, ValueError),
    ],
)
def test_server_arguments_checked_at_once(arguments: dict[str, Any], kind: type[Exception]) -> None:
    with pytest.raises(kind):
        ServerHandshake(**arguments)


def test_server_incomplete_request_is_none_and_sets_nothing() -> None:
    server = ServerHandshake()
    assert server.receive(RFC_REQUEST[:-1]) is None
    assert server.receive(b"") is None
    assert server.request is None
    assert server.trailing == b""
    with pytest.raises(RuntimeError):
        server.accept()


def test_server_trailing_bytes_kept() -> None:
    trailing = b"\x81\x85\x00\x00\x00\x00hello\r\n\r\n\x00"
    whole = RFC_REQUEST + trailing
    for i in range(len(whole) + 1):
        server = rfc_server()
        fed = 0
        for part in (whole[:i], whole[i:]):
            fed += len(part)
            if server.receive(part) is not None:
                break
        assert server.trailing == whole[len(RFC_REQUEST) : fed]


def test_server_refused_request_keeps_trailing_bytes_apart() -> None:
    server = ServerHandshake()
    with pytest.raises(BadRequest):
        server.receive(HEADLESS + RFC_REQUEST)
    assert server.trailing == RFC_REQUEST


def test_server_receive_after_the_request_is_the_callers_error() -> None:
    server = rfc_server()
    server.receive(RFC_REQUEST)
    with pytest.raises(RuntimeError):
        server.receive(b"\x81\x80")
    server.eof()
    assert server.accept().startswith(b"HTTP/1.1 101 ")


@pytest.mark.parametrize("data", [b"", b"G", RFC_REQUEST[:-1]])
def test_server_eof_before_the_head_is_whole_refused(data: bytes) -> None:
    server = ServerHandshake()
    server.receive(data)
    with pytest.raises(BadRequest, match="connection closed before") as caught:
        server.eof()
    assert parse_answer(caught.value.response)[0] == 400
    with pytest.raises(BadRequest, match="connection closed before"):
        server.receive(RFC_REQUEST)


def test_server_failed_handshake_is_freed_without_the_collector() -> None:
    def fail() -> weakref.ref[ServerHandshake]:
        server = ServerHandshake()
        for _ in range(2):
            with contextlib.suppress(BadRequest):
                server.receive(HEADLESS)
        return weakref.ref(server)

    gc.disable()
    try:
        assert fail()() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("data", [b"G" * 8193, b"\x00"])
def test_failed_handshakes_keep_nothing_of_what_they_received(data: bytes) -> None:
    for handshake in (ServerHandshake(), client()):
        with pytest.raises(HandshakeError):
            handshake.receive(data)
        assert handshake._reader is None
    for handshake in (ServerHandshake(), client()):
        handshake.receive(b"G")
        with pytest.raises(HandshakeError):
            handshake.eof()
        assert handshake._reader is None


# The server, answering.


@pytest.mark.parametrize(
    ("arguments", "offered", "chosen"),
    [
        pytest.param({}, b"a, b", None, id="server-speaks-none"),
        pytest.param({"subprotocols": []}, b"a, b", None, id="server-lists-none"),
        pytest.param({"subprotocols": ["c"]}, b"a, b", None, id="none-shared"),
        pytest.param({"subprotocols": ["b", "a"]}, b"a, b", "b", id="server-prefers"),
        pytest.param({"subprotocols": ["A", "b"]}, b"a, b", "b", id="case-counts"),
        pytest.param({"select_subprotocol": lambda offered: offered[-1]}, b"a, b", "b", id="selected"),
        pytest.param({"select_subprotocol": lambda offered: None}, b"a, b", None, id="selected-none"),
        pytest.param(
            {"subprotocols": ["a"], "select_subprotocol": lambda offered: "b"}, b"a, b", "b", id="select-wins"
        ),
    ],
)
def test_server_subprotocol_negotiated(arguments: dict[str, Any], offered: bytes, chosen: str | None) -> None:
    server = rfc_server(**arguments)
    server.receive(change(RFC_REQUEST, b"Sec-WebSocket-Protocol", b"Sec-WebSocket-Protocol: " + offered))
    answer = server.accept()
    assert server.subprotocol == chosen
    assert (b"\r\nSec-WebSocket-Protocol: " in answer) is (chosen is not None)
    if chosen is not None:
        assert b"\r\nSec-WebSocket-Protocol: " + chosen.encode() + b"\r\n" in answer


def test_server_select_sees_the_offers_or_none() -> None:
    seen: list[tuple[str, ...]] = []

    def select(offered: Any) -> None:
        seen.append(tuple(offered))

    for head in (RFC_REQUEST, change(RFC_REQUEST, b"Sec-WebSocket-Protocol")):
        server = rfc_server(select_subprotocol=select)
        server.receive(head)
        server.accept()
    assert seen == [("chat", "superchat"), ()]


@pytest.mark.parametrize("subprotocol", ["chat", "superchat", None])
def test_server_accept_given_subprotocol_used(subprotocol: str | None) -> None:
    server = rfc_server(subprotocols=["superchat"])
    server.receive(RFC_REQUEST)
    answer = server.accept(subprotocol=subprotocol)
    assert server.subprotocol == subprotocol
    assert (b"Sec-WebSocket-Protocol" in answer) is (subprotocol is not None)


@pytest.mark.parametrize("subprotocol", ["other", "", "Chat", "chat, superchat", "chat\r\nX: y"])
def test_server_accept_subprotocol_not_offered_refused_without_effect(subprotocol: str) -> None:
    for server in (
        rfc_server(),
        rfc_server(select_subprotocol=lambda offered: subprotocol),
    ):
        server.receive(RFC_REQUEST)
        with pytest.raises(ValueError, match="did not offer"):
            server.accept() if server._select else server.accept(subprotocol=subprotocol)
        assert server.subprotocol is None
        assert server.accept(subprotocol="chat").startswith(b"HTTP/1.1 101 ")


BAD_HEADERS = [
    pytest.param([("X", "a\r\nSet-Cookie: evil")], id="crlf"),
    pytest.param([("X", "a\nb")], id="lf"),
    pytest.param([("X", "a\x00")], id="nul"),
    pytest.param([("X", "\x1b[0m")], id="escape"),
    pytest.param([("X", "\u0100")], id="beyond-latin-1"),
    pytest.param([("X\r\nY", "a")], id="crlf-in-name"),
    pytest.param([("X:", "a")], id="colon-in-name"),
    pytest.param([("", "a")], id="empty-name"),
]


@pytest.mark.parametrize(
    "headers",
    [
        *BAD_HEADERS,
        *(
            pytest.param([(name, "a")], id=name)
            for name in (
                "Connection",
                "upgrade",
                "Sec-WebSocket-Accept",
                "sec-websocket-protocol",
                "Sec-WebSocket-Extensions",
                "Sec-WebSocket-Version",
                "Content-Length",
                "Transfer-Encoding",
            )
        ),
    ],
)
def test_server_accept_bad_headers_refused_without_effect(headers: list[tuple[str, str]]) -> None:
    server = rfc_server()
    server.receive(RFC_REQUEST)
    with pytest.raises(ValueError, match=r"header|handshake"):
        server.accept(headers=headers)
    assert server.accept().startswith(b"HTTP/1.1 101 ")


def test_server_accept_headers_added_in_order() -> None:
    server = rfc_server()
    server.receive(RFC_REQUEST)
    answer = server.accept(headers=[("Set-Cookie", "a=é"), ("Set-Cookie", "b=")])
    assert b"\r\nSet-Cookie: a=\xe9\r\nSet-Cookie: b=\r\n" in answer
    assert answer.count(b"\r\nServer: wscodec\r\n") == 1
    assert answer.endswith(b"\r\n\r\n")


def test_server_header_overridden_or_left_out() -> None:
    for server, headers, expected in [
        (rfc_server(server_header="mine"), [], [b"mine"]),
        (rfc_server(), [("server", "other")], [b"other"]),
        (rfc_server(server_header=None), [], []),
    ]:
        server.receive(RFC_REQUEST)
        lines = server.accept(headers=headers).split(b"\r\n")
        assert [line[8:] for line in lines if line.lower().startswith(b"server: ")] == expected


def test_server_header_of_a_rejection_overridden() -> None:
    headers = parse_answer(ServerHandshake().reject(400, {"server": "other"}))[1]
    assert headers.get_all("Server") == ["other"]


def test_request_and_response_immutable() -> None:
    for value, name in [(rfc_server().receive(RFC_REQUEST), "target"), (client().receive(RFC_RESPONSE), "status")]:
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, name, "x")
        with pytest.raises((AttributeError, TypeError)):
            value.other = "x"  # type: ignore[union-attr]


def test_server_header_unsafe_refused() -> None:
    with pytest.raises(ValueError, match="Server"):
        rfc_server(server_header="a\r\nb")


def test_server_answers_once() -> None:
    server = rfc_server()
    server.receive(RFC_REQUEST)
    server.accept()
    for again in (server.accept, lambda: server.reject(400)):
        with pytest.raises(RuntimeError, match="already"):
            again()
    server = rfc_server()
    server.receive(RFC_REQUEST)
    server.reject(503)
    for again in (server.accept, lambda: server.reject(400)):
        with pytest.raises(RuntimeError, match="already"):
            again()


def test_server_reject_whole_answer() -> None:
    server = rfc_server()
    server.receive(RFC_REQUEST)
    answer = server.reject(404, [("Content-Type", "text/html"), ("X-Empty", "")], b"<p>no")
    status, headers, body = parse_answer(answer)
    assert answer.startswith(b"HTTP/1.1 404 Not Found\r\n")
    assert (status, body) == (404, b"<p>no")
    assert list(headers) == [
        ("Server", "wscodec"),
        ("Connection", "close"),
        ("Content-Length", "5"),
        ("Content-Type", "text/html"),
        ("X-Empty", ""),
    ]


def test_server_reject_answers_what_receive_refused_or_did_not_see_whole() -> None:
    server = ServerHandshake()
    with pytest.raises(BadRequest):
        server.receive(HEADLESS)
    assert server.request is not None
    assert server.request.path == "/"
    assert parse_answer(server.reject(200, {"Content-Type": "text/html"}, b"hello"))[2] == b"hello"
    server = ServerHandshake()
    server.receive(b"GET")
    assert parse_answer(server.reject(408))[0] == 408


def test_server_reject_head_request_has_no_body() -> None:
    server = ServerHandshake()
    with pytest.raises(MethodRefused):
        server.receive(first_line(HEADLESS, b"HEAD / HTTP/1.1"))
    answer = server.reject(200, body=b"hello")
    assert b"\r\nContent-Length: 5\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("status", [204, 304])
def test_server_reject_status_without_body(status: int) -> None:
    with pytest.raises(ValueError, match="no body"):
        ServerHandshake().reject(status, body=b"x")
    answer = ServerHandshake().reject(status)
    assert b"Content-Length" not in answer
    assert parse_answer(answer)[0] == status


def test_server_reject_own_headers_taken_where_they_agree() -> None:
    headers = [("connection", "Close"), ("content-length", "2")]
    assert list(parse_answer(ServerHandshake(server_header=None).reject(400, headers, b"ab"))[1]) == [
        ("Connection", "close"),
        ("Content-Length", "2"),
    ]


@pytest.mark.parametrize(
    "headers",
    [
        *BAD_HEADERS,
        pytest.param([("Connection", "keep-alive")], id="connection"),
        pytest.param([("Content-Length", "1")], id="length"),
        pytest.param([("Transfer-Encoding", "chunked")], id="coding"),
    ],
)
def test_server_reject_bad_headers_refused_without_effect(headers: list[tuple[str, str]]) -> None:
    server = ServerHandshake()
    with pytest.raises(ValueError, match=r"header|handshake"):
        server.reject(400, headers)
    assert server.reject(400).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("status", [-1, 0, 100, 101, 199, 600, 1000])
def test_server_reject_status_out_of_range_refused(status: int) -> None:
    with pytest.raises(ValueError, match="status"):
        ServerHandshake().reject(status)


@pytest.mark.parametrize(
    ("status", "line"), [(200, b"HTTP/1.1 200 OK"), (299, b"HTTP/1.1 299 "), (599, b"HTTP/1.1 599 ")]
)
def test_server_reject_status_line(status: int, line: bytes) -> None:
    assert ServerHandshake().reject(status).split(b"\r\n")[0] == line


# Limits, for both sides.


def reader(kind: str, **limits: int) -> ServerHandshake | ClientHandshake:
    return rfc_server(**limits) if kind == "server" else client(**limits)


def head_of(kind: str) -> bytes:
    return RFC_REQUEST if kind == "server" else RFC_RESPONSE


@pytest.mark.parametrize("kind", ["server", "client"])
@pytest.mark.parametrize("spare", [-1, 0, 1])
def test_limit_head_size(kind: str, spare: int) -> None:
    head = head_of(kind)
    limit = len(head) + spare
    for parts in cuts(head + b"\x81\x00"):
        handshake = reader(kind, max_head_size=limit)
        if spare >= 0:
            assert feed(handshake, parts) is not None
        else:
            with pytest.raises(HeadTooBig, match=f"{limit} bytes"):
                feed(handshake, parts)


@pytest.mark.parametrize("kind", ["server", "client"])
@pytest.mark.parametrize("spare", [-1, 0, 1])
def test_limit_line_size(kind: str, spare: int) -> None:
    head = add(head_of(kind), b"X: " + b"y" * 100)
    for parts in cuts(head):
        handshake = reader(kind, max_line_size=105 + spare)
        if spare >= 0:
            assert feed(handshake, parts) is not None
        else:
            with pytest.raises(HeadTooBig, match="line of more than 104 bytes"):
                feed(handshake, parts)


@pytest.mark.parametrize("kind", ["server", "client"])
@pytest.mark.parametrize("spare", [-1, 0, 1])
@pytest.mark.parametrize("repeated", [False, True])
def test_limit_header_count(kind: str, spare: int, repeated: bool) -> None:
    head = add(head_of(kind), *(b"X%d: y" % (0 if repeated else i) for i in range(20)))
    limit = head.count(b"\r\n") - 2 + spare
    for parts in cuts(head):
        handshake = reader(kind, max_headers=limit)
        if spare >= 0:
            assert feed(handshake, parts) is not None
        else:
            with pytest.raises(HeadTooBig, match=f"{limit} header lines"):
                feed(handshake, parts)


@pytest.mark.parametrize("kind", ["server", "client"])
@pytest.mark.parametrize(
    ("start", "endless", "limits", "size"),
    [
        pytest.param(b"", b"G", {"max_line_size": 50}, 51, id="first-line"),
        pytest.param(b"G\r\n", b"X", {"max_line_size": 50}, 3 + 51, id="header-line"),
        pytest.param(b"G\r\n", b"a:b\r\n", {"max_head_size": 50}, 51, id="head"),
        pytest.param(b"G\r\n", b"a:b\r\n", {"max_head_size": 48}, 49, id="head-at-line-end"),
        pytest.param(b"G\r\n", b"a:b\r\n", {"max_headers": 10}, 3 + 10 * 5 + 1, id="headers"),
        pytest.param(b"G\r\n", b"a:b\r\n", {"max_headers": 0}, 3 + 1, id="no-headers"),
    ],
)
def test_limit_endless_head_refused_at_the_first_byte_that_proves_it(
    kind: str, start: bytes, endless: bytes, limits: dict[str, int], size: int
) -> None:
    data = (start + endless * 100)[:size]
    handshake = reader(kind, **limits)
    for i in range(size - 1):
        assert handshake.receive(data[i : i + 1]) is None
    with pytest.raises(HeadTooBig) as caught:
        handshake.receive(data[-1:])
    for parts in ([data], [data * 3], [data[:-1], data[-1:] * 2]):
        with pytest.raises(HeadTooBig, match=caught.value.reason):
            feed(reader(kind, **limits), parts)
    if kind == "server":
        assert parse_answer(caught.value.response)[0] == 431


def test_limit_defaults() -> None:
    for size, whole in [(8192, True), (8193, False)]:
        server = rfc_server()
        head = add(RFC_REQUEST, b"X: " + b"y" * (size - 5))
        if whole:
            assert server.receive(head) is not None
        else:
            with pytest.raises(HeadTooBig):
                server.receive(head)
    for count, whole in [(128, True), (129, False)]:
        server = rfc_server()
        head = add(RFC_REQUEST, *[b"X: y"] * (count - 7))
        if whole:
            assert server.receive(head) is not None
        else:
            with pytest.raises(HeadTooBig):
                server.receive(head)
    with pytest.raises(HeadTooBig, match="65536"):
        rfc_server().receive(add(RFC_REQUEST, *[b"X: " + b"y" * 8000] * 9))


def slow_verdict(data: bytes, max_line_size: int, max_head_size: int, max_headers: int) -> str | int | None:
    """Return what the first byte that decides decides: by a look at the whole prefix, for every prefix."""
    for n in range(1, len(data) + 1):
        prefix = data[:n]
        *lines, last = prefix.split(b"\r\n")
        start = n - len(last)
        first = data[start] if start < n else None
        if first is not None and (first <= 0x20 and not (first == 0x0D and lines)):
            return "malformed"
        if first is not None and first != 0x0D and len(lines) > max_headers:
            return "too big"
        if max(n - start, *(len(line) + 2 for line in lines), 0) > max_line_size or n > max_head_size:
            return "too big"
        if any(
            set(line) & {*range(9), 10, 11, 12, 13, *range(14, 32), 127} for line in [*lines, last.removesuffix(b"\r")]
        ):
            return "malformed"
        if b"" in lines:
            return n
    return None


@given(
    st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"a", b"bb: c", b" ", b"\x00", b"\r\n\r\n"]), max_size=12),
    st.integers(2, 12),
    st.integers(2, 30),
    st.integers(0, 3),
    st.data(),
)
@example([b"a", b"\r", b"\r\n"], 12, 30, 3, None)
@example([b"a", b"\r\n", b"\r", b"a"], 12, 30, 3, None)
@example([b"bb: c", b"\r\n"], 6, 30, 3, None)
def test_head_reader_agrees_with_a_slow_one_however_it_is_cut(
    pieces: list[bytes], line: int, size: int, headers: int, choice: Any
) -> None:
    data = b"".join(pieces)
    expected = slow_verdict(data, line, size, headers)
    chunks = [[data], [data[i : i + 1] for i in range(len(data))]]
    if choice is not None:
        cut = choice.draw(st.integers(0, len(data)))
        chunks.append([data[:cut], data[cut:]])
    for parts in chunks:
        head_reader = http.HeadReader(BadRequest, line, size, headers)
        verdict: str | int | None = None
        try:
            for part in parts:
                head = head_reader.receive(part)
                if head is not None:
                    verdict = len(head)
                    assert data.startswith(head + head_reader.trailing)
                    break
        except HeadTooBig:
            verdict = "too big"
        except BadRequest:
            verdict = "malformed"
        assert verdict == expected


def watch_h11(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Return a list that gets what h11 is fed with from now on."""
    fed: list[bytes] = []
    receive_data = h11.Connection.receive_data

    def watched(connection: h11.Connection, data: bytes) -> None:
        fed.append(bytes(data))
        receive_data(connection, data)

    monkeypatch.setattr(h11.Connection, "receive_data", watched)
    return fed


class Counted(bytearray):
    """Counts the bytes that `find` looks at."""

    looked_at = 0

    def find(self, sub: Any, start: Any = 0, end: Any = None) -> int:
        found = super().find(sub, start, end)
        stop = min(end, len(self)) if found < 0 else found + 1
        self.looked_at += max(stop - start, 0)
        return found


class CountedPattern:
    """Counts the bytes that `search` looks at."""

    def __init__(self, pattern: Any) -> None:
        self.pattern = pattern
        self.looked_at = 0

    def search(self, data: bytes, pos: int, endpos: int) -> Any:
        self.looked_at += endpos - pos
        return self.pattern.search(data, pos, endpos)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"G" * 20000, id="one-line"),
        pytest.param(b"G\r\n" + b"a: bcdef\r\n" * 2000, id="many-lines"),
        pytest.param(b"G\r\n" + b"a:\r\n" * 5000, id="short-lines"),
    ],
)
@pytest.mark.parametrize("step", [1, 7, 4096])
def test_head_reader_looks_at_each_byte_once(data: bytes, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    counted, pattern = Counted(), CountedPattern(http._OFFENCE)
    monkeypatch.setattr(http, "_OFFENCE", pattern)
    head_reader = http.HeadReader(BadRequest, 1 << 20, 1 << 20, 1 << 20)
    head_reader._data = counted
    for i in range(0, len(data), step):
        assert head_reader.receive(data[i : i + step]) is None
    assert len(counted) == len(data)
    assert len(data) <= counted.looked_at <= len(data) + 10
    # One byte more for each call, where the byte before it may have been a CR.
    assert len(data) <= pattern.looked_at <= len(data) * 2 + 10


@pytest.mark.parametrize("kind", ["server", "client"])
@pytest.mark.parametrize("step", [1, 10**6])
def test_head_parsed_once_and_only_whole(kind: str, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    fed = watch_h11(monkeypatch)
    handshake = reader(kind)
    head = head_of(kind)
    assert feed(handshake, [head[i : i + step] for i in range(0, len(head), step)]) is not None
    assert fed == [head]


@pytest.mark.parametrize("kind", ["server", "client"])
def test_spaces_and_a_control_character_never_reach_the_http_parser(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """h11's pattern for a header tries every cut of such a run of spaces."""
    monkeypatch.setattr(h11.Connection, "receive_data", lambda self, data: pytest.fail("h11 was called"))
    for line in (b"a:" + b" " * 8000 + b"\x00", b"a:" + b" " * 8000 + b"\x0b", b" c"):
        with pytest.raises((BadRequest, BadResponse)):
            reader(kind).receive(add(head_of(kind), line))


# The client, asking.


def test_client_request_of_the_rfc() -> None:
    asking = client(origin="http://example.com", user_agent=None)
    first, *lines = asking.request().removesuffix(b"\r\n\r\n").split(b"\r\n")
    expected_first, *expected = RFC_REQUEST.removesuffix(b"\r\n\r\n").split(b"\r\n")
    assert first == expected_first
    assert lines[0] == b"Host: server.example.com"
    assert sorted(lines) == sorted(expected)
    assert asking.request() == asking.request()


def test_client_key_fresh_and_16_bytes() -> None:
    keys = {ClientHandshake("ws://h/").key for _ in range(100)} | {generate_key() for _ in range(100)}
    assert len(keys) == 200
    assert all(len(key) == 24 and len(base64.b64decode(key, validate=True)) == 16 for key in keys)
    asking = ClientHandshake("ws://h/")
    assert f"\r\nSec-WebSocket-Key: {asking.key}\r\n".encode() in asking.request()


@pytest.mark.parametrize(
    ("uri", "lines"),
    [
        ("ws://h/", ["GET / HTTP/1.1", "Host: h"]),
        ("wss://h:8443/a?b=c", ["GET /a?b=c HTTP/1.1", "Host: h:8443"]),
        ("ws://[::1]:81/", ["GET / HTTP/1.1", "Host: [::1]:81"]),
        ("ws://h/é", ["GET /%C3%A9 HTTP/1.1", "Host: h"]),
    ],
)
def test_client_request_line_and_host(uri: str, lines: list[str]) -> None:
    for value in (uri, parse_uri(uri)):
        assert ClientHandshake(value).request().decode().split("\r\n")[:2] == lines


@pytest.mark.parametrize(
    ("userinfo", "credentials"),
    [("user:secret", b"user:secret"), ("user", b"user:"), ("%C3%A9:a:b", "é:a:b".encode()), ("", b":")],
)
def test_client_user_sent_as_basic_authentication(userinfo: str, credentials: bytes) -> None:
    request = ClientHandshake(f"ws://{userinfo}@h/").request()
    assert b"\r\nAuthorization: Basic " + base64.b64encode(credentials) + b"\r\n" in request
    assert b"\r\nHost: h\r\n" in request


def test_client_user_with_colon_refused() -> None:
    with pytest.raises(ValueError, match="colon"):
        ClientHandshake("ws://a%3Ab:c@h/")


def test_client_headers_added_and_some_overridden() -> None:
    request = ClientHandshake(
        "ws://user:secret@h/",
        headers=[
            ("Cookie", "a=b"),
            ("cookie", "c=d"),
            ("hOST", "other:1"),
            ("user-agent", "mine"),
            ("authorization", "Bearer x"),
            ("origin", "http://o"),
        ],
    ).request()
    lines = request.decode().split("\r\n")
    assert lines[1] == "hOST: other:1"
    assert [line for line in lines if line.lower().startswith("host")] == ["hOST: other:1"]
    assert "Cookie: a=b" in lines
    assert "cookie: c=d" in lines
    for line in ("user-agent: mine", "authorization: Bearer x", "origin: http://o"):
        assert [other for other in lines if other.lower().startswith(line.split(":")[0])] == [line]


@pytest.mark.parametrize("user_agent", ["wscodec", "mine", None])
def test_client_user_agent(user_agent: str | None) -> None:
    request = ClientHandshake("ws://h/", user_agent=user_agent).request()
    assert (b"User-Agent" in request) is (user_agent is not None)
    assert user_agent is None or f"\r\nUser-Agent: {user_agent}\r\n".encode() in request


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param({"headers": [(name, "x")]}, id=name)
        for name in (
            "Upgrade",
            "connection",
            "Sec-WebSocket-Key",
            "sec-websocket-version",
            "Sec-WebSocket-Protocol",
            "Sec-WebSocket-Extensions",
            "Content-Length",
            "Transfer-Encoding",
        )
    ]
    + [
        pytest.param({"headers": [("Host", "a"), ("host", "b")]}, id="two-hosts"),
        pytest.param({"headers": [("Origin", "a"), ("Origin", "b")]}, id="two-origins"),
        pytest.param({"headers": [("Authorization", "a")] * 2}, id="two-authorizations"),
        pytest.param({"headers": [("Origin", "a")], "origin": "b"}, id="origin-twice"),
        pytest.param({"headers": [("X", "a\r\nEvil: b")]}, id="crlf-in-header"),
        pytest.param({"headers": [("Host", "a\r\nEvil: b")]}, id="crlf-in-host"),
        pytest.param({"headers": [("X Y", "a")]}, id="name"),
        pytest.param({"origin": "a\r\nEvil: b"}, id="crlf-in-origin"),
        pytest.param({"user_agent": "a\r\nEvil: b"}, id="crlf-in-user-agent"),
        pytest.param({"subprotocols": ["a\r\nEvil: b"]}, id="crlf-in-subprotocol"),
        pytest.param({"subprotocols": ["a,b"]}, id="list-in-subprotocol"),
        pytest.param({"subprotocols": [""]}, id="empty-subprotocol"),
        pytest.param({"subprotocols": ["a", "a"]}, id="subprotocol-twice"),
        pytest.param({"uri": "http://h/"}, id="http"),
        pytest.param({"uri": "ws://h/\r\nEvil: b"}, id="crlf-in-uri"),
    ],
)
def test_client_arguments_that_can_not_be_sent_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - every reason is a plain ValueError
        ClientHandshake(**{"uri": "ws://h/", **arguments})


def test_client_subprotocols_as_one_str_refused() -> None:
    with pytest.raises(TypeError):
        ClientHandshake("ws://h/", subprotocols="chat")


# The client, reading.

GOOD_RESPONSES = {
    "rfc": (RFC_RESPONSE, "chat"),
    "no-subprotocol": (swap_back(b"Sec-WebSocket-Protocol"), None),
    "upgrade-case": (swap_back(b"Upgrade", b"WebSocket"), "chat"),
    "connection-list": (swap_back(b"Connection", b"keep-alive, upgrade"), "chat"),
    "connection-on-two-lines": (swap_back(b"Connection", b"a", b"Upgrade"), "chat"),
    "space-around-accept": (swap_back(b"Sec-WebSocket-Accept", b"\t " + ACCEPT.encode() + b" "), "chat"),
    "no-reason": (first_line(RFC_RESPONSE, b"HTTP/1.1 101"), "chat"),
    "odd-reason": (first_line(RFC_RESPONSE, b"HTTP/1.1 101 null\xff"), "chat"),
    "empty-body": (add(RFC_RESPONSE, b"Content-Length: 0"), "chat"),
    "latin-1-value": (add(RFC_RESPONSE, b"Set-Cookie: \xff\x80"), "chat"),
    "100-before": (b"HTTP/1.1 100 Continue\r\n\r\n" + RFC_RESPONSE, "chat"),
    "two-interim": (b"HTTP/1.1 103 x\r\nLink: </a>\r\n\r\nHTTP/1.1 102 \r\n\r\n" + RFC_RESPONSE, "chat"),
}


@pytest.mark.parametrize(("head", "subprotocol"), GOOD_RESPONSES.values(), ids=GOOD_RESPONSES)
def test_client_good_response_returned_however_it_is_cut(head: bytes, subprotocol: str | None) -> None:
    for parts in cuts(head):
        asking = client()
        response = feed(asking, parts)
        assert response is not None
        assert asking.response is response
        assert (response.status, response.body) == (101, b"")
        assert asking.subprotocol == subprotocol
        assert asking.trailing == b""


def test_client_rfc_example_parsed() -> None:
    response = client().receive(RFC_RESPONSE)
    assert response is not None
    assert response.reason_phrase == "Switching Protocols"
    assert response.headers["sec-websocket-accept"] == ACCEPT


def test_client_trailing_bytes_kept() -> None:
    whole = RFC_RESPONSE + b"\x81\x05hello\r\n\r\n"
    for i in range(len(whole) + 1):
        asking = client()
        fed = 0
        for part in (whole[:i], whole[i:]):
            fed += len(part)
            if asking.receive(part) is not None:
                break
        assert asking.trailing == whole[len(RFC_RESPONSE) : fed]


# response, part of the reason
BAD_RESPONSES = {
    "no-http": (b"Hello\r\n\r\n", "malformed"),
    "frame": (b"\x81\x05hello", "control"),
    "nul-first": (b"\x00", "line"),
    "empty-line-first": (b"\r\n" + RFC_RESPONSE, "line"),
    "bare-lf": (RFC_RESPONSE.replace(b"\r\n", b"\n"), "control"),
    "folded": (add(RFC_RESPONSE, b"X: a", b" b"), "space"),
    "nul": (add(RFC_RESPONSE, b"X: \x00"), "control"),
    "no-colon": (add(RFC_RESPONSE, b"X"), "malformed"),
    "status-word": (first_line(RFC_RESPONSE, b"HTTP/1.1 1O1 x"), "malformed"),
    "status-four-digits": (first_line(RFC_RESPONSE, b"HTTP/1.1 1010"), "malformed"),
    "status-below-100": (first_line(RFC_RESPONSE, b"HTTP/1.1 099 x"), "malformed"),
    "interim-malformed": (b"HTTP/1.1 100 x\r\nX\r\n\r\n" + RFC_RESPONSE, "malformed"),
    "http-1.0": (first_line(RFC_RESPONSE, b"HTTP/1.0 101 x"), "HTTP/1.1"),
    "no-upgrade": (swap_back(b"Upgrade"), "Upgrade"),
    "upgrade-other": (swap_back(b"Upgrade", b"h2c"), "Upgrade"),
    "upgrade-list": (swap_back(b"Upgrade", b"websocket, h2c"), "Upgrade"),
    "upgrade-twice": (swap_back(b"Upgrade", b"websocket", b"websocket"), "Upgrade"),
    "upgrade-malformed": (swap_back(b"Upgrade", b"@"), "token"),
    "no-connection": (swap_back(b"Connection"), "Connection"),
    "connection-other": (swap_back(b"Connection", b"close"), "Connection"),
    "no-accept": (swap_back(b"Sec-WebSocket-Accept"), "Accept"),
    "accept-twice": (swap_back(b"Sec-WebSocket-Accept", ACCEPT.encode(), ACCEPT.encode()), "Accept"),
    "accept-empty": (swap_back(b"Sec-WebSocket-Accept", b""), "Accept"),
    "accept-case": (swap_back(b"Sec-WebSocket-Accept", ACCEPT.lower().encode()), "Accept"),
    "accept-nbsp": (swap_back(b"Sec-WebSocket-Accept", ACCEPT.encode() + b"\xa0"), "Accept"),
    "accept-is-the-key": (swap_back(b"Sec-WebSocket-Accept", KEY.encode()), "Accept"),
    "extension": (add(RFC_RESPONSE, b"Sec-WebSocket-Extensions: permessage-deflate"), "extension"),
    "extension-empty": (add(RFC_RESPONSE, b"Sec-WebSocket-Extensions:"), "extension"),
    "subprotocol-other": (swap_back(b"Sec-WebSocket-Protocol", b"x"), "subprotocol"),
    "subprotocol-case": (swap_back(b"Sec-WebSocket-Protocol", b"Chat"), "subprotocol"),
    "subprotocol-empty": (swap_back(b"Sec-WebSocket-Protocol", b""), "subprotocol"),
    "subprotocol-list": (swap_back(b"Sec-WebSocket-Protocol", b"chat, superchat"), "subprotocol"),
    "subprotocol-latin-1": (swap_back(b"Sec-WebSocket-Protocol", b"\xff\xfe"), "subprotocol"),
    "subprotocol-twice": (swap_back(b"Sec-WebSocket-Protocol", b"chat", b"chat"), "subprotocol"),
    "length": (add(RFC_RESPONSE, b"Content-Length: 5"), "body"),
    "chunked": (add(RFC_RESPONSE, b"Transfer-Encoding: chunked"), "body"),
}


@pytest.mark.parametrize(("head", "reason"), BAD_RESPONSES.values(), ids=BAD_RESPONSES)
def test_client_bad_response_refused_however_it_is_cut(head: bytes, reason: str) -> None:
    for parts in cuts(head):
        asking = client()
        with pytest.raises(BadResponse) as caught:
            feed(asking, parts)
        assert reason in caught.value.reason
        assert asking.subprotocol is None
        for again in (lambda asking=asking: asking.receive(RFC_RESPONSE), asking.eof):
            with pytest.raises(BadResponse) as later:
                again()
            assert later.value.reason == caught.value.reason


def test_client_subprotocol_never_offered_refused() -> None:
    with pytest.raises(BadResponse, match="subprotocol"):
        client(subprotocols=None).receive(RFC_RESPONSE)


@pytest.mark.parametrize("status", [200, 204, 301, 304, 400, 401, 403, 426, 431, 500, 999])
def test_client_other_status_refused(status: int) -> None:
    head = change(first_line(RFC_RESPONSE, b"HTTP/1.1 %d x" % status), b"Connection", b"Content-Length: 0")
    for parts in cuts(head):
        asking = client()
        with pytest.raises(BadStatus, match=str(status)) as caught:
            feed(asking, parts)
        assert caught.value.status == status
        assert ("Upgrade", "websocket") in caught.value.headers
        assert asking.response is not None
        assert asking.response.status == status
        assert asking.body_ended


def test_client_http_1_0_refusal_is_a_status() -> None:
    with pytest.raises(BadStatus, match="403"):
        client().receive(b"HTTP/1.0 403 x\r\n\r\n")


CHUNKED = b"HTTP/1.1 403 x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n4;a=b\r\n you\r\n0\r\nX: y\r\n\r\n"
SIZED = b"HTTP/1.1 403 x\r\nContent-Length: 9\r\n\r\nhello you"


@pytest.mark.parametrize("answer", [CHUNKED, SIZED], ids=["chunked", "sized"])
@pytest.mark.parametrize("step", [1, 3, 10**6])
def test_client_body_of_a_refusal_gathered(answer: bytes, step: int) -> None:
    asking = client()
    bodies: list[bytes] = []
    for i in range(0, len(answer), step):
        assert not asking.body_ended
        try:
            asking.receive(answer[i : i + step])
        except BadStatus as error:
            bodies.append(error.body)
    assert asking.body_ended
    assert bodies == sorted(bodies)
    assert bodies[-1] == b"hello you"
    assert asking.response is not None
    assert asking.response.body == b"hello you"
    with pytest.raises(BadStatus) as caught:
        asking.receive(b"more")
    assert caught.value.body == b"hello you"


def test_client_body_up_to_the_end_of_the_connection() -> None:
    asking = client()
    with pytest.raises(BadStatus):
        asking.receive(b"HTTP/1.1 502 x\r\n\r\nhello")
    assert not asking.body_ended
    with pytest.raises(BadStatus) as caught:
        asking.eof()
    assert asking.body_ended
    assert caught.value.body == b"hello"


@pytest.mark.parametrize("step", [1, 10**6])
@pytest.mark.parametrize(("size", "kept"), [(99, 99), (100, 100), (101, 100)])
@pytest.mark.parametrize("lines", [b"", b"Content-Length: 1000\r\n"])
def test_client_body_bounded(step: int, size: int, kept: int, lines: bytes) -> None:
    asking = client(max_body_size=100)
    answer = b"HTTP/1.1 500 x\r\n" + lines + b"\r\n" + b"b" * size
    error: BadStatus | None = None
    for i in range(0, len(answer), step):
        try:
            asking.receive(answer[i : i + step])
        except BadStatus as caught:
            error = caught
    assert error is not None
    assert error.body == b"b" * kept
    assert asking.body_ended is (size >= 100)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"zz\r\n", id="no-size"),
        pytest.param(b"1;" + b" " * 60000 + b"\nx\r\n", id="spaces"),
        pytest.param(b"1;" + b" " * 60000, id="endless-size"),
        pytest.param(b"0\r\n" + b"X: y\r\n" * 10000, id="endless-trailers"),
    ],
)
def test_client_malformed_body_just_ends(body: bytes) -> None:
    asking = client()
    with pytest.raises(BadStatus) as caught:
        asking.receive(b"HTTP/1.1 403 x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n" + body)
    assert caught.value.body == b"hi"
    assert asking.body_ended


def test_client_body_reaches_the_http_parser_in_small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """h11's pattern for a chunk's header tries every cut of a run of spaces: it must see a short one."""
    fed = watch_h11(monkeypatch)
    with pytest.raises(BadStatus):
        client().receive(b"HTTP/1.1 403 x\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1;" + b" " * 60000 + b"\nx\r\n")
    assert max(map(len, fed)) <= 1024


def test_client_interim_responses_count_against_one_limit() -> None:
    interim = b"HTTP/1.1 103 x\r\nLink: </a>\r\n\r\n"
    limit = len(interim) * 3 + len(RFC_RESPONSE)
    for count, whole in [(3, True), (4, False)]:
        for parts in ([interim * count + RFC_RESPONSE], [interim] * count + [RFC_RESPONSE]):
            asking = client(max_head_size=limit)
            if whole:
                assert feed(asking, parts) is not None
            else:
                with pytest.raises(HeadTooBig):
                    feed(asking, parts)


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 101", RFC_RESPONSE[:-1], b"HTTP/1.1 100 x\r\n\r\n"])
def test_client_eof_before_the_head_is_whole_refused(data: bytes) -> None:
    asking = client()
    asking.receive(data)
    assert asking.response is None
    assert asking.trailing == b""
    for again in (asking.eof, asking.eof, lambda: asking.receive(RFC_RESPONSE)):
        with pytest.raises(BadResponse, match="connection closed before"):
            again()


def test_client_receive_after_the_response_is_the_callers_error() -> None:
    asking = client()
    asking.receive(RFC_RESPONSE)
    with pytest.raises(RuntimeError):
        asking.receive(b"\x81\x00")
    asking.eof()
    assert asking.subprotocol == "chat"


def test_client_failed_handshake_is_freed_without_the_collector() -> None:
    def fail() -> weakref.ref[ClientHandshake]:
        asking = client()
        for _ in range(2):
            with contextlib.suppress(BadStatus):
                asking.receive(b"HTTP/1.1 403 x\r\n\r\n")
        return weakref.ref(asking)

    gc.disable()
    try:
        assert fail()() is None
    finally:
        gc.enable()


# Any bytes at all.

ASCII_PIECES = st.sampled_from(
    [line + b"\r\n" for line in RFC_REQUEST.split(b"\r\n")]
    + [line + b"\r\n" for line in RFC_RESPONSE.split(b"\r\n")]
    + [
        b"\r\n",
        b"\n",
        b"\r",
        b" ",
        b":",
        b",",
        b"\x00",
        b"\xff",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 103 x\r\n\r\n",
    ]
    + [
        b"Content-Length: 3\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Host: [\r\n",
        b"5\r\nhello\r\n",
        b"0\r\n\r\n",
    ]
)
ANY_BYTES = st.one_of(st.binary(), st.lists(st.one_of(ASCII_PIECES, st.binary(max_size=3)), max_size=20).map(b"".join))


@st.composite
def spoiled(draw: Any, head: bytes) -> bytes:
    """Return `head` with a part of it replaced."""
    start = draw(st.integers(0, len(head)))
    end = draw(st.integers(start, min(len(head), start + 8)))
    return head[:start] + draw(st.binary(max_size=4)) + head[end:]


@given(st.one_of(ANY_BYTES, spoiled(RFC_REQUEST)), st.integers(1, 40))
def test_server_any_bytes_give_a_request_none_or_a_refusal(data: bytes, step: int) -> None:
    outcomes = set()
    statuses: set[tuple[int, int]] = set()
    for size in (step, len(data) or 1):
        server = ServerHandshake(origins=ORIGINS, subprotocols=["chat"], max_line_size=100, max_head_size=400)
        try:
            if feed(server, [data[i : i + size] for i in range(0, len(data), size)]) is None:
                server.eof()
            outcomes.add(server.accept())
        except HandshakeError as error:
            method = server.request.method if server.request is not None else "GET"
            outcomes.add(error.response)
            statuses.add((error.status, parse_answer(error.response, method)[0]))
    assert len(outcomes) == 1
    assert all(said == sent for said, sent in statuses)


@given(st.one_of(ANY_BYTES, spoiled(RFC_RESPONSE)), st.integers(1, 40))
def test_client_any_bytes_give_a_response_none_or_a_refusal(data: bytes, step: int) -> None:
    outcomes = set()
    for size in (step, len(data) or 1):
        asking = client(max_line_size=100, max_head_size=400)
        outcome: Any = None
        for i in range(0, len(data), size):
            try:
                if asking.receive(data[i : i + size]) is not None:
                    outcome = asking.response
                    break
            except HandshakeError as error:
                outcome = (type(error), error.reason, error.status, error.headers, error.body)
        outcomes.add((outcome, asking.body_ended))
    assert len(outcomes) == 1
