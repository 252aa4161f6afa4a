"""Sec-WebSocket-Extensions: the grammar of RFC 6455 §9.1, its bounds, what it costs."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import InvalidHeaderFormat
from websockets.headers import parse_extension

from wscodec import extensions
from wscodec.errors import BadExtensions, BadRequest, BadResponse
from wscodec.extensions import (
    Extension,
    agreed_extensions,
    format_extensions,
    offered_extensions,
    parse_extensions,
)

TOKEN_CHARACTERS = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def extension(name: str, *parameters: tuple[str, str | None]) -> Extension:
    return Extension(name, parameters)


@pytest.mark.parametrize(
    ("values", "parsed"),
    [
        # The examples of RFC 6455 §9.1.
        (["foo", "bar; baz=2"], [extension("foo"), extension("bar", ("baz", "2"))]),
        (["foo, bar; baz=2"], [extension("foo"), extension("bar", ("baz", "2"))]),
        (["deflate-stream"], [extension("deflate-stream")]),
        (
            ["mux; max-channels=4; flow-control, deflate-stream"],
            [extension("mux", ("max-channels", "4"), ("flow-control", None)), extension("deflate-stream")],
        ),
        (["private-extension"], [extension("private-extension")]),
        # Quoted values, with and without escapes.
        (['a; b="10"'], [extension("a", ("b", "10"))]),
        (['a; b="1\\0"; c'], [extension("a", ("b", "10"), ("c", None))]),
        (['a; b="\\1\\0"'], [extension("a", ("b", "10"))]),
        # Spaces and tabs wherever the grammar has them.
        (["\t a\t ;\tb \t= \t1 ; c\t,\t d "], [extension("a", ("b", "1"), ("c", None)), extension("d")]),
        (["a;b=1,c;d"], [extension("a", ("b", "1")), extension("c", ("d", None))]),
        (['a; b = "1" ,c'], [extension("a", ("b", "1")), extension("c")]),
        # Empty elements.
        ([",, a ,\t, b,,"], [extension("a"), extension("b")]),
        ([""], []),
        ([" ", ","], []),
        ([], []),
        # Order, repeats and case are kept: what they mean is the extension's business.
        (["a; x; x=1; X", "a", "A"], [extension("a", ("x", None), ("x", "1"), ("X", None)), *map(extension, "aA")]),
        ([TOKEN_CHARACTERS], [extension(TOKEN_CHARACTERS)]),
        # GHSA-5v72-xg48-5rpm: a name is only a name.
        (["constructor; __proto__=1"], [extension("constructor", ("__proto__", "1"))]),
    ],
)
def test_parse_extensions(values: list[str], parsed: list[Extension]) -> None:
    assert parse_extensions(values) == parsed
    assert parse_extensions(iter(values)) == parsed


@pytest.mark.parametrize(
    "value",
    [
        "a b",
        "a;",
        "a; ",
        "a;;b",
        ";a",
        "a; b=",
        "a; =1",
        "a; b=1 2",
        "a; b==1",
        "a=1",
        '"a"',
        'a; "b"',
        'a; b="',
        'a; b=""',
        'a; b="1',
        'a; b=1"',
        'a; b="1"2',
        'a; b="1" 2',
        'a; b="1 2"',
        'a; b="1\\"',
        'a; b="\\\\"',
        'a; b="\\""',
        'a; b="é"',
        "a; b='1 2'",
        "a/b",
        "a\x00",
        "a\r\nb",
        "a\x0b; b",
        "\xa0a",
        "a\x85",
        "é",
        "a; b=\N{SUPERSCRIPT TWO}",
        "a, b c, d",
        # ws 1235: what is quoted is no offer.
        'x; y=",permessage-deflate; client_max_window_bits,"',
    ],
)
def test_parse_extensions_malformed(value: str) -> None:
    with pytest.raises(ValueError, match="not a list of extensions"):
        parse_extensions([value])
    with pytest.raises(ValueError, match="not a list of extensions"):
        parse_extensions(["ok", value])


def test_quoted_string_does_not_go_on_in_the_next_line() -> None:
    with pytest.raises(ValueError, match="not a list"):
        parse_extensions(['a; b="1', '2"'])


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ("a," * 255 + "a", None),
        ("a," * 256 + "a", "too many extensions"),
        ("a" + "; b" * 255, None),
        ("a" + "; b" * 256, "too many parameters"),
        ("a; b," * 128, None),
        ("a; b," * 128 + "a", "too many extensions"),
        ("a; b," * 127 + "a; b; c", "too many parameters"),
    ],
)
def test_parse_extensions_is_bounded(value: str, what: str | None) -> None:
    for values in ([value], value.split(",")):
        if what is None:
            assert sum(1 + len(found.parameters) for found in parse_extensions(values)) == 256
        else:
            with pytest.raises(ValueError, match=what):
                parse_extensions(values)


class Counter:
    """A pattern that counts the characters that its matches go over, and its failures at one each."""

    def __init__(self, pattern: re.Pattern[str], steps: list[int]) -> None:
        self.pattern = pattern
        self.steps = steps

    def match(self, value: str, position: int) -> Any:
        found = self.pattern.match(value, position)
        self.steps.append(1 + (found.end() - position if found else 0))
        return found


@pytest.mark.parametrize(
    "part",
    [",", " ", "a", "a,", "a; b", '; b="1"', ";", "a; b=1 ", '"', "\\", '; b="\\1', "a \t", "a;\t\t\t"],
)
def test_parse_extensions_takes_linear_steps(monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    steps: list[int] = []
    monkeypatch.setattr(extensions, "_MAX_ELEMENTS", 10**6)
    for name in ("_NAME", "_PARAMETER", "_BETWEEN", "_END"):
        monkeypatch.setattr(extensions, name, Counter(getattr(extensions, name), steps))
    for value in (part * 2000, "x" + part * 2000):
        steps.clear()
        with contextlib.suppress(ValueError):
            parse_extensions([value])
        assert sum(steps) <= 4 * len(value) + 10


def test_no_pattern_goes_back() -> None:
    """Every repetition is possessive, so that a failure does not try what it has taken again."""
    for pattern in (extensions._NAME, extensions._PARAMETER, extensions._BETWEEN, extensions._END):
        bare = re.sub(r"\[[^\]]*\]|\(\?:|\\.", "x", pattern.pattern)
        assert set(re.findall(r"[*+?]+", bare)) <= {"*+", "++", "?+"}


@pytest.mark.parametrize("parsed", [[], [extension("a")], [extension("a", ("b", None), ("c", "1")), extension("d")]])
def test_format_extensions_is_parsed_again(parsed: list[Extension]) -> None:
    assert parse_extensions([format_extensions(parsed)]) == parsed


def test_format_extensions_text() -> None:
    assert format_extensions([extension("a", ("b", None), ("c", "1")), extension("d")]) == "a; b; c=1, d"


@pytest.mark.parametrize(
    "wrong",
    [extension(""), extension("a b"), extension("a", ("b,", None)), extension("a", ("b", "")), extension("a\r\nX: y")],
)
def test_format_extensions_refuses_what_is_no_token(wrong: Extension) -> None:
    with pytest.raises(ValueError, match="not a token"):
        format_extensions([wrong])


tokens = st.text(TOKEN_CHARACTERS, min_size=1, max_size=5)
lists = st.lists(
    st.builds(Extension, tokens, st.lists(st.tuples(tokens, st.none() | tokens), max_size=3).map(tuple)), max_size=4
)


@given(lists)
def test_any_list_survives(parsed: list[Extension]) -> None:
    assert parse_extensions([format_extensions(parsed)]) == parsed
    assert parse_extensions([format_extensions([one]) for one in parsed]) == parsed


@given(st.text('ab=;," \t\\', max_size=12))
def test_agrees_with_websockets(value: str) -> None:
    """Our parser takes what that of websockets takes, and it means the same there."""

    def outcome(parse: Any) -> Any:
        try:
            return [(name, list(parameters)) for name, parameters in parse(value)]
        except (InvalidHeaderFormat, ValueError):
            return None

    value = value.strip(" \t")  # as the parser of HTTP does
    theirs = outcome(parse_extension)
    ours = outcome(lambda text: parse_extensions([text]))
    if not value.strip(" \t,"):
        assert ours == []  # which theirs refuses at once, and ours where a header is made of nothing else
    else:
        assert ours == theirs


def headers(values: Iterable[str]) -> list[tuple[str, str]]:
    return [("sec-websocket-extensions", value) for value in values]


def test_offered_and_agreed_extensions() -> None:
    for read in (offered_extensions, agreed_extensions):
        assert read([("Host", "h")]) == []
        assert read(headers(["a", "b; c"])) == [extension("a"), extension("b", ("c", None))]
        assert read(headers(["", "a"])) == [extension("a")]


@pytest.mark.parametrize("value", ["", " ,", "a b", "a," * 300])
def test_offered_and_agreed_extensions_malformed(value: str) -> None:
    """RFC 6455 §9.1: who receives what is not of the grammar fails the connection."""
    with pytest.raises(BadRequest, match="Sec-WebSocket-Extensions") as refused:
        offered_extensions(headers([value]))
    assert refused.value.status == 400
    with pytest.raises(BadExtensions, match="Sec-WebSocket-Extensions") as failed:
        agreed_extensions(headers([value]))
    assert isinstance(failed.value, BadResponse)
    assert failed.value.status == 101
