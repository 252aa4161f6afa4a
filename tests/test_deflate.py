"""permessage-deflate: its settings, and what the two sides agree on (RFC 7692 §5, §7.1)."""

from __future__ import annotations

import dataclasses
import itertools
import sys
import types
import zlib
from typing import Any

import pytest
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory
from wsproto.extensions import PerMessageDeflate as WsprotoDeflate

from wscodec.compression import Deflater, FreshInflater, Inflater, SharedDeflater, default_engine
from wscodec.deflate import AgreedDeflate, DeflateParameters, PerMessageDeflate
from wscodec.errors import BadExtensions
from wscodec.extensions import Extension, format_extensions, parse_extensions
from wscodec.spec import Role

NAME = "permessage-deflate"


def terms(text: str) -> str:
    """Write a value for a test's table: "pmd" stands for the extension's name, "s" and "c" for the two sides."""
    words = {
        "pmd": NAME,
        "s_nct": "server_no_context_takeover",
        "c_nct": "client_no_context_takeover",
        "s_bits": "server_max_window_bits",
        "c_bits": "client_max_window_bits",
    }
    for short, word in words.items():
        text = text.replace(short, word)
    return text


def settings(**changes: Any) -> PerMessageDeflate:
    """Return settings that ask for nothing, but for `changes` with the short names of `terms`."""
    plain: dict[str, Any] = {"server_max_window_bits": 15, "client_max_window_bits": 15, "engine": zlib}
    return PerMessageDeflate(**(plain | {terms(name): value for name, value in changes.items()}))


def agreed(s_nct: bool = False, c_nct: bool = False, s_bits: int = 15, c_bits: int = 15) -> DeflateParameters:
    return DeflateParameters(
        server_no_context_takeover=s_nct,
        client_no_context_takeover=c_nct,
        server_max_window_bits=s_bits,
        client_max_window_bits=c_bits,
    )


# ------------------------------------------------------------------------------------------------- the server's side

# What a server that asks for nothing answers.
ACCEPTED = [
    ("pmd", "pmd", {}),
    ("pmd; s_nct", "pmd; s_nct", {"s_nct": True}),
    ("pmd; c_nct", "pmd; c_nct", {"c_nct": True}),
    ("pmd; s_nct; c_nct", "pmd; s_nct; c_nct", {"s_nct": True, "c_nct": True}),
    ("pmd; c_bits", "pmd", {}),
    *((f"pmd; s_bits={bits}", f"pmd; s_bits={bits}", {"s_bits": bits}) for bits in range(9, 16)),
    # A window of 8 bits is what the client deflates in, and we inflate.
    *((f"pmd; c_bits={bits}", f"pmd; c_bits={bits}", {"c_bits": bits}) for bits in range(8, 16)),
    (
        "pmd; c_bits=9; c_nct; s_bits=10; s_nct",
        "pmd; s_nct; c_nct; s_bits=10; c_bits=9",
        {"s_nct": True, "c_nct": True, "s_bits": 10, "c_bits": 9},
    ),
    # What browsers send.
    ("pmd; c_bits", "pmd", {}),
    ("pmd;c_bits, x-webkit-deflate-frame", "pmd", {}),
    # Quoted values.
    ('pmd; s_bits="10"', "pmd; s_bits=10", {"s_bits": 10}),
    ('pmd; c_bits="1\\2"', "pmd; c_bits=12", {"c_bits": 12}),
    # Several offers: the first that can be accepted, in the client's order.
    ("pmd; s_bits=10, pmd", "pmd; s_bits=10", {"s_bits": 10}),
    ("pmd, pmd; s_bits=10", "pmd", {}),
    ("pmd; s_bits=8, pmd; s_bits=9, pmd", "pmd; s_bits=9", {"s_bits": 9}),
    ("pmd; unknown, pmd; s_nct", "pmd; s_nct", {"s_nct": True}),
    ("pmd; c_bits=7, pmd; c_bits=16, pmd; s_nct; s_nct, other, pmd; c_bits", "pmd", {}),
    ("other; a=1, pmd", "pmd", {}),
    ("x, y; server_no_context_takeover, pmd", "pmd", {}),
]
# RFC 7692 §7.1: the server declines, and the connection is made without the extension.
DECLINED = [
    "",
    "other",
    "Permessage-Deflate",
    "pmd2",
    "permessage-bzip2; s_nct",
    # zlib does not deflate in a window of 8 bits.
    "pmd; s_bits=8",
    'pmd; s_bits="8"',
    # A parameter that the offer must not have.
    "pmd; unknown",
    "pmd; unknown=1; c_bits",
    "pmd; S_nct",
    "pmd; constructor",
    # The same parameter twice.
    "pmd; s_nct; s_nct",
    "pmd; c_nct; c_nct",
    "pmd; s_bits=10; s_bits=10",
    "pmd; c_bits; c_bits=10",
    "pmd; c_bits; c_bits",
    # A value where there is none, and none where there is one.
    "pmd; s_nct=1",
    "pmd; s_nct=true",
    'pmd; c_nct="x"',
    "pmd; s_bits",
    # Values that are not 8 to 15; those with which `int` would be content.
    *(
        f"pmd; {name}={value}"
        for name in ("s_bits", "c_bits")
        for value in ("0", "7", "16", "-9", "+12", "08", "012", "1_0", "1e1", "10.0", "0xA", "1000", "x", "99999999999")
    ),
    # All of several.
    "pmd; s_bits=8, pmd; unknown, other",
]


@pytest.mark.parametrize(("offer", "answer", "meaning"), ACCEPTED)
def test_accept_table(offer: str, answer: str, meaning: dict[str, Any]) -> None:
    accepted = settings().accept(parse_extensions([terms(offer)]))
    assert accepted is not None
    assert format_extensions([accepted[0]]) == terms(answer)
    assert accepted[1] == agreed(**meaning)


@pytest.mark.parametrize("offer", DECLINED)
def test_accept_table_of_the_declined(offer: str) -> None:
    assert settings().accept(parse_extensions([terms(offer)])) is None


@pytest.mark.parametrize(
    "digits", ["1\N{SUPERSCRIPT TWO}", "\N{ARABIC-INDIC DIGIT NINE}", "9 ", " 9", "1２", "9\n", ""]
)
def test_accept_digits_are_ascii(digits: str) -> None:
    """A parser elsewhere may let through what ours does not, such as a byte B2, which `int` and `isdigit` differ on."""
    for name in ("server_max_window_bits", "client_max_window_bits"):
        assert settings().accept([Extension(NAME, ((name, digits),))]) is None


@pytest.mark.parametrize(
    ("own", "offer", "answer", "meaning"),
    [
        # What a server wants it may say where the client said nothing of it ...
        ({"s_nct": True}, "pmd", "pmd; s_nct", {"s_nct": True}),
        ({"c_nct": True}, "pmd", "pmd; c_nct", {"c_nct": True}),
        ({"s_bits": 12}, "pmd", "pmd; s_bits=12", {"s_bits": 12}),
        # ... but for this one (§7.1.2.2): the client would fail the connection.
        ({"c_bits": 12}, "pmd", "pmd", {"c_bits": 15}),
        ({"c_bits": 12}, "pmd; s_nct", "pmd; s_nct", {"s_nct": True}),
        ({"c_bits": 12}, "pmd; c_bits", "pmd; c_bits=12", {"c_bits": 12}),
        # The smaller window of the two.
        ({"s_bits": 12}, "pmd; s_bits=15", "pmd; s_bits=12", {"s_bits": 12}),
        ({"s_bits": 12}, "pmd; s_bits=9", "pmd; s_bits=9", {"s_bits": 9}),
        ({"c_bits": 12}, "pmd; c_bits=15", "pmd; c_bits=12", {"c_bits": 12}),
        ({"c_bits": 12}, "pmd; c_bits=8", "pmd; c_bits=8", {"c_bits": 8}),
        # Both want the same.
        ({"s_nct": True, "c_nct": True}, "pmd; c_nct; s_nct", "pmd; s_nct; c_nct", {"s_nct": True, "c_nct": True}),
        # The default of a server.
        ({"s_bits": None}, "pmd", "pmd; s_bits=12", {"s_bits": 12}),
        ({"s_bits": None}, "pmd; s_bits=10", "pmd; s_bits=10", {"s_bits": 10}),
    ],
)
def test_accept_own_wishes(own: dict[str, Any], offer: str, answer: str, meaning: dict[str, Any]) -> None:
    accepted = settings(**own).accept(parse_extensions([terms(offer)]))
    assert accepted is not None
    assert format_extensions([accepted[0]]) == terms(answer)
    assert accepted[1] == agreed(**meaning)


# ------------------------------------------------------------------------------------------------- the client's side


@pytest.mark.parametrize(
    ("own", "offer"),
    [
        ({"s_bits": None}, "pmd; c_bits"),
        ({"s_bits": None, "c_bits": 12}, "pmd; c_bits=12"),
        ({}, "pmd; s_bits=15; c_bits"),
        ({"s_bits": 9, "c_bits": 9}, "pmd; s_bits=9; c_bits=9"),
        ({"s_bits": None, "s_nct": True}, "pmd; s_nct; c_bits"),
        ({"s_bits": None, "c_nct": True}, "pmd; c_nct; c_bits"),
        (
            {"s_nct": True, "c_nct": True, "s_bits": 10, "c_bits": 11},
            "pmd; s_nct; c_nct; s_bits=10; c_bits=11",
        ),
    ],
)
def test_offer(own: dict[str, Any], offer: str) -> None:
    assert format_extensions([settings(**own).offer()]) == terms(offer)


def test_offer_by_default_is_one_that_every_server_knows() -> None:
    """Servers that know nothing of server_max_window_bits accept it, and the client must then fail."""
    assert format_extensions([PerMessageDeflate().offer()]) == terms("pmd; c_bits=12")


@pytest.mark.parametrize(
    ("own", "answer", "meaning"),
    [
        ({}, "pmd", {}),
        ({}, "pmd; s_nct", {"s_nct": True}),
        ({}, "pmd; c_nct", {"c_nct": True}),
        ({}, "pmd; s_nct; c_nct", {"s_nct": True, "c_nct": True}),
        # A window of 8 bits is what the server deflates in, and we inflate.
        *(({}, f"pmd; s_bits={bits}", {"s_bits": bits}) for bits in range(8, 16)),
        *(({}, f"pmd; c_bits={bits}", {"c_bits": bits}) for bits in range(9, 16)),
        ({}, 'pmd; c_bits="9"; s_bits="\\9"', {"s_bits": 9, "c_bits": 9}),
        # What a client wants of itself it does, whatever the server says.
        ({"c_nct": True}, "pmd", {"c_nct": True}),
        ({"c_nct": True}, "pmd; c_nct", {"c_nct": True}),
        ({"c_bits": 10}, "pmd", {"c_bits": 10}),
        ({"c_bits": 10}, "pmd; c_bits=9", {"c_bits": 9}),
        ({"c_bits": 10}, "pmd; c_bits=15", {"c_bits": 10}),
        # What it wants of the server it got.
        ({"s_nct": True}, "pmd; s_nct", {"s_nct": True}),
        ({"s_bits": 10}, "pmd; s_bits=10", {"s_bits": 10}),
        ({"s_bits": 10}, "pmd; s_bits=8", {"s_bits": 8}),
        # The default of a client.
        ({"s_bits": None}, "pmd", {}),
        ({"s_bits": None}, "pmd; s_bits=15", {}),
        ({"s_bits": None}, "pmd; s_bits=12", {"s_bits": 12}),
    ],
)
def test_agree_table(own: dict[str, Any], answer: str, meaning: dict[str, Any]) -> None:
    assert settings(**own).agree(parse_extensions([terms(answer)])) == agreed(**meaning)


def test_agree_none() -> None:
    assert settings().agree([]) is None


@pytest.mark.parametrize(
    ("own", "answer", "why"),
    [
        # An extension that was not offered, the same one twice (RFC 6455 §4.1, RFC 7692 §7.1).
        ({}, "other", "not offered: other"),
        ({}, "pmd, other", "not offered: other"),
        ({}, "Permessage-Deflate", "not offered"),
        ({}, "pmd, pmd", "twice"),
        # Parameters.
        ({}, "pmd; unknown", "no parameter"),
        ({}, "pmd; s_nct; s_nct", "twice"),
        ({}, "pmd; c_bits=10; c_bits=11", "twice"),
        ({}, "pmd; s_nct=1", "has no value"),
        ({}, "pmd; c_nct=c_nct", "has no value"),
        ({}, "pmd; s_bits", "has no value"),
        ({}, "pmd; c_bits", "has no value"),
        *(
            ({}, f"pmd; {name}={value}", "8 to 15")
            for name in ("s_bits", "c_bits")
            # CVE-2026-2229: digits, and out of range.
            for value in ("1000", "0", "7", "16", "08", "1_0", "+9", "nine")
        ),
        # websockets 410, bun 38632: zlib does not deflate in a window of 8 bits. Now is the time to say so.
        ({}, "pmd; c_bits=8", "9 bits and more"),
        ({"c_bits": 9}, "pmd; c_bits=8", "9 bits and more"),
        # What was asked for is not there.
        ({"s_nct": True}, "pmd", "was asked for"),
        ({"s_bits": 10}, "pmd", "larger than"),
        ({"s_bits": 10}, "pmd; s_bits=11", "larger than"),
    ],
)
def test_agree_refused(own: dict[str, Any], answer: str, why: str) -> None:
    with pytest.raises(BadExtensions, match=why) as caught:
        settings(**own).agree(parse_extensions([terms(answer)]))
    assert caught.value.status == 101


# ---------------------------------------------------------------------------------------------------- both sides

WISHES = [
    settings(s_nct=s_nct, c_nct=c_nct, s_bits=s_bits, c_bits=c_bits)
    for s_nct, c_nct, s_bits, c_bits in itertools.product((False, True), (False, True), (None, 9, 15), (9, 15))
]


def test_both_sides_agree_whatever_they_want() -> None:
    for client, server in itertools.product(WISHES, WISHES):
        accepted = server.accept([client.offer()])
        assert accepted is not None
        answer, theirs = accepted
        ours = client.agree([answer])
        assert ours == theirs
        assert theirs.server_no_context_takeover == (
            client.server_no_context_takeover or server.server_no_context_takeover
        )
        assert theirs.client_max_window_bits == min(client.client_max_window_bits, server.client_max_window_bits)


def test_both_sides_talk_as_agreed() -> None:
    message = b"what was said is said again " * 30
    for client, server in itertools.product(WISHES[::5], WISHES):
        accepted = server.accept([client.offer()])
        assert accepted is not None
        _, parameters = accepted
        for own, role, other, peer in (
            (client, Role.CLIENT, server, Role.SERVER),
            (server, Role.SERVER, client, Role.CLIENT),
        ):
            deflater, inflater = own.deflater(role, parameters), other.inflater(peer, parameters)
            for _ in range(3):
                payload = deflater.deflate(message)
                assert payload is not None
                assert inflater.inflate(payload, len(message), fin=True) == message


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("server", [False, True])
@pytest.mark.parametrize("client", [False, True])
def test_halves_are_of_the_side_that_they_work_for(role: Role, server: bool, client: bool) -> None:
    parameters = agreed(server, client, 10, 11)
    own, other = (server, client) if role is Role.SERVER else (client, server)
    wanted = settings()
    deflater, inflater = wanted.deflater(role, parameters), wanted.inflater(role, parameters)
    assert type(deflater) is (SharedDeflater if own else Deflater)
    assert type(inflater) is (FreshInflater if other else Inflater)
    assert (deflater.setting.window_bits, inflater._window_bits) == ((10, 11) if role is Role.SERVER else (11, 10))


def test_halves_need_a_role() -> None:
    for make in (settings().deflater, settings().inflater):
        with pytest.raises(TypeError):
            make("server", agreed())  # type: ignore[arg-type]


def test_threshold_and_engine_are_handed_on() -> None:
    deflater = settings(threshold=100, level=1, mem_level=3).deflater(Role.SERVER, agreed())
    assert deflater.deflate(b"a" * 99) is None
    assert deflater.deflate(b"a" * 100) is not None
    assert deflater.setting == (zlib, 15, 1, 3)
    assert PerMessageDeflate().deflater(Role.SERVER, agreed()).setting.engine is default_engine()


# ----------------------------------------------------------------------------------------------------- the settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, value) for name in ("s_bits", "c_bits") for value in (-1, 0, 7, 8, 16)),
        *(("level", value) for value in (-1, 10)),
        *(("mem_level", value) for value in (0, 10)),
        ("threshold", -1),
        ("background_size", -1),
    ],
)
def test_settings_out_of_range(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=terms(name)):
        settings(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            (name, value)
            for name in ("s_bits", "c_bits", "level", "mem_level", "threshold", "background_size")
            for value in (True, "9", 9.0)
        ),
        ("c_bits", None),
        *((name, value) for name in ("s_nct", "c_nct") for value in (0, 1, None, "no")),
        ("engine", "zlib"),
        ("engine", types),
    ],
)
def test_settings_of_the_wrong_type(name: str, value: object) -> None:
    with pytest.raises(TypeError):
        settings(**{name: value})


def test_settings_that_the_engine_refuses() -> None:
    """isal has levels 0 to 3."""

    def compressobj(level: int, *others: int) -> object:
        if level > 3:
            raise ValueError("Invalid initialization option")
        return zlib.compressobj(level, *others)

    engine: Any = types.ModuleType("isal")
    vars(engine).update(DEFLATED=8, compressobj=compressobj)
    assert settings(engine=engine, level=3).level == 3
    with pytest.raises(ValueError, match="level 4: Invalid initialization option"):
        settings(engine=engine, level=4)


def test_size_from_which_on_a_thread_deflates() -> None:
    for wanted, size in (
        (PerMessageDeflate(), 128 << 10),
        (settings(background_size=None), sys.maxsize),
        (settings(background_size=1000), 1000),
        (settings(background_size=0), 128),  # what is below the threshold is not deflated at all
        (settings(background_size=None, threshold=500), sys.maxsize),
    ):
        assert AgreedDeflate(wanted, agreed()).background_size == size


def test_settings_can_be_compared_and_not_changed() -> None:
    assert settings(level=1) == settings(level=1) != settings(level=2)
    assert len({settings(), settings(), settings(level=1)}) == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings().level = 1  # type: ignore[misc]


# ------------------------------------------------------------------------------------------------------- with others


@pytest.mark.parametrize("ours", WISHES)
@pytest.mark.parametrize("bits", [(None, None), (12, 12), (9, 15)])
@pytest.mark.parametrize("takeover", [(False, False), (True, False), (False, True)])
def test_our_client_agrees_with_a_websockets_server(
    ours: PerMessageDeflate, bits: tuple[int | None, int | None], takeover: tuple[bool, bool]
) -> None:
    theirs = ServerPerMessageDeflateFactory(*takeover, *bits)
    answer, extension = theirs.process_request_params(list(ours.offer().parameters), [])
    agreement = ours.agree([Extension(NAME, tuple(answer))])
    assert agreement is not None
    assert agreement.server_max_window_bits == extension.local_max_window_bits
    assert agreement.client_max_window_bits == extension.remote_max_window_bits
    assert agreement.server_no_context_takeover == extension.local_no_context_takeover
    # A client that asked for it does so, whether the server says it again or not.
    assert agreement.client_no_context_takeover >= extension.remote_no_context_takeover


@pytest.mark.parametrize("ours", WISHES)
@pytest.mark.parametrize("bits", [(None, None), (None, True), (12, 12), (9, 15)])
@pytest.mark.parametrize("takeover", [(False, False), (True, False), (False, True)])
def test_our_server_agrees_with_a_websockets_client(
    ours: PerMessageDeflate, bits: tuple[int | None, int | bool | None], takeover: tuple[bool, bool]
) -> None:
    theirs = ClientPerMessageDeflateFactory(*takeover, *bits)
    accepted = ours.accept([Extension(NAME, tuple(theirs.get_request_params()))])
    assert accepted is not None
    answer, agreement = accepted
    extension = theirs.process_response_params(list(answer.parameters), [])
    assert agreement.server_max_window_bits == extension.remote_max_window_bits
    assert agreement.client_max_window_bits == extension.local_max_window_bits
    assert agreement.server_no_context_takeover == extension.remote_no_context_takeover
    assert agreement.client_no_context_takeover == extension.local_no_context_takeover


@pytest.mark.parametrize("ours", WISHES)
def test_we_agree_with_wsproto(ours: PerMessageDeflate) -> None:
    server = WsprotoDeflate()
    answer = server.accept(format_extensions([ours.offer()]))
    assert isinstance(answer, str)
    agreement = ours.agree(parse_extensions([f"{NAME}; {answer}" if answer else NAME]))
    assert agreement is not None
    assert agreement.server_max_window_bits == server.server_max_window_bits

    client = WsprotoDeflate()
    offered = client.offer()
    accepted = ours.accept(parse_extensions([f"{NAME}; {offered}" if isinstance(offered, str) and offered else NAME]))
    assert accepted is not None
    client.finalize(format_extensions([accepted[0]]))
    assert client.client_max_window_bits == accepted[1].client_max_window_bits
