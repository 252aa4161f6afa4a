"""The command line tools, and the choice between them.

A command is one module of this package, with a line in `COMMANDS`: it has `HELP`, `configure(parser)`, and
`run(args)`, which returns the exit code: 0 for done, 1 for failed, 2 for wrong arguments.

Floor 6.
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Sequence
from typing import Protocol

import wscodec
from wscodec.compression import engine_name

from . import connect, loop, run, serve

__all__ = ["main"]

INTERRUPTED = 130


class Command(Protocol):
    """What the module of a command has."""

    HELP: str

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments to its own `parser`."""

    def run(self, args: argparse.Namespace) -> int:
        """Do it, and return the exit code."""


COMMANDS: dict[str, Command] = {"serve": serve, "connect": connect, "run": run}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that `argv` (or else the command line) names, and return the exit code."""
    parser = _parser()
    args = parser.parse_args(argv)
    if args.version:
        print(_version())
        return 0
    if args.command is None:
        parser.print_help(sys.stderr)
        return 2
    try:
        return COMMANDS[args.command].run(args)
    except KeyboardInterrupt:
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = argparse.ArgumentParser(prog="python -m wscodec", description="Tools for WebSocket connections.")
    parser.add_argument("--version", action="store_true", help="print the version and what it runs on")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, command in COMMANDS.items():
        command.configure(commands.add_parser(name, help=command.HELP, description=command.HELP))
    return parser


def _version() -> str:
    """Return what `--version` prints: what a report of a bug should begin with."""
    best, *others = wscodec.kernels()
    facts = {
        "backend": wscodec.backend,
        "kernels": f"{best} (over {', '.join(others)})" if others else best,
        "deflate": engine_name(),
        "Python": f"{platform.python_version()} ({platform.python_implementation()})",
        "uvloop": "yes" if loop.has_uvloop() else "no",
    }
    return "\n".join([f"wscodec {wscodec.__version__}", *(f"{name}: {fact}" for name, fact in facts.items())])
