"""A short run of every target on the same cases, what is kept of longer ones, and proof that faults are found."""

from __future__ import annotations

import re
from random import Random

import known_differences
import pytest
from all_targets import TARGETS
from cases import Case, compare, corpus, in_turn, observe_all
from copies import copies
from fuzz_bytes import ByteRandom
from fuzz_targets import Difference
from implementations import COMPILED, PURE
from known_differences import KNOWN, NOT_SENT, Known

from wscodec import InvalidUtf8

# So many that all of this takes some ten seconds; `make fuzz` is for more.
CASES = 100
SLOW = ("channel", "connection", "cuts", "inflating", "talking", "server_handshake", "client_handshake")
SLOW += ("websockets_reading", "wsproto_reading", "websockets_talk", "wsproto_talk")
BEST = (PURE, *COMPILED[:1])


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("target", TARGETS)
def test_the_twins_agree_on_random_input(target: str) -> None:
    compare([Case(target, 1, number) for number in range(CASES // 4 if target in SLOW else CASES)], BEST)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("target", TARGETS)
def test_the_twins_agree_on_what_is_kept(target: str) -> None:
    kept = corpus(target)
    assert kept
    compare(kept, BEST)


@pytest.mark.usefixtures("compiled")
def test_every_kernel_agrees_on_random_input() -> None:
    compare([Case(target, 2, number) for target in TARGETS for number in range(3)])


@pytest.mark.usefixtures("compiled")
def test_every_kernel_has_its_turn() -> None:
    assert {in_turn(bytes([number])) for number in range(100)} == set(COMPILED)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("target", TARGETS)
def test_the_same_seed_gives_the_same_case(target: str) -> None:
    once, again = (list(observe_all(PURE, [Case(target, 5, 7).draw()])) for _ in range(2))
    assert str(once) == str(again)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("data", [b"", bytes(300), b"\xff" * 300], ids=["empty", "zeros", "ones"])
def test_every_target_comes_to_an_end_whatever_the_bytes(target: str, data: bytes) -> None:
    (result,) = observe_all(PURE, [Case(target, data=data).draw()])
    assert not isinstance(result, Difference)


def test_bytes_make_the_choices() -> None:
    rng = ByteRandom(b"\x00\x80\x05\x07abc")
    assert (rng.random(), rng.random(), rng.getrandbits(3), rng.randrange(8)) == (0.0, 0.5, 5, 7)
    assert rng.randbytes(5) == b"abc\0\0"
    assert (rng.random() > 0.99, rng.randrange(10), rng.choice("xyz")) == (True, 0, "x")
    assert isinstance(rng, Random)


def test_the_report_says_how_to_have_a_case_again() -> None:
    assert str(Case("utf8", 1, 2)) == "--target utf8 --seed 1 --case 2"
    assert str(Case("utf8", data=b"\x01\xab")) == "--target utf8 --input 01ab"


@pytest.fixture
def broken_twin(monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiled `build_header` that forgets the FIN bit."""
    broken = COMPILED[0]
    build_header = broken.twin("build_header")

    def twin(implementation: object, name: str) -> object:
        if name == "build_header" and implementation is broken:
            return lambda *args, **kwargs: build_header(*args, **{**kwargs, "fin": False})
        return original(implementation, name)

    original = type(broken).twin
    monkeypatch.setattr(type(broken), "twin", twin)


@pytest.mark.usefixtures("compiled", "broken_twin")
def test_a_difference_is_found_and_can_be_had_again() -> None:
    with pytest.raises(Difference, match=r"--target headers --seed 1 --case \d+") as caught:
        compare([Case("headers", 1, number) for number in range(20)])
    found = re.search(r"--case (\d+)", str(caught.value))
    assert found is not None
    with pytest.raises(Difference):
        compare([Case("headers", 1, int(found[1]))])


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("backend", ["pure", "compiled"])
@pytest.mark.parametrize(
    ("kind", "method", "target"),
    [
        ("Decoder", "feed", "decoder"),
        ("FrameDecoder", "feed", "frames"),
        ("Encoder", "encode", "encoder"),
        ("Connection", "receive", "connection"),
    ],
)
def test_a_difference_between_the_copies_is_found(
    monkeypatch: pytest.MonkeyPatch, kind: str, method: str, target: str, backend: str
) -> None:
    broken = getattr(copies()[backend]["wscodec"], kind)
    monkeypatch.setattr(broken, method, lambda *args, **kwargs: [])
    with pytest.raises(Difference, match=rf"--target {target} --seed 1 --case \d+\npure: .*\ncompiled"):
        compare([Case(target, 1, number) for number in range(20)])


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize(
    ("module", "kind", "method", "target"),
    [
        ("compression", "Deflater", "forget", "talking"),
        ("compression", "Deflater", "_unsay", "talking"),
        ("messages", "", "check_close_payload", "websockets_reading"),
        ("messages", "", "check_close_payload", "wsproto_reading"),
    ],
)
def test_a_fault_of_both_copies_is_found(
    monkeypatch: pytest.MonkeyPatch, module: str, kind: str, method: str, target: str
) -> None:
    for copy in copies().values():
        place = copy[f"wscodec.{module}"]
        monkeypatch.setattr(getattr(place, kind) if kind else place, method, lambda *args, **kwargs: None)
    with pytest.raises(Difference):
        compare([Case(target, 1, number) for number in range(200)], [PURE])


@pytest.mark.parametrize(
    ("module", "kind", "method", "error", "target"),
    [
        ("messages", "Decoder", "_end_control", IndexError, "decoder"),
        ("messages", "Decoder", "_end_control", IndexError, "connection"),
        ("frames", "FrameDecoder", "_feed", TypeError, "frames"),
        ("encoder", "Encoder", "ping", RuntimeError, "encoder"),
        ("connection", "Connection", "ping", RuntimeError, "connection"),
        ("connection", "Connection", "ping", RuntimeError, "talking"),
        ("connection", "Connection", "send_fragment", IndexError, "connection"),
        ("connection", "Connection", "send_fragment", IndexError, "talking"),
        ("connection", "Connection", "eof", ValueError, "connection"),
        ("connection", "Connection", "eof", ValueError, "talking"),
        ("deflate", "PerMessageDeflate", "agree", ValueError, "extensions"),
        ("asyncio.messages", "MessageChannel", "_wait_for_item", IndexError, "channel"),
        ("connection", "Connection", "begin_send", RuntimeError, "channel"),
        # It refuses good text: the others then refuse nothing, or something else.
        ("assembly", "WholeMessage", "_judge", InvalidUtf8, "websockets_reading"),
        ("assembly", "WholeMessage", "_judge", InvalidUtf8, "wsproto_reading"),
    ],
)
def test_an_error_of_both_copies_that_nothing_explains_is_found(
    monkeypatch: pytest.MonkeyPatch, module: str, kind: str, method: str, error: type[Exception], target: str
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise error("a text message is not UTF-8")

    for copy in copies().values():
        monkeypatch.setattr(getattr(copy[f"wscodec.{module}"], kind), method, fail)
    with pytest.raises(Difference, match=f"{error.__name__}|ours .* 'a text message is not UTF-8'"):
        compare([Case(target, 1, number) for number in range(20)], [PURE])


def test_an_error_in_the_event_loop_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise ValueError

    monkeypatch.setattr(copies()["pure"]["wscodec.asyncio.transport"].Channel, "_flush_by_rules", fail)
    results = observe_all(PURE, [Case("channel", 1, number).draw() for number in range(20)])
    assert any("raised in the event loop" in str(result) for result in results)


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: f"{known.peer}-{known.says}")
def test_a_known_difference_has_an_input_that_shows_it(monkeypatch: pytest.MonkeyPatch, known: Known) -> None:
    kept = [case for target in TARGETS if target.startswith(known.peer) for case in corpus(target)]
    shown = [case for case in kept if case.found == known.says]
    assert shown
    monkeypatch.setattr(known_differences, "KNOWN", [other for other in KNOWN if other is not known])
    for case in shown:
        with pytest.raises(Difference):
            compare([case], [PURE])


def test_known_differences_say_what_decides() -> None:
    assert all(re.match(r"RFC \d+ §\d", known.section) and known.says for known in KNOWN)
    assert all(re.match(r"RFC \d+ §\d", section) for _, section, _ in NOT_SENT)
