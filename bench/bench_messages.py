"""Messages: decoding masked streams, and encoding for the wire."""

from __future__ import annotations

import pytest

from . import cases, wire


@pytest.mark.parametrize("case", cases.DECODE, ids=str)
def bench_decode(case, operation, measure):
    stream = case.make()
    feed = operation()
    messages = [message for chunk in stream.chunks for message in feed(chunk)]
    assert messages == stream.messages
    assert isinstance(messages[0], type(stream.messages[0]))
    measure(len(stream.messages), feed, stream.chunks)


@pytest.mark.parametrize("case", cases.ENCODE, ids=str)
def bench_encode(case, operation, measure):
    masked, messages = case.make()
    encode = operation(masked)
    many = case.operation == "encode_many"
    wired = encode(messages) if many else b"".join(map(encode, messages))
    expected = [(0x80 | wire.TEXT, masked, message.encode()) for message in messages]
    assert wire.frames_of(wired) == expected
    measure(len(messages), encode, [messages] if many else messages)
