"""Class J: a certificate is that of the host that was asked for, and what was meant for one server goes to no other."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import pytest
from attacks import play, tries
from net import REQUEST, Peer, echo, idle, listen, raw_client, raw_server, uri

from wscodec import BadStatus
from wscodec.asyncio import Request, Response, ServerConnection, connect

trustme = pytest.importorskip("trustme")

EXPLAINED = {
    "CVE-2021-33880": "the server compares no passwords, that is left to what an application gives it",
}


def _authority(*names: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return a server's context, with a certificate for these names, and that of a client that trusts it."""
    authority = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*names).configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client


LOCAL, TRUSTS_LOCAL = _authority("localhost", "127.0.0.1")
OTHER, TRUSTS_OTHER = _authority("other.example")
CREDENTIALS = {"Cookie": "session=secret", "Proxy-Authorization": "secret"}


@pytest.mark.parametrize(
    ("server", "options"),
    [
        pytest.param(OTHER, {"ssl": TRUSTS_OTHER}, marks=tries("CVE-2020-11050", "CVE-2018-8034"), id="another-host"),
        pytest.param(
            LOCAL,
            {"ssl": TRUSTS_LOCAL, "server_hostname": "other.example"},
            marks=tries("CVE-2018-8034", "CVE-2026-54275"),
            id="not-the-host-that-was-named",
        ),
        pytest.param(LOCAL, {}, marks=tries("CVE-2020-15133"), id="nobody-known-by-default"),
        pytest.param(LOCAL, {"ssl": True}, marks=tries("CVE-2020-15133"), id="nobody-known"),
        pytest.param(LOCAL, {"ssl": TRUSTS_OTHER}, marks=tries("CVE-2020-15133"), id="another-authority"),
    ],
)
def test_a_certificate_is_checked(server: ssl.SSLContext, options: dict[str, Any]) -> None:
    async def main() -> None:
        async with listen(echo, ssl=server) as listening:
            with pytest.raises(ssl.SSLCertVerificationError):
                await connect(uri(listening, scheme="wss"), **options)
            assert not listening.connections

    play(main)


@tries("CVE-2020-15133")
def test_a_wss_uri_means_tls() -> None:
    async def main() -> None:
        async with listen(echo) as server:
            for settings in ({"ssl": False}, {"ssl": TRUSTS_LOCAL}):
                with pytest.raises((ValueError, ssl.SSLError)):
                    await connect(uri(server, scheme="wss"), **settings)
            with pytest.raises(ValueError, match="no TLS"):
                await connect(uri(server, scheme="ws"), ssl=TRUSTS_LOCAL)

    play(main)


@tries("CVE-2017-5887", "CVE-2026-54275")
def test_a_connection_inherits_no_trust_from_another() -> None:
    async def main() -> None:
        async with listen(echo, ssl=LOCAL) as server:
            address = uri(server, scheme="wss")
            for _ in range(2):
                async with connect(address, ssl=TRUSTS_LOCAL) as ws:
                    await ws.send("hi")
                    assert await ws.recv() == "hi"
                async with connect(address, ssl=TRUSTS_LOCAL, server_hostname="localhost"):
                    pass
                for options in ({"ssl": TRUSTS_LOCAL, "server_hostname": "other.example"}, {"ssl": TRUSTS_OTHER}, {}):
                    with pytest.raises(ssl.SSLCertVerificationError):
                        await connect(address, **options)

    play(main)


REDIRECTS = ("CVE-2026-42498", "tungstenite PR 551", "websockets #631")


@tries(*REDIRECTS)
@pytest.mark.parametrize("scheme", ["ws", "http", "wss", ""])
def test_a_redirect_is_told_and_not_followed(scheme: str) -> None:
    statuses = [301, 302, 303, 307, 308]

    async def main() -> None:
        asked = []

        async def redirect(peer: Peer) -> None:
            asked.append(await peer.head())
            status = statuses[len(asked) - 1]
            place = f"{scheme}://127.0.0.1:{elsewhere.sockets[0].getsockname()[1]}/" if scheme else "/again"
            peer.send(f"HTTP/1.1 {status} Moved\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n".encode())

        async def leak(peer: Peer) -> None:
            asked.append(await peer.head())

        async with raw_server(leak) as elsewhere, raw_server(redirect) as server:
            address = uri(server).replace("//", "//user:password@")
            for status in statuses:
                with pytest.raises(BadStatus) as caught:
                    await connect(address, additional_headers=CREDENTIALS)
                assert caught.value.status == status
            await asyncio.sleep(0.01)
        assert len(asked) == len(statuses)
        assert all(b"Authorization: Basic " in head for head in asked)

    play(main)


@tries("CVE-2021-4236")
@pytest.mark.parametrize(
    "request_", [REQUEST, REQUEST.replace(b": 13", b": 8"), b"GET /chat HTTP/1.1\r\nHost: a\r\n\r\n"]
)
def test_the_hook_is_asked_about_each_request(request_: bytes) -> None:
    asked = []

    async def deny(ws: ServerConnection, request: Request) -> Response | None:
        asked.append(request.path)
        authorized = request.headers.get("Authorization") == "Bearer secret"
        return None if authorized else ws.respond(401, "who are you\n", [("WWW-Authenticate", "Bearer")])

    async def main() -> None:
        async with listen(idle, process_request=deny) as server:
            async with raw_client(server, None) as peer:
                peer.send(request_)
                assert (await peer.reader.read()).startswith(b"HTTP/1.1 401 ")
            assert not server.connections
            async with connect(uri(server), additional_headers={"Authorization": "Bearer secret"}) as ws:
                await ws.close()

    play(main)
    assert asked == ["/chat", "/"]
