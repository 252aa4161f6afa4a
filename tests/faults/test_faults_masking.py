"""Class H: a client's bytes on the wire can't be chosen or foretold, and a frame of the wrong kind is an offence."""

from __future__ import annotations

import os
import random
from collections.abc import Callable

import pytest
from attacks import Attack, Part, against, check, deflate, tries
from helpers import BINARY, CLOSE, CONT, KEY, PING, PONG, TEXT, frame, header
from reference.frames import frames_of
from reference.masking import mask

from wscodec import Connection, Encoder, FrameDecoder, ProtocolError, Role, encode_frame, keys

SERVER, CLIENT = (Role.SERVER,), (Role.CLIENT,)
HTTP = b"GET /script.js HTTP/1.1\r\nHost: victim.example\r\n\r\n"


def _ways() -> dict[str, Callable[[], bytes]]:
    """Return each way of ours to make frames of a client, as functions that make some hundred."""

    def by(act: Callable[[Connection], object], times: int = 300, compressed: bool = False) -> Callable[[], bytes]:
        def call() -> bytes:
            connection = Connection(Role.CLIENT, compression=deflate() if compressed else None)
            for _ in range(times):
                act(connection)
            return connection.data_to_send()

        return call

    encoder = Encoder(Role.CLIENT)
    return {
        "texts": by(lambda connection: connection.send(HTTP.decode())),
        "binaries": by(lambda connection: connection.send(HTTP)),
        "large": by(lambda connection: connection.send(HTTP * 2000), 3),
        "burst": by(lambda connection: connection.send_many([HTTP] * 300), 1),
        "fragments": by(lambda connection: [connection.send_fragment(HTTP, fin=fin) for fin in (False, False, True)]),
        "compressed": by(lambda connection: connection.send(HTTP * 9), compressed=True),
        "pings": by(lambda connection: connection.ping(HTTP)),
        "pongs": by(lambda connection: connection.pong(HTTP)),
        "answers": by(lambda connection: connection.receive(frame(PING, HTTP)), 200),
        "closes": lambda: b"".join(encoder.close(1000, HTTP.decode()) for _ in range(300)),
        "encoder": lambda: b"".join(encoder.encode(HTTP) for _ in range(300)),
        "many": lambda: encoder.encode_many([HTTP] * 300),
    }


WAYS = list(_ways())


@tries("CVE-2025-10148", "Huang et al. 2011")
@pytest.mark.parametrize("way", WAYS)
def test_each_frame_has_a_key_of_its_own_and_hides_its_payload(way: str) -> None:
    wire = _ways()[way]()
    assert HTTP not in wire
    assert HTTP[4:30] not in wire
    frames = frames_of(wire)
    assert len(frames) in (3, 200, 300, 900)
    # Of 900 random keys, two are equal once in ten thousand runs; of one key, all are.
    assert len({frame.key for frame in frames}) >= len(frames) - 1
    assert None not in {frame.key for frame in frames}


@tries("GHSA-w67g-5rqw-f597", "aiohttp threat model 3.1")
@pytest.mark.parametrize("way", WAYS)
def test_keys_are_the_systems_random_bytes(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = []
    urandom = os.urandom

    def record(size: int) -> bytes:
        given.append(urandom(size))
        return given[-1]

    monkeypatch.setattr(keys, "_pool", keys._Pool())
    monkeypatch.setattr(os, "urandom", record)
    random.seed(1)
    used = [frame.key for frame in frames_of(_ways()[way]())]
    offered = [block[i : i + 4] for block in given for i in range(0, len(block), 4)]
    assert set(used) <= set(offered)
    assert sum(map(len, given)) >= 4 * len(used)


_WRONG = ("facil.io #169", "aiohttp threat model 3.1")


@against(
    *[
        Attack(f"unmasked-{opcode}", _WRONG, (Part(TEXT, b"a"), frame(opcode, b"")), 1002, ("a",), roles=SERVER)
        for opcode in (TEXT, BINARY, CLOSE, PING, PONG)
    ],
    *[
        Attack(f"masked-{opcode}", _WRONG, (Part(TEXT, b"a"), frame(opcode, b"", key=KEY)), 1002, ("a",), roles=CLIENT)
        for opcode in (TEXT, BINARY, CLOSE, PING, PONG)
    ],
    Attack("unmasked-hello", _WRONG, (bytes.fromhex("810548656c6c6f"),), 1002, roles=SERVER),
    Attack("unmasked-continuation", _WRONG, (Part(TEXT, b"a", False), frame(CONT, b"b")), 1002, roles=SERVER),
    Attack("masked-by-zeros", _WRONG, (frame(TEXT, b"a", key=bytes(4)),), 1002, roles=CLIENT),
    Attack("unmasked-and-long", _WRONG, (header(0x82, 70_000),), 1002, roles=SERVER),
)
def test_the_wrong_direction_is_an_offence_and_delivers_nothing(attack: Attack, role: Role) -> None:
    check(attack, role)
    check(attack, role, compression=deflate())
    decoder = FrameDecoder(role)
    with pytest.raises(ProtocolError):
        decoder.feed(attack.wire(role))


@tries("zeroc-ice PR 5678")
@pytest.mark.parametrize("size", [0, 1, 4, 5, 125])
def test_a_pong_says_what_the_ping_said(size: int) -> None:
    payload = bytes(range(size))
    server, client = Connection(Role.SERVER), Connection(Role.CLIENT)
    server.receive(frame(PING, payload, key=KEY))
    assert server.data_to_send() == frame(PONG, payload)
    client.receive(frame(PING, payload))
    (answer,) = frames_of(client.data_to_send())
    assert (answer.opcode, answer.payload) == (PONG, payload)
    assert answer.key not in (None, KEY)


@tries("zeroc-ice PR 5678", "Huang et al. 2011")
def test_masking_twice_is_no_masking() -> None:
    for payload in (HTTP, HTTP * 3000):
        wire = encode_frame(BINARY, payload, masking_key=KEY)
        assert wire.endswith(mask(payload, KEY))
        assert Connection(Role.SERVER).receive(wire) == [payload]
