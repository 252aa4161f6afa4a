"""The one way in for a caller's bytes: any C-contiguous buffer, seen as flat bytes.

Floor 0.
"""

from __future__ import annotations

from ._typing import Buffer
from .errors import not_a_buffer

__all__ = ["flat_view"]


def flat_view(data: Buffer) -> memoryview:
    """Return a view of the bytes of a C-contiguous buffer, to be released after use.

    Raises:
        TypeError: `data` is not a C-contiguous bytes-like object.
    """
    try:
        view = memoryview(data)
    except TypeError:
        raise not_a_buffer(data) from None
    if view.ndim == 1 and view.format == "B" and view.c_contiguous:
        return view
    with view:
        if not view.c_contiguous:
            raise not_a_buffer(data)
        # A cast of nothing is refused where a dimension is 0.
        return view.cast("B") if view.nbytes else memoryview(b"")
