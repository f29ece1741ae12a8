from __future__ import annotations

import threading

import pytest

from greenops.errors import AdapterUnavailable
from greenops.pipeline.polled_meter import PolledMeter
from greenops.testing.meters import SyntheticMeter

S = 1_000_000_000
HOUR = 3600.0
"""So seldom that the thread never asks while a test runs."""


class Time:
    def __init__(self) -> None:
        self.ns = 0

    def __call__(self) -> int:
        return self.ns


@pytest.fixture
def now() -> Time:
    return Time()


def polled(meter: SyntheticMeter, now: Time) -> PolledMeter:
    return PolledMeter(meter, period_s=HOUR, monotonic_ns=now)


def step(slow: PolledMeter, meter: SyntheticMeter, now: Time) -> None:
    now.ns += S
    meter.work("a", 1.0)
    slow.ask()


def test_until_a_step_is_seen_nothing_is_told(now: Time) -> None:
    meter = SyntheticMeter(watts={"a": 1.0}, monotonic_ns=now)
    slow = polled(meter, now)

    with pytest.raises(AdapterUnavailable, match="waits for the counter's next step"):
        slow.read()
    step(slow, meter, now)

    assert slow.read().joules == 0.0
    slow.close()


def test_a_counter_that_steps_seldom_moves_evenly(now: Time) -> None:
    meter = SyntheticMeter(watts={"a": 1.0}, quantum=1e-9, monotonic_ns=now)
    slow = polled(meter, now)
    meter.work("a", 50.0)

    now.ns = 5 * S
    slow.ask()
    told = []
    for seconds in (5, 6, 7, 10, 12):
        now.ns = seconds * S
        told.append(slow.read().joules)

    assert told == pytest.approx([0, 10, 20, 50, 50])
    slow.close()


def test_a_reading_never_waits_for_a_driver_that_hangs(now: Time) -> None:
    meter = SyntheticMeter(watts={"a": 1.0}, monotonic_ns=now)
    slow = polled(meter, now)
    step(slow, meter, now)
    meter.hangs = threading.Event()
    asking = threading.Thread(target=slow.ask)
    asking.start()

    early = slow.read()
    now.ns += int((HOUR + 11) * S)
    with pytest.raises(AdapterUnavailable, match=r"GO0718 .*no answer in time"):
        slow.read()

    assert early.joules == 0.0
    slow.close()
    meter.hangs.set()
    asking.join()
    slow._thread.join()
    assert meter.closed


def test_after_a_failure_the_energy_of_the_gap_comes_at_once(now: Time) -> None:
    meter = SyntheticMeter(watts={"a": 1.0}, quantum=1e-9, monotonic_ns=now)
    slow = polled(meter, now)

    step(slow, meter, now)
    meter.fails = True
    slow.ask()
    with pytest.raises(AdapterUnavailable, match="told to fail"):
        slow.read()
    meter.work("a", 70.0)
    meter.fails = False
    now.ns = 60 * S
    slow.ask()
    with pytest.raises(AdapterUnavailable, match="next step"):
        slow.read()
    step(slow, meter, now)

    assert slow.read().joules == pytest.approx(71.0)
    slow.close()


def test_a_meter_that_never_answered_is_let_go(now: Time) -> None:
    meter = SyntheticMeter(monotonic_ns=now)
    meter.fails = True

    with pytest.raises(AdapterUnavailable, match="GO0718"):
        polled(meter, now)

    assert meter.closed


def test_its_thread_counts_as_the_cost_of_looking_and_ends_with_it(now: Time) -> None:
    meter = SyntheticMeter(monotonic_ns=now)
    slow = polled(meter, now)

    slow.close()
    slow.close()
    slow._thread.join()

    assert slow._thread.name.startswith("greenops-meter")
    assert meter.closed


def test_a_driver_that_cannot_be_closed_is_a_warning(
    now: Time, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    meter = SyntheticMeter(monotonic_ns=now)
    monkeypatch.setattr(meter, "close", lambda: 1 / 0)
    slow = polled(meter, now)

    slow.close()
    slow._thread.join()

    assert "GO0702" in caplog.text
