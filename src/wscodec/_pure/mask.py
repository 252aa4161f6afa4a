"""Masking in pure Python, the twin of `_mask.pyx`.

Floor 1.
"""

from __future__ import annotations

import operator

from .._buffers import flat_view
from .._typing import Buffer
from ..errors import bad_key, not_writable

__all__ = ["apply_mask", "apply_mask_inplace", "kernels", "use_kernel"]


def read_bytes(data: Buffer) -> bytes:
    """Return the bytes of a readable, C-contiguous buffer; TypeError for anything else."""
    if type(data) is bytes:
        return data
    with flat_view(data) as view:
        return view.tobytes()


def xor(data: bytes, key: bytes) -> bytes:
    """Return `data` masked by `key`, from the key's first byte on. One big integer does it all at once."""
    size = len(data)
    stream = key * (size // 4) + key[: size % 4]
    return (int.from_bytes(data, "little") ^ int.from_bytes(stream, "little")).to_bytes(size, "little")


def rotated(key: Buffer, offset: int) -> bytes:
    """Return the four bytes of `key` as they apply from `offset` on."""
    phase = operator.index(offset) & 3
    raw = read_bytes(key)
    if len(raw) != 4:
        raise bad_key(len(raw))
    return raw[phase:] + raw[:phase]


def apply_mask(data: Buffer, key: Buffer, /, offset: int = 0) -> bytes:
    """Mask or unmask `data`.

    Args:
        data: any C-contiguous buffer.
        key: the 4 bytes of the masking key.
        offset: where `data` stands in its payload, in bytes; the key's phase follows from it.

    Returns:
        A new bytes object of the same size.

    Raises:
        TypeError: `data` or `key` is not a C-contiguous bytes-like object.
        ValueError: `key` does not have 4 bytes.

    RFC 6455 §5.3.
    """
    return xor(read_bytes(data), rotated(key, offset))


def apply_mask_inplace(buffer: Buffer, key: Buffer, /, offset: int = 0) -> None:
    """Mask or unmask `buffer` where it stands.

    Args:
        buffer: any writable, C-contiguous buffer.
        key: the 4 bytes of the masking key.
        offset: where `buffer` stands in its payload, in bytes; the key's phase follows from it.

    Raises:
        TypeError: `buffer` is not writable, or `buffer` or `key` is not a C-contiguous bytes-like object.
        ValueError: `key` does not have 4 bytes.

    RFC 6455 §5.3.
    """
    turned = rotated(key, offset)
    try:
        view = memoryview(buffer)
    except TypeError:
        raise not_writable(buffer) from None
    with view:
        if view.readonly or not view.c_contiguous:
            raise not_writable(buffer)
        if view.nbytes:
            with view.cast("B") as flat:
                flat[:] = xor(flat.tobytes(), turned)


def kernels() -> tuple[str, ...]:
    """Return the names of the masking kernels that this CPU can run, best first."""
    return ("pure",)


def use_kernel(name: str) -> None:
    """Choose the masking kernel by name.

    Raises:
        ValueError: there is no such kernel here.
    """
    if name not in kernels():
        raise ValueError(f"no masking kernel {name!r} here, only {', '.join(kernels())}")
