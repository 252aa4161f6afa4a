"""The twins are the same from outside: names, signatures, docstrings, errors."""

from __future__ import annotations

import inspect
import re
from types import ModuleType
from typing import Any

import pytest
from buffers import UNREADABLE, UNWRITABLE
from helpers import KEY, title
from implementations import CHOICE, COMPILED, COMPILED_MODULES, PURE, PURE_MODULES

pytestmark = pytest.mark.usefixtures("compiled")

PAIRS = list(zip(PURE_MODULES, COMPILED_MODULES, strict=bool(COMPILED_MODULES)))
MODULES = [pytest.param(*pair, id=pair[0].__name__.rpartition(".")[2]) for pair in PAIRS]
NAMES = [
    pytest.param(getattr(pure, name), getattr(compiled, name), id=f"{pure.__name__.rpartition('.')[2]}.{name}")
    for pure, compiled in PAIRS
    for name in pure.__all__
    if hasattr(compiled, name)
]
CLASSES = [param for param in NAMES if inspect.isclass(param.values[0])]
FUNCTIONS = [param for param in NAMES if not inspect.isclass(param.values[0])]


def public(kind: type) -> dict[str, Any]:
    """Return the public attributes that a class itself defines."""
    return {name: value for name, value in vars(kind).items() if not name.startswith("_")}


@pytest.mark.parametrize(("pure", "compiled"), MODULES)
def test_twins_same_public_names(pure: ModuleType, compiled: ModuleType) -> None:
    assert pure.__all__ == compiled.__all__ == sorted(pure.__all__)
    for module in (pure, compiled):
        assert all(hasattr(module, name) for name in module.__all__)


@pytest.mark.parametrize(("pure", "compiled"), MODULES)
def test_twins_define_what_they_export(pure: ModuleType, compiled: ModuleType) -> None:
    for module in (pure, compiled):
        for name in module.__all__:
            assert getattr(module, name).__module__ == module.__name__


def test_twins_are_not_the_same_objects() -> None:
    for pure, compiled in (param.values for param in NAMES):
        assert pure is not compiled


@pytest.mark.parametrize(("pure", "compiled"), FUNCTIONS)
def test_twins_same_signature(pure: Any, compiled: Any) -> None:
    assert inspect.signature(pure) == inspect.signature(compiled)


@pytest.mark.parametrize(("pure", "compiled"), NAMES)
def test_twins_same_docstring(pure: Any, compiled: Any) -> None:
    assert pure.__doc__
    assert inspect.getdoc(pure) == inspect.getdoc(compiled)


def signature(function: Any) -> inspect.Signature:
    """Return the signature as it is for callers: what an `async def` returns is a coroutine."""
    found = inspect.signature(function)
    if not inspect.iscoroutinefunction(function):
        return found
    return found.replace(return_annotation=f"Coroutine[Any, Any, {found.return_annotation}]")


@pytest.mark.parametrize(("pure", "compiled"), CLASSES)
def test_twins_same_methods(pure: type, compiled: type) -> None:
    assert public(pure).keys() == public(compiled).keys()
    for name, method in public(pure).items():
        twin = public(compiled)[name]
        if inspect.ismemberdescriptor(method):
            assert inspect.isdatadescriptor(twin)
            assert re.search(rf"(?m)^ +{name}: ", pure.__doc__)
            continue
        assert method.__doc__
        assert inspect.getdoc(method) == inspect.getdoc(twin)
        if inspect.isfunction(method):
            assert signature(method) == signature(twin)
        else:
            assert isinstance(method, property)
            assert inspect.isdatadescriptor(twin)


def cases() -> list[Any]:
    """Return every function with arguments that it refuses."""
    found: list[tuple[str, tuple, dict]] = []
    for bad, _ in UNREADABLE.values():
        found += [
            ("apply_mask", (bad, KEY), {}),
            ("apply_mask", (b"a", bad), {}),
            ("apply_mask_inplace", (bytearray(1), bad), {}),
            ("is_valid_utf8", (bad,), {}),
            ("decode_utf8", (bad,), {}),
            ("Utf8Validator.feed", (bad,), {}),
            ("parse_header", (bad,), {}),
            ("take_messages", (bad, 0, False, 100, []), {}),
            ("take_frame", (bad, 0, False, 100), {}),
            ("Payload.take", (bad, 0, 9, KEY, 0), {}),
        ]
        if bad is not None:
            found.append(("build_header", (1, 1), {"masking_key": bad}))
            found.append(("Payload.take", (b"a", 0, 9, bad, 0), {}))
        if not isinstance(bad, str):
            found.append(("pack_messages", (["good", bad], None), {}))
            found.append(("pack_messages", (["good", bad], bytes(8)), {}))
            found.append(("pack_chunks", (["good", bad], 4), {}))
    found += [("apply_mask_inplace", (bad, KEY), {}) for bad, _ in UNWRITABLE.values()]
    for size in (0, 3, 5):
        found += [
            ("apply_mask", (b"a", bytes(size)), {}),
            ("apply_mask_inplace", (bytearray(1), bytes(size)), {}),
            ("build_header", (1, 1), {"masking_key": bytes(size)}),
            ("pack_messages", (["a"], bytes(size)), {}),
            ("Payload.take", (b"a", 0, 9, bytes(size), 0), {}),
        ]
    for number in ("1", None, 1.5, [], object):
        found += [
            ("apply_mask", (b"a", KEY, number), {}),
            ("apply_mask_inplace", (bytearray(1), KEY, number), {}),
            ("parse_header", (b"\x81\x00", number), {}),
            ("build_header", (number, 1), {}),
            ("build_header", (1, number), {}),
        ]
    found += [
        ("apply_mask", ("both", "wrong"), {}),
        ("apply_mask_inplace", (b"both", b"wrong"), {}),
        ("build_header", (16, -1), {"masking_key": b""}),
        ("build_header", (-1, 1), {}),
        ("build_header", (1 << 70, 1), {}),
        ("build_header", (1, -1), {}),
        ("build_header", (1, 1 << 63), {}),
        ("build_header", (1, 1 << 70), {}),
        ("parse_header", (b"", -1), {}),
        ("parse_header", ("both", -1), {}),
        ("take_messages", (b"", -1, False, 100, []), {}),
        ("take_frame", (b"", -1, False, 100), {}),
        ("pack_messages", (["\ud800"], None), {}),
        ("pack_messages", (5, None), {}),
        ("pack_messages", (None, None), {}),
        ("pack_messages", (b"ab", None), {}),
        ("pack_messages", ([], bytes(4)), {}),
        ("pack_chunks", (["\ud800" * 9], 5), {}),
        ("pack_chunks", (5, 5), {}),
        ("pack_chunks", (None, 5), {}),
        ("Payload.take", (b"a", -1, 9, KEY, 0), {}),
        ("Payload.take", ("both", 0, -1, b"", 0), {}),
        ("Payload.take", ("both", 0, 1, b"", 0), {}),
        ("decode_utf8", (b"a\xff",), {}),
        ("decode_utf8", (b"a\xe2\x82",), {}),
        ("decode_utf8", (b"\xed\xa0\x80",), {}),
    ]
    return [pytest.param(*case, id=f"{case[0]}-{title(case[1]):.60}-{title(case[2]):.40}") for case in found]


def raised(implementation: Any, name: str, arguments: tuple, options: dict) -> tuple[type, str]:
    """Return the type and the text of the error."""
    kind, _, method = name.partition(".")
    function = implementation.twin(kind)
    new = {"Utf8Validator": (), "Payload": (True,)}
    with pytest.raises(Exception) as caught:  # noqa: PT011
        (getattr(function(*new[kind]), method) if method else function)(*arguments, **options)
    return type(caught.value), str(caught.value)


@pytest.mark.parametrize(("name", "arguments", "options"), cases())
def test_twins_same_errors(name: str, arguments: tuple, options: dict) -> None:
    kind, text = raised(PURE, name, arguments, options)
    assert issubclass(kind, TypeError | ValueError)
    assert text
    for implementation in COMPILED:
        assert raised(implementation, name, arguments, options) == (kind, text)


def test_twins_same_attribute_errors() -> None:
    for name in ("complete", "other"):
        for implementation in (PURE, *COMPILED):
            with pytest.raises(AttributeError):
                setattr(implementation.twin("Utf8Validator")(), name, True)


def test_twins_tell_their_kernels() -> None:
    for pure, compiled in PAIRS[:2]:
        assert pure.kernels() == ("pure",)
        assert compiled.kernels()[-1] == "portable"
        assert set(CHOICE) <= set(pure.__all__)
