"""The demo page, driven in a headless Chromium against the server that serves it."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect

CHROMIUM = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
TIMEOUT = 20
TIMEOUT_MS = 1000 * TIMEOUT
expect.set_options(timeout=TIMEOUT_MS)
MAX_SIZE = 4 << 20
PHONE = {"width": 360, "height": 740}

# 2 by 3 pixels.
PICTURE = b'<svg xmlns="http://www.w3.org/2000/svg" width="2" height="3"><path d="M0 0h2v3H0z"/></svg>'

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium")


@contextmanager
def serving() -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run the demo server on a free port; yield its address and its process."""
    command = [sys.executable, "-m", "wscodec", "serve", "--demo", "--port", "0", "--max-size", str(MAX_SIZE)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process.stdout.readline().split()[-1], process
        finally:
            process.terminate()
            process.wait(TIMEOUT)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving() as (url, _):
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[playwright.Browser]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def opened(browser, url: str, **options: object) -> Iterator[playwright.Page]:
    """Open the page in a profile of its own; at the end, nothing may be wrong in its console."""
    context = browser.new_context(**options)
    context.set_default_timeout(TIMEOUT_MS)
    page = context.new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if is_problem(message) else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(url)
    expect(page.locator("#status")).to_have_text("Connected")
    try:
        yield page
    finally:
        context.close()
    assert problems == []


def is_problem(message: playwright.ConsoleMessage) -> bool:
    return message.type in {"error", "warning"}


@pytest.fixture
def page(browser, url) -> Iterator[playwright.Page]:
    with opened(browser, url) as page:
        yield page


def say(page, text: str) -> None:
    """Send a text, and wait until it is back."""
    before = page.locator("#log .in").count()
    page.fill("#text", text)
    page.press("#text", "Enter")
    expect(page.locator("#log .in")).to_have_count(before + 1)


def sideways_scroll(page) -> int:
    """Return how many pixels the page is wider than its window."""
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


def hold(page, selector: str, milliseconds: int) -> None:
    """Hold the mouse down on an element."""
    page.hover(selector)
    page.mouse.down()
    page.wait_for_timeout(milliseconds)
    page.mouse.up()


def choose_close(page, side: str, code: int, reason: str) -> None:
    """Fill in and submit the form that closes."""
    page.check(f"input[value={side}]", force=True)
    page.select_option("#code", str(code))
    page.fill("#reason", reason)
    page.click("#close")


class TestConnection:
    def test_facts_of_the_server(self, page):
        import wscodec

        expect(page.locator("#version")).to_have_text(wscodec.__version__)
        expect(page.locator("#backend")).to_have_text(wscodec.backend)
        expect(page.locator("#kernels")).to_contain_text(wscodec.kernels()[0])
        expect(page.locator("#loop")).to_have_text(re.compile("uvloop|asyncio"))
        expect(page.locator("#limit")).to_have_text("4 MiB")

    @pytest.mark.parametrize(
        ("side", "code", "reason", "text"),
        [
            ("page", 1000, "", "1000 normal closure, by this page"),
            ("page", 4000, "enough", "4000 for applications, by this page: “enough”"),
            ("server", 1001, "", "1001 going away, by the server"),
            ("server", 1008, "<b>no</b>", "1008 policy violation, by the server: “<b>no</b>”"),
            ("server", 1011, "", "1011 internal error, by the server"),
            ("server", 4000, "Grüße", "4000 for applications, by the server: “Grüße”"),
        ],
    )
    def test_close_shows_the_code(self, page, side, code, reason, text):
        choose_close(page, side, code, reason)
        expect(page.locator("#status")).to_have_text("Closed")
        expect(page.locator("#where")).to_have_text(text)
        expect(page.locator("#send")).to_be_disabled()
        expect(page.locator("#reconnect")).to_be_focused()

    def test_reason_that_is_too_long_in_bytes(self, page):
        choose_close(page, "page", 1000, "ü" * 62)
        expect(page.locator("#close-problem")).to_contain_text("124")
        expect(page.locator("#status")).to_have_text("Connected")

    def test_reconnect(self, page):
        say(page, "before")
        choose_close(page, "server", 1001, "")
        page.click("#reconnect")
        expect(page.locator("#status")).to_have_text("Connected")
        expect(page.locator("#reconnect")).to_be_hidden()
        say(page, "after")

    def test_server_that_goes_away(self, browser):
        with serving() as (url, process), opened(browser, url) as page:
            process.send_signal(signal.SIGTERM)
            expect(page.locator("#status")).to_have_text("Closed")
            expect(page.locator("#where")).to_have_text("1001 going away, by the server")
            assert process.wait(TIMEOUT) == 0

    def test_server_that_dies(self, browser):
        with serving() as (url, process), opened(browser, url) as page:
            process.kill()
            expect(page.locator("#where")).to_have_text("1006 connection lost, without a closing handshake")


class TestMessages:
    @pytest.mark.parametrize("text", ["hello", "Grüße 🌍", "<img src=x onerror=alert(1)>", "x" * 3000])
    def test_text_comes_back_with_its_round_trip_time(self, page, text):
        say(page, text)
        expect(page.locator("#log .out .what")).to_contain_text(text[:2000])
        expect(page.locator("#log .in .what")).to_contain_text(text[:2000])
        expect(page.locator("#log .in .cost")).to_have_text(re.compile(r"^[\d.,]+ ms$"))
        expect(page.locator("#last")).to_have_text(re.compile(r"^[\d.,]+ ms$"))
        expect(page.locator("#text")).to_have_value("")

    def test_traffic_is_counted(self, page):
        say(page, "four")
        say(page, "ü")
        expect(page.locator("#sent-messages")).to_have_text("2")
        expect(page.locator("#received-messages")).to_have_text("2")
        expect(page.locator("#sent-bytes")).to_have_text("6 B")
        expect(page.locator("#received-bytes")).to_have_text("6 B")

    def test_what_compression_saves_is_shown(self, page):
        say(page, "wscodec " * 1000)
        expect(page.locator("#wire")).to_have_text(re.compile(r"^\d+ B$"))
        expect(page.locator("#ratio")).to_have_text(re.compile(r"^compressed \d\d+\.\d : 1$"))
        choose_close(page, "server", 1001, "")
        page.click("#reconnect")
        expect(page.locator("#status")).to_have_text("Connected")
        page.set_input_files("#picker", {"name": "noise", "mimeType": "", "buffer": os.urandom(9000)})
        expect(page.locator("#ratio")).to_have_text("compressed 1.0 : 1")

    def test_clear(self, page):
        say(page, "hello")
        page.click("#clear")
        expect(page.locator("#log .in")).to_have_count(0)
        expect(page.locator("#empty")).to_be_visible()

    def test_ping_shows_its_latency(self, page):
        page.click("#ping")
        expect(page.locator("#pong")).to_have_text(re.compile(r"^[\d.,]+ ms$"))
        expect(page.locator("#pongs")).to_contain_text("of 1")


class TestFiles:
    def test_binary_comes_back_identical(self, page):
        data = bytes(range(256)) * 400
        page.set_input_files("#picker", {"name": "data.bin", "mimeType": "", "buffer": data})
        row = page.locator("#files li")
        expect(row).to_contain_text("came back identical")
        expect(row).to_contain_text("100 KiB")
        expect(row).to_contain_text(re.compile(r"[\d.]+ ms · [\d.]+ MB/s"))

    def test_several_files_and_an_empty_one(self, page):
        files = [{"name": f"{n}.txt", "mimeType": "text/plain", "buffer": b"x" * n} for n in range(3)]
        page.set_input_files("#picker", files)
        expect(page.locator("#files .good")).to_have_count(3)

    def test_image_is_shown_from_the_echoed_bytes(self, page):
        page.set_input_files("#picker", {"name": "red.svg", "mimeType": "image/svg+xml", "buffer": PICTURE})
        image = page.locator("#files img")
        expect(image).to_have_attribute("alt", "red.svg, from the bytes that came back")
        assert image.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [2, 3]

    def test_samples(self, page):
        page.click("#sample-image")
        expect(page.locator("#files img")).to_have_count(1)
        page.click("#sample-noise")
        expect(page.locator("#files .good")).to_have_count(2)

    def test_file_at_the_limit_and_one_above(self, page):
        page.set_input_files("#picker", file_of(page, MAX_SIZE))
        expect(page.locator("#files .good")).to_have_count(1)
        page.set_input_files("#picker", file_of(page, MAX_SIZE + 1))
        expect(page.locator("#files-problem")).to_contain_text("the server takes messages up to 4 MiB")
        expect(page.locator("#status")).to_have_text("Connected")

    def test_dropped_file(self, page):
        transfer = page.evaluate_handle(
            "() => { const t = new DataTransfer(); t.items.add(new File(['x'], 'drop.txt')); return t; }"
        )
        page.dispatch_event("#drop", "drop", {"dataTransfer": transfer})
        expect(page.locator("#files li")).to_contain_text("drop.txt")
        expect(page.locator("#files .good")).to_have_count(1)


def file_of(page, size: int) -> dict[str, object]:
    return {"name": f"{size}.bin", "mimeType": "application/octet-stream", "buffer": b"\xa5" * size}


class TestFlood:
    def test_pointer_counts_while_it_is_held(self, page):
        hold(page, "#flood", 1000)
        expect(page.locator("#log .event")).to_contain_text("messages of 32 B came back")
        assert number(page, "#rate") > 0
        assert page.get_attribute("#curve", "points")

    @pytest.mark.parametrize("key", ["Space", "Enter"])
    def test_keyboard(self, page, key):
        page.focus("#flood")
        page.keyboard.down(key)
        expect(page.locator("#flood")).to_have_attribute("aria-pressed", "true")
        page.wait_for_timeout(500)
        page.keyboard.up(key)
        expect(page.locator("#flood")).to_have_attribute("aria-pressed", "false")
        assert number(page, "#rate") > 0

    def test_everything_sent_comes_back(self, page):
        page.select_option("#size", "65536")
        page.select_option("#window", "16")
        hold(page, "#flood", 500)
        say(page, "behind it")
        # What is shown follows a tick later. Nothing is sent any more: the last message is back.
        sent = page.evaluate("count(traffic.sent)")
        expect(page.locator("#sent-messages")).to_have_text(sent)
        expect(page.locator("#received-messages")).to_have_text(sent)
        assert number(page, "#sent-messages") > 0
        expect(page.locator("#log .bad")).to_have_count(0)

    def test_close_in_the_middle(self, page):
        page.focus("#flood")
        page.keyboard.down("Space")
        page.wait_for_timeout(300)
        page.evaluate("link.control.send(JSON.stringify({ do: 'close', code: 4000, reason: '' }))")
        expect(page.locator("#status")).to_have_text("Closed")
        expect(page.locator("#flood")).to_have_attribute("aria-pressed", "false")


def number(page, selector: str) -> int:
    return int(page.inner_text(selector).replace(",", ""))


class TestLooks:
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_both_colour_schemes(self, browser, url, scheme, tmp_path: Path):
        with opened(browser, url, color_scheme=scheme) as page:
            background = page.evaluate("getComputedStyle(document.body).backgroundColor")
            page.screenshot(path=tmp_path / f"{scheme}.png", full_page=True)
        brightness = sum(map(int, re.findall(r"\d+", background)[:3])) / 3
        assert brightness > 200 if scheme == "light" else brightness < 50
        assert (tmp_path / f"{scheme}.png").stat().st_size > 10_000

    def test_theme_button_overrides_the_system_and_is_remembered(self, page):
        light = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.click("#theme")
        expect(page.locator("#theme")).to_have_attribute("aria-pressed", "true")
        page.reload()
        expect(page.locator("#theme")).to_have_attribute("aria-pressed", "true")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light

    def test_phone_has_no_sideways_scroll(self, browser, url, tmp_path: Path):
        with opened(browser, url, viewport=PHONE) as page:
            assert sideways_scroll(page) == 0
            say(page, "x" * 500)
            page.click("#sample-image")
            page.click("#sample-noise")
            expect(page.locator("#files .good")).to_have_count(2)
            hold(page, "#flood", 300)
            choose_close(page, "server", 1008, "x" * 123)
            expect(page.locator("#status")).to_have_text("Closed")
            page.screenshot(path=tmp_path / "phone.png", full_page=True)
            assert sideways_scroll(page) == 0

    def test_every_control_has_a_name(self, page):
        nameless = page.evaluate(
            "[...document.querySelectorAll('button, input, select')].filter(control =>"
            " !(control.innerText || control.ariaLabel || control.labels?.length)).map(control => control.id)"
        )
        assert nameless == []


class TestServer:
    def fetch(self, url: str, path: str, **headers: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=TIMEOUT)
        try:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            response.read()
            return response
        finally:
            connection.close()

    def test_page_headers(self, url):
        response = self.fetch(url, "/")
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/html; charset=utf-8"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Cache-Control"] == "no-store"
        assert "unsafe" not in response.headers["Content-Security-Policy"]

    @pytest.mark.parametrize("path", ["/favicon.ico", "/demo.html", "/../etc/passwd", "//"])
    def test_nothing_else_is_served(self, url, path):
        assert self.fetch(url, path).status == 404

    def test_hostile_host_is_not_repeated(self, url):
        policy = self.fetch(url, "/", Host="x; script-src *").headers.get("Content-Security-Policy", "")
        assert "script-src *" not in policy

    @pytest.mark.parametrize("path", ["/echo", "/control"])
    @pytest.mark.parametrize("origin", ["https://elsewhere.example", "null", "http://127.0.0.1:1"])
    def test_other_origin_is_refused(self, url, path, origin):
        websockets = pytest.importorskip("websockets.sync.client")
        exceptions = pytest.importorskip("websockets.exceptions")
        with pytest.raises(exceptions.InvalidStatus) as refused:
            websockets.connect(url.replace("http", "ws", 1).rstrip("/") + path, origin=origin)
        assert refused.value.response.status_code == 403
