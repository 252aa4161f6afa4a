"""`connect`: a WebSocket client for the terminal and for pipes.

Lines of the input are sent as text messages; what arrives is printed, a message a line. The end of a piped
input ends the connection, a while after the last answer.

Floor 6.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import re
import ssl
import sys
import threading
import time
from collections.abc import AsyncIterator
from concurrent.futures import CancelledError
from typing import Any

from wscodec.asyncio import ClientConnection
from wscodec.asyncio import connect as open_connection
from wscodec.errors import ConnectionClosed, WebSocketError
from wscodec.spec import MAX_CONTROL_LENGTH, MAX_REASON_SIZE, CloseCode, is_sendable_close_code

from . import loop
from .report import complain, why

__all__ = ["HELP", "configure", "run"]

HELP = "connect to a server, send the lines of the input, print what comes back"
COMMANDS = """\
/ping [TEXT]            send a ping, and print how long the pong took
/bin HEX                send a binary message
/close [CODE [REASON]]  close the connection
/help                   print this
//...                   send a text that begins with one slash"""

STDIN = 0
READ_SIZE = 65536
SHOWN_BYTES = 64

# What could move a terminal's cursor, change its colours or turn its text around.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


class BadCommand(Exception):
    """A line that is a command, but not one that can be carried out."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `connect`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = f"commands among the lines of the input:\n{COMMANDS}"
    parser.add_argument("uri", metavar="URI", help="ws://... or wss://...")
    parser.add_argument(
        "-H",
        "--header",
        action="append",
        type=_header,
        default=[],
        metavar="'NAME: VALUE'",
        help="a header to send",
    )
    parser.add_argument("--subprotocol", action="append", metavar="P", help="a subprotocol to offer; can be repeated")
    parser.add_argument("--insecure", action="store_true", help="accept any certificate")
    parser.add_argument(
        "--wait",
        type=_seconds,
        default=0.5,
        metavar="SECONDS",
        help="after the end of a piped input, close when nothing has come for so long (%(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Talk to the server until the input, the output or the connection ends; 1 where it failed or was lost."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        return loop.run(_connect(args))
    except BrokenPipeError:  # nobody reads what we print, such as `head` that has had its lines
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left would fail at exit
        return 0


def _header(text: str) -> tuple[str, str]:
    """Return the name and the value of the header that `text` is."""
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise argparse.ArgumentTypeError(f"a header is 'Name: value', not {text!r}")
    return name.strip(), value.strip()


def _seconds(text: str) -> float:
    """Return the time that `text` names."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"a time is a number of seconds, not {text!r}")
    return seconds


def _options(args: argparse.Namespace) -> dict[str, Any]:
    """Return what `args` asks of the connection."""
    options: dict[str, Any] = {"additional_headers": args.header, "subprotocols": args.subprotocol}
    if args.insecure and args.uri.startswith("wss:"):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        options["ssl"] = context
    return options


async def _connect(args: argparse.Namespace) -> int:
    """Open the connection, use it, and say how it ended."""
    try:
        ws = await open_connection(args.uri, **_options(args))
    except (OSError, ValueError, WebSocketError) as error:
        complain("connect", _escape(f"can't connect to {args.uri}: {why(error)}"))
        return 1
    async with ws:
        _note(f"connected to {args.uri}" + (f", subprotocol {ws.subprotocol}" if ws.subprotocol else ""))
        await _Session(ws, args.wait).run()
    _note(_escape(f"closed {ws.close_code} {ws.close_reason or ''}".rstrip()))
    return 1 if ws.close_code == CloseCode.ABNORMAL_CLOSURE else 0


class _Session:
    """One open connection between the server and the two ends of the terminal."""

    def __init__(self, ws: ClientConnection, wait: float) -> None:
        self._ws = ws
        self._wait = wait
        self._heard = asyncio.Event()

    async def run(self) -> None:
        """Send and print until the input ends, or the connection does."""
        sender = asyncio.create_task(self._send_lines())
        printer = asyncio.create_task(self._print_messages())
        await asyncio.wait({sender, printer}, return_when=asyncio.FIRST_COMPLETED)
        if not printer.done() and not os.isatty(STDIN):
            await self._fall_silent(printer)
        await self._ws.close()
        sender.cancel()
        await asyncio.wait({sender, printer})
        for task in (sender, printer):
            if not task.cancelled():
                task.result()  # what went wrong in it, if anything did

    async def _fall_silent(self, printer: asyncio.Task[None]) -> None:
        """Wait until nothing has come for a while, or the connection has ended."""
        while not printer.done():
            self._heard.clear()
            try:
                async with asyncio.timeout(self._wait):
                    await self._heard.wait()
            except TimeoutError:
                return

    async def _print_messages(self) -> None:
        """Print what comes, until the connection ends."""
        try:
            async for message in self._ws:
                print(_line(message), flush=True)
                self._heard.set()
        except ConnectionClosed:
            pass  # the code is printed at the end
        self._heard.set()

    async def _send_lines(self) -> None:
        """Send the lines of the input and carry out the commands among them, until the input ends."""
        async for line in _input_lines():
            try:
                await self._obey(line)
            except BadCommand as error:
                complain("connect", str(error))
            except ConnectionClosed:
                return

    async def _obey(self, line: str) -> None:
        """Send `line`, or do what it says."""
        command, _, rest = line.partition(" ")
        match command:
            case "/ping":
                await self._ping(rest)
            case "/bin":
                await self._ws.send(_from_hex(rest))
            case "/close":
                await self._ws.close(*_close_arguments(rest))
            case "/help":
                _note(COMMANDS)
            case _ if line.startswith("/") and not line.startswith("//"):
                raise BadCommand(f"there is no command {command}; /help lists those that are")
            case _:
                await self._ws.send(line.removeprefix("/"))

    async def _ping(self, text: str) -> None:
        """Send a ping and print how long its pong took."""
        if len(text.encode()) > MAX_CONTROL_LENGTH:
            raise BadCommand(f"a ping has at most {MAX_CONTROL_LENGTH} bytes")
        start = time.perf_counter()
        await (await self._ws.ping(text or None))
        _note(f"pong after {1000 * (time.perf_counter() - start):.2f} ms")


def _from_hex(text: str) -> bytes:
    """Return the bytes that `text` spells."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise BadCommand("/bin takes hexadecimal digits, such as /bin 00ff") from None


def _close_arguments(text: str) -> tuple[int, str]:
    """Return the code and the reason that follow `/close`."""
    digits, _, reason = text.strip().partition(" ")
    code = int(digits) if digits.isdecimal() else 0
    if digits and not is_sendable_close_code(code):
        raise BadCommand("/close takes a code that may be sent, such as 1000 or 3000 to 4999, and a reason")
    if len(reason.encode()) > MAX_REASON_SIZE:
        raise BadCommand(f"a reason has at most {MAX_REASON_SIZE} bytes")
    return code or CloseCode.NORMAL_CLOSURE, reason


async def _input_lines() -> AsyncIterator[str]:
    """Yield the lines of the standard input.

    A thread reads them, below Python's own buffers: event loops can't wait for files, and a thread that is in
    `sys.stdin.readline()` when the program ends makes it crash.
    """
    chunks: asyncio.Queue[bytes] = asyncio.Queue(maxsize=1)
    running = asyncio.get_running_loop()
    threading.Thread(target=_read_input, args=(chunks, running), daemon=True).start()
    rest = b""
    while chunk := await chunks.get():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield _decode(line)
    if rest:
        yield _decode(rest)


def _read_input(chunks: asyncio.Queue[bytes], running: asyncio.AbstractEventLoop) -> None:
    """Put what the standard input holds into `chunks`, and b"" at its end, as fast as they are taken."""
    chunk = b"?"
    while chunk:
        try:
            chunk = os.read(STDIN, READ_SIZE)
        except OSError:
            chunk = b""  # it is closed
        putting = chunks.put(chunk)
        try:
            asyncio.run_coroutine_threadsafe(putting, running).result()
        except (RuntimeError, CancelledError):
            putting.close()
            return  # the program is at its end


def _decode(line: bytes) -> str:
    """Return a line of the input as text."""
    return line.removesuffix(b"\r").decode(errors="replace")


def _line(message: str | bytes) -> str:
    """Return what is printed for `message`: one line."""
    if isinstance(message, str):
        return f"< {_escape(message)}"
    shown = message[:SHOWN_BYTES].hex()
    return f"< binary, {len(message)} bytes: {shown}{'...' if len(message) > SHOWN_BYTES else ''}"


def _escape(text: str) -> str:
    """Return `text` without anything that could command the terminal."""
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def _note(text: str) -> None:
    """Print something that is no message."""
    for line in text.splitlines():
        print(f"* {line}", flush=True)
