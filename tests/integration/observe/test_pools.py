"""Work in a pool of threads is the work of the span that handed it over."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
import pytest

from greenops.observe.pools import Handed, Pools
from greenops.observe.steps import Steps
from tests.integration.observe.traced import Service

pytestmark = pytest.mark.enable_socket  # a loop wakes itself through a socket pair


@pytest.fixture
def followed(service: Service) -> Iterator[Service]:
    steps = Steps(service.observer.switch)
    pools = Pools(steps)
    steps.install()
    pools.install()
    pools.install()
    yield service
    steps.remove()
    pools.remove()


def spin(cpu_s: float) -> float:
    started = time.thread_time()
    while time.thread_time() - started < cpu_s:
        hashlib.sha256(b"x" * 10_000).digest()
    return cpu_s


def used(service: Service) -> dict[str, float]:
    service.provider.force_flush()
    return {
        span.name: service.observer.take(span.context.span_id).cpu_ns / 1e9
        for span in service.spans.get_finished_spans()
    }


def in_a_thread(service: Service) -> Any:
    async def request(name: str, cpu_s: float) -> None:
        with service.tracer.start_as_current_span(name):
            assert await asyncio.to_thread(spin, cpu_s) == cpu_s

    async def main() -> None:
        await asyncio.gather(request("a", 0.02), request("b", 0.06))

    asyncio.run(main())


def in_an_executor(service: Service) -> Any:
    with ThreadPoolExecutor(1) as pool:
        for name, cpu_s in (("a", 0.02), ("b", 0.06)):
            with service.tracer.start_as_current_span(name):
                assert pool.submit(partial(spin, cpu_s=cpu_s)).result() == cpu_s


def in_threads_of_anyio(service: Service) -> Any:
    async def request(name: str, cpu_s: float) -> None:
        with service.tracer.start_as_current_span(name):
            assert await anyio.to_thread.run_sync(spin, cpu_s) == cpu_s

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(request, "a", 0.02)
            group.start_soon(request, "b", 0.06)

    anyio.run(main)


@pytest.mark.slow
@pytest.mark.parametrize("way", [in_a_thread, in_an_executor, in_threads_of_anyio])
def test_a_span_that_waits_for_a_thread_gets_its_cpu_time(way: Any, followed: Service) -> None:
    way(followed)

    found = used(followed)
    assert found["a"] == pytest.approx(0.02, rel=0.25, abs=0.004)
    assert found["b"] == pytest.approx(0.06, rel=0.25, abs=0.004)


@pytest.mark.slow
def test_a_span_of_its_own_in_the_thread_comes_first(followed: Service) -> None:
    def work() -> None:
        with followed.tracer.start_as_current_span("inner"):
            spin(0.03)

    async def main() -> None:
        with followed.tracer.start_as_current_span("outer"):
            await asyncio.to_thread(work)

    asyncio.run(main())

    found = used(followed)
    assert found["inner"] == pytest.approx(0.03, rel=0.25)
    assert found["outer"] < 0.01


def test_exceptions_and_work_without_a_span_pass_through(followed: Service) -> None:
    seen: list[Any] = []

    def failing() -> None:
        raise KeyError("mine")

    with ThreadPoolExecutor(1) as pool:
        with followed.tracer.start_as_current_span("a"), pytest.raises(KeyError, match="mine"):
            pool.submit(failing).result()
        assert pool.submit(seen.append, 1).result() is None
        with pytest.raises(TypeError):
            pool.submit()  # type: ignore[call-arg]

    assert seen == [1]


def test_removed_it_leaves_pools_as_they_were() -> None:
    before = ThreadPoolExecutor.submit, anyio.to_thread.run_sync
    steps = Steps(lambda stack: None)
    pools = Pools(steps)
    pools.install()
    inside = ThreadPoolExecutor.submit
    pools.remove()

    assert inside is not before[0]
    assert (ThreadPoolExecutor.submit, anyio.to_thread.run_sync) == before


def test_where_another_tool_came_after_us_ours_lets_functions_through() -> None:
    before = ThreadPoolExecutor.submit
    steps = Steps(lambda stack: None)
    pools = Pools(steps)
    pools.install()
    ours = ThreadPoolExecutor.submit

    def theirs(*args: Any, **named: Any) -> Any:
        return ours(*args, **named)

    try:
        ThreadPoolExecutor.submit = theirs  # type: ignore[method-assign]
        steps.remove()
        pools.remove()

        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(spin, 0.0).result() == 0.0
        assert not isinstance(pools._handed(spin), Handed)
    finally:
        ThreadPoolExecutor.submit = before  # type: ignore[method-assign]
