"""Run the command line tools: `python -m wscodec`.

Floor 6.
"""

from __future__ import annotations

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
