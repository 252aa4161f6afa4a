"""Masking: every kernel against one XOR at a time (RFC 6455 §5.3)."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from buffers import EMPTY, READABLE, UNREADABLE, UNWRITABLE, WRITABLE
from helpers import KEY
from implementations import Implementation
from reference.masking import mask

import wscodec

pytestmark = pytest.mark.usefixtures("impl")

LENGTHS, OFFSETS, GUARD = 301, 65, 64
BASE = random.Random(6455).randbytes(GUARD + OFFSETS + LENGTHS + GUARD)
DATA = bytes(range(100, 140))  # 40 bytes, for the buffers of wider items


def all_masked(phase: int) -> list[bytes]:
    """Return BASE masked, by the place modulo 4 where the key's byte number `phase` falls."""
    return [mask(BASE, KEY, phase - place) for place in range(4)]


@pytest.mark.parametrize("phase", range(4))
def test_apply_mask_inplace_grid(phase: int) -> None:
    """Every length at every alignment, with nothing touched before and behind."""
    masked = all_masked(phase)
    for start in range(GUARD, GUARD + OFFSETS):
        right = masked[start % 4]
        for end in range(start, start + LENGTHS):
            area = bytearray(BASE)
            with memoryview(area) as view, view[start:end] as part:
                wscodec.apply_mask_inplace(part, KEY, phase)
            assert area == BASE[:start] + right[start:end] + BASE[end:], (start, end - start)


@pytest.mark.parametrize("phase", range(4))
def test_apply_mask_grid(phase: int) -> None:
    masked = all_masked(phase)
    view = memoryview(BASE)
    for start in range(GUARD, GUARD + OFFSETS):
        right = masked[start % 4]
        for end in range(start, start + LENGTHS):
            assert wscodec.apply_mask(view[start:end], KEY, phase) == right[start:end], (start, end - start)


@pytest.mark.parametrize("size", [around + more for around in (512, 4096, 65536) for more in (-1, 0, 1)])
def test_apply_mask_sizes(size: int) -> None:
    data = random.Random(size).randbytes(size)
    expected = mask(data, KEY, 1)
    assert wscodec.apply_mask(data, KEY, 1) == expected
    area = bytearray(data)
    wscodec.apply_mask_inplace(area, KEY, 1)
    assert area == expected


@pytest.mark.parametrize("offset", [0, 1, 2, 3, 4, 5, 125, 65535, 1 << 31, (1 << 63) - 1, 1 << 70, -1])
def test_apply_mask_offset_turns_the_key(offset: int) -> None:
    assert wscodec.apply_mask(BASE, KEY, offset) == mask(BASE, KEY, offset % 4)


@pytest.mark.parametrize("key", [bytes(4), b"\xff" * 4, b"\x80\x00\x00\x00", b"\x00\x00\x00\x01"], ids=bytes.hex)
def test_apply_mask_keys(key: bytes) -> None:
    for size in (0, 1, 5, 31, 33, 100, 400):
        assert wscodec.apply_mask(BASE[:size], key) == mask(BASE[:size], key)


def test_apply_mask_twice_is_nothing() -> None:
    assert wscodec.apply_mask(wscodec.apply_mask(BASE, KEY, 3), KEY, 3) == BASE


def test_apply_mask_golden() -> None:
    assert wscodec.apply_mask(b"Hello", KEY) == bytes.fromhex("7f 9f 4d 51 58")
    assert wscodec.apply_mask(b"lo", KEY, offset=3) == bytes.fromhex("51 58")


@pytest.mark.parametrize("make", READABLE.values(), ids=READABLE)
def test_apply_mask_any_buffer(make: Callable[[bytes], Any]) -> None:
    result = wscodec.apply_mask(make(DATA), KEY, 2)
    assert type(result) is bytes
    assert result == mask(DATA, KEY, 2)


@pytest.mark.parametrize("make", WRITABLE.values(), ids=WRITABLE)
def test_apply_mask_inplace_any_buffer(make: Callable[[bytes], Any]) -> None:
    buffer = make(DATA)
    assert wscodec.apply_mask_inplace(buffer, KEY, 2) is None
    assert memoryview(buffer).tobytes() == mask(DATA, KEY, 2)


@pytest.mark.parametrize("make", EMPTY.values(), ids=EMPTY)
def test_apply_mask_empty_buffer(make: Callable[[], Any]) -> None:
    assert wscodec.apply_mask(make(), KEY) == b""
    wscodec.apply_mask_inplace(make(), KEY)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_apply_mask_any_buffer_as_key(kind: Callable[[bytes], Any]) -> None:
    assert wscodec.apply_mask(BASE, kind(KEY)) == mask(BASE, KEY)


def test_apply_mask_inplace_key_within_the_buffer() -> None:
    area = bytearray(BASE)
    wscodec.apply_mask_inplace(area, memoryview(area)[:4])
    assert area == mask(BASE, BASE[:4])


@pytest.mark.parametrize(("bad", "name"), UNREADABLE.values(), ids=UNREADABLE)
def test_apply_mask_no_buffer(bad: object, name: str) -> None:
    text = f"^a C-contiguous bytes-like object is required, not '{name}'$"
    with pytest.raises(TypeError, match=text):
        wscodec.apply_mask(bad, KEY)
    with pytest.raises(TypeError, match=text):
        wscodec.apply_mask(b"a", bad)
    with pytest.raises(TypeError, match=text):
        wscodec.apply_mask_inplace(bytearray(b"a"), bad)


@pytest.mark.parametrize(("bad", "name"), UNWRITABLE.values(), ids=UNWRITABLE)
def test_apply_mask_inplace_no_writable_buffer(bad: object, name: str) -> None:
    with pytest.raises(TypeError, match=f"^a writable, C-contiguous bytes-like object is required, not '{name}'$"):
        wscodec.apply_mask_inplace(bad, KEY)


@pytest.mark.parametrize("size", [0, 1, 3, 5, 8])
def test_apply_mask_key_of_another_size(size: int) -> None:
    area = bytearray(b"abc")
    for call in (wscodec.apply_mask, wscodec.apply_mask_inplace):
        with pytest.raises(ValueError, match=f"^a masking key has 4 bytes, not {size}$"):
            call(area, bytes(size))
    assert area == b"abc"


def test_apply_mask_keeps_no_reference() -> None:
    data, key = bytearray(b"abc"), bytearray(KEY)
    wscodec.apply_mask(data, key)
    wscodec.apply_mask_inplace(data, key)
    for call in (wscodec.apply_mask, wscodec.apply_mask_inplace):
        with pytest.raises(ValueError, match="4 bytes"):
            call(data, memoryview(key)[:3])
        with pytest.raises(TypeError):
            call(data, None)
    with pytest.raises(TypeError):
        wscodec.apply_mask_inplace(memoryview(data)[::2], key)
    data.extend(b"more")
    key.extend(b"more")


def test_use_kernel_unknown(impl: Implementation) -> None:
    module = impl.modules[0]
    names = module.kernels()
    with pytest.raises(ValueError, match=f"^no masking kernel 'none' here, only {', '.join(names)}$"):
        module.use_kernel("none")
    for name in names:
        assert module.use_kernel(name) is None
