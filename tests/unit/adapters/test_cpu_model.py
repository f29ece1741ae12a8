from __future__ import annotations

from pathlib import Path

import pytest

from greenops.adapters.cpu_model import (
    CpuModelMeter,
    cpu_power,
    discover,
    discover_family,
    discover_tdp,
)
from greenops.errors import AdapterUnavailable, AdapterUnsupported

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


def test_notes_that_are_worked_out_later_make_the_readings_of_their_time(tmp_path: Path) -> None:
    file = stat(tmp_path / "stat", user=0, idle=0)
    now = [0]
    meter, other = (CpuModelMeter(cpu_power(GENOA), 2, file, lambda: now[0]) for _ in range(2))

    notes, readings = [], []
    for second, user in enumerate((10, 90, 120), start=1):
        stat(file, user=user, idle=200 * second - user)
        now[0] = second * 1_000_000_000
        notes.append(meter.note())
        readings.append(other.read())

    assert [meter.noted(each) for each in notes] == readings


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


def described(name: str, *, flags: str = "", cpus: int = 4, sockets: int = 1) -> str:
    each = "processor\t: {0}\nvendor_id\t: x\nmodel name\t: {1}\nphysical id\t: {2}\nflags\t\t: {3}\n\n"
    return "".join(each.format(n, name, n % sockets, flags) for n in range(cpus))


@pytest.mark.parametrize(
    ("name", "found", "watts"),
    [
        ("Intel(R) Xeon(R) Platinum 8259CL CPU @ 2.50GHz", "Xeon Platinum 8259CL", 210 / 48),
        ("Intel(R) Xeon(R) CPU E5-2686 v4 @ 2.30GHz", "Xeon E5-2686 v4", 145 / 36),
        ("Intel(R) Xeon(R) Platinum 8480+", "Xeon Platinum 8480+", 350 / 112),
        ("AMD EPYC 7763 64-Core Processor", "EPYC 7763", 280 / 128),
        ("AMD EPYC 9755 128-Core Processor", "EPYC 9755", 500 / 256),
    ],
)
def test_a_vm_has_its_share_of_the_processor_that_it_names(
    name: str, found: str, watts: float
) -> None:
    power = cpu_power(described(name, flags="fpu hypervisor sse"))

    assert power.name == found
    assert power.full == pytest.approx(watts)
    assert (power.source, power.uncertainty) == ("tdp_model", 0.36)


def test_a_whole_machine_has_all_sockets_whatever_threads_are_on() -> None:
    power = cpu_power(described("AMD EPYC 7763 64-Core Processor", cpus=128, sockets=2))

    assert power.full * 128 == pytest.approx(2 * 280)


@pytest.mark.parametrize("name", ["AMD EPYC", "AMD EPYC 77631", "Neoverse-V2", ""])
def test_a_processor_without_a_row_is_a_typical_one(name: str) -> None:
    power = cpu_power(described(name))

    assert (power.name, power.source, power.uncertainty) == (None, "tdp_model", 0.36)


def test_a_design_power_that_is_told_counts_before_the_name(tmp_path: Path) -> None:
    file = stat(tmp_path / "stat", user=0, idle=0)
    (tmp_path / "cpuinfo").write_text(described("AMD EPYC 7763 64-Core Processor"))

    (meter,) = discover_tdp(tmp_path / "cpuinfo", file, {"GREENOPS_CPU_TDP": "400/64"})

    assert meter.info.rated_power == pytest.approx(4 * 400 / 64)


@pytest.mark.parametrize("text", ["280", "a/b", "280/0", "0/64", "1e9/2", "999999/2", "-5/2"])
def test_a_design_power_that_makes_no_sense_is_refused(tmp_path: Path, text: str) -> None:
    file = stat(tmp_path / "stat", user=0, idle=0)

    with pytest.raises(AdapterUnsupported, match="GO0712 `GREENOPS_CPU_TDP`"):
        discover_tdp(tmp_path / "none", file, {"GREENOPS_CPU_TDP": text})


def test_a_family_without_coefficients_is_left_to_the_design_power(tmp_path: Path) -> None:
    file = stat(tmp_path / "stat", user=0, idle=0)
    (tmp_path / "cpuinfo").write_text("vendor_id : AuthenticAMD\ncpu family : 26\nmodel : 2\n")

    with pytest.raises(AdapterUnsupported, match="no coefficients"):
        discover_family(tmp_path / "cpuinfo", file)
    assert discover_tdp(tmp_path / "cpuinfo", file, {})[0].info.name == "tdp_model"


def test_a_machine_without_proc_has_no_model_and_says_so(tmp_path: Path) -> None:
    with pytest.raises(AdapterUnsupported, match="GO0712"):
        discover_tdp(tmp_path / "none", tmp_path / "none", {})


@pytest.mark.parametrize("line", ["cpu family : x", "model : -", "stepping : unknown", "\x00\xff"])
def test_a_description_that_is_garbage_is_a_typical_processor(line: str) -> None:
    assert cpu_power(f"vendor_id : AuthenticAMD\n{line}\n").name is None
