"""DEFLATE decoded bit by bit (RFC 1951), which also tells how far back a stream refers."""

from __future__ import annotations

from typing import NamedTuple

# RFC 1951 §3.2.5: what each length and distance code starts at, and how many bits it adds.
_LENGTHS = [*((3 + i, 0) for i in range(8)), *((3 + (4 + i % 4 << i // 4), i // 4) for i in range(4, 24)), (258, 0)]
_DISTANCES = [*((1 + i, 0) for i in range(4)), *((1 + (2 + i % 2 << i // 2), i // 2) for i in range(2, 28))]
# §3.2.7.
_ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)
_FIXED = ([8] * 144 + [9] * 112 + [7] * 24 + [8] * 8, [5] * 30)


class Inflated(NamedTuple):
    """What a stream says, and the furthest that it refers back; 0 where it never does."""

    data: bytes
    distance: int


class _Bits:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def take(self, count: int) -> int:
        value = 0
        for i in range(count):
            value |= (self.data[self.position >> 3] >> (self.position & 7) & 1) << i
            self.position += 1
        return value

    def decode(self, codes: dict[tuple[int, int], int]) -> int:
        code = 0
        for length in range(1, 16):
            code = code << 1 | self.take(1)
            if (length, code) in codes:
                return codes[length, code]
        raise ValueError("no such code")


def inflate(stream: bytes) -> Inflated:
    """Decode blocks to the end of a raw stream, which must be the end of a block, or to a final one.

    Raises:
        ValueError, IndexError: the stream is not DEFLATE, or ends within a block.
    """
    bits, output, furthest, final = _Bits(stream), bytearray(), 0, 0
    while not final and bits.position < 8 * len(stream):
        final, kind = bits.take(1), bits.take(2)
        if kind == 0:
            bits.position = bits.position + 7 & ~7
            length, complement = bits.take(16), bits.take(16)
            if length ^ complement != 0xFFFF:
                raise ValueError("a stored block's length")
            output += bytes(bits.take(8) for _ in range(length))
        elif kind == 3:
            raise ValueError("a kind of block that does not exist")
        else:
            lengths = _FIXED if kind == 1 else _read_lengths(bits)
            furthest = max(furthest, _inflate_block(bits, *map(_codes, lengths), output))
    return Inflated(bytes(output), furthest)


def _inflate_block(
    bits: _Bits, literals: dict[tuple[int, int], int], distances: dict[tuple[int, int], int], output: bytearray
) -> int:
    """Decode one compressed block and return its furthest reference."""
    furthest = 0
    while (symbol := bits.decode(literals)) != 256:
        if symbol < 256:
            output.append(symbol)
            continue
        base, extra = _LENGTHS[symbol - 257]
        length = base + bits.take(extra)
        base, extra = _DISTANCES[bits.decode(distances)]
        distance = base + bits.take(extra)
        if distance > len(output):
            raise ValueError("a reference beyond the beginning")
        furthest = max(furthest, distance)
        for _ in range(length):
            output.append(output[-distance])
    return furthest


def _read_lengths(bits: _Bits) -> tuple[list[int], list[int]]:
    """Read the code lengths of a dynamic block (§3.2.7)."""
    literals, distances, count = bits.take(5) + 257, bits.take(5) + 1, bits.take(4) + 4
    small = [0] * 19
    for index in _ORDER[:count]:
        small[index] = bits.take(3)
    codes = _codes(small)
    lengths: list[int] = []
    while len(lengths) < literals + distances:
        symbol = bits.decode(codes)
        if symbol < 16:
            lengths.append(symbol)
        else:
            repeated = lengths[-1] if symbol == 16 else 0
            lengths += [repeated] * {16: 3, 17: 3, 18: 11}[symbol]
            lengths += [repeated] * bits.take({16: 2, 17: 3, 18: 7}[symbol])
    return lengths[:literals], lengths[literals:]


def _codes(lengths: list[int]) -> dict[tuple[int, int], int]:
    """Return the symbols by length and code (§3.2.2)."""
    codes, code = {}, 0
    for length in range(1, 16):
        for symbol, its in enumerate(lengths):
            if its == length:
                codes[length, code] = symbol
                code += 1
        code <<= 1
    return codes
