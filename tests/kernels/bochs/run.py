"""Runs a static program for x86-64 Linux under Bochs, without Linux. README.md says how.

Usage: run.py [-cpu MODEL] PROGRAM [ARGUMENTS...]
The environment variable BOCHS names another emulator than Debian's bochs-bin.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

HERE = Path(__file__).parent
TIMEOUT = 600  # seconds
NOT_ENDED = 125  # the status if the program has none

# These are in system.c, too: the memory in MB, and what is where in the ROM, which ends at 4 GB.
MEMORY = 64
ROM_SIZE = 2 << 20  # Bochs 2.7 takes no more
ARGUMENTS_SIZE = 4096

WARNINGS = "-Wall -Wextra -Wconversion -Werror"  # here, because `make lint` must not depend on the architecture
# What is in the vector registers is the program's.
CODE = "-Os -std=c11 -mgeneral-regs-only -ffreestanding -fno-pic -fno-stack-protector -fcf-protection=none"
LINKING = "-nostdlib -static -Wl,--build-id=none,--omagic,--oformat=binary"

# Bochs wants a display. The only one of Debian's that needs neither a window nor a terminal is for viewers elsewhere.
DISPLAYS = {"bochs-bin": 'rfb, options="timeout=0"'}
NO_DISPLAY = "nogui"

# It also wants a VGA BIOS. With more instructions per second (ips), its devices take less of its time.
CONFIGURATION = """
display_library: {display}
cpu: model={cpu}, ips=50000000, reset_on_triple_fault=0
memory: guest={memory}, host={memory}
romimage: file={folder}/rom
vgaromimage: file={folder}/vga
parport1: enabled=1, file={folder}/output
parport2: enabled=1, file={folder}/status
log: {folder}/log
panic: action=fatal
"""


def build_system(folder: Path) -> bytes:
    """Compile what stands in for an operating system."""
    built = folder / "system"
    command = [*shlex.split(os.environ.get("CC", "cc")), *WARNINGS.split(), *CODE.split(), *LINKING.split()]
    files = [f"-Wl,--script={HERE}/layout.ld", f"{HERE}/boot.S", f"{HERE}/system.c", "-o", str(built)]
    subprocess.run(command + files, check=True)
    return built.read_bytes()


def make_rom(program: bytes, arguments: list[str], system: bytes) -> bytes:
    """Put the program first, then the arguments, and last the system, where the CPU starts."""
    strings = b"".join(os.fsencode(argument) + b"\0" for argument in arguments)
    program_size = ROM_SIZE - ARGUMENTS_SIZE - len(system)
    if len(program) > program_size or len(strings) >= ARGUMENTS_SIZE:
        sys.exit(f"there is room for a program of {program_size} bytes and for {ARGUMENTS_SIZE} bytes of arguments")
    return program.ljust(program_size, b"\0") + strings.ljust(ARGUMENTS_SIZE, b"\0") + system


def emulate(rom: bytes, cpu: str, folder: Path) -> int:
    """Run Bochs, pass on what the program wrote, and return the program's status."""
    bochs = os.environ.get("BOCHS", "bochs-bin")
    display = DISPLAYS.get(Path(bochs).name, NO_DISPLAY)
    configuration = CONFIGURATION.format(display=display, cpu=cpu, memory=MEMORY, folder=folder)
    (folder / "bochsrc").write_text(configuration)
    (folder / "rom").write_bytes(rom)
    (folder / "vga").write_bytes(bytes(512))
    said = run_bochs([bochs, "-q", "-f", str(folder / "bochsrc")])
    sys.stdout.buffer.write(contents(folder / "output"))
    status = contents(folder / "status")
    if not status:
        sys.stdout.buffer.write(said)
        return NOT_ENDED
    return status[0]


def run_bochs(command: list[str]) -> bytes:
    """Return what Bochs says itself. Its own status says nothing, as it ends by a panic either way."""
    go_on = b"continue\n"  # to the debugger that Debian's Bochs starts in
    try:
        return subprocess.run(
            command, input=go_on, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=TIMEOUT
        ).stdout
    except subprocess.TimeoutExpired:
        return f"the program did not end in {TIMEOUT} s\n".encode()


def contents(path: Path) -> bytes:
    """Return what was printed, if anything was."""
    return path.read_bytes() if path.exists() else b""


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("-cpu", default="tigerlake")
    parser.add_argument("program", type=Path)
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    with TemporaryDirectory(prefix="bochs-") as name:
        folder = Path(name)
        arguments = [options.program.name, *options.arguments]
        rom = make_rom(options.program.read_bytes(), arguments, build_system(folder))
        return emulate(rom, options.cpu, folder)


if __name__ == "__main__":
    sys.exit(main())
