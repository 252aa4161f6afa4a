"""wscodec: a WebSocket codec whose hot paths are compiled, with a pure-Python fallback (RFC 6455).

Floor: the roof. Importing it imports no asyncio; the network layer is `wscodec.asyncio`.
"""

from __future__ import annotations

from ._backend import (
    Utf8Validator,
    apply_mask,
    apply_mask_inplace,
    backend,
    build_header,
    decode_utf8,
    is_valid_utf8,
    kernels,
    parse_header,
    use_kernel,
)
from ._version import __version__
from .connection import Connection
from .deflate import AgreedDeflate, DeflateParameters, PerMessageDeflate
from .deflating import DeflatingEncoder
from .encoder import Encoder, PreparedMessage, encode, encode_many
from .errors import (
    BadExtensions,
    BadRequest,
    BadResponse,
    BadStatus,
    ConcurrencyError,
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    HandshakeError,
    HeadTooBig,
    InvalidDeflate,
    InvalidUtf8,
    MessageTooBig,
    MethodRefused,
    OriginRefused,
    ProtocolError,
    TooManyFragments,
    VersionRefused,
    WebSocketError,
)
from .events import Close, Event, Fragment, Frame, Ping, Pong
from .frames import FrameDecoder, encode_frame
from .handshake import ClientHandshake, ServerHandshake
from .inflating import InflatingDecoder
from .messages import Decoder
from .spec import CloseCode, Header, Opcode, Role, State
from .stats import Stats

__all__ = [
    "AgreedDeflate",
    "BadExtensions",
    "BadRequest",
    "BadResponse",
    "BadStatus",
    "ClientHandshake",
    "Close",
    "CloseCode",
    "ConcurrencyError",
    "Connection",
    "ConnectionClosed",
    "ConnectionClosedError",
    "ConnectionClosedOK",
    "Decoder",
    "DeflateParameters",
    "DeflatingEncoder",
    "Encoder",
    "Event",
    "Fragment",
    "Frame",
    "FrameDecoder",
    "HandshakeError",
    "HeadTooBig",
    "Header",
    "InflatingDecoder",
    "InvalidDeflate",
    "InvalidUtf8",
    "MessageTooBig",
    "MethodRefused",
    "Opcode",
    "OriginRefused",
    "PerMessageDeflate",
    "Ping",
    "Pong",
    "PreparedMessage",
    "ProtocolError",
    "Role",
    "ServerHandshake",
    "State",
    "Stats",
    "TooManyFragments",
    "Utf8Validator",
    "VersionRefused",
    "WebSocketError",
    "__version__",
    "apply_mask",
    "apply_mask_inplace",
    "backend",
    "build_header",
    "decode_utf8",
    "encode",
    "encode_frame",
    "encode_many",
    "is_valid_utf8",
    "kernels",
    "parse_header",
    "use_kernel",
]
