"""Head sampling thins out what is exported, and no energy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider, sampling
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    ParentBased,
    TraceIdRatioBased,
)

from greenops.observe.unsampled import RecordDropped, Unsampled

PROGRAM = """
import hashlib, json, sys, time
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from greenops.pipeline import instrument, meters
from greenops.testing.meters import SyntheticMeter

meter = SyntheticMeter(watts={"work": 5.0})
meters.discover = lambda service: [meter]
reader, seen = InMemoryMetricReader(), InMemorySpanExporter()
metrics.set_meter_provider(MeterProvider([reader], shutdown_on_exit=False))
if sys.argv[1] == "joined":
    provider = TracerProvider(sampler=ParentBased(TraceIdRatioBased(0.01)))
    trace.set_tracer_provider(provider)
    provider.add_span_processor(BatchSpanProcessor(seen))
    early = trace.get_tracer("early")
    instrument.init()
    tracer = early
else:
    instrument.init()
    provider = trace.get_tracer_provider()
    provider.add_span_processor(BatchSpanProcessor(instrument.wrap(seen)))
    tracer = trace.get_tracer("later")
block, ids = b"x" * 50_000, []
for _ in range(600):
    with tracer.start_as_current_span("request") as span:
        ids.append(span.get_span_context().trace_id)
        with tracer.start_as_current_span("step"):
            before, used = time.thread_time(), 0.0
            while used < 0.001:
                hashlib.sha256(block).digest()
                used = time.thread_time() - before
            meter.work("work", used)
instrument.shutdown()
scopes = reader.get_metrics_data().resource_metrics[0].scope_metrics
(energy,) = [m for s in scopes for m in s.metrics if m.name == "greenops.energy"]
parts = {p.attributes["greenops.energy.category"]: p.value for p in energy.data.data_points}
spans = seen.get_finished_spans()
rate = TraceIdRatioBased(0.01)
print(json.dumps({
    "named": parts["attributed"] / (parts["attributed"] + parts["unattributed"]),
    "exported": sorted(s.context.trace_id for s in spans if s.name == "request"),
    "carry": all("greenops.energy.self" in s.attributes for s in spans),
    "sampled": sorted(i for i in ids if rate.should_sample(None, i, "").decision.is_sampled()),
}))
"""
CLEAN = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "GREENOPS_"))}


def sampled(how: str, **environ: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, how],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        cwd=Path(__file__).parents[3],
        env={**CLEAN, **environ},
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("how", ["joined", "made"])
def test_one_per_cent_sampling_keeps_all_energy_in_the_accounts(how: str) -> None:
    found = sampled(
        how, OTEL_TRACES_SAMPLER="parentbased_traceidratio", OTEL_TRACES_SAMPLER_ARG="0.01"
    )

    assert found["exported"] == found["sampled"]
    assert found["carry"]
    assert found["named"] > 0.9


@pytest.mark.slow
def test_a_service_may_keep_its_sampler_as_it_is() -> None:
    found = sampled("joined", GREENOPS_RECORD_UNSAMPLED="false")

    assert found["exported"] == found["sampled"]
    assert found["named"] < 0.2


class Everything(SpanProcessor):
    """Takes every span that ends, sampled or not."""

    def on_end(self, span: ReadableSpan) -> None: ...


def test_a_processor_that_may_export_everything_keeps_the_sampler(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sampler = ParentBased(TraceIdRatioBased(0.01))
    provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
    provider.add_span_processor(Everything())

    found = Unsampled(provider, SpanProcessor())

    assert not found.recorded
    assert provider.sampler is sampler
    assert "GO0709" in caplog.text
    assert "`Everything`" in caplog.text


def test_tracers_that_are_there_and_later_ones_record_until_it_is_undone() -> None:
    provider, seen = (
        TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False),
        InMemorySpanExporter(),
    )
    for processor in (SimpleSpanProcessor(seen), BatchSpanProcessor(seen), SpanProcessor()):
        provider.add_span_processor(processor)
    early = provider.get_tracer("early")

    found = Unsampled(provider, SpanProcessor())
    later = provider.get_tracer("later")
    recording = [each.start_span("a").is_recording() for each in (early, later)]
    found.undo()

    assert recording == [True, True]
    assert [each.start_span("a").is_recording() for each in (early, later)] == [False, False]
    assert provider.sampler is ALWAYS_OFF
    provider.shutdown()
    assert seen.get_finished_spans() == ()


# The SDK's own is there from 1.45 on.
OF_THE_SDK = getattr(sampling, "AlwaysRecordSampler", RecordDropped)


@pytest.mark.parametrize("sampler", [ALWAYS_ON, RecordDropped(ALWAYS_OFF), OF_THE_SDK(ALWAYS_OFF)])
def test_a_sampler_that_drops_nothing_is_left_alone(sampler: Any) -> None:
    provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
    provider.add_span_processor(Everything())

    found = Unsampled(provider, SpanProcessor())

    assert found.recorded
    assert provider.sampler is sampler
