"""Targets for permessage-deflate: hostile streams inflated, and two connections that talk, with zlib between them.

What comes out is compared with what went in, on each implementation, and then with the other implementations.
"""

from __future__ import annotations

import tracemalloc
import zlib
from collections.abc import Callable
from random import Random
from typing import Any

from fuzz_input import CLOSE_CODES, cut, some_bytes, some_key, some_message, some_size, some_text
from fuzz_targets import MAY_RAISE, Difference, Observe, known_keys, outcome, some_limits
from helpers import BINARY, CONT, PING, TEXT, frame
from implementations import Implementation
from plain_reader import TAIL, PlainReader

from wscodec import (
    AgreedDeflate,
    Connection,
    DeflateParameters,
    InflatingDecoder,
    PerMessageDeflate,
    PreparedMessage,
    ProtocolError,
    Role,
)

BOMB = 1 << 20
# What inflating may take beyond the message itself: a window, a step, a piece, the compressed bytes.
MARGIN = 1 << 20

Part = tuple[bytes, bool]  # a payload, and whether it is the last of its message


class Sender:
    """A sender of compressed messages that is made of plain zlib.

    Args:
        bits: its window, as a power of two.
        fresh: whether each message is compressed by itself.
        ends: whether some of its blocks end their stream (BFINAL).
    """

    def __init__(self, rng: Random, bits: int, fresh: bool, ends: bool) -> None:
        self._rng = rng
        self._ends = ends
        self._bits = max(bits, 9)
        self._fresh = fresh
        self._stream: Any = None

    def _compressor(self) -> Any:
        if self._stream is None:
            level, strategy = self._rng.choice((0, 1, 6, 9)), self._rng.choice((0, 0, 1, 2, 3, 4))
            self._stream = zlib.compressobj(level, zlib.DEFLATED, -self._bits, self._rng.choice((1, 8, 9)), strategy)
        return self._stream

    def parts(self, message: bytes) -> list[bytes]:
        """Return the payloads of the frames of a message; their ends are of all kinds that the RFC allows (§7.2.3)."""
        rng = self._rng
        parts = []
        for piece in cut(rng, message) if message and rng.random() < 0.3 else [message]:
            compressor = self._compressor()
            payload = compressor.compress(piece)
            kind = rng.random()
            if kind < 0.1 and self._ends:
                payload += compressor.flush(zlib.Z_FINISH)
                self._stream = None
            elif kind < 0.3:
                payload += compressor.flush(zlib.Z_FULL_FLUSH)
            else:
                payload += compressor.flush(zlib.Z_SYNC_FLUSH)
            parts.append(payload)
        if parts[-1].endswith(TAIL):
            parts[-1] = parts[-1][:-4]
        elif self._stream is None:
            parts[-1] += b"\x00"  # §7.2.3.4: a block that is last is followed by an empty one
        parts[-1] = parts[-1] or b"\x00"
        if self._fresh:
            self._stream = None
        return parts


def some_payload(rng: Random, text: bool) -> bytes:
    """Return what a message says; sometimes so much that its compressed form is a bomb."""
    if rng.random() < 0.03:
        return b"a" * rng.choice((BOMB, BOMB // 8, 65536, 65537))
    return some_text(rng).encode() if text else some_bytes(rng) * rng.choice((1, 1, 3, 50))


def spoilt(rng: Random, parts: list[bytes]) -> list[bytes]:
    """Return the payloads of a message with something wrong, or at least strange."""
    at = rng.randrange(len(parts))
    part, kind = parts[at], rng.randrange(7)
    place = rng.randrange(len(part) + 1)
    if kind == 0 and part:
        place %= len(part)
        part = part[:place] + bytes([part[place] ^ 1 << rng.randrange(8)]) + part[place + 1 :]
    elif kind == 1:
        part = part[:place]
    elif kind == 2:
        part = some_bytes(rng)
    elif kind == 3:
        part = part[:place] + some_bytes(rng, rng.randrange(5)) + part[place:]
    elif kind == 4:
        part += b"\x03\x00" * rng.choice((1, 2, 4095, 4097))  # streams that end at once
    elif kind == 5:
        part += (b"\x00" + TAIL) * rng.choice((1, 100, 20000))  # blocks that hold nothing
    else:
        return [b"", *parts, b"", part]
    return [*parts[:at], part, *parts[at + 1 :]]


def _framed(rng: Random, opcode: int, parts: list[bytes], masked: bool, rsv1: bool, pings: bool = True) -> bytes:
    wire = b""
    for index, part in enumerate(parts):
        key = some_key(rng) if masked else None
        rsv = 4 if rsv1 and not index else 0
        wire += frame(CONT if index else opcode, part, fin=index == len(parts) - 1, rsv=rsv, key=key)
        if pings and rng.random() < 0.1:
            wire += frame(PING, b"between", key=key)
    return wire


def compressed_stream(
    rng: Random, masked: bool, bits: int, fresh: bool, simple: bool = False
) -> tuple[bytes, list[Any], int | None]:
    """Return a stream of frames, the messages in it, and how many are good before one is spoilt; None if none is.

    A `simple` one has nothing that known_differences.py says is not sent.
    """
    sender = Sender(rng, bits, fresh, not simple)
    wire, expected, good = b"", [], None
    for number in range(rng.randrange(1, 6)):
        text = rng.random() < 0.5
        message = some_payload(rng, text)
        opcode = TEXT if text else BINARY
        if rng.random() < 0.2:
            wire += _framed(rng, opcode, [message], masked, False)
        else:
            parts = sender.parts(message)
            if rng.random() < 0.12:
                parts = spoilt(rng, parts)
                good = number if good is None else good
            wire += _framed(rng, opcode, parts, masked, True, not simple)
        expected.append(message.decode() if text else message)
    return wire, expected, good


def some_parameters(rng: Random) -> DeflateParameters:
    return DeflateParameters(
        server_no_context_takeover=rng.random() < 0.4,
        client_no_context_takeover=rng.random() < 0.4,
        server_max_window_bits=rng.randrange(9, 16),
        client_max_window_bits=rng.randrange(9, 16),
    )


def some_deflate(rng: Random) -> dict[str, Any]:
    return {
        "level": rng.choice((None, None, 1, 6, 9)),
        "mem_level": rng.choice((1, 5, 9)),
        "threshold": rng.choice((0, 1, 16, 128)),
        "engine": rng.choice((None, zlib)),
    }


def inflating(rng: Random) -> Observe:
    """Compressed messages, hostile ones too, out of a stream that is cut and held back anywhere, and within limits."""
    role = rng.choice(tuple(Role))
    bits, fresh = rng.randrange(9, 16), rng.random() < 0.4
    wire, expected, good = compressed_stream(rng, role is Role.SERVER, bits, fresh)
    limits = {**some_limits(rng), "max_size": rng.choice((None, None, 0, 10, 125, 2000, 65536, BOMB))}
    engine = rng.choice((None, zlib))
    name = "client" if role is Role.SERVER else "server"
    agreed = DeflateParameters(**{f"{name}_max_window_bits": bits, f"{name}_no_context_takeover": fresh})
    chunks = cut(rng, wire)
    streaming, measured = rng.random() < 0.2, len(wire) > 20000 or rng.random() < 0.02
    burst, patience = rng.choice((None, 0, 100, 5000)), rng.choice((1, 0.5))

    def decode(chunks: list[bytes], streaming: bool, burst: int | None = burst) -> tuple[list[Any], Any]:
        inflater = PerMessageDeflate(engine=engine).inflater(role, agreed)
        ours = InflatingDecoder(role, inflater, **limits, streaming=streaming, burst_size=burst)
        events: list[Any] = []
        turns = Random(len(wire))
        for chunk in chunks:
            try:
                events += ours.feed(chunk)
                while ours.held_back and (chunk is chunks[-1] or turns.random() < patience):
                    events += ours.feed(b"")
            except ProtocolError as error:
                return [*events, *error.events], (type(error).__name__, error.close_code, error.reason)
        return events, None

    def observe(_: Implementation) -> Any:
        whole = _within(limits["max_size"], lambda: decode([wire], False, None), measured)
        parts = _within(limits["max_size"], lambda: decode(chunks, False), measured)
        # Where a message breaks two rules, how it is cut decides which is seen first.
        if whole[0] != parts[0] or (whole[1] is None) is not (parts[1] is None):
            raise Difference(f"whole {whole!r}, in chunks {[len(chunk) for chunk in chunks]} {parts!r}")
        messages = [event for event in whole[0] if isinstance(event, str | bytes)]
        if whole[1] is None or good is not None:
            wanted = expected[:good] if whole[1] is None else expected[: min(good or 0, len(messages))]
            _demand_same(wanted, messages[: len(wanted)])
        elif whole[1][0] not in ("MessageTooBig", "TooManyFragments"):
            raise Difference(f"refused good messages: {whole[1]!r}")
        return whole, parts, decode(chunks, True) if streaming else None

    return observe


def _within(limit: int | None, decode: Callable[[], Any], measured: bool) -> Any:
    """Decode, and see that no message is above the limit, nor what it took to find out much above it."""
    if not measured or limit is None or tracemalloc.is_tracing():
        result = decode()
    else:
        tracemalloc.start()
        result = decode()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        total = sum(_size(event) for event in result[0])
        # A character may take four bytes where one of UTF-8 was sent, and the pieces are there until it is whole.
        if peak > 4 * total + 6 * limit + MARGIN:
            raise Difference(f"{peak} bytes for messages of at most {limit}")
    for event in result[0]:
        if limit is not None and _size(event) > limit:
            raise Difference(f"a message of {_size(event)} bytes, above {limit}")
    return result


def _size(event: Any) -> int:
    return len(event.encode()) if isinstance(event, str) else len(event) if isinstance(event, bytes) else 0


def _demand_same(expected: list[Any], got: list[Any]) -> None:
    if got != expected:
        at = next((i for i, pair in enumerate(zip(expected, got, strict=False)) if pair[0] != pair[1]), "the end")
        raise Difference(
            f"at {at}: {len(expected)} messages went in, {len(got)} came out\n{expected!r}\n{got!r}"[:3000]
        )


class Side:
    """A connection of ours, what the application sent on it, and the oracle that reads along."""

    def __init__(self, role: Role, agreed: AgreedDeflate) -> None:
        parameters = agreed.parameters
        server = role is Role.SERVER
        bits = parameters.server_max_window_bits if server else parameters.client_max_window_bits
        fresh = parameters.server_no_context_takeover if server else parameters.client_no_context_takeover
        self.ours = Connection(role, max_size=None, compression=agreed)
        self.oracle = PlainReader(bits, fresh)
        self.sent: list[Any] = []
        self.received: list[Any] = []
        self.fragments: list[Any] = []
        self.deflation: Any = None

    def do(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Do what an application does; note what should arrive."""
        result = outcome(MAY_RAISE.get(name, ()), getattr(self, f"_{name}"), *args, **kwargs)
        return result if result is None or isinstance(result, tuple) else type(result).__name__

    def _send(self, message: Any, **kwargs: Any) -> None:
        self.ours.send(message, **kwargs)
        self.sent.append(message.message if isinstance(message, PreparedMessage) else message)

    def _send_many(self, messages: list[Any]) -> None:
        self.ours.send_many(messages)
        self.sent += messages

    def _send_fragment(self, data: Any, **kwargs: Any) -> None:
        self.ours.send_fragment(data, **kwargs)
        self.fragments.append(data)
        if kwargs["fin"]:
            self.sent.append(type(data)().join(self.fragments))
            self.fragments = []

    def _begin_send(self, message: Any) -> None:
        if self.deflation is None:
            self.deflation = self.ours.begin_send(message)
            self.sent.append(message)

    def _run(self) -> None:
        if self.deflation is not None:
            self.deflation.run()

    def _end_send(self) -> None:
        if self.deflation is not None:
            deflation, self.deflation = self.deflation, None
            self.ours.end_send(deflation)

    def _ping(self, payload: bytes) -> None:
        self.ours.ping(payload)

    def _close(self, code: int | None, reason: str) -> None:
        self.ours.close(code, reason)


def _some_action(rng: Random, talk: Talk, prepared: int) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
    kind = rng.randrange(10)
    if kind < 3:
        return "send", (talk.message(),), {"compress": rng.random() < 0.8}
    if kind == 3:
        return "send_many", ([talk.message() for _ in range(rng.randrange(4))],), {}
    if kind == 4:
        return "send_fragment", (talk.message(),), {"fin": rng.random() < 0.6, "compress": rng.random() < 0.8}
    if kind == 5:
        return "prepared", (rng.randrange(prepared),), {}
    if kind == 6:
        return "ping", (some_bytes(rng, rng.choice((0, 5, 125))),), {}
    if kind == 7:
        return "begin_send", (talk.message(),), {}
    if kind == 8:
        return rng.choice(("run", "end_send")), (), {}
    if rng.random() < 0.2:
        return "close", (rng.choice((None, *CLOSE_CODES)), some_text(rng)), {}
    return "deliver", (rng.random() < 0.5,), {}


class Talk:
    """Messages that often say again what was said before, so that they refer to it."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._said: list[Any] = ["the same text, said again and again. ", "abc" * 40]

    def message(self) -> Any:
        """Return the next message."""
        rng = self._rng
        if rng.random() < 0.5:
            return rng.choice(self._said) * rng.choice((1, 1, 1, 4))
        message = some_message(rng) if rng.random() < 0.9 else bytes(some_size(rng) * 20)
        self._said.append(message)
        return message


def talking(rng: Random) -> Observe:
    """Two connections that agreed on compression do anything; what comes out is what went in, by plain zlib too."""
    parameters = some_parameters(rng)
    wanted = [some_deflate(rng) for _ in range(2)]
    talk = Talk(rng)
    prepared = [(talk.message(), rng.random() < 0.8) for _ in range(2)]
    plan = [(rng.randrange(2), *_some_action(rng, talk, len(prepared))) for _ in range(rng.randrange(1, 25))]
    seed = rng.getrandbits(32)

    def observe(_: Implementation) -> Any:
        roles = (Role.CLIENT, Role.SERVER)
        agreed = [AgreedDeflate(PerMessageDeflate(**options), parameters) for options in wanted]
        ready = [PreparedMessage(message, compress=compress) for message, compress in prepared]
        ways, seen = Random(seed), []
        with known_keys():
            sides = [Side(role, compression) for role, compression in zip(roles, agreed, strict=True)]
            for who, name, args, kwargs in plan:
                if name == "deliver":
                    seen.append(_deliver(ways, sides[who], sides[1 - who]))
                elif name == "prepared":
                    seen.append(sides[who].do("send", ready[args[0]]))
                else:
                    seen.append(sides[who].do(name, *args, **kwargs))
            for side in (*sides, *sides):
                side.do("end_send")
                seen.append(_deliver(ways, side, sides[side is sides[0]]))
        for side, other in (sides, sides[::-1]):
            _judge(side, other)
            side.ours.eof()
        return seen, [(side.ours.state, side.ours.close_code) for side in sides]

    return observe


def _deliver(ways: Random, side: Side, other: Side) -> bytes:
    wire = side.ours.data_to_send()
    side.oracle.feed(wire)
    for chunk in cut(ways, wire):
        other.received += other.ours.receive(chunk)
    return wire


def _judge(side: Side, other: Side) -> None:
    """See that all messages of `side` came to `other`, and by the oracle."""
    if other.ours.error is not None:
        raise Difference(f"our own messages were refused: {other.ours.error}")
    messages = [event for event in side.oracle.events if isinstance(event, str | bytes)]
    _demand_same(side.sent, messages)
    # Whoever failed or ended first may not have listened to the last.
    _demand_same(side.oracle.events, other.received)


TARGETS = (inflating, talking)
