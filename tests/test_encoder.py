"""Messages sent: every byte of what goes out (RFC 6455 sections 5.4 to 5.6, 6.1)."""

from __future__ import annotations

import pytest
from helpers import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    ROLES,
    TEXT,
    close_payload,
    frame,
    title,
)
from reference.frames import RawFrame, frames_of

import wscodec
from wscodec import (
    ConcurrencyError,
    Encoder,
    Role,
)

pytestmark = pytest.mark.usefixtures("impl")

roles = pytest.mark.parametrize("role", ROLES, ids=lambda role: role.value)


SIZES = (0, 1, 125, 126, 65535, 65536)
HEADS = {
    0: "81 00", 1: "81 01", 125: "81 7d", 126: "81 7e 00 7e", 65535: "81 7e ff ff",
    65536: "81 7f 00 00 00 00 00 01 00 00",
}  # fmt: skip


@pytest.mark.parametrize("size", SIZES)
def test_encode_lengths_golden(size: int) -> None:
    head = bytes.fromhex(HEADS[size])
    assert wscodec.encode("a" * size) == head + b"a" * size
    assert wscodec.encode(b"\xff" * size) == b"\x82" + head[1:] + b"\xff" * size
    assert Encoder(Role.SERVER).encode_many(["b" * size] * 2) == (head + b"b" * size) * 2


@pytest.mark.parametrize("size", SIZES)
def test_encode_of_a_client_is_masked(size: int) -> None:
    encoder = Encoder(Role.CLIENT)
    (text,) = frames_of(encoder.encode("é" * (size // 2) + "a" * (size % 2)))
    (binary,) = frames_of(encoder.encode(b"\xff" * size))
    assert text[:3] == (True, 0, TEXT)
    assert text.payload.decode() == "é" * (size // 2) + "a" * (size % 2)
    assert binary[:3] == (True, 0, BINARY)
    assert binary.payload == b"\xff" * size
    assert text.key is not None
    assert binary.key not in (None, text.key)


MESSAGES = {
    "ascii": ("Hello", TEXT, b"Hello"),
    "latin-1": ("é", TEXT, b"\xc3\xa9"),
    "bmp": ("€uro", TEXT, b"\xe2\x82\xacuro"),
    "astral": ("😀", TEXT, b"\xf0\x9f\x98\x80"),
    "nul": ("\0", TEXT, b"\0"),
    "empty-str": ("", TEXT, b""),
    "str-subclass": (type("Text", (str,), {})("hé"), TEXT, b"h\xc3\xa9"),
    "bytes": (b"\x00\xff", BINARY, b"\x00\xff"),
    "empty-bytes": (b"", BINARY, b""),
    "bytes-subclass": (type("Data", (bytes,), {})(b"ab"), BINARY, b"ab"),
    "bytearray": (bytearray(b"ab"), BINARY, b"ab"),
    "memoryview": (memoryview(b"xaby")[1:3], BINARY, b"ab"),
    "memoryview-2d": (memoryview(b"abcdef").cast("B", (2, 3)), BINARY, b"abcdef"),
    "memoryview-of-ints": (memoryview(b"abcdefgh").cast("I"), BINARY, b"abcdefgh"),
}


@roles
@pytest.mark.parametrize(("message", "opcode", "payload"), MESSAGES.values(), ids=MESSAGES)
def test_encode_kinds(role: Role, message: object, opcode: int, payload: bytes) -> None:
    encoder = Encoder(role)
    for wire in (encoder.encode(message), encoder.encode_many([message]), encoder.encode_fragment(message, fin=True)):
        (got,) = frames_of(wire)
        assert got == RawFrame(True, 0, opcode, got.key, payload)
        assert (got.key is not None) is (role is Role.CLIENT)


@roles
def test_encode_many_is_each_in_turn(role: Role) -> None:
    messages = [message for message, _, _ in MESSAGES.values()] * 3 + ["x" * 70_000, bytes(300)]
    got = frames_of(Encoder(role).encode_many(messages))
    assert [(f.opcode, f.payload) for f in got] == [(o, p) for _, o, p in list(MESSAGES.values()) * 3] + [
        (TEXT, b"x" * 70_000),
        (BINARY, bytes(300)),
    ]
    keys = [f.key for f in got]
    assert len(set(keys)) == (1 if role is Role.SERVER else len(keys))


@roles
def test_encode_many_of_none_and_of_a_tuple(role: Role) -> None:
    assert Encoder(role).encode_many([]) == b""
    assert [f.payload for f in frames_of(Encoder(role).encode_many(("a", b"b")))] == [b"a", b"b"]


def test_encode_many_of_a_str_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="sequence of messages"):
        wscodec.encode_many("abc")


def test_module_functions_are_a_server_s() -> None:
    assert wscodec.encode("Hello") == bytes.fromhex("81 05 48 65 6c 6c 6f")
    assert wscodec.encode_many(["a", b"b"]) == b"\x81\x01a\x82\x01b"


@roles
@pytest.mark.parametrize("bad", [None, 1, 1.5, [b"a"], object(), memoryview(b"abcd")[::2]], ids=title)
def test_encode_of_another_type(role: Role, bad: object) -> None:
    encoder = Encoder(role)
    text = rf"^a message is a str or a bytes-like object, not '{type(bad).__name__}'$"
    with pytest.raises(TypeError, match=text):
        encoder.encode(bad)
    with pytest.raises(TypeError, match=text):
        encoder.encode_many(["good", bad])
    with pytest.raises(TypeError, match=text):
        encoder.encode_fragment(bad, fin=False)
    assert frames_of(encoder.encode_fragment("a", fin=True))[0].opcode == TEXT  # nothing was begun


@roles
@pytest.mark.parametrize("bad", ["\ud800", "a\udfffb", "€\udc80"], ids=ascii)
def test_encode_of_a_lone_surrogate(role: Role, bad: str) -> None:
    encoder = Encoder(role)
    for call in (
        lambda: encoder.encode(bad),
        lambda: encoder.encode_many(["good", bad]),
        lambda: encoder.encode_fragment(bad, fin=False),
        lambda: encoder.encode(bad, text=False),
    ):
        with pytest.raises(UnicodeEncodeError):
            call()
    assert frames_of(encoder.encode(b"a"))[0].opcode == BINARY


@roles
@pytest.mark.parametrize(
    ("message", "text", "opcode", "payload"),
    [
        (b"h\xc3\xa9", True, TEXT, b"h\xc3\xa9"),
        (bytearray(b"a"), True, TEXT, b"a"),
        ("é", False, BINARY, b"\xc3\xa9"),
        ("é", True, TEXT, b"\xc3\xa9"),
        (b"\xff", False, BINARY, b"\xff"),
        (b"\xff", None, BINARY, b"\xff"),
        ("a", None, TEXT, b"a"),
    ],
)
def test_encode_text_option(role: Role, message: object, text: bool | None, opcode: int, payload: bytes) -> None:
    (got,) = frames_of(Encoder(role).encode(message, text=text))
    assert (got.fin, got.opcode, got.payload) == (True, opcode, payload)


@pytest.mark.parametrize("bad", [b"\xff", b"\xe2\x82", b"\xed\xa0\x80"], ids=repr)
def test_encode_bytes_as_text_must_be_utf8(bad: bytes) -> None:
    with pytest.raises(ValueError, match=r"^bytes sent as text are not UTF-8$"):
        Encoder(Role.SERVER).encode(bad, text=True)


def test_encode_fragment_golden() -> None:
    encoder = Encoder(Role.SERVER)
    assert encoder.encode_fragment("Hel", fin=False) == bytes.fromhex("01 03 48 65 6c")
    assert encoder.encode_fragment("", fin=False) == bytes.fromhex("00 00")
    assert encoder.encode_fragment("lo", fin=True) == bytes.fromhex("80 02 6c 6f")
    assert encoder.encode_fragment(b"a", fin=False) == bytes.fromhex("02 01 61")
    assert encoder.encode_fragment(bytearray(), fin=True) == bytes.fromhex("80 00")
    assert encoder.encode_fragment("x", fin=True) == bytes.fromhex("81 01 78")


def test_encode_fragment_of_the_other_kind() -> None:
    encoder = Encoder(Role.SERVER)
    encoder.encode_fragment("a", fin=False)
    with pytest.raises(TypeError, match=r"^a text message can't go on with 'bytes'$"):
        encoder.encode_fragment(b"b", fin=True)
    assert encoder.encode_fragment("b", fin=True) == b"\x80\x01b"
    encoder.encode_fragment(b"a", fin=False)
    with pytest.raises(TypeError, match=r"^a binary message can't go on with 'str'$"):
        encoder.encode_fragment("b", fin=True)


@roles
def test_encode_within_a_fragmented_message(role: Role) -> None:
    encoder = Encoder(role)
    encoder.encode_fragment("a", fin=False)
    for call in (lambda: encoder.encode("b"), lambda: encoder.encode_many(["b"]), lambda: encoder.encode_many([])):
        with pytest.raises(ConcurrencyError, match=r"^another message is being sent$"):
            call()
    for wire, opcode in ((encoder.ping(), PING), (encoder.pong(b"a"), PONG), (encoder.close(), CLOSE)):
        assert frames_of(wire)[0].opcode == opcode
    assert frames_of(encoder.encode_fragment("c", fin=True))[0].opcode == CONT
    assert frames_of(encoder.encode("b"))[0].opcode == TEXT


def test_encode_control_golden() -> None:
    encoder = Encoder(Role.SERVER)
    assert encoder.ping() == bytes.fromhex("89 00")
    assert encoder.ping(b"Hello") == bytes.fromhex("89 05 48 65 6c 6c 6f")
    assert encoder.pong(bytearray(b"Hello")) == bytes.fromhex("8a 05 48 65 6c 6c 6f")
    assert encoder.ping(memoryview(bytes(125))) == b"\x89\x7d" + bytes(125)
    assert encoder.close() == bytes.fromhex("88 02 03 e8")
    assert encoder.close(None) == bytes.fromhex("88 00")
    assert encoder.close(4999, "é") == bytes.fromhex("88 04 13 87 c3 a9")


def test_encode_control_of_a_client_is_masked() -> None:
    encoder = Encoder(Role.CLIENT)
    got = [frames_of(wire)[0] for wire in (encoder.ping(b"a"), encoder.pong(b"b"), encoder.close(1001, "c"))]
    assert [(f.opcode, f.payload) for f in got] == [(PING, b"a"), (PONG, b"b"), (CLOSE, b"\x03\xe9c")]
    assert None not in {f.key for f in got}


@pytest.mark.parametrize("method", ["ping", "pong"])
def test_encode_control_too_long_or_of_another_type(method: str) -> None:
    send = getattr(Encoder(Role.CLIENT), method)
    with pytest.raises(ValueError, match="125 bytes"):
        send(bytes(126))
    for bad in ("text", 5, None, memoryview(b"abcd")[::2]):
        with pytest.raises(TypeError, match=r"^a C-contiguous bytes-like object is required, not "):
            send(bad)


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, -1, 1 << 16])
def test_encode_close_code_refused(code: int) -> None:
    with pytest.raises(ValueError, match=f"^the close code {code} may not be sent$"):
        Encoder(Role.SERVER).close(code)


@pytest.mark.parametrize("code", [*range(1000, 1004), *range(1007, 1015), 3000, 4999])
def test_encode_close_code_allowed(code: int) -> None:
    assert Encoder(Role.SERVER).close(code) == b"\x88\x02" + close_payload(code)


@pytest.mark.parametrize(
    ("code", "reason", "error"),
    [
        (None, "why", ValueError),
        (1000, "\ud800", ValueError),
        (1000, b"bytes", TypeError),
        (1000, None, TypeError),
        (None, b"", TypeError),
        ("1000", "", TypeError),
        (1000.0, "", TypeError),
    ],
    ids=title,
)
def test_encode_close_wrong_arguments(code: object, reason: object, error: type) -> None:
    with pytest.raises(error):
        Encoder(Role.SERVER).close(code, reason)


@pytest.mark.parametrize(
    ("reason", "kept"),
    [
        ("a" * 123, "a" * 123),
        ("a" * 124, "a" * 123),
        ("a" * 1000, "a" * 123),
        ("a" * 122 + "é", "a" * 122),
        ("a" * 121 + "é", "a" * 121 + "é"),
        ("a" * 121 + "éb", "a" * 121 + "é"),
        ("a" * 121 + "€", "a" * 121),
        ("a" * 120 + "€", "a" * 120 + "€"),
        ("a" * 120 + "😀", "a" * 120),
        ("a" * 119 + "😀😀", "a" * 119 + "😀"),
        ("😀" * 31, "😀" * 30),
        ("€" * 41, "€" * 41),
        ("€" * 42, "€" * 41),
    ],
    ids=range(13),
)
def test_encode_close_reason_is_cut_between_characters(reason: str, kept: str) -> None:
    assert Encoder(Role.SERVER).close(1000, reason) == frame(CLOSE, close_payload(1000, kept.encode()))


def test_encode_keeps_no_reference() -> None:
    encoder = Encoder(Role.CLIENT)
    data = bytearray(b"abc")
    encoder.encode(data), encoder.encode_many([data, data]), encoder.ping(data), encoder.encode_fragment(data, fin=True)
    with pytest.raises(TypeError):
        encoder.encode_many([data, None])
    encoder.encode(data, text=True)
    data.extend(b"more")


@pytest.mark.parametrize(("message", "text"), [("hällo", None), (b"\0", None), (b"ok", True), ("ok", False)])
def test_prepared_message_is_the_same_frame(message: str | bytes, text: bool | None) -> None:
    prepared = wscodec.PreparedMessage(message, text=text)
    frame = Encoder(Role.SERVER).encode(message, text=text)
    assert Encoder(Role.SERVER).encode(prepared) is prepared.frame
    assert prepared.frame == frame
    masked = {Encoder(Role.CLIENT).encode(prepared) for _ in range(20)}
    assert len(masked) > 1
    (plain,) = frames_of(frame)
    for data in masked:
        (raw,) = frames_of(data)
        assert raw.key is not None
        assert (raw.opcode, raw.payload) == (plain.opcode, plain.payload)


def test_prepared_message_keeps_what_it_was_given() -> None:
    data = bytearray(b"abc")
    prepared = wscodec.PreparedMessage(data)
    data[:] = b"xyz"
    assert Encoder(Role.SERVER).encode(prepared) == b"\x82\x03abc"
    assert wscodec.Decoder(Role.SERVER).feed(Encoder(Role.CLIENT).encode(prepared)) == [b"abc"]


def test_prepared_message_refuses() -> None:
    for bad, text, error in ((3, None, TypeError), ("\ud800", None, ValueError), (b"\xff", True, ValueError)):
        with pytest.raises(error):
            wscodec.PreparedMessage(bad, text=text)
    encoder = Encoder(Role.SERVER)
    encoder.encode_fragment("a", fin=False)
    with pytest.raises(ConcurrencyError):
        encoder.encode(wscodec.PreparedMessage("b"))
