"""The facts of RFC 6455, written out a second time."""

from __future__ import annotations

import pytest

import wscodec
from wscodec import CloseCode, Header, Opcode, Role, State, spec


def test_opcodes_rfc_6455_11_8() -> None:
    assert {opcode.name: opcode.value for opcode in Opcode} == {
        "CONTINUATION": 0,
        "TEXT": 1,
        "BINARY": 2,
        "CLOSE": 8,
        "PING": 9,
        "PONG": 10,
    }
    assert frozenset(range(16)) - spec.OPCODES == {3, 4, 5, 6, 7, 11, 12, 13, 14, 15}


def test_close_codes_of_the_registry() -> None:
    assert {code.name: code.value for code in CloseCode} == {
        "NORMAL_CLOSURE": 1000,
        "GOING_AWAY": 1001,
        "PROTOCOL_ERROR": 1002,
        "UNSUPPORTED_DATA": 1003,
        "NO_STATUS_RCVD": 1005,
        "ABNORMAL_CLOSURE": 1006,
        "INVALID_DATA": 1007,
        "POLICY_VIOLATION": 1008,
        "MESSAGE_TOO_BIG": 1009,
        "MANDATORY_EXTENSION": 1010,
        "INTERNAL_ERROR": 1011,
        "SERVICE_RESTART": 1012,
        "TRY_AGAIN_LATER": 1013,
        "BAD_GATEWAY": 1014,
        "TLS_HANDSHAKE": 1015,
    }


def test_sendable_close_codes_rfc_6455_7_4() -> None:
    sendable = {1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)}
    assert {code for code in range(-1, 65537) if spec.is_sendable_close_code(code)} == sendable


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FIN", 0b1000_0000),
        ("RSV", 0b0111_0000),
        ("RSV1", 0b0100_0000),
        ("RSV2", 0b0010_0000),
        ("RSV3", 0b0001_0000),
        ("OPCODE", 0b0000_1111),
        ("MASKED", 0b1000_0000),
        ("LENGTH", 0b0111_1111),
        ("LENGTH_16", 126),
        ("LENGTH_64", 127),
        ("LEAST_16", 126),
        ("LEAST_64", 65536),
        ("LENGTH_END", 2**63),
        ("MAX_HEADER_SIZE", 2 + 8 + 4),
        ("MAX_CONTROL_LENGTH", 125),
        ("MAX_REASON_SIZE", 125 - 2),
        ("ACCEPT_GUID", b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"),
        ("VERSION", "13"),
        ("DEFAULT_MAX_SIZE", 1024 * 1024),
    ],
)
def test_constants_rfc_6455_5_2(name: str, value: object) -> None:
    assert getattr(spec, name) == value


def test_roles_and_states() -> None:
    assert [role.value for role in Role] == ["client", "server"]
    assert [state.name for state in State] == ["OPEN", "CLOSING", "CLOSED"]


def test_header_fields_in_the_order_of_the_wire() -> None:
    assert Header._fields == ("fin", "rsv1", "rsv2", "rsv3", "opcode", "masking_key", "length", "size")


# The names that design.md's table of levels promises.
PROMISED = {
    "apply_mask",
    "apply_mask_inplace",
    "is_valid_utf8",
    "decode_utf8",
    "Utf8Validator",
    "Opcode",
    "CloseCode",
    "Header",
    "parse_header",
    "build_header",
    "FrameDecoder",
    "encode_frame",
    "Decoder",
    "Encoder",
    "encode",
    "encode_many",
    "Ping",
    "Pong",
    "Close",
    "Fragment",
    "Connection",
    "Role",
    "ServerHandshake",
    "ClientHandshake",
    "WebSocketError",
    "ProtocolError",
    "InvalidUtf8",
    "MessageTooBig",
    "HandshakeError",
    "ConnectionClosed",
    "backend",
    "kernels",
    "use_kernel",
    "__version__",
}


def test_public_names() -> None:
    assert not PROMISED - set(wscodec.__all__)
    assert wscodec.__all__ == sorted(set(wscodec.__all__))
    for name in wscodec.__all__:
        assert hasattr(wscodec, name)
