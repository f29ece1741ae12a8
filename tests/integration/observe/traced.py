"""A traced process in small, with the real SDK and a synthetic meter."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import (
    ConcurrentMultiSpanProcessor,
    ReadableSpan,
    SpanLimits,
    TracerProvider,
)
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SimpleSpanProcessor,
    SpanExporter,
)
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from greenops.adapters.clock import SystemClock
from greenops.domain.factors import FactorTable, RegionFactors
from greenops.domain.replay import Replay
from greenops.observe import accounts
from greenops.observe import attributes as names
from greenops.observe.attach import Attachment
from greenops.observe.exporter import EnergySpanExporter
from greenops.observe.host import Host
from greenops.observe.observer import Observer
from greenops.observe.processor import EnergySpanProcessor
from greenops.observe.span_parts import Part, SpanParts
from greenops.ports import Clock, EnergyMeter
from greenops.testing.meters import SyntheticMeter
from greenops.units import GramsPerKwh, Usd

PATIENT_S = 20.0
"""As good as never given up [s]: on a busy machine a look may come seconds late, and then nothing is amiss."""
TABLE = FactorTable(
    "sha256:1",
    {
        "eu-central-1": RegionFactors(
            "eu-central-1", "DE", 1.2, Usd(0.05), annual=GramsPerKwh(400.0), annual_source="x"
        ),
        "eu-north-1": RegionFactors(
            "eu-north-1", "SE", 1.1, Usd(0.05), annual=GramsPerKwh(30.0), annual_source="x"
        ),
        "nowhere": RegionFactors("nowhere", None, 1.1, annual=GramsPerKwh(400.0)),
    },
)


def alone() -> Host:
    """A machine where nobody else runs: what other processes use must not decide a test."""
    return Host(stat=Path("/nonexistent/stat"))


class Service:
    """A traced process in small: provider, exporters, observer and metrics of its own."""

    def __init__(
        self,
        meters: Callable[[], Sequence[EnergyMeter]],
        *,
        region: str = "eu-central-1",
        replay: Replay | None = None,
        clock: Clock | None = None,
        table: FactorTable = TABLE,
        exporter: SpanExporter | None = None,
        limits: SpanLimits | None = None,
        simple: bool = False,
        patience_s: float = PATIENT_S,
        parts: SpanParts | None = None,
        concurrent: bool = False,
    ) -> None:
        self.spans = InMemorySpanExporter()
        clock = clock or SystemClock(replay)
        resource = Resource.create({names.CLOUD_REGION: region, names.SERVICE_NAME: "test"})
        self.provider = TracerProvider(
            resource=resource,
            shutdown_on_exit=False,
            span_limits=limits,
            active_span_processor=ConcurrentMultiSpanProcessor() if concurrent else None,
        )
        self.early = self.provider.get_tracer("early")
        """A tracer that was handed out before we came."""
        for each in (self.spans, exporter):
            if each is not None:
                processor = SimpleSpanProcessor(each) if simple else BatchSpanProcessor(each)
                self.provider.add_span_processor(processor)
        self.observer = Observer(meters, clock=clock, host=alone, patience_s=patience_s)
        self.attachment = Attachment(
            self.provider,
            EnergySpanProcessor(self.observer),
            lambda inner: EnergySpanExporter(
                inner,
                self.observer,
                lambda: table,
                clock=clock,
                workload="w",
                parts=SpanParts(asked=Part) if parts is None else parts,
            ),
        )
        self.observer.run()
        self.reader = InMemoryMetricReader()
        metrics = MeterProvider([self.reader], resource=resource, shutdown_on_exit=False)
        accounts.register(metrics, self.observer, "w")
        self.tracer = self.provider.get_tracer("test")

    def finish(self) -> list[ReadableSpan]:
        self.provider.shutdown()
        return list(self.spans.get_finished_spans())

    def points(self, name: str) -> dict[str, float]:
        data = self.reader.get_metrics_data()
        assert data is not None
        (scope,) = data.resource_metrics[0].scope_metrics
        (metric,) = [each for each in scope.metrics if each.name == name]
        return {
            str(
                (p.attributes or {}).get(names.ENERGY_CATEGORY)
                or (p.attributes or {}).get(names.REASON)
                or (p.attributes or {}).get(names.FAULT)
            ): p.value  # type: ignore[union-attr]
            for p in metric.data.data_points
        }


def number(span: ReadableSpan, name: str) -> float:
    value = (span.attributes or {})[name]
    assert isinstance(value, float)
    return value


def burn(meter: SyntheticMeter, operation: str, cpu_s: float) -> float:
    """Use that much CPU time, and tell the meter; what was used in truth [s], which a collection of garbage makes more."""
    started = time.thread_time()
    used = 0.0
    while used < cpu_s:
        hashlib.sha256(b"x" * 50_000).digest()
        before, used = used, time.thread_time() - started
        meter.work(operation, used - before)
    return used
