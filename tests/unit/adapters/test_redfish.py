"""The controller is a fake on the loopback interface; its answers have the shape of DMTF's schemas (DSP8010)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from greenops.adapters import redfish
from greenops.adapters.redfish import discover
from greenops.errors import AdapterUnavailable, AdapterUnsupported
from greenops.testing.http_pages import FakePages

CHASSIS = "/redfish/v1/Chassis/1"
POWER = {
    "@odata.type": "#Power.v1_7_1.Power",
    "@odata.id": f"{CHASSIS}/Power",
    "Id": "Power",
    "Name": "Power",
    "PowerControl": [
        {
            "@odata.id": f"{CHASSIS}/Power#/PowerControl/0",
            "MemberId": "0",
            "Name": "System Power Control",
            "PowerConsumedWatts": 344,
            "PowerCapacityWatts": 1600,
            "PowerMetrics": {"IntervalInMin": 30, "AverageConsumedWatts": 319},
        }
    ],
}
ENVIRONMENT = {
    "@odata.type": "#EnvironmentMetrics.v1_4_0.EnvironmentMetrics",
    "@odata.id": f"{CHASSIS}/EnvironmentMetrics",
    "Id": "EnvironmentMetrics",
    "PowerWatts": {"DataSourceUri": f"{CHASSIS}/Sensors/Power", "Reading": 374},
    "EnergykWh": {"DataSourceUri": f"{CHASSIS}/Sensors/Energy", "Reading": 325.675},
}
S = 1_000_000_000


def meter(resources: Mapping[str, Any]) -> Any:
    return discover({"GREENOPS_METER_REDFISH": f"https://bmc{CHASSIS}"}, resources.get)[0]


def test_power_is_added_up_over_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0]
    monkeypatch.setattr("time.monotonic_ns", lambda: now[0])
    found = meter({"Power": POWER})
    found.read()

    now[0] = 10 * S

    assert found.read().joules == 3440.0
    assert (found.info.device, found.info.device_kind) == ("redfish-1", "host")
    assert found.info.boundary == "node"
    assert found.info.rated_power == 1600.0


@pytest.mark.parametrize(
    ("changed", "joules"),
    [
        ({"EnergyJoules": {"Reading": 12.0}}, 12.0),
        ({"PowerWatts": None}, 325.675 * 3_600_000),
        ({"PowerWatts": {"Reading": None}}, 325.675 * 3_600_000),
    ],
    ids=str,
)
def test_the_best_property_that_has_a_number_is_read(
    changed: dict[str, Any], joules: float
) -> None:
    found = meter({"EnvironmentMetrics": {**ENVIRONMENT, **changed}})

    assert found.read().joules == pytest.approx(joules)


@pytest.mark.parametrize(
    "resource",
    [None, [], "x", {}, {"PowerWatts": 5}, {"PowerWatts": {"Reading": True}}, {"PowerWatts": []}],
    ids=str,
)
def test_a_chassis_without_power_and_energy_is_no_meter(resource: Any) -> None:
    with pytest.raises(AdapterUnsupported, match="neither power nor energy"):
        meter({"EnvironmentMetrics": resource})


@pytest.mark.parametrize("value", [-5, 1e9, float("nan"), float("inf"), None, "12", 10**400])
def test_a_number_that_is_no_power_is_unavailable_until_it_is_one_again(value: Any) -> None:
    resources: dict[str, Any] = {"EnvironmentMetrics": ENVIRONMENT}
    found = meter(resources)

    resources["EnvironmentMetrics"] = {"PowerWatts": {"Reading": value}}
    with pytest.raises(AdapterUnavailable, match="GO0716"):
        found.read()
    resources["EnvironmentMetrics"] = ENVIRONMENT

    assert found.read().joules >= 0
    found.close()
    with pytest.raises(AdapterUnavailable, match="closed"):
        found.read()


def test_without_an_address_nothing_is_asked() -> None:
    with pytest.raises(AdapterUnsupported, match="set `GREENOPS_METER_REDFISH`"):
        discover({}, lambda _: 1 / 0)


@pytest.mark.parametrize("url", ["bmc", "ftp://bmc/x", "https://", "http://[::1"])
def test_what_is_no_http_address_is_refused(url: str) -> None:
    with pytest.raises(AdapterUnsupported, match="must be an http address"):
        discover({"GREENOPS_METER_REDFISH": url})


@pytest.mark.network
def test_a_controller_is_asked_with_its_user_and_what_is_wrong_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    environment, power = f"{CHASSIS}/EnvironmentMetrics", f"{CHASSIS}/Power"
    with FakePages({power: (200, json.dumps(POWER).encode())}) as bmc:
        here = {
            "GREENOPS_METER_REDFISH": f"{bmc.url}{CHASSIS}/",
            "GREENOPS_METER_REDFISH_USER": "reader",
            "GREENOPS_METER_REDFISH_PASSWORD": "hunter2",
        }

        (found,) = discover(here)

        assert found.read().joules == 0.0
        assert found.info.rated_power == 1600.0
        assert [path for path, _ in bmc.asked] == [environment, power, power]
        assert all(user and user.startswith("Basic ") for _, user in bmc.asked)
        for answer, why in (
            ((401, b""), "status 401"),
            ((500, b"x"), "status 500"),
            ((301, b""), "status 301"),
            ((200, b"<html>"), "not JSON"),
            ((200, b"[" * 100_000), "not JSON"),
            ((200, b" " * (2**20 + 1)), "too long"),
        ):
            bmc.answers[power] = answer
            with pytest.raises(AdapterUnavailable, match=why) as told:
                found.read()
            assert "hunter2" not in str(told.value)
        bmc.slow.clear()
        monkeypatch.setattr(redfish, "TIMEOUT_S", (0.1, 0.1))
        with pytest.raises(AdapterUnavailable, match="does not answer"):
            found.read()
