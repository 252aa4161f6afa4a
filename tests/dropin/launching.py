"""What the tests of the launcher share: servers that it runs in a process of their own."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import wscodec
from wscodec.asyncio import ClientConnection, connect

TIMEOUT = 40  # seconds: for what hangs; no test waits for it
RUN = [sys.executable, "-m", "wscodec", "run"]

needs_signals = pytest.mark.skipif(sys.platform == "win32", reason="no SIGTERM to send on Windows")


def environment() -> dict[str, str]:
    """Return the environment of a user who has wscodec installed."""
    return {**os.environ, "PYTHONPATH": str(Path(wscodec.__file__).parents[1]), "PYTHONDONTWRITEBYTECODE": "1"}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def talk(command: list[str], port: int, folder: Path, client: Callable[[ClientConnection], Awaitable[Any]]) -> str:
    """Run a server, have a client talk to it, and stop it; return what the server wrote to stderr."""
    with subprocess.Popen(command, cwd=folder, env=environment(), stderr=subprocess.PIPE, text=True) as process:
        try:
            asyncio.run(_talk(f"ws://127.0.0.1:{port}/", process, client))
        finally:
            process.terminate()
            _, errors = process.communicate(timeout=TIMEOUT)
    assert "Traceback" not in errors
    assert process.returncode in (0, -signal.SIGTERM)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)
    return errors


async def _talk(uri: str, process: subprocess.Popen[str], client: Callable[[ClientConnection], Awaitable[Any]]) -> None:
    async with asyncio.timeout(TIMEOUT):
        async with await _connected(uri, process) as ws:
            await client(ws)


async def _connected(uri: str, process: subprocess.Popen[str]) -> ClientConnection:
    """Connect to a server that is about to start."""
    while True:
        try:
            return await connect(uri)
        except OSError:
            assert process.poll() is None, process.communicate()
            await asyncio.sleep(0.05)
