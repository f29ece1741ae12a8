"""Intensity out of a real Prometheus: `make peers`; skipped where there is none."""

# Plain numbers stand for grams here.
# mypy: disable-error-code="arg-type,union-attr,dict-item,comparison-overlap,operator,misc"

import shutil
import socket
import subprocess
import time
from datetime import UTC, datetime, timedelta

import pytest
import requests

from greenops.adapters.prometheus_grid import PrometheusGrid
from greenops.errors import AdapterUnavailable, DataMissing
from greenops.testing.grid import check_grid_without_forecasts

pytestmark = [
    pytest.mark.peer,
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.skipif(
        not (shutil.which("prometheus") and shutil.which("promtool")),
        reason="no Prometheus here: make peers, or apt-get install --no-install-recommends prometheus",
    ),
]
STEP = timedelta(minutes=5)
EXPORTER = 'grid_intensity_carbon_average{location="DE",provider="Ember",units="gCO2e per kWh",is_estimated="true",node="a"}'
OURS = (
    'greenops_grid_carbon_intensity_grams_per_kwh{greenops_region="us-west-1",greenops_zone="CISO"}'
)


def value(metric, index):
    return (300 if metric == EXPORTER else 200) + index % 50


@pytest.fixture(scope="module")
def times():
    """Six hours of whole five minutes that are over, so that Prometheus takes them for history."""
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    first = now - timedelta(minutes=now.minute % 5) - timedelta(hours=9)
    return [first + i * STEP for i in range(72)]


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory, times):
    """A server over samples that were put into its store before."""
    folder = tmp_path_factory.mktemp("prometheus")
    rows = [
        f"{metric} {value(metric, index)} {int(at.timestamp())}"
        for metric in (EXPORTER, OURS)
        for index, at in enumerate(times)
        if not (metric == EXPORTER and index in {30, 31})
    ]
    (folder / "samples").write_text("\n".join(rows) + "\n# EOF\n")
    data = folder / "data"
    made = ["promtool", "tsdb", "create-blocks-from", "openmetrics", folder / "samples", data]
    subprocess.run(made, check=True, capture_output=True)
    (folder / "empty.yml").write_text("")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder / 'empty.yml'}",
                f"--storage.tsdb.path={data}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(url, server)
        yield url
    finally:
        server.terminate()
        server.wait(30)


def _wait(url, server):
    until = time.monotonic() + 60
    while time.monotonic() < until and server.poll() is None:
        try:
            if requests.get(f"{url}/-/ready", timeout=2).ok:
                return
        except requests.ConnectionError:
            pass
        time.sleep(0.05)
    pytest.fail("Prometheus did not start")


def asked(url, **more):
    name = "GREENOPS_GRID_PROMETHEUS"
    environ = {name: url, f"{name}_FACTORS": "lifecycle"}
    return PrometheusGrid(environ | {f"{name}_{key}": said for key, said in more.items()})


def test_the_exporters_metric_is_read_as_it_was_stored(prometheus, times):
    series = asked(prometheus).actual("DE", times[0], times[24])

    assert series.start == times[0]
    assert series.values == tuple(value(EXPORTER, i) for i in range(24))
    assert series.estimated == (True,) * 24


def test_the_port_is_kept(prometheus, times):
    grid = asked(prometheus, ZONES="DE")

    check_grid_without_forecasts(grid, "DE", times[1] + STEP / 3, times[20])


def test_our_own_metric_is_read(prometheus, times):
    query = "greenops_grid_carbon_intensity_grams_per_kwh"

    series = asked(prometheus, QUERY=query, SIGNAL="average").actual("CISO", times[0], times[6])

    assert series.values == tuple(value(OURS, i) for i in range(6))


def test_a_hole_is_a_gap_after_the_time_that_prometheus_looks_back(prometheus, times):
    values = asked(prometheus).actual("DE", times[28], times[36]).values

    # It looks back five minutes, both ends included in this version, so one step of the hole is filled.
    assert values[:2] == (328, 329)
    assert None in values[2:4]
    assert values[4:] == (332, 333, 334, 335)


def test_a_query_that_is_not_promql_is_said_in_its_words(prometheus, times):
    with pytest.raises(DataMissing, match=r"GO0324 .*parse error"):
        asked(prometheus, QUERY="rate(x)", SIGNAL="average").actual("DE", times[0], times[6])


def test_a_zone_that_is_not_there_and_a_server_that_is_not_there_are_said(prometheus, times):
    with pytest.raises(DataMissing, match=r"GO0303 .*gave nothing for grid zone `FR`"):
        asked(prometheus).actual("FR", times[0], times[6])
    with pytest.raises(AdapterUnavailable, match="GO0320"):
        asked("http://127.0.0.1:9").actual("DE", times[0], times[6])
