"""What applications and clients do to each other, and where we mean to differ from Uvicorn's own classes."""

from __future__ import annotations

import asyncio
import contextlib
import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from helpers import BINARY, CONT, PING, TEXT
from uvicorn_host import App, Client

ACCEPT = {"type": "websocket.accept"}
CONNECT = {"type": "websocket.connect"}
DISCONNECT = "websocket.disconnect"
ERROR = (500, {"content-length": "21", "content-type": "text/plain; charset=utf-8"}, b"Internal Server Error")


def closed(code: int, reason: str) -> dict[str, Any]:
    return {"type": DISCONNECT, "code": code, "reason": reason}


def text(value: str) -> dict[str, Any]:
    return {"type": "websocket.send", "text": value}


def start(status: int, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "websocket.http.response.start", "status": status, "headers": list(headers)}


def body(data: bytes, more: bool = False) -> dict[str, Any]:
    return {"type": "websocket.http.response.body", "body": data, "more_body": more}


# ------------------------------------------------------------------------------------------------ applications


async def echo(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send(ACCEPT)
    while (message := await receive())["type"] != DISCONNECT:
        await send({**message, "type": "websocket.send"})


def saying(*messages: dict[str, Any]) -> App:
    """Return an application that waits for the client, says this, whatever is raised, and hears one thing more."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        for message in messages:
            with contextlib.suppress(Exception):
                await send(message)
        await receive()

    return app


def doing(*messages: dict[str, Any], error: Exception | None = None, result: Any = None) -> App:
    """Return an application that says this, and then raises, or returns something."""

    async def app(scope: Any, receive: Any, send: Any) -> Any:
        await receive()
        for message in messages:
            await send(message)
        if error is not None:
            raise copy.copy(error)  # one that has been raised holds on to the frames it came through
        return result

    return app


async def not_waiting(scope: Any, receive: Any, send: Any) -> None:
    """Accept before being told that there is a client."""
    await send(ACCEPT)
    while (await receive())["type"] != DISCONNECT:
        pass


async def slow_echo(scope: Any, receive: Any, send: Any) -> None:
    """Accept after a while."""
    await receive()
    await asyncio.sleep(0.05)

    async def connected() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    told = [connected]
    await echo(scope, lambda: told.pop()() if told else receive(), send)


async def late(scope: Any, receive: Any, send: Any) -> None:
    """Accept once the client is gone."""
    await receive()
    await receive()
    with contextlib.suppress(OSError):
        await send(ACCEPT)


async def flooding(scope: Any, receive: Any, send: Any) -> None:
    """Send until the client is gone."""
    await receive()
    await send(ACCEPT)
    while True:
        await send({"type": "websocket.send", "bytes": b"x" * 65536})
        await asyncio.sleep(0)


async def after_the_end(scope: Any, receive: Any, send: Any) -> None:
    """Send and receive once the client is gone."""
    await receive()
    await send(ACCEPT)
    await receive()
    await send(text("too late"))


async def two_receivers(scope: Any, receive: Any, send: Any) -> None:
    """Wait in a second task before the client is accepted."""
    await receive()
    task = asyncio.ensure_future(receive())
    await asyncio.sleep(0)
    await send(ACCEPT)
    await task
    await receive()


# ----------------------------------------------------------------------------------------------------- clients


def talk(*frames: tuple[int, bytes] | bytes, answers: int = 0, close: bool = True) -> Callable[[Client], None]:
    """Return a client that sends this, reads so many frames, and closes the connection."""

    def play(client: Client) -> None:
        if client.response() != 101:
            return
        client.send(*(each if isinstance(each, bytes) else client.frame(*each) for each in frames))
        client.read(answers)
        if close:
            client.close()
        else:
            client.finish()

    return play


def listen(client: Client) -> None:
    """Read to the end, and answer a Close frame."""
    if client.response() == 101:
        client.finish()


def leave(client: Client) -> None:
    """Go without a Close frame."""
    client.response()
    client.settled()


def leave_early(client: Client) -> None:
    """Go before there is an answer."""
    client.wait_until_told()


def leave_while_reading(client: Client) -> None:
    client.response()
    client.read(3)
    client.seen.clear()


def in_fragments(client: Client) -> None:
    client.response()
    client.send(client.frame(TEXT, b"\xf0\x9f", fin=False), client.frame(PING, b"?"))
    client.send(client.frame(CONT, b"\x98", fin=False), client.frame(CONT, b"\x80"))
    client.read(2)
    client.close(4000, b"enough")


def early(client: Client) -> None:
    client.wait_until_told()
    client.send(client.frame(TEXT, b"early"))
    talk(answers=1)(client)


def closing(code: int | None, reason: bytes = b"") -> Callable[[Client], None]:
    def play(client: Client) -> None:
        client.response()
        client.close(code, reason)

    return play


@dataclass(frozen=True)
class Scenario:
    """An application and a client; and whom of Uvicorn's classes we differ from, in what and why."""

    app: App
    play: Callable[[Client], None]
    headers: bytes = b""
    path: str = "/"
    key: bytes = b"dGhlIHNhbXBsZSBub25jZQ=="
    version: bytes = b"13"
    differs: tuple[str, str] = ("", "")  # in which fields, and why


CLOSING = ("client", "RFC 6455 §7.1.1: a Close frame ends a connection; Uvicorn's classes cut it here")
FAILING = ("app client log", "RFC 6455 §7.1.5: the code of the failure; the classes have other reasons, or 1006")
CODE = ("app", "RFC 6455 §7.1.5: 1006 where there is no Close frame; sansio says 1005, which is a frame without a code")
STRICT = ("app client log", "RFC 6455 §4.2.2: a server picks from what the client offers; the classes send anything")
HALF = ("client log", "500, for the response was never whole; `websockets` sends its status, sansio nothing")
GONE = ("app log", "ASGI: sending to a client that is gone raises OSError; `websockets` accepts or raises RuntimeError")
OWN = ("app", "the application's own code and reason; `websockets` says 1005")
WORDS = ("client log", "other words; sansio complains of an application that has answered with a response")
REFUSAL = ("client", "other words; 426 for a version that we don't know (RFC 6455 §4.4), where the classes say 400")
LIMIT = ("app client log", "the classes have a limit of 8 KiB for each line beside Uvicorn's own; sansio never answers")
LATIN = ("app client log", "header values are latin-1; `websockets` fails on them")
LATE = ("app log", "`websockets` raises ValueError, after its line in the log")
LOG = ("log", WORDS[1])
NOTHING = ("app client log", "nothing is sent, as in sansio; `websockets` raises TypeError")
UNFIT = ("app client log", "a code that can't be sent is a ValueError, and the connection ends with 1011")

SCENARIOS = {
    "text": Scenario(echo, talk((TEXT, "grüß".encode()), (TEXT, b""), answers=2)),
    "binary": Scenario(echo, talk((BINARY, b"\0\xff"), (BINARY, b""), answers=2)),
    "many": Scenario(echo, talk(*[(TEXT, b"%d" % i) for i in range(200)], answers=200)),
    "large": Scenario(echo, talk((TEXT, "ä1".encode() * 400_000), (BINARY, b"x" * 1_000_000), answers=2)),
    "fragments": Scenario(echo, in_fragments),
    "ping": Scenario(echo, talk((PING, b"a" * 125), answers=1)),
    "early data": Scenario(slow_echo, early),
    "reserved bit": Scenario(echo, talk(b"\xc1\x80\0\0\0\0", close=False), differs=FAILING),
    "not masked": Scenario(echo, talk(b"\x81\x01a", close=False), differs=FAILING),
    "opcode": Scenario(echo, talk((0x3, b""), close=False), differs=FAILING),
    "ping too long": Scenario(echo, talk((PING, b"a" * 126), close=False), differs=FAILING),
    "bad utf-8": Scenario(echo, talk((TEXT, b"\xff"), close=False), differs=FAILING),
    "client closes": Scenario(echo, closing(1000)),
    "client closes 4321": Scenario(echo, closing(4321, b"weil")),
    "client closes without code": Scenario(echo, closing(None)),
    "client closes badly": Scenario(echo, closing(1005), differs=FAILING),
    "client cuts": Scenario(echo, leave, differs=CODE),
    "app closes": Scenario(saying(ACCEPT, {"type": "websocket.close"}), listen, differs=OWN),
    "app closes 4000": Scenario(
        saying(ACCEPT, text("bye"), {"type": "websocket.close", "code": 4000, "reason": "why"}), listen, differs=OWN
    ),
    "app closes with no reason": Scenario(doing(ACCEPT, {"type": "websocket.close", "reason": None}), listen),
    "app closes with 1005": Scenario(doing(ACCEPT, {"type": "websocket.close", "code": 1005}), listen, differs=UNFIT),
    "app returns": Scenario(doing(ACCEPT, text("bye")), listen, differs=CLOSING),
    "app returns something": Scenario(doing(ACCEPT, result=1), listen, differs=CLOSING),
    "app raises": Scenario(doing(ACCEPT, text("bye"), error=ValueError("no")), listen, differs=CLOSING),
    "app raises first": Scenario(doing(error=ValueError("no")), listen),
    "app returns first": Scenario(doing(), listen, differs=WORDS),
    "subprotocol": Scenario(
        doing({**ACCEPT, "subprotocol": "b"}, {"type": "websocket.close"}), listen, b"Sec-WebSocket-Protocol: a, b\r\n"
    ),
    "subprotocol that nobody offered": Scenario(doing({**ACCEPT, "subprotocol": "c"}), listen, differs=STRICT),
    "headers": Scenario(
        doing({**ACCEPT, "headers": [(b"X-Y", b"1"), (b"set-cookie", b"a=b")]}, {"type": "websocket.close"}), listen
    ),
    "path": Scenario(echo, talk(), path="/r%C3%A4um?a=%20&b"),
    "latin-1": Scenario(echo, talk(), b"X-A: 1\r\nX-A: \xe4\r\n", differs=LATIN),
    "origin of another page": Scenario(echo, talk((TEXT, b"a"), answers=1), b"Origin: https://elsewhere.example\r\n"),
    "long headers": Scenario(echo, talk(), b"Cookie: " + b"a" * 12_000 + b"\r\n", differs=LIMIT),
    "reject": Scenario(saying({"type": "websocket.close", "code": 4000, "reason": "why"}), listen, differs=WORDS),
    "response": Scenario(
        saying(start(418, (b"x-y", b"1"), (b"content-type", b"text/html")), body(b"<p>", True), body(b"!")),
        listen,
        differs=LOG,
    ),
    "response without headers": Scenario(doing(start(404), body(b"hard")), listen, differs=WORDS),
    "response of 700": Scenario(doing(start(700), body(b"")), listen, differs=LATE),
    "response without body": Scenario(doing(start(404)), listen, differs=HALF),
    "response, then another thing": Scenario(doing(start(404), ACCEPT), listen, differs=HALF),
    "client leaves early": Scenario(late, leave_early, differs=GONE),
    "client leaves while sent to": Scenario(flooding, leave_while_reading),
    "send to nobody": Scenario(after_the_end, talk(), differs=GONE),
    "send after close": Scenario(
        saying(ACCEPT, {"type": "websocket.close"}, text("?"), {"type": "websocket.close"}), listen, differs=OWN
    ),
    "accept twice": Scenario(doing(ACCEPT, ACCEPT), listen, differs=CLOSING),
    "send first": Scenario(doing(text("?")), listen),
    "nonsense": Scenario(doing(ACCEPT, {"type": "websocket.nonsense"}), listen, differs=CLOSING),
    "nothing to send": Scenario(
        doing(ACCEPT, {"type": "websocket.send"}, {"type": "websocket.close"}), listen, differs=NOTHING
    ),
    "accept without listening": Scenario(not_waiting, talk((TEXT, b"a"))),
    "two receivers": Scenario(two_receivers, talk((TEXT, b"a"))),
    "no key": Scenario(echo, listen, key=b"", differs=REFUSAL),
    "version 12": Scenario(echo, listen, version=b"12", differs=REFUSAL),
}

# What ours tells the application last and shows the client last (but for the end), where the classes are no measure.
OURS: dict[str, tuple[Any, Any]] = {
    "reserved bit": (closed(1002, "a reserved bit is set"), (0x88, b"\x03\xeaa reserved bit is set")),
    "not masked": (closed(1002, "a frame is not masked"), (0x88, b"\x03\xeaa frame is not masked")),
    "opcode": (closed(1002, "opcode 3 is reserved"), (0x88, b"\x03\xeaopcode 3 is reserved")),
    "bad utf-8": (closed(1007, "a text message is not UTF-8"), (0x88, b"\x03\xefa text message is not UTF-8")),
    "client cuts": (closed(1006, ""), (101, {})),
    "app closes": (closed(1000, ""), (0x88, b"\x03\xe8")),
    "app closes 4000": (closed(4000, "why"), (0x88, b"\x0f\xa0why")),
    "app closes with 1005": ("ValueError", (0x88, b"\x03\xf3")),
    "app returns": (CONNECT, (0x88, b"\x03\xe8")),
    "app returns something": (CONNECT, (0x88, b"\x03\xe8")),
    "app raises": (CONNECT, (0x88, b"\x03\xf3")),
    "accept twice": ("RuntimeError", (0x88, b"\x03\xf3")),
    "app returns first": (CONNECT, ERROR),
    "subprotocol that nobody offered": ("ValueError", ERROR),
    "response without body": (CONNECT, ERROR),
    "response, then another thing": ("RuntimeError", ERROR),
    "client leaves early": ("ClientDisconnected", None),
    "send to nobody": ("ClientDisconnected", (0x88, b"\x03\xe8")),
}
