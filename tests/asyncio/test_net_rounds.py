"""The one timer for the keepalive of many connections."""

from __future__ import annotations

import asyncio

from wscodec.asyncio._rounds import Rounds

STEP = 0.01


class Sleeper:
    def __init__(self) -> None:
        self.woken = 0

    def _keep_alive(self, doubted: bool) -> None:
        assert doubted is False
        self.woken += 1


async def test_rounds_wake_each_once_and_never_early() -> None:
    loop, rounds = asyncio.get_running_loop(), Rounds(STEP)
    soon, late, never = Sleeper(), Sleeper(), Sleeper()
    now = loop.time()
    rounds.add(loop, now + 10 * STEP, late)
    rounds.add(loop, now + STEP, soon)
    rounds.discard(rounds.add(loop, now + STEP, never), never)
    while not late.woken:
        assert loop.time() < now + 100
        await asyncio.sleep(STEP)
        assert not late.woken or loop.time() >= now + 10 * STEP
    assert (soon.woken, late.woken, never.woken) == (1, 1, 0)
    assert rounds._due == {}
    assert rounds._timer is None


async def test_rounds_with_nobody_left_have_no_timer() -> None:
    loop, rounds, sleeper = asyncio.get_running_loop(), Rounds(STEP), Sleeper()
    number = rounds.add(loop, loop.time() + 60, sleeper)
    rounds.discard(number, sleeper)
    rounds.discard(number, sleeper)
    assert (rounds._due, rounds._timer) == ({}, None)


def test_rounds_serve_one_loop_after_the_other() -> None:
    rounds = Rounds(STEP)

    async def woken() -> int:
        sleeper = Sleeper()
        loop = asyncio.get_running_loop()
        rounds.add(loop, loop.time() + 60, Sleeper())  # is left behind
        rounds.add(loop, loop.time() + STEP, sleeper)
        await asyncio.sleep(5 * STEP)
        return sleeper.woken

    assert [asyncio.run(woken()), asyncio.run(woken())] == [1, 1]


async def test_rounds_one_that_fails_keeps_nobody_from_being_woken() -> None:
    class Failing(Sleeper):
        def _keep_alive(self, doubted: bool) -> None:
            raise ZeroDivisionError

    loop, rounds, sleeper = asyncio.get_running_loop(), Rounds(STEP), Sleeper()
    seen: list[object] = []
    loop.set_exception_handler(lambda _, context: seen.append(context["exception"]))
    for what in (Failing(), sleeper, Failing()):
        rounds.add(loop, loop.time() + STEP, what)
    await asyncio.sleep(5 * STEP)
    assert sleeper.woken == 1
    assert [type(error) for error in seen] == [ZeroDivisionError] * 2
