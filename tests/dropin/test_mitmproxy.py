"""mitmproxy, which reads and writes frames by wsproto on both of its sides, under the launcher."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from launching import RUN, TIMEOUT, environment, free_port, needs_signals, talk

from wscodec.asyncio import ClientConnection

if importlib.util.find_spec("mitmproxy") is None:
    pytest.skip("mitmproxy is not installed", allow_module_level=True)

pytestmark = [pytest.mark.timeout(2 * TIMEOUT), needs_signals]

# The program of that name may not be on the PATH.
MITMDUMP = "from mitmproxy.tools.main import mitmdump; mitmdump()"
MESSAGES = ["", "hé€😀", "é" * 40_000, b"", b"\0\xff", b"x" * 300_000]


@pytest.fixture
def upstream() -> Iterator[int]:
    """An echo server behind the proxy: its port."""
    command = [sys.executable, "-m", "wscodec", "serve", "--echo", "--port", "0"]
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        yield int(line.rstrip("/\n").rpartition(":")[2])
        process.terminate()


def test_messages_go_through_it_both_ways(tmp_path: Path, upstream: int) -> None:
    port = free_port()
    options = [
        "--mode",
        f"reverse:http://127.0.0.1:{upstream}",
        "--listen-port",
        str(port),
        "--set",
        f"confdir={tmp_path}",
    ]
    errors = talk([*RUN, "--", sys.executable, "-c", MITMDUMP, *options], port, tmp_path, comes_back)
    assert "wscodec accelerates wsproto" in errors


async def comes_back(ws: ClientConnection) -> None:
    for message in MESSAGES:
        await ws.send(message)
    assert [await ws.recv() for _ in MESSAGES] == MESSAGES
    await ws.close(4000, "enough")
    assert (ws.close_code, ws.close_reason) == (4000, "enough")
