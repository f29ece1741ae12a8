"""What a span costs with us, as a ratio to a bare span in the same run: `python tests/bench/span_overhead.py`."""

from __future__ import annotations

import gc
import random
import sys
import time
from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Tracer

from greenops.adapters.clock import SystemClock
from greenops.adapters.cpu_model import discover
from greenops.observe.observer import Observer
from greenops.observe.processor import EnergySpanProcessor

SPANS = 1000
ROUNDS = 60
TARGET = 1.30


class Nowhere(SpanExporter):
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.SUCCESS


def provider(observer: Observer | None) -> TracerProvider:
    made = TracerProvider()
    if observer:
        made.add_span_processor(EnergySpanProcessor(observer))
    made.add_span_processor(BatchSpanProcessor(Nowhere(), max_queue_size=100_000))
    return made


def once(tracer: Tracer) -> float:
    started = time.perf_counter()
    for _ in range(SPANS):
        with tracer.start_as_current_span("a"):
            pass
    return (time.perf_counter() - started) / SPANS


def measure(rounds: int = ROUNDS) -> tuple[float, float]:
    """Bare span and ours [s], 10th percentile of interleaved rounds."""
    observer = Observer(discover, clock=SystemClock())
    observer.run()
    providers = [provider(None), provider(observer)]
    tracers = [each.get_tracer("bench") for each in providers]
    times: list[list[float]] = [[], []]
    for _ in range(rounds):
        for which in random.sample([0, 1], 2):
            gc.collect()
            times[which].append(once(tracers[which]))
    for each in providers:
        each.shutdown()
    bare, ours = (sorted(each)[len(each) // 10] for each in times)
    return bare, ours


def main() -> int:
    bare, ours = measure()
    ratio = ours / bare
    sys.stdout.write(
        f"bare {bare * 1e6:.2f} us, with energy {ours * 1e6:.2f} us, ratio {ratio:.3f} (target {TARGET})\n"
    )
    return 0 if ratio <= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
