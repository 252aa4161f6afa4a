"""Each example runs by the command that examples/README.md has for it, echoes, and is on our codec."""

from __future__ import annotations

import importlib.util
import re
import shlex
import sys
from importlib import metadata
from pathlib import Path

import pytest
from launching import TIMEOUT, free_port, needs_signals, talk

from wscodec.asyncio import ClientConnection

FOLDER = Path(__file__).parents[2] / "examples"
README = FOLDER / "README.md"
COMMANDS = re.findall(r"\| (\S+) \| `(.+)` \| `(python -m wscodec run .+)` \|", README.read_text(encoding="utf-8"))

pytestmark = [pytest.mark.timeout(2 * TIMEOUT), needs_signals]


def test_all_examples_are_listed() -> None:
    listed = {module for _, _, command in COMMANDS for module in re.findall(r"\w+_echo\b", command)}
    assert listed == {path.stem for path in FOLDER.glob("*.py")}


@pytest.mark.parametrize(("requirements", "command"), [row[1:] for row in COMMANDS], ids=[row[0] for row in COMMANDS])
def test_example(requirements: str, command: str) -> None:
    missing = [name for name in requirements.split() if importlib.util.find_spec(name.replace("-", "_")) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    port = free_port()
    words = shlex.split(command.replace("8000", str(port)))
    errors = talk([sys.executable, *words[1:]], port, FOLDER, echoes)
    host = "uvicorn" if "uvicorn" in requirements else "wsproto"
    assert f"wscodec accelerates {host} {metadata.version(host)}" in errors.splitlines()


async def echoes(ws: ClientConnection) -> None:
    texts = ["", "hello", "hé€😀", "x" * 70_000]
    for text in texts:
        await ws.send(text)
    assert [await ws.recv() for _ in texts] == texts
