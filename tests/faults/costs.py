"""What an attack costs: memory at its peak, and work as a multiple of what is sent."""

from __future__ import annotations

import gc
import math
import os
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Mapping
from typing import Any

_GROWTH = 8
# Linear work for 8 times as much takes 4 to 15 times as long, for memory has its steps; quadratic work 64 times.
_MOST_GROWTH = 20
_LEAST_TRIES, _MOST_TRIES = 3, 12
# What other threads may take meanwhile, such as that by which a test process hears from the one that started it.
_NOISE = 16 << 10


def peak(call: Callable[[], object]) -> int:
    """Return how many bytes more than before `call` has had at its peak, but for 16 KiB; compiled code's included."""
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        call()
        return tracemalloc.get_traced_memory()[1] - before - _NOISE
    finally:
        tracemalloc.stop()


def kept(call: Callable[[], object]) -> int:
    """Return how many bytes are left behind by `call`, but for 16 KiB."""
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        call()
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before - _NOISE
    finally:
        tracemalloc.stop()


def _calls(call: Callable[[], object]) -> int:
    """Return how many functions `call` calls: in Python, and those in C that Python calls."""
    count = 0

    def on_event(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(on_event)
    try:
        call()
    finally:
        sys.setprofile(None)
    return count


def _seconds(call: Callable[[], object]) -> float:
    start = time.thread_time()
    call()
    return time.thread_time() - start


def assert_linear(make: Callable[[int], Callable[[], object]], size: int) -> None:
    """See that `make(8 * size)` takes about 8 times as much work as `make(size)`, not 64 times.

    Calls are counted. What happens within one call, such as going over all that came before, shows in the time of the
    thread, and `size` has to be so large that it would. The best of some tries counts, and of more where the machine
    is busy: that makes linear work fast enough at some time, and quadratic work never.
    """
    few, many = _calls(make(size)), _calls(make(_GROWTH * size))
    assert many <= _GROWTH * few * 1.2 + 200, f"{few} calls become {many}"
    short = long = math.inf
    for tries in range(1, _MOST_TRIES + 1):
        short = min(short, _seconds(make(size)))
        long = min(long, _seconds(make(_GROWTH * size)))
        if tries >= _LEAST_TRIES and long < _MOST_GROWTH * short:
            return
    raise AssertionError(f"{short:.4f} s become {long:.4f} s")


def in_child(code: str, backend: str, *, environment: Mapping[str, str] | None = None, **names: Any) -> str:
    """Run `code` in a process of its own, with `names` defined, and return what it prints."""
    lines = [f"{name} = {value!r}" for name, value in names.items()]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join([*lines, code])],
        env={
            **os.environ,
            "WSCODEC_BACKEND": backend,
            "PYTHONPATH": os.pathsep.join(sys.path),
            **(environment or {}),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


_RESIDENT = """
import wscodec

def kib(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name))

def resident(function, *arguments):
    with open("/proc/self/clear_refs", "w") as refs:
        refs.write("5")  # the peak begins anew
    before = kib("VmRSS")
    function(*arguments)
    return kib("VmHWM") - before
"""

# A sanitizer would keep what is freed for a while.
_FREEING = {"ASAN_OPTIONS": "detect_leaks=0:quarantine_size_mb=0:thread_local_quarantine_size_kb=0"}


def resident(code: str, backend: str, **names: Any) -> list[int]:
    """Return how many KiB a process of its own takes from the system, at the peak, for what `code` does.

    That is what `code` prints: it has a function `resident`, for Linux alone, that calls another and returns that
    number. What C libraries allocate by themselves is in it.
    """
    return [int(line) for line in in_child(_RESIDENT + code, backend, environment=_FREEING, **names).split()]
