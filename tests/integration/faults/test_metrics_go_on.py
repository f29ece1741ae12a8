"""A fed `greenops serve` sends every series that dashboards may ask for, and goes on from them after a kill."""

# Hand-made records: plain numbers stand for grams and joules.
# mypy: disable-error-code="arg-type"
from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from prometheus_client.parser import text_string_to_metric_families

from greenops.adapters.parquet_lake import ParquetLake
from greenops.config import Settings
from greenops.domain.action import Outcome, Receipt
from greenops.domain.console import JobRequest
from greenops.domain.replay import Replay
from greenops.domain.spans import SpanRow
from greenops.pipeline.assemble import assemble
from greenops.pipeline.footprint import Footprint
from greenops.pipeline.outcomes import RUN_KEY
from greenops.service.metrics import Telemetry
from greenops.show import metrics_catalogue
from greenops.testing.clock import FakeClock

pytestmark = [pytest.mark.network, pytest.mark.slow]

NIGHT = datetime(2021, 9, 17, 8, tzinfo=UTC)
"""An hour after midnight in California (UTC): its noon is cleaner, its evening is not."""
LATER = {"greenops_forecast_coverage_ratio", "greenops_forecast_captured_ratio"}
"""First reckoned five minutes after a start; tests/unit/service/test_metrics.py shows them on the page."""
RATE = 3600.0
JOULES, GRAMS = 9000.0, 0.5
ACCOUNTS = {"attributed": 9000.0, "idle": 400.0, "overhead": 2.0, "other_process": 30.0}
SAID = {
    "greenops.items": 4,
    "greenops.cost.self": 0.001,
    "greenops.carbon.embodied": 0.25,
    "greenops.energy.network_low": 1.0,
    "greenops.energy.network_high": 60.0,
}
CALLS = {
    "own server": {"gen_ai.usage.output_tokens": 9},
    "elsewhere": {
        "gen_ai.usage.output_tokens": 9,
        "greenops.energy.remote": 90.0,
        "greenops.energy.remote_low": 40.0,
        "greenops.energy.remote_high": 200.0,
        "greenops.carbon.remote": 0.01,
    },
}
GO_ON = (
    "greenops_carbon_location_grams_total",
    "greenops_carbon_avoided_grams_total",
    "greenops_carbon_added_grams_total",
    "greenops_carbon_embodied_grams_total",
    "greenops_cost_total",
    "greenops_energy_joules_total",
    "greenops_savings_grams",
    "greenops_sci_grams",
)
"""Series that a start must not set back."""


def put(attributes, said) -> None:
    for name, given in said.items():
        value = attributes.add(key=name).value
        if isinstance(given, str):
            value.string_value = given
        elif isinstance(given, int):
            value.int_value = given
        else:
            value.double_value = given


@dataclass
class Feeder:
    """Sends what one instrumented service would, and reads the page."""

    house: Any
    tools: Any
    sent: int = 0

    def span(self, said) -> None:
        message = ExportTraceServiceRequest()
        resource = message.resource_spans.add()
        facts = {"service.name": "enrichment", "greenops.workload": "nightly-enrichment"}
        facts |= {"cloud.region": "us-west-1", "greenops.energy.method": "measured"}
        put(resource.resource.attributes, {**facts, "greenops.energy.uncertainty": 0.05})
        self.sent += 1
        now = time.time_ns()
        span = resource.scope_spans.add().spans.add(
            name="op",
            kind=Span.SPAN_KIND_SERVER,
            trace_id=self.sent.to_bytes(16, "big"),
            span_id=self.sent.to_bytes(8, "big"),
            start_time_unix_nano=now - 10**8,
            end_time_unix_nano=now,
        )
        put(span.attributes, {"greenops.energy.self": JOULES, "greenops.carbon.self": GRAMS})
        put(span.attributes, said)
        assert self.tools.post(self.house.otlp, message)

    def accounts(self) -> None:
        message = ExportMetricsServiceRequest()
        resource = message.resource_metrics.add()
        put(resource.resource.attributes, {"service.name": "enrichment", "host.id": "h"})
        metrics = resource.scope_metrics.add().metrics
        whole = metrics.add(name="greenops.energy", unit="J").sum
        whole.aggregation_temporality = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
        for category, joules in ACCOUNTS.items():
            point = whole.data_points.add(time_unix_nano=time.time_ns(), as_double=joules)
            put(point.attributes, {"greenops.energy.category": category, "greenops.device": "cpu"})
        # One of another kind, which is refused and counted.
        refused = metrics.add(name="greenops.energy", unit="J").sum
        refused.aggregation_temporality = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
        refused.data_points.add(time_unix_nano=time.time_ns(), as_double=1.0)
        assert self.tools.post(self.house.otlp.replace("traces", "metrics"), message)

    def page(self) -> dict[str, float]:
        """Name of each series → the sum over its labels."""
        text = requests.get(f"{self.house.api}/metrics", timeout=30).text
        found: defaultdict[str, float] = defaultdict(float)
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                found[sample.name] += sample.value
        return dict(found)

    def missing(self) -> list[str]:
        return sorted(metrics_catalogue.ALL - LATER - set(self.page()))


def nights_before(state, policies) -> None:
    """Two runs that a loop decided and proved: one at its planned hour, a smaller one into the evening."""
    clock = FakeClock(NIGHT, Replay(NIGHT, NIGHT, 1.0))
    sums = Footprint()
    page = Telemetry(sums.energy_by_workload, sums.residual, lambda: None)
    settings = Settings(state=state, policies=policies)
    lake = ParquetLake(state / "lake")
    control = assemble(settings, clock, sums, page, lake, lambda _: sums.decided_spans()[-1:])
    for key, joules, late in (("night/1", 90_000.0, 0), ("night/2", 900.0, 14)):
        asked = JobRequest("nightly-enrichment", key, NIGHT, triggered=True)
        decision = control.engine.submit(asked)
        assert decision.chosen.start is not None
        start = decision.chosen.start + timedelta(hours=late)
        end = start + timedelta(hours=2)
        sums.add(
            [
                SpanRow(
                    key, "root", None, "enrichment", "e-1", "nightly-enrichment", "run", "INTERNAL",
                    start, end, end, joules, joules * 0.95, joules * 1.05, None, None, "measured",
                    None, "us-west-1", "CISO", decision.id, {RUN_KEY: f'"{key}"'},
                )
            ],
            [],
        )  # fmt: skip
        done = Receipt(
            f"start:{key}", decision.id, "local-process", "start_job", Outcome.APPLIED, "ok",
            at=start, on_time=True,
        )  # fmt: skip
        control.engine.accept(done)
        control.loop.settle()
    control.close()
    page.close()


@pytest.mark.feature("A4", "K8", "J3")
@pytest.mark.timeout(180)
def test_a_fed_server_sends_every_catalogued_series_and_goes_on_after_a_kill(house, tools):
    fed = Feeder(house("metrics"), tools)
    nights_before(fed.house.state, tools.demo)
    fed.house.replay = tools.replay_at(NIGHT + timedelta(days=1), RATE)
    server = fed.house.serve()
    fed.accounts()
    fed.span(SAID)
    for said in CALLS.values():
        fed.span({**said, "greenops.carbon.embodied": 0.25})
    holder = fed.house.run("night/3", "true")
    assert holder.wait(60) == 0, holder.said()

    assert tools.until(lambda: not fed.missing(), 30), (fed.missing(), fed.house.log)
    before = fed.page()
    kept = fed.house.state / "lake" / "v1" / "counters.json"
    assert tools.until(lambda: kept.exists() and "greenops.cost" in kept.read_text(), 10)
    server.kill()
    server.wait(60)
    fed.house.serve()
    after = fed.page()

    assert {name: after.get(name) for name in GO_ON} == pytest.approx(
        {name: before[name] for name in GO_ON}
    )
    assert before["greenops_carbon_location_grams_total"] == pytest.approx(3 * GRAMS)
    fed.span({})
    assert fed.page()["greenops_carbon_location_grams_total"] == pytest.approx(4 * GRAMS)
