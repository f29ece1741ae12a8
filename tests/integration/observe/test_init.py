"""`greenops.init()` in processes of its own: providers are global, so each test gets a fresh one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from math import fsum
from pathlib import Path

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

HEAD = """
import sys, types, json
from greenops.domain.factors import FactorTable
fake = types.ModuleType("greenops.adapters.factor_file")
class FactorFile:
    def __init__(self, path=None, shipped=True): pass
    def table(self): return FactorTable("v", {})
fake.FactorFile = FactorFile
sys.modules["greenops.adapters.factor_file"] = fake
import greenops
from opentelemetry import trace, metrics
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
memory = InMemorySpanExporter()
def join():
    made = TracerProvider()
    made.add_span_processor(BatchSpanProcessor(memory))
    trace.set_tracer_provider(made)
    return made
def show():
    print(json.dumps([[s.name, dict(s.attributes)] for s in memory.get_finished_spans()]))
"""


CLEAN = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "GREENOPS_"))}


def run(body: str, folder: Path, told: str = "", **environ: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", HEAD + body],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        cwd=Path(__file__).parents[3],
        env={**CLEAN, "GREENOPS_METER_LOG": str(folder), **environ},
    )
    assert done.returncode == 0, done.stderr
    assert told in done.stderr
    assert told or "Traceback" not in done.stderr, done.stderr
    return done.stdout


@pytest.mark.slow
def test_init_joins_the_provider_that_is_there_and_twice_is_once(tmp_path: Path) -> None:
    out = run(
        """
provider = join()
greenops.init(workload="w")
greenops.init()
assert len(provider._active_span_processor._span_processors) == 2
with greenops.operation("work"):
    sum(range(100000))
@greenops.operation("call")
def call(): return 7
assert call() == 7
@greenops.operation("async")
async def later(): return 8
import asyncio
assert asyncio.run(later()) == 8
provider.shutdown()
show()
""",
        tmp_path,
    )

    spans = dict(json.loads(out))

    assert set(spans) == {"work", "call", "async"}
    assert all(attributes["greenops.energy.self"] >= 0 for attributes in spans.values())
    (log,) = tmp_path.glob("w-*.jsonl")
    assert len(log.read_text().splitlines()) >= 2


@pytest.mark.slow
def test_a_batch_span_names_its_pipeline_run_workload_and_decision(tmp_path: Path) -> None:
    out = run(
        """
join()
greenops.init()
with greenops.batch("run nightly", workload="nightly-enrichment"):
    pass
from greenops.pipeline import instrument
instrument.shutdown()
show()
""",
        tmp_path,
        GREENOPS_RUN_KEY="key-1",
        GREENOPS_DECISION_ID="decision-1",
    )

    ((name, attributes),) = json.loads(out)

    assert name == "run nightly"
    assert attributes["cicd.pipeline.name"] == "nightly"
    assert attributes["cicd.pipeline.run.id"] == "key-1"
    assert attributes["greenops.workload"] == "nightly-enrichment"
    assert attributes["greenops.decision.id"] == "decision-1"


@pytest.mark.slow
def test_init_makes_a_provider_and_wrap_serves_exporters_of_ones_own(tmp_path: Path) -> None:
    out = run(
        """
greenops.init(service="shop", region="eu-central-1")
provider = trace.get_tracer_provider()
assert isinstance(provider, TracerProvider)
assert provider.resource.attributes["service.name"] == "shop"
assert type(provider.sampler).__name__ == "RecordDropped"
wrapped = greenops.wrap(memory)
provider.add_span_processor(BatchSpanProcessor(wrapped))
with greenops.operation("work"):
    pass
provider.force_flush()
show()
""",
        tmp_path,
    )

    ((_, attributes),) = json.loads(out)

    assert "greenops.energy.self" in attributes
    assert attributes["greenops.carbon.unknown"] == "no_region"


@pytest.mark.slow
def test_init_never_raises(tmp_path: Path) -> None:
    run("greenops.init()\n", tmp_path, GREENOPS_REPLAY="broken")


@pytest.mark.slow
def test_a_second_init_after_a_failed_one_adds_nothing(tmp_path: Path) -> None:
    out = run(
        """
import threading
from greenops.observe import accounts
def broken(*_): raise RuntimeError("no")
accounts.register = broken
provider = join()
before = provider._active_span_processor._span_processors
exporter = before[0].span_exporter
for _ in range(3):
    greenops.init()
assert provider._active_span_processor._span_processors == before
assert before[0].span_exporter is exporter
print([t.name for t in threading.enumerate() if t.name == "greenops-meter"])
""",
        tmp_path,
        told="GO0701",
    )

    assert out.strip() == "[]"


@pytest.mark.slow
def test_after_a_shutdown_a_later_init_starts_anew(tmp_path: Path) -> None:
    out = run(
        """
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from greenops.pipeline import instrument
reader = InMemoryMetricReader()
metrics.set_meter_provider(MeterProvider([reader]))
provider = join()
wrapped = InMemorySpanExporter()
provider.add_span_processor(BatchSpanProcessor(greenops.wrap(wrapped)))
def energy():
    scopes = reader.get_metrics_data().resource_metrics[0].scope_metrics
    metric, = [m for s in scopes for m in s.metrics if m.name == "greenops.energy"]
    return sum(point.value for point in metric.data.data_points)
totals = []
for _ in range(3):
    greenops.init()
    with greenops.operation("work"):
        sum(range(3_000_000))
    instrument.shutdown()
    totals.append(energy())
with greenops.operation("after"):
    pass
provider.shutdown()
assert len(provider._active_span_processor._span_processors) == 2
assert 0 < totals[0] < totals[1] < totals[2]
show()
memory = wrapped
show()
""",
        tmp_path,
    )

    for spans in map(json.loads, out.splitlines()):
        *works, (last, after) = spans
        assert len(works) == 3
        assert all(attributes["greenops.energy.self"] >= 0 for _, attributes in works)
        assert (last, after["greenops.energy.unknown"]) == ("after", "not_observed")


@pytest.mark.slow
@pytest.mark.parametrize("call", ["greenops.init()", ""])
def test_wrap_leaves_the_provider_to_the_service(call: str, tmp_path: Path) -> None:
    out = run(
        f"""
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
made = TracerProvider()
made.add_span_processor(SimpleSpanProcessor(greenops.wrap(memory)))
trace.set_tracer_provider(made)
assert trace.get_tracer_provider() is made
{call}
for name in ("first", "second"):
    with trace.get_tracer("service").start_as_current_span(name):
        sum(range(100000))
show()
""",
        tmp_path,
    )

    spans = dict(json.loads(out))

    assert spans["second"]["greenops.energy.self"] >= 0
    if call:
        assert spans["first"]["greenops.energy.self"] >= 0
    else:
        assert spans["first"]["greenops.energy.unknown"] == "not_observed"


@pytest.mark.slow
def test_spans_of_a_concurrent_processor_carry_energy(tmp_path: Path) -> None:
    out = run(
        """
from opentelemetry.sdk.trace import ConcurrentMultiSpanProcessor
made = TracerProvider(active_span_processor=ConcurrentMultiSpanProcessor())
made.add_span_processor(BatchSpanProcessor(memory))
trace.set_tracer_provider(made)
greenops.init()
with greenops.operation("work"):
    pass
made.shutdown()
show()
""",
        tmp_path,
    )

    ((_, attributes),) = json.loads(out)

    assert attributes["greenops.energy.self"] >= 0
    assert "greenops.carbon.unknown" in attributes


CHOSEN = """
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
reader = InMemoryMetricReader()
metrics.set_meter_provider(MeterProvider([reader]))
join()
greenops.init()
with greenops.operation("work"):
    sum(range(100000))
trace.get_tracer_provider().force_flush()
(span,) = memory.get_finished_spans()
joules = {}
for scope in reader.get_metrics_data().resource_metrics[0].scope_metrics:
    for metric in scope.metrics:
        if metric.unit == "J":
            joules[metric.name] = [
                (p.attributes.get("greenops.energy.category"), p.value) for p in metric.data.data_points
            ]
print(json.dumps([dict(span.resource.attributes), dict(span.attributes), joules]))
"""


@pytest.mark.slow
def test_what_is_chosen_for_idle_energy_is_told_by_the_resource(tmp_path: Path) -> None:
    out = run(
        CHOSEN,
        tmp_path,
        GREENOPS_IDLE_POLICY="by_reservation",
        GREENOPS_IDLE_RESERVED="0.5",
        GREENOPS_SPAN_PARTS="attribution,cost",
    )

    resource, span, joules = json.loads(out)

    assert resource["greenops.idle.policy"] == "by_reservation"
    assert resource["greenops.energy.uncertainty"] > 0
    assert span["greenops.energy.attribution"] == "cpu_time"
    assert span["greenops.cost.unknown"] == "no_region"
    parts = dict(joules["greenops.energy"])
    ((_, taken),) = joules["greenops.energy.idle_taken"]
    assert taken == pytest.approx(parts["idle"], rel=1e-6)
    assert taken <= parts["attributed"] + parts["unattributed"] + parts["overhead"]


@pytest.mark.slow
def test_without_clocks_spans_say_that_they_shared_by_wall_time(tmp_path: Path) -> None:
    out = run(CHOSEN, tmp_path, GREENOPS_METER_CLOCKS="false", GREENOPS_SPAN_PARTS="range")

    resource, span, joules = json.loads(out)

    assert resource["greenops.energy.method"] == "estimated"
    assert resource["greenops.energy.attribution"] == "wall_share"
    assert "greenops.energy.uncertainty" not in resource
    assert set(span) == {"greenops.energy.self", "greenops.carbon.unknown"}
    assert set(joules) == {"greenops.energy"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variable", "code"),
    [
        ("GREENOPS_IDLE_POLICY", "GO0734"),
        ("GREENOPS_METER_CLOCKS", "GO0733"),
        ("GREENOPS_SPAN_PARTS", "GO0730"),
    ],
)
def test_a_wrong_choice_is_told_and_costs_the_service_nothing(
    tmp_path: Path, variable: str, code: str
) -> None:
    out = run(CHOSEN, tmp_path, told=code, **{variable: "nonsense"})

    resource, span, _ = json.loads(out)

    assert resource["greenops.idle.policy"] == "separate"
    assert span["greenops.energy.self"] >= 0


@pytest.mark.slow
def test_importing_and_starting_brings_no_heavy_library(tmp_path: Path) -> None:
    out = run(
        """
join()
greenops.init()
print([name for name in ("numpy", "pyarrow", "celpy", "requests", "grpc") if name in sys.modules])
""",
        tmp_path,
    )

    assert out.strip() == "[]"


class Receiver(BaseHTTPRequestHandler):
    got: list[tuple[str, bytes]]

    def do_POST(self) -> None:
        self.got.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.slow
@pytest.mark.network
def test_made_providers_send_spans_and_then_accounts_that_agree(tmp_path: Path) -> None:
    got: list[tuple[str, bytes]] = []
    server = HTTPServer(("127.0.0.1", 0), type("R", (Receiver,), {"got": got}))
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    try:
        run(
            """
greenops.init(service="shop", workload="w", region="eu-central-1")
for _ in range(20):
    with greenops.operation("work"):
        sum(range(200000))
""",
            tmp_path,
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{server.server_port}",
            OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
            OTEL_EXPORTER_OTLP_COMPRESSION="none",
        )
    finally:
        server.shutdown()
        serving.join()
        server.server_close()

    energy, instances = [], set()
    for path, body in got:
        if path == "/v1/traces":
            for sent in ExportTraceServiceRequest.FromString(body).resource_spans:
                instances.add(_instance(sent.resource))
                for span in sent.scope_spans[0].spans:
                    values = {a.key: a.value.double_value for a in span.attributes}
                    energy.append(values["greenops.energy.self"])
    last = [body for path, body in got if path == "/v1/metrics"][-1]
    (sent_metrics,) = ExportMetricsServiceRequest.FromString(last).resource_metrics
    instances.add(_instance(sent_metrics.resource))
    (counter,) = [
        metric
        for metric in sent_metrics.scope_metrics[0].metrics
        if metric.name == "greenops.energy"
    ]
    parts = {
        next(
            a.value.string_value for a in point.attributes if a.key == "greenops.energy.category"
        ): point.as_double
        for point in counter.sum.data_points
    }
    (log,) = tmp_path.glob("shop-*.jsonl")
    readings = [json.loads(line)["joules"] for line in log.read_text().splitlines()]
    measured = readings[-1] - readings[0]
    assert len(energy) == 20
    assert fsum(energy) == parts["attributed"]
    assert abs(fsum(parts.values()) - measured) <= 1e-9 * measured
    assert len(instances) == 1


def _instance(resource: object) -> str:
    attributes = resource.attributes  # type: ignore[attr-defined]
    return str(next(a.value.string_value for a in attributes if a.key == "service.instance.id"))
