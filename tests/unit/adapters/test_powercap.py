from __future__ import annotations

from pathlib import Path

import pytest

from greenops.adapters.powercap import discover
from greenops.errors import AdapterUnavailable, AdapterUnsupported


def zone(root: Path, folder: str, name: str, uj: str = "5000000", **more: str) -> Path:
    path = root / folder
    path.mkdir(parents=True)
    (path / "name").write_text(name + "\n")
    (path / "energy_uj").write_text(uj + "\n")
    (path / "max_energy_range_uj").write_text("262143328850\n")
    for file, text in more.items():
        (path / file).write_text(text)
    return path


def test_only_top_level_packages_are_metered(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", constraint_0_max_power_uw="100000000")
    zone(tmp_path, "intel-rapl:0:0", "core")
    zone(tmp_path, "intel-rapl:1", "package-1")
    zone(tmp_path, "intel-rapl:2", "psys")

    meters = discover(tmp_path)

    assert [meter.info.device for meter in meters] == ["package-0", "package-1"]
    assert meters[0].info.rated_power == 200.0
    assert meters[1].info.rated_power == 1000.0
    assert meters[0].info.wrap == pytest.approx(262143.32885)
    assert meters[0].read().joules == 5.0


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
