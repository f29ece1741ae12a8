"""The real Collector with our configuration puts on spans what our Python path does, and goes on while tables change."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from greenops.adapters import collector_files, language_model_file
from greenops.adapters.clock import SystemClock
from greenops.adapters.factor_file import FactorFile
from greenops.adapters.otelcol import peers_folder, validate
from greenops.errors import InvalidFile
from greenops.observe import attributes as names
from greenops.observe.enrichment import CARBON_REASONS, REASONS, WANTED, Enricher
from greenops.observe.enrichment_batch import SeenSpan, batch_of
from greenops.observe.enrichment_tables import (
    EnrichmentTables,
    RegionRow,
    coefficients,
    region_rows_at,
)
from greenops.pipeline.collector_config import Wiring
from greenops.pipeline.collector_here import files_of, table_files
from greenops.pipeline.collector_tables import FILES, parse
from greenops.testing.collected_spans import CollectedSpan, SpanMaker
from greenops.units import JOULES_PER_KWH

pytestmark = [pytest.mark.peer, pytest.mark.network, pytest.mark.slow, pytest.mark.untraced]

FACTORS = FactorFile(None).table()
NOW = SystemClock.from_environment().wall()
NOW_NS = int(NOW.timestamp() * 1000) * 1_000_000
HOUR = timedelta(hours=1)
ROOT = Path(__file__).parents[3]


def tables(intensity: float = 250.0) -> EnrichmentTables:
    """The shipped ones, with regions whose rows have begun, have ended, or know no intensity."""
    rows = {row.region: row for row in region_rows_at(FACTORS, NOW)}
    made = (
        RegionRow("live-1", "DE", 1.2, intensity, NOW - HOUR, NOW + HOUR),
        RegionRow("late-1", "DE", 1.3, 300.0, NOW - 3 * HOUR, NOW - timedelta(seconds=30)),
        RegionRow("dark-1", "DE", 1.3, None),
    )
    rows.update({row.region: row for row in made})
    return EnrichmentTables(
        coefficients(language_model_file.shipped()),
        tuple(rows[region] for region in sorted(rows)),
        {"nightly-embed": 120.5, 'odd "name"\\ $HOME': 33.0},
        "1f" * 32,
    )


def maker(seed: int, of: EnrichmentTables) -> SpanMaker:
    return SpanMaker(
        seed,
        models=[each.name for each in of.models],
        regions=["live-1", "late-1", "dark-1", "eu-central-1", "eastus", "af-south-1"],
        workloads=list(of.watts),
        now_ns=NOW_NS,
    )


def ours(spans: Sequence[CollectedSpan], of: EnrichmentTables) -> list[dict[str, object]]:
    """Attributes of each span after our Python path."""
    seen = [
        SeenSpan(each.kind, not each.parent, each.start_ns, each.end_ns, row, each.attributes)
        for row, each in enumerate(spans)
    ]
    found = Enricher(of).enrich(batch_of(seen, [each.resource for each in spans], WANTED))
    rows = []
    for row, span in enumerate(spans):
        more: dict[str, object | None] = {
            names.ENERGY_METHOD: found.method_of(row),
            names.ENERGY_UNKNOWN: found.unknown_of(row),
            names.CARBON_UNKNOWN: found.carbon_unknown_of(row),
            names.ENERGY_SELF: _number(found.energy_j[row]),
            names.CARBON_SELF: _number(found.carbon_g[row]),
        }
        rows.append({**span.attributes, **{k: v for k, v in more.items() if v is not None}})
    return rows


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def same(found: dict[str, object], expected: dict[str, object]) -> bool:
    if found.keys() != expected.keys():
        return False
    return all(_alike(value, expected[key]) for key, value in found.items())


def added(said: dict[str, object]) -> dict[str, object]:
    ours = {name: value for name, value in said.items() if name.startswith("greenops.")}
    return {name: value for name, value in ours.items() if not isinstance(value, list)}


def _alike(one: object, other: object) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9) or (math.isnan(one) and math.isnan(other))
    return one == other


class Agent:
    """The real Collector as `collector render --role agent` has it."""

    def __init__(self, folder: Path, sink: Any, run: Any, ports: Any, binary: Path) -> None:
        self.folder = folder
        grpc_port, http_port, health_port = ports(3)
        self.wiring = Wiring(
            tables=folder,
            grpc_port=grpc_port,
            http_port=http_port,
            health_port=health_port,
            upstream=f"127.0.0.1:{sink.port}",
        )
        self.write(tables())
        self.running = run(
            [str(binary), f"--config={folder / 'otelcol.yaml'}"], grpc_port, folder / "log.txt"
        )

    def write(self, of: EnrichmentTables) -> None:
        collector_files.write(self.folder, files_of("agent", of, self.wiring))

    def tables(self) -> EnrichmentTables:
        return parse(collector_files.read(self.folder, FILES))


@pytest.fixture
def agent(tmp_path: Path, sink: Any, run: Any, ports: Any, otelcol: Path) -> Agent:
    return Agent(tmp_path, sink, run, ports, otelcol)


@pytest.mark.feature("J1")
@pytest.mark.feature("K8")
def test_ten_thousand_spans_come_out_of_the_collector_as_out_of_our_python(
    agent: Agent, sink: Any, make_request: Callable[..., Any]
) -> None:
    spans = maker(6, tables()).spans(10_000)

    for first in range(0, len(spans), 1000):
        agent.running.send(make_request(spans[first : first + 1000], first))
    sink.wait_for(len(spans))

    expected = ours(spans, agent.tables())
    wrong = [
        (spans[row], sink.spans[row + 1], want)
        for row, want in enumerate(expected)
        if not same(sink.spans[row + 1], want)
    ]
    assert not wrong, f"{len(wrong)} differ, such as {wrong[0]}"
    told = Counter(str(each.get(names.ENERGY_UNKNOWN)) for each in expected)
    assert set(told) >= {*REASONS[1:], "None"}
    carbon = Counter(str(each.get(names.CARBON_UNKNOWN)) for each in expected)
    assert set(carbon) >= {*CARBON_REASONS[1:], "None"}
    assert sum(names.CARBON_SELF in each for each in expected) > 1000


def test_tables_are_reloaded_under_load_and_no_span_is_lost(
    agent: Agent, sink: Any, make_request: Callable[..., Any]
) -> None:
    home = {"cloud.region": "live-1"}
    said = {"greenops.energy.self": 3.6e6}
    span = CollectedSpan("s", 2, False, NOW_NS - 1, NOW_NS, said, home)
    intensities = [100.0, 200.0, 300.0]
    sent = 0
    done = threading.Event()

    def load() -> None:
        nonlocal sent
        while not done.is_set():
            agent.running.send(make_request([span] * 100, sent))
            sent += 100

    loader = threading.Thread(target=load)
    loader.start()
    for intensity in intensities:
        agent.write(tables(intensity))
        agent.running.reload()
        _wait_until(
            lambda grams=intensity * 1.2: sink.newest(names.CARBON_SELF) == pytest.approx(grams)
        )
    _wait_until(lambda: sent > 1000)
    done.set()
    loader.join()
    sink.wait_for(sent)

    seen = {round(float(each[names.CARBON_SELF]) / 1.2) for each in sink.spans.values()}
    assert seen >= {100, 200, 300}


def _wait_until(holds: Callable[[], bool], within_s: float = 20.0) -> None:
    end = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_broken_table_stops_no_span(
    agent: Agent, sink: Any, make_request: Callable[..., Any]
) -> None:
    """A Collector that is told to read a broken file ends; so tables are replaced whole, and checked before that."""
    good = (agent.folder / "enrichment.yaml").read_text()
    (agent.folder / "enrichment.yaml").write_text(
        good.replace("trace_statements", "trace_statments")
    )

    with pytest.raises(InvalidFile, match="GO0922"):
        validate(agent.folder / "otelcol.yaml")

    (agent.folder / "enrichment.yaml").write_text(good)
    assert validate(agent.folder / "otelcol.yaml").name


@pytest.mark.parametrize("role", ["agent", "gateway"])
def test_the_collector_finds_nothing_wrong_with_what_is_rendered(
    role: str, tmp_path: Path, otelcol: Path
) -> None:
    wiring = Wiring(
        tables=tmp_path,
        traces="tempo:4317",
        metrics_url="http://prometheus:9090/api/v1/otlp",
        kepler="localhost:28282",
        dcgm="localhost:9400",
    )
    collector_files.write(tmp_path, files_of(role, tables(), wiring))

    assert validate(tmp_path / "otelcol.yaml", otelcol) == otelcol


def test_a_gateway_counts_every_span_and_keeps_some_for_the_trace_store(
    tmp_path: Path,
    sink: Any,
    trace_store: Any,
    run: Any,
    ports: Any,
    otelcol: Path,
    make_request: Callable[..., Any],
) -> None:
    grpc_port, http_port, health_port = ports(3)
    wiring = Wiring(
        tables=tmp_path,
        grpc_port=grpc_port,
        http_port=http_port,
        health_port=health_port,
        upstream=f"127.0.0.1:{sink.port}",
        traces=f"127.0.0.1:{trace_store.port}",
        sample_percent=0.0,
    )
    made = files_of("gateway", tables(), wiring)
    made["otelcol.yaml"] = made["otelcol.yaml"].replace("decision_wait: 10s", "decision_wait: 1s")
    collector_files.write(tmp_path, made)
    line = [str(otelcol), f"--config={tmp_path / 'otelcol.yaml'}"]
    gateway = run(line, grpc_port, tmp_path / "log")
    home = {"cloud.region": "live-1", "service.name": "shop"}
    cheap = CollectedSpan("s", 2, False, NOW_NS - 1000, NOW_NS, {names.ENERGY_SELF: 1.5}, home)
    costly = CollectedSpan("s", 2, False, NOW_NS - 1000, NOW_NS, {names.ENERGY_SELF: 500.0}, home)
    energy = 99 * 1.5 + 500.0

    gateway.send(make_request([cheap] * 99 + [costly]))
    sink.wait_for(100)
    trace_store.wait_for(1)
    _wait_until(lambda: "greenops.spans.carbon" in sink.points)

    assert list(trace_store.spans) == [100]
    told = {name: points[-1] for name, points in sink.points.items()}
    assert told["greenops.spans.energy"].as_double == pytest.approx(energy)
    grams = energy / JOULES_PER_KWH * 1.2 * 250.0
    assert told["greenops.spans.carbon"].as_double == pytest.approx(grams)
    assert told["greenops.spans.seen"].as_int == 100


EXPORTED = """# TYPE DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION counter
DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{UUID="GPU-1",gpu="0"} 5000
# TYPE DCGM_FI_DEV_POWER_USAGE gauge
DCGM_FI_DEV_POWER_USAGE{UUID="GPU-1",gpu="0"} 70.5
# TYPE DCGM_FI_DEV_GPU_TEMP gauge
DCGM_FI_DEV_GPU_TEMP{UUID="GPU-1",gpu="0"} 40
# TYPE kepler_node_cpu_joules_total counter
kepler_node_cpu_joules_total{zone="package",path="/sys/x"} 1234.5
# TYPE kepler_node_cpu_watts gauge
kepler_node_cpu_watts{zone="package",path="/sys/x"} 25
"""
"""What Kepler and NVIDIA's DCGM exporter say, in their own words."""


def test_exporters_of_energy_are_told_as_meters(
    tmp_path: Path, sink: Any, run: Any, ports: Any, otelcol: Path, exporter: Callable[[str], str]
) -> None:
    grpc_port, http_port, health_port = ports(3)
    target = exporter(EXPORTED)
    wiring = Wiring(
        tables=None,
        grpc_port=grpc_port,
        http_port=http_port,
        health_port=health_port,
        upstream=f"127.0.0.1:{sink.port}",
        kepler=target,
        dcgm=target,
    )
    made = files_of("agent", tables(), wiring)
    text = made["otelcol.yaml"].replace("15s", "1s")
    collector_files.write(tmp_path, {"otelcol.yaml": text})
    run([str(otelcol), f"--config={tmp_path / 'otelcol.yaml'}"], grpc_port, tmp_path / "log")

    _wait_until(lambda: {"hw.energy", "hw.power", "system.cpu.time"} <= set(sink.points))
    _wait_until(lambda: len({_device(each) for each in sink.points["hw.energy"]}) > 1)

    energy = {_device(each): each.as_double for each in sink.points["hw.energy"]}
    power = {_device(each): each.as_double for each in sink.points["hw.power"]}
    assert energy == {("gpu", "GPU-1"): 5.0, ("cpu", "package"): 1234.5}
    assert power == {("gpu", "GPU-1"): 70.5, ("cpu", "package"): 25.0}
    assert sink.units["hw.energy"] == "J"
    assert sink.sums >= {"hw.energy"}
    assert "DCGM_FI_DEV_GPU_TEMP" not in sink.points


def _device(point: Any) -> tuple[str, str]:
    said = {each.key: each.value.string_value for each in point.attributes}
    return said["hw.type"], said["hw.id"]


FOLDERS = ("collectors", "collectors/compose", "collectors/kubernetes/collector/agent", "collectors/kubernetes/collector/gateway")  # fmt: skip


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_collector_finds_nothing_wrong_with_what_is_shipped(
    folder: str, tmp_path: Path, otelcol: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NODE_IP", "10.0.0.1")
    collector_files.write(tmp_path, table_files(tables()))
    text = (ROOT / folder / "otelcol.yaml").read_text()
    (tmp_path / "otelcol.yaml").write_text(
        text.replace("/var/lib/greenops/collector", str(tmp_path))
    )

    assert validate(tmp_path / "otelcol.yaml", otelcol) == otelcol


@pytest.fixture
def rotel() -> Path:
    found = peers_folder() / "rotel-agent"
    if not found.exists():
        pytest.skip("no rotel; `make peers` installs it")
    return found.resolve()


class Rotel:
    """The real rotel with the processor that `collector render --role rotel` writes."""

    def __init__(self, folder: Path, sink: Any, run: Any, ports: Any, binary: Path) -> None:
        self.folder = folder
        grpc_port, http_port = ports(2)
        self.write(tables())
        line = f"""{binary} start --otlp-grpc-endpoint 127.0.0.1:{grpc_port}
            --otlp-http-endpoint 127.0.0.1:{http_port} --exporter otlp
            --otlp-exporter-endpoint http://127.0.0.1:{sink.port} --otlp-exporter-compression none
            --otlp-with-trace-processor {folder}/greenops_rotel.py"""
        path = {"PYTHONPATH": str(binary.parents[1])}
        self.running = run(line.split(), grpc_port, folder / "log.txt", path)

    def write(self, of: EnrichmentTables) -> None:
        collector_files.write(self.folder, files_of("rotel", of, Wiring(tables=self.folder)))


def test_ten_thousand_spans_come_out_of_rotel_as_out_of_our_python(
    tmp_path: Path, sink: Any, run: Any, ports: Any, rotel: Path, make_request: Callable[..., Any]
) -> None:
    """What we add, that is: rotel 0.0.1a15 itself turns a list about that a processor passes by."""
    made = Rotel(tmp_path, sink, run, ports, rotel)
    spans = maker(7, tables()).spans(10_000)

    for first in range(0, len(spans), 1000):
        made.running.send(make_request(spans[first : first + 1000], first))
    sink.wait_for(len(spans))

    expected = ours(spans, tables())
    wrong = [
        (spans[row], sink.spans[row + 1], want)
        for row, want in enumerate(expected)
        if not same(added(sink.spans[row + 1]), added(want))
    ]
    assert not wrong, f"{len(wrong)} differ, such as {wrong[0]}"


def test_rotel_takes_a_new_table_while_it_runs(
    tmp_path: Path, sink: Any, run: Any, ports: Any, rotel: Path, make_request: Callable[..., Any]
) -> None:
    made = Rotel(tmp_path, sink, run, ports, rotel)
    home = {"cloud.region": "live-1"}
    span = CollectedSpan("s", 2, False, NOW_NS - 1, NOW_NS, {names.ENERGY_SELF: 3.6e6}, home)

    def grams_are(expected: float, sent: list[int]) -> bool:
        made.running.send(make_request([span], sent[0]))
        sent[0] += 1
        return bool(sink.newest(names.CARBON_SELF) == pytest.approx(expected))

    sent = [0]
    _wait_until(lambda: grams_are(250.0 * 1.2, sent))
    made.write(tables(400.0))
    _wait_until(lambda: grams_are(400.0 * 1.2, sent))
    sink.wait_for(sent[0])
