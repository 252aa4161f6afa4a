"""Writes the sample texts as files: `python -m bench.kernels.texts FOLDER`; prints their names."""

from __future__ import annotations

import sys
from pathlib import Path

from .. import wire

SIZE = 70_000


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for kind in wire.SAMPLES:
        path = folder / kind
        path.write_bytes(wire.text(kind, SIZE).encode())
        print(path)


if __name__ == "__main__":
    main()
