from __future__ import annotations

from pathlib import Path

import pytest

from greenops.adapters.cpu_model import CpuModelMeter, cpu_power, discover
from greenops.errors import AdapterUnavailable

GENOA = "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 17\nstepping\t: 1\n\nprocessor\t: 1\n"


def stat(path: Path, *, user: int, idle: int, steal: int = 0) -> Path:
    path.write_text(f"cpu  {user} 0 0 {idle} 0 0 0 {steal} 0 0\ncpu0 0\n")
    return path


@pytest.mark.parametrize(
    ("model", "stepping", "name"),
    [
        (85, 4, "Skylake"),
        (85, 7, "Cascade Lake"),
        (106, 6, "Ice Lake"),
        (143, 8, "Sapphire Rapids"),
    ],
)
def test_families_of_intel_are_told_apart(model: int, stepping: int, name: str) -> None:
    text = f"vendor_id : GenuineIntel\ncpu family : 6\nmodel : {model}\nstepping : {stepping}\n"

    assert cpu_power(text).name == name


@pytest.mark.parametrize(
    "text", ["", "vendor_id : AuthenticAMD\ncpu family : 26\nmodel : 2\n", "CPU part : 0xd40\n"]
)
def test_families_with_bad_rows_or_none_are_unknown(text: str) -> None:
    assert cpu_power(text).name is None


def test_power_runs_from_idle_to_full_along_the_shape() -> None:
    power = cpu_power(GENOA)

    assert power.power(0.0) == pytest.approx(0.74)
    assert power.power(1.0) == power.power(2.0) == pytest.approx(2.28)
    assert power.power(0.1) == pytest.approx(0.74 + 1.54 * 0.156)
    assert power.power(0.15) == pytest.approx(0.74 + 1.54 * (0.156 + 0.233) / 2)


def test_joules_are_the_integral_of_power_between_readings(tmp_path: Path) -> None:
    file = stat(tmp_path / "stat", user=0, idle=0)
    now = [0]
    meter = CpuModelMeter(cpu_power(GENOA), 2, file, lambda: now[0])

    stat(file, user=100, idle=100, steal=500)
    now[0] = 1_000_000_000
    half = meter.read().joules
    stat(file, user=200, idle=100, steal=500)
    now[0] = 3_000_000_000
    full = meter.read().joules

    assert half == pytest.approx(2 * (0.74 + 1.54 * 0.473))
    assert full - half == pytest.approx(2 * 2 * 2.28)


def test_the_label_says_whether_the_family_is_known(tmp_path: Path) -> None:
    file = stat(tmp_path / "stat", user=0, idle=0)
    (tmp_path / "known").write_text(GENOA)
    (tmp_path / "unknown").write_text("processor\t: 0\n")

    (known,) = discover(tmp_path / "known", file)
    (unknown,) = discover(tmp_path / "unknown", file)

    assert (known.info.name, known.info.uncertainty) == ("spec_model", 0.20)
    assert (unknown.info.name, unknown.info.uncertainty) == ("tdp_model", 0.36)
    assert known.info.idle_power == pytest.approx(1.48)


def test_a_machine_without_cpu_times_has_no_model(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(GENOA)

    assert discover(tmp_path / "cpuinfo", tmp_path / "none") == []


def test_a_closed_model_is_unavailable(tmp_path: Path) -> None:
    meter = CpuModelMeter(cpu_power(GENOA), 2, stat(tmp_path / "stat", user=0, idle=0))

    meter.close()
    meter.close()

    with pytest.raises(AdapterUnavailable, match="GO0712"):
        meter.read()


def test_energy_does_not_depend_on_how_often_it_is_asked_for(tmp_path: Path) -> None:
    file = stat(tmp_path / "stat", user=0, idle=0)
    now = [0]
    last = seldom = 0.0
    often, rarely = (CpuModelMeter(cpu_power(GENOA), 2, file, lambda: now[0]) for _ in range(2))

    for ms in range(1, 2001):
        # Each of two vCPUs is counted once in 10 ms, at a moment of its own; both are busy.
        stat(file, user=ms // 10 + (ms + 5) // 10, idle=0)
        now[0] = ms * 1_000_000
        last = often.read().joules
        if ms % 100 == 0:
            seldom = rarely.read().joules

    assert last == pytest.approx(seldom, rel=0.01)
    assert last == pytest.approx(2 * 2 * 2.28, rel=0.01)


def test_between_two_counts_of_the_kernel_the_counter_stands(tmp_path: Path) -> None:
    file = stat(tmp_path / "stat", user=0, idle=0)
    now = [0]
    meter = CpuModelMeter(cpu_power(GENOA), 2, file, lambda: now[0])

    now[0] = 5_000_000
    before = meter.read()
    stat(file, user=2, idle=0)
    now[0] = 10_000_000
    after = meter.read()

    assert (before.joules, before.at_ns) == (0.0, 5_000_000)
    assert after.joules == pytest.approx(2 * 2.28 * 0.01)
    assert meter.info.update_period == 0.01


def test_cpu_times_that_are_never_counted_make_no_model(tmp_path: Path) -> None:
    now = [0]
    file = stat(tmp_path / "stat", user=0, idle=0)
    meter = CpuModelMeter(cpu_power(GENOA), 2, file, lambda: now[0])

    now[0] = 100_000_000

    with pytest.raises(AdapterUnavailable, match="stand still"):
        meter.read()


def test_cpu_times_that_stop_are_unavailable_and_nothing_is_lost_when_they_go_on(
    tmp_path: Path,
) -> None:
    now = [0]
    file = stat(tmp_path / "stat", user=0, idle=0)
    meter = CpuModelMeter(cpu_power(GENOA), 2, file, lambda: now[0])
    stat(file, user=100, idle=0)
    now[0] = 500_000_000
    first = meter.read().joules

    now[0] = 1_600_000_000
    with pytest.raises(AdapterUnavailable, match="stand still"):
        meter.read()
    stat(file, user=400, idle=0)
    now[0] = 2_000_000_000

    assert meter.read().joules == pytest.approx(4 * first)
