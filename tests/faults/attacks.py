"""Attacks as tables: what a peer sends, what comes of it, and which published faults that tries.

A table holds bytes, numbers and words only, so that a test can play it on each backend.
"""

from __future__ import annotations

import asyncio
import gc
import zlib
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest
from helpers import CLOSE, ROLES, close_payload, frame, header, to
from reference.frames import frames_of

from wscodec import AgreedDeflate, Connection, DeflateParameters, PerMessageDeflate, Role

RSV1 = 4
_LOOP_TIMEOUT = 30  # seconds: for a test that hangs; no test waits for it


def tries(*faults: str) -> pytest.MarkDecorator:
    """Say that a test, or a parameter of one, tries these published faults."""
    return pytest.mark.fault(*faults)


class Part(NamedTuple):
    """A frame, so many times."""

    opcode: int
    payload: bytes = b""
    fin: bool = True
    rsv: int = 0
    times: int = 1


@dataclass(frozen=True)
class Attack:
    """What a peer sends on an open connection, and how that ends.

    Attributes:
        name: for the test's id.
        faults: what it tries.
        sent: frames, masked as our role demands, or bytes that go out as they stand.
        code: the close code that it ends with; None where nothing is wrong.
        events: what arrives before the offence.
        options: of the connection.
        roles: which of ours it is played against.
    """

    name: str
    faults: tuple[str, ...]
    sent: tuple[Part | bytes, ...]
    code: int | None
    events: tuple[Any, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    roles: tuple[Role, ...] = ROLES

    def wire(self, role: Role) -> bytes:
        """Return the bytes, as they are sent to `role`."""
        return b"".join(part if isinstance(part, bytes) else _frames(part, role) for part in self.sent)


def _frames(part: Part, role: Role) -> bytes:
    return frame(part.opcode, part.payload, fin=part.fin, rsv=part.rsv, key=to(role)) * part.times


def against(*attacks: Attack) -> pytest.MarkDecorator:
    """Parametrise a test over `attack` and `role`."""
    params = [
        pytest.param(attack, role, id=f"{attack.name}-{role.value}", marks=tries(*attack.faults))
        for attack in attacks
        for role in attack.roles
    ]
    return pytest.mark.parametrize(("attack", "role"), params)


def deflate(*, fresh: bool = False, bits: int = 15) -> AgreedDeflate:
    """Return compression with the same window for both sides, or with none that lasts beyond a message."""
    parameters = DeflateParameters(
        server_no_context_takeover=fresh,
        client_no_context_takeover=fresh,
        server_max_window_bits=bits,
        client_max_window_bits=bits,
    )
    return AgreedDeflate(PerMessageDeflate(), parameters)


def quick_frame(role: Role, opcode: int, payload: bytes, *, fin: bool = True, rsv: int = 0) -> bytes:
    """Return a frame to `role`, masked by zeros if it has to be masked: what masks here takes long for many bytes."""
    key = bytes(4) if role is Role.SERVER else None
    return header((0x80 if fin else 0) | rsv << 4 | opcode, len(payload), key=key) + payload


def stored(data: bytes) -> bytes:
    """Return what inflates to `data`, and is about as long (RFC 7692 section 7.2.1)."""
    compressor = zlib.compressobj(0, zlib.DEFLATED, -15)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def chunks(data: bytes, step: int) -> Iterable[bytes]:
    return (data[i : i + step] for i in range(0, len(data), step))


def receive(connection: Connection, data: bytes, step: int) -> list[Any]:
    """Return the events of `data`, read in pieces of `step` bytes."""
    events: list[Any] = []
    for chunk in chunks(data, step):
        events += connection.receive(chunk)
    return events


def check(attack: Attack, role: Role, **options: Any) -> None:
    """Play an attack, read in large and in small pieces, and see that it ends as it should."""
    wire = attack.wire(role)
    for step in (len(wire), 1460, 1 if len(wire) < 20_000 else 197):
        connection = Connection(role, **{**attack.options, **options})
        assert receive(connection, wire, step) == list(attack.events)
        assert connection.close_code == attack.code
        sent = frames_of(connection.data_to_send())
        if attack.code is None:
            assert not sent
            continue
        assert [(sent[-1].opcode, sent[-1].payload[:2])] == [(CLOSE, close_payload(attack.code))]
        # What comes behind an offence is neither delivered nor answered.
        assert connection.receive(_frames(Part(1, b"late", times=50), role)) == []
        assert connection.data_to_send() == b""
        assert connection.finished


def play(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a test on an event loop of its own; nothing may be left of it, nor any exception that nobody saw."""
    problems: list[dict[str, Any]] = []

    async def guarded() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
        async with asyncio.timeout(_LOOP_TIMEOUT):
            await main()
        for _ in range(20):
            await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(guarded())
    gc.collect()
    assert not problems
