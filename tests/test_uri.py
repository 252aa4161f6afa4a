"""WebSocket URIs (RFC 6455 §3)."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wscodec.uri import WebSocketURI, parse_uri, split_host_port


@pytest.mark.parametrize(
    ("uri", "expected", "host_header"),
    [
        pytest.param("ws://example.com", (False, "example.com", 80, "/"), "example.com", id="bare"),
        pytest.param("wss://example.com/", (True, "example.com", 443, "/"), "example.com", id="secure"),
        pytest.param("WsS://Example.COM/A", (True, "example.com", 443, "/A"), "example.com", id="case"),
        pytest.param("ws://h:8080/chat?a=b", (False, "h", 8080, "/chat?a=b"), "h:8080", id="port-and-query"),
        pytest.param("ws://h?a=/b", (False, "h", 80, "/?a=/b"), "h", id="query-without-path"),
        pytest.param("ws://h/p?", (False, "h", 80, "/p"), "h", id="empty-query"),
        pytest.param("ws://h?", (False, "h", 80, "/"), "h", id="empty-query-without-path"),
        pytest.param("ws://h/a?b?c", (False, "h", 80, "/a?b?c"), "h", id="question-mark-in-query"),
        pytest.param("ws://h:80/", (False, "h", 80, "/"), "h", id="own-port-of-ws"),
        pytest.param("wss://h:443/", (True, "h", 443, "/"), "h", id="own-port-of-wss"),
        pytest.param("wss://h:80/", (True, "h", 80, "/"), "h:80", id="port-of-the-other-scheme"),
        pytest.param("ws://h:/", (False, "h", 80, "/"), "h", id="empty-port"),
        pytest.param("ws://h:00080/", (False, "h", 80, "/"), "h", id="leading-zeros"),
        pytest.param("ws://h:1/", (False, "h", 1, "/"), "h:1", id="least-port"),
        pytest.param("ws://h:65535/", (False, "h", 65535, "/"), "h:65535", id="greatest-port"),
        pytest.param("ws://my_service-1.local/", (False, "my_service-1.local", 80, "/"), "my_service-1.local"),
        pytest.param("ws://127.0.0.1:9/", (False, "127.0.0.1", 9, "/"), "127.0.0.1:9", id="ipv4"),
        pytest.param("ws://[::1]/", (False, "::1", 80, "/"), "[::1]", id="ipv6"),
        pytest.param("ws://[2001:DB8:0::1]:81", (False, "2001:db8::1", 81, "/"), "[2001:db8::1]:81", id="ipv6-port"),
        pytest.param("ws://bücher.example/", (False, "xn--bcher-kva.example", 80, "/"), "xn--bcher-kva.example"),
        pytest.param("ws://h/é?ü=ß", (False, "h", 80, "/%C3%A9?%C3%BC=%C3%9F"), "h", id="path-beyond-ascii"),
        pytest.param("ws://h/%C3%A9%20", (False, "h", 80, "/%C3%A9%20"), "h", id="encoded-stays"),
        pytest.param('ws://h/"<>{}|\\^`', (False, "h", 80, "/%22%3C%3E%7B%7D%7C%5C%5E%60"), "h", id="not-in-rfc3986"),
        pytest.param("ws://h/:@!$&'()*+,;=-._~//", (False, "h", 80, "/:@!$&'()*+,;=-._~//"), "h", id="in-rfc3986"),
        pytest.param("ws://h/a@b:c", (False, "h", 80, "/a@b:c"), "h", id="at-sign-in-path"),
    ],
)
def test_parse_uri_valid_parts(uri: str, expected: tuple[object, ...], host_header: str) -> None:
    parsed = parse_uri(uri)
    assert (parsed.secure, parsed.host, parsed.port, parsed.resource) == expected
    assert parsed.host_header == host_header
    assert (parsed.username, parsed.password) == (None, None)


@pytest.mark.parametrize(
    ("userinfo", "username", "password"),
    [
        pytest.param("user:secret", "user", "secret", id="both"),
        pytest.param("user", "user", "", id="user-alone"),
        pytest.param(":secret", "", "secret", id="password-alone"),
        pytest.param("", "", "", id="empty"),
        pytest.param("u%40x:p%3A%20%C3%A9", "u@x", "p: é", id="encoded"),
        pytest.param("u:a:b", "u", "a:b", id="colon-in-password"),
        pytest.param("ü:é", "ü", "é", id="beyond-ascii"),
    ],
)
def test_parse_uri_userinfo_decoded(userinfo: str, username: str, password: str) -> None:
    parsed = parse_uri(f"ws://{userinfo}@h:81/p")
    assert parsed == WebSocketURI(False, "h", 81, "/p", username, password)


def test_websocketuri_repr_hides_the_password() -> None:
    assert "secret" not in repr(parse_uri("ws://user:secret@h/"))


@pytest.mark.parametrize(
    "uri",
    [
        pytest.param("", id="empty"),
        pytest.param("ws:", id="scheme-alone"),
        pytest.param("ws:/h/", id="one-slash"),
        pytest.param("ws:h", id="no-slashes"),
        pytest.param("//h/", id="no-scheme"),
        pytest.param("http://h/", id="http"),
        pytest.param("wsx://h/", id="other-scheme"),
        pytest.param("ws://", id="no-host"),
        pytest.param("ws:///p", id="empty-host"),
        pytest.param("ws://:80/", id="port-without-host"),
        pytest.param("ws://u@/", id="user-without-host"),
        pytest.param("ws://h/#", id="empty-fragment"),
        pytest.param("ws://h/p#f", id="fragment"),
        pytest.param("ws://h#@evil/", id="fragment-in-authority"),
        pytest.param("ws://h/a b", id="space"),
        pytest.param(" ws://h/", id="leading-space"),
        pytest.param("ws://h/\t", id="tab"),
        pytest.param("ws://h/\r\nX: y", id="crlf"),
        pytest.param("ws://h/\x00", id="nul"),
        pytest.param("ws://h/\x7f", id="del"),
        pytest.param("ws://localhost/ HTTP/1.1\r\nHeader: injected\r\nX:", id="injection"),
        pytest.param("ws://h:0/", id="port-0"),
        pytest.param("ws://h:65536/", id="port-too-big"),
        pytest.param("ws://h:000080/", id="port-too-long"),
        pytest.param("ws://h:+80/", id="port-sign"),
        pytest.param("ws://h:8_0/", id="port-underscore"),
        pytest.param("ws://h:٨٠/", id="port-arabic-digits"),
        pytest.param("ws://h:²/", id="port-superscript"),
        pytest.param("ws://h:80:80/", id="two-ports"),
        pytest.param("ws://::1/", id="ipv6-without-brackets"),
        pytest.param("ws://[::1/", id="bracket-open"),
        pytest.param("ws://[/", id="bracket-alone"),
        pytest.param("ws://[]/", id="brackets-empty"),
        pytest.param("ws://[::1]x/", id="text-behind-bracket"),
        pytest.param("ws://[::g]/", id="not-ipv6"),
        pytest.param("ws://[fe80::1%25eth0]/", id="ipv6-zone"),
        pytest.param("ws://[" + "0" * 46 + "]/", id="ipv6-too-long"),
        pytest.param("ws://[1.2.3.4]/", id="ipv4-in-brackets"),
        pytest.param("ws://a@b@h/", id="two-at-signs"),
        pytest.param("ws://%ff@h/", id="user-not-utf8"),
        pytest.param("ws://good\\evil/", id="backslash-in-host"),
        pytest.param("ws://h%2eexample/", id="encoded-host"),
        pytest.param("ws://a,b/", id="comma-in-host"),
        pytest.param("ws://evil.c\u2100.example/", id="idna-makes-a-slash"),
        pytest.param("ws://evil\uff0f.example/", id="idna-fullwidth-slash"),
        pytest.param("ws://a\uff20b/", id="idna-fullwidth-at"),
        pytest.param("ws://" + "ü" * 64 + "/", id="idna-label-too-long"),
        pytest.param("ws://h/\ud800", id="surrogate"),
    ],
)
def test_parse_uri_invalid_refused(uri: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - every reason is a plain ValueError
        parse_uri(uri)


@pytest.mark.parametrize("uri", [None, b"ws://h/", 1])
def test_parse_uri_not_str_refused(uri: object) -> None:
    with pytest.raises(TypeError, match="a URI is a str"):
        parse_uri(uri)  # type: ignore[arg-type]


@pytest.mark.parametrize("resource", ["", "p", "/ HTTP/1.1", "/\r\nX: y", "/é", "/\x7f"])
def test_websocketuri_resource_that_breaks_the_request_line_refused(resource: str) -> None:
    with pytest.raises(ValueError, match="resource"):
        dataclasses.replace(parse_uri("ws://h/"), resource=resource)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("h", ("h", None)),
        ("H:", ("h", None)),
        ("h:0", ("h", 0)),
        ("[::]", ("::", None)),
        ("[::]:", ("::", None)),
        ("[::1]:1", ("::1", 1)),
    ],
)
def test_split_host_port_valid_split(text: str, expected: tuple[str, int | None]) -> None:
    assert split_host_port(text) == expected


@given(st.text(max_size=40).map("ws://".__add__))
def test_parse_uri_any_text_is_safe_or_valueerror(uri: str) -> None:
    try:
        parsed = parse_uri(uri)
    except ValueError:
        return
    # What goes into the request line and the Host header is visible ASCII in one word.
    assert parsed.resource.startswith("/")
    for text in (parsed.resource, parsed.host_header):
        assert text
        assert all("\x21" <= character <= "\x7e" for character in text)
    assert not set(parsed.host) & set("/?#@\\[]")
    assert 1 <= parsed.port <= 65535
    again = parse_uri(f"ws://{parsed.host_header}{parsed.resource}")
    assert (again.host, again.port, again.resource) == (parsed.host, parsed.port, parsed.resource)
