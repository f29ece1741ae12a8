"""Laws of one device's account: what a counter may do, and what of it is energy."""

from __future__ import annotations

import random

import pytest

from greenops.domain.energy import Boundary, EnergyReading, MeterInfo, Method
from greenops.observe.device import DeviceAccount, joules
from greenops.units import Joules, Seconds, Watts

MS = 1_000_000


def info(
    *,
    rated: float | None = None,
    idle: float | None = 0.0,
    wrap: float | None = None,
    period: float = 0.1,
) -> MeterInfo:
    return MeterInfo(
        name="nvml",
        device="GPU-0",
        device_kind="gpu",
        method=Method.MEASURED,
        boundary=Boundary.CHIP,
        uncertainty=0.05,
        wrap=None if wrap is None else Joules(wrap),
        rated_power=None if rated is None else Watts(rated),
        idle_power=None if idle is None else Watts(idle),
        update_period=Seconds(period),
    )


class Board:
    """A device of constant power whose counter steps every `period_ms`, give or take `jitter_ms`."""

    def __init__(self, watts: float, period_ms: float, jitter_ms: float = 0.0) -> None:
        self.watts, self.period_ms, self.jitter_ms = watts, period_ms, jitter_ms
        self.dice = random.Random(7)
        self.step_ms = self.next_ms = 0.0

    def at(self, ms: float) -> EnergyReading:
        while self.next_ms <= ms:
            self.step_ms = self.next_ms
            self.next_ms += self.period_ms + self.dice.uniform(-1, 1) * self.jitter_ms
        return EnergyReading("GPU-0", int(ms * MS), Joules(self.watts * self.step_ms / 1000))


@pytest.mark.parametrize("look_ms", [2.0, 95.0, 100.0, 250.0])
@pytest.mark.parametrize(("watts", "period_ms", "jitter_ms"), [(650, 100, 5), (300, 1, 0.2)])
def test_a_counter_that_steps_loses_nothing_however_often_it_is_looked_at(
    look_ms: float, watts: float, period_ms: float, jitter_ms: float
) -> None:
    board = Board(watts, period_ms, jitter_ms)
    account = DeviceAccount(info(rated=watts * 1.05, period=period_ms / 1000))

    at = 0.0
    while at < 120_000:
        account.advance(board.at(at))
        at += look_ms + board.dice.uniform(-1, 1) * min(look_ms / 2, 5.0)
    last = board.at(at)
    account.advance(last)

    assert account.refused == {"jump": 0, "reset": 0}
    assert joules(account.measured) == pytest.approx(last.joules, rel=1e-6)


def test_idle_is_taken_for_all_the_time_of_a_step() -> None:
    account = DeviceAccount(info(idle=70.0))
    board = Board(100.0, 100.0)

    idle = sum(account.idle(*account.advance(board.at(at))) for at in range(0, 10_001, 2))

    assert joules(idle) == pytest.approx(700.0, rel=0.01)


def test_a_step_beyond_the_rated_power_is_refused_and_counted() -> None:
    account = DeviceAccount(info(rated=100.0))
    account.advance(EnergyReading("GPU-0", 0, Joules(0.0)))

    moved, _ = account.advance(EnergyReading("GPU-0", 100 * MS, Joules(46.0)))

    assert moved == 0
    assert account.refused == {"jump": 1, "reset": 0}


def test_a_refused_reading_teaches_no_idle_power() -> None:
    account = DeviceAccount(info(idle=None, rated=200.0))
    counter = 50_000.0
    for second in range(10):
        counter = 1.0 if second == 5 else counter + 100.0
        account.idle(*account.advance(EnergyReading("GPU-0", second * 10**9, Joules(counter))))

    assert account.resets == 1
    assert account.learned.lowest == pytest.approx(100.0)


def test_a_gap_is_in_no_window_of_the_idle_power() -> None:
    account = DeviceAccount(info(idle=None))
    for tenth in range(31):
        counter = 1.0 + 10.0 * tenth if tenth < 15 else 10.0 * (tenth - 15)
        account.idle(*account.advance(EnergyReading("GPU-0", tenth * 100 * MS, Joules(counter))))

    assert account.resets == 1
    assert account.learned.lowest == pytest.approx(100.0)


def test_in_the_first_second_the_lowest_step_is_idle() -> None:
    account = DeviceAccount(info(idle=None))
    idle, counter = 0, 0.0
    for tenth in range(10):
        counter += 10.0 + (1.0 if tenth == 5 else 0.0)
        idle += account.idle(
            *account.advance(EnergyReading("GPU-0", tenth * 100 * MS, Joules(counter)))
        )

    assert joules(account.measured - idle) == pytest.approx(1.0)


def test_a_reset_is_no_lap_where_the_rated_power_is_unknown() -> None:
    account = DeviceAccount(info(wrap=262_143.3))
    account.advance(EnergyReading("GPU-0", 0, Joules(200_000.0)))

    moved, _ = account.advance(EnergyReading("GPU-0", 100 * MS, Joules(1.0)))

    assert moved == 0
    assert account.refused == {"jump": 0, "reset": 1}


def test_a_lap_counts_where_the_rated_power_is_unknown() -> None:
    account = DeviceAccount(info(wrap=262_143.0))
    account.advance(EnergyReading("GPU-0", 0, Joules(262_140.0)))

    moved, _ = account.advance(EnergyReading("GPU-0", 100 * MS, Joules(7.0)))

    assert joules(moved) == pytest.approx(10.0)
