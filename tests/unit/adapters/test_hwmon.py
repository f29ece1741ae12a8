"""No machine here has such sensors: the trees are made up after the kernel's documentation."""

from __future__ import annotations

from pathlib import Path

import pytest

from greenops.adapters.hwmon import discover
from greenops.errors import AdapterUnavailable, AdapterUnsupported
from greenops.testing.meter_systems import write_tree


def chip(root: Path, number: int, name: str, **files: str) -> Path:
    return write_tree(root / f"hwmon{number}", {"name": name, **files})


def test_a_counter_of_microjoules_is_read_as_it_is(tmp_path: Path) -> None:
    folder = chip(tmp_path, 0, "xe", energy1_input="2500000", power1_input="9")

    (meter,) = discover(tmp_path)

    assert (meter.info.device, meter.info.device_kind) == ("xe-hwmon0-energy1", "gpu")
    assert meter.read().joules == 2.5
    (folder / "energy1_input").write_text("3500000")
    assert meter.read().joules == 3.5


def test_a_power_is_added_up_over_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = chip(tmp_path, 0, "ina226", power1_input="10000000", power1_label="CPU rail")
    now = [0]
    monkeypatch.setattr("time.monotonic_ns", lambda: now[0])
    (meter,) = discover(tmp_path)

    now[0] = 1_000_000_000
    steady = meter.read().joules
    (folder / "power1_input").write_text("20000000")
    now[0] = 3_000_000_000
    risen = meter.read().joules
    now[0] = 100_000_000_000
    after_a_gap = meter.read().joules

    assert meter.info.device_kind == "cpu"
    assert steady == 10.0
    assert risen == 10.0 + 2 * 15.0
    assert after_a_gap == risen


@pytest.mark.parametrize("name", ["amd_energy", "zenpower", "fam15h_power"])
def test_a_chip_that_overlaps_with_the_package_counter_is_passed_over(
    tmp_path: Path, name: str
) -> None:
    chip(tmp_path, 0, name, energy1_input="1", power1_input="1", energy1_label="Esocket0")

    with pytest.raises(AdapterUnsupported, match="package's counter"):
        discover(tmp_path)


def test_graphics_inside_a_processor_is_passed_over_and_a_board_is_not(tmp_path: Path) -> None:
    chip(tmp_path, 0, "amdgpu", power1_average="15000000", power1_label="PPT")
    chip(tmp_path, 1, "amdgpu", power1_average="1", power1_label="PPT", power1_cap="300000000")

    (meter,) = discover(tmp_path)

    assert meter.info.device == "amdgpu-hwmon1-PPT"


def test_a_part_of_a_board_is_not_added_to_the_board(tmp_path: Path) -> None:
    chip(tmp_path, 0, "xe", energy1_input="9", energy1_label="card", energy2_input="5")

    assert [meter.info.device for meter in discover(tmp_path)] == ["xe-hwmon0-card"]


def test_a_sensor_that_does_not_say_what_it_measures_is_passed_over(tmp_path: Path) -> None:
    chip(tmp_path, 0, "ina226", power1_input="1", power2_input="1", power2_label="VOUT7")

    with pytest.raises(AdapterUnsupported, match="`ina226` `VOUT7`: what it measures is not known"):
        discover(tmp_path)


def test_labels_tell_the_parts_of_a_module_and_the_whole_comes_last(tmp_path: Path) -> None:
    for number, label in enumerate(("Module Power Socket 0", "CPU Power Socket 0", "DRAM Power")):
        chip(
            tmp_path,
            number,
            "power_meter",
            power1_average="50000000",
            power1_input="nonsense",
            power1_label=label,
            power1_average_interval="50",
        )

    meters = discover(tmp_path)

    assert [meter.info.device_kind for meter in meters] == ["cpu", "memory", "host"]
    assert {meter.info.update_period for meter in meters} == {0.05}


@pytest.mark.parametrize("text", ["nonsense", "", "-5", "99999999999999999"])
def test_what_is_no_power_is_unavailable_until_it_is_one_again(tmp_path: Path, text: str) -> None:
    folder = chip(tmp_path, 0, "power_meter", power1_average="50000000")
    (meter,) = discover(tmp_path)

    (folder / "power1_average").write_text(text)

    with pytest.raises(AdapterUnavailable, match="GO0714"):
        meter.read()
    (folder / "power1_average").write_text("50000000")
    assert meter.read().joules >= 0


def test_a_rail_of_several_parts_and_a_sum_beside_its_parts_are_passed_over(tmp_path: Path) -> None:
    for number, label in enumerate(
        ("VDD_CPU_GPU_CV", "Grace Power Socket 0", "SysIO Power Socket 0", "CPU Power Socket 0")
    ):
        chip(tmp_path, number, "ina3221", power1_input="5", power1_label=label)

    (meter,) = discover(tmp_path)

    assert meter.info.device == "ina3221-hwmon3-CPU-Power-Socket-0"


def test_a_sensor_that_cannot_be_read_is_passed_over_and_told(tmp_path: Path) -> None:
    chip(tmp_path, 0, "amdgpu", power1_average="nonsense", power1_cap="1")

    with pytest.raises(AdapterUnsupported, match="`amdgpu`: GO0714"):
        discover(tmp_path)


def test_a_machine_without_hwmon_has_no_meter(tmp_path: Path) -> None:
    with pytest.raises(AdapterUnsupported, match="no chip has"):
        discover(tmp_path / "none")


def test_a_closed_sensor_is_unavailable(tmp_path: Path) -> None:
    chip(tmp_path, 0, "i915", energy1_input="1")
    (meter,) = discover(tmp_path)

    meter.close()
    meter.close()

    with pytest.raises(AdapterUnavailable, match="GO0714"):
        meter.read()
