"""The opening handshake, on the server's side: an HTTP request in, the answer out."""

from __future__ import annotations

import pytest

from . import cases

TIMES = 10


@pytest.mark.parametrize("case", cases.HANDSHAKE, ids=str)
def bench_handshake(case, operation, measure):
    request = case.make()
    shake = operation()
    status, headers = shake(request).split(b"\r\n", 1)
    assert status.startswith(b"HTTP/1.1 101")
    assert b"sec-websocket-accept: " + cases.ACCEPT.lower() in headers.lower()
    assert cases.ACCEPT in headers
    assert headers.endswith(b"\r\n\r\n")
    measure(TIMES, shake, [request] * TIMES)
