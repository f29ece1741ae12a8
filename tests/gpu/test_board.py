"""What a real board's counter does, and what attribution makes of it; the findings go to a page of the documentation."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from greenops.adapters import nvml
from greenops.adapters.clock import SystemClock
from greenops.domain.energy import Category
from greenops.errors import GreenOpsError
from greenops.observe.observer import Observer
from greenops.ports import EnergyMeter
from tests.gpu import experiments
from tests.gpu.cuda import Board, CudaError
from tests.gpu.experiments import Bench
from tests.gpu.page import Findings
from tests.gpu.sensors import NvmlSensors

pytestmark = [pytest.mark.gpu, pytest.mark.slow, pytest.mark.timeout(300)]
WINDOW_S = 10.0
RUNS = 5


@pytest.fixture(scope="module")
def board() -> Iterator[Board]:
    try:
        found = Board()
    except (OSError, CudaError) as error:
        pytest.skip(f"no CUDA device: {error}")
    yield found
    found.close()


@pytest.fixture(scope="module")
def meter(board: Board) -> Iterator[EnergyMeter]:
    """The meter of the board that CUDA shows first, which NVML may not."""
    try:
        found = nvml.discover()
    except (GreenOpsError, ValueError) as error:
        pytest.skip(f"no NVIDIA meter: {error}")
    mine = next((each for each in found if each.info.device == board.uuid), None)
    for each in found:
        if each is not mine:
            each.close()
    if mine is None:
        pytest.skip(f"no meter of {board.uuid}; an instance of MIG has none of its own")
    yield mine
    mine.close()


@pytest.fixture(scope="module")
def bench(meter: EnergyMeter, board: Board) -> Bench:
    return Bench(meter, board, NvmlSensors(meter.info.device), time.monotonic_ns, time.sleep)


@pytest.fixture(scope="module")
def findings(bench: Bench) -> Iterator[Findings]:
    found = Findings(NvmlSensors(bench.meter.info.device).described())
    yield found
    sys.stdout.write(found.page())
    found.write()


def test_the_model_computes_what_it_should(board: Board) -> None:
    board.batch(3)

    assert board.answers(3) == [1.0, 1.0, 1.0]


def test_the_counter_steps_within_a_fifth_of_a_second(bench: Bench, findings: Findings) -> None:
    found = findings.add(experiments.steps(bench, WINDOW_S))

    assert found.longest_ms < 200
    assert found.lag_ms < 500


def test_the_counter_misses_no_part_time_load(bench: Bench, findings: Findings) -> None:
    idle = bench.rest(5)
    full = bench.watts(lambda: bench.board.busy("arithmetic", 5))
    for half_s in (0.005, 0.0125, 0.025, 0.05, 0.1):
        found = findings.add(experiments.part_time(bench, half_s, WINDOW_S))

        assert idle < found.counter_w < 1.1 * full


def test_two_kernels_take_turns_and_each_gets_its_own(bench: Bench, findings: Findings) -> None:
    slow = findings.add(experiments.turns(bench, 3.0, 30.0, WINDOW_S))
    quick = findings.add(experiments.turns(bench, 0.02, 10.0, WINDOW_S))

    assert slow.shared == pytest.approx(slow.alone, rel=0.15)
    # Within one step of the counter nothing tells two kernels apart: they get equal parts.
    assert quick.shared == pytest.approx(1.0, abs=0.2)


def test_a_batch_is_shared_and_a_larger_one_costs_less_a_request(
    bench: Bench, findings: Findings
) -> None:
    found = [
        findings.add(each)
        for each in experiments.batches(bench, (1, 2, 4, 8, 16, 32, 64), WINDOW_S)
    ]

    assert found[-1].isolated_j < found[0].isolated_j
    for each in found:
        assert each.share_j == pytest.approx(each.isolated_j, rel=0.25)


def test_idle_power_is_the_same_before_and_after_a_load(bench: Bench, findings: Findings) -> None:
    found = findings.add(experiments.rest(bench, RUNS, WINDOW_S, 20.0))

    assert found.after_w == pytest.approx(found.before_w, rel=0.25)


def test_the_books_of_a_busy_board_close(meter: EnergyMeter, board: Board) -> None:
    observer = Observer(_again(meter), clock=SystemClock())
    observer.run()
    board.busy("arithmetic", 3)
    observer.close()

    account = next(each for each in observer.accounts() if each.info.device == meter.info.device)
    assert account.residual == 0
    assert sum(account.parts.values()) == pytest.approx(account.measured)
    assert account.parts[Category.IDLE] > 0


def _again(meter: EnergyMeter) -> Any:
    """A meter of the same board that the observer may close."""

    def discover() -> list[EnergyMeter]:
        found = nvml.discover()
        for each in found:
            if each.info.device != meter.info.device:
                each.close()
        return [each for each in found if each.info.device == meter.info.device]

    return discover
