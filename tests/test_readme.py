"""The README's examples run as printed."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"
CODEC, SERVER, CLIENT = re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.M | re.S)


def run(source: str) -> str:
    """Run an example and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", source], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def free_port() -> int:
    with socket.create_server(("localhost", 0)) as server:
        return int(server.getsockname()[1])


def wait_for(port: int) -> None:
    """Wait until somebody listens."""
    for _ in range(200):
        try:
            socket.create_connection(("localhost", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    pytest.fail(f"nobody listens on port {port}")


def test_codec_example_prints_every_event() -> None:
    assert run(CODEC).splitlines() == [
        r"message hello b'\x81\x05hello'",
        r"message b'\x00\x01' b'\x82\x02\x00\x01'",
        "ping b'?'",
        "close 1000 bye",
    ]


def test_client_example_talks_to_server_example() -> None:
    # The port is the one thing that is not as printed: another program may have it.
    port = free_port()
    server = subprocess.Popen([sys.executable, "-c", SERVER.replace("8765", str(port))])
    try:
        wait_for(port)
        lines = run(CLIENT.replace("8765", str(port))).splitlines()
    finally:
        server.kill()
        server.wait()
    assert lines[0] == "hello"
    assert re.fullmatch(r"round trip: \d+\.\d\d ms", lines[1])
