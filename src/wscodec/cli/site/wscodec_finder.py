"""What waits for the hosts of drop-ins to be imported, in what `python -m wscodec run` runs.

Nothing else of ours is imported before a host is.

Floor 6.
"""

from __future__ import annotations

import os
import sys

# What type checkers alone need is not imported: it would take longer than all the rest.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

__all__ = ["HostFinder"]


class HostFinder:
    """Finds the modules of hosts as others do, and installs the drop-in once a host has been imported.

    Args:
        hosts: the names of hosts, and for each the module to wait for.
    """

    def __init__(self, hosts: dict[str, str]) -> None:
        self._hosts = hosts
        self._packages = {module.partition(".")[0]: name for name, module in hosts.items()}
        self._under_way: set[str] = set()  # modules of hosts that are being executed

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return what the next finder that knows the module does, with a loader that tells us; None for the rest."""
        if fullname.partition(".")[0] not in self._packages:
            return None
        for finder in sys.meta_path:
            if finder is self or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(fullname, path, target)
            if spec is not None:
                if hasattr(spec.loader, "exec_module"):
                    spec.loader = Loader(spec.loader, self)  # type: ignore[assignment]
                return spec
        return None

    def execute(self, loader: Any, module: ModuleType) -> None:
        """Execute a module; if it was the last of its host's that was under way, install the drop-in."""
        name = module.__name__
        self._under_way.add(name)
        try:
            loader.exec_module(module)
        finally:
            self._under_way.discard(name)
        package = name.partition(".")[0]
        host = self._packages.get(package)
        if host is None or self._hosts[host] not in sys.modules:
            return
        if any(other.partition(".")[0] == package for other in tuple(self._under_way)):
            return  # the drop-in might find half of what it needs
        if self._packages.pop(package, None):  # no other thread was faster
            accelerate(host, module)


class Loader:
    """The loader of a host's module, but for its execution."""

    def __init__(self, loader: Any, finder: HostFinder) -> None:
        self._loader = loader
        self._finder = finder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def exec_module(self, module: ModuleType) -> None:
        """Execute the module, and leave no trace in it."""
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._finder.execute(self._loader, module)


def finish(module: ModuleType) -> None:
    """Do what Python does in a moment, so that a drop-in finds the module as others will."""
    parent, _, child = module.__name__.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, module)
    # A self-test may run in a thread, which would wait for the import to end, and we for it.
    module.__spec__._initializing = False  # type: ignore[union-attr]


def accelerate(host: str, module: ModuleType) -> None:
    """Install the drop-in for a host, whose `module` has just been executed, and say so, or why not."""
    try:
        finish(module)
        from wscodec.dropin import _hosts

        line = _hosts.accelerate(host)
    except Exception as error:
        line = f"wscodec stays out of {host}, which works on as it is: {type(error).__name__}: {error}"
    line = " ".join(line.split())
    # What this process says, those that it starts need not say again.
    told = os.environ.get("WSCODEC_RUN_TOLD", "")
    if line not in told.split("\n"):
        os.environ["WSCODEC_RUN_TOLD"] = f"{told}\n{line}"
        tell(line)


def tell(line: str) -> None:
    """Write a line to stderr, if anybody listens."""
    try:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
    except (AttributeError, OSError, ValueError):  # there is none, its reader is gone, or it is closed
        pass
