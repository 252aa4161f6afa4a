"""The events: values, nothing more."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Any

import pytest

from wscodec import Close, Fragment, Frame, Ping, Pong

EVENTS = [
    Ping(b"a"),
    Pong(b"a"),
    Close(1000, "bye"),
    Fragment("a", True),
    Fragment(b"a", False),
    Frame(1, b"a", fin=False, rsv1=True),
]
each = pytest.mark.parametrize("event", EVENTS, ids=repr)


@each
def test_event_is_a_value(event: Any) -> None:
    same = dataclasses.replace(event)
    assert same == event
    assert hash(same) == hash(event)
    assert pickle.loads(pickle.dumps(event)) == event


@each
def test_event_can_not_be_changed(event: Any) -> None:
    for field in dataclasses.fields(event):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(event, field.name, None)
    with pytest.raises((AttributeError, TypeError)):
        event.other = 1
    assert not hasattr(event, "__dict__")


def test_events_of_different_kinds_differ() -> None:
    assert Ping(b"a") != Pong(b"a")
    assert len(set(EVENTS)) == len(EVENTS)


def test_event_defaults() -> None:
    assert Ping() == Ping(b"")
    assert Pong() == Pong(b"")
    assert Close() == Close(1005, "")
    assert Frame(2) == Frame(2, b"", True, False, False, False)


def test_events_match_by_position() -> None:
    def told(event: Any) -> object:
        match event:
            case str() | bytes():
                return event
            case Ping(payload):
                return "ping", payload
            case Pong(payload):
                return "pong", payload
            case Close(code, reason):
                return code, reason
            case Fragment(data, fin):
                return data, fin
        return None

    events = ["a", b"b", *EVENTS[:4]]
    assert [told(event) for event in events] == [
        "a", b"b", ("ping", b"a"), ("pong", b"a"), (1000, "bye"), ("a", True),
    ]  # fmt: skip
