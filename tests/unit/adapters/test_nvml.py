from __future__ import annotations

import pytest

from greenops.adapters.nvml import discover
from greenops.errors import AdapterUnavailable, AdapterUnsupported
from greenops.testing.meter_systems import FakeNvml


def test_each_board_with_a_counter_is_a_meter() -> None:
    library = FakeNvml({0: 1500, 1: None, 2: 7000})
    library.unlimited.add(2)

    meters = discover(library)

    assert [meter.info.device for meter in meters] == ["GPU-0", "GPU-2"]
    assert [meter.info.rated_power for meter in meters] == [700.0, None]
    assert meters[0].read().joules == 1.5
    for meter in meters:
        meter.close()
        meter.close()
    assert library.users == 0


def test_a_counter_of_a_whole_module_says_so() -> None:
    library = FakeNvml({0: 1500, 1: 1500, 2: 1500})
    library.names = {0: "NVIDIA GH200 480GB", 1: "NVIDIA GB200"}
    library.linked = {0, 1}

    hopper, blackwell, card = (meter.info for meter in discover(library))

    assert [each.boundary for each in (hopper, blackwell, card)] == ["module", "chip", "chip"]
    assert hopper.note == "counts the whole module, with its processor and memory"
    assert blackwell.note is not None
    assert "NVML does not say" in blackwell.note
    assert card.note is None


def test_a_partitioned_board_says_that_it_counts_all_its_instances() -> None:
    library = FakeNvml({0: 1500})
    library.partitioned = {0}

    (meter,) = discover(library)

    assert meter.info.note is not None
    assert meter.info.note.startswith("MIG is on: counts the whole board")


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
