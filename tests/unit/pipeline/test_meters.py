"""Which meters are used: sources are fakes, the order and the rule of overlap are the product's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest

from greenops.domain.energy import Boundary, MeterInfo, Method
from greenops.errors import AdapterUnavailable, UsageError
from greenops.pipeline import meters
from greenops.pipeline.meters import OWN, Asked, overlap, survey
from greenops.pipeline.polled_meter import PolledMeter
from greenops.ports import EnergyMeter
from greenops.testing.meters import SyntheticMeter


class Named(SyntheticMeter):
    """A synthetic meter that says it is of some source."""

    def __init__(self, name: str, device: str, kind: str, update_s: float = 0.1) -> None:
        super().__init__()
        boundary = Boundary.NODE if kind == "host" else Boundary.CHIP
        self._info = MeterInfo(
            name, device, kind, Method.MEASURED, boundary, 0.05, update_period=update_s
        )


def sources(**found: Sequence[EnergyMeter] | Exception) -> Any:
    def load(name: str) -> Callable[[], Callable[[], Sequence[EnergyMeter]]]:
        def discover() -> Sequence[EnergyMeter]:
            what = found[name]
            if isinstance(what, Exception):
                raise what
            return what

        return lambda: discover

    return {name: load(name) for name in found}


def asked(environ: dict[str, str] | None = None, **found: Any) -> dict[str, Asked]:
    return {each.source: each for each in survey(environ or {}, sources(**found))}


def names(said: dict[str, Asked]) -> list[str]:
    return [meter.info.device for each in said.values() for meter in each.chosen]


def test_sources_are_asked_from_the_silicon_outwards_and_models_last() -> None:
    assert list(meters._sources()) == list(OWN)
    assert list(OWN) == [
        "nvml",
        "amdsmi",
        "perf",
        "rapl",
        "hwmon",
        "redfish",
        "prometheus",
        "spec_model",
        "tdp_model",
    ]


@pytest.mark.feature("J8")
def test_a_machine_with_everything_is_counted_once() -> None:
    given = {
        "nvml": [Named("nvml", "GPU-a", "gpu"), Named("nvml", "GPU-b", "gpu")],
        "amdsmi": [Named("amdsmi", "AMD-c", "gpu")],
        "perf": [Named("perf", "package-0", "cpu"), Named("perf", "package-1", "cpu")],
        "rapl": [Named("rapl", "package-0", "cpu")],
        "hwmon": [
            Named("hwmon", "ina-cpu", "cpu"),
            Named("hwmon", "dram", "memory"),
            Named("hwmon", "whole", "host"),
        ],
        "redfish": [Named("redfish", "redfish-1", "host")],
        "prometheus": [Named("dcgm", "GPU-a", "gpu"), Named("kepler", "kepler-cpu", "cpu")],
        "tdp_model": [Named("tdp_model", "cpu", "cpu")],
    }

    said = asked(**given)

    assert names(said) == ["GPU-a", "GPU-b", "AMD-c", "package-0", "package-1", "dram"]
    assert said["rapl"].why == "`perf` measures the processor already"
    assert said["redfish"].why == (
        "`redfish-1`: `nvml` has the gpu already, which is a part of the whole machine"
    )
    assert said["redfish"].mend == "`GREENOPS_METERS=redfish` would use it alone"
    assert said["prometheus"].why == (
        "`GPU-a`: `nvml` has the gpu already; `kepler-cpu`: `perf` has the cpu already"
    )
    passed = [*given["hwmon"][::2], *given["redfish"], *given["prometheus"]]
    assert all(meter.closed for meter in passed)
    assert not given["rapl"][0].closed
    infos = [meter.info for each in said.values() for meter in each.chosen]
    assert not any(overlap(one, other) for one, other in combinations(infos, 2))


@pytest.mark.feature("J8")
def test_a_whole_machine_takes_the_place_of_all_its_parts() -> None:
    said = asked(
        redfish=[Named("redfish", "redfish-1", "host")],
        prometheus=[Named("kepler", "kepler-cpu", "cpu")],
        tdp_model=[Named("tdp_model", "cpu", "cpu")],
    )

    assert names(said) == ["redfish-1"]
    assert said["prometheus"].why == "`kepler-cpu`: `redfish` has the whole machine already"
    assert said["tdp_model"].why == "`redfish` measures the processor already"


@pytest.mark.parametrize(
    ("first", "second", "used"),
    [
        ("nvml", "amdsmi", 2),
        ("nvml", "hwmon", 2),
        ("amdsmi", "hwmon", 1),
        ("nvml", "dcgm", 1),
    ],
)
def test_boards_of_two_vendors_are_both_metered_and_one_board_once(
    first: str, second: str, used: int
) -> None:
    said = asked(one=[Named(first, "a", "gpu")], other=[Named(second, "b", "gpu")])

    assert len(names(said)) == used


def test_a_processor_without_a_meter_is_modeled_beside_boards_with_one() -> None:
    said = asked(
        nvml=[Named("nvml", "GPU-a", "gpu")],
        rapl=AdapterUnavailable("GO0711", "cannot be read", fix="let the service read it"),
        spec_model=[Named("spec_model", "cpu", "cpu")],
        tdp_model=[Named("tdp_model", "cpu", "cpu")],
    )

    assert names(said) == ["GPU-a", "cpu"]
    assert (said["rapl"].why, said["rapl"].mend) == ("cannot be read", "let the service read it")
    assert said["tdp_model"].why == "`spec_model` measures the processor already"


def test_modules_are_metered_side_by_side_and_nothing_that_lies_in_them() -> None:
    boards = [Named("nvml", "GPU-a", "gpu"), Named("nvml", "GPU-b", "gpu")]
    for board in boards:
        board._info = replace(board.info, boundary=Boundary.MODULE)

    said = asked(
        nvml=boards,
        rapl=[Named("rapl", "package-0", "cpu")],
        hwmon=[Named("hwmon", "grace-cpu", "cpu"), Named("hwmon", "grace-dram", "memory")],
        redfish=[Named("redfish", "redfish-1", "host")],
        spec_model=[Named("spec_model", "cpu", "cpu")],
    )

    assert names(said) == ["GPU-a", "GPU-b"]
    held = "`nvml` has the whole module already, with its processor and memory"
    assert said["hwmon"].why == (f"`grace-cpu`: {held}; `grace-dram`: {held}")
    assert said["rapl"].why == said["spec_model"].why == "`nvml` measures the processor already"


def test_the_sources_that_are_set_are_asked_alone_in_that_order() -> None:
    given = {
        "nvml": [Named("nvml", "GPU-a", "gpu")],
        "redfish": [Named("redfish", "redfish-1", "host")],
        "rapl": [Named("rapl", "package-0", "cpu")],
    }

    said = asked({"GREENOPS_METERS": "redfish, nvml"}, **given)

    assert list(said) == ["redfish", "nvml"]
    assert names(said) == ["redfish-1"]
    assert asked({"GREENOPS_METERS": " , "}, **given).keys() == given.keys()


def test_a_source_that_is_not_known_names_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"GO0802 .*`redfihs`; known: redfish"):
        asked({"GREENOPS_METERS": "redfihs"}, redfish=[], nvml=[])


def test_a_driver_that_raises_anything_does_not_stop_the_next(
    caplog: pytest.LogCaptureFixture,
) -> None:
    said = asked(nvml=RuntimeError("boom"), rapl=[Named("rapl", "package-0", "cpu")])

    assert names(said) == ["package-0"]
    assert said["nvml"].why == "RuntimeError('boom')"
    assert "GO0702" in caplog.text


def test_a_meter_that_cannot_be_closed_when_passed_over_is_a_warning(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck = Named("kepler", "kepler-cpu", "cpu")
    monkeypatch.setattr(stuck, "close", lambda: 1 / 0)

    said = asked(rapl=[Named("rapl", "package-0", "cpu")], prometheus=[stuck])

    assert names(said) == ["package-0"]
    assert "GO0702" in caplog.text


def test_a_meter_that_steps_seldom_is_asked_in_a_thread_of_its_own() -> None:
    said = asked(
        redfish=[Named("redfish", "redfish-1", "host", update_s=5.0)],
    )

    (meter,) = said["redfish"].chosen

    assert isinstance(meter, PolledMeter)
    meter.close()
    meter._thread.join()


def test_readings_are_logged_where_a_folder_is_set(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GREENOPS_METER_LOG", str(tmp_path))
    monkeypatch.setattr(meters, "survey", lambda: [Asked("rapl", (Named("rapl", "p", "cpu"),))])

    (meter,) = meters.discover("shop")
    meter.read()
    meter.close()

    (log,) = tmp_path.glob("shop-*.jsonl")
    assert len(log.read_text().splitlines()) == 1
