from __future__ import annotations

from pathlib import Path

import pytest

from greenops.adapters.powercap import discover
from greenops.errors import AdapterUnavailable, AdapterUnsupported
from greenops.testing.meter_systems import rapl_tree, rapl_zone


def zone(root: Path, folder: str, name: str, uj: str = "5000000", **more: str) -> Path:
    return rapl_zone(root, folder, name, **{"energy_uj": uj, **more})


def test_a_package_is_bounded_by_what_it_may_draw(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", constraint_0_max_power_uw="100000000")
    zone(tmp_path, "intel-rapl:1", "package-1")

    meters = discover(tmp_path)

    assert [meter.info.device for meter in meters] == ["package-0", "package-1"]
    assert meters[0].info.rated_power == 200.0
    assert meters[1].info.rated_power == 1000.0
    assert meters[0].info.wrap == pytest.approx(262143.32885)
    assert meters[0].read().joules == 5.0


def test_packages_and_memory_are_read_and_no_zone_that_overlaps(tmp_path: Path) -> None:
    meters = discover(rapl_tree(tmp_path, packages=2))

    assert [(meter.info.device, meter.info.device_kind) for meter in meters] == [
        ("package-0", "cpu"),
        ("package-1", "cpu"),
        ("dram-0", "memory"),
        ("dram-1", "memory"),
    ]
    # Of each package 100 J; 20 J beside it; what core, uncore and psys count is in none of the sums.
    assert sum(meter.read().joules for meter in meters) == pytest.approx(2 * (100 + 20))
    assert [meter.info.uncertainty for meter in meters] == [0.05, 0.05, 0.20, 0.20]


def test_memory_of_each_die_has_a_name_of_its_own(tmp_path: Path) -> None:
    for number in range(2):
        zone(tmp_path, f"intel-rapl:{number}", f"package-0-die-{number}")
        zone(tmp_path, f"intel-rapl:{number}:0", "dram")

    assert [meter.info.device for meter in discover(tmp_path)][2:] == [
        "dram-0-die-0",
        "dram-0-die-1",
    ]


def test_memory_that_cannot_be_read_leaves_the_package(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0")
    zone(tmp_path, "intel-rapl:0:0", "dram", uj="nonsense")

    assert [meter.info.device for meter in discover(tmp_path)] == ["package-0"]


def test_memory_alone_is_no_meter_of_a_processor(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", uj="nonsense")
    zone(tmp_path, "intel-rapl:0:0", "dram")

    with pytest.raises(AdapterUnsupported, match="`intel-rapl:0` cannot be read"):
        discover(tmp_path)


def test_a_zone_that_vanishes_is_unavailable_and_a_new_one_is_found(tmp_path: Path) -> None:
    folder = zone(tmp_path, "intel-rapl:0", "package-0")
    (meter,) = discover(tmp_path)
    (folder / "energy_uj").write_text("")

    with pytest.raises(AdapterUnavailable, match=r"GO0711 .*energy_uj"):
        meter.read()
    (folder / "energy_uj").write_text("6000000\n")

    assert meter.read().joules == 6.0
    meter.close()


def test_a_zone_that_cannot_be_read_is_skipped(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", uj="nonsense")
    (tmp_path / "intel-rapl:1").mkdir()
    zone(tmp_path, "intel-rapl:2", "package-1")

    assert [meter.info.device for meter in discover(tmp_path)] == ["package-1"]


def test_zones_none_of_which_can_be_read_tell_the_mend(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", uj="nonsense")

    with pytest.raises(AdapterUnsupported, match=r"GO0711 .*let the service read"):
        discover(tmp_path)


def test_a_machine_without_powercap_has_no_meter(tmp_path: Path) -> None:
    with pytest.raises(AdapterUnsupported, match="virtual machines have none"):
        discover(tmp_path / "nothing")


def test_a_closed_meter_is_unavailable(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0")
    (meter,) = discover(tmp_path)

    meter.close()
    meter.close()

    with pytest.raises(AdapterUnavailable, match="GO0711"):
        meter.read()
