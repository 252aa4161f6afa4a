"""The floors of docs/architecture.md: imports go down only, modules stay small."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import wscodec

PACKAGE = Path(wscodec.__file__).parent
ROOF = 7

# Every module of the package has its place here; a folder's name stands for all in it.
FLOORS = {
    **dict.fromkeys(("spec", "errors", "events", "stats", "_typing", "_buffers", "_version"), 0),
    **dict.fromkeys(
        ("_mask", "_utf8", "_frames", "_payload", "_lanes", "_calls", "_inbox", "_channel", "_views", "_pure"), 1
    ),
    "_backend": 2,
    **dict.fromkeys(("keys", "frames", "control", "assembly", "messages", "encoder", "connection"), 3),
    **dict.fromkeys(("uri", "headers", "_http", "_upgrade", "_subprotocols"), 3),
    **dict.fromkeys(("handshake", "_server_handshake", "_client_handshake"), 3),
    **dict.fromkeys(("extensions", "compression", "deflate", "inflating", "deflating"), 3),
    "asyncio": 4,
    "dropin": 5,
    **dict.fromkeys(("cli", "__main__"), 6),
    "": ROOF,
}
MAY_IMPORT = {
    0: {0},
    1: {0, 1},
    2: {0, 1},
    3: {0, 2, 3},
    4: {0, 2, 3, 4},
    5: {0, 2, 3, 4, ROOF},
    6: {0, 2, 3, 4, 5, 6, ROOF},
    ROOF: {0, 2, 3},
}
# What is neither ours, by its name, nor the standard library's.
THIRD_PARTIES = {
    "_http": {"h11"},
    "compression": {"zlib_ng"},
    "cli.loop": {"uvloop"},
    "cli.site.sitecustomize": {"wscodec_finder"},
}
# A drop-in's host: what the names of the module itself, and of its private parts, begin with. The second table has the
# package that it imports, where that has another name.
DROPINS = {"aiohttp", "autobahn", "gevent", "tornado", "uvicorn", "websocket", "websockets", "wsproto"}
HOST_PACKAGES = {"gevent": "geventwebsocket"}
SHARED_BY_DROPINS = {"_aside", "_hosts", "_patching", "_wsaccel"}
IO = {"asyncio", "socket", "ssl", "select", "selectors", "time", "signal", "subprocess"}
MAY_DO_IO = {4, 5, 6}
C_HEADERS = {"stddef.h", "stdint.h", "string.h", "immintrin.h", "arm_neon.h"}

PYTHON = sorted(path for path in PACKAGE.rglob("*.py"))
CYTHON = sorted([*PACKAGE.rglob("*.pyx"), *PACKAGE.rglob("*.pxd")])
KERNELS = sorted((PACKAGE / "_kernels").iterdir())


def relative(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def module_of(path: Path) -> str:
    """Return the dotted name of a source file below the package; the roof's is empty."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def floor_of(module: str) -> int:
    return FLOORS[module.partition(".")[0]]


def files(paths: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", paths, ids=relative)


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def resolve(path: Path, node: ast.ImportFrom) -> str:
    """Return the dotted name that a `from` names: of ours without the package's, of others as it stands."""
    name = node.module or ""
    if node.level == 0:
        return name
    folder = ("wscodec", *path.relative_to(PACKAGE).parts[:-1])
    return ".".join([*folder[: len(folder) - node.level + 1], *([name] if name else [])])


def python_imports(path: Path) -> set[str]:
    """Return the dotted names of all modules that a source imports, in functions and for type checkers too."""
    found = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = resolve(path, node)
            members = {f"{module}.{alias.name}" for alias in node.names}
            submodules = {member for member in members if is_module(member)}
            found |= submodules or {module}
            if submodules != members:
                found.add(module)
    return found - {"__future__"}


def is_module(name: str) -> bool:
    """Whether a dotted name is that of one of our modules."""
    package, _, inner = name.partition(".")
    base = PACKAGE.joinpath(*inner.split("."))
    return package == "wscodec" and any(
        candidate.exists() for candidate in (base.with_suffix(".py"), base.with_suffix(".pyx"), base / "__init__.py")
    )


def cython_imports(path: Path) -> set[str]:
    """The same of a Cython source, by its lines."""
    found = set()
    for line in path.read_text("utf-8").splitlines():
        match = re.match(r"\s*(?:from\s+(\S+)\s+c?import\s|c?import\s+(\S+))", line)
        if match:
            name = match[1] or match[2]
            found.add("wscodec" + name if name.startswith(".") else name)
    return {name for name in found if not re.match(r"(libc\.|cpython\.|cython$|__future__)", name)}


def ours(imports: set[str]) -> set[str]:
    """Return which of our modules are among `imports`, without the package's name."""
    return {name.partition(".")[2] for name in imports if name.partition(".")[0] == "wscodec"}


def others(imports: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in imports} - {"wscodec"}


def imports_of(path: Path) -> set[str]:
    return python_imports(path) if path.suffix == ".py" else cython_imports(path)


# -------------------------------------------------------------------------------------------------- the arrows


@files(PYTHON + CYTHON)
def test_imports_go_down_only(path: Path) -> None:
    floor = floor_of(module_of(path))
    for name in ours(imports_of(path)):
        if floor == floor_of(name) == 5:
            continue  # see the drop-ins' own test
        assert floor_of(name) in MAY_IMPORT[floor], f"{relative(path)} (floor {floor}) imports {name or 'the roof'}"


@files(PYTHON + CYTHON)
def test_third_parties_have_one_place_each(path: Path) -> None:
    module = module_of(path)
    foreign = others(imports_of(path)) - sys.stdlib_module_names
    if floor_of(module) == 5:
        host = host_of(module)
        assert foreign <= {HOST_PACKAGES.get(host, host)} - {""}
    else:
        assert foreign <= THIRD_PARTIES.get(module, set())


def host_of(module: str) -> str:
    """Return the host of a drop-in's module, as of `dropin.uvicorn` and `dropin._uvicorn_scope`; "" of the rest."""
    name = module.partition(".")[2]
    host = "" if name in SHARED_BY_DROPINS else name.lstrip("_").partition("_")[0]
    assert host in DROPINS or not host, f"{module} has no host in DROPINS"
    return host


@files([path for path in PYTHON if floor_of(module_of(path)) == 5])
def test_dropins_use_public_names_and_know_no_other_dropin(path: Path) -> None:
    module = module_of(path)
    for node in ast.walk(tree_of(path)):
        if not isinstance(node, ast.ImportFrom) or node.module == "__future__":
            continue
        target = resolve(path, node)
        if target.startswith("wscodec.dropin"):
            assert host_of(target.partition(".")[2]) in (host_of(module), "")
        elif target.partition(".")[0] == "wscodec":
            names = [*target.split("."), *(alias.name for alias in node.names)]
            assert not [name for name in names if name.startswith("_")]


@files([path for path in PYTHON + CYTHON if floor_of(module_of(path)) not in MAY_DO_IO])
def test_no_io_below_the_network(path: Path) -> None:
    assert not others(imports_of(path)) & IO


@files([path for path in PYTHON if floor_of(module_of(path)) in (0, 1, 3)])
def test_no_environment_on_protocol_floors(path: Path) -> None:
    names = {node.attr for node in ast.walk(tree_of(path)) if isinstance(node, ast.Attribute)}
    assert not names & {"environ", "getenv"}


@files([path for path in PYTHON if module_of(path).startswith("_pure")])
def test_pure_twins_know_no_compiled_one(path: Path) -> None:
    compiled = {"_mask", "_utf8", "_frames", "_payload", "_views"}
    assert not {name.partition(".")[0] for name in ours(python_imports(path))} & compiled


@files(CYTHON)
def test_compiled_twins_know_no_pure_one(path: Path) -> None:
    assert not any(name.startswith("_pure") for name in ours(cython_imports(path)))


def test_floor_3_has_no_cycles() -> None:
    arrows = {
        module_of(path): {name for name in ours(python_imports(path)) if floor_of(name) == 3}
        for path in PYTHON
        if floor_of(module_of(path)) == 3
    }
    while arrows:
        leaves = {module for module, below in arrows.items() if not below & arrows.keys()}
        assert leaves, f"a cycle among {sorted(arrows)}"
        arrows = {module: below for module, below in arrows.items() if module not in leaves}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import asyncio.events", {"asyncio.events"}),
        ("import wscodec.below", {"wscodec.below"}),
        ("from . import below, __version__", {"wscodec.below", "wscodec"}),
        ("from .below import name", {"wscodec.below"}),
        ("from wscodec import below", {"wscodec.below"}),
        ("def function():\n    if TYPE_CHECKING:\n        from .other import name", {"wscodec.other"}),
        ("from __future__ import annotations", set()),
    ],
)
def test_the_reader_of_imports_sees_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, found: set[str]
) -> None:
    (tmp_path / "below.py").touch()
    path = tmp_path / "module.py"
    path.write_text(source)
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    assert python_imports(path) == found


def test_the_reader_of_cython_sees_imports(tmp_path: Path) -> None:
    path = tmp_path / "module.pyx"
    path.write_text(
        "from ._typing import Buffer\nfrom wscodec._views cimport (\n    from wscodec.errors import x\nimport os\n"
    )
    assert cython_imports(path) == {"wscodec._typing", "wscodec._views", "wscodec.errors", "os"}


# --------------------------------------------------------------------------------------------------- C kernels


@files(KERNELS)
def test_kernel_includes(path: Path) -> None:
    for quote, name in re.findall(r'#\s*include\s*(["<])([^">]+)[">]', path.read_text("utf-8")):
        if quote == '"':
            assert (path.parent / name).exists()
        else:
            assert name in C_HEADERS


@files(KERNELS)
def test_kernel_allocates_nothing_and_has_no_variables(path: Path) -> None:
    code = re.sub(r"/\*.*?\*/", "", path.read_text("utf-8"), flags=re.DOTALL)
    assert not re.search(r"\b(malloc|calloc|realloc|free|alloca|PyObject)\b", code)
    # At the left margin stand only types, constants, functions and the preprocessor's lines.
    for line in re.findall(r"^\w[^(\n]*[;=].*$", code, flags=re.MULTILINE):
        assert re.match(r"(static const|const|extern const|typedef|enum|struct)\b", line), line


# ----------------------------------------------------------------------------------------- places and budgets


@files(PYTHON + CYTHON)
def test_module_has_its_place_in_the_table(path: Path) -> None:
    assert module_of(path).partition(".")[0] in FLOORS


def test_the_documentation_has_the_same_table() -> None:
    document = PACKAGE.parents[1] / "docs" / "architecture.md"
    if not document.exists():
        pytest.skip("installed without its documentation")
    rows = [line for line in document.read_text("utf-8").splitlines() if re.match(r"\| (\d|the roof)", line)]
    for name, floor in FLOORS.items():
        label = "the roof" if floor == ROOF else str(floor)
        told = [row.split("|")[2] for row in rows if row.startswith(f"| {label}")]
        if name != "_views":  # a file of declarations
            assert any(re.search(rf"\b{name or '__init__'}\b", cell) for cell in told), name


@files(PYTHON)
def test_module_says_its_floor(path: Path) -> None:
    text = ast.get_docstring(tree_of(path)) or ""
    floor = floor_of(module_of(path))
    if floor == ROOF:
        assert "Floor: the roof." in text
    else:
        assert f"Floor {floor}." in text.splitlines()
    assert text.splitlines()[0].endswith(".")


@files([path for path in CYTHON if path.suffix == ".pyx"])
def test_compiled_module_says_its_floor(path: Path) -> None:
    docstring = path.read_text("utf-8").split('"""')[1]
    assert "Floor 1." in docstring.splitlines()


@files([path for path in CYTHON if path.suffix == ".pxd"] + KERNELS)
def test_declarations_and_kernels_say_their_floor(path: Path) -> None:
    floor = 0 if path in KERNELS else 1
    assert f"Floor {floor}." in path.read_text("utf-8").splitlines()[0]


@files(PYTHON + CYTHON + KERNELS)
def test_module_is_small(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 400


def body_size(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the lines of a function's body, without its docstring."""
    first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
    return (node.end_lineno or 0) - first.lineno + 1


@files(PYTHON)
def test_functions_are_short(path: Path) -> None:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert body_size(node) <= 50, node.name


@pytest.mark.parametrize("backend", ["", "pure"])
def test_importing_the_roof_imports_no_network(backend: str) -> None:
    code = (
        "import sys, wscodec; print(sorted({'asyncio', 'ssl', 'wscodec.asyncio', 'wscodec.cli'} & sys.modules.keys()))"
    )
    environment = {**os.environ, "WSCODEC_BACKEND": backend, "PYTHONPATH": str(PACKAGE.parent)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_the_roof_holds_public_names_only() -> None:
    for node in tree_of(PACKAGE / "__init__.py").body:
        assert isinstance(node, ast.Expr | ast.ImportFrom | ast.Assign)
        if isinstance(node, ast.Assign):
            assert [target.id for target in node.targets if isinstance(target, ast.Name)] == ["__all__"]
