"""Every energy meter keeps the port's promises."""

from __future__ import annotations

from pathlib import Path

import pytest

from greenops.adapters import (
    amd_smi,
    cpu_model,
    hwmon,
    nvml,
    perf_events,
    powercap,
    prometheus_meter,
    redfish,
)
from greenops.adapters.meter_log import MeterLog
from greenops.domain.energy import EnergyReading
from greenops.pipeline.polled_meter import PolledMeter
from greenops.ports import EnergyMeter
from greenops.testing.meter_systems import (
    FakeAmdSmi,
    FakeNvml,
    FakePerf,
    perf_tree,
    rapl_tree,
    write_tree,
)
from greenops.testing.meters import SyntheticMeter, check_energy_meter
from greenops.units import Joules


def modeled(folder: Path) -> EnergyMeter:
    return cpu_model.discover()[0]


def rapl(folder: Path) -> EnergyMeter:
    return powercap.discover(rapl_tree(folder))[0]


def rapl_memory(folder: Path) -> EnergyMeter:
    return powercap.discover(rapl_tree(folder))[-1]


def perf(folder: Path) -> EnergyMeter:
    return perf_events.discover(perf_tree(folder), FakePerf(0, 2**32))[0]


def perf_memory(folder: Path) -> EnergyMeter:
    return perf_events.discover(perf_tree(folder, memory=True), FakePerf(0, 2**32))[-1]


def counting(folder: Path) -> EnergyMeter:
    write_tree(folder / "hwmon0", {"name": "xe", "energy1_input": "5"})
    return hwmon.discover(folder)[0]


def sampling(folder: Path) -> EnergyMeter:
    write_tree(folder / "hwmon0", {"name": "power_meter", "power1_average": "5"})
    return hwmon.discover(folder)[0]


def amd(folder: Path) -> EnergyMeter:
    return amd_smi.discover(FakeAmdSmi({"a": 5}))[0]


def page(folder: Path) -> EnergyMeter:
    here = {"GREENOPS_METER_PROMETHEUS": "http://localhost/metrics"}
    return prometheus_meter.discover(here, lambda _: "scaph_host_energy_microjoules 5\n")[0]


def chassis(folder: Path) -> EnergyMeter:
    here = {"GREENOPS_METER_REDFISH": "http://localhost/redfish/v1/Chassis/1"}
    environment = {"PowerWatts": {"Reading": 300}}
    return redfish.discover(here, lambda _: environment)[0]


def polled(folder: Path) -> EnergyMeter:
    inner = SyntheticMeter(watts={"a": 1.0})
    meter = PolledMeter(inner)
    inner.work("a", 0.001)
    meter.ask()
    return meter


def by_design_power(folder: Path) -> EnergyMeter:
    return cpu_model.discover_tdp(environ={"GREENOPS_CPU_TDP": "280/128"})[0]


def nvidia(folder: Path) -> EnergyMeter:
    return nvml.discover(FakeNvml({0: 1500}))[0]


def logged(folder: Path) -> EnergyMeter:
    return MeterLog(SyntheticMeter(), folder / "log.jsonl")


def synthetic(folder: Path) -> EnergyMeter:
    return SyntheticMeter()


MAKERS = [
    modeled,
    by_design_power,
    rapl,
    rapl_memory,
    perf,
    perf_memory,
    counting,
    sampling,
    amd,
    nvidia,
    page,
    chassis,
    polled,
    logged,
]


@pytest.mark.parametrize("make", [*MAKERS, synthetic], ids=lambda make: make.__name__)
def test_an_energy_meter_keeps_the_promises(make, tmp_path: Path) -> None:
    meter: EnergyMeter = make(tmp_path)

    assert isinstance(meter, EnergyMeter)
    check_energy_meter(meter)


class Falling(SyntheticMeter):
    def read(self) -> EnergyReading:
        self._zero += 1.0
        return EnergyReading("package-0", 0, Joules(9.0 - self._zero))


@pytest.mark.parametrize(
    ("broken", "promise"),
    [
        (Falling, "does not fall"),
        (lambda: SyntheticMeter(device_kind="dimm"), "a device is one of"),
        (lambda: SyntheticMeter(device_kind="host"), "a whole machine is a node"),
        (lambda: SyntheticMeter(uncertainty=0), "a range is given"),
        (lambda: SyntheticMeter(update_s=3600), "once a minute"),
        (lambda: SyntheticMeter(idle=9, rated=5), "below rated power"),
        (lambda: SyntheticMeter(device=""), "have names"),
    ],
)
def test_a_meter_that_breaks_a_promise_is_told_which(broken, promise: str) -> None:
    with pytest.raises(AssertionError, match=promise):
        check_energy_meter(broken())
