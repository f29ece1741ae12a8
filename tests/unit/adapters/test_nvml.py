from __future__ import annotations

import pytest

from greenops.adapters.nvml import discover
from greenops.errors import AdapterUnavailable, AdapterUnsupported


class FakeNvml:
    """A driver with boards; `None` as energy stands for a board without the counter."""

    class NVMLError(Exception):
        pass

    def __init__(self, boards: dict[int, int | None], *, driver: bool = True) -> None:
        self.boards, self.driver, self.users = boards, driver, 0

    def nvmlInit(self) -> None:  # noqa: N802
        if not self.driver:
            raise self.NVMLError("driver not loaded")
        self.users += 1

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.users -= 1

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return len(self.boards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        return index

    def nvmlDeviceGetUUID(self, handle: int) -> bytes:  # noqa: N802
        return f"GPU-{handle}".encode()

    def nvmlDeviceGetPowerManagementLimitConstraints(self, handle: int) -> list[int]:  # noqa: N802
        if handle == 2:
            raise self.NVMLError("not supported")
        return [100_000, 700_000]

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: int) -> int:  # noqa: N802
        energy = self.boards[handle]
        if energy is None:
            raise self.NVMLError("not supported")
        return energy


def test_each_board_with_a_counter_is_a_meter() -> None:
    library = FakeNvml({0: 1500, 1: None, 2: 7000})

    meters = discover(library)

    assert [meter.info.device for meter in meters] == ["GPU-0", "GPU-2"]
    assert [meter.info.rated_power for meter in meters] == [700.0, None]
    assert meters[0].read().joules == 1.5
    for meter in meters:
        meter.close()
        meter.close()
    assert library.users == 0


def test_a_machine_without_a_driver_has_no_meter() -> None:
    with pytest.raises(AdapterUnsupported, match="no NVIDIA driver"):
        discover(FakeNvml({}, driver=False))


def test_a_board_without_a_counter_is_no_meter() -> None:
    library = FakeNvml({0: None})

    with pytest.raises(AdapterUnsupported, match="no NVIDIA board"):
        discover(library)
    assert library.users == 0


def test_a_board_that_stops_to_answer_is_unavailable() -> None:
    library = FakeNvml({0: 1500})
    (meter,) = discover(library)

    library.boards[0] = None

    with pytest.raises(AdapterUnavailable, match="GO0710"):
        meter.read()


def test_the_real_library_gives_boards_or_says_why_not() -> None:
    try:
        found = discover()
    except AdapterUnsupported as error:
        assert error.code == "GO0710"  # noqa: PT017
        return
    for meter in found:
        assert meter.info.device_kind == "gpu"
        meter.close()
