"""The version, in this one place; `pyproject.toml` reads it from here.

Floor 0.
"""

from __future__ import annotations

from typing import Final

__version__: Final = "0.1.0"
