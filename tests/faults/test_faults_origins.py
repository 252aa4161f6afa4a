"""Class I: a page of another origin is refused before there is a connection, by default and with a list of origins."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from attacks import play, tries
from heads import assert_refused, request
from net import REQUEST, connect, listen, raw_client, uri

from wscodec import BadStatus, ServerHandshake
from wscodec.asyncio import WebSocket

ALLOWED = ("https://example.com", "http://localhost:8025", "https://example.com:8443")

NONE_CHECKED = ("CVE-2019-13611", "CVE-2026-34403", "GHSA-524m-q5m7-79mm", "CVE-2018-14732", "CVE-2025-24010")
LOOK_ALIKE = ("CVE-2026-21883",)

REFUSED = [
    *[(origin, NONE_CHECKED) for origin in (b"https://attacker.example", b"http://attacker.example", b"null")],
    *[
        (origin, LOOK_ALIKE)
        for origin in (
            b"https://example.com.attacker.example",
            b"https://attacker-example.com",
            b"https://attackerexample.com",
            b"https://attacker.example/https://example.com",
            b"https://attacker.example#https://example.com",
            b"https://example.com@attacker.example",
            b"https://sub.example.com",
            b"https://example.co",
            b"https://example.com.",
            b"https://example.com:444",
            b"https://example.com:84430",
            b"http://example.com",
            b"http://example.com:443",
            b"https://example.com, https://attacker.example",
            b"https://example.com https://attacker.example",
            b"https://example.com/",
            b"https://example.com\\",
            b"https://ex\xe4mple.com",
            b"https://*.com",
            b"*",
            b"example.com",
            b"//example.com",
            b"",
        )
    ],
]
ACCEPTED = [b"https://example.com", b"https://EXAMPLE.com", b"https://example.com:443", b"http://localhost:8025"]

# By default: what the Host header and the Origin header say.
STRANGERS = [
    (b"example.com", b"https://attacker.example"),
    (b"example.com", b"null"),
    (b"example.com", b"file://"),
    (b"example.com", b"chrome-extension://example.com"),
    (b"example.com", b"https://sub.example.com"),
    (b"sub.example.com", b"https://example.com"),
    (b"example.com", b"https://example.com.attacker.example"),
    (b"example.com", b"https://attackerexample.com"),
    (b"example.com", b"https://example.com."),
    (b"example.com.", b"https://example.com"),
    (b"example.com", b"https://example.com@attacker.example"),
    (b"example.com", b"https://attacker.example@example.com"),
    (b"example.com", b"https://example.com:8443"),
    (b"example.com:8443", b"https://example.com"),
    (b"example.com:443", b"http://example.com"),
    (b"localhost:8080", b"http://localhost:3000"),
    (b"localhost:8080", b"http://127.0.0.1:8080"),
    (b"[::1]:8080", b"http://[::1]"),
    (b"[::1]", b"http://[::2]"),
    (b"example.com", b"https://example.com, https://attacker.example"),
    (b"example.com", b"https://example.com/"),
    (b"example.com", b"https://ex\xe4mple.com"),
    (b"example.com", b"https://*"),
    (b"example.com", b"*"),
    (b"example.com", b"example.com"),
    (b"example.com", b""),
]
OWN = [
    (b"example.com", b"https://example.com"),
    (b"example.com", b"http://example.com"),
    (b"EXAMPLE.com", b"HTTPS://example.COM"),
    (b"example.com:443", b"https://example.com"),
    (b"example.com", b"https://example.com:443"),
    (b"example.com:80", b"http://example.com"),
    (b"example.com.", b"https://example.com."),
    (b"localhost:8080", b"http://localhost:8080"),
    (b"[0:0::1]:8080", b"http://[::1]:8080"),
]


def asked(host: bytes, *lines: bytes) -> bytes:
    """Return a request to a host, with a cookie, and with more header lines."""
    return request(b"Host: " + host, b"Cookie: session=victim", *lines, without=b"Host")


@tries(*NONE_CHECKED)
@pytest.mark.parametrize(("host", "origin"), STRANGERS)
def test_another_origin_is_refused_by_default(host: bytes, origin: bytes) -> None:
    assert_refused(asked(host, b"Origin: " + origin), 403)


@tries(*NONE_CHECKED)
@pytest.mark.parametrize(("host", "origin"), OWN)
def test_the_servers_own_pages_are_let_in_by_default(host: bytes, origin: bytes) -> None:
    assert ServerHandshake().receive(asked(host, b"Origin: " + origin)) is not None
    assert_refused(asked(host, b"Origin: " + origin, b"Origin: " + origin), 400)
    assert_refused(asked(host, b"Origin: " + origin, b"Origin: https://attacker.example"), 400)


@tries(*NONE_CHECKED)
def test_who_is_no_page_is_let_in_by_default() -> None:
    assert ServerHandshake().receive(request()) is not None


@pytest.mark.parametrize("origin", [pytest.param(origin, marks=tries(*faults)) for origin, faults in REFUSED])
def test_another_origin_is_refused(origin: bytes) -> None:
    cookies = (b"Cookie: session=victim", b"Origin: " + origin)
    assert_refused(request(*cookies), 403, lambda: ServerHandshake(origins=ALLOWED))


@tries("CVE-2026-21883")
@pytest.mark.parametrize("origin", ACCEPTED)
def test_an_origin_is_the_same_in_each_of_its_forms(origin: bytes) -> None:
    ours = ServerHandshake(origins=ALLOWED)
    assert ours.receive(request(b"Origin: " + origin)) is not None


@tries("CVE-2026-21883", "CVE-2019-13611")
def test_two_origins_or_none_are_refused() -> None:
    ours = functools.partial(ServerHandshake, origins=ALLOWED)
    assert_refused(request(b"Origin: https://example.com", b"Origin: https://attacker.example"), 400, ours)
    assert_refused(request(b"Origin: https://example.com", b"origin: https://example.com"), 400, ours)
    assert_refused(request(), 403, ours)
    assert ServerHandshake(origins=[*ALLOWED, None]).receive(request()) is not None


@tries("GHSA-8r62-w5wh-fc5m")
@pytest.mark.parametrize("path", [b"/%61pi/events", b"/api/events", b"//api/events", b"/x/../api/events", b"*"])
def test_the_path_makes_no_difference(path: bytes) -> None:
    lines = request(b"Origin: https://attacker.example", first=b"GET " + path + b" HTTP/1.1")
    assert_refused(lines, 400 if path == b"*" else 403, functools.partial(ServerHandshake, origins=ALLOWED))


@tries(*NONE_CHECKED)
@pytest.mark.parametrize("listed", [False, True], ids=["default", "listed"])
def test_no_application_code_runs_for_another_origin(listed: bool) -> None:
    ran = []
    options: dict[str, Any] = {"origins": ALLOWED} if listed else {}

    async def handler(ws: WebSocket) -> None:
        ran.append(ws)

    async def main() -> None:
        async with listen(handler, on_open=ran.append, **options) as server:
            own = ALLOWED[0] if listed else uri(server, "", "http")
            with pytest.raises(BadStatus) as caught:
                await connect(uri(server), origin="https://attacker.example")
            assert caught.value.status == 403
            async with raw_client(server, None) as peer:
                peer.send(REQUEST.replace(b"\r\n\r\n", b"\r\nOrigin: http://attacker.example\r\n\r\n"))
                assert (await peer.reader.read()).startswith(b"HTTP/1.1 403 ")
            assert not ran
            async with connect(uri(server), origin=own) as ws:
                await ws.wait_closed()
            assert len(ran) == 2

    play(main)
