"""`serve`: an echo server, or the demo page with what it needs.

Floor 6.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import socket
from typing import Any

from wscodec.asyncio import ServerConnection
from wscodec.asyncio import serve as listen

from . import loop
from .demo import Demo
from .report import complain, why

__all__ = ["HELP", "configure", "run"]

HELP = "serve an echo of every message, or a page to try it on"

ECHO_MAX_SIZE = 1 << 20
DEMO_MAX_SIZE = 16 << 20
DEMO_LEAST_SIZE = 1024  # an order to close with a long reason has a few hundred bytes
LAST_PORT = 65535
CLOSE_TIMEOUT = 2  # seconds; browsers hold connections open that they never use, and Ctrl-C waits for them


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `serve`."""
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--echo", action="store_true", help="send every message back, on any path")
    what.add_argument("--demo", action="store_true", help="serve the demo page, and its connections, over HTTP")
    parser.add_argument("--host", default="127.0.0.1", metavar="H", help="the address to listen on (%(default)s)")
    parser.add_argument("--port", type=_port, default=8765, metavar="N", help="0 for any free one (%(default)s)")
    parser.add_argument(
        "--max-size",
        type=_size,
        metavar="BYTES",
        help=f"the largest message to accept ({ECHO_MAX_SIZE}; with --demo {DEMO_MAX_SIZE})",
    )
    parser.set_defaults(usage_error=parser.error)


def run(args: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM."""
    if not (args.echo or args.demo):
        args.usage_error("nothing to serve: say --echo or --demo")
    if args.demo and args.max_size is not None and args.max_size < DEMO_LEAST_SIZE:
        args.usage_error(f"argument --max-size: --demo needs {DEMO_LEAST_SIZE} or more")
    return loop.run(_echo(args) if args.echo else _demo(args))


def _port(text: str) -> int:
    """Return the port that `text` names."""
    if not text.isdecimal() or int(text) > LAST_PORT:
        raise argparse.ArgumentTypeError(f"a port is a number from 0 to {LAST_PORT}, not {text!r}")
    return int(text)


def _size(text: str) -> int:
    """Return the size in bytes that `text` names."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"a size is a number of bytes, 1 or more, not {text!r}")
    return int(text)


async def _echo(args: argparse.Namespace) -> int:
    """Serve echoes."""
    # No handler and no task for each connection: a callback sends a whole burst back in one write.
    # Every page may connect: it hears what it says, and nothing else.
    options = {"on_messages": _send_back, "origins": None, "max_size": args.max_size or ECHO_MAX_SIZE}
    return await _serve("ws", args, None, **options)


def _send_back(ws: ServerConnection, messages: list[str | bytes]) -> None:
    """Send messages back as they came, text as text and binary as binary."""
    ws.send_many(messages)


async def _demo(args: argparse.Namespace) -> int:
    """Serve the page."""
    max_size = args.max_size or DEMO_MAX_SIZE
    demo = Demo(max_size)
    return await _serve("http", args, demo.handle, process_request=demo.process_request, max_size=max_size)


async def _serve(scheme: str, args: argparse.Namespace, handler: Any, **options: Any) -> int:
    """Listen, say where, and stop when told to: connections are closed with 1001."""
    stop = asyncio.Event()
    _on_signals(stop)
    options["close_timeout"] = CLOSE_TIMEOUT
    try:
        server = await listen(handler, args.host, args.port, **options)
    except OSError as error:
        complain("serve", f"can't listen on {args.host}:{args.port}: {why(error)}")
        return 1
    print(f"listening on {_address(scheme, server.sockets[0])}", flush=True)
    try:
        await stop.wait()
    finally:
        server.close()
        await server.wait_closed()
    return 0


def _on_signals(stop: asyncio.Event) -> None:
    """Set `stop` on the first SIGINT or SIGTERM; the second one has its usual effect."""
    running = asyncio.get_running_loop()

    def stopped() -> None:
        stop.set()
        for number in (signal.SIGINT, signal.SIGTERM):
            running.remove_signal_handler(number)

    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            running.add_signal_handler(number, stopped)
    except NotImplementedError:  # on Windows, where Ctrl-C ends `stop.wait()` with a KeyboardInterrupt
        pass


def _address(scheme: str, sock: socket.socket) -> str:
    """Return the address of a listening socket as a URI."""
    host, port = sock.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}/" if ":" in host else f"{scheme}://{host}:{port}/"
