"""`python -m wscodec`, run as its users run it: in a process of its own."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import pytest
from helpers import BINARY, CLOSE, KEY, TEXT, frame
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve

import wscodec
from wscodec.cli import main

TIMEOUT = 20
REQUEST = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
MUCH = 128 << 20  # more than all the buffers between a client and a server hold
COMMAND = [sys.executable, "-m", "wscodec"]

needs_signals = pytest.mark.skipif(sys.platform == "win32", reason="no SIGTERM to send on Windows")


def run(*arguments: str, stdin: str | bytes = "") -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    data = stdin.encode() if isinstance(stdin, str) else stdin
    done = subprocess.run([*COMMAND, *arguments], input=data, capture_output=True, timeout=TIMEOUT)
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


@contextmanager
def serving(*arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run `serve` on a free port; yield its address and its process."""
    command = [*COMMAND, "serve", *arguments, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()
            assert line.startswith("listening on "), process.communicate()
            yield line.split()[-1], process
        finally:
            process.terminate()
            process.communicate(timeout=TIMEOUT)


@pytest.fixture(scope="module")
def echo() -> Iterator[str]:
    with serving("--echo") as (uri, _):
        yield uri


@contextmanager
def recording_server(code: int | None = 1000) -> Iterator[tuple[str, dict[str, str]]]:
    """Run a server that keeps the headers of a request; it closes with `code`, with None it hangs up.

    With 1000 it waits for the client to close.
    """
    seen: dict[str, str] = {}

    def handler(ws: ServerConnection) -> None:
        seen.update(ws.request.headers.raw_items())
        if code is None:
            ws.socket.shutdown(socket.SHUT_RDWR)
        elif code == 1000:
            list(ws)
        else:
            ws.close(code)

    with serve(handler, "127.0.0.1", 0, subprotocols=["chat"]) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}/", seen
        finally:
            server.shutdown()
            thread.join(TIMEOUT)


@contextmanager
def raw_client(uri: str) -> Iterator[socket.socket]:
    """Open a connection whose frames are made by hand; yield its socket."""
    address = urlsplit(uri)
    with socket.create_connection((address.hostname, address.port), timeout=TIMEOUT) as sock:
        sock.sendall(REQUEST)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += sock.recv(1)
        assert head.startswith(b"HTTP/1.1 101 ")
        yield sock


def receive(sock: socket.socket, size: int) -> bytes:
    """Return exactly that many bytes."""
    received = bytearray()
    while len(received) < size:
        data = sock.recv(size - len(received))
        assert data, "the server has closed the connection"
        received += data
    return bytes(received)


def send_until_blocked(sock: socket.socket, data: memoryview, patience: float) -> int:
    """Send `data` over and over until the peer has read nothing for `patience` seconds; return what was sent."""
    sent = 0
    sock.settimeout(patience)
    try:
        while sent < MUCH:
            sent += sock.send(data[sent % len(data) :])
    except TimeoutError:
        pass
    sock.settimeout(TIMEOUT)
    return sent


def refused_port() -> int:
    """Return a port that nobody listens on."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        return listener.getsockname()[1]


class TestMain:
    def test_help_names_the_commands(self):
        done = run("--help")
        assert done.returncode == 0
        assert "serve" in done.stdout
        assert "connect" in done.stdout

    @pytest.mark.parametrize("command", ["serve", "connect"])
    def test_help_of_a_command(self, command):
        done = run(command, "--help")
        assert done.returncode == 0
        assert f"wscodec {command}" in done.stdout

    def test_version_says_what_runs(self):
        lines = run("--version").stdout.splitlines()
        assert lines[0] == f"wscodec {wscodec.__version__}"
        facts = dict(line.split(": ", 1) for line in lines[1:])
        assert facts["backend"] == wscodec.backend
        assert facts["kernels"].split()[0] == wscodec.kernels()[0]
        assert facts["Python"].startswith("{}.{}.{}".format(*sys.version_info))
        assert facts["uvloop"] in {"yes", "no"}
        assert re.fullmatch(r"zlib(-ng)? \d+\.\d.*", facts["deflate"])

    def test_no_command_prints_the_help(self):
        done = run()
        assert done.returncode == 2
        assert "usage:" in done.stderr

    def test_unknown_command(self):
        done = run("fly")
        assert done.returncode == 2
        assert "fly" in done.stderr

    def test_main_returns_the_exit_code(self, capsys):
        assert main(["--version"]) == 0
        assert capsys.readouterr().out.startswith("wscodec ")


class TestServe:
    def test_prints_one_line_with_the_address(self):
        with serving("--echo") as (uri, process):
            assert re.fullmatch(r"ws://127\.0\.0\.1:[1-9]\d*/", uri)
            process.terminate()
            assert process.communicate(timeout=TIMEOUT) == ("", "")

    @pytest.mark.parametrize(
        "message",
        [
            pytest.param("hello", id="ascii"),
            pytest.param("Grüße 🌍", id="unicode"),
            pytest.param("", id="empty text"),
            pytest.param(b"\x00\xff", id="binary"),
            pytest.param(b"", id="empty binary"),
            pytest.param(bytes(1 << 20), id="at the limit"),
        ],
    )
    def test_echoes_text_as_text_and_binary_as_binary(self, echo, message):
        with connect(echo, max_size=None) as ws:
            ws.send(message)
            assert ws.recv(timeout=TIMEOUT) == message

    def test_burst_comes_back_in_order(self, echo):
        messages = [f"text {i}".encode() if i % 3 else bytes([i % 256]) * (i * 100) for i in range(300)]
        kinds = [TEXT if i % 3 else BINARY for i in range(300)]
        with raw_client(echo) as sock:
            burst = b"".join(frame(kind, message, key=KEY) for kind, message in zip(kinds, messages, strict=True))
            # From another thread: the server stops reading where nobody reads its answers.
            sender = threading.Thread(target=sock.sendall, args=[burst])
            sender.start()
            answers = b"".join(frame(kind, message) for kind, message in zip(kinds, messages, strict=True))
            assert receive(sock, len(answers)) == answers
            sender.join(TIMEOUT)

    @pytest.mark.parametrize("size", [32, 65536])
    def test_client_that_reads_nothing_is_not_read_from(self, echo, size):
        """The server holds little for it, and what it holds comes once the client reads."""
        answer = frame(BINARY, bytes(size))
        sent_frame = frame(BINARY, bytes(size), key=KEY)
        with raw_client(echo) as sock:
            sent = send_until_blocked(sock, memoryview(sent_frame * (1 + (1 << 20) // size)), patience=1)
            assert sent < MUCH
            whole = sent // len(sent_frame)
            assert receive(sock, whole * len(answer)) == whole * answer

    def test_answers_come_before_the_end_of_the_closing_handshake(self, echo):
        close = (1000).to_bytes(2, "big")
        with raw_client(echo) as sock:
            sock.sendall(frame(TEXT, b"last", key=KEY) + frame(CLOSE, close, key=KEY))
            assert receive(sock, 10) == frame(TEXT, b"last") + frame(CLOSE, close)
            assert sock.recv(1) == b""

    def test_echoes_to_any_page(self, echo):
        with connect(echo, origin="https://elsewhere.example") as ws:
            ws.send("hello")
            assert ws.recv(timeout=TIMEOUT) == "hello"

    def test_echoes_on_any_path(self, echo):
        with connect(f"{echo}any/path?query") as ws:
            ws.send("hello")
            assert ws.recv(timeout=TIMEOUT) == "hello"

    def test_max_size_is_the_largest_message(self):
        with serving("--echo", "--max-size", "10") as (uri, _), connect(uri) as ws:
            ws.send("x" * 10)
            assert ws.recv(timeout=TIMEOUT) == "x" * 10
            ws.send("x" * 11)
            with pytest.raises(ConnectionClosed) as closed:
                ws.recv(timeout=TIMEOUT)
            assert closed.value.rcvd.code == 1009

    @needs_signals
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_signal_closes_with_1001_and_exits_with_0(self, number):
        with serving("--echo") as (uri, process), connect(uri) as ws:
            process.send_signal(number)
            with pytest.raises(ConnectionClosed) as closed:
                ws.recv(timeout=TIMEOUT)
            assert closed.value.rcvd.code == 1001
            assert process.wait(TIMEOUT) == 0
            assert process.stderr.read() == ""

    @needs_signals
    def test_silent_connection_holds_up_the_end_only_for_a_while(self):
        with serving("--echo") as (uri, process):
            address = urlsplit(uri)
            with socket.create_connection((address.hostname, address.port)):
                process.terminate()
                assert process.wait(8) == 0

    def test_nothing_to_serve(self):
        done = run("serve")
        assert done.returncode == 2
        assert "--echo or --demo" in done.stderr

    @pytest.mark.parametrize(
        ("option", "value"),
        [
            ("--port", "70000"),
            ("--port", "-1"),
            ("--port", "http"),
            ("--max-size", "-1"),
            ("--max-size", "0"),
            ("--max-size", "big"),
            ("--demo", "--max-size=100"),
        ],
    )
    def test_wrong_value(self, option, value):
        what = () if option == "--demo" else ("--echo",)
        done = run("serve", *what, option, value)
        assert done.returncode == 2
        assert "error: argument" in done.stderr

    def test_both_echo_and_demo(self):
        assert run("serve", "--echo", "--demo").returncode == 2

    def test_port_in_use(self):
        with closing(socket.create_server(("127.0.0.1", 0))) as listener:
            port = listener.getsockname()[1]
            done = run("serve", "--echo", "--port", str(port))
        assert done.returncode == 1
        assert done.stderr == f"wscodec serve: can't listen on 127.0.0.1:{port}: Address already in use\n"

    def test_unknown_host(self):
        done = run("serve", "--echo", "--port", "0", "--host", "nowhere.invalid")
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1
        assert "can't listen on nowhere.invalid:0" in done.stderr


class TestConnect:
    def test_output_that_is_closed_ends_it_quietly(self, echo):
        command = [*COMMAND, "connect", echo]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(command, **pipes) as process:
            process.stdout.readline()
            process.stdout.close()
            process.stdin.write(b"a line\n")
            process.stdin.flush()
            assert process.stderr.read() == b""
            assert process.wait(TIMEOUT) == 0

    def test_piped_lines_are_sent_and_answers_printed(self, echo):
        done = run("connect", echo, stdin="hello\n\nGrüße 🌍\r\nno newline")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines() == [
            f"* connected to {echo}",
            "< hello",
            "< ",
            "< Grüße 🌍",
            "< no newline",
            "* closed 1000",
        ]

    def test_many_lines(self, echo):
        lines = [f"line {number}" for number in range(5000)]
        done = run("connect", echo, stdin="\n".join(lines))
        assert done.stdout.splitlines()[1:-1] == [f"< {line}" for line in lines]

    def test_no_input(self, echo):
        done = run("connect", "--wait", "0", echo)
        assert done.returncode == 0
        assert done.stdout.splitlines()[-1] == "* closed 1000"

    def test_binary(self, echo):
        done = run("connect", echo, stdin="/bin 00ff 10\n/bin " + "ab" * 100)
        assert done.stdout.splitlines()[1:-1] == [
            "< binary, 3 bytes: 00ff10",
            f"< binary, 100 bytes: {'ab' * 64}...",
        ]

    @pytest.mark.parametrize("line", ["/ping", "/ping with a payload"])
    def test_ping(self, echo, line):
        done = run("connect", echo, stdin=line)
        assert re.search(r"^\* pong after \d+\.\d\d ms$", done.stdout, re.MULTILINE)

    @pytest.mark.parametrize(
        ("line", "end"),
        [
            ("/close", "* closed 1000"),
            ("/close 4000", "* closed 4000"),
            ("/close 1000 good bye", "* closed 1000 good bye"),
        ],
    )
    def test_close(self, echo, line, end):
        done = run("connect", echo, stdin=f"{line}\nnever sent\n")
        assert done.returncode == 0
        assert done.stdout.splitlines()[1:] == [end]

    @pytest.mark.parametrize(
        "line",
        [
            "/fly",
            "/bin 0",
            "/bin xyz",
            "/close soon",
            "/close 1005",
            "/close 1000 " + "x" * 124,
            "/ping " + "x" * 126,
        ],
    )
    def test_wrong_command_is_told_and_not_sent(self, echo, line):
        done = run("connect", echo, stdin=f"{line}\nnext")
        assert done.returncode == 0
        assert done.stderr.startswith("wscodec connect: ")
        assert done.stderr.count("\n") == 1
        assert done.stdout.splitlines()[1:-1] == ["< next"]

    def test_two_slashes_send_one(self, echo):
        assert "< /ping" in run("connect", echo, stdin="//ping").stdout.splitlines()

    def test_help_lists_the_commands(self, echo):
        done = run("connect", echo, stdin="/help")
        assert "/close [CODE [REASON]]" in done.stdout

    def test_what_could_command_the_terminal_is_escaped(self, echo):
        done = run("connect", echo, stdin="\x1b[31mred\x07 \u202egnol")
        assert done.stdout.splitlines()[1] == r"< \x1b[31mred\x07 \u202egnol"

    def test_input_that_is_not_utf8(self, echo):
        done = run("connect", echo, stdin=b"\xffoo\n")
        assert done.stdout.splitlines()[1] == "< \ufffdoo"

    def test_headers_and_subprotocols_are_sent(self):
        with recording_server() as (uri, seen):
            done = run("connect", uri, "-H", "X-One: 1", "-H", "X-Two:2", "--subprotocol", "chat", "--wait", "0")
        assert done.stdout.splitlines()[0] == f"* connected to {uri}, subprotocol chat"
        assert (seen["X-One"], seen["X-Two"], seen["Sec-WebSocket-Protocol"]) == ("1", "2", "chat")

    def test_server_that_closes_first(self):
        with recording_server(code=4001) as (uri, _):
            done = run("connect", uri, "--subprotocol", "chat", "--wait", "10")
        assert done.returncode == 0
        assert done.stdout.splitlines()[-1] == "* closed 4001"

    def test_connection_lost(self):
        with recording_server(code=None) as (uri, _):
            done = run("connect", uri, "--subprotocol", "chat", "--wait", "10")
        assert done.returncode == 1
        assert done.stdout.splitlines()[-1] == "* closed 1006"

    def test_refused(self):
        uri = f"ws://127.0.0.1:{refused_port()}/"
        done = run("connect", uri)
        assert done.returncode == 1
        assert done.stderr == f"wscodec connect: can't connect to {uri}: Connection refused\n"

    @pytest.mark.parametrize(
        "uri",
        ["http://127.0.0.1/", "nonsense", "ws://", "ws://127.0.0.1:99999/", "ws://nowhere.invalid/", ""],
    )
    def test_bad_uri(self, uri):
        done = run("connect", uri)
        assert done.returncode == 1
        assert done.stdout == ""
        assert done.stderr.startswith(f"wscodec connect: can't connect to {uri}: ")
        assert done.stderr.count("\n") == 1

    def test_server_that_refuses_the_handshake(self):
        with serving("--demo") as (uri, _):
            done = run("connect", uri.replace("http", "ws") + "nothing")
        assert done.returncode == 1
        assert "404" in done.stderr
        assert done.stderr.count("\n") == 1

    @pytest.mark.parametrize("arguments", [["-H", "no colon"], ["-H", ": x"], ["--wait", "-1"], ["--wait", "x"]])
    def test_wrong_value(self, arguments):
        done = run("connect", "ws://127.0.0.1/", *arguments)
        assert done.returncode == 2
        assert "error: argument" in done.stderr
