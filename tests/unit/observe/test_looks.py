"""Looks that are booked later, together, and say the same as if each were booked at once."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from opentelemetry.sdk.trace import TracerProvider

from greenops.adapters.clock import SystemClock
from greenops.domain.energy import Category
from greenops.observe.account import Account
from greenops.observe.host import Host
from greenops.observe.observer import MOST_UNTOLD, TOGETHER, Observer
from greenops.observe.processor import EnergySpanProcessor
from greenops.testing.meters import SyntheticMeter
from greenops.units import NS_PER_S


class Traced:
    """An observer whose looks a test takes, on a board that draws 10 W of idle power and what it is told."""

    def __init__(self) -> None:
        self.now = NS_PER_S
        self.board = SyntheticMeter(
            idle=10.0,
            watts={"a": 1.0},
            device="gpu-0",
            device_kind="gpu",
            monotonic_ns=lambda: self.now,
        )
        self.observer = Observer(
            lambda: [self.board],
            clock=SystemClock(),
            host=lambda: Host(stat=Path("/no/stat")),
            patience_s=0.3,
        )
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(EnergySpanProcessor(self.observer))
        self.tracer = provider.get_tracer("test")

    def glance(self) -> None:
        """A look that nobody waits for, a tenth of a second after the last."""
        self.now += NS_PER_S // 10
        thread = self.observer._thread
        self.observer._thread = SimpleNamespace(asked=False)  # type: ignore[assignment]
        self.observer._look()
        self.observer._thread = thread

    @property
    def account(self) -> Account:
        return self.observer.accounts()[0]


@pytest.fixture
def traced() -> Iterator[Traced]:
    made = Traced()
    yield made
    made.observer.close()


def test_looks_at_an_open_span_are_booked_together(traced: Traced) -> None:
    span = traced.tracer.start_span("a")
    traced.glance()
    traced.glance()

    waited = []
    for _ in range(TOGETHER):
        waited.append(len(traced.observer._seen))
        traced.glance()

    assert waited == list(range(TOGETHER))
    assert not traced.observer._seen
    span.end()


def test_accounts_say_all_that_was_seen(traced: Traced) -> None:
    span = traced.tracer.start_span("a")
    for _ in range(5):
        traced.glance()

    assert traced.account.measured == pytest.approx(5.0, rel=1e-3)
    span.end()


def test_spans_that_ended_before_a_driver_hangs_have_the_energy_that_was_seen(
    traced: Traced,
) -> None:
    with traced.tracer.start_as_current_span("a") as span:
        traced.observer.tick()
        traced.board.work("a", 5.0)
        traced.glance()
    traced.glance()
    key = span.get_span_context().span_id
    traced.board.hangs = threading.Event()

    traced.observer.run()
    traced.observer.settle([key])
    found = traced.observer.take(key)
    traced.board.hangs.set()

    assert found.energy is not None
    assert found.energy.self_j == pytest.approx(5.0, rel=1e-3)


def test_who_asks_gets_all_that_was_seen(traced: Traced) -> None:
    with traced.tracer.start_as_current_span("a") as span:
        traced.observer.tick()
        traced.board.work("a", 5.0)
        traced.glance()
        traced.glance()
    traced.observer.tick()

    found = traced.observer.take(span.get_span_context().span_id)

    assert found.energy is not None
    assert found.energy.self_j == pytest.approx(5.0, rel=1e-3)
    assert traced.account.parts[Category.IDLE] == pytest.approx(2.0, rel=1e-3)


def test_energy_goes_to_the_span_that_was_open_when_it_was_drawn(traced: Traced) -> None:
    traced.observer.tick()
    keys = []
    for joules in (1.0, 2.0, 4.0):
        with traced.tracer.start_as_current_span("a") as span:
            keys.append(span.get_span_context().span_id)
            traced.board.work("a", joules)
            traced.glance()
        traced.glance()
    waited = traced.observer._log.waiting
    traced.observer.tick()

    found = [traced.observer.take(key).energy for key in keys]

    assert waited == 6
    assert [each and each.self_j for each in found] == pytest.approx([1.0, 2.0, 4.0], rel=1e-3)


def test_a_span_that_ended_and_was_let_go_before_looks_are_booked_is_not_taken_for_forgotten(
    traced: Traced,
) -> None:
    span = traced.tracer.start_span("a")
    key = span.get_span_context().span_id
    traced.observer.tick()
    traced.glance()

    span.end()
    del span
    gc.collect()
    traced.observer.tick()

    assert traced.observer.take(key).energy is not None


def test_many_notes_are_not_kept_waiting(traced: Traced) -> None:
    for _ in range(MOST_UNTOLD // 2 + 1):
        traced.tracer.start_span("a").end()
    traced.glance()

    assert traced.observer._log.waiting == 0


def test_looks_go_seldom_soon_after_the_last_span(traced: Traced) -> None:
    with traced.tracer.start_as_current_span("a"):
        traced.glance()
    for _ in range(3):
        traced.glance()

    assert traced.observer._log.waiting == 0
    assert not traced.observer._seen
    assert traced.observer._log.rest(lambda: None)
