"""Headers, runs of plain messages and runs of frames in pure Python, the twin of `_frames.pyx`.

Floor 1.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence

from .._buffers import flat_view
from .._typing import Buffer, Message
from ..errors import bad_key, not_a_message
from ..events import Event
from ..spec import (
    FIN,
    LEAST_16,
    LEAST_64,
    LENGTH,
    LENGTH_16,
    LENGTH_64,
    MASKED,
    MAX_HEADER_SIZE,
    OPCODE,
    RSV1,
    RSV2,
    RSV3,
    Header,
)
from .mask import read_bytes, xor

__all__ = ["build_header", "pack_messages", "parse_header", "take_frame", "take_messages"]

_TEXT = 0x81
_BINARY = 0x82


def parse_header(data: Buffer, offset: int = 0) -> Header | None:
    """Read one frame header, whatever it says.

    Args:
        data: any C-contiguous buffer.
        offset: where the header begins, in bytes.

    Returns:
        The header, or None where it isn't all there yet.

    Raises:
        TypeError: `data` is not a C-contiguous bytes-like object, or `offset` not an int.
        ValueError: `offset` is negative.

    RFC 6455 §5.2.
    """
    offset = operator.index(offset)
    if offset < 0:
        raise ValueError(f"offset is negative: {offset}")
    with flat_view(data) as view:
        head = view[offset : offset + MAX_HEADER_SIZE].tobytes()
    if len(head) < 2:
        return None
    first, second = head[0], head[1]
    length = second & LENGTH
    size = 2
    if length >= LENGTH_16:
        size = 4 if length == LENGTH_16 else 10
        length = int.from_bytes(head[2:size])
    key_end = size + 4 if second & MASKED else size
    if len(head) < key_end:
        return None
    return Header(
        first & FIN != 0,
        first & RSV1 != 0,
        first & RSV2 != 0,
        first & RSV3 != 0,
        first & OPCODE,
        head[size:key_end] or None,
        length,
        key_end,
    )


def build_header(
    opcode: int,
    length: int,
    *,
    fin: bool = True,
    rsv1: bool = False,
    rsv2: bool = False,
    rsv3: bool = False,
    masking_key: Buffer | None = None,
) -> bytes:
    """Write one frame header, with the length in its shortest form.

    Args:
        opcode: 0 to 15.
        length: of the payload, in bytes; less than 2**63.
        fin: whether the frame is the last one of its message.
        rsv1, rsv2, rsv3: the reserved bits.
        masking_key: the 4 bytes of the key, or None for a frame that is not masked.

    Returns:
        The header, 2 to 14 bytes.

    Raises:
        ValueError: `opcode` or `length` is out of range, or `masking_key` does not have 4 bytes.
        TypeError: `opcode` or `length` is not an int, or `masking_key` not a C-contiguous bytes-like object.

    RFC 6455 §5.2.
    """
    opcode, length = operator.index(opcode), operator.index(length)
    if not 0 <= opcode <= 15:
        raise ValueError(f"an opcode is 0 to 15, not {opcode}")
    if not 0 <= length < 1 << 63:
        raise ValueError(f"a payload's length is 0 to 2**63 - 1, not {length}")
    key = b"" if masking_key is None else read_bytes(masking_key)
    if masking_key is not None and len(key) != 4:
        raise bad_key(len(key))
    first = opcode | bool(fin) * FIN | bool(rsv1) * RSV1 | bool(rsv2) * RSV2 | bool(rsv3) * RSV3
    return _header(first, length, MASKED if key else 0) + key


def _header(first: int, length: int, masked: int) -> bytes:
    """Return a header without its masking key."""
    if length < LEAST_16:
        return bytes((first, masked | length))
    if length < LEAST_64:
        return bytes((first, masked | LENGTH_16)) + length.to_bytes(2)
    return bytes((first, masked | LENGTH_64)) + length.to_bytes(8)


def take_messages(data: Buffer, start: int, masked: bool, max_size: int, messages: list[Event]) -> int:
    """Take the run of plain messages that `data` holds from `start` on.

    A plain message is one whole data frame: FIN set, no reserved bit, masked as asked, its length in the
    shortest form and within the limit, its text valid. The run ends before the first frame that is anything
    else, is not all there, or needs a judgement.

    Args:
        data: any C-contiguous buffer.
        start: where the first frame begins, in bytes.
        masked: whether frames must be masked; otherwise they must not be.
        max_size: the longest payload to take, in bytes.
        messages: the list to append to: a `str` for text, `bytes` for binary.

    Returns:
        Where the run ended, in bytes.

    Raises:
        TypeError: `data` is not a C-contiguous bytes-like object.
        ValueError: `start` is negative.

    RFC 6455 §5.2, §5.6.
    """
    if start < 0:
        raise ValueError(f"start is negative: {start}")
    if type(data) is bytes:
        return _take(data, start, masked, max_size, messages)
    with flat_view(data) as view:
        return _take(view, start, masked, max_size, messages)


def _take(raw: bytes | memoryview, start: int, masked: bool, max_size: int, messages: list[Event]) -> int:
    """Do the work of `take_messages`."""
    end = len(raw)
    take = messages.append
    while start < end:
        first = raw[start]
        if first != _TEXT and first != _BINARY:
            break
        found = _find_payload(raw, start, end, masked, max_size)
        if found is None:
            break
        payload, start_of_next = found
        if first == _BINARY:
            take(payload)
        else:
            try:
                take(payload.decode())
            except UnicodeDecodeError:
                break
        start = start_of_next
    return start


def take_frame(data: Buffer, start: int, masked: bool, max_size: int) -> tuple[int, bytes, int] | None:
    """Take the one whole frame that `data` holds from `start` on, whatever its first byte says.

    Args:
        data: any C-contiguous buffer.
        start: where the frame begins, in bytes.
        masked: whether the frame must be masked; otherwise it must not be.
        max_size: the longest payload to take, in bytes.

    Returns:
        The first byte, the payload without its mask, and the position behind the frame; or None where the frame is
        not all there, not masked as asked, longer than asked, or its length is not in the shortest form.

    Raises:
        TypeError: `data` is not a C-contiguous bytes-like object.
        ValueError: `start` is negative.

    RFC 6455 §5.2.
    """
    if start < 0:
        raise ValueError(f"start is negative: {start}")
    with flat_view(data) as view:
        found = _find_payload(view, start, len(view), masked, max_size)
        return None if found is None else (view[start], *found)


def _find_payload(
    raw: bytes | memoryview, start: int, end: int, masked: bool, max_size: int
) -> tuple[bytes, int] | None:
    """Return the payload, without its mask, of the frame at `start`, and the position behind it; or None."""
    if end - start < 2:
        return None
    # With the wrong masking bit, this is 128 or more.
    length = raw[start + 1] ^ MASKED if masked else raw[start + 1]
    body = start + 6 if masked else start + 2
    if length >= LENGTH_16:
        if length > LENGTH_64:
            return None
        width = 2 if length == LENGTH_16 else 8
        length = int.from_bytes(raw[start + 2 : start + 2 + width])
        body += width
        if length < (LEAST_16 if width == 2 else LEAST_64):
            return None
    stop = body + length
    if stop > end or length > max_size:
        return None
    if masked:
        return _unmasked(raw[body:stop], raw[body - 4 : body], length), stop
    return bytes(raw[body:stop]), stop


# The key as a number, times _REPEAT[n], is the key n times in a row; _ONES[n] cuts it to n bytes. A short payload
# is unmasked by numbers alone, which is a third quicker than by way of a repeated key.
_SHORT = 128
_REPEAT = tuple(int.from_bytes(b"\1\0\0\0" * words, "little") for words in range(_SHORT // 4 + 1))
_ONES = tuple((1 << 8 * size) - 1 for size in range(_SHORT + 1))
_number = int.from_bytes


def _unmasked(payload: bytes | memoryview, key: bytes | memoryview, size: int) -> bytes:
    """Return a payload of `size` bytes without its mask."""
    if size > _SHORT:
        return xor(bytes(payload), bytes(key))
    stream = _number(key, "little") * _REPEAT[size + 3 >> 2] & _ONES[size]
    return (_number(payload, "little") ^ stream).to_bytes(size, "little")


def pack_messages(messages: Sequence[Message], keys: bytes | None) -> bytes:
    """Write a run of whole messages, one frame each.

    Args:
        messages: each a `str`, sent as text, or a C-contiguous buffer, sent as binary.
        keys: the masking keys, 4 bytes for each message, or None for frames that are not masked.

    Returns:
        The frames.

    Raises:
        TypeError: a message is neither a str nor a C-contiguous bytes-like object.
        UnicodeEncodeError: a str has a lone surrogate.
        ValueError: `keys` does not have 4 bytes for each message.

    RFC 6455 §5.2, §5.6, §6.1.
    """
    # The caller's list could change while a message is asked for its bytes; a tuple can't.
    run = tuple(messages)
    if keys is not None and len(keys) != 4 * len(run):
        raise ValueError(f"{len(run)} messages need {4 * len(run)} bytes of keys, not {len(keys)}")
    parts: list[bytes] = []
    for index, message in enumerate(run):
        first, payload = _payload(message)
        if keys is None:
            parts += (_header(first, len(payload), 0), payload)
        else:
            key = keys[4 * index : 4 * index + 4]
            parts += (_header(first, len(payload), MASKED), key, xor(payload, key))
    return b"".join(parts)


def _payload(message: Message) -> tuple[int, bytes]:
    """Return the first header byte and the payload of a message."""
    if isinstance(message, str):
        return _TEXT, message.encode()
    try:
        return _BINARY, read_bytes(message)
    except TypeError:
        raise not_a_message(message) from None
