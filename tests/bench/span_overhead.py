"""What a span costs with us, as a ratio to a bare span in the same run, and our meter thread by itself.

python tests/bench/span_overhead.py [--json]
"""

from __future__ import annotations

import gc
import json
import random
import sys
import threading
import time
from collections.abc import Sequence
from statistics import median

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Tracer

from greenops.adapters.clock import SystemClock
from greenops.adapters.cpu_model import discover
from greenops.domain.factors import FactorTable, RegionFactors
from greenops.observe.enriched import EnrichedSpan
from greenops.observe.exporter import EnergySpanExporter
from greenops.observe.observer import INTERVAL_S, Observer
from greenops.observe.processor import EnergySpanProcessor
from greenops.testing.meters import SyntheticMeter
from greenops.units import GramsPerKwh

SPANS = 250
ROUNDS = 200
MANY = 1000
"""Spans in one look that is timed with them."""
WATCHED_S = 10.0
"""How long the meter thread is watched [s]."""
BATCH = 512
"""Spans in one export of the SDK's batch processor."""

FACTORS = FactorTable(
    "sha256:1",
    {"r": RegionFactors("r", "DE", 1.2, annual=GramsPerKwh(400.0), annual_source="bench")},
)
TYPICAL = {
    "http.request.method": "GET",
    "http.route": "/orders/{id}",
    "http.response.status_code": 200,
    "url.scheme": "https",
    "url.path": "/orders/1234",
    "server.address": "shop.example.org",
    "server.port": 443,
    "network.protocol.version": "1.1",
    "user_agent.original": "curl/8.5.0",
    "client.address": "10.0.0.7",
}


class Nowhere(SpanExporter):
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.SUCCESS


def provider(observer: Observer | None) -> TracerProvider:
    made = TracerProvider()
    if observer:
        made.add_span_processor(EnergySpanProcessor(observer))
    made.add_span_processor(BatchSpanProcessor(Nowhere(), max_queue_size=100_000))
    return made


def once(tracer: Tracer, spans: int = SPANS) -> float:
    started = time.perf_counter()
    for _ in range(spans):
        with tracer.start_as_current_span("a"):
            pass
    return (time.perf_counter() - started) / spans


def spans() -> dict[str, float]:
    """The 10th percentile of interleaved rounds; `full_cpu_ratio` is with the look that books the spans."""
    observers = [Observer(discover, clock=SystemClock(), clocks=each) for each in (False, True)]
    for observer in observers:
        observer.run()
    providers = [provider(None), *map(provider, observers)]
    tracers = [each.get_tracer("bench") for each in providers]
    times: list[list[float]] = [[], [], []]
    for _ in range(ROUNDS):
        for which in random.sample([0, 1, 2], 3):
            gc.collect()
            times[which].append(once(tracers[which]))
    looked = [together(tracers[2], observers[1]) for _ in range(ROUNDS // 10)]
    for each in providers:
        each.shutdown()
    bare, deferred, full, all_in = (low(each) for each in (*times, looked))
    return {
        "bare_span_us": bare * 1e6,
        "deferred_ratio": deferred / bare,
        "full_ratio": full / bare,
        "full_cpu_ratio": all_in / bare,
    }


def together(tracer: Tracer, observer: Observer) -> float:
    """CPU time of a span and of its part of the look that books it [s]."""
    observer.tick()
    gc.collect()
    started = time.thread_time()
    once(tracer, MANY)
    observer.tick()
    return (time.thread_time() - started) / MANY


def low(times: list[float]) -> float:
    return sorted(times)[len(times) // 10]


def meter() -> dict[str, float]:
    """The meter thread as a part of one core, at its own pace with a span open: ten looks a second.

    Beside it: the same without an open span, when it looks less often; the same while another thread works in spans;
    ten looks back to back, which find their caches warm; and a thread that only sleeps 100 ms at a time, since on a
    virtual machine waking alone may take the bound.
    """
    observer = Observer(discover, clock=SystemClock())
    looks = []
    for _ in range(50):
        began = time.thread_time()
        for _ in range(50):
            observer.tick()
        looks.append((time.thread_time() - began) / 50)
    observer.run()
    idle = threading.Thread(target=wait, name="idle")
    idle.start()
    quiet, waking = watched("greenops-meter", "idle")
    idle.join()
    with provider(observer).get_tracer("bench").start_as_current_span("open"):
        (traced,) = watched("greenops-meter")
    worker = threading.Thread(target=work, args=(provider(observer).get_tracer("bench"),))
    worker.start()
    (working,) = watched("greenops-meter")
    worker.join()
    observer.close()
    return {
        "meter_core_share": traced,
        "meter_core_share_quiet": quiet,
        "meter_core_share_back_to_back": median(looks) / INTERVAL_S,
        "meter_core_share_working": working,
        "waking_core_share": waking,
        "meter_over_waking": traced / waking,
    }


def watched(*names: str) -> list[float]:
    """Threads by name as a part of one core, at their own pace."""
    threads = {each.name: each.ident or 0 for each in threading.enumerate()}
    clocks = [time.pthread_getcpuclockid(threads[name]) for name in names]
    began, used = time.perf_counter(), [time.clock_gettime(each) for each in clocks]
    time.sleep(WATCHED_S)
    lasted = time.perf_counter() - began
    return [
        (time.clock_gettime(each) - was) / lasted for each, was in zip(clocks, used, strict=True)
    ]


def wait() -> None:
    until = time.perf_counter() + WATCHED_S + 0.5
    while time.perf_counter() < until:
        time.sleep(INTERVAL_S)


def work(tracer: Tracer) -> None:
    """A hundred spans a second of 2 ms of CPU time each."""
    until = time.perf_counter() + WATCHED_S + 0.5
    while time.perf_counter() < until:
        with tracer.start_as_current_span("work"):
            done = time.thread_time() + 0.002
            while time.thread_time() < done:
                pass
        time.sleep(0.008)


def encoding() -> dict[str, float]:
    """What we add to the OTLP encoding of a span with ten attributes of its own, in a batch, with the default parts.

    `encode_extra_us` is our attributes alone, `encode_net_us` all we change: the resource of our spans keeps its hash,
    which the SDK otherwise works out anew for each span, and that saves more than two attributes cost.
    """
    plain, ours = InMemorySpanExporter(), InMemorySpanExporter()
    observer = Observer(lambda: [SyntheticMeter(idle=2.0)], clock=SystemClock())
    made = TracerProvider()
    made.add_span_processor(EnergySpanProcessor(observer))
    made.add_span_processor(SimpleSpanProcessor(plain))
    tracer = made.get_tracer("bench")
    for _ in range(BATCH):
        with tracer.start_as_current_span("GET /orders", attributes=TYPICAL):
            pass
    observer.tick()
    exporter = EnergySpanExporter(ours, observer, lambda: FACTORS, clock=SystemClock(), region="r")
    exporter.export(plain.get_finished_spans())
    enriched = ours.get_finished_spans()
    bare = [EnrichedSpan(each, {}, enriched[0].resource) for each in plain.get_finished_spans()]
    batches: list[Sequence[ReadableSpan]] = [plain.get_finished_spans(), bare, enriched]
    times: list[list[float]] = [[], [], []]
    for _ in range(50):
        for which in random.sample([0, 1, 2], 3):
            gc.collect()
            started = time.thread_time()
            encode_spans(batches[which]).SerializeToString()
            times[which].append((time.thread_time() - started) / BATCH)
    made.shutdown()
    service, alone, both = (low(each) * 1e6 for each in times)
    return {"encode_extra_us": both - alone, "encode_net_us": both - service}


def main() -> int:
    found = {
        **spans(),
        **meter(),
        **encoding(),
    }
    if "--json" in sys.argv:
        sys.stdout.write(json.dumps(found) + "\n")
    else:
        sys.stdout.writelines(f"{name} {value:.5g}\n" for name, value in found.items())
    return 0


if __name__ == "__main__":
    sys.exit(main())
