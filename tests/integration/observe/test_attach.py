"""A provider gets our processor and exporters altogether, or is left as it was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from greenops.adapters.clock import SystemClock
from greenops.domain.factors import FactorTable
from greenops.observe.attach import Attachment
from greenops.observe.exporter import EnergySpanExporter
from greenops.observe.late import LateSpanExporter
from greenops.observe.observer import Observer
from greenops.observe.processor import EnergySpanProcessor
from greenops.testing.meters import SyntheticMeter


class Hidden(BatchSpanProcessor):
    """A subclass that keeps its exporter in a place of its own."""

    def __init__(self, exporter: SpanExporter) -> None:
        self.elsewhere = exporter

    def on_end(self, span: ReadableSpan) -> None:
        self.elsewhere.export((span,))

    def shutdown(self) -> None:
        self.elsewhere.shutdown()

    def force_flush(self, timeout_millis: int | None = None) -> bool:
        return True


class Stubborn(SimpleSpanProcessor):
    """Does not let its exporter be replaced."""

    def __setattr__(self, name: str, value: object) -> None:
        if name == "span_exporter" and isinstance(value, EnergySpanExporter):
            raise TypeError("not this one")
        super().__setattr__(name, value)


@pytest.fixture
def observer() -> Iterator[Observer]:
    made = Observer(lambda: [SyntheticMeter()], clock=SystemClock())
    yield made
    made.close()


def attach(provider: TracerProvider, observer: Observer) -> Attachment:
    return Attachment(
        provider,
        EnergySpanProcessor(observer),
        lambda inner: EnergySpanExporter(
            inner, observer, lambda: FactorTable("v", {}), clock=SystemClock()
        ),
    )


def exporters(provider: TracerProvider) -> Sequence[object]:
    processors = provider._active_span_processor._span_processors
    return [getattr(each, "span_exporter", None) for each in processors]


def test_a_processor_whose_exporter_is_out_of_reach_is_skipped_with_a_warning(
    observer: Observer, caplog: pytest.LogCaptureFixture
) -> None:
    provider, seen, hidden = (
        TracerProvider(shutdown_on_exit=False),
        InMemorySpanExporter(),
        InMemorySpanExporter(),
    )
    provider.add_span_processor(Hidden(hidden))
    provider.add_span_processor(SimpleSpanProcessor(seen))

    attach(provider, observer)
    with provider.get_tracer("t").start_as_current_span("a"):
        pass

    (span,) = seen.get_finished_spans()
    assert "greenops.energy.self" in (span.attributes or {})
    assert len(hidden.get_finished_spans()) == 1
    assert caplog.text.count("GO0708") == 1
    assert "`Hidden`" in caplog.text


def test_an_attachment_that_fails_leaves_the_provider_as_it_was(observer: Observer) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(InMemorySpanExporter()))
    provider.add_span_processor(Stubborn(InMemorySpanExporter()))
    before = exporters(provider)

    with pytest.raises(TypeError):
        attach(provider, observer)

    assert exporters(provider) == before


def test_a_later_instrumentation_takes_over_the_exporters_of_an_earlier_one(
    observer: Observer,
) -> None:
    provider, inner = TracerProvider(shutdown_on_exit=False), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(inner))
    first = Observer(lambda: [SyntheticMeter()], clock=SystemClock())
    attach(provider, first).remove()
    first.close()

    attach(provider, observer)
    with provider.get_tracer("t").start_as_current_span("a"):
        pass

    (span,) = inner.get_finished_spans()
    assert "greenops.energy.self" in (span.attributes or {})
    assert len(exporters(provider)) == 2


def test_an_exporter_without_an_instrumentation_passes_spans_on() -> None:
    class Failing(InMemorySpanExporter):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            return SpanExportResult.FAILURE

    def broken() -> None:
        raise RuntimeError("no")

    inner = InMemorySpanExporter()
    for exporter in (LateSpanExporter(inner, lambda: None), LateSpanExporter(inner, broken)):
        assert exporter.export(()) is SpanExportResult.SUCCESS
        assert exporter.force_flush()
    late = LateSpanExporter(Failing(), lambda: None)
    assert late.export(()) is SpanExportResult.FAILURE
    late.shutdown()


def test_as_many_results_are_kept_as_queues_may_hold_back(observer: Observer) -> None:
    provider, seen = TracerProvider(shutdown_on_exit=False), InMemorySpanExporter()
    batch = BatchSpanProcessor(seen, max_queue_size=20_000, schedule_delay_millis=60_000)
    provider.add_span_processor(batch)

    attachment = attach(provider, observer)
    observer.keep(attachment.queued)
    tracer = provider.get_tracer("t")
    batch._batch_processor._max_export_batch_size = 30_000
    for _ in range(3):
        for _ in range(4_000):
            with tracer.start_as_current_span("a"):
                pass
        observer.tick()
    provider.force_flush()

    spans = seen.get_finished_spans()
    assert attachment.queued == 20_000
    assert len(spans) == 12_000
    assert all("greenops.energy.self" in (span.attributes or {}) for span in spans)
    provider.shutdown()
