"""Meters that hang, raise or vanish while a real service runs."""

from __future__ import annotations

import threading
import time

import pytest

from greenops.domain.energy import Category
from greenops.observe import attributes as names
from greenops.testing.meters import SyntheticMeter
from tests.integration.observe.traced import Service, burn, number

WATTS = {"a": 5.0}


def test_a_driver_that_hangs_holds_up_neither_spans_nor_the_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    good, stuck = SyntheticMeter(watts=WATTS), SyntheticMeter(watts=WATTS, device="package-1")
    service = Service(lambda: [good, stuck], patience_s=1.0)
    stuck.hangs = threading.Event()
    time.sleep(0.15)

    started = time.monotonic()
    for _ in range(3):
        with service.tracer.start_as_current_span("a"):
            burn(good, "a", 0.01)
        service.provider.force_flush()
    spans = service.finish()
    lasted = time.monotonic() - started

    # One wait, where three flushes and the end would make four.
    assert lasted < 3.0
    assert [(span.attributes or {})[names.ENERGY_UNKNOWN] for span in spans] == ["meter_failed"] * 3
    assert good.closed
    assert not stuck.closed
    assert caplog.text.count("GO0707 energy meter `package-1`") == 1
    stuck.hangs.set()
    assert service.observer._thread is not None
    service.observer._thread._thread.join()
    assert stuck.closed


def test_spans_that_wait_when_all_ends_say_that_a_meter_failed(meter: SyntheticMeter) -> None:
    service = Service(lambda: [meter], patience_s=0.2)
    meter.hangs = threading.Event()
    time.sleep(0.15)
    with service.tracer.start_as_current_span("a"):
        burn(meter, "a", 0.01)

    started = time.monotonic()
    service.observer.close()
    (span,) = service.finish()
    lasted = time.monotonic() - started

    assert (span.attributes or {})[names.ENERGY_UNKNOWN] == "meter_failed"
    assert lasted < 5.0
    meter.hangs.set()


def test_energy_of_spans_that_could_not_wait_is_unattributed(meter: SyntheticMeter) -> None:
    service = Service(lambda: [meter], patience_s=0.2)
    meter.hangs = hangs = threading.Event()
    time.sleep(0.15)
    with service.tracer.start_as_current_span("a"):
        burn(meter, "a", 0.05)
    service.provider.force_flush()
    meter.hangs = None
    hangs.set()

    with service.tracer.start_as_current_span("a"):
        burn(meter, "a", 0.05)
    first, second = service.finish()

    parts = service.points(names.METRIC_ENERGY)
    assert (first.attributes or {})[names.ENERGY_UNKNOWN] == "meter_failed"
    assert number(second, names.ENERGY_SELF) == parts[Category.ATTRIBUTED]
    assert parts[Category.UNATTRIBUTED] >= 0.2


def test_a_meter_that_cannot_be_closed_loses_no_span(meter: SyntheticMeter) -> None:
    class Broken(SyntheticMeter):
        def close(self) -> None:
            raise OSError("the driver is gone")

    service = Service(lambda: [Broken(watts=WATTS, device="package-1"), meter])
    with service.tracer.start_as_current_span("a"):
        burn(meter, "a", 0.01)

    (span,) = service.finish()

    assert number(span, names.ENERGY_SELF) > 0
    assert meter.closed
