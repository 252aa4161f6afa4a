"""Masking keys: fresh, unpredictable, never handed out twice."""

from __future__ import annotations

import collections
import os
import threading
from collections.abc import Callable

import pytest
from reference.frames import frames_of

from wscodec import Encoder, Role, keys
from wscodec.keys import take_key, take_keys

BLOCK = 4096


def four_by_four(block: bytes) -> list[bytes]:
    return [block[i : i + 4] for i in range(0, len(block), 4)]


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What os.urandom gave, with a pool that is new."""
    given: list[bytes] = []
    urandom = os.urandom

    def record(size: int) -> bytes:
        given.append(urandom(size))
        return given[-1]

    monkeypatch.setattr(keys, "_pool", keys._Pool())
    monkeypatch.setattr(keys.os, "urandom", record)
    return given


@pytest.mark.parametrize("count", [0, 1, 2, 1023, 1024, 1025, 5000])
def test_take_keys_size(count: int) -> None:
    assert len(take_keys(count)) == 4 * count


def test_take_keys_come_from_urandom_each_once(source: list[bytes]) -> None:
    taken = [take_keys(1) for _ in range(2 * BLOCK // 4)]
    assert b"".join(taken) == b"".join(source)
    assert [len(block) for block in source] == [BLOCK, BLOCK]


def test_take_keys_of_a_burst_leave_the_block_alone(source: list[bytes]) -> None:
    first = take_keys(1)
    many = take_keys(3)
    assert many == source[1]
    assert first + take_keys(1) == source[0][:8]


def test_take_keys_by_many_threads_at_once(source: list[bytes]) -> None:
    taken: list[list[bytes]] = [[] for _ in range(8)]

    def take(into: list[bytes]) -> None:
        into += [take_keys(1) for _ in range(1000)]

    threads = [threading.Thread(target=take, args=(into,)) for into in taken]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    keys_taken = [key for into in taken for key in into]
    given = four_by_four(b"".join(source))
    assert len(keys_taken) == 8000
    assert not collections.Counter(keys_taken) - collections.Counter(given)


def in_child(work: Callable[[], bytes]) -> bytes:
    """Return what `work` returns in a forked process."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover
        try:
            os.write(writer, work())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return answer


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_take_keys_differ_after_a_fork() -> None:
    take_keys(1)  # the pool is filled, and the child gets a copy of it
    theirs = four_by_four(in_child(lambda: b"".join(take_key() for _ in range(500))))
    ours = [take_key() for _ in range(500)]
    assert len(theirs) == len(ours) == 500
    assert not set(theirs) & set(ours)


@pytest.mark.usefixtures("impl")
def test_encoder_draws_one_key_for_each_frame(source: list[bytes]) -> None:
    encoder = Encoder(Role.CLIENT)
    wires = [
        encoder.encode("a"),
        encoder.encode_many(["b", b"c"]),
        encoder.encode_fragment("d", fin=False),
        encoder.ping(),
        encoder.pong(b""),
        encoder.close(),
        Encoder(Role.CLIENT).encode(b"another", text=True),
    ]
    used = [frame.key for wire in wires for frame in frames_of(wire)]
    block, burst = map(four_by_four, source)
    assert used == [block[0], *burst, *block[1:6]]


def test_encoder_of_a_server_draws_none(source: list[bytes]) -> None:
    encoder = Encoder(Role.SERVER)
    encoder.encode("a"), encoder.encode_many(["b", b"c"]), encoder.ping(), encoder.close()
    assert source == []
