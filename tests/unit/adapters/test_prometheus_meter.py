"""Pages as Kepler, Scaphandre and dcgm-exporter write them, served by a fake on the loopback interface."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from greenops.adapters import prometheus_meter
from greenops.adapters.prometheus_meter import discover
from greenops.errors import AdapterUnavailable, AdapterUnsupported
from greenops.ports import EnergyMeter
from greenops.testing.http_pages import FakePages

KEPLER = """\
# HELP kepler_node_cpu_joules_total Energy consumption of cpu at node level in joules
# TYPE kepler_node_cpu_joules_total counter
kepler_node_cpu_joules_total{node_name="n1",path="/sys/class/powercap/intel-rapl:0",zone="package"} 100.5
kepler_node_cpu_joules_total{node_name="n1",path="/sys/class/powercap/intel-rapl:1",zone="package"} 1e2
kepler_node_cpu_joules_total{node_name="n1",path="/sys/class/powercap/intel-rapl:0:0",zone="core"} 60
kepler_node_cpu_joules_total{node_name="n1",path="/sys/class/powercap/intel-rapl:0:1",zone="dram"} 7 1700000000000
kepler_process_cpu_joules_total{pid="1",zone="package"} 3
"""
OLD_KEPLER = """\
kepler_node_package_joules_total{instance="n1",mode="dynamic",package="0",source="rapl"} 30
kepler_node_package_joules_total{instance="n1",mode="idle",package="0",source="rapl"} 12
kepler_node_platform_joules_total{instance="n1",mode="idle",source="acpi"} 99
"""
SCAPHANDRE = """\
scaph_host_energy_microjoules 346728467994
scaph_host_power_microwatts 50000000
scaph_socket_energy_microjoules{socket_id="0"} 2000000
scaph_socket_energy_microjoules{socket_id="1"} 3000000
scaph_domain_energy_microjoules{domain_name="dram",domain_id="0",socket_id="1"} 500000
"""
DCGM = """\
DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{gpu="0",UUID="GPU-a",Hostname="h"} 15152422
DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{gpu="1",UUID="GPU-b",GPU_I_ID="3",Hostname="h"} 1000
DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{gpu="1",UUID="GPU-b",GPU_I_ID="4",Hostname="h"} 1000
"""
HERE = {"GREENOPS_METER_PROMETHEUS": "http://n1:28282/metrics"}


def told(text: str) -> Callable[[str], str]:
    return lambda _: text


def meters(text: str) -> dict[str, EnergyMeter]:
    return {each.info.device: each for each in discover(HERE, told(text))}


@pytest.mark.parametrize(
    ("text", "joules"),
    [
        (KEPLER, {"kepler-cpu": 200.5, "kepler-memory": 7.0}),
        (OLD_KEPLER, {"kepler-cpu": 42.0, "kepler-host": 99.0}),
        (
            SCAPHANDRE,
            {"scaphandre-cpu": 5.0, "scaphandre-memory": 0.5, "scaphandre-host": 346728.467994},
        ),
        (DCGM, {"GPU-a": 15152.422, "GPU-b": 1.0}),
    ],
    ids=["kepler", "kepler 0.7", "scaphandre", "dcgm"],
)
def test_series_are_summed_by_device_in_joules(text: str, joules: dict[str, float]) -> None:
    found = meters(text)

    assert {name: each.read().joules for name, each in found.items()} == pytest.approx(joules)
    assert {each.info.method for each in found.values()} == {"reported"}
    assert [each.info.device_kind == "host" for each in found.values()] == sorted(
        each.info.device_kind == "host" for each in found.values()
    )


def test_a_power_where_there_is_no_energy_is_added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0]
    monkeypatch.setattr("time.monotonic_ns", lambda: now[0])
    (meter,) = discover(HERE, told("scaph_host_power_microwatts 50000000\n"))
    meter.read()

    now[0] = 2_000_000_000

    assert meter.read().joules == 100.0


def test_the_answer_of_an_instant_query_is_read_alike() -> None:
    answer = {
        "status": "success",
        "data": {
            "resultType": "vector",
            "result": [
                {
                    "metric": {"__name__": "kepler_node_cpu_joules_total", "zone": "package"},
                    "value": [1700000000.0, "12.5"],
                }
            ],
        },
    }

    assert meters(json.dumps(answer))["kepler-cpu"].read().joules == 12.5


@pytest.mark.parametrize("label", ["instance", "node_name", "Hostname"])
def test_series_of_several_machines_are_refused(label: str) -> None:
    metric = "kepler_node_package_joules_total"
    text = "".join(f'{metric}{{{label}="{machine}"}} 1\n' for machine in "ab")

    with pytest.raises(AdapterUnavailable, match=f"several machines.*`{label}`"):
        meters(text)


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-5", "1e999"])
def test_a_value_that_is_no_energy_is_unavailable(value: str) -> None:
    text = "scaph_host_energy_microjoules 5\n"
    (meter,) = discover(HERE, lambda _: text)
    meter.read()

    text = f"scaph_host_energy_microjoules {value}\n"
    meter._page._kept = None  # type: ignore[attr-defined]

    with pytest.raises(AdapterUnavailable, match="GO0715"):
        meter.read()


@pytest.mark.parametrize(
    "text",
    [
        "scaph_host_energy_microjoules twelve\n",
        "{",
        "{}",
        '{"data": []}',
        '{"data": {"result": [{}]}}',
        '{"data": {"result": [{"metric": {}, "value": [0, ' + "9" * 400 + "]}]}}",
        '{"data": ' + "[" * 100_000,
    ],
    ids=["word", "cut", "empty", "list", "bare", "huge", "deep"],
)
def test_garbage_is_unavailable(text: str) -> None:
    with pytest.raises(AdapterUnavailable, match="GO0715"):
        meters(text)


@pytest.mark.parametrize("text", ["", "\x00\xff{{{", "<html>", "up 1\n", '{"data":{"result":[]}}'])
def test_a_page_without_known_series_is_no_meter(text: str) -> None:
    with pytest.raises(AdapterUnsupported, match="no energy series"):
        meters(text)


def test_a_series_that_goes_away_is_unavailable_until_it_comes_back() -> None:
    text = KEPLER
    meter = discover(HERE, lambda _: text)[0]

    text = "up 1\n"
    meter._page._kept = None  # type: ignore[attr-defined]
    with pytest.raises(AdapterUnavailable, match="is gone"):
        meter.read()
    text = KEPLER
    meter._page._kept = None  # type: ignore[attr-defined]

    assert meter.read().joules == 200.5
    meter.close()
    with pytest.raises(AdapterUnavailable, match="closed"):
        meter.read()


def test_all_meters_of_a_page_share_one_question() -> None:
    asked = []

    def count(url: str) -> str:
        asked.append(url)
        return SCAPHANDRE

    for meter in discover(HERE, count):
        meter.read()

    assert asked == ["http://n1:28282/metrics"]


def test_without_an_address_nothing_is_asked() -> None:
    with pytest.raises(AdapterUnsupported, match="set `GREENOPS_METER_PROMETHEUS`"):
        discover({}, lambda _: 1 / 0)  # type: ignore[return-value]


@pytest.mark.parametrize("url", ["n1:28282", "file:///etc/passwd", "http://", "http://[::1"])
def test_what_is_no_http_address_is_refused(url: str) -> None:
    with pytest.raises(AdapterUnsupported, match="must be an http address"):
        discover({"GREENOPS_METER_PROMETHEUS": url})


@pytest.mark.network
def test_a_page_is_read_over_http_and_what_is_wrong_with_it_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(prometheus_meter, "LONGEST", 10_000)
    with FakePages({"/metrics": (200, KEPLER.encode()), "/moved": (302, b"")}) as pages:
        pages.answers["/long"] = (200, b"x" * 20_000)
        here = {"GREENOPS_METER_PROMETHEUS": f"{pages.url}/metrics"}

        assert discover(here)[0].read().joules == 200.5
        for path, why in (("moved", "status 302"), ("none", "status 404"), ("long", "too long")):
            with pytest.raises(AdapterUnavailable, match=why):
                discover({"GREENOPS_METER_PROMETHEUS": f"{pages.url}/{path}"})
        pages.slow.clear()
        monkeypatch.setattr(prometheus_meter, "TIMEOUT_S", (0.1, 0.1))
        with pytest.raises(AdapterUnavailable, match="does not answer"):
            discover(here)


@pytest.mark.network
def test_a_password_in_the_address_is_used_and_never_shown() -> None:
    with FakePages({}) as pages:
        secret = pages.url.replace("http://", "http://me:hunter2@") + "/metrics?token=hunter2"

        with pytest.raises(AdapterUnavailable) as told_error:
            discover({"GREENOPS_METER_PROMETHEUS": secret})

    assert "hunter2" not in str(told_error.value)
    assert pages.asked[0][1] is not None
    with pytest.raises(AdapterUnavailable) as told_error:
        discover({"GREENOPS_METER_PROMETHEUS": secret})
    assert "hunter2" not in str(told_error.value)
