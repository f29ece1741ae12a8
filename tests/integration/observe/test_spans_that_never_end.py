"""Spans that a program starts and forgets."""

from __future__ import annotations

import gc
import threading
import time
from pathlib import Path

from opentelemetry.trace import Span

from greenops.domain.energy import Category
from greenops.observe import attributes as names
from greenops.testing.meters import SyntheticMeter
from tests.integration.observe.traced import Service, burn, number


def test_forgotten_spans_take_neither_time_nor_energy(
    service: Service, meter: SyntheticMeter
) -> None:
    for _ in range(30_000):
        service.tracer.start_span("forgotten")
    service.observer.tick()
    service.observer.tick()

    with service.tracer.start_as_current_span("a"):
        burn(meter, "a", 0.02)
    burn(meter, "b", 0.05)
    looks = [_timed(service) for _ in range(20)]
    (span,) = service.finish()

    parts = service.points(names.METRIC_ENERGY)
    assert min(looks) < 0.003
    assert number(span, names.ENERGY_SELF) == parts[Category.ATTRIBUTED]
    assert parts[Category.UNATTRIBUTED] >= 0.3


def _timed(service: Service) -> float:
    """CPU time of a look [s]."""
    started = time.thread_time()
    service.observer.tick()
    return time.thread_time() - started


def test_the_collector_may_find_a_forgotten_span_while_another_starts(service: Service) -> None:
    class Cycle:
        def __init__(self) -> None:
            self.span = service.tracer.start_span("forgotten")
            self.me = self

    gc.disable()
    try:
        for _ in range(100):
            Cycle()
        service.observer.tick()
        with service.observer._lock:
            gc.collect()
            with service.tracer.start_as_current_span("a"):
                pass
    finally:
        gc.enable()
    service.observer.tick()

    assert service.observer._spans.open == {}


def test_a_span_left_by_a_dead_thread_gets_nothing_of_the_next_one(
    service: Service, meter: SyntheticMeter
) -> None:
    left: list[Span] = []
    first = threading.Thread(target=lambda: left.append(service.tracer.start_span("left")))
    first.start()
    first.join()
    while Path(f"/proc/self/task/{first.native_id}").exists():
        time.sleep(0.001)
    service.observer.tick()

    idents = set()
    for _ in range(5):
        other = threading.Thread(target=burn, args=(meter, "a", 0.03))
        other.start()
        idents.add(other.ident)
        service.observer.tick()
        other.join()
    left[0].end()
    (span,) = service.finish()

    assert first.ident in idents
    assert number(span, names.ENERGY_SELF) < 0.01
    assert service.points(names.METRIC_ENERGY)[Category.UNATTRIBUTED] > 0.5
