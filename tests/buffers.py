"""The same bytes in every kind of buffer, and what is no buffer."""

from __future__ import annotations

import array
import mmap
from collections.abc import Callable
from typing import Any

import numpy as np


def in_mmap(data: bytes) -> mmap.mmap:
    area = mmap.mmap(-1, len(data))
    area[:] = data
    return area


def sliced(data: bytes) -> memoryview:
    return memoryview(bytearray(b"<" + data + b">"))[1:-1]


# Each makes a buffer of a whole number of 8 bytes.
WRITABLE: dict[str, Callable[[bytes], Any]] = {
    "bytearray": bytearray,
    "memoryview": lambda data: memoryview(bytearray(data)),
    "memoryview-slice": sliced,
    "memoryview-2d": lambda data: memoryview(bytearray(data)).cast("B", (len(data) // 8, 8)),
    "memoryview-int64": lambda data: memoryview(bytearray(data)).cast("q"),
    "memoryview-signed": lambda data: memoryview(bytearray(data)).cast("b"),
    "mmap": in_mmap,
    "array-B": lambda data: array.array("B", data),
    "array-I": lambda data: array.array("I", data),
    "numpy": lambda data: np.frombuffer(bytearray(data), np.uint8),
    "numpy-2d": lambda data: np.frombuffer(bytearray(data), np.uint8).reshape(-1, 4),
    "numpy-float": lambda data: np.frombuffer(bytearray(data), "<f8"),
    "numpy-big-endian": lambda data: np.frombuffer(bytearray(data), ">u4"),
    "numpy-struct": lambda data: np.frombuffer(bytearray(data), [("a", "<u2"), ("b", "u1", 6)]),
}
READABLE: dict[str, Callable[[bytes], Any]] = {
    "bytes": bytes,
    "bytes-subclass": type("Bytes", (bytes,), {}),
    "memoryview-readonly": memoryview,
    "numpy-readonly": lambda data: np.frombuffer(data, np.uint8),
    **WRITABLE,
}
# Each makes an empty, writable buffer.
EMPTY: dict[str, Callable[[], Any]] = {
    "bytearray": bytearray,
    "memoryview": lambda: memoryview(bytearray()),
    "memoryview-slice": lambda: memoryview(bytearray(b"ab"))[1:1],
    "array": lambda: array.array("I"),
    "numpy": lambda: np.zeros(0, np.uint8),
    "numpy-2d": lambda: np.zeros((0, 3), np.uint8),
    "numpy-2d-other": lambda: np.zeros((3, 0), np.float64),
}
# What has no C-contiguous buffer, with what the error calls it.
UNREADABLE: dict[str, tuple[Any, str]] = {
    "str": ("text", "str"),
    "None": (None, "NoneType"),
    "int": (5, "int"),
    "list": ([1, 2], "list"),
    "object": (object(), "object"),
    "memoryview-strided": (memoryview(b"abcdefgh")[::2], "non-contiguous memoryview"),
    "memoryview-backwards": (memoryview(b"abcdefgh")[::-1], "non-contiguous memoryview"),
    "numpy-strided": (np.zeros(8, np.uint8)[::2], "ndarray"),
    "numpy-fortran": (np.zeros((2, 4), np.uint8).T, "ndarray"),
}
# What has no writable one.
UNWRITABLE: dict[str, tuple[Any, str]] = {
    **UNREADABLE,
    "bytes": (b"abcd", "bytes"),
    "memoryview-strided": (memoryview(bytearray(8))[::2], "read-only or non-contiguous memoryview"),
    "memoryview-backwards": (memoryview(bytearray(8))[::-1], "read-only or non-contiguous memoryview"),
    "memoryview-readonly": (memoryview(b"abcd"), "read-only or non-contiguous memoryview"),
    "memoryview-toreadonly": (memoryview(bytearray(4)).toreadonly(), "read-only or non-contiguous memoryview"),
    "numpy-readonly": (np.frombuffer(b"abcd", np.uint8), "ndarray"),
}
