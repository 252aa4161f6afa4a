"""The facts of RFC 6455: opcodes, close codes, roles and limits, each under its section.

Floor 0.
"""

from __future__ import annotations

import enum
from typing import Final, NamedTuple

__all__ = ["CloseCode", "Header", "Opcode", "Role", "State"]


class Role(enum.Enum):
    """The side of the connection that we are (RFC 6455 §5.1).

    A client masks what it sends and refuses masked frames; a server the reverse.
    """

    CLIENT = "client"
    SERVER = "server"


class State(enum.Enum):
    """The state of a connection after its opening handshake (RFC 6455 §4.1, §7.1.3, §7.1.4)."""

    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


class Opcode(enum.IntEnum):
    """What a frame carries (RFC 6455 §5.2, §11.8)."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


class CloseCode(enum.IntEnum):
    """Why a connection ends (RFC 6455 §7.4.1, §11.7 and the IANA registry)."""

    NORMAL_CLOSURE = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    NO_STATUS_RCVD = 1005
    ABNORMAL_CLOSURE = 1006
    INVALID_DATA = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014
    TLS_HANDSHAKE = 1015


class Header(NamedTuple):
    """The header of one frame (RFC 6455 §5.2).

    Attributes:
        fin: whether this is the last frame of its message.
        rsv1, rsv2, rsv3: the reserved bits.
        opcode: 0 to 15, reserved ones included.
        masking_key: 4 bytes, or None where the frame is not masked.
        length: of the payload, in bytes.
        size: of the header itself, in bytes (2 to 14).
    """

    fin: bool
    rsv1: bool
    rsv2: bool
    rsv3: bool
    opcode: int
    masking_key: bytes | None
    length: int
    size: int


# §5.2: the bits of a header's first two bytes.
FIN: Final = 0x80
RSV: Final = 0x70
RSV1: Final = 0x40
RSV2: Final = 0x20
RSV3: Final = 0x10
OPCODE: Final = 0x0F
# §5.5: the bit of the opcode that all control frames have.
CONTROL: Final = 0x08
MASKED: Final = 0x80
LENGTH: Final = 0x7F

# §5.2: the length field that announces a 16-bit or a 64-bit length, and the least that each may carry.
LENGTH_16: Final = 126
LENGTH_64: Final = 127
LEAST_16: Final = 126
LEAST_64: Final = 65536
LENGTH_END: Final = 1 << 63

# §5.2: two bytes, eight of length, four of masking key.
MAX_HEADER_SIZE: Final = 14

# §5.5: the longest payload of a control frame, and with the close code taken off, the longest reason.
MAX_CONTROL_LENGTH: Final = 125
MAX_REASON_SIZE: Final = 123

# §1.3 and §4.2.2: what is appended to the key before it is hashed.
ACCEPT_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
VERSION: Final = "13"

# Ours: the limits of a connection whose user set none.
DEFAULT_MAX_SIZE: Final = 1 << 20
DEFAULT_MAX_FRAGMENTS: Final = 4096

# Ours: a payload of so many bytes is worth an object of its own; below, copying it costs less than that.
LARGE: Final = 1 << 16

# Ours: how much may wait unread, in bytes (in characters, for text): `max_queue` alone would let 16 MiB pile up.
QUEUE_SIZE: Final = 1 << 20

# Ours: the limits of a handshake, in bytes (line ends included) and in header lines.
DEFAULT_MAX_LINE_SIZE: Final = 8192
DEFAULT_MAX_HEAD_SIZE: Final = 65536
DEFAULT_MAX_HEADERS: Final = 128
DEFAULT_MAX_BODY_SIZE: Final = 65536

OPCODES: Final = frozenset(Opcode)

# §7.4.1: these are said to the application, never to the peer.
_UNSENDABLE: Final = frozenset({CloseCode.NO_STATUS_RCVD, CloseCode.ABNORMAL_CLOSURE, CloseCode.TLS_HANDSHAKE})
_REGISTERED: Final = frozenset(CloseCode) - _UNSENDABLE


def is_sendable_close_code(code: int) -> bool:
    """Tell whether `code` may stand in a Close frame.

    Registered codes may, but for 1005, 1006 and 1015; 3000 to 4999 are left to libraries and applications
    (RFC 6455 §7.4.1, §7.4.2).
    """
    return code in _REGISTERED or 3000 <= code <= 4999
