"""Frames: what a header may say, and frames cut out of a stream of bytes (RFC 6455 section 5).

Every rule is judged on the first bytes of a header, as many as there are, so that an offence is found at the
byte that proves it.

Floor 3.
"""

from __future__ import annotations

import operator
import sys

from ._backend import Payload, apply_mask, build_header, parse_header, take_frame, take_messages
from ._buffers import flat_view
from ._typing import Buffer
from .errors import MessageTooBig, ProtocolError
from .events import Frame
from .spec import (
    CONTROL,
    DEFAULT_MAX_SIZE,
    FIN,
    LEAST_16,
    LEAST_64,
    LENGTH,
    LENGTH_16,
    LENGTH_END,
    MASKED,
    MAX_CONTROL_LENGTH,
    MAX_HEADER_SIZE,
    OPCODE,
    OPCODES,
    RSV,
    RSV1,
    RSV2,
    RSV3,
    CloseCode,
    Header,
    Opcode,
    Role,
)

# The last two are for drop-ins, whose hosts have rules of their own for all that is not a plain message.
__all__ = ["FrameDecoder", "FrameReader", "encode_frame", "take_frame", "take_messages"]


def _fault(first: int) -> str | None:
    """Return what is wrong with the first byte of a header where no extension was agreed on, or None."""
    if first & RSV:
        return "a reserved bit is set"  # §5.2
    if first & OPCODE not in OPCODES:
        return f"opcode {first & OPCODE} is reserved"  # §5.2
    if first & CONTROL and not first & FIN:
        return "a control frame is fragmented"  # §5.5
    return None


_FAULTS = tuple(map(_fault, range(256)))


def check_first(first: int) -> None:
    """Refuse reserved bits, reserved opcodes (§5.2) and fragmented control frames (§5.5)."""
    fault = _FAULTS[first]
    if fault is not None:
        raise ProtocolError(fault)


def check_control_fin(first: int) -> None:
    """Refuse control frames that are fragmented, whatever the reserved bits say (§5.5)."""
    if first & CONTROL and not first & FIN:
        raise ProtocolError("a control frame is fragmented")


def check_control_length(first: int, length: int) -> None:
    """Refuse control frames longer than 125 bytes, where `length` may be that of a short header (§5.5)."""
    if first & CONTROL and length > MAX_CONTROL_LENGTH:
        raise ProtocolError("a control frame is longer than 125 bytes")


def check_close_length(first: int, length: int) -> None:
    """Refuse a Close frame with half a close code (§5.5.1)."""
    if length == 1 and first & OPCODE == Opcode.CLOSE:
        raise ProtocolError("a Close frame has a payload of one byte")


def check_masking(second: int, masked: bool) -> None:
    """Refuse frames that are not masked as the peer's role demands (§5.1)."""
    if bool(second & MASKED) is not masked:
        raise ProtocolError("a frame is not masked" if masked else "a frame is masked")


def check_length(head: bytes, limit: int) -> None:
    """Refuse lengths that are not in the shortest form, out of range (§5.2), or above `limit` (§10.4)."""
    short = head[1] & LENGTH
    if short < LENGTH_16:
        if short > limit:
            raise MessageTooBig(f"more than {limit} bytes are announced")
        return
    # What is missing of the length leaves a range of what it can be.
    width, shortest = (2, LEAST_16) if short == LENGTH_16 else (8, LEAST_64)
    known = head[2 : 2 + width]
    unknown = 8 * (width - len(known))
    least = int.from_bytes(known) << unknown
    if least >= LENGTH_END:
        raise ProtocolError("the top bit of a 64-bit length is set")
    if least + (1 << unknown) <= shortest:
        raise ProtocolError("a length is not in its shortest form")
    if least > limit:
        raise MessageTooBig(f"more than {limit} bytes are announced")


class FrameReader:
    """Cuts the frames that reads cut: into a header and unmasked pieces of payload, of which it keeps none.

    The caller judges what `preview` shows, takes the header, and then takes pieces until `remaining` is 0.

    Attributes:
        held: the bytes of a header that isn't all there yet.
        remaining: how many bytes of the frame's payload are still to come.
    """

    __slots__ = ("_key", "_offset", "held", "remaining")

    def __init__(self) -> None:
        self.held = b""
        self._key: bytes | None = None
        self._offset = 0
        self.remaining = 0

    def preview(self, data: bytes | bytearray | memoryview, position: int) -> bytes:
        """Return as much of the next header as is known: at most 14 bytes, of which the last may be payload."""
        with memoryview(data) as view:
            return self.held + view[position : position + MAX_HEADER_SIZE - len(self.held)].tobytes()

    def read_header(self, head: bytes, position: int) -> tuple[Header | None, int]:
        """Take a header.

        Args:
            head: what `preview` returned at this position.
            position: where the next byte of the stream stands, in bytes.

        Returns:
            The header, or None where it isn't all there yet, and the position behind what was taken.
        """
        header = parse_header(head)
        if header is None:
            position += len(head) - len(self.held)
            self.held = head
            return None, position
        position += header.size - len(self.held)
        self.held = b""
        self._key = header.masking_key
        self._offset = 0
        self.remaining = header.length
        return header, position

    def read_payload(self, data: bytes | bytearray | memoryview, position: int) -> bytes:
        """Return the unmasked piece of payload that `data` holds from `position` on; it may be empty."""
        with memoryview(data)[position : position + self.remaining] as masked:
            piece = masked.tobytes() if self._key is None else apply_mask(masked, self._key, self._offset)
        self._offset += len(piece)
        self.remaining -= len(piece)
        return piece

    def read_into(self, payload: Payload, data: bytes | memoryview, position: int) -> int:
        """Add to `payload` what `read_payload` would return, and return its size."""
        size = payload.take(data, position, self.remaining, self._key, self._offset)
        self._offset += size
        self.remaining -= size
        return size


class FrameDecoder:
    """Decodes raw frames, reserved bits and reserved opcodes included.

    It is for those who bring rules of their own, as proxies and extensions do; messages are `Decoder`'s work.

    Args:
        role: ours; a server demands masked frames, a client refuses them.
        max_size: the longest payload of one frame, in bytes; None for no limit.
    """

    __slots__ = ("_failure", "_header", "_limit", "_masked", "_payload", "_reader")

    def __init__(self, role: Role, *, max_size: int | None = DEFAULT_MAX_SIZE) -> None:
        self._masked = is_server(role)
        self._limit = check_limit("max_size", max_size)
        self._reader = FrameReader()
        self._header: Header | None = None
        self._payload = Payload(text=False)
        self._failure: ProtocolError | None = None

    def feed(self, data: Buffer) -> list[Frame]:
        """Take the next bytes of the stream.

        Args:
            data: any C-contiguous buffer; it isn't kept.

        Returns:
            The frames that these bytes complete.

        Raises:
            ProtocolError: a frame is fragmented, masked or long where it must not be; `error.events` holds
                the frames that were complete before it, and the decoder stays failed.
            MessageTooBig: a frame announces more than `max_size` bytes.
            TypeError: `data` is not a C-contiguous bytes-like object.

        RFC 6455 §5.2, §5.5.
        """
        if self._failure is not None:
            raise copy_of(self._failure)
        frames: list[Frame] = []
        with flat_view(data) as view:
            try:
                self._feed(data if type(data) is bytes else view, frames)
            except ProtocolError as error:
                self._failure = copy_of(error)
                error.events = list(frames)
                raise
            except BaseException:
                self._failure = ProtocolError(INTERRUPTED, CloseCode.INTERNAL_ERROR)
                raise
        return frames

    def _feed(self, data: bytes | memoryview, frames: list[Frame]) -> None:
        position = 0
        while position < len(data):
            frame = None
            if self._header is None and not self._reader.held:
                frame = take_frame(data, position, self._masked, self._limit)
            if frame is None:
                position = self._take_piece(data, position, frames)
            else:
                first, payload, position = frame
                check_control_fin(first)
                check_control_length(first, len(payload))
                frames.append(_raw_frame(first, payload))

    def _take_piece(self, data: bytes | memoryview, position: int, frames: list[Frame]) -> int:
        """Take what there is of a frame that isn't all there, or is faulty, and return the position behind it."""
        reader = self._reader
        if self._header is None:
            head = reader.preview(data, position)
            check_control_fin(head[0])
            if len(head) > 1:
                check_masking(head[1], self._masked)
                check_control_length(head[0], head[1] & LENGTH)
                check_length(head, self._limit)
            self._header, position = reader.read_header(head, position)
        if self._header is not None:
            position += reader.read_into(self._payload, data, position)
            self._finish(self._header, frames)
        return position

    def _finish(self, header: Header, frames: list[Frame]) -> None:
        """Append the frame, if all of its payload is there."""
        if self._reader.remaining:
            return
        payload, self._header = self._payload.finish(), None
        assert type(payload) is bytes
        frames.append(Frame(header.opcode, payload, header.fin, header.rsv1, header.rsv2, header.rsv3))


def _raw_frame(first: int, payload: bytes) -> Frame:
    """Return the frame that begins with the byte `first`."""
    return Frame(first & OPCODE, payload, first & FIN != 0, first & RSV1 != 0, first & RSV2 != 0, first & RSV3 != 0)


def encode_frame(
    opcode: int,
    payload: Buffer = b"",
    *,
    fin: bool = True,
    rsv1: bool = False,
    rsv2: bool = False,
    rsv3: bool = False,
    masking_key: Buffer | None = None,
) -> bytes:
    """Write one frame, whatever it says.

    Args:
        opcode: 0 to 15.
        payload: any C-contiguous buffer.
        fin: whether it is the last frame of its message.
        rsv1, rsv2, rsv3: the reserved bits.
        masking_key: 4 unpredictable bytes, as a client must send them (§10.3); None for a server's frame.

    Returns:
        The frame.

    Raises:
        ValueError: `opcode` is out of range, a control frame is fragmented or longer than 125 bytes, or
            `masking_key` does not have 4 bytes.
        TypeError: `payload` or `masking_key` is not a C-contiguous bytes-like object.

    RFC 6455 §5.2, §5.5.
    """
    with flat_view(payload) as view:
        if opcode & Opcode.CLOSE and (not fin or len(view) > MAX_CONTROL_LENGTH):
            raise ValueError("a control frame has at most 125 bytes and is not fragmented")
        header = build_header(opcode, len(view), fin=fin, rsv1=rsv1, rsv2=rsv2, rsv3=rsv3, masking_key=masking_key)
        return header + (view.tobytes() if masking_key is None else apply_mask(view, masking_key))


def is_server(role: Role) -> bool:
    """Return whether `role` is the server's; TypeError for anything but a Role."""
    if not isinstance(role, Role):
        raise TypeError(f"a role is a Role, not {type(role).__name__!r}")
    return role is Role.SERVER


# Why a decoder fails that an exception has stopped half-way: nobody knows any more where the next frame begins.
INTERRUPTED = "decoding was interrupted"

# What no payload can go beyond, so that "no limit" needs no case of its own.
NO_LIMIT = sys.maxsize


def check_limit(name: str, limit: int | None) -> int:
    """Return a limit in bytes or in pieces, where None is none; ValueError or TypeError for what can't be one."""
    if limit is None:
        return NO_LIMIT
    limit = operator.index(limit)
    if limit < 0:
        raise ValueError(f"{name} is negative: {limit}")
    return min(limit, NO_LIMIT)


def copy_of(error: ProtocolError) -> ProtocolError:
    """Return the same error without its events and without the frames of its traceback."""
    return type(error)(error.reason, error.close_code)
