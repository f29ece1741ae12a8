"""Processes that fork while they are observed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from greenops.adapters import cpu_model
from greenops.adapters.clock import SystemClock
from greenops.observe.observer import Observer

pytestmark = pytest.mark.filterwarnings(
    "ignore:This process .* is multi-threaded:DeprecationWarning"
)


def in_child(ask: Callable[[], int]) -> int:
    """What a forked child answers; a failure there is 255."""
    child = os.fork()
    if child == 0:
        answer = 255
        try:
            answer = ask()
        finally:
            os._exit(answer)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def open_stats() -> int:
    links = list(Path("/proc/self/fd").iterdir())
    return sum(os.path.realpath(link) == "/proc/stat" for link in links)


def test_a_forked_child_holds_no_files_of_its_parents_meters() -> None:
    before = open_stats()
    observer = Observer(cpu_model.discover, clock=SystemClock())
    observer.run()
    parent = open_stats() - before

    child = in_child(lambda: open_stats() - before)

    observer.close()
    assert child == parent == 2
    assert open_stats() == before


def test_a_closed_observer_stays_closed_in_a_forked_child() -> None:
    before = open_stats()
    observer = Observer(cpu_model.discover, clock=SystemClock())
    observer.run()
    observer.close()

    assert in_child(lambda: open_stats() - before) == 0
    assert in_child(lambda: int(not observer._closed)) == 0
