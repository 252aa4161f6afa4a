"""Autobahn on Twisted, server and client in one process, with the drop-in and without; prints "same" if they agree."""

from __future__ import annotations

from typing import Any

from autobahn.twisted.websocket import (
    WebSocketClientFactory,
    WebSocketClientProtocol,
    WebSocketServerFactory,
    WebSocketServerProtocol,
)
from autobahn.websocket import protocol
from twisted.internet import reactor

import wscodec.dropin.autobahn as dropin

MESSAGES = [b"hello", "hé€😀".encode(), b"ab" * 500, "é".encode() * 50_000]
BAD = b"abc\xff"


class Server(WebSocketServerProtocol):  # type: ignore[misc]
    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.sendMessage(payload, isBinary)

    def onClose(self, *reason: Any) -> None:
        self.factory.told.append(reason)


class Client(WebSocketClientProtocol):  # type: ignore[misc]
    def onOpen(self) -> None:
        self.factory.told.append(type(self.utf8validator) is protocol.Utf8Validator)
        for message in [*MESSAGES, BAD]:
            self.sendMessage(message)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.factory.told.append(payload)

    def onClose(self, *reason: Any) -> None:
        self.factory.told.append(reason)
        self.factory.done()


def run(done: Any) -> list[Any]:
    told: list[list[Any]] = [[], []]
    server, client = WebSocketServerFactory(), WebSocketClientFactory()
    server.protocol, client.protocol = Server, Client
    server.told, client.told = told
    server.setProtocolOptions(failByDrop=False)
    port = reactor.listenTCP(0, server, interface="127.0.0.1")

    def finish() -> None:
        port.stopListening()
        reactor.callLater(0.1, done)

    client.done = finish
    reactor.connectTCP("127.0.0.1", port.getHost().port, client)
    return told


def main() -> None:
    outcomes = []

    def second() -> None:
        assert dropin.install()
        outcomes.append(run(reactor.stop))

    outcomes.append(run(second))
    reactor.callLater(30, reactor.stop)
    reactor.run()
    without, with_dropin = outcomes
    assert without[1][1:-1] == MESSAGES, without
    print("same" if without == with_dropin else outcomes)


if __name__ == "__main__":
    main()
