"""Coroutines that share a thread get the CPU time of their own steps, and notice nothing."""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import inspect
import time
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from math import fsum
from typing import Any

import pytest
from opentelemetry import trace

from greenops.observe import attributes as names
from greenops.observe.open_spans import TaskStack
from greenops.observe.steps import Metered, Steps
from greenops.testing.meters import SyntheticMeter
from tests.integration.observe.traced import Service, burn, number

pytestmark = pytest.mark.enable_socket  # a loop wakes itself through a socket pair
LOOPS = ["asyncio", pytest.param("uvloop", marks=pytest.mark.skipif(
    find_spec("uvloop") is None, reason="no uvloop; pip install uvloop"))]  # fmt: skip


def run(loop: str, main: Any) -> Any:
    if loop == "uvloop":
        return import_module("uvloop").run(main)
    return asyncio.run(main)


@pytest.fixture
def metered(service: Service) -> Iterator[Service]:
    steps = Steps(service.observer.switch)
    steps.install()
    yield service
    steps.remove()


@pytest.fixture
def steps() -> Iterator[Steps]:
    made = Steps(lambda stack: None)
    made.install()
    yield made
    made.remove()


@pytest.mark.slow
@pytest.mark.parametrize("loop", LOOPS)
def test_overlapping_requests_get_the_cpu_time_of_their_own_steps(
    loop: str, metered: Service
) -> None:
    true: dict[str, float] = {}

    async def request(number: int) -> None:
        with metered.tracer.start_as_current_span(f"request-{number}"):
            for _ in range(4):
                started = time.thread_time()
                while time.thread_time() - started < 0.002 * (1 + number % 3):
                    hashlib.sha256(b"x" * 10_000).digest()
                name = f"request-{number}"
                true[name] = true.get(name, 0.0) + time.thread_time() - started
                await asyncio.sleep(0.002)

    async def main() -> None:
        await asyncio.gather(*(request(each) for each in range(32)))

    run(loop, main())
    metered.provider.force_flush()
    found = {
        span.name: metered.observer.take(span.context.span_id).cpu_ns / 1e9
        for span in metered.spans.get_finished_spans()
    }

    assert len(found) == 32
    assert fsum(found.values()) / fsum(true.values()) == pytest.approx(1.0, abs=0.08)
    errors = sorted(abs(found[name] / true[name] - 1) for name in true)
    assert errors[len(errors) // 2] < 0.1


@pytest.mark.slow
def test_energy_of_overlapping_requests_is_in_the_proportion_of_their_work(
    metered: Service, meter: SyntheticMeter
) -> None:
    async def request(operation: str, cpu_s: float) -> None:
        with metered.tracer.start_as_current_span(operation):
            for _ in range(10):
                burn(meter, operation, cpu_s / 10)
                await asyncio.sleep(0.001)

    async def main() -> None:
        await asyncio.gather(
            *(request("a", 0.02) for _ in range(4)), *(request("a", 0.06) for _ in range(4))
        )

    asyncio.run(main())
    energies = sorted(number(span, names.ENERGY_SELF) for span in metered.finish())

    assert fsum(energies[4:]) / fsum(energies[:4]) == pytest.approx(3.0, rel=0.15)


@pytest.mark.slow
def test_a_task_made_for_a_request_works_for_its_span(metered: Service) -> None:
    async def helper() -> None:
        await asyncio.sleep(0)
        spin(0.03)

    async def request() -> None:
        with metered.tracer.start_as_current_span("a"):
            await asyncio.gather(helper(), helper())

    asyncio.run(request())
    metered.provider.force_flush()

    (span,) = metered.spans.get_finished_spans()
    assert metered.observer.take(span.context.span_id).cpu_ns == pytest.approx(60e6, rel=0.15)


def spin(cpu_s: float) -> None:
    started = time.thread_time()
    while time.thread_time() - started < cpu_s:
        hashlib.sha256(b"x" * 10_000).digest()


def test_a_metered_task_behaves_as_any_other(steps: Steps) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="outer")
    left = []

    async def named(value: int) -> int:
        variable.set("inner")
        await asyncio.sleep(0)
        return value

    async def raising() -> None:
        await asyncio.sleep(0)
        raise KeyError("mine")

    async def waiting() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            left.append(await named(3))

    async def main() -> None:
        task = asyncio.create_task(named(7), name="seven")
        assert task.get_name() == "seven"
        assert "named" in repr(task)
        assert isinstance(task.get_coro(), Metered)
        assert inspect.getcoroutinestate(task.get_coro()) == inspect.CORO_CREATED  # type: ignore[arg-type]
        assert await task == 7
        assert variable.get() == "outer"
        with pytest.raises(KeyError, match="mine"):
            await asyncio.create_task(raising())
        cancelled = asyncio.create_task(waiting())
        await asyncio.sleep(0)
        assert cancelled.get_stack()
        cancelled.cancel("enough")
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        assert cancelled.cancelled()
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            both = [group.create_task(named(each)) for each in (1, 2)]
        assert [each.result() for each in both] == [1, 2]
        with pytest.raises(TypeError, match="coroutine was expected"):
            _ = asyncio.get_running_loop().create_task(5)  # type: ignore[arg-type]

    asyncio.run(main())

    assert left == [3]


@pytest.mark.parametrize("loop", LOOPS)
def test_a_task_factory_of_the_service_is_kept(loop: str, steps: Steps) -> None:
    made = []

    class Own(asyncio.Task[Any]):
        """The service's own kind of task."""

    def factory(loop: Any, coro: Any, **named: Any) -> Own:
        made.append(coro)
        return Own(coro, loop=loop, **named)

    async def work() -> int:
        await asyncio.sleep(0)
        return 5

    async def main() -> None:
        running = asyncio.get_running_loop()
        running.set_task_factory(factory)
        task = running.create_task(work())
        assert isinstance(task, Own)
        assert await task == 5
        assert running.get_task_factory() is factory

    run(loop, main())

    assert isinstance(made[0], Metered)


def test_a_task_that_starts_inside_a_step_gives_the_thread_back_to_it() -> None:
    seen: list[TaskStack | None] = []
    steps = Steps(seen.append)

    async def inner() -> None: ...

    async def outer() -> None:
        with pytest.raises(StopIteration):
            steps.metered(inner()).send(None)

    with pytest.raises(StopIteration):
        steps.metered(outer()).send(None)

    first, second, third, last = seen
    assert first is third
    assert second is not first
    assert last is None


@pytest.mark.parametrize("loop", LOOPS)
def test_removed_it_leaves_event_loops_as_they_were(loop: str) -> None:
    before = asyncio.BaseEventLoop.create_task
    steps = Steps(lambda stack: None)

    async def work() -> Any:
        task = asyncio.current_task()
        assert task is not None
        return task.get_coro()

    steps.install()
    steps.install()
    inside = run(loop, work())
    steps.remove()
    after = run(loop, work())

    assert isinstance(inside, Metered)
    assert not isinstance(after, Metered)
    assert asyncio.BaseEventLoop.create_task is before
    coroutine = work()
    assert steps.metered(coroutine) is coroutine
    coroutine.close()


def test_another_tools_patch_over_ours_stays() -> None:
    before = asyncio.BaseEventLoop.create_task
    steps = Steps(lambda stack: None)
    steps.install()
    ours = asyncio.BaseEventLoop.create_task

    def theirs(self: Any, coro: Any, **named: Any) -> Any:
        return ours(self, coro, **named)

    try:
        asyncio.BaseEventLoop.create_task = theirs  # type: ignore[method-assign]
        steps.remove()

        assert asyncio.BaseEventLoop.create_task is theirs
        assert asyncio.run(asyncio.sleep(0, 4)) == 4
    finally:
        asyncio.BaseEventLoop.create_task = before  # type: ignore[method-assign]


def test_a_coroutine_of_nobody_stands_alone(steps: Steps) -> None:
    async def work() -> int:
        return 3

    held = steps.metered(work())

    assert repr(held).startswith("<coroutine object")
    assert held.__qualname__.endswith("work")
    assert asyncio.run(held) == 3
    closed = steps.metered(work())
    closed.close()
    assert not trace.get_current_span().is_recording()
