"""What a real board's counter does, and what attribution makes of it; each finding is printed (`pytest -s -m gpu`)."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from statistics import median
from typing import Any

import pytest

from greenops.adapters import nvml
from greenops.adapters.clock import SystemClock
from greenops.domain.energy import Category
from greenops.errors import GreenOpsError
from greenops.observe.observer import Observer
from greenops.ports import EnergyMeter
from tests.gpu.cuda import Board

pytestmark = [pytest.mark.gpu, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def meter() -> Iterator[EnergyMeter]:
    try:
        first, *others = nvml.discover()
    except (GreenOpsError, ValueError) as error:
        pytest.skip(f"no NVIDIA device: {error}")
    yield first
    for each in (first, *others):
        each.close()


@pytest.fixture(scope="module")
def board(meter: EnergyMeter) -> Board:
    try:
        return Board()
    except (OSError, RuntimeError) as error:
        pytest.skip(f"no CUDA driver: {error}")


def tell(finding: object) -> None:
    sys.stdout.write(f"{finding}\n")


def watts(meter: EnergyMeter, work: Any) -> float:
    first = meter.read()
    work()
    last = meter.read()
    return (last.joules - first.joules) / (last.at_ns - first.at_ns) * 1e9


def test_the_counter_steps_within_a_fifth_of_a_second(meter: EnergyMeter) -> None:
    steps, last = [], meter.read()
    until = time.monotonic() + 10
    while time.monotonic() < until:
        time.sleep(0.001)
        now = meter.read()
        if now.joules != last.joules:
            steps.append((now.at_ns - last.at_ns) / 1e6)
            last = now

    tell(f"counter period: median {median(steps):.1f} ms, longest {max(steps):.1f} ms")
    assert max(steps) < 200


def test_the_counter_misses_no_part_time_load(meter: EnergyMeter, board: Board) -> None:
    idle = watts(meter, lambda: time.sleep(5))
    full = watts(meter, lambda: board.busy("arithmetic", 5))
    for half_s in (0.005, 0.0125, 0.025, 0.05, 0.1):

        def square(half_s: float = half_s) -> None:
            for _ in range(int(5 / half_s / 2)):
                board.busy("arithmetic", half_s)
                time.sleep(half_s)

        found = watts(meter, square)
        tell(f"half period {half_s * 1e3:g} ms: {found:.1f} W of idle {idle:.1f}, full {full:.1f}")
        assert idle < found < full


def test_two_kernels_take_turns_and_each_gets_its_own(meter: EnergyMeter, board: Board) -> None:
    alone = {name: watts(meter, lambda n=name: board.busy(n, 10)) for name in board.turns}
    idle = watts(meter, lambda: time.sleep(5))
    observer = Observer(nvml.discover, clock=SystemClock())
    for _ in range(30):
        time.sleep(0.1)
        observer.tick()
    spans, got = observer._books.spans, dict.fromkeys(board.turns, 0.0)
    for turn in range(5):
        for index, name in enumerate(board.turns):
            key, here = 1 + 2 * turn + index, threading.get_native_id()
            spans.start(key, name, None, here, None, time.monotonic_ns())
            board.busy(name, 3)
            spans.end(key, None, time.monotonic_ns())
            observer.tick()
            energy = observer.take(key).energy
            got[name] += energy.self_j if energy is not None else 0.0
    observer.close()

    true = (alone["arithmetic"] - idle) / (alone["waiting"] - idle)
    tell(f"alone {alone}, idle {idle:.1f} W, in turns {got}, ratio {true:.2f} alone")
    assert got["arithmetic"] / got["waiting"] == pytest.approx(true, rel=0.15)


def test_the_books_of_a_busy_board_close(meter: EnergyMeter, board: Board) -> None:
    observer = Observer(nvml.discover, clock=SystemClock())
    observer.run()
    board.busy("arithmetic", 3)
    observer.close()

    account = next(each for each in observer.accounts() if each.info.device == meter.info.device)
    tell(account.parts)
    assert account.residual == 0
    assert sum(account.parts.values()) == pytest.approx(account.measured)
    assert account.parts[Category.IDLE] > 0


def test_idle_power_is_the_same_before_and_after_a_load(meter: EnergyMeter, board: Board) -> None:
    before = watts(meter, lambda: time.sleep(10))
    board.busy("arithmetic", 10)
    time.sleep(10)
    after = watts(meter, lambda: time.sleep(10))

    tell(f"idle before {before:.1f} W, after {after:.1f} W")
    assert after == pytest.approx(before, rel=0.25)
