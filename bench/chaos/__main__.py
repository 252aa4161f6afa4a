"""`python -m bench.chaos`: good peers beside bad ones; does the server serve the first and forget the others?"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib.util
import json
import logging
import random
import ssl
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Iterator
from pathlib import Path

from ..echo.running import Program, raise_file_limit, running
from ..echo.servers.running import factory
from ..runner import BenchError
from ..soak.__main__ import OTHER_FILES, count, number
from .good import converse
from .misdeeds import IN_TLS, MISDEEDS, Misdeed
from .peers import Target
from .verdict import MIB, Outcome, faults, remains

# A round takes so long, in seconds, and a third of a short run: the first one is the warm-up.
ROUND = 45.0
# Peers come within this part of a round.
RAMP = 0.5
# So many timeouts after the last peer, nothing of them is left.
FORGET = 8


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    best = "uvloop" if importlib.util.find_spec("uvloop") else "asyncio"
    parser = argparse.ArgumentParser(prog="python -m bench.chaos", description=__doc__)
    parser.add_argument("--connections", type=count, default=2_000, metavar="N", help="half of them bad (2000)")
    parser.add_argument("--minutes", type=number, default=3, metavar="M", help="for how long (3)")
    parser.add_argument("--rate", type=number, default=1_000, metavar="N", help="messages a second, of all (1000)")
    parser.add_argument("--misdeeds", type=number, default=80, metavar="N", help="a second, about, of all (80)")
    parser.add_argument("--timeout", type=number, default=8, metavar="S", help="each of the server's (8)")
    parser.add_argument("--margin", type=number, default=4, metavar="M", help="MiB that it may grow by, and 5 %% (4)")
    parser.add_argument("--loop", choices=("uvloop", "asyncio"), default=best, help=f"of both sides ({best})")
    parser.add_argument("--tls", action="store_true", help="everything over TLS")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of what is left to chance (1)")
    return parser.parse_args(argv)


class Chaos:
    """All that a run consists of."""

    def __init__(self, options: argparse.Namespace, server: Program, target: Target) -> None:
        self.options = options
        self.server = server
        self.target = target
        self.random = random.Random(options.seed)
        self.misdeeds = MISDEEDS + (IN_TLS if options.tls else [])
        self.done: Counter[str] = Counter()
        self.outcome = Outcome(margin=options.margin)

    async def run(self) -> Outcome:
        """Go through all rounds."""
        asyncio.get_running_loop().set_exception_handler(self.note)
        seconds = self.options.minutes * 60
        rounds = max(3, round(seconds / ROUND))
        self.outcome.contents.append(await self.contents())
        for round_number in range(1, rounds + 1):
            await self.round(seconds / rounds)
            self.outcome.contents.append(await self.forgotten())
            print(self.progress(round_number), flush=True)
        self.outcome.misdeeds = dict(self.done)
        return self.outcome

    async def round(self, seconds: float) -> None:
        """Have all peers come, do what they do for so long, and go."""
        until = asyncio.get_running_loop().time() + seconds
        half = self.options.connections // 2
        peers = [self.good(i, until, half) for i in range(self.options.connections - half)]
        peers += [self.bad(i, until, half) for i in range(half)]
        await asyncio.gather(*(self.guarded(peer, seconds) for peer in peers))

    async def guarded(self, peer: Awaitable[None], seconds: float) -> None:
        """Have a peer come some time, and note what it complains about."""
        await asyncio.sleep(self.random.random() * seconds * RAMP)
        try:
            await peer
        except Exception as error:
            self.outcome.complaints[repr(error)] += 1

    async def good(self, number: int, until: float, half: int) -> None:
        """Be a good peer."""
        pause = half * 4.5 / self.options.rate
        chance = random.Random(self.random.random())
        messages = await converse(self.target, f"peer {number}", chance, until, pause)
        self.outcome.messages += messages

    async def bad(self, number: int, until: float, half: int) -> None:
        """Be one bad peer after the other, beginning with each misdeed once."""
        clock = asyncio.get_running_loop().time
        chance = random.Random(self.random.random())
        misdeed: Misdeed = self.misdeeds[number % len(self.misdeeds)]
        while clock() < until:
            try:
                await misdeed(self.target, chance)
            except Exception as error:
                self.outcome.complaints[f"{misdeed.__name__}: {error!r}"] += 1
            self.done[misdeed.__name__] += 1
            misdeed = chance.choice(self.misdeeds)
            await asyncio.sleep(chance.random() * 2 * half / self.options.misdeeds)

    def note(self, _: asyncio.AbstractEventLoop, context: dict) -> None:
        """Note what goes wrong where nobody waits, such as in a timer of a good peer."""
        self.outcome.complaints[f"{context['message']}: {context.get('exception')!r}"] += 1

    async def contents(self) -> dict:
        """Ask what is in the server."""
        return json.loads(await asyncio.to_thread(self.server.ask))

    async def forgotten(self) -> dict:
        """Wait until nothing of the peers is in the server, but not for ever; return what is in it."""
        for _ in range(FORGET * 5):
            contents = await self.contents()
            if not remains(self.outcome.contents[0], contents):
                break
            await asyncio.sleep(self.options.timeout / 5)
        return contents

    def progress(self, number: int) -> str:
        """Return a line about how things stand."""
        now = self.outcome.contents[-1]
        return (
            f"round {number:2}  {now['resident'] / MIB:7.2f} MiB  {self.outcome.messages} messages  "
            f"{self.done.total()} misdeeds  {self.outcome.complaints.total()} complaints  "
            f"left: {remains(self.outcome.contents[0], now) or 'nothing'}"
        )


@contextlib.contextmanager
def certified(tls: bool) -> Iterator[tuple[list[str], ssl.SSLContext | None]]:
    """Yield what the server has to be told, and the context of the peers."""
    if not tls:
        yield [], None
        return
    import trustme

    authority = trustme.CA()
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "server.pem"
        authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(path)
        yield ["--certificate", str(path)], context


def chaos(options: argparse.Namespace) -> tuple[Outcome, list[str]]:
    """Run server and peers; return what came of it, and all misdeeds."""
    command = [sys.executable, "-m", "bench.chaos.server", "--loop", options.loop, "--timeout", str(options.timeout)]
    with certified(options.tls) as (more, context), running([*command, *more], None) as server:
        first, second = map(int, server.line().split())
        with asyncio.Runner(loop_factory=factory(options.loop)) as runner:
            run = Chaos(options, server, Target((first, second), options.timeout, context))
            return runner.run(run.run()), [misdeed.__name__ for misdeed in run.misdeeds]


def main(argv: list[str] | None = None) -> int:
    """Run, and print the verdict; return 1 if something is wrong, 2 if there can be no run."""
    options = arguments(argv)
    if not sys.platform.startswith("linux"):
        print("memory and open files are looked at as Linux has them", file=sys.stderr)
        return 2
    files = raise_file_limit()
    if files < options.connections + OTHER_FILES:
        print(
            f"{options.connections} connections need `ulimit -n {options.connections + OTHER_FILES}`", file=sys.stderr
        )
        return 2
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # bad peers write to what is closed already
    try:
        outcome, misdeeds = chaos(options)
    except BenchError as error:
        print(error, file=sys.stderr)
        return 1
    print("  ".join(f"{name} {outcome.misdeeds.get(name, 0)}" for name in misdeeds))
    first, last = (outcome.contents[index]["resident"] for index in (1, -1))
    print(f"after the first round {first / MIB:.2f} MiB, after the last {last / MIB:.2f} MiB")
    wrong = list(faults(outcome, misdeeds))
    print(
        "\n".join(f"FAILED: {fault}" for fault in wrong) or "every message came once and in order, and nothing is left"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
