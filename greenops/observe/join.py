"""Finds the OpenTelemetry providers that are there, or makes them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import metrics, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

from greenops.observe import attributes as names

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricExporter


MOST_PROXIES: Final = 4
"""Proxies of proxies that are followed; one is usual."""


def provider_is_set() -> bool:
    """True where spans go to a provider of the SDK already."""
    return isinstance(_behind(trace.get_tracer_provider()), TracerProvider)


def tracer_provider(
    service: str | None, workload: str | None, region: str | None
) -> TracerProvider:
    """The global provider of the SDK, made with an OTLP exporter where none is set."""
    found = _behind(trace.get_tracer_provider())
    if isinstance(found, TracerProvider):
        return found
    made = TracerProvider(resource=_resource(service, workload, region))
    if _endpoint("TRACES"):
        made.add_span_processor(BatchSpanProcessor(_span_exporter()))
    trace.set_tracer_provider(made)
    return made


def meter_provider(resource: Resource) -> metrics.MeterProvider:
    """The global provider, made with the same resource where none is set and an OTLP endpoint is."""
    from opentelemetry.sdk.metrics import MeterProvider

    found: metrics.MeterProvider = _behind(metrics.get_meter_provider())
    if isinstance(found, MeterProvider) or not _endpoint("METRICS"):
        return found
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    made = MeterProvider(
        resource=resource, metric_readers=[PeriodicExportingMetricReader(_metric_exporter())]
    )
    metrics.set_meter_provider(made)
    return made


def _behind(found: Any) -> Any:
    """The provider that a proxy such as Logfire's stands for; what is none stays."""
    for _ in range(MOST_PROXIES):
        inner = getattr(found, "provider", None)
        if inner is None:
            break
        found = inner
    return found


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
