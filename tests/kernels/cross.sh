#!/bin/sh
# Tests the kernels for CPUs other than this one, under qemu's user emulation. `make test-cross` runs it.
#
# Usage: cross.sh <directory of the kernels> <directory for what is built>
# WSCODEC_REQUIRE_CROSS=1 makes a missing compiler or emulator an error.
#
# qemu's CPU models are strict: an instruction that the model lacks is an illegal one, which --without=NAME demands. So
# a run on a model also proves that detection and kernels agree on what the CPU must have. Of AVX-512 qemu has nothing;
# for that there is Bochs, which is as strict.
set -eu
tests=$(dirname "$0")
kernels=$1
build=$2
flags="-O2 -std=c11 -static -I$kernels"
sources="$tests/check.c $tests/driver.c $tests/mask_checks.c $tests/valid_checks.c $tests/ucs_checks.c
    $tests/feed_checks.c $(echo "$kernels"/*.c)"
mkdir -p "$build"

# Whether a program is here; if not, that is said or is an error.
here() {
    if command -v "$1" >/dev/null; then
        return 0
    fi
    echo "==> no $1 here: skipped"
    if [ "${WSCODEC_REQUIRE_CROSS:-}" = 1 ]; then
        exit 1
    fi
    return 1
}

# Runs the command in the arguments and prints its output only if it fails.
quietly() {
    if ! "$@" >"$build/cross.log" 2>&1; then
        cat "$build/cross.log"
        echo "==> FAILED: $*"
        exit 1
    fi
    tail -n 1 "$build/cross.log"
}

# on <emulator> <its CPU or -> <program> <mask kernels> <utf8 kernels> [options]
on() {
    emulator=$1 cpu=$2 program=$3 mask=$4 utf8=$5
    shift 5
    echo "==> $emulator, CPU $cpu: $mask; $utf8"
    if [ "$cpu" != - ]; then
        emulator="$emulator -cpu $cpu"
    fi
    # shellcheck disable=SC2086 # the emulator is a command line
    quietly $emulator "$program" --quick "--mask=$mask" "--utf8=$utf8" "$@"
}

# other <architecture> <mask kernels> <utf8 kernels>: another architecture, with the emulator's default CPU
other() {
    if here "$1-linux-gnu-gcc" && here "qemu-$1"; then
        # shellcheck disable=SC2086
        "$1-linux-gnu-gcc" $flags $sources -o "$build/driver-$1"
        on "qemu-$1" - "$build/driver-$1" "$2" "$3"
    fi
}

other aarch64 neon,portable neon,portable
other s390x portable portable

if [ "$(uname -m)" != x86_64 ]; then
    exit 0
fi

# 32-bit x86 needs no emulator. Which kernels there are is the CPU's affair.
if here i686-linux-gnu-gcc; then
    # shellcheck disable=SC2086
    i686-linux-gnu-gcc $flags $sources -o "$build/driver-i686"
    echo "==> 32-bit x86, this CPU"
    quietly "$build/driver-i686" --quick
fi

program=$build/driver-x86_64
# shellcheck disable=SC2086
${CC:-cc} $flags -no-pie $sources -o "$program"

if here qemu-x86_64; then
    on qemu-x86_64 qemu64 "$program" sse2,portable portable --without=ssse3 --without=avx2 --without=avx512
    # SSSE3, but no POPCNT.
    on qemu-x86_64 Conroe "$program" sse2,portable portable --without=ssse3 --without=avx2 --without=avx512
    on qemu-x86_64 Nehalem "$program" sse2,portable ssse3,portable --without=avx2 --without=avx512
    on qemu-x86_64 Haswell "$program" avx2,sse2,portable avx2,ssse3,portable --without=avx512
fi

# Bochs emulates a whole PC, on which bochs/run.py stands in for Linux. It is slow: only what qemu cannot test.
if here "${BOCHS:-bochs-bin}"; then
    bochs="python3 $tests/bochs/run.py"
    on "$bochs" tigerlake "$program" avx512,avx2,sse2,portable avx512,avx2,ssse3,portable avx512
    # AVX-512, but no VBMI.
    on "$bochs" corei7_skylake_x "$program" avx2,sse2,portable avx2,ssse3,portable --list
    on "$bochs" corei7_haswell_4770 "$program" avx2,sse2,portable avx2,ssse3,portable --without=avx512 --list
fi
