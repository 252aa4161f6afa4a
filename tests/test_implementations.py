"""The tests' own switch between implementations: the copy of the package that they see is the one that they name."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Iterator
from types import BuiltinFunctionType, FunctionType, ModuleType

import copies
import pytest
from helpers import decode
from implementations import COMPILED, IMPLEMENTATIONS, PURE, TWIN_NAMES, Implementation, using

import wscodec
from wscodec import Connection, Decoder, Encoder, FrameDecoder, ProtocolError, Role, encode
from wscodec import messages as messages_module

# -------------------------------------------------------------------------------------------- the two copies


@pytest.mark.usefixtures("compiled")
def test_copies_differ_above_floor_1_and_share_the_rest() -> None:
    compiled, pure = copies.copies()["compiled"], copies.copies()["pure"]
    assert compiled.keys() == pure.keys()
    assert pure.keys() > {"wscodec", "wscodec._backend", "wscodec.messages", "wscodec.asyncio.server"}
    assert not {"wscodec.spec", "wscodec.errors", "wscodec._pure.mask", "wscodec._mask"} & pure.keys()
    assert all(compiled[name] is not pure[name] for name in pure)
    for name in ("Decoder", "Encoder", "Connection", "FrameDecoder", "ServerHandshake", "apply_mask", "backend"):
        assert getattr(compiled["wscodec"], name) is not getattr(pure["wscodec"], name)
    for name in ("ProtocolError", "Ping", "Close", "Role", "Opcode", "Stats", "errors", "_pure"):
        assert getattr(compiled["wscodec"], name) is getattr(pure["wscodec"], name)


def test_copies_are_whole() -> None:
    for backend, copy in copies.copies().items():
        assert (copy["wscodec"].backend, copy["wscodec._backend"].backend) == (backend, backend)
        for name in ("messages", "connection", "encoder", "keys", "cli", "asyncio"):
            assert getattr(copy["wscodec"], name) is copy[f"wscodec.{name}"]
        assert copy["wscodec.asyncio"].connect is copy["wscodec.asyncio.client"].connect
        assert copy["wscodec.connection"].Decoder is copy["wscodec.messages"].Decoder is copy["wscodec"].Decoder


def test_loading_again_leaves_everything_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    for wanted in (None, "", "pure", "compiled"):
        if wanted is None:
            monkeypatch.delenv("WSCODEC_BACKEND", raising=False)
        else:
            monkeypatch.setenv("WSCODEC_BACKEND", wanted)
        modules, names = dict(sys.modules), dict(vars(wscodec))
        assert copies.load_again(copies.modules())["wscodec"].backend == "pure"
        assert sys.modules == modules
        assert dict(vars(wscodec)) == names
        assert os.environ.get("WSCODEC_BACKEND") == wanted


# ------------------------------------------------------------------------------------- the switch really takes


def test_switch_changes_what_a_test_sees(impl: Implementation) -> None:
    copy = copies.copies()[impl.backend]
    assert wscodec is copy["wscodec"]
    assert wscodec.backend == wscodec._backend.backend == impl.backend
    assert messages_module is copy["wscodec.messages"]
    assert (Decoder, Encoder, Connection, FrameDecoder, encode) == tuple(
        getattr(copy["wscodec"], name) for name in ("Decoder", "Encoder", "Connection", "FrameDecoder", "encode")
    )
    assert vars(sys.modules[decode.__module__])["Decoder"] is Decoder  # in helpers, too
    assert Decoder._feed_by_rules.__globals__ is vars(messages_module)
    assert messages_module.take_messages is impl.twin("take_messages")


def test_switch_changes_what_a_test_imports(impl: Implementation) -> None:
    import wscodec.asyncio
    from wscodec.connection import Connection as Imported

    copy = copies.copies()[impl.backend]
    assert wscodec is copy["wscodec"]
    assert wscodec.asyncio is importlib.import_module("wscodec.asyncio") is copy["wscodec.asyncio"]
    assert Imported is Connection


def test_switch_takes_everywhere(impl: Implementation) -> None:
    seen, users = set(), set()
    for module in copies.loaded().values():
        for name in set(TWIN_NAMES) & vars(module).keys():
            assert getattr(module, name) is impl.twin(name), (module.__name__, name)
            seen.add(name)
            users.add(module.__name__)
    assert seen == set(TWIN_NAMES)
    assert users >= {"wscodec", "wscodec._backend", "wscodec.frames", "wscodec.messages", "wscodec.control"}


def test_switch_forces_the_kernel(impl: Implementation, monkeypatch: pytest.MonkeyPatch) -> None:
    if impl.kernel is None:
        assert wscodec.apply_mask.__module__ == "wscodec._pure.mask"
        return
    asked: list[str] = []
    monkeypatch.setattr(wscodec, "use_kernel", asked.append)
    with using(impl):
        assert asked == [impl.kernel]
    assert asked == [impl.kernel, wscodec.kernels()[0]]


def test_switch_is_undone() -> None:
    before = dict(globals()), dict(sys.modules)
    for implementation in IMPLEMENTATIONS:
        with using(implementation):
            pass
        assert (globals(), sys.modules) == before
    with pytest.raises(KeyError), using(PURE):
        raise KeyError
    assert (globals(), sys.modules) == before


def test_switch_within_another(impl: Implementation) -> None:
    before = Decoder
    for inner in IMPLEMENTATIONS:
        with using(inner):
            assert wscodec.backend == inner.backend
            assert (Decoder is before) is (inner.backend == impl.backend)
        assert Decoder is before is wscodec.Decoder
        assert wscodec.backend == impl.backend


def test_errors_and_events_of_the_copies_are_the_same_classes() -> None:
    seen = []
    for implementation in IMPLEMENTATIONS:
        with using(implementation), pytest.raises(ProtocolError) as caught:
            Decoder(Role.CLIENT).feed(b"\x89\x00\x83\x00")
        seen.append((type(caught.value), caught.value.reason, caught.value.events))
    assert seen == seen[:1] * len(IMPLEMENTATIONS)


def test_implementations_are_all_there() -> None:
    assert [implementation.kernel for implementation in COMPILED] == list(wscodec.kernels() if COMPILED else ())
    assert len({id(implementation.twin("apply_mask")) for implementation in IMPLEMENTATIONS}) == 1 + bool(COMPILED)


# ------------------------------------------------------------------------------ no test holds on to a copy


def held(root: object, seen: set[int], tests: set[str]) -> Iterator[object]:
    """Yield what can be reached from an object without going through a module, or through code that is not a test's.

    So it follows tables, closures, default arguments and the parameters of tests. What has been `seen`, by identity, is
    left out; `tests` are the names of the tests' modules.
    """
    left = [root]
    while left:
        value = left.pop()
        if id(value) not in seen:
            seen.add(id(value))
            yield value
            left += parts(value, tests)


def parts(value: object, tests: set[str]) -> list[object]:
    """Return what an object refers to; nothing for what is not a test's."""
    if isinstance(value, ModuleType | BuiltinFunctionType):
        return []
    if isinstance(value, type | FunctionType) and value.__module__ not in tests:
        return []
    if isinstance(value, FunctionType):  # all but its globals, which are looked at by themselves
        return [value.__defaults__, value.__kwdefaults__, value.__closure__, vars(value)]
    return gc.get_referents(value)


def switched_modules(items: list[pytest.Function]) -> list[ModuleType]:
    """Return the test modules that run on more than the first copy, and all helpers."""
    switched = {item.module for item in items if "impl" in item.fixturenames}
    return [
        module
        for module in copies.modules_of_tests()
        if module is not copies
        and (not module.__name__.startswith("test_") or module in switched or "using" in vars(module))
    ]


def made_by(copy: copies.Copy) -> dict[int, object]:
    """Return the modules of a copy, and the classes and functions that they define, by identity."""
    found = {id(module): module for module in copy.values()}
    for module in copy.values():
        found |= {id(value): value for value in vars(module).values() if getattr(value, "__module__", None) in copy}
    return found


def stale_names(modules: list[ModuleType], backend: str) -> list[str]:
    """Return the globals that lead to another copy of the package than that of `backend`."""
    foreign: dict[int, object] = {}
    for name, copy in copies.copies().items():
        foreign |= made_by(copy) if name != backend else {}
    # The code of copies.py knows both copies, and may.
    tests = {module.__name__ for module in copies.modules_of_tests() if module is not copies}
    seen: set[int] = set()
    return [
        f"{module.__name__}.{name}: {foreign[id(value)]}"
        for module in modules
        for name, root in vars(module).items()
        if not name.startswith("__")
        for value in held(root, seen, tests)
        if id(value) in foreign
    ]


# What this finds should look the name up when the test runs: `getattr(wscodec, name)`, or a lambda.
def test_no_test_holds_on_to_the_other_copy(impl: Implementation, request: pytest.FixtureRequest) -> None:
    modules = switched_modules(request.session.items)
    assert sys.modules[__name__] in modules
    assert sys.modules["helpers"] in modules
    stale = stale_names(modules, impl.backend)
    assert not stale, "\n".join(stale)


@pytest.mark.usefixtures("compiled")
def test_what_a_test_holds_on_to_is_found() -> None:
    class Table:
        kinds = (Encoder,)

    def function(default: object = Decoder) -> object:
        return default, closed_over

    closed_over = {"a": [encode]}
    module = ModuleType("module")
    vars(module).update(
        table=Table, function=function, parameter=pytest.mark.parametrize("kind", [pytest.param(Connection)])
    )
    with using(PURE):
        names = [line.partition(" ")[0] for line in stale_names([module], "pure")]
    assert names == ["module.table:", "module.function:", "module.function:", "module.parameter:"]
    assert stale_names([module], "compiled") == []
