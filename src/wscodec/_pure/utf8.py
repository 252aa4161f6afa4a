"""UTF-8 in pure Python, the twin of `_utf8.pyx`.

Floor 1.
"""

from __future__ import annotations

import codecs

from .._typing import Buffer
from .mask import read_bytes

__all__ = ["Utf8Validator", "decode_utf8", "is_valid_utf8", "kernels", "use_kernel"]

_Decoder = codecs.getincrementaldecoder("utf-8")


def is_valid_utf8(data: Buffer, /) -> bool:
    """Tell whether `data` is UTF-8, whole and well-formed.

    Args:
        data: any C-contiguous buffer.

    Returns:
        False for overlong forms, surrogates, code points above U+10FFFF and cut sequences, too.

    Raises:
        TypeError: `data` is not a C-contiguous bytes-like object.

    RFC 3629 §4, RFC 6455 §8.1.
    """
    try:
        read_bytes(data).decode()
    except UnicodeDecodeError:
        return False
    return True


def decode_utf8(data: Buffer, /) -> str:
    """Decode UTF-8.

    Args:
        data: any C-contiguous buffer.

    Returns:
        The text.

    Raises:
        UnicodeDecodeError: as `bytes.decode` raises it.
        TypeError: `data` is not a C-contiguous bytes-like object.

    RFC 3629 §4, RFC 6455 §8.1.
    """
    return read_bytes(data).decode()


class Utf8Validator:
    """Validates UTF-8 that arrives in chunks, cut anywhere.

    It says no at the first byte that no valid text can have at its place, and goes on saying no.

    RFC 3629 §4, RFC 6455 §8.1.
    """

    __slots__ = ("_decoder", "_valid")

    def __init__(self) -> None:
        self._decoder = _Decoder()
        self._valid = True

    def feed(self, data: Buffer) -> bool:
        """Validate the next chunk.

        Args:
            data: any C-contiguous buffer.

        Returns:
            Whether all that has been fed can be the beginning of valid text.

        Raises:
            TypeError: `data` is not a C-contiguous bytes-like object.
        """
        chunk = read_bytes(data)
        if not self._valid:
            return False
        try:
            self._decoder.decode(chunk)
        except UnicodeDecodeError:
            self._valid = False
            return False
        # The codec waits for a surrogate's third byte, though the second has proved it wrong.
        self._valid = not b"\xed\xa0" <= self._decoder.getstate()[0] < b"\xee"
        return self._valid

    @property
    def complete(self) -> bool:
        """Whether all that has been fed is valid text that ends with a whole character."""
        return self._valid and not self._decoder.getstate()[0]

    def reset(self) -> None:
        """Forget all that has been fed."""
        self._decoder = _Decoder()
        self._valid = True


def kernels() -> tuple[str, ...]:
    """Return the names of the UTF-8 kernels that this CPU can run, best first."""
    return ("pure",)


def use_kernel(name: str) -> None:
    """Choose the UTF-8 kernel by name.

    Raises:
        ValueError: there is no such kernel here.
    """
    if name not in kernels():
        raise ValueError(f"no UTF-8 kernel {name!r} here, only {', '.join(kernels())}")
