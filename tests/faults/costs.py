"""What an attack costs: memory at its peak, and work as a multiple of what is sent."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

_GROWTH = 8
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

    Calls are counted; what happens within one call, such as copying all that came before, shows in the time of the
    thread, of which the best of three counts: linear work stays below 24 times by far, and quadratic work above it.
    """
    few, many = _calls(make(size)), _calls(make(_GROWTH * size))
    assert many <= _GROWTH * few * 1.2 + 200, f"{few} calls become {many}"
    short = min(_seconds(make(size)) for _ in range(3))
    long = min(_seconds(make(_GROWTH * size)) for _ in range(3))
    assert long < 3 * _GROWTH * max(short, 0.0002), f"{short:.4f} s become {long:.4f} s"


def in_child(code: str, backend: str, **names: Any) -> str:
    """Run `code` in a process of its own, with `names` defined, and return what it prints."""
    lines = [f"{name} = {value!r}" for name, value in names.items()]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join([*lines, code])],
        env={**os.environ, "WSCODEC_BACKEND": backend, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
