"""Jupyter Server runs an example over the drop-in for tornado, which its configuration installs."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import re
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest

from wscodec.asyncio import ClientConnection, connect

MISSING = [name for name in ("jupyter_server", "ipykernel") if importlib.util.find_spec(name) is None]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]

TOKEN = "a-token-of-the-test"
PATIENCE = 60

# As the page tells the user: what stands in `jupyter_server_config.py`, and a client.
PAGE = Path(__file__).parents[2] / "docs" / "tornado.md"
_, INSTALL, CLIENT = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)
# What tells the test of connections.
TELL = """
from pathlib import Path
own = wscodec.dropin.tornado.WebSocketProtocol13
def begin(self, *args, begin=own.__init__, **options):
    Path("connections").open("a").write("one\\n")
    begin(self, *args, **options)
own.__init__ = begin
"""


@contextmanager
def jupyter(folder: Path, config: str) -> Iterator[str]:
    """Run Jupyter Server with a configuration of its own, and return its address."""
    (folder / "jupyter_server_config.py").write_text(config, encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    names = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    places = {name: str(folder) for name in names}
    path = os.pathsep.join(filter(None, [str(Path(__file__).parents[2] / "src"), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root", f"--port={port}"]
    command += ["--ServerApp.port_retries=0", f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={folder}"]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            command, cwd=folder, env=os.environ | places | {"PYTHONPATH": path}, stdout=log, stderr=log
        )
        try:
            wait_for(server, f"http://127.0.0.1:{port}/api", folder / "log")
            yield f"127.0.0.1:{port}"
        finally:
            server.terminate()
            try:
                server.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def wait_for(server: subprocess.Popen[bytes], address: str, log: Path) -> None:
    """Wait until the server answers."""
    for _ in range(PATIENCE * 10):
        try:
            urlopen(address, timeout=5).close()
        except (URLError, OSError):
            if server.poll() is not None:
                break
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"Jupyter Server does not answer:\n{log.read_text()}")


def new_kernel(address: str) -> str:
    """Start a kernel, and return its id."""
    request = Request(f"http://{address}/api/kernels", b'{"name": "python3"}', {"Authorization": f"token {TOKEN}"})
    with urlopen(request, timeout=PATIENCE) as answer:
        return str(json.load(answer)["id"])


async def execute(ws: ClientConnection, code: str) -> tuple[str, str]:
    """Have the kernel run `code`; return what it prints and the status it ends with."""
    header = {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "session": "test", "username": "test"}
    content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False, "stop_on_error": True}
    request = {"header": {**header, "version": "5.3", "date": ""}, "parent_header": {}, "metadata": {}}
    await ws.send(json.dumps({**request, "content": content, "channel": "shell", "buffers": []}))
    printed, status, idle = "", "", False
    while not (idle and status):
        answer: dict[str, Any] = json.loads(await ws.recv())
        if answer["parent_header"].get("msg_id") != header["msg_id"]:
            continue
        kind, told = answer["msg_type"], answer["content"]
        if kind == "stream":
            printed += told["text"]
        elif kind == "execute_reply":
            status = told["status"]
        idle = idle or (kind == "status" and told["execution_state"] == "idle")
    return printed, status


async def example(address: str, kernel: str) -> None:
    async with asyncio.timeout(PATIENCE):
        async with connect(f"ws://{address}/api/kernels/{kernel}/channels?token={TOKEN}", max_size=None) as ws:
            assert await execute(ws, "print('hé€😀', 6 * 7)") == ("hé€😀 42\n", "ok")
            printed, status = await execute(ws, "for number in range(2000): print(number, 'x' * 100)")
            assert (printed.count("\n"), status) == (2000, "ok")
            assert await execute(ws, f"print(len('{'é' * 100_000}'))") == ("100000\n", "ok")
            assert await execute(ws, "1 / 0") == ("", "error")
            assert await (await ws.ping()) >= 0
        assert ws.close_code == 1000


def test_an_example_runs_on_jupyter_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    with jupyter(tmp_path, INSTALL + TELL) as address:
        kernel = new_kernel(address)
        asyncio.run(example(address, kernel))
        exec(CLIENT.replace("localhost:8888", address), names)
        asyncio.run(names["run"](kernel, TOKEN, "print(6 * 7)"))
        assert (tmp_path / "connections").read_text() == "one\n" * 2
    assert capsys.readouterr().out == "42\n"
