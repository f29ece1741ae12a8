"""What a service of the shop does for its telemetry: the stock SDK, and two lines of GreenOps."""

from __future__ import annotations

import os
from collections.abc import Callable

from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

import greenops


def set_up(service: str, workload: str, region: str) -> Callable[[], None]:
    """Stock tracing and metrics over OTLP, then GreenOps; returns what flushes and ends both."""
    resource = Resource.create(
        {
            "service.name": service,
            "service.instance.id": f"{service}-{region}-{os.getpid()}",
            "cloud.provider": "aws",
            "cloud.region": region,
            "greenops.workload": workload,
        }
    )
    traces = TracerProvider(resource=resource)
    traces.add_span_processor(
        BatchSpanProcessor(OTLPSpanExporter(insecure=True), schedule_delay_millis=1000)
    )
    trace.set_tracer_provider(traces)
    reader = PeriodicExportingMetricReader(
        OTLPMetricExporter(insecure=True), export_interval_millis=2000
    )
    numbers = MeterProvider(resource=resource, metric_readers=[reader])
    metrics.set_meter_provider(numbers)

    greenops.init(workload=workload, region=region)

    def end() -> None:
        traces.shutdown()
        numbers.shutdown()

    return end
