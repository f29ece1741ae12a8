"""No machine here has the event: `/sys` and the kernel's opening are fakes, the system call itself is real."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from greenops.adapters.perf_events import discover, open_event
from greenops.errors import AdapterUnavailable, AdapterUnsupported
from greenops.testing.meter_systems import FakePerf, perf_tree, write_tree


def test_each_package_is_a_meter_in_the_unit_that_the_kernel_names(tmp_path: Path) -> None:
    kernel = FakePerf(0, 2**32, 2**34)

    meters = discover(perf_tree(tmp_path, cpumask="0,24"), kernel)

    assert [meter.info.device for meter in meters] == ["package-0", "package-1"]
    assert kernel.opened == [(23, 2, 0), (23, 2, 24)]
    assert [meters[0].read().joules for _ in range(3)] == [0.0, 1.0, 4.0]
    for meter in meters:
        meter.close()
        meter.close()


def test_memory_is_read_beside_each_package_and_the_platform_never(tmp_path: Path) -> None:
    kernel = FakePerf(2**32)

    meters = discover(perf_tree(tmp_path, cpumask="0,24", memory=True, psys=True), kernel)

    assert [(meter.info.device, meter.info.device_kind) for meter in meters] == [
        ("package-0", "cpu"),
        ("package-1", "cpu"),
        ("dram-0", "memory"),
        ("dram-1", "memory"),
    ]
    assert kernel.opened == [(23, 2, 0), (23, 2, 24), (23, 3, 0), (23, 3, 24)]
    for meter in meters:
        meter.close()


def test_memory_whose_event_the_kernel_refuses_leaves_the_packages(tmp_path: Path) -> None:
    kernel = FakePerf(0, knows={2})

    meters = discover(perf_tree(tmp_path, cpumask="0,24", memory=True), kernel)

    assert [meter.info.device for meter in meters] == ["package-0", "package-1"]


def test_dies_of_one_package_are_meters_of_their_own(tmp_path: Path) -> None:
    tree = perf_tree(tmp_path, cpumask="0,24,48", memory=True)
    for cpu, package, die in ((0, 0, 0), (24, 0, 1), (48, 1, 0)):
        here = tree / f"devices/system/cpu/cpu{cpu}/topology"
        write_tree(here, {"physical_package_id": str(package), "die_id": str(die)})

    meters = discover(tree, FakePerf(0))

    assert [meter.info.device for meter in meters] == [
        "package-0-die-0",
        "package-0-die-1",
        "package-1",
        "dram-0-die-0",
        "dram-0-die-1",
        "dram-1",
    ]


def test_packages_without_a_topology_are_counted(tmp_path: Path) -> None:
    meters = discover(perf_tree(tmp_path, cpumask="3-4"), FakePerf(0))

    assert [meter.info.device for meter in meters] == ["package-0", "package-1"]


@pytest.mark.parametrize("code", [errno.EACCES, errno.EPERM])
def test_an_event_that_may_not_be_opened_tells_the_mend(tmp_path: Path, code: int) -> None:
    with pytest.raises(AdapterUnavailable, match=r"GO0713 .*CAP_PERFMON"):
        discover(perf_tree(tmp_path), FakePerf(refuses=code))


@pytest.mark.parametrize(
    "changed",
    [{"unit": "Watts"}, {"scale": "nonsense"}, {"scale": "nan"}, {"event": "umask=1"}],
    ids=str,
)
def test_an_event_in_another_unit_or_form_is_no_meter(
    tmp_path: Path, changed: dict[str, str]
) -> None:
    with pytest.raises(AdapterUnsupported, match="GO0713"):
        discover(perf_tree(tmp_path, **changed), FakePerf(0))


def test_a_machine_without_the_event_has_no_meter(tmp_path: Path) -> None:
    with pytest.raises(AdapterUnsupported, match="GO0713"):
        discover(tmp_path, FakePerf(0))


def test_an_event_whose_cpu_went_away_is_unavailable(tmp_path: Path) -> None:
    (meter,) = discover(perf_tree(tmp_path), FakePerf(7))
    meter.read()

    with pytest.raises(AdapterUnavailable, match="has stopped"):
        meter.read()
    meter.close()
    with pytest.raises(AdapterUnavailable, match="GO0713"):
        meter.read()


def test_the_system_call_has_the_form_that_the_kernel_wants() -> None:
    software, cpu_clock = 1, 0

    try:
        fd = open_event(software, cpu_clock, 0)
    except OSError as error:
        # A wrong form would be EINVAL, E2BIG or EFAULT.
        assert error.errno in {errno.EACCES, errno.EPERM, errno.ENOSYS, errno.ENOENT}  # noqa: PT017
    else:
        assert len(os.read(fd, 8)) == 8
        os.close(fd)
