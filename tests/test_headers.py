"""The container of headers, lists in values, origins, and what may be sent (RFC 9110 §5, RFC 6454)."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wscodec.headers import (
    Headers,
    Origins,
    SameOrigin,
    allowed_origins,
    check_headers,
    is_token,
    parse_list,
    parse_tokens,
)

PAIRS = [("Host", "h"), ("Cookie", "a=1"), ("cookie", "b=2"), ("Empty", "")]


def test_headers_iteration_keeps_order_and_case() -> None:
    assert list(Headers(PAIRS)) == PAIRS
    assert len(Headers(PAIRS)) == 4
    assert repr(Headers(PAIRS[:1])) == "Headers([('Host', 'h')])"


@pytest.mark.parametrize("name", ["Cookie", "cookie", "COOKIE"])
def test_headers_lookup_ignores_case_and_keeps_repeats(name: str) -> None:
    headers = Headers(PAIRS)
    assert name in headers
    assert headers.get(name) == "a=1"
    assert headers.get_all(name) == ["a=1", "b=2"]
    assert headers[name] == "a=1, b=2"


def test_headers_absent_name_is_none_default_empty_or_keyerror() -> None:
    headers = Headers(PAIRS)
    assert headers.get("X") is None
    assert headers.get("X", "d") == "d"
    assert headers.get("Empty", "d") == ""
    assert headers.get_all("X") == []
    assert "X" not in headers
    assert 1 not in headers
    with pytest.raises(KeyError):
        headers["X"]


def test_headers_get_all_copies() -> None:
    headers = Headers(PAIRS)
    headers.get_all("Cookie").append("c")
    assert headers.get_all("Cookie") == ["a=1", "b=2"]


@pytest.mark.parametrize(
    "source",
    [
        pytest.param({"A": "1", "B": "2"}, id="mapping"),
        pytest.param({b"A": b"1", b"B": b"2"}, id="mapping-of-bytes"),
        pytest.param([("A", "1"), ("B", "2")], id="pairs"),
        pytest.param([(b"A", b"1"), (b"B", b"2")], id="pairs-of-bytes"),
        pytest.param(iter([("A", "1"), ("B", "2")]), id="iterator"),
        pytest.param(Headers([("A", "1"), ("B", "2")]), id="headers"),
    ],
)
def test_headers_made_of_any_source(source: object) -> None:
    assert list(Headers(source)) == [("A", "1"), ("B", "2")]  # type: ignore[arg-type]


def test_headers_bytes_decoded_as_latin_1() -> None:
    assert Headers([(b"A", bytes([0x80, 0xFF]))])["A"] == "\x80\xff"


@pytest.mark.parametrize("pair", [("A", 1), (1, "A"), ("A", None)])
def test_headers_other_types_refused(pair: tuple[str, str]) -> None:
    with pytest.raises(TypeError):
        Headers([pair])


def test_headers_equality_by_folded_name_value_and_order() -> None:
    assert Headers([("A", "1")]) == Headers([("a", "1")])
    assert hash(Headers([("A", "1")])) == hash(Headers([("a", "1")]))
    assert Headers([("A", "x")]) != Headers([("A", "X")])
    assert Headers([("A", "1"), ("B", "2")]) != Headers([("B", "2"), ("A", "1")])
    assert Headers([("A", "1")]) != [("A", "1")]


def test_headers_immutable() -> None:
    headers = Headers(PAIRS)
    with pytest.raises(TypeError):
        headers["Host"] = "x"  # type: ignore[index]
    with pytest.raises(AttributeError):
        headers.extra = 1  # type: ignore[attr-defined]


def test_headers_of_returns_the_same_object() -> None:
    headers = Headers(PAIRS)
    assert Headers.of(headers) is headers
    assert Headers.of(PAIRS) == headers


TOKEN = set(string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~")


@pytest.mark.parametrize("code", range(0x180))
def test_is_token_each_character(code: int) -> None:
    assert is_token(chr(code)) is (chr(code) in TOKEN)
    assert is_token("a" + chr(code)) is (chr(code) in TOKEN)


def test_is_token_empty_and_beyond_latin_1() -> None:
    assert not is_token("")
    assert not is_token("\u212a")  # KELVIN SIGN, whose lower case is "k"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param([], [], id="none"),
        pytest.param([""], [], id="empty"),
        pytest.param(["a"], ["a"], id="one"),
        pytest.param(["a, b"], ["a", "b"], id="two"),
        pytest.param(["a,b\t, c "], ["a", "b", "c"], id="spaces-and-tabs"),
        pytest.param(["a", "b,c"], ["a", "b", "c"], id="lines"),
        pytest.param([",a,,b,", ",", ""], ["a", "b"], id="empty-elements"),
    ],
)
def test_parse_tokens_list_elements(values: list[str], expected: list[str]) -> None:
    assert parse_tokens(values) == expected
    assert parse_list(values) == expected


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("a b", id="space-inside"),
        pytest.param('"a"', id="quoted"),
        pytest.param("a;b", id="parameter"),
        pytest.param("a/b", id="slash"),
        pytest.param("a, \xa0b", id="no-break-space-is-not-stripped"),
        pytest.param("a\x0b", id="vertical-tab-is-not-stripped"),
        pytest.param("a\x85", id="next-line-is-not-stripped"),
        pytest.param("\x1ca", id="file-separator-is-not-stripped"),
        pytest.param("\xff\xfe", id="latin-1"),
        pytest.param("b" + " " * 32000 + "x", id="run-of-spaces"),
    ],
)
def test_parse_tokens_other_elements_refused(value: str) -> None:
    with pytest.raises(ValueError, match="token"):
        parse_tokens([value])


@pytest.mark.parametrize(
    ("allowed", "origin"),
    [
        ("https://example.com", "https://example.com"),
        ("https://example.com", "HTTPS://Example.Com"),
        ("https://EXAMPLE.com", "https://example.com"),
        ("https://example.com", "https://example.com:443"),
        ("https://example.com:443", "https://example.com"),
        ("http://example.com:80", "http://example.com"),
        ("http://localhost:8000", "http://localhost:8000"),
        ("http://[::1]:8000", "http://[0:0::1]:8000"),
        ("chrome-extension://abcdefghijkl", "chrome-extension://abcdefghijkl"),
        ("file://", "file://"),
        ("null", "null"),
        (None, None),
    ],
)
def test_origins_same_origin_allowed(allowed: str | None, origin: str | None) -> None:
    assert Origins([allowed]).allows(origin)
    assert not Origins([]).allows(origin)


@pytest.mark.parametrize(
    "origin",
    [
        pytest.param("http://example.com", id="scheme"),
        pytest.param("https://example.com:444", id="port"),
        pytest.param("https://example.com:80", id="port-of-http"),
        pytest.param("https://example.com.evil.example", id="prefix"),
        pytest.param("https://evilexample.com", id="suffix"),
        pytest.param("https://sub.example.com", id="subdomain"),
        pytest.param("https://example.com.", id="trailing-dot"),
        pytest.param("https://example.com/", id="trailing-slash"),
        pytest.param("https://example.com/path", id="path"),
        pytest.param("https://example.com@evil.example", id="user"),
        pytest.param("https://user@example.com", id="user-of-the-same-host"),
        pytest.param("https://example.com https://evil.example", id="list"),
        pytest.param(" https://example.com", id="space"),
        pytest.param("https://example.com\x00", id="nul"),
        pytest.param("https://exam\xadple.com", id="soft-hyphen"),
        pytest.param("https:example.com", id="no-slashes"),
        pytest.param("example.com", id="host-alone"),
        pytest.param("//example.com", id="no-scheme"),
        pytest.param("ht\xadtps://example.com", id="scheme-beyond-ascii"),
        pytest.param("https://", id="no-host"),
        pytest.param("https://[", id="bracket"),
        pytest.param("https://example.com:+443", id="port-sign"),
        pytest.param("null", id="null"),
        pytest.param("", id="empty"),
        pytest.param(None, id="absent"),
    ],
)
def test_origins_another_origin_refused(origin: str | None) -> None:
    assert not Origins(["https://example.com"]).allows(origin)


@pytest.mark.parametrize(
    "listed",
    [
        "example.com",
        "https://example.com/",
        "https://",
        "://example.com",
        "a b://example.com",
        "*",
        "",
        "https://bücher.example",
    ],
)
def test_origins_entry_that_no_browser_sends_refused(listed: str) -> None:
    with pytest.raises(ValueError, match="origin"):
        Origins([listed])


def test_origins_of_other_schemes_compare_by_host_too() -> None:
    origins = Origins(["chrome-extension://abc", "app://h:1"])
    assert origins.allows("chrome-extension://abc")
    for other in ("chrome-extension://abd", "chrome-extension://", "chrome-extension://abc:1", "app://h", "app://h:2"):
        assert not origins.allows(other)


def test_origins_one_str_refused() -> None:
    with pytest.raises(TypeError):
        Origins("https://example.com")


def test_origins_of_returns_the_same_object() -> None:
    origins = Origins([None])
    assert Origins.of(origins) is origins
    assert Origins.of([None]).allows(None)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://example.com", "example.com"),
        ("https://example.com", "example.com"),
        ("HTTPS://Example.Com", "eXAMPLE.cOM"),
        ("http://example.com:80", "example.com"),
        ("http://example.com", "example.com:80"),
        ("https://example.com:443", "example.com"),
        ("https://example.com", "example.com:443"),
        ("https://example.com:80", "example.com:80"),
        ("http://example.com", "example.com:"),
        ("http://localhost:8000", "localhost:8000"),
        ("https://example.com:8443", "example.com:8443"),
        ("http://example.com.", "example.com."),
        ("http://[::1]:8000", "[0:0::1]:8000"),
        ("https://[::1]", "[::1]"),
        ("http://127.0.0.1", "127.0.0.1"),
        (None, "example.com"),
    ],
)
def test_same_origin_allowed(origin: str | None, host: str) -> None:
    assert SameOrigin().allows(origin, host)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        pytest.param("https://example.com:8443", "example.com", id="port"),
        pytest.param("https://example.com", "example.com:8443", id="port-of-the-host"),
        pytest.param("http://example.com", "example.com:443", id="port-of-https"),
        pytest.param("https://example.com", "example.com:80", id="port-of-http"),
        pytest.param("http://example.com:8000", "example.com:80000", id="no-port"),
        pytest.param("http://example.com:0", "example.com", id="port-0"),
        pytest.param("http://example.com", "example.com:0", id="port-0-of-the-host"),
        pytest.param("https://sub.example.com", "example.com", id="subdomain"),
        pytest.param("https://example.com", "sub.example.com", id="parent"),
        pytest.param("https://example.com.evil.example", "example.com", id="prefix"),
        pytest.param("https://evilexample.com", "example.com", id="suffix"),
        pytest.param("https://example.com.", "example.com", id="trailing-dot"),
        pytest.param("https://example.com", "example.com.", id="trailing-dot-of-the-host"),
        pytest.param("https://example.com@evil.example", "evil.example", id="user"),
        pytest.param("https://example.com/", "example.com", id="slash"),
        pytest.param("https://example.com https://example.com", "example.com", id="list"),
        pytest.param(" https://example.com", "example.com", id="space"),
        pytest.param("example.com", "example.com", id="no-scheme"),
        pytest.param("//example.com", "example.com", id="no-scheme-but-slashes"),
        pytest.param("://example.com", "example.com", id="empty-scheme"),
        pytest.param("app://example.com", "example.com", id="scheme-without-port"),
        pytest.param("app://example.com:80", "example.com:80", id="scheme-with-a-strange-port"),
        pytest.param("null", "null", id="null"),
        pytest.param("file://", "example.com", id="file"),
        pytest.param("http://", "example.com", id="no-host"),
        pytest.param("http://[::1]", "[::2]", id="ipv6"),
        pytest.param("http://[::1", "[::1", id="bracket"),
        pytest.param("http://[::ffff:127.0.0.1]", "127.0.0.1", id="ipv4-in-ipv6"),
        pytest.param("http://\u212a", "k", id="kelvin"),
        pytest.param("", "", id="empty"),
        pytest.param("", "example.com", id="empty-origin"),
    ],
)
def test_same_origin_another_one_refused(origin: str, host: str) -> None:
    assert not SameOrigin().allows(origin, host)


def test_allowed_origins_of_each_kind() -> None:
    assert allowed_origins(None) is None
    assert isinstance(same := allowed_origins("same"), SameOrigin)
    assert allowed_origins(same) is same
    assert isinstance(listed := allowed_origins(["https://example.com"]), Origins)
    assert allowed_origins(listed) is listed
    for other in ("SAME", "same ", "null", "https://example.com", ""):
        with pytest.raises(TypeError):
            allowed_origins(other)
    assert isinstance(allowed_origins([]), Origins)


@pytest.mark.parametrize("code", range(0x100))
def test_check_headers_each_character_of_a_value(code: int) -> None:
    pair = ("X", f"a{chr(code)}b")
    if code == 0x09 or (code >= 0x20 and code != 0x7F):
        assert list(check_headers([pair])) == [pair]
    else:
        with pytest.raises(ValueError, match="X"):
            check_headers([pair])


@pytest.mark.parametrize("value", ["\u0100", "\u212a", "\ud800", "\r\nEvil: x", "a\n"])
def test_check_headers_unsafe_value_refused(value: str) -> None:
    with pytest.raises(ValueError, match="X"):
        check_headers([("A", "1"), ("X", value)])


@pytest.mark.parametrize("name", ["", "A B", "A:", "A\r\nB", "A\n", "é", " A", "\u212a"])
def test_check_headers_unsafe_name_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        check_headers([(name, "v")])


@given(st.lists(st.text()))
def test_parse_tokens_any_text_gives_tokens_or_valueerror(values: list[str]) -> None:
    try:
        tokens = parse_tokens(values)
    except ValueError:
        return
    assert all(token and TOKEN.issuperset(token) for token in tokens)


@given(st.text())
def test_origins_any_text_is_true_or_false(origin: str) -> None:
    assert Origins(["null"]).allows(origin) is (origin == "null")


HOSTS = st.sampled_from(["a.example", "A.example", "b.example", "a.example.", "127.0.0.1", "[::1]"])
PORTS = st.sampled_from([None, 80, 443, 8000])


@given(st.sampled_from([("http", 80), ("https", 443)]), HOSTS, PORTS, HOSTS, PORTS)
def test_same_origin_is_equal_host_and_port(
    scheme: tuple[str, int], page: str, page_port: int | None, host: str, port: int | None
) -> None:
    def written(name: str, number: int | None) -> str:
        return name if number is None else f"{name}:{number}"

    same = page.lower() == host.lower() and (page_port or scheme[1]) == (port or scheme[1])
    assert SameOrigin().allows(f"{scheme[0]}://{written(page, page_port)}", written(host, port)) is same


@given(st.text(), st.text())
def test_same_origin_any_text_is_judged(origin: str, host: str) -> None:
    assert isinstance(SameOrigin().allows(origin, host), bool)
