"""Class F: a head costs what its bytes cost, has limits, and ends in nothing but a refusal; nobody else notices."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
from attacks import chunks, play, receive, tries
from costs import assert_linear, kept, peak
from heads import assert_refused, assert_response_refused, refusal, request, response
from helpers import CLOSE, KEY, ROLES, TEXT, close_payload, frame
from net import REQUEST, echo, listen, raw_client, uri
from reference.frames import frames_of

from wscodec import (
    BadExtensions,
    BadRequest,
    ClientHandshake,
    Connection,
    HandshakeError,
    PerMessageDeflate,
    Role,
    ServerHandshake,
    extensions,
)
from wscodec.asyncio import Request, Response, ServerConnection, WebSocket, connect
from wscodec.handshake import agreed_extensions, offered_subprotocols

LARGE = {"max_line_size": 1 << 20, "max_head_size": 1 << 21, "max_headers": 1 << 20}
REQUIRED = {b"Host": 400, b"Upgrade": 426, b"Connection": 400, b"Sec-WebSocket-Key": 400, b"Sec-WebSocket-Version": 426}

# Of the header lines of `request` and `response`.
OWN_LINES = {Role.SERVER: 5, Role.CLIENT: 3}

roles = pytest.mark.parametrize("role", ROLES, ids=lambda role: role.value)


def listening(**options: Any) -> ServerHandshake:
    return ServerHandshake(compression=PerMessageDeflate(), **options)


def asking(**options: Any) -> ClientHandshake:
    return ClientHandshake("ws://example.com/", subprotocols=["chat"], compression=PerMessageDeflate(), **options)


def handshake_of(role: Role, **options: Any) -> tuple[ServerHandshake | ClientHandshake, bytes]:
    """Return our side, and the first line that it is sent."""
    if role is Role.SERVER:
        return listening(**options), b"GET / HTTP/1.1\r\n"
    return asking(**options), b"HTTP/1.1 101 Switching Protocols\r\n"


SLOW = [
    pytest.param(b"Sec-WebSocket-Protocol: b", b" ", b"x", marks=tries("CVE-2021-32640"), id="spaces"),
    pytest.param(b"Sec-WebSocket-Protocol: b", b" ,", b" x;", marks=tries("CVE-2021-32640"), id="commas"),
    pytest.param(b'Sec-WebSocket-Extensions: a; b="', b"\\c", b"", marks=tries("CVE-2020-7662"), id="escapes"),
    pytest.param(b"Sec-WebSocket-Extensions: a; b=", b" ", b'"', marks=tries("CVE-2020-7662"), id="blanks"),
    pytest.param(b"Sec-WebSocket-Extensions: a", b"; b=c", b'"', marks=tries("CVE-2020-7662"), id="parameters"),
    pytest.param(b"Connection: Upgrade", b", a ;", b"", marks=tries("CVE-2021-32640"), id="options"),
]


@pytest.mark.parametrize(("start", "middle", "end"), SLOW)
@roles
def test_a_long_value_takes_time_as_its_bytes(role: Role, start: bytes, middle: bytes, end: bytes) -> None:
    def make(count: int) -> Callable[[], object]:
        ours, _ = handshake_of(role, **LARGE)
        line = start + middle * count + end
        head = request(line) if isinstance(ours, ServerHandshake) else response(ours, line)
        return lambda: refusal(ours, head, len(head))

    assert_linear(make, 4000)


MANY = [
    pytest.param(b"X: y", b"\r\nX-%d: y", marks=tries("CVE-2023-43669"), id="lines"),
    pytest.param(b"X: y", b"\r\nX: %d", marks=tries("CVE-2023-43669"), id="lines-of-one-name"),
    pytest.param(
        b"Sec-WebSocket-Protocol: b", b", a%d", marks=tries("CVE-2021-32640", "CVE-2018-17281"), id="subprotocols"
    ),
    pytest.param(b"Sec-WebSocket-Extensions: a", b", a; b=%d", marks=tries("CVE-2020-7662"), id="extensions"),
    pytest.param(b"Sec-WebSocket-Extensions: a", b"; b%d", marks=tries("CVE-2020-7662"), id="parameters"),
    pytest.param(
        b"X: y", b"\r\nSec-WebSocket-Extensions: permessage-deflate; x=%d", marks=tries("CVE-2020-7662"), id="offers"
    ),
]


def answering(ours: ServerHandshake | ClientHandshake, head: bytes, step: int) -> Callable[[], object]:
    """Return what reads a head, which may be refused, and accepts it if it is a request."""

    def call() -> None:
        with contextlib.suppress(HandshakeError):
            for chunk in chunks(head, step):
                ours.receive(chunk)
            if isinstance(ours, ServerHandshake):
                ours.accept()

    return call


@pytest.mark.parametrize(("start", "each"), MANY)
@pytest.mark.parametrize("step", [20, 1 << 20], ids=["small-reads", "one-read"])
@roles
def test_many_elements_take_time_as_their_number(
    role: Role, step: int, start: bytes, each: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extensions, "_MAX_ELEMENTS", 1 << 20)

    def make(count: int) -> Callable[[], object]:
        ours, _ = handshake_of(role, **LARGE)
        line = start + b"".join(each % i for i in range(count))
        head = request(line) if isinstance(ours, ServerHandshake) else response(ours, line)
        return answering(ours, head, step)

    assert_linear(make, 400)


@tries("CVE-2021-32640", "CVE-2020-7662")
def test_a_long_value_takes_time_as_its_bytes_where_heads_are_parsed_elsewhere() -> None:
    def spaces(count: int) -> Callable[[], object]:
        def call() -> None:
            with pytest.raises(BadRequest):
                offered_subprotocols([("Sec-WebSocket-Protocol", "b" + " " * count + "x")])

        return call

    def quoted(count: int) -> Callable[[], object]:
        def call() -> None:
            with pytest.raises(BadExtensions):
                agreed_extensions([("Sec-WebSocket-Extensions", 'a; b="' + "\\c" * count)])

        return call

    assert_linear(spaces, 20_000)
    assert_linear(quoted, 20_000)


@tries("CVE-2024-37890")
@pytest.mark.parametrize("name", REQUIRED, ids=bytes.decode)
def test_any_header_may_be_missing(name: bytes) -> None:
    assert_refused(request(without=name), REQUIRED[name])


@tries("CVE-2024-37890", "CVE-2026-65624")
@pytest.mark.parametrize("line", [b"X-%d: y", b"X: y%d", b"Cookie: %d"], ids=["names", "one-name", "cookies"])
@roles
def test_header_lines_are_counted(role: Role, line: bytes) -> None:
    for count, error in ((128, None), (129, "HeadTooBig"), (2000, "HeadTooBig")):
        ours, _ = handshake_of(role)
        lines = [line % i for i in range(count - OWN_LINES[role])]
        if error is None:
            head = request(*lines) if isinstance(ours, ServerHandshake) else response(ours, *lines)
            assert ours.receive(head) is not None
        elif role is Role.SERVER:
            assert_refused(request(*lines), 431)
        else:
            assert_response_refused(asking, *lines, kind=error)


@tries("CVE-2026-54465", "CVE-2023-43669")
@roles
@pytest.mark.parametrize("line", [b"X: y\r\n", b"X: " + b"y" * 8000 + b"\r\n", b"y" * 100])
def test_an_endless_head_is_refused_and_not_kept(role: Role, line: bytes) -> None:
    ours, first = handshake_of(role)
    endless = line * 1000

    def begin() -> None:
        ours.receive(first)
        error = refusal(ours, endless, len(line))
        assert (type(error).__name__, error.status) == ("HeadTooBig", 431)

    def go_on() -> None:
        refusal(ours, line, 10)
        for _ in range(30):
            with pytest.raises(Exception, match="more than"):
                ours.receive(line * 10)

    assert peak(begin) < 250_000
    assert kept(go_on) < 30_000


@tries("CVE-2023-43669")
@roles
def test_a_head_that_drips_is_looked_at_once(role: Role) -> None:
    def make(count: int) -> Callable[[], object]:
        ours, first = handshake_of(role, **LARGE)
        ours.receive(first + b"X: ")
        return lambda: [ours.receive(b"y" * 50) for _ in range(count)]

    assert_linear(make, 300)


@tries("CVE-2026-54277", "CVE-2026-54465")
@roles
@pytest.mark.parametrize("step", [1, 1000, 8000, 20_000])
def test_a_line_is_measured_across_its_pieces(role: Role, step: int) -> None:
    for size, fits in ((8192, True), (8193, False), (15_000, False)):
        ours, first = handshake_of(role)
        head = first + b"X: " + b"y" * (size - 5) + b"\r\n"
        if fits:
            assert all(ours.receive(head[i : i + step]) is None for i in range(0, len(head), step))
        else:
            assert refusal(ours, head, step).status == 431


@tries("CVE-2026-61666")
@pytest.mark.parametrize(
    "host", [b"[", b"[]", b"[::1", b"::1", b"[::1]x", b"a:b", b"a:99999", b"a:-1", b"a:\xb2", b"a b", b"@", b"a@b",
             b"a/b", b"", b"[" + b"1:" * 4000 + b"]", b"a,b", b"[::1%25eth0]", b"%5b"],
)  # fmt: skip
def test_a_malformed_host_is_refused(host: bytes) -> None:
    assert_refused(request(b"Host: " + host, without=b"Host"), 400)


@tries("CVE-2026-55517")
@pytest.mark.parametrize(
    "line", [b"Sec-WebSocket-Protocol: \xff\xfe", b"Sec-WebSocket-Protocol: \xb2", b"\xff\xfe: a", b"X\x80: a"]
)
def test_bytes_above_ascii_are_refused_where_a_token_stands(line: bytes) -> None:
    assert_response_refused(asking, line)
    assert_refused(request(line), 400)


@tries("CVE-2026-55517")
def test_bytes_above_ascii_are_text_elsewhere() -> None:
    ours = asking()
    assert ours.receive(response(ours, b"X: \x80\xff")).headers["X"] == "\x80\xff"


@tries("CVE-2018-17281")
@pytest.mark.parametrize("name", [b"a%d", b"%d" + b"y" * 4000], ids=["many", "long"])
def test_subprotocols_without_number(name: bytes) -> None:
    lines, rest = [], (name % i for i in itertools.count())
    while len(lines) < 7:
        line = b"Sec-WebSocket-Protocol: " + next(rest)
        while len(line) < 4000:
            line += b"," + next(rest)
        lines.append(line)
    ours = ServerHandshake(subprotocols=["chat"])
    assert peak(lambda: ours.receive(request(*lines))) < 1_000_000
    assert ours.accept().startswith(b"HTTP/1.1 101 ")
    assert ours.subprotocol is None


POST = b"POST /chat HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{"
UPGRADED = b"HTTP/1.1 101 "
BAD_ENDS: list[tuple[str, bytes, bytes, int | None, tuple[str, ...]]] = [
    # What is sent, how the answer begins, and the code of the Close frame in it.
    ("byte-behind-the-request", REQUEST + b"x", UPGRADED, 1002, ("hypercorn #225",)),
    ("blank-lines-behind-the-request", REQUEST + b"\r\n\r\n", UPGRADED, 1002, ("y-provider", "CVE-2022-39386")),
    ("reserved-bit", REQUEST + frame(TEXT, b"a", rsv=1, key=KEY), UPGRADED, 1002, ("y-provider", "CVE-2022-39386")),
    ("unmasked", REQUEST + frame(TEXT, b"a"), UPGRADED, 1002, ("CVE-2022-39386",)),
    ("not-utf-8", REQUEST + frame(TEXT, b"\xff", key=KEY), UPGRADED, 1007, ("CVE-2022-39386",)),
    ("no-http", bytes(range(256)), b"HTTP/1.1 400 ", None, ("CVE-2022-41940",)),
    ("post", POST, b"HTTP/1.1 400 ", None, ("CVE-2022-41940",)),
    ("bad-path", REQUEST.replace(b"/chat", b"\xff//[%"), b"HTTP/1.1 400 ", None, ("CVE-2022-41940", "CVE-2020-7693")),
    ("half-a-request", REQUEST[:50], b"HTTP/1.1 400 ", None, ("CVE-2022-41940",)),
    ("nothing", b"", b"", None, ("CVE-2022-41940", "OpenHands PR 4169")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("sent", "answer", "code"), [pytest.param(*case, id=name, marks=tries(*faults)) for name, *case, faults in BAD_ENDS]
)
def test_a_bad_peer_is_nobody_elses_business(sent: bytes, answer: bytes, code: int | None) -> None:
    async def main() -> None:
        async with listen(echo) as server, connect(uri(server)) as bystander:
            async with raw_client(server, None) as peer:
                peer.send(sent)
                peer.writer.write_eof()
                head, _, rest = (await peer.reader.read()).partition(b"\r\n\r\n")
            assert head.startswith(answer)
            if code is not None:
                assert [(sent.opcode, sent.payload[:2]) for sent in frames_of(rest)] == [(CLOSE, close_payload(code))]
            await bystander.send("still here")
            assert await bystander.recv() == "still here"
            async with connect(uri(server)) as later:
                await later.send("too")
                assert await later.recv() == "too"

    play(main)


@tries("hypercorn #225")
@roles
def test_bytes_behind_the_head_are_frames(role: Role) -> None:
    data = frame(TEXT, b"early", key=KEY if role is Role.SERVER else None)
    ours: Any = ServerHandshake() if role is Role.SERVER else asking()
    assert ours.receive((request() if role is Role.SERVER else response(ours)) + data) is not None
    assert receive(Connection(role), ours.trailing, 1) == ["early"]


@tries("CVE-2020-7693")
def test_an_upgrade_on_another_path_gets_the_applications_answer() -> None:
    async def only_chat(ws: ServerConnection, request: Request) -> Response | None:
        await asyncio.sleep(0)
        return None if request.path == "/chat" else ws.respond(404, "not here\n")

    async def main() -> None:
        async with listen(echo, process_request=only_chat) as server:
            for path in (b"/", b"/chat/123/abc/websocket", b"//", b"/chat\xff"):
                async with raw_client(server, None) as peer:
                    peer.send(REQUEST.replace(b"/chat", path) + frame(TEXT, b"early", key=KEY))
                    assert (await peer.reader.read()).startswith(b"HTTP/1.1 40")
            async with connect(uri(server, "/chat")) as ws:
                await ws.send("hi")
                assert await ws.recv() == "hi"

    play(main)


def answer_in_json(ws: WebSocket, messages: list[Any]) -> None:
    for message in messages:
        ws.send_nowait(json.dumps(json.loads(message)))


@tries("CVE-2025-43855")
@pytest.mark.parametrize("callback", [False, True])
def test_an_application_that_raises_ends_its_connection_alone(callback: bool, caplog: pytest.LogCaptureFixture) -> None:
    async def handler(ws: WebSocket) -> None:
        async for message in ws:
            answer_in_json(ws, [message])

    async def main() -> None:
        options: dict[str, Any] = {"on_messages": answer_in_json} if callback else {"handler": handler}
        async with listen(**options) as server, connect(uri(server)) as good, connect(uri(server)) as bad:
            await bad.send("not what was expected")
            await bad.wait_closed()
            assert bad.close_code == 1011
            await good.send("[1]")
            assert await good.recv() == "[1]"

    play(main)
    assert "failed" in caplog.text


@tries("CVE-2025-43855")
def test_a_client_that_raises_ends_its_connection_alone(caplog: pytest.LogCaptureFixture) -> None:
    options: dict[str, Any] = {"on_messages": answer_in_json}

    async def main() -> None:
        arrived: asyncio.Queue[ServerConnection] = asyncio.Queue()

        async def handler(ws: ServerConnection) -> None:
            await arrived.put(ws)
            await ws.wait_closed()

        async with (
            listen(handler) as server,
            connect(uri(server), **options) as client,
            connect(uri(server), **options),
        ):
            bad, good = await arrived.get(), await arrived.get()
            await bad.send("not what was expected")
            await client.wait_closed()
            assert bad.close_code == client.close_code == 1011
            await good.send("[1]")
            assert await good.recv() == "[1]"

    play(main)
    assert "failed" in caplog.text
