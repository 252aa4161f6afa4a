"""What a peer may send to a host: strategies for payloads, frames and streams, mostly by the rules."""

from __future__ import annotations

import zlib
from typing import Any, NamedTuple

from helpers import BINARY, CLOSE, CONT, KEY, PING, PONG, TEXT, close_payload, frame
from hypothesis import strategies as st

DEFLATED = 4  # of the reserved bits


class Spec(NamedTuple):
    """A frame before it is written."""

    opcode: int
    payload: bytes = b""
    fin: bool = True
    rsv: int = 0


# ------------------------------------------------------------------------------------------------------ payloads


def rarely(draw: st.DrawFn, most: int) -> bool:
    return draw(st.integers(0, most)) == 7  # the ends come more often


sizes = st.sampled_from([0, 1, 2, 3, 31, 32, 33, 40, 124, 125, 126, 127, 300])
texts = st.text(st.sampled_from("a\0\x7fé߿ࠀ€\uffff😀\U0010ffff"), max_size=40).map(str.encode)
broken = st.sampled_from([b"\xff", b"\xed\xa0\x80", b"\xe2\x82", b"a\xc0\x80", b"\xf4\x90", b"\x80", b"\xf8aaa"])
payloads = texts | st.binary(max_size=40) | st.builds(lambda a, b, c: a + b + c, texts, broken, texts)
codes = st.sampled_from(
    [0, 999, 1000, 1001, 1004, 1005, 1006, 1007, 1011, 1012, 1013, 1014, 1015, 2999, 3000, 4999, 5000]
)
closes = st.sampled_from([b"", b"\3"]) | st.builds(close_payload, codes, payloads)


@st.composite
def contents(draw: st.DrawFn) -> bytes:
    """Return what is in a message: mostly text, since anything else may be the end of a stream."""
    return draw(payloads) if rarely(draw, 9) else draw(texts | sizes.map(lambda size: b"x" * size))


# ------------------------------------------------------------------------------------------------------ in pieces


def cut(draw: st.DrawFn, data: bytes, most: int = 5) -> list[bytes]:
    """Return data in pieces, some of which may be empty."""
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=most)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def bytewise(data: bytes) -> list[bytes]:
    return [bytes([byte]) for byte in data]


def as_read(draw: st.DrawFn, data: bytes, most: int = 8) -> list[bytes]:
    """Return data in pieces; rarely, and where they are few, byte by byte."""
    return bytewise(data) if len(data) < 1000 and rarely(draw, 9) else cut(draw, data, most)


# --------------------------------------------------------------------------------------------------------- frames

controls = st.builds(Spec, st.sampled_from([PING, PONG]), st.binary(max_size=9), st.just(True), st.just(0))
a_control_or_none = st.lists(controls, max_size=1)
wild = st.builds(
    Spec, st.integers(0, 15), st.binary(max_size=130), st.booleans(), st.sampled_from([0, 0, 0, 4, 2, 1, 6])
)


@st.composite
def messages(
    draw: st.DrawFn,
    content: st.SearchStrategy[bytes],
    compressor: Any = None,
    within_compressed: st.SearchStrategy[list[Spec]] = a_control_or_none,
) -> list[Spec]:
    """Return the frames of a message, with others in between; it may be compressed, where there is a compressor."""
    opcode, data = draw(st.sampled_from([TEXT, BINARY])), draw(content)
    if compressor is None or draw(st.booleans()):
        return fragments(draw, Spec(opcode, data), a_control_or_none)
    data = (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]
    if rarely(draw, 15):
        data = data[:-1] + draw(st.binary(max_size=4))
    return fragments(draw, Spec(opcode, data, rsv=DEFLATED), within_compressed)


def fragments(draw: st.DrawFn, message: Spec, between: st.SearchStrategy[list[Spec]]) -> list[Spec]:
    """Return a message whole, or in fragments with other frames in between."""
    if draw(st.booleans()):
        return [message]
    parts = [Spec(CONT, payload, fin=False) for payload in cut(draw, message.payload, 3)]
    parts[0] = message._replace(payload=parts[0].payload, fin=False)
    parts[-1] = parts[-1]._replace(fin=True)
    frames = parts[:1]
    for part in parts[1:]:
        frames += [*draw(between), part]
    return frames


@st.composite
def streams(draw: st.DrawFn, message: st.SearchStrategy[list[Spec]], masked: bool, most: int = 6) -> bytes:
    """Return a few messages, control frames, and rarely what is against the rules."""
    frames: list[Spec] = []
    for _ in range(draw(st.integers(1, most))):
        kind = draw(st.integers(0, 19))
        if kind == 7:
            frames.append(draw(wild))
        elif kind == 8:
            frames.append(Spec(CLOSE, draw(closes)))
        elif kind in (9, 10, 11):
            frames.append(draw(controls))
        else:
            frames += draw(message)
    return b"".join([written(draw, frame, masked) for frame in frames])


def written(draw: st.DrawFn, spec: Spec, masked: bool) -> bytes:
    """Return a frame; rarely one that is masked against the rules, or whose length has a longer form than it needs."""
    key = KEY if masked is not rarely(draw, 40) else None
    form = draw(st.sampled_from([16, 64])) if rarely(draw, 30) else None
    return frame(spec.opcode, spec.payload, fin=spec.fin, rsv=spec.rsv, key=key, form=form)
