"""The masking kernels (RFC 6455 section 5.3)."""

from __future__ import annotations

import pytest

from . import cases, wire

KEY = b"\x37\xfa\x21\x3d"


def calls_per_round(case):
    """Return how often a round calls: enough that the clock's own cost doesn't show."""
    return 100 if case.size <= 1024 else 10


@pytest.mark.parametrize("case", cases.MASK, ids=str)
def bench_mask(case, operation, measure, pytestconfig):
    data = case.make()
    expected = data if getattr(pytestconfig.adapter, "ONLY_COPIES", False) else wire.mask(data, KEY)
    target = bytearray(data) if case.operation == "mask_inplace" else data
    function, arguments = operation(target, KEY)
    result = function(*arguments)
    assert (target if result is None else result) == expected
    times = calls_per_round(case)
    measure(times, function, *([argument] * times for argument in arguments))
