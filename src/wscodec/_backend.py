"""The choice between the compiled modules and their pure-Python twins.

`WSCODEC_BACKEND` in the environment forces one: "compiled" (an ImportError where it can't be imported) or
"pure". Without it the compiled modules are taken where they are there.

Floor 2.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ._pure import channel as _pure_channel
from ._pure import frames as _pure_frames
from ._pure import inbox as _pure_inbox
from ._pure import lanes as _pure_lanes
from ._pure import mask as _pure_mask
from ._pure import payload as _pure_payload
from ._pure import utf8 as _pure_utf8

__all__ = [
    "ChannelLane",
    "ConnectionLane",
    "DecoderLane",
    "Inbox",
    "Outbox",
    "Payload",
    "Utf8Validator",
    "apply_mask",
    "apply_mask_inplace",
    "backend",
    "build_header",
    "decode_utf8",
    "is_valid_utf8",
    "kernels",
    "pack_chunks",
    "pack_messages",
    "parse_header",
    "take_frame",
    "take_messages",
    "use_kernel",
    "write_frame",
]


_mask, _utf8, _frames, _payload = _pure_mask, _pure_utf8, _pure_frames, _pure_payload
_lanes, _inbox, _channel = _pure_lanes, _pure_inbox, _pure_channel
backend = "pure"
_wanted = os.environ.get("WSCODEC_BACKEND", "")

if _wanted not in ("", "compiled", "pure"):
    raise ImportError(f"WSCODEC_BACKEND is 'compiled' or 'pure', not {_wanted!r}")

# For the type checker the twins are one; the stubs of the compiled ones are checked on their own.
if not TYPE_CHECKING and _wanted != "pure":
    try:
        # Not `from . import`: where a module is missing, that speaks of a circular import.
        import wscodec._channel as _compiled_channel
        import wscodec._frames as _compiled_frames
        import wscodec._inbox as _compiled_inbox
        import wscodec._lanes as _compiled_lanes
        import wscodec._mask as _compiled_mask
        import wscodec._payload as _compiled_payload
        import wscodec._utf8 as _compiled_utf8
    except ImportError as error:
        if _wanted == "compiled":
            raise ImportError(
                f"WSCODEC_BACKEND=compiled, but the compiled modules can't be imported: {error}"
            ) from error
    else:
        _mask, _utf8, _frames, _payload = _compiled_mask, _compiled_utf8, _compiled_frames, _compiled_payload
        _lanes, _inbox, _channel = _compiled_lanes, _compiled_inbox, _compiled_channel
        backend = "compiled"

apply_mask = _mask.apply_mask
apply_mask_inplace = _mask.apply_mask_inplace
is_valid_utf8 = _utf8.is_valid_utf8
decode_utf8 = _utf8.decode_utf8
Utf8Validator = _utf8.Utf8Validator
parse_header = _frames.parse_header
build_header = _frames.build_header
take_messages = _frames.take_messages
take_frame = _frames.take_frame
pack_messages = _frames.pack_messages
Payload = _payload.Payload
pack_chunks = _payload.pack_chunks
DecoderLane = _lanes.DecoderLane
ConnectionLane = _lanes.ConnectionLane
Inbox = _inbox.Inbox
ChannelLane = _channel.ChannelLane
Outbox = _channel.Outbox
write_frame = _channel.write_frame

_OPERATIONS = (_mask, _utf8)
_LADDER = ("avx512", "avx2", "ssse3", "sse2", "neon", "portable", "pure")


def kernels() -> tuple[str, ...]:
    """Return the names of the kernels that this CPU can run, best first."""
    usable = {name for operation in _OPERATIONS for name in operation.kernels()}
    return tuple(name for name in _LADDER if name in usable)


def use_kernel(name: str) -> None:
    """Make every operation use its best kernel that needs no more of the CPU than `name` does.

    Meant for tests and measurements; the choice holds for the whole process.

    Args:
        name: one of `kernels()`; its first is what is chosen at import.

    Raises:
        ValueError: there is no such kernel here.
    """
    usable = kernels()
    if name not in usable:
        raise ValueError(f"no kernel {name!r} here, only {', '.join(usable)}")
    allowed = _LADDER[_LADDER.index(name) :]
    for operation in _OPERATIONS:
        operation.use_kernel(next(kernel for kernel in operation.kernels() if kernel in allowed))
