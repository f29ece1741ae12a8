"""Which processes use a board, as NVML tells it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from greenops.adapters.nvml import NvmlMeter
from greenops.testing.meter_systems import FakeNvml


class Board(FakeNvml):
    """One board with processes on it."""

    def __init__(self, pids: list[int], busy: dict[int, list[int]] | None) -> None:
        super().__init__({0: 1500})
        self.pids, self.busy, self.asked = pids, busy, 0

    def nvmlDeviceGetComputeRunningProcesses(self, handle: Any) -> list[Any]:  # noqa: N802
        self.asked += 1
        return [SimpleNamespace(pid=pid) for pid in self.pids]

    def nvmlDeviceGetProcessUtilization(self, handle: Any, since: int) -> list[Any]:  # noqa: N802
        if self.busy is None:
            raise self.NVMLError("not found")
        return [
            SimpleNamespace(pid=pid, smUtil=each, timeStamp=since + 1)
            for pid, values in self.busy.items()
            for each in values
        ]


def users(library: FakeNvml, *, host_pids: bool = True) -> Any:
    library.nvmlInit()
    return NvmlMeter(library, 0, host_pids=host_pids).read().users


@pytest.mark.parametrize(
    ("busy", "told"),
    [
        ({7: [20, 40], 9: [100]}, {7: pytest.approx(0.3), 8: None}),
        ({}, {7: None, 8: None}),
        (None, {7: None, 8: None}),
    ],
)
def test_a_reading_tells_who_uses_the_board_and_how_busy_each_kept_it(
    busy: dict[int, list[int]] | None, told: dict[int, Any]
) -> None:
    assert users(Board([7, 8], busy)) == told


def test_in_a_container_the_users_are_unknown() -> None:
    library = Board([7], {})

    assert users(library, host_pids=False) is None
    assert library.asked == 0


def test_a_driver_that_lists_no_processes_leaves_the_users_unknown() -> None:
    assert users(FakeNvml({0: 1500})) is None


def test_processes_are_not_listed_at_every_reading() -> None:
    library = Board([7], {})
    library.nvmlInit()
    meter = NvmlMeter(library, 0, host_pids=True)

    for _ in range(5):
        assert meter.read().users == {7: None}

    assert library.asked == 1
