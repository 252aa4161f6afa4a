"""What drop-ins share that put names of ours in the place of a host's: the host's version, a self-test, one warning.

Floor 5.
"""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Any, NamedTuple

__all__ = ["Entry", "Patch", "Place"]


class Place(NamedTuple):
    """A name of a host, and what we put in its place.

    Attributes:
        owner: the module or class where the host looks the name up when it needs it.
        name: the name.
        replacement: what is to stand there.
    """

    owner: Any
    name: str
    replacement: Any

    @property
    def found(self) -> Any:
        """What stands there, or None."""
        return getattr(self.owner, self.name, None)

    def taken(self) -> bool:
        """Return whether ours stands there."""
        return self.found is self.replacement

    def put(self, what: Any) -> None:
        """Have `what` stand there."""
        setattr(self.owner, self.name, what)

    def __str__(self) -> str:
        return f"{self.owner.__name__}.{self.name}"


class Entry(Place):
    """The same for an entry of a host's dict: `owner` is the dict, `name` the key."""

    @property
    def found(self) -> Any:
        """What stands there, or None."""
        return self.owner.get(self.name)

    def put(self, what: Any) -> None:
        """Have `what` stand there."""
        self.owner[self.name] = what

    def __str__(self) -> str:
        return f"entry {self.name!r}"


class Patch:
    """Some names of a host, and what we put in their places: all of it, or nothing.

    Args:
        host: the name of the distribution.
        least, below: the first version that is known to fit, and the first one that is not, as tuples.
        places: where ours is to stand.
        check: the self-test, called with ours in place; it raises an exception where the host has changed.
    """

    def __init__(
        self,
        host: str,
        least: tuple[int, ...],
        below: tuple[int, ...],
        places: Sequence[Place],
        check: Callable[[], None],
    ) -> None:
        self._host = host
        self._range = least, below
        self._places = places
        self._check = check
        self._originals: list[Any] = []
        self._warned = False
        self._lock = threading.RLock()

    def installed(self) -> bool:
        """Return whether ours is in place."""
        return all(place.taken() for place in self._places)

    def install(self) -> bool:
        """Put ours in place, if it fits, and return whether it is there; where it does not fit, warn once."""
        with self._lock:  # another thread would take what is being tried for what is in place
            return self.installed() or self._install()

    def _install(self) -> bool:
        self.uninstall()  # where others have taken some of the places
        self._originals = [place.found for place in self._places]
        try:
            self._check_version()
            for place in self._places:
                if place.found is None:
                    raise LookupError(f"there is no {place}")
            for place in self._places:
                place.put(place.replacement)
            self._check()
        except BaseException as error:
            self.uninstall()
            if not isinstance(error, Exception):
                raise
            self._warn(error)
            return False
        return True

    def uninstall(self) -> None:
        """Put back what was there, where ours is in place: what others have put over it stays."""
        with self._lock:
            for place, original in zip(self._places, self._originals, strict=False):
                if place.taken():
                    place.put(original)

    def _check_version(self) -> None:
        version = metadata.version(self._host)
        least, below = self._range
        if not least <= tuple(map(int, re.findall(r"\d+", version)[:3])) < below:
            raise LookupError(f"version {version} is not one that it knows")

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            text = f"wscodec stays out of {self._host}, which works on as it is: {type(error).__name__}: {error}"
            warnings.warn(text, RuntimeWarning, stacklevel=5)
