"""Whole connections without a network: messages in, echoes and pongs out."""

from __future__ import annotations

import pytest

from . import cases, wire

ANSWERS = {"echo": wire.TEXT, "pong": wire.PONG}


@pytest.mark.parametrize("case", cases.CONNECTION, ids=str)
def bench_connection(case, operation, measure):
    stream = case.make()
    feed = operation()
    results = [feed(chunk) for chunk in stream.chunks]
    if case.operation in ANSWERS:
        answers = [payload for _, _, payload in wire.frames_of(b"".join(results))]
        payloads = [text.encode() if isinstance(text, str) else text for text in stream.messages]
        assert answers == payloads
        assert results[0][0] == 0x80 | ANSWERS[case.operation]
    else:
        assert [message for messages in results for message in messages] == stream.messages
    measure(len(stream.messages), feed, stream.chunks)
