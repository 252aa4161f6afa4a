"""Messages sent where permessage-deflate was agreed on: those for which it pays are compressed (RFC 7692 §6.1, §7.2.1).

Floor 3.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from ._backend import apply_mask, build_header
from ._buffers import flat_view
from ._typing import Buffer, Message
from .compression import Deflater, SharedDeflater
from .encoder import Encoder, PreparedMessage, as_kind, payload_of
from .frames import encode_frame
from .keys import take_key
from .spec import Opcode, Role

__all__ = ["DeflatingEncoder", "Deflation"]


class Deflation:
    """A message that is compressed apart from its connection: by `run`, in any thread.

    `DeflatingEncoder.begin` makes it, and `DeflatingEncoder.end` takes it back.

    Attributes:
        opcode, payload: of the message.
        compressor: what is used for it.
        deflated: the payload to send instead, or None.
        error: why there is nothing to send, or None.
        ended: whether it was taken back.
    """

    __slots__ = ("_deflater", "_lock", "_to_do", "compressor", "deflated", "ended", "error", "opcode", "payload")

    def __init__(self, deflater: Deflater, opcode: Opcode, payload: bytes) -> None:
        self._deflater = deflater
        self._lock = threading.Lock()
        self._to_do = True
        self.compressor = deflater.take()
        self.opcode = opcode
        self.payload = payload
        self.deflated: bytes | None = None
        self.error: BaseException | None = None
        self.ended = False

    def run(self) -> None:
        """Compress the message; where another thread is at it, wait for that. What goes wrong becomes `error`."""
        with self._lock:
            if not self._to_do:
                return
            self._to_do = False
            try:
                self.deflated = self._deflater.deflate_with(self.compressor, self.payload)
            except Exception as error:
                self.error = error


class DeflatingEncoder(Encoder):
    """An encoder that compresses the messages for which the deflater finds it worth it.

    Those in fragments are judged by the first one.

    Args:
        role: ours, as `Encoder` takes it.
        deflater: deflates the messages, in their order. What was encoded has to be sent, and in that order, too.
    """

    __slots__ = ("_deflater", "_deflation", "_in_deflate")

    def __init__(self, role: Role, deflater: Deflater) -> None:
        super().__init__(role)
        self._deflater = deflater
        self._deflation: Deflation | None = None
        self._in_deflate = False  # the message that is being sent in fragments

    @property
    def plain_limit(self) -> int:
        """The longest message that is sent as it is, whatever it says, in bytes; -1 if none is."""
        return self._deflater.threshold - 1

    def release(self) -> None:
        """Let go of what only more messages would need, the compressor too."""
        self._deflater.release()
        self._deflation = None

    def lose(self) -> None:
        """Take it that what was encoded last won't be sent: nothing may refer to what the peer has not got."""
        self._deflater.release()

    def encode(self, message: Message | PreparedMessage, *, text: bool | None = None, compress: bool = True) -> bytes:
        """Encode one message as one frame, compressed or not; see `Encoder.encode`.

        A prepared message is compressed once for all servers' connections that compress alike, and refers to nothing
        that was sent before, nor can what is sent later refer to that.

        RFC 7692 §7.2.1.
        """
        prepared = message if isinstance(message, PreparedMessage) else None
        if not compress or (prepared is not None and not prepared.compress):
            return super().encode(message, text=text)  # the compressor need not know
        self._check_free()
        if prepared is None:
            return self._message(*as_kind(message, text))  # type: ignore[arg-type]
        if self._masked:
            return self._message(*as_kind(prepared.message, prepared.text))
        return self._made_before(prepared)

    def encode_fragment(self, data: Message, *, fin: bool, compress: bool = True) -> bytes:
        """Encode the next part of a message as one frame; see `Encoder.encode_fragment`.

        Raises:
            ConcurrencyError: a message is between `begin` and `end`.
        """
        if self._deflation is not None:
            self._check_free()
        return super().encode_fragment(data, fin=fin, compress=compress)

    def begin(self, message: Message, *, text: bool | None = None) -> Deflation:
        """Begin to encode a message that takes long to compress.

        A thread that calls `run` of what this returns does that work. Until `end`, this encoder is as within a
        fragmented message: control frames can be encoded, and other messages can't.

        Args:
            message, text: as `encode` takes them, but not prepared. The bytes of a buffer are copied.

        Raises:
            TypeError, ValueError, ConcurrencyError: as `encode` does; then nothing has begun.
        """
        self._check_free()
        opcode, payload = as_kind(message, text)
        if type(payload) is not bytes:
            payload = bytes(flat_view(payload))
        self._deflation = Deflation(self._deflater, opcode, payload)
        self.fragments_of = opcode
        return self._deflation

    def end(self, deflation: Deflation) -> bytes:
        """Return the frame of the message that was begun, compressing it first where no thread has.

        Raises:
            Exception: that of compressing or framing it. There is no such message then: the next one can be encoded,
                with a new compressor, that knows of none before.
            ValueError: this is not the message that was begun.
        """
        if deflation is not self._deflation:
            raise ValueError("this is not the message that was begun")
        deflation.run()
        self._deflation = self.fragments_of = None
        deflation.ended = True
        if deflation.error is not None:
            raise deflation.error
        try:
            frame = self._framed(deflation.opcode, deflation.payload, deflation.deflated)
        except BaseException as error:
            deflation.error = error
            raise
        self._deflater.put_back(deflation.compressor)
        return frame

    def _burst(self, messages: Sequence[Message]) -> bytes:
        # All of them are judged before the first one is compressed.
        payloads = [payload_of(message) for message in messages]
        try:
            return b"".join([self._message(*payload) for payload in payloads])
        except BaseException:
            self.lose()
            raise

    def _message(self, opcode: Opcode, payload: Buffer) -> bytes:
        """Return a whole message as a frame."""
        try:
            if type(payload) is bytes:
                deflated = self._deflater.deflate(payload)
            else:
                with flat_view(payload) as view:
                    deflated = self._deflater.deflate(view)
            return self._framed(opcode, payload, deflated)
        except BaseException:
            self.lose()
            raise

    def _framed(self, opcode: Opcode, payload: Buffer, deflated: bytes | None) -> bytes:
        """Return the frame of a whole message, compressed where that is not None."""
        if deflated is None:
            return self._frame(opcode, payload)
        # As `encode_frame` does, for what needs no check.
        key = take_key() if self._masked else None
        header = build_header(opcode, len(deflated), rsv1=True, masking_key=key)
        return header + (deflated if key is None else apply_mask(deflated, key))

    def _part(self, opcode: Opcode, payload: Buffer, fin: bool, compress: bool) -> bytes:
        first = opcode is not Opcode.CONTINUATION
        if first and fin and compress:
            return self._message(opcode, payload)
        with flat_view(payload) as view:
            if first:
                # The first frame says it for all. Each part ends with a flush, which makes short ones longer.
                self._in_deflate = compress and len(view) >= self._deflater.threshold
            if not self._in_deflate:
                return self._frame(opcode, payload, fin)
            return self._deflated_part(opcode, view, fin)

    def _deflated_part(self, opcode: Opcode, part: memoryview, fin: bool) -> bytes:
        """Return a part of a compressed message as a frame."""
        try:
            deflated = self._deflater.deflate_part(part, fin=fin)
            return self._frame(opcode, deflated, fin, rsv1=opcode is not Opcode.CONTINUATION)
        except BaseException:
            self.lose()
            raise

    def _made_before(self, prepared: PreparedMessage) -> bytes:
        """Return the frame of a prepared message that goes to peers like this one."""
        frame = _deflated(prepared, self._deflater)
        if frame is None:
            return prepared.frame
        # The peer gets into its window what our compressor knows nothing of.
        self._deflater.forget()
        return frame


def _deflated(prepared: PreparedMessage, deflater: Deflater) -> bytes | None:
    """Return a prepared message as a server's compressed frame, made for the first connection that wants it so.

    None where it is to be sent as it is.
    """
    key = (deflater.setting, deflater.threshold)
    frames = prepared.deflated
    if key not in frames:
        opcode, payload = as_kind(prepared.message, prepared.text)
        with flat_view(payload) as view:
            deflated = SharedDeflater(*key).deflate(view)
        frames[key] = None if deflated is None else encode_frame(opcode, deflated, rsv1=True)
    return frames[key]
