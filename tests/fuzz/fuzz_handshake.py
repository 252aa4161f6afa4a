"""Targets for the opening handshake of both sides, and for extensions and what is agreed on them."""

from __future__ import annotations

from random import Random
from typing import Any

from fuzz_input import cut
from fuzz_targets import Difference, Observe, outcome
from implementations import Implementation

from wscodec import BadExtensions, ClientHandshake, HandshakeError, PerMessageDeflate, Role, ServerHandshake
from wscodec.extensions import Extension, format_extensions, parse_extensions
from wscodec.handshake import Headers, accept_key
from wscodec.uri import parse_uri

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
NAMES = ("permessage-deflate", "permessage-bzip2", "x", "Permessage-Deflate", "x-webkit-deflate-frame")
PARAMETERS = (
    "server_no_context_takeover",
    "client_no_context_takeover",
    "server_max_window_bits",
    "client_max_window_bits",
    "unknown",
)
VALUES = ("7", "8", "9", "10", "12", "15", "16", "08", "015", "+9", "1_0", "٩", "a", "", "-1", "9" * 30)
BITS = ("8", "9", "10", "11", "12", "13", "14", "15")
SPACES = ("", "", "", " ", "\t", "  ", " \t ")
# What is put into a header or a head to break it.
NOISE = (
    "\r\n",
    "\n",
    "\r",
    "\0",
    " ",
    "\t",
    ",",
    ";",
    "=",
    '"',
    "\\",
    ":",
    "é",
    "\x7f",
    "\x0b",
    "\x85",
    "\xa0",
    "%",
    "#",
)


def noisy(rng: Random, text: str, chance: float = 0.2) -> str:
    """Return `text`, sometimes with a character or a line end too many or too few."""
    while text and rng.random() < chance:
        at = rng.randrange(len(text))
        text = text[:at] + rng.choice((*NOISE, "", text[at] * 2)) + text[at + rng.randrange(2) :]
    return text


def some_extension(rng: Random) -> str:
    """Return an extension as a header names it, or nearly so."""
    text = rng.choice(NAMES) if rng.random() < 0.3 else NAMES[0]
    for _ in range(rng.choice((0, 1, 1, 2, 3, 4, 5))):
        text += rng.choice(SPACES) + ";" + rng.choice(SPACES) + rng.choice(PARAMETERS[: rng.choice((4, 4, 5))])
        if rng.random() < 0.5:
            value = rng.choice(VALUES)
            text += rng.choice(SPACES) + "=" + rng.choice(SPACES)
            text += f'"{value}"' if rng.random() < 0.2 else value
    return text


def some_extensions(rng: Random) -> list[str]:
    """Return the values of some header lines."""
    lines = []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        separator = rng.choice((",", ", ", " , ", ",,", " ,\t, "))
        line = separator.join(some_extension(rng) for _ in range(rng.choice((0, 1, 1, 2, 3))))
        lines.append(noisy(rng, line * rng.choice((1, 1, 1, 1, 1, 40)), 0.1))
    return lines


def some_wish(rng: Random) -> PerMessageDeflate:
    return PerMessageDeflate(
        server_no_context_takeover=rng.random() < 0.3,
        client_no_context_takeover=rng.random() < 0.3,
        server_max_window_bits=rng.choice((None, *range(9, 16))),
        client_max_window_bits=rng.randrange(9, 16),
    )


def extensions(rng: Random) -> Observe:
    """The header Sec-WebSocket-Extensions, and what either side makes of it."""
    values, server, client = some_extensions(rng), some_wish(rng), some_wish(rng)

    def observe(_: Implementation) -> Any:
        parsed = outcome(ValueError, parse_extensions, values)
        if isinstance(parsed, tuple):
            return parsed
        again = parse_extensions([format_extensions(parsed)])
        if again != parsed:
            raise Difference(f"{parsed!r} was written and read again as {again!r}")
        accepted = server.accept(parsed)
        if accepted is not None:
            _check_answer(parsed, *accepted)
        return parsed, str(accepted), str(outcome(BadExtensions, client.agree, parsed))

    return observe


def _check_answer(offers: list[Extension], answer: Extension, agreed: Any) -> None:
    """See that an answer is one that RFC 7692 §7.1 allows for one of the offers."""
    answered = dict(answer.parameters)
    for offer in (dict(offer.parameters) for offer in offers if offer.name == answer.name):
        bits = offer.get("server_max_window_bits", "15")
        if bits not in BITS or agreed.server_max_window_bits > int(bits):
            continue
        if "client_max_window_bits" in answered and "client_max_window_bits" not in offer:
            continue
        if "server_no_context_takeover" in offer and "server_no_context_takeover" not in answered:
            continue
        return
    raise Difference(f"{answer!r} answers none of {offers!r}")


def negotiation(rng: Random) -> Observe:
    """Two sides of ours always agree, and neither then uses more than the other allows."""
    client, server = some_wish(rng), some_wish(rng)

    def observe(_: Implementation) -> Any:
        accepted = server.accept([client.offer()])
        if accepted is None:
            raise Difference(f"{server} declines {client}")
        answer, theirs = accepted
        ours = client.agree([answer])
        if ours is None:
            raise Difference(f"{client} does not see that {server} agrees")
        # The client may keep to less than the server allows (§7.1.2.2), and the server has to know nothing of it.
        for name in ("server_no_context_takeover", "server_max_window_bits"):
            if getattr(ours, name) != getattr(theirs, name):
                raise Difference(f"{name}: {ours} and {theirs}")
        if ours.client_max_window_bits > theirs.client_max_window_bits:
            raise Difference(f"client_max_window_bits: {ours} and {theirs}")
        if theirs.client_no_context_takeover and not ours.client_no_context_takeover:
            raise Difference(f"client_no_context_takeover: {ours} and {theirs}")
        for role in Role:
            server.deflater(role, theirs), client.inflater(role, ours)
        return str((answer, theirs, ours))

    return observe


def some_lines(rng: Random, lines: list[tuple[str, str]], spare: list[tuple[str, str]]) -> list[str]:
    """Return header lines, mostly good; some missing, twice, spoilt or not asked for."""
    kept = []
    for line in lines:
        kind = rng.random()
        kept += [] if kind < 0.02 else [line, line] if kind < 0.04 else [line]
    kept += [rng.choice(spare) for _ in range(rng.choice((0, 0, 1, 2)))]
    texts = [f"{name}:{rng.choice((' ', ' ', '', '  '))}{value}" for name, value in kept]
    if rng.random() < 0.3:
        at = rng.randrange(len(texts) + 1)
        texts[at : at + 1] = [noisy(rng, texts[at], 0.7)] if at < len(texts) else [noisy(rng, "X: y", 0.5)]
    if rng.random() < 0.1:
        texts = [text.swapcase() if rng.random() < 0.3 else text for text in texts]
    return texts


def _spare(rng: Random) -> list[tuple[str, str]]:
    return [
        ("Sec-WebSocket-Extensions", some_extensions(rng)[0]),
        ("Sec-WebSocket-Protocol", rng.choice(("chat", "chat, x", "x", "", "a b", "chat,,x"))),
        ("Origin", rng.choice(("https://example.com", "https://EXAMPLE.com:443", "null", "https://evil.example", "x"))),
        ("Content-Length", rng.choice(("0", "5", "+0", "0, 0"))),
        ("Transfer-Encoding", "chunked"),
        ("Upgrade", rng.choice(("websocket", "h2c, websocket", "WebSocket", "websocket/13", "h2c"))),
        ("Connection", rng.choice(("keep-alive, Upgrade", "upgrade", "close"))),
        ("Sec-WebSocket-Version", rng.choice(("13", "8", "13, 8", "013"))),
        ("X", rng.choice(("", "y" * rng.choice((1, 100, 9000)), "é"))),
    ]


def some_request(rng: Random) -> bytes:
    """Return a request, mostly good, with something behind it."""
    target = rng.choice(("/", "/a?b=c", "http://h/x", "*", "/a b", "/#", "/é"))[:]
    target = "/chat" if rng.random() < 0.8 else target
    method = "GET" if rng.random() < 0.95 else rng.choice(("POST", "HEAD", "get", "G\x00T", ""))
    version = "HTTP/1.1" if rng.random() < 0.95 else rng.choice(("HTTP/1.0", "HTTP/2", "HTTP/1.10", "http/1.1", ""))
    lines = [
        ("Host", rng.choice(("h", "h:80", "[::1]:8", "h:", "h h")) if rng.random() < 0.2 else "example.com"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", rng.choice((KEY[:-1], KEY + "=", KEY.lower())) if rng.random() < 0.05 else KEY),
        ("Sec-WebSocket-Version", "13"),
    ]
    head = [f"{method} {target} {version}", *some_lines(rng, lines, _spare(rng))]
    return _finished(rng, head)


def _finished(rng: Random, head: list[str]) -> bytes:
    end = "\r\n" if rng.random() < 0.97 else rng.choice(("\n", "\r\n ", "\r"))
    data = (end.join(head) + end + end).encode("utf-8" if rng.random() < 0.1 else "latin-1", "replace")
    if rng.random() < 0.05:
        data = data[: rng.randrange(len(data))]
    return data + rng.choice((b"", b"", b"\x81\x00", b"\x89\x80abcd", b"\r\n"))


def _answers(ours: Any, chunks: list[bytes]) -> tuple[Any, bytes]:
    """Feed a handshake; return what came of it, and the bytes that were not its own."""
    for index, chunk in enumerate(chunks):
        try:
            result = ours.receive(chunk)
        except HandshakeError as error:
            _see_same_again(ours, error)
            return (type(error).__name__, error.status, error.reason, error.response), b""
        if result is not None:
            return result, ours.trailing + b"".join(chunks[index + 1 :])
    try:
        ours.eof()
    except HandshakeError as error:
        return (type(error).__name__, error.status, error.reason, error.response), b""
    return None, b""


def _see_same_again(ours: Any, error: HandshakeError) -> None:
    try:
        ours.receive(b"GET / HTTP/1.1\r\n\r\n")
    except HandshakeError as again:
        if (type(again), again.reason) != (type(error), error.reason):
            raise Difference(f"first {error!r}, then {again!r}") from None
    else:
        raise Difference(f"no error after {error!r}")


def some_settings(rng: Random) -> dict[str, Any]:
    small = rng.random() < 0.1
    return {
        "max_line_size": rng.choice((20, 60, 100)) if small else 8192,
        "max_head_size": rng.choice((50, 150, 300)) if small else 65536,
        "max_headers": rng.choice((0, 4, 6)) if small else 128,
        "subprotocols": rng.choice((None, ["chat"], ["x", "chat"])),
        "compression": rng.choice((None, some_wish(rng))),
    }


def server_handshake(rng: Random) -> Observe:
    """A request, good or not, in one piece and in many; what is accepted can be answered, and the answer read."""
    data, settings = some_request(rng), some_settings(rng)
    ways = [data], cut(rng, data), [data[i : i + 1] for i in range(len(data))]
    origins = rng.choice((None, "same", ["https://example.com", None]))

    def observe(_: Implementation) -> Any:
        results = []
        for chunks in ways:
            ours = ServerHandshake(origins=origins, **settings)
            result, behind = _answers(ours, chunks)
            answer = b"" if isinstance(result, tuple | None) else ours.accept()
            if answer and b"".join(chunks) != ours.head + behind:
                raise Difference(f"bytes got lost: {ours.head!r} {behind!r}")
            results.append((str(result), answer, behind, ours.subprotocol, str(ours.compression)))
        _demand_one(results)
        return results[0]

    return observe


def _demand_one(results: list[Any]) -> None:
    """See that all ways to cut a head gave the same."""
    for result in results[1:]:
        if result != results[0]:
            raise Difference(f"whole {results[0]!r}, in chunks {result!r}")


def some_response(rng: Random) -> bytes:
    """Return a response to a request with `KEY`, mostly good."""
    status = (
        "101 Switching Protocols" if rng.random() < 0.9 else rng.choice(("200 OK", "403", "100 Go on", "1O1", "99 x"))
    )
    version = "HTTP/1.1" if rng.random() < 0.95 else rng.choice(("HTTP/1.0", "HTTP/2", "HTP/1.1"))
    lines = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", accept_key(KEY)[rng.random() < 0.03 :]),
    ]
    head = [f"{version} {status}", *some_lines(rng, lines, _spare(rng))]
    before = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" if rng.random() < 0.05 else b""
    return before + _finished(rng, head)


def client_handshake(rng: Random) -> Observe:
    """A response, good or not, in one piece and in many."""
    data, settings = some_response(rng), some_settings(rng)
    ways = [data], cut(rng, data), [data[i : i + 1] for i in range(len(data))]

    def observe(_: Implementation) -> Any:
        results = []
        for chunks in ways:
            ours = ClientHandshake("ws://example.com/chat", **settings)
            ours.key = KEY
            result, behind = _answers(ours, chunks)
            if isinstance(result, tuple):
                result = result[:3]  # how much of a body there is yet depends on the cuts
            results.append((str(result), behind, ours.subprotocol, str(ours.compression)))
        _demand_one(results)
        return results[0]

    return observe


def uris(rng: Random) -> Observe:
    """URIs and headers: what is accepted can be sent, and means the same when it is read again."""
    host = rng.choice(("h", "example.com:81", "[::1]", "bücher.example", "a@b", "u:p@h", "1.2.3.4:0", "x:99999", ""))
    text = noisy(
        rng, rng.choice(("ws://", "wss://", "WS://", "http://")) + host + rng.choice(("", "/", "/a b?c", "?q", "/é"))
    )

    def observe(_: Implementation) -> Any:
        uri = outcome(ValueError, parse_uri, text)
        if isinstance(uri, tuple):
            return uri
        asked = outcome(ValueError, lambda: ClientHandshake(uri).request())
        if isinstance(asked, tuple):
            return asked
        server = ServerHandshake()
        request = server.receive(asked)
        if request is None or request.target != uri.resource or Headers.of(request.headers)["Host"] != uri.host_header:
            raise Difference(f"{uri} was asked for, {request} arrived")
        return str(uri)

    return observe


TARGETS = (extensions, negotiation, server_handshake, client_handshake, uris)
