"""Each example runs by the command that examples/README.md has for it, echoes, and is on our codec."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from wscodec.asyncio import ClientConnection, connect

FOLDER = Path(__file__).parents[2] / "examples"
README = FOLDER / "README.md"
COMMANDS = re.findall(r"\| (\S+) \| `(.+)` \| `(python -m wscodec run .+)` \|", README.read_text(encoding="utf-8"))
TIMEOUT = 40
TEXTS = ["", "hello", "hé€😀", "x" * 70_000]

pytestmark = [
    pytest.mark.timeout(TIMEOUT + 10),
    pytest.mark.skipif(sys.platform == "win32", reason="no SIGTERM to send on Windows"),
]


def test_all_examples_are_listed() -> None:
    listed = {module for _, _, command in COMMANDS for module in re.findall(r"(\w+_echo)\b", command)}
    assert listed == {path.stem for path in FOLDER.glob("*.py")}


@pytest.mark.parametrize(("requirements", "command"), [row[1:] for row in COMMANDS], ids=[row[0] for row in COMMANDS])
def test_example(requirements: str, command: str) -> None:
    missing = [name for name in requirements.split() if importlib.util.find_spec(name.replace("-", "_")) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    port = free_port()
    words = [sys.executable, *shlex.split(command.replace("8000", str(port)))[1:]]
    with subprocess.Popen(words, cwd=FOLDER, env=environment(), stderr=subprocess.PIPE, text=True) as process:
        try:
            assert asyncio.run(echoes(f"ws://127.0.0.1:{port}/", process)) == TEXTS
        finally:
            process.terminate()
            _, errors = process.communicate(timeout=TIMEOUT)
    host = "uvicorn" if "uvicorn" in requirements else "wsproto"
    assert f"wscodec accelerates {host} {metadata.version(host)}" in errors.splitlines()
    assert "Traceback" not in errors
    assert process.returncode in (0, -signal.SIGTERM)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)


def environment() -> dict[str, str]:
    """Return the environment of a user who has wscodec installed."""
    source = str(Path(importlib.util.find_spec("wscodec").origin).parents[1])
    return {**os.environ, "PYTHONPATH": source}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


async def echoes(uri: str, process: subprocess.Popen[str]) -> list[str | bytes]:
    """Return what a server answers to `TEXTS`."""
    async with asyncio.timeout(TIMEOUT), await connected(uri, process) as ws:
        for text in TEXTS:
            await ws.send(text)
        return [await ws.recv() for _ in TEXTS]


async def connected(uri: str, process: subprocess.Popen[str]) -> ClientConnection:
    """Connect to a server that is about to start."""
    while True:
        try:
            return await connect(uri)
        except OSError:
            assert process.poll() is None, process.communicate()
            await asyncio.sleep(0.05)
