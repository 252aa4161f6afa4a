"""Raw frames out of 64 KiB reads: opcode and payload, without the rules of messages."""

from __future__ import annotations

import pytest

from . import cases, wire


@pytest.mark.parametrize("case", cases.FRAMES, ids=str)
def bench_frames(case, operation, measure):
    stream = case.make()
    feed, fields = operation()
    frames = [fields(frame) for chunk in stream.chunks for frame in feed(chunk)]
    assert frames == [(wire.BINARY, payload) for payload in stream.messages]
    measure(len(stream.messages), feed, stream.chunks)
