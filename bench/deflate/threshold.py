"""`python -m bench.deflate.threshold`: from which size on compressing a message pays.

For JSON messages of each size: how many bytes are saved of 100, by messages that refer to the ones before them and by
messages that stand alone, and what that costs in CPU time, inflating included, for each byte that is saved.
"""

from __future__ import annotations

import random
import sys
import zlib
from itertools import count

from wscodec.compression import Deflater, FreshInflater, Inflater, Setting, SharedDeflater

from ..table import align
from .settings import seconds
from .texts import WORDS

SIZES = [16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024]
MESSAGES = 400
ROUNDS = 5
SETTING = Setting(zlib, 12, 6, 5)


def texts(size: int, seed: int = 7692) -> list[bytes]:
    """Return messages of about `size` bytes: keys that repeat, values that don't."""
    source = random.Random(seed)
    return [text(source, size, number) for number in range(MESSAGES)]


def text(source: random.Random, size: int, number: int) -> bytes:
    """Return one message."""
    made = f'{{"seq":{184_000 + number}'
    for key in count():
        if len(made) >= size:
            return made[: size - 1].encode() + b"}"
        value = source.choice([f'"{source.choice(WORDS)}"', str(source.randrange(10**5)), "true"])
        made += f',"{WORDS[key % len(WORDS)]}":{value}'
    raise AssertionError


def measure(deflater: type[Deflater], inflater: type[Inflater], messages: list[bytes]) -> list[str]:
    """Return the share that is saved and the nanoseconds for each byte of it."""
    payloads = [made or message for made, message in deflated(deflater, messages)]
    compressed = [made for made, _ in deflated(deflater, messages) if made is not None]
    saved = sum(map(len, messages)) - sum(map(len, payloads))
    best = min(
        seconds(lambda: deflated(deflater, messages)) + seconds(lambda: inflate(inflater, compressed))
        for _ in range(ROUNDS)
    )
    each = best / saved * 1e9 if saved > 0 else float("inf")
    return [f"{saved / sum(map(len, messages)):.0%}", f"{best / len(messages) * 1e6:.1f}", f"{each:.0f}"]


def deflated(kind: type[Deflater], messages: list[bytes]) -> list[tuple[bytes | None, bytes]]:
    """Return each message's payload, or None where it is not worth it, and the message."""
    deflater = kind(SETTING, 0)
    return [(deflater.deflate(message), message) for message in messages]


def inflate(kind: type[Inflater], payloads: list[bytes]) -> None:
    inflater = kind(zlib, 15)
    for payload in payloads:
        inflater.inflate(payload, 1 << 20, fin=True)


def main() -> int:
    """Measure and print the table."""
    rows = [["bytes", "saved", "us", "ns/byte", "saved alone", "us", "ns/byte"]]
    for size in SIZES:
        messages = texts(size)
        together = measure(Deflater, Inflater, messages)
        alone = measure(SharedDeflater, FreshInflater, messages)
        rows.append([f"{size:,}", *together, *alone])
    print(*align(rows), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
