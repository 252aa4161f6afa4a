"""Runs one target under atheris, which mutates its input by what the Python code has reached (Linux).

What it learns stays in build/fuzz; `--keep N` writes some small inputs of it, N at most, to corpus/.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
from pathlib import Path
from random import Random

import atheris

sys.path.insert(0, str(Path(__file__).parents[1]))

with atheris.instrument_imports(include=["wscodec", "fuzz_deflate", "fuzz_handshake", "fuzz_input", "fuzz_targets"]):
    import copies

    copies.copies()
    from all_targets import TARGETS

from cases import CORPUS, Case, compare, corpus, in_turn
from implementations import PURE

LEARNT = Path(__file__).parents[2] / "build" / "fuzz"
LONGEST = 4096  # bytes of an input
KEPT = 200  # bytes of one that is kept in the tree


def folder_of(target: str) -> Path:
    """Return the folder of what was learnt, with what is kept in the tree, and random bytes to begin with."""
    folder = LEARNT / target
    folder.mkdir(parents=True, exist_ok=True)
    rng = Random(target)
    beginnings = [rng.randbytes(64 << number % 5) for number in range(20)]
    for data in (*beginnings, *(case.data or b"" for case in corpus(target))):
        (folder / hashlib.sha1(data).hexdigest()).write_bytes(data)
    return folder


def keep(target: str, folder: Path, most: int) -> None:
    """Write small inputs of a folder to the tree, of all sizes alike, behind those that have found something.

    Each of them was new in something when it came to the folder.
    """
    finds = {case.data: case.found for case in corpus(target) if case.found}
    inputs = sorted({path.read_bytes() for path in folder.iterdir()} - finds.keys(), key=lambda data: (len(data), data))
    lines = [data.hex() for data in inputs if 0 < len(data) <= KEPT]
    lines = lines[:: max(1, len(lines) // most)][:most]
    lines = [f"{data.hex()}  # {found}" for data, found in finds.items()] + lines
    CORPUS.mkdir(exist_ok=True)
    (CORPUS / f"{target}.txt").write_text("".join(f"{line}\n" for line in lines), "ascii")


def main() -> None:
    """Read the command line and fuzz; libFuzzer ends the process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--keep", type=int, metavar="N")
    args = parser.parse_args()
    folder = folder_of(args.target)
    if args.keep is not None:
        keep(args.target, folder, args.keep)
        return

    def one(data: bytes) -> None:
        compare([Case(args.target, data=data)], (PURE, in_turn(data)))

    options = [f"-max_total_time={args.seconds}", f"-max_len={LONGEST}", "-len_control=0", "-timeout=60"]
    options += ["-print_final_stats=1", f"-artifact_prefix={LEARNT}{os.sep}"]
    atheris.Setup([sys.argv[0], *options, str(folder)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
