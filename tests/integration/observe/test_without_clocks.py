"""An observer that reads no clock for a span."""

from __future__ import annotations

import threading
import time

from opentelemetry.sdk.trace import TracerProvider

from greenops.adapters.clock import SystemClock
from greenops.observe.observer import Observer
from greenops.observe.processor import EnergySpanProcessor
from greenops.testing.meters import SyntheticMeter
from tests.integration.observe.traced import alone


def test_without_clocks_spans_of_two_threads_still_get_what_their_threads_used() -> None:
    meter = SyntheticMeter(watts={"a": 10.0})
    observer = Observer(lambda: [meter], clock=SystemClock(), host=alone, clocks=False)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(EnergySpanProcessor(observer))
    tracer, keys = provider.get_tracer("test"), {}
    go, ended = threading.Barrier(2), threading.Barrier(3)
    looked = threading.Event()

    def work(name: str, seconds: float) -> None:
        with tracer.start_as_current_span(name) as span:
            keys[name] = span.get_span_context().span_id
            go.wait()
            until = time.thread_time() + seconds
            while time.thread_time() < until:
                pass
            meter.work("a", seconds)
            go.wait()
        ended.wait()
        looked.wait()

    threads = [
        threading.Thread(target=work, args=each) for each in (("long", 0.15), ("short", 0.05))
    ]
    for each in threads:
        each.start()
    ended.wait()
    # A thread that has died by the next look has no clock left to read.
    observer.tick()
    looked.set()
    for each in threads:
        each.join()

    found = {name: observer.take(key) for name, key in keys.items()}
    provider.shutdown()
    assert all(each.energy is not None for each in found.values())
    assert found["long"].cpu_ns > 2 * found["short"].cpu_ns
