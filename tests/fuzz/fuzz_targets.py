"""What is compared: each target draws its input from `rng` and returns what to observe of it on any implementation.

An observation is plain data, so that two of them can be compared and printed. A target may also raise a Difference
itself, where one implementation disagrees with itself.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from itertools import count
from random import Random
from typing import Any

from fuzz_input import CLOSE_CODES, cut, some_bytes, some_key, some_message, some_text, some_utf8, stream
from implementations import Implementation

from wscodec import (
    ConcurrencyError,
    Connection,
    ConnectionClosed,
    Decoder,
    Encoder,
    FrameDecoder,
    ProtocolError,
    Role,
)

Observe = Callable[[Implementation], Any]
Errors = type[Exception] | tuple[type[Exception], ...]

MISTAKES = (TypeError, ValueError)
MESSAGES = (*MISTAKES, ConcurrencyError, ConnectionClosed)
# What the docstrings of an encoder and a connection name; what is not here raises nothing, whatever the peer has sent.
MAY_RAISE: dict[str, Errors] = {
    **dict.fromkeys(("encode", "encode_many", "encode_fragment"), MESSAGES),
    **dict.fromkeys(("send", "send_many", "send_fragment", "begin_send"), MESSAGES),
    **dict.fromkeys(("ping", "pong"), (ValueError, ConnectionClosed)),
    **dict.fromkeys(("close", "fail"), ValueError),
    "end_send": ConnectionClosed,
}


class Difference(AssertionError):
    """Two observations that should be the same are not."""


def outcome(errors: Errors, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return what a call returned, or which of the `errors` it raised; any other one is a fault of ours."""
    try:
        return function(*args, **kwargs)
    except errors as error:
        if isinstance(error, ProtocolError):
            return type(error).__name__, error.close_code, error.reason, error.events
        return type(error).__name__, str(error)


def outcome_of(ours: Any, name: str, *args: Any, **kwargs: Any) -> Any:
    """Return what came of a method of an encoder or a connection, which raises no more than its docstring says."""
    return outcome(MAY_RAISE.get(name, ()), getattr(ours, name), *args, **kwargs)


@contextlib.contextmanager
def known_keys() -> Iterator[None]:
    """Let clients mask with 1, 2, 3, ... instead of random keys."""
    numbers = count(1)
    ours = {
        "take_key": lambda: next(numbers).to_bytes(4),
        "take_keys": lambda size: b"".join(next(numbers).to_bytes(4) for _ in range(size)),
    }
    before = [
        (module, name, getattr(module, name)) for module in _users_of_keys() for name in ours if hasattr(module, name)
    ]
    for module, name, _ in before:
        setattr(module, name, ours[name])
    try:
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)


def _users_of_keys() -> list[Any]:
    modules = [module for name, module in sys.modules.items() if name.startswith("wscodec.")]
    return [module for module in modules if module.__name__ != "wscodec.keys"]


def mask(rng: Random) -> Observe:
    """Masking, at any alignment, with bytes around that must stay as they are."""
    data, key, offset = some_bytes(rng), some_key(rng), rng.choice((0, 1, 2, 3, rng.randrange(1 << 40), -1))
    before, after = some_bytes(rng, rng.randrange(64)), some_bytes(rng, rng.randrange(64))
    if rng.random() < 0.05:
        key = some_bytes(rng, rng.randrange(8))

    def observe(implementation: Implementation) -> Any:
        room = bytearray(before + data + after)
        view = memoryview(room)[len(before) : len(before) + len(data)]
        masked = outcome(ValueError, implementation.twin("apply_mask"), view, key, offset)
        done = outcome(ValueError, implementation.twin("apply_mask_inplace"), view, key, offset)
        if isinstance(masked, bytes) and bytes(room) != before + masked + after:
            raise Difference(f"in place {bytes(room)!r}, else {masked!r}")
        return masked, done

    return observe


def utf8(rng: Random) -> Observe:
    """Validation whole and in chunks, and decoding."""
    data = some_utf8(rng)
    chunks = cut(rng, data)

    def observe(implementation: Implementation) -> Any:
        validator = implementation.twin("Utf8Validator")()
        steps = [(validator.feed(chunk), validator.complete) for chunk in chunks]
        valid = implementation.twin("is_valid_utf8")(data)
        if valid is not validator.complete:
            raise Difference(f"whole {valid}, in chunks {steps}")
        return steps, valid, outcome(UnicodeDecodeError, implementation.twin("decode_utf8"), data)

    return observe


def headers(rng: Random) -> Observe:
    """Headers read from any bytes, and written from any numbers."""
    data, offset = some_bytes(rng, rng.randrange(20)), rng.randrange(-1, 20)
    number = rng.choice((rng.randrange(300), rng.randrange(1 << 17), rng.randrange(-2, 1 << 65)))
    opcode = rng.randrange(-1, 18)
    bits = {name: rng.random() < 0.5 for name in ("fin", "rsv1", "rsv2", "rsv3")}
    key = rng.choice((None, some_key(rng), some_bytes(rng, rng.randrange(6))))

    def observe(implementation: Implementation) -> Any:
        built = outcome(ValueError, implementation.twin("build_header"), opcode, number, masking_key=key, **bits)
        return outcome(ValueError, implementation.twin("parse_header"), data, offset), built

    return observe


def runs(rng: Random) -> Observe:
    """Runs of plain messages, taken and packed."""
    masked = rng.random() < 0.5
    data = stream(rng, masked)
    start = rng.choice((0, rng.randrange(len(data) + 1)))
    limit = rng.choice((-1, 0, 5, 125, 126, 1000, 1 << 20, (1 << 63) - 1))
    messages = [some_message(rng) for _ in range(rng.randrange(6))]
    if rng.random() < 0.1:
        messages.append(rng.choice(("\ud800", 7, None)))
    keys = rng.choice((None, rng.randbytes(4 * len(messages)), rng.randbytes(5)))

    def observe(implementation: Implementation) -> Any:
        taken: list[Any] = []
        end = implementation.twin("take_messages")(data, start, masked, limit, taken)
        return end, taken, outcome(MISTAKES, implementation.twin("pack_messages"), messages, keys)

    return observe


def payloads(rng: Random) -> Observe:
    """A message put together from pieces of frames, and sent again in chunks."""
    text = rng.random() < 0.6
    parts = [some_utf8(rng) if text else some_bytes(rng) for _ in range(rng.randrange(1, 5))]
    pieces = [(cut(rng, part), len(part), rng.choice((None, some_key(rng)))) for part in parts]
    more = rng.choice((0, 0, 1, 1 << 40))
    least = rng.choice((0, 1, 10, 100, 1 << 14))

    def observe(implementation: Implementation) -> Any:
        ours = implementation.twin("Payload")(text)
        steps = []
        for chunks, size, key in pieces:
            done = 0
            for chunk in chunks:
                done += ours.take(chunk, 0, size - done + more, key, done)
                steps.append((done, ours.valid))
        message = ours.finish()
        packed = [] if message is None else implementation.twin("pack_chunks")([message, "", message], least)
        return steps, message, [(type(chunk).__name__, bytes(chunk)) for chunk in packed], ours.finish()

    return observe


def some_limits(rng: Random) -> dict[str, Any]:
    return {
        "max_size": rng.choice((None, None, 0, 10, 125, 126, 2000)),
        "max_frame_size": rng.choice((None, None, None, 0, 10, 126)),
        "max_fragments": rng.choice((None, None, 1, 3)),
    }


def decoder(rng: Random) -> Observe:
    """Messages out of a stream in chunks, whole or as fragments."""
    role = rng.choice(tuple(Role))
    options = {**some_limits(rng), "streaming": rng.random() < 0.3}
    chunks = cut(rng, stream(rng, role is Role.SERVER))

    def observe(_: Implementation) -> Any:
        peer = Decoder(role, **options)
        return [(outcome(ProtocolError, peer.feed, chunk), list(peer.controls)) for chunk in [*chunks, b"", b"more"]]

    return observe


def cuts(rng: Random) -> Observe:
    """The same events and the same error, wherever a stream is cut."""
    role = rng.choice(tuple(Role))
    options = some_limits(rng)
    data = stream(rng, role is Role.SERVER)
    ways = [data[i : i + 1] for i in range(len(data))], cut(rng, data)

    def decode(chunks: list[bytes]) -> Any:
        peer = Decoder(role, **options)
        events = []
        for chunk in chunks:
            try:
                events += peer.feed(chunk)
            except ProtocolError as error:
                return [*events, *error.events], (type(error).__name__, error.close_code, error.reason)
        return events, None

    def observe(_: Implementation) -> Any:
        whole = decode([data])
        for chunks in ways:
            if (result := decode(chunks)) != whole:
                raise Difference(f"whole {whole!r}, in chunks {[len(chunk) for chunk in chunks]} {result!r}")
        return whole

    return observe


def frames(rng: Random) -> Observe:
    """Raw frames out of a stream in chunks."""
    role = rng.choice(tuple(Role))
    limit = rng.choice((None, 0, 125, 2000))
    chunks = cut(rng, stream(rng, role is Role.SERVER))

    def observe(_: Implementation) -> Any:
        peer = FrameDecoder(role, max_size=limit)
        return [outcome(ProtocolError, peer.feed, chunk) for chunk in [*chunks, b"more"]]

    return observe


def _sending(rng: Random) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
    """Return something to do to an encoder or a connection: a method, and its arguments."""
    kind = rng.randrange(6)
    if kind == 0:
        return "many", ([some_message(rng) for _ in range(rng.randrange(4))],), {}
    if kind == 1:
        return "fragment", (some_message(rng),), {"fin": rng.random() < 0.7}
    if kind == 2:
        return rng.choice(("ping", "pong")), (some_bytes(rng, rng.choice((0, 5, 125, 126))),), {}
    if kind == 3 and rng.random() < 0.3:
        return "close", (rng.choice((None, *CLOSE_CODES)), some_text(rng)), {}
    message = some_utf8(rng) if rng.random() < 0.3 else some_message(rng)
    return "one", (message,), {"text": rng.choice((None, True, False)), "compress": rng.random() < 0.8}


def encoder(rng: Random) -> Observe:
    """Messages and control frames encoded."""
    role = rng.choice(tuple(Role))
    names = {"one": "encode", "many": "encode_many", "fragment": "encode_fragment"}
    calls = [_sending(rng) for _ in range(rng.randrange(1, 8))]

    def observe(_: Implementation) -> Any:
        ours = Encoder(role)
        with known_keys():
            return [outcome_of(ours, names.get(name, name), *args, **kw) for name, args, kw in calls]

    return observe


def connection(rng: Random) -> Observe:
    """A whole connection: received, sent, closed, failed, in any order."""
    role = rng.choice(tuple(Role))
    options = some_limits(rng)
    names = {"one": "send", "many": "send_many", "fragment": "send_fragment"}
    calls = []
    for chunk in cut(rng, stream(rng, role is Role.SERVER)):
        calls.append(("receive", (chunk,), {}))
        while rng.random() < 0.5:
            calls.append(_sending(rng))
        if rng.random() < 0.5:
            what = rng.choice(("data_to_send", "data_before_close", "chunks_to_send", "chunks_before_close"))
            calls.append((what, (), {}))
        if rng.random() < 0.03:
            calls.append(("fail", (1011, "broken"), {}))
    calls += [("eof", (), {}), ("data_to_send", (), {}), ("closed_error", (), {})]

    def observe(_: Implementation) -> Any:
        seen = []
        with known_keys():
            ours = Connection(role, **options)
            for name, args, kw in calls:
                result = outcome_of(ours, names.get(name, name), *args, **kw)
                if name.startswith("chunks"):
                    result = [bytes(chunk) for chunk in result]
                seen.append((name, repr(result), ours.state, ours.close_code, ours.close_reason, ours.unsent_size))
        return seen

    return observe


TARGETS = (mask, utf8, headers, runs, payloads, decoder, cuts, frames, encoder, connection)
