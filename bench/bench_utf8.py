"""The UTF-8 kernels: validating alone, and decoding to a str."""

from __future__ import annotations

import pytest

from . import cases
from .bench_mask import calls_per_round


@pytest.mark.parametrize("case", cases.UTF8, ids=str)
def bench_utf8(case, operation, measure):
    data = case.make()
    function, arguments = operation(data)
    result = function(*arguments)
    assert result is True or str(result).encode() == data
    times = calls_per_round(case)
    measure(times, function, *([argument] * times for argument in arguments))
