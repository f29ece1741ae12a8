"""Joins the OpenTelemetry providers that are there, or makes them; private fields of the SDK stay here.

Checked against opentelemetry-sdk 1.45.2: a batch processor keeps its exporter in
`_batch_processor._exporter`, a simple one in `span_exporter`, a provider its processors, in order, in
`_active_span_processor._span_processors`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from opentelemetry import metrics, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import (
    ConcurrentMultiSpanProcessor,
    SpanProcessor,
    TracerProvider,
    sampling,
)
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SimpleSpanProcessor,
    SpanExporter,
)

from greenops.observe import attributes as names
from greenops.observe.exporter import EnergySpanExporter

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricExporter

_log = logging.getLogger(__name__)


def tracer_provider(
    service: str | None, workload: str | None, region: str | None
) -> TracerProvider:
    """The global provider of the SDK, made with an OTLP exporter where none is set.

    A provider made here records unsampled spans too (`AlwaysRecordSampler`), so that their energy is counted;
    one that is already there keeps its sampler: wrap it in `AlwaysRecordSampler` where it drops spans.
    """
    found = trace.get_tracer_provider()
    if isinstance(found, TracerProvider):
        return found
    sampler = sampling.AlwaysRecordSampler(sampling._get_from_env_or_default())  # noqa: SLF001
    made = TracerProvider(resource=_resource(service, workload, region), sampler=sampler)
    if _endpoint("TRACES"):
        made.add_span_processor(BatchSpanProcessor(_span_exporter()))
    trace.set_tracer_provider(made)
    return made


def meter_provider(resource: Resource) -> metrics.MeterProvider:
    """The global provider, made with the same resource where none is set and an OTLP endpoint is."""
    from opentelemetry.sdk.metrics import MeterProvider

    found = metrics.get_meter_provider()
    if isinstance(found, MeterProvider) or not _endpoint("METRICS"):
        return found
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    made = MeterProvider(
        resource=resource, metric_readers=[PeriodicExportingMetricReader(_metric_exporter())]
    )
    metrics.set_meter_provider(made)
    return made


def attach(
    provider: TracerProvider,
    processor: SpanProcessor,
    wrap: Callable[[SpanExporter], SpanExporter],
) -> bool:
    """Put our processor first and wrap the exporters behind batch and simple processors.

    False where the provider runs its processors on other threads: the CPU clock of a span's thread cannot be
    read there, so spans carry no energy.
    """
    active = provider._active_span_processor  # noqa: SLF001
    usable = not isinstance(active, ConcurrentMultiSpanProcessor)
    with active._lock:  # noqa: SLF001
        others = active._span_processors  # noqa: SLF001
        if usable:
            active._span_processors = (processor, *others)  # noqa: SLF001
    for other in others:
        if isinstance(other, BatchSpanProcessor):
            batch = other._batch_processor  # noqa: SLF001
            batch._exporter = _wrapped(batch._exporter, wrap)  # noqa: SLF001
        elif isinstance(other, SimpleSpanProcessor):
            other.span_exporter = _wrapped(other.span_exporter, wrap)
    return usable


def _wrapped(exporter: object, wrap: Callable[[SpanExporter], SpanExporter]) -> SpanExporter:
    if isinstance(exporter, EnergySpanExporter):
        return exporter
    return wrap(exporter)  # type: ignore[arg-type]


def _resource(service: str | None, workload: str | None, region: str | None) -> Resource:
    given = {
        names.SERVICE_NAME: service,
        names.WORKLOAD: workload,
        names.CLOUD_REGION: region,
    }
    return Resource.create({name: value for name, value in given.items() if value})


def _endpoint(signal: str) -> bool:
    return bool(
        os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
        or os.environ.get(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")
    )


def _over_http(signal: str) -> bool:
    chosen = os.environ.get(f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL") or os.environ.get(
        "OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"
    )
    return chosen.strip() == "http/protobuf"


def _span_exporter() -> SpanExporter:
    if _over_http("TRACES"):
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as Http

        return Http()
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as Grpc

    return Grpc()


def _metric_exporter() -> MetricExporter:
    if _over_http("METRICS"):
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import (
            OTLPMetricExporter as Http,
        )

        return Http()
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as Grpc

    return Grpc()
