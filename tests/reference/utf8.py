"""UTF-8 as the grammar of RFC 3629 §4 has it, by regular expressions."""

from __future__ import annotations

import re

_TAIL = rb"[\x80-\xBF]"
_SEQUENCES = (
    rb"[\x00-\x7F]",
    rb"[\xC2-\xDF]" + _TAIL,
    rb"\xE0[\xA0-\xBF]" + _TAIL,
    rb"[\xE1-\xEC\xEE\xEF]" + _TAIL * 2,
    rb"\xED[\x80-\x9F]" + _TAIL,
    rb"\xF0[\x90-\xBF]" + _TAIL * 2,
    rb"[\xF1-\xF3]" + _TAIL * 3,
    rb"\xF4[\x80-\x8F]" + _TAIL * 2,
)
# What may stand at the end of a chunk: a sequence without its last bytes.
_BEGINNINGS = (
    rb"[\xC2-\xF4]",
    rb"\xE0[\xA0-\xBF]",
    rb"[\xE1-\xEC\xEE\xEF]" + _TAIL,
    rb"\xED[\x80-\x9F]",
    rb"\xF0[\x90-\xBF]" + _TAIL + b"?",
    rb"[\xF1-\xF3]" + _TAIL + _TAIL + b"?",
    rb"\xF4[\x80-\x8F]" + _TAIL + b"?",
)
_whole = re.compile(rb"(?:" + rb"|".join(_SEQUENCES) + rb")*+", re.DOTALL)
_beginning = re.compile(rb"(?:" + rb"|".join(_SEQUENCES) + rb")*+(?:" + rb"|".join(_BEGINNINGS) + rb")?", re.DOTALL)


def is_valid(data: bytes) -> bool:
    return _whole.fullmatch(data) is not None


def can_begin(data: bytes) -> bool:
    """Whether some valid text begins with `data`."""
    return _beginning.fullmatch(data) is not None
