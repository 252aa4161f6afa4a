"""The threads that compress large messages: few, and each process has its own."""

from __future__ import annotations

import os
import threading

import pytest

from wscodec.asyncio._threads import threads

SOON = 5  # seconds that nothing takes unless it hangs


def test_threads_are_made_once_and_no_more_than_there_are_cpus() -> None:
    for _ in range(3):
        name = threads().submit(lambda: threading.current_thread().name).result(SOON)
        assert name.startswith("wscodec-deflate")
    assert threads() is threads()
    assert threads()._max_workers <= (os.cpu_count() or 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_child_process_has_threads_of_its_own() -> None:
    assert threads().submit(sum, [1, 2]).result(SOON) == 3
    child = os.fork()
    if child == 0:  # pragma: no cover
        try:
            os._exit(threads().submit(sum, [1, 2]).result(SOON))
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
