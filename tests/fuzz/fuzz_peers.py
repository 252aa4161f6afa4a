"""Targets that compare with `websockets` and wsproto: what either makes of a stream, and what it makes of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from fuzz_deflate import compressed_stream, some_deflate, some_parameters
from fuzz_input import cut, some_bytes, some_text, stream
from fuzz_targets import Difference, Observe
from implementations import Implementation
from known_differences import is_known
from other_codecs import PEERS, Ours, Seen

from wscodec import AgreedDeflate, Close, Header, Opcode, PerMessageDeflate, Ping, Pong, Role, parse_header

CODES = (1000, 1001, 1003, 1011, 3000, 4999)


def some_agreement(rng: Random) -> Callable[[], AgreedDeflate | None]:
    """Return a function that makes what was agreed, for the copy of the package that is in use then."""
    if rng.random() < 0.5:
        return lambda: None
    parameters, options = some_parameters(rng), some_deflate(rng)
    return lambda: AgreedDeflate(PerMessageDeflate(**options), parameters)


def _wire(rng: Random, role: Role, agreed: AgreedDeflate | None) -> tuple[bytes, int | None]:
    """Return a stream, and how many of its messages are compared where the rest is up to the reader."""
    masked = role is Role.SERVER
    if agreed is None:
        return stream(rng, masked), None
    parameters = agreed.parameters
    bits = parameters.client_max_window_bits if masked else parameters.server_max_window_bits
    fresh = parameters.client_no_context_takeover if masked else parameters.server_no_context_takeover
    wire, _, good = compressed_stream(rng, masked, bits, fresh, simple=True)
    behind = stream(rng, masked)
    return wire if good is not None or _has_rsv1(behind) else wire + behind, good


def _has_rsv1(wire: bytes) -> bool:
    """Whether random bytes would be taken for a compressed message somewhere in a stream."""
    return any(header.rsv1 for header, _ in _headers(wire))


def _kind_of(wire: bytes, agreed: AgreedDeflate | None) -> set[str]:
    """Return what known differences ask of a stream."""
    frames = list(_headers(wire))
    torn = (frames[-1][1] if frames else 0) != len(wire)
    data = [header.fin for header, _ in frames if header.opcode < Opcode.CLOSE]
    kinds = {"torn": torn, "unfinished": torn or not all(data[-1:]), "compressed": agreed is not None}
    return {kind for kind, holds in kinds.items() if holds}


def _headers(wire: bytes) -> Iterator[tuple[Header, int]]:
    """Yield the headers of a stream, and where their frames end."""
    end = 0
    while (header := parse_header(wire, end)) is not None:
        end += header.size + header.length
        yield header, end


def reading(peer: str, rng: Random) -> Observe:
    """The same stream, good or hostile, read by us and by them."""
    role, agreement = rng.choice(tuple(Role)), some_agreement(rng)
    kind = PEERS[peer]
    max_size = rng.choice((None, None, 125, 126, 2000)) if kind.limits else None
    wire, judged = _wire(rng, role, agreement())
    chunks, stream_is = cut(rng, wire), _kind_of(wire, agreement())

    def observe(_: Implementation) -> Any:
        ours, theirs = Ours(role, max_size, agreement()), kind(role, max_size, agreement())
        for chunk in chunks:
            ours.receive(chunk)
            theirs.receive(chunk)
        _demand_limit(ours.seen, max_size)
        if judged is not None:
            _demand_prefix(ours.seen, theirs.seen, judged)
        elif not _same(ours.seen, theirs.seen) and not is_known(peer, ours.seen, theirs.seen, stream_is):
            raise Difference(f"\nours   {_end_of(ours.seen)}\ntheirs {_end_of(theirs.seen)}")
        return ours.seen

    return observe


def _same(ours: Seen, theirs: Seen) -> bool:
    """Whether both saw the same, refused it with the same code, and answered the same but for reasons."""
    answers = ([a.code if isinstance(a, Close) else a for a in seen.answers] for seen in (ours, theirs))
    return ours.events == theirs.events and ours.code == theirs.code and next(answers) == next(answers)


def _demand_limit(ours: Seen, max_size: int | None) -> None:
    """See that no message is larger than it may be, in bytes."""
    messages = [event.encode() if isinstance(event, str) else event for event in ours.events]
    if max_size is not None and any(isinstance(data, bytes) and len(data) > max_size for data in messages):
        raise Difference(f"more than {max_size} bytes in {_end_of(ours)}")


def _demand_prefix(ours: Seen, theirs: Seen, count: int) -> None:
    """See that both have the same first `count` messages, or both less for their size."""
    messages = [[event for event in seen.events if isinstance(event, str | bytes)] for seen in (ours, theirs)]
    small = min(
        count, *(len(read) for read, seen in zip(messages, (ours, theirs), strict=True) if seen.code == 1009), count
    )
    if messages[0][:small] != messages[1][:small]:
        raise Difference(f"\nours   {_end_of(ours)}\ntheirs {_end_of(theirs)}")


def _end_of(seen: Seen) -> str:
    """Return a short form of what was seen: how much, and the end of it."""
    last = [f"{str(event)[:60]!r}" for event in seen.events[-3:]]
    return f"{len(seen.events)} events, last {last}, {seen.code} {seen.why!r}, answers {seen.answers!s:.300}"


def talk(peer: str, rng: Random) -> Observe:
    """Good messages from us to them and from them to us, whole and in parts, pings, and a close."""
    role, agreement = rng.choice(tuple(Role)), some_agreement(rng)
    plan: list[Any] = []
    for _ in range(rng.randrange(1, 12)):
        kind = rng.random()
        if kind < 0.15:
            plan.append((rng.randrange(2), Ping(some_bytes(rng, rng.choice((0, 5, 125)))), []))
            continue
        text = rng.random() < 0.5
        many = rng.choice((1, 1, 1, 2, 4))
        parts = [some_text(rng) if text else some_bytes(rng) for _ in range(many)]
        plan.append((rng.randrange(2), "".join(parts) if text else b"".join(parts), parts))
    close = (rng.randrange(2), Close(rng.choice(CODES), some_text(rng)[:30]), [])
    seed = rng.getrandbits(32)

    def observe(_: Implementation) -> Any:
        other = Role.CLIENT if role is Role.SERVER else Role.SERVER
        sides = Ours(role, None, agreement()), PEERS[peer](other, None, agreement())
        ways, sent, seen = Random(seed), ([], []), []
        for who, what, parts in [*plan, close]:
            _do(sides[who], what, parts)
            sent[who].append(what)
            if isinstance(what, Ping):
                sent[1 - who].append(Pong(what.payload))
            if isinstance(what, Close):
                sent[1 - who].append(what)
            for side, receiver in (sides, sides[::-1], sides):
                wire = side.written()
                seen.append(wire if side is sides[0] and role is Role.SERVER else len(wire))
                for chunk in cut(ways, wire):
                    _pass(receiver, chunk)
        for who in (0, 1):
            _demand_arrived(sent[who], sides[1 - who].seen)
        return seen

    return observe


def _pass(receiver: Any, chunk: bytes) -> None:
    """Have a side receive, with what it answers left for the other."""
    if isinstance(receiver, Ours):
        receiver.seen.events += receiver.connection.receive(chunk)
        error = receiver.connection.error
        receiver.seen.code = None if error is None else error.close_code
    else:
        receiver.receive_only(chunk)


def _do(side: Any, what: Any, parts: list[Any]) -> None:
    if isinstance(what, Ping):
        side.ping(what.payload)
    elif isinstance(what, Close):
        side.close(what.code, what.reason)
    else:
        side.send(what, parts)


def _demand_arrived(sent: list[Any], seen: Any) -> None:
    if seen.code is not None or seen.events != sent:
        raise Difference(f"sent {sent!s:.900}\narrived {seen!s:.900}")


def websockets_reading(rng: Random) -> Observe:
    """Streams that `websockets` reads, too."""
    return reading("websockets", rng)


def wsproto_reading(rng: Random) -> Observe:
    """Streams that wsproto reads, too."""
    return reading("wsproto", rng)


def websockets_talk(rng: Random) -> Observe:
    """A conversation with `websockets`."""
    return talk("websockets", rng)


def wsproto_talk(rng: Random) -> Observe:
    """A conversation with wsproto."""
    return talk("wsproto", rng)


TARGETS = (websockets_reading, wsproto_reading, websockets_talk, wsproto_talk)
