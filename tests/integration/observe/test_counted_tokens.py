"""`greenops.tokens` with the real SDK: what a program says of its own language model decides who gets a GPU's energy."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from opentelemetry import trace

import greenops
from greenops.observe import attributes as names
from greenops.testing.meters import SyntheticMeter
from tests.integration.observe.traced import Service, number


@pytest.fixture
def board() -> SyntheticMeter:
    return SyntheticMeter(
        watts={"both": 1.0}, device="GPU-a", device_kind="gpu", uncertainty=0.01, quantum=1e-6
    )


@pytest.fixture
def service(board: SyntheticMeter) -> Iterator[Service]:
    made = Service(lambda: [board])
    yield made
    made.provider.shutdown()


def together(service: Service, board: SyntheticMeter, *counts: Callable[[], None]) -> list[float]:
    """Spans on threads of their own, open at once while the board works; the energy of each."""
    started, counted = threading.Barrier(len(counts) + 1), threading.Barrier(len(counts) + 1)
    drawn = threading.Event()

    def request(name: str, count: Callable[[], None]) -> None:
        with service.tracer.start_as_current_span(name):
            started.wait()
            count()
            counted.wait()
            drawn.wait()

    threads = [
        threading.Thread(target=request, args=(str(index), count))
        for index, count in enumerate(counts)
    ]
    for each in threads:
        each.start()
    with service.observer._tick_lock:  # No look between the first count and the last.
        started.wait()
        counted.wait()
        board.work("both", 100.0)
    service.observer.look()
    drawn.set()
    for each in threads:
        each.join()
    found = {span.name: number(span, names.ENERGY_SELF) for span in service.finish()}
    return [found[str(index)] for index in range(len(counts))]


def test_spans_share_a_board_by_the_tokens_they_say(service, board):
    energies = together(
        service,
        board,
        lambda: greenops.tokens(output=30),
        lambda: greenops.tokens(input=100, output=60),
    )

    # Before anything is learned an input token counts 0.3 of an output token.
    assert energies[0] == pytest.approx(100 * 30 / (30 + 60 + 30), rel=0.02)
    assert sum(energies) == pytest.approx(100, rel=0.02)


def test_what_was_said_bit_by_bit_adds_up(service, board):
    def stream() -> None:
        for _ in range(10):
            greenops.tokens(output=1)

    energies = together(service, board, stream, lambda: greenops.tokens(output=10))

    assert energies[0] == pytest.approx(energies[1], rel=0.02)


def test_without_numbers_the_spans_own_usage_counts(service, board):
    def told() -> None:
        trace.get_current_span().set_attributes(
            {
                "gen_ai.usage.input_tokens": 0,
                "gen_ai.usage.output_tokens": np.int64(75).item(),
            }
        )
        greenops.tokens()

    energies = together(service, board, told, lambda: greenops.tokens(output=25))

    assert energies[0] == pytest.approx(75, rel=0.02)


def test_numbers_of_numpy_count(service, board):
    energies = together(
        service,
        board,
        lambda: greenops.tokens(output=np.int64(75)),  # type: ignore[arg-type]
        lambda: greenops.tokens(output=25),
    )

    assert energies[0] == pytest.approx(75, rel=0.02)


class Hostile:
    def __int__(self) -> int:
        raise RuntimeError("no")

    __index__ = __float__ = __int__


@pytest.mark.parametrize(
    "value", [-1, float("nan"), float("inf"), 1e18, 10**30, 1.5, "3", True, [1], Hostile()]
)
def test_what_cannot_be_tokens_is_refused_and_counted(service, value: Any):
    with service.tracer.start_as_current_span("a"):
        greenops.tokens(input=value)
        greenops.tokens(output=value)
        greenops.tokens(input=5, output=value)

    assert dict(service.observer.unknowns())["bad_tokens"] == 3


def test_a_tensor_is_not_looked_at(service):
    class OnDevice:
        asked = 0

        def __index__(self) -> int:
            OnDevice.asked += 1
            return 5

        __int__ = item = __index__

    with service.tracer.start_as_current_span("a"):
        greenops.tokens(output=OnDevice())  # type: ignore[arg-type]

    assert OnDevice.asked == 0
    assert dict(service.observer.unknowns())["bad_tokens"] == 1


def test_a_span_without_usage_says_so(service):
    with service.tracer.start_as_current_span("a"):
        greenops.tokens()

    assert dict(service.observer.unknowns()) == {"no_tokens": 1}


def test_without_a_span_and_after_the_end_nothing_happens(service):
    greenops.tokens(output=3)
    with service.tracer.start_as_current_span("a"):
        service.observer.close()
        greenops.tokens(output=3)

    assert dict(service.observer.unknowns()).get("bad_tokens") is None
