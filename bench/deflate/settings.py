"""`python -m bench.deflate.settings`: what compression saves and costs, by engine, mode, level and memory.

Each line deflates the same JSON messages of about 600 bytes, made from a fixed seed. Every message is inflated again
and compared before anything is timed. The times are those of the best round, for what else runs on the machine only
ever adds to them; the spread is that of the rounds.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from wscodec.compression import Deflater, Engine, FreshInflater, Inflater, Setting, SharedDeflater

from ..table import align
from .texts import messages

MESSAGES = 200
ROUNDS = 7
# Objects that are alive at once where their memory is measured.
ALIVE = 100
PAIRS = [(9, 15), (8, 15), (8, 13), (6, 13), (5, 12), (4, 11), (4, 10), (1, 9)]


class FreshDeflater(Deflater):
    """What no context takeover costs with a compressor made for every message."""

    def take(self) -> Any:
        return self.setting.compressor()

    def put_back(self, compressor: Any) -> None:
        pass


MODES: dict[str, tuple[type[Deflater], type[Inflater]]] = {
    "dedicated": (Deflater, Inflater),
    "shared": (SharedDeflater, FreshInflater),
    "fresh": (FreshDeflater, FreshInflater),
}


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    engine: str
    mode: str
    setting: Setting
    ratio: float
    deflate_us: float
    spread: float
    inflate_us: float
    deflater_kib: float
    inflater_kib: float

    def cells(self, size: float) -> list[str]:
        """Return its cells, for messages of `size` bytes."""
        return [
            f"  {self.engine} {self.mode}",
            str(self.setting.level),
            str(self.setting.mem_level),
            str(self.setting.window_bits),
            f"{self.ratio:.2f}",
            f"{self.deflate_us:.1f}",
            f"{self.spread:.0%}",
            f"{size / self.deflate_us:.0f}",
            f"{self.inflate_us:.1f}",
            f"{self.deflater_kib:.0f}",
            f"{self.inflater_kib:.0f}",
        ]


HEAD = ["", "level", "memLevel", "window", "ratio", "deflate us", "spread", "MB/s", "inflate us", "KiB out", "KiB in"]


def measure(name: str, mode: str, setting: Setting, texts: list[bytes]) -> Row:
    """Check and time one setting."""
    deflating, inflating = MODES[mode]
    payloads = check(deflating(setting, 0), inflating(setting.engine, setting.window_bits), texts)

    def deflate(deflater: Deflater) -> None:
        for text in texts:
            deflater.deflate(text)

    def inflate(inflater: Inflater) -> None:
        for payload in payloads:
            inflater.inflate(payload, 1 << 20, fin=True)

    deflater = partial(deflating, setting, 0)
    inflater = partial(inflating, setting.engine, setting.window_bits)
    times = [seconds(lambda: deflate(deflater())) for _ in range(ROUNDS)]
    quartiles = statistics.quantiles(times, n=4)
    return Row(
        name,
        mode,
        setting,
        sum(map(len, texts)) / sum(map(len, payloads)),
        min(times) / len(texts) * 1e6,
        (quartiles[2] - quartiles[0]) / quartiles[1],
        min(seconds(lambda: inflate(inflater())) for _ in range(ROUNDS)) / len(texts) * 1e6,
        memory(deflater, deflate),
        memory(inflater, inflate),
    )


def check(deflater: Deflater, inflater: Inflater, texts: list[bytes]) -> list[bytes]:
    """Return the payloads of all messages; the run ends where one does not come back."""
    payloads = []
    for text in texts:
        payload = deflater.deflate(text)
        if payload is None or inflater.inflate(payload, len(text), fin=True) != text:
            sys.exit("a message did not come back")
        payloads.append(payload)
    return payloads


def seconds(work: Callable[[], None]) -> float:
    """Return the CPU time that `work` takes."""
    start = time.process_time()
    work()
    return time.process_time() - start


def memory(make: Callable[[], Any], use: Callable[[Any], None]) -> float:
    """Return the KiB that a used object holds, in a process of its own; nan but on Linux."""
    if not sys.platform.startswith("linux"):
        return float("nan")
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        use(make())  # what all of them share
        gc.collect()
        before = resident()
        alive = [make() for _ in range(ALIVE)]
        for one in alive:
            use(one)
        os.write(writing, str((resident() - before) / len(alive) / 1024).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        told = pipe.read()
    os.waitpid(child, 0)
    return float(told)


def resident() -> int:
    """Return the resident memory of this process, in bytes."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def engines() -> Iterator[tuple[str, Engine]]:
    """Yield zlib, and zlib-ng where it is installed."""
    yield f"zlib {zlib.ZLIB_RUNTIME_VERSION}", zlib
    try:
        from zlib_ng import zlib_ng
    except ImportError:
        return
    yield f"zlib-ng {zlib_ng.ZLIBNG_VERSION}", zlib_ng


def numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def pairs(text: str) -> list[tuple[int, int]]:
    return [(int(first), int(second)) for first, _, second in (pair.partition("/") for pair in text.split(","))]


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.deflate.settings", description=__doc__)
    parser.add_argument("--levels", type=numbers, default=list(range(1, 10)), help="such as 1,3,6")
    parser.add_argument("--memory", type=pairs, default=PAIRS, help="memLevel/window, such as 5/12,8/15")
    parser.add_argument("--modes", type=lambda text: text.split(","), default=list(MODES), help=",".join(MODES))
    options = parser.parse_args()
    texts = messages(MESSAGES)
    size = sum(map(len, texts)) / len(texts)
    rows = [HEAD]
    for name, engine in engines():
        for mode in options.modes:
            for mem_level, window_bits in options.memory:
                for level in options.levels:
                    setting = Setting(engine, window_bits, level, mem_level)
                    rows.append(measure(name, mode, setting, texts).cells(size))
    print(f"{len(texts)} JSON messages of {size:.0f} bytes on average; load average {os.getloadavg()[0]:.1f}")
    print(*align(rows), sep="\n")
    print("KiB out, KiB in: what the deflater and the inflater of one connection hold after these messages.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
