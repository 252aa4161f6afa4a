"""Every published fault is tried by a test, or it is explained why there is nothing to try."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from published import CLASSES, FAULTS

HERE = Path(__file__).parent
MODULES = sorted(path.stem for path in HERE.glob("test_faults_*.py"))
DOCUMENT = HERE.parents[1] / "docs" / "faults.md"


def _named(marks: Iterable[Any]) -> Iterator[str]:
    """Yield the faults that a test's marks name, and those of its parameters."""
    for mark in marks:
        if mark.name == "fault":
            yield from mark.args
        elif mark.name == "parametrize":
            for parameter in mark.args[1]:
                yield from _named(getattr(parameter, "marks", ()))


def tried_in(module: ModuleType) -> set[str]:
    tests = [value for name, value in vars(module).items() if name.startswith("test_")]
    assert all(isinstance(test, FunctionType) for test in tests)
    return {fault for test in tests for fault in _named(getattr(test, "pytestmark", ()))}


def tried() -> dict[str, set[str]]:
    """Return what is tried, by module."""
    return {name: tried_in(importlib.import_module(name)) for name in MODULES}


def explained() -> dict[str, str]:
    """Return what is explained, by fault."""
    found: dict[str, str] = {}
    for name in MODULES:
        reasons: dict[str, str] = getattr(importlib.import_module(name), "EXPLAINED", {})
        assert not found.keys() & reasons.keys()
        found |= reasons
    return found


def test_there_are_141_in_12_classes() -> None:
    assert len(FAULTS) == 141
    assert {letter for letter, _ in FAULTS.values()} == set(CLASSES)
    assert len(CLASSES) == 12


def test_each_is_tried_or_explained() -> None:
    names = set().union(*tried().values())
    assert names | explained().keys() == FAULTS.keys()
    assert not names & explained().keys()
    assert all(len(reason.split()) >= 5 for reason in explained().values())


def test_the_document_counts_what_is_here() -> None:
    names = set().union(*tried().values())
    rows = [line.split("|")[1:-1] for line in DOCUMENT.read_text("utf-8").splitlines() if line.startswith("| ")]
    table = {row[0].strip(): [cell.strip() for cell in row[1:]] for row in rows}
    for letter, title in CLASSES.items():
        ours = {name for name, (other, _) in FAULTS.items() if other == letter}
        modules = [cell.strip("`") for cell in table[letter][1].split(", ")]
        assert table[letter][0] == title
        assert table[letter][2:] == [str(len(ours)), str(len(ours & names)), str(len(ours - names))]
        # They try all of the class, and none of them is named in vain.
        assert set().union(*(ours & tried()[module] for module in modules)) == ours & names
        assert all(ours & tried()[module] for module in modules)
    assert table["all"][2:] == ["141", str(len(names)), str(141 - len(names))]


def test_the_document_explains_what_is_not_tried() -> None:
    text = DOCUMENT.read_text("utf-8")
    for name, reason in explained().items():
        assert f"- {name}: {reason}.\n" in text
    assert text.count("\n- ") == len(explained())
