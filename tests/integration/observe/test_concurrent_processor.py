"""A provider whose processors run on threads of their own: spans get what their threads used all the same."""

from __future__ import annotations

import threading
import time
from math import fsum
from typing import Any

import pytest
from opentelemetry.trace import Tracer

from greenops.domain.energy import Category
from greenops.observe import attributes as names
from greenops.observe.attach import HOOKS
from greenops.testing.meters import SyntheticMeter
from tests.integration.observe.traced import Service, burn, number


def hooks(service: Service) -> set[str]:
    return set(HOOKS) & set(vars(service.provider._active_span_processor))


def test_nested_spans_of_two_threads_get_what_their_own_threads_used(meter: SyntheticMeter):
    service = Service(lambda: [meter], concurrent=True)
    go = threading.Barrier(2)

    def request(tracer: Tracer, cpu_s: float) -> None:
        go.wait()
        with tracer.start_as_current_span("parent"):
            burn(meter, "a", cpu_s)
            with tracer.start_as_current_span("child"):
                # It waits, and what the other thread computes meanwhile is none of its own.
                time.sleep(cpu_s)
        go.wait()

    threads = [
        threading.Thread(target=request, args=each)
        for each in ((service.early, 0.15), (service.tracer, 0.05))
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    spans = service.finish()

    long, short = sorted(
        (number(each, names.ENERGY_SELF) for each in spans if each.name == "parent"), reverse=True
    )
    children = fsum(number(each, names.ENERGY_SELF) for each in spans if each.name == "child")
    parts = service.points(names.METRIC_ENERGY)
    assert len(spans) == 4
    assert long / short == pytest.approx(3, rel=0.35)
    assert children < 0.05 * (long + short)
    assert {(each.attributes or {})[names.ENERGY_ATTRIBUTION] for each in spans} == {"cpu_time"}
    assert fsum(number(each, names.ENERGY_SELF) for each in spans) == parts[Category.ATTRIBUTED]


def test_a_simple_processor_finds_the_energy_of_a_span_that_has_just_ended(meter: SyntheticMeter):
    service = Service(lambda: [meter], concurrent=True, simple=True)

    for _ in range(20):
        with service.tracer.start_as_current_span("a"):
            pass

    spans = service.spans.get_finished_spans()
    service.finish()
    assert len(spans) == 20
    assert all(names.ENERGY_SELF in (each.attributes or {}) for each in spans)


def test_once_removed_the_processor_is_as_it_was(meter: SyntheticMeter):
    service = Service(lambda: [meter], concurrent=True)
    assert hooks(service) == set(HOOKS)

    service.attachment.remove()
    service.attachment.remove()

    assert hooks(service) == set()
    service.observer.close()
    service.finish()


def test_what_another_tool_put_round_ours_stays(meter: SyntheticMeter):
    service = Service(lambda: [meter], concurrent=True)
    active: Any = service.provider._active_span_processor
    ours, seen = active.on_end, []

    def theirs(span):
        seen.append(span.name)
        ours(span)

    active.on_end = theirs
    service.attachment.remove()
    with service.tracer.start_as_current_span("a"):
        pass

    assert (hooks(service), seen) == ({"on_end"}, ["a"])
    service.observer.close()
    service.finish()
