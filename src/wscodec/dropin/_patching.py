"""What drop-ins share that put a name of ours in the place of a host's: the host's version, a self-test, one warning.

Floor 5.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from importlib import metadata
from typing import Any

__all__ = ["Patch"]


class Patch:
    """One name in a module of a host, and what we put in its place.

    Args:
        host: the name of the distribution.
        least, below: the first version that is known to fit, and the first one that is not, as tuples.
        module: where the host looks the name up when it needs it.
        name: the name.
        replacement: what is to stand there.
        check: the self-test, called with the replacement in place; it raises an exception
            where the host has changed.
    """

    def __init__(
        self,
        host: str,
        least: tuple[int, ...],
        below: tuple[int, ...],
        module: Any,
        name: str,
        replacement: Any,
        check: Callable[[], None],
    ) -> None:
        self._host = host
        self._range = least, below
        self._module = module
        self._name = name
        self._replacement = replacement
        self._check = check
        self._original: Any = None
        self._warned = False

    def installed(self) -> bool:
        """Return whether ours is in place."""
        return getattr(self._module, self._name, None) is self._replacement

    def install(self) -> bool:
        """Put ours in place, if it fits, and return whether it is there; where it does not fit, warn once."""
        if self.installed():
            return True
        found = getattr(self._module, self._name, None)
        try:
            self._check_version()
            if found is None:
                raise LookupError(f"there is no {self._module.__name__}.{self._name}")
            setattr(self._module, self._name, self._replacement)
            self._check()
        except Exception as error:
            if self.installed():
                setattr(self._module, self._name, found)
            self._warn(error)
            return False
        self._original = found
        return True

    def uninstall(self) -> None:
        """Put back what was there, if ours is in place: what others have put over it stays."""
        if self.installed():
            setattr(self._module, self._name, self._original)

    def _check_version(self) -> None:
        version = metadata.version(self._host)
        least, below = self._range
        if not least <= tuple(map(int, re.findall(r"\d+", version)[:3])) < below:
            raise LookupError(f"version {version} is not one that it knows")

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            text = f"wscodec stays out of {self._host}, which works on as it is: {type(error).__name__}: {error}"
            warnings.warn(text, RuntimeWarning, stacklevel=4)
