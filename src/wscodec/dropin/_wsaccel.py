"""What libraries that were made for wsaccel look for: a masker and a validator, with its methods and results.

Floor 5.
"""

from __future__ import annotations

from codecs import utf_8_decode

from wscodec import Utf8Validator, apply_mask, is_valid_utf8

__all__ = ["TextValidator", "XorMasker", "begins_text"]


def begins_text(data: bytes) -> bool:
    """Return whether `data` is valid text, or the beginning of one that is cut within a character."""
    return is_valid_utf8(data) or Utf8Validator().feed(data)


class XorMasker:
    """Masks or unmasks a payload that comes in pieces (RFC 6455 section 5.3).

    Args:
        key: the four bytes of the masking key.
    """

    __slots__ = ("_key", "_offset")

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._offset = 0

    def pointer(self) -> int:
        """Return how much has been masked, in bytes."""
        return self._offset

    def reset(self) -> None:
        """Begin with the next payload."""
        self._offset = 0

    def process(self, data: bytes) -> bytes:
        """Return the next piece, masked."""
        masked = apply_mask(data, self._key, self._offset)
        self._offset += len(masked)
        return masked


class TextValidator:
    """Validates text that comes in pieces, cut anywhere, and says where it goes wrong (RFC 3629 section 4)."""

    __slots__ = ("_failed", "_rest", "_text", "_total")

    def __init__(self) -> None:
        self._text = Utf8Validator()
        self._rest = b""  # of the character that the last piece was cut in
        self._total = 0
        self._failed = False

    def reset(self) -> None:
        """Begin with the next text."""
        self._text.reset()
        self._rest = b""
        self._total = 0
        self._failed = False

    def validate(self, data: bytes) -> tuple[bool, bool, int, int]:
        """Validate the next piece.

        Args:
            data: the piece, as bytes or a bytearray.

        Returns:
            Whether all so far can be the beginning of valid text, and whether it ends with a whole character. Then
            how much of this piece is good and how much of the text, in bytes: up to the first byte that no valid text
            can have at its place, where there is one. Once there was, no piece has a good byte any more.
        """
        if not self._text.feed(data):
            return self._refused(data)
        size = len(data)
        self._total += size
        whole = self._text.complete
        self._rest = b"" if whole else _unfinished(self._rest + data[-3:])
        return True, whole, size, self._total

    def _refused(self, data: bytes) -> tuple[bool, bool, int, int]:
        index = 0 if self._failed else _first_wrong(self._rest + data) - len(self._rest)
        self._failed = True
        self._total += index
        return not data, False, index, self._total  # an empty piece has no wrong byte


def _unfinished(data: bytes) -> bytes:
    """Return the beginning of a character that valid text ends with; `data` may begin within another one."""
    return data[utf_8_decode(data, "ignore")[1] :]


def _first_wrong(data: bytes) -> int:
    """Return where the first byte stands that no valid text can have there; there is one."""
    start = 0
    try:
        data.decode()
    except UnicodeDecodeError as error:
        start = error.start
    text = Utf8Validator()
    return next(index for index in range(start, len(data)) if not text.feed(data[index : index + 1]))
