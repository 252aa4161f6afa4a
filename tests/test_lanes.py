"""The lanes by themselves; what they do is tested through the classes that are built on them."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from helpers import KEY, TEXT, frame
from implementations import Implementation

from wscodec import Connection, Decoder, Role

LANES = ("DecoderLane", "ConnectionLane", "Inbox", "ChannelLane", "Outbox")
SOME_ARGUMENTS: tuple[tuple[Any, ...], ...] = ((), (b"x",), (1,), ("x",), (["x"],), ([],), (["x"], b"y"))


@pytest.mark.parametrize("name", LANES)
def test_object_that_was_never_initialised_refuses_but_does_not_crash(impl: Implementation, name: str) -> None:
    kind: Any = impl.twin(name)
    for method in [method for method in dir(kind) if not method.startswith("__") or method == "__anext__"]:
        for arguments in SOME_ARGUMENTS:
            unmade = kind.__new__(kind)
            with contextlib.suppress(AttributeError, TypeError, ValueError, AssertionError, NotImplementedError):
                result = getattr(unmade, method)(*arguments)
                if hasattr(result, "close"):
                    result.close()
            assert type(unmade) is kind  # it is still there, whole enough to be asked


@pytest.mark.usefixtures("impl")
def test_plain_messages_call_no_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    def called(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("by the rules")

    for kind, names in ((Decoder, ["_feed_by_rules"]), (Connection, ["_receive_by_rules", "_send_by_rules", "_put"])):
        for name in names:
            monkeypatch.setattr(kind, name, called)
    connection = Connection(Role.SERVER)
    assert connection.receive(frame(TEXT, b"x", key=KEY) * 3) == ["x"] * 3
    connection.send("y")
    connection.send_many([b"z", "y"])
    assert connection.data_to_send() == b"\x81\x01y\x82\x01z\x81\x01y"
    assert connection.stats.frames_sent == connection.stats.messages_received == 3
