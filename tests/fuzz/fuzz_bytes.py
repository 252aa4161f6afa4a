"""Choices made by given bytes, so that a fuzzer which mutates bytes can drive the targets.

Where the bytes end, choices are such that generators come to an end, too.
"""

from __future__ import annotations

from random import Random


class ByteRandom(Random):
    """A `Random` whose every choice is read from `data`: a byte for a fraction, as many as needed for an integer."""

    def __new__(cls, data: bytes) -> ByteRandom:
        return super().__new__(cls)

    def __init__(self, data: bytes) -> None:
        super().__init__(0)
        self._data = data
        self._position = 0

    def _take(self, size: int) -> bytes:
        start = self._position
        self._position = start + size
        return self._data[start : self._position]

    def random(self) -> float:
        """Return a multiple of 1/256; behind the end the largest, which ends every `while rng.random() < x`."""
        taken = self._take(1)
        return taken[0] / 256 if taken else 255 / 256

    def getrandbits(self, k: int) -> int:
        """Return `k` bits, zeros behind the end."""
        size = (k + 7) // 8
        return int.from_bytes(self._take(size).ljust(size, b"\0"), "little") & ((1 << k) - 1)
