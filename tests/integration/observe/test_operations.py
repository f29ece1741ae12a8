"""One operation object, many threads and tasks."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextvars import copy_context

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from greenops.observe.operations import Spanned, operation


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    provider, seen = TracerProvider(shutdown_on_exit=False), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(seen))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    yield seen
    provider.shutdown()


def test_two_threads_in_one_operation_end_their_own_span(spans: InMemorySpanExporter) -> None:
    work = operation("work")
    first_is_in, second_is_in, first_is_out = (threading.Event() for _ in range(3))
    ended: list[tuple[str, bool, bool]] = []

    def first() -> None:
        with work as span:
            first_is_in.set()
            second_is_in.wait()
        ended.append(("first", span.is_recording(), False))
        first_is_out.set()

    def second() -> None:
        first_is_in.wait()
        with work as span:
            second_is_in.set()
            first_is_out.wait()
            still_open = span.is_recording()
        ended.append(("second", span.is_recording(), still_open))

    threads = [threading.Thread(target=each) for each in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert ended == [("first", False, False), ("second", False, True)]
    assert [span.parent for span in spans.get_finished_spans()] == [None, None]


def test_tasks_that_overlap_in_one_operation_end_their_own_span(
    spans: InMemorySpanExporter,
) -> None:
    work = operation("work")
    open_while_inside: list[bool] = []

    async def task(ticks: int) -> None:
        with work as span:
            for _ in range(ticks):
                await asyncio.sleep(0)
            open_while_inside.append(span.is_recording())

    async def both() -> None:
        await asyncio.gather(task(1), task(5), task(3))

    asyncio.run(both())

    assert open_while_inside == [True, True, True]
    assert len(spans.get_finished_spans()) == 3


def test_operations_nest_in_themselves_and_each_other(spans: InMemorySpanExporter) -> None:
    outer, inner = operation("outer"), operation("inner")

    with outer as a, inner as b, outer as c:
        assert a is not c
    with pytest.raises(ValueError, match="told"), outer:
        raise ValueError("told")

    names = [span.name for span in spans.get_finished_spans()]
    assert names == ["outer", "inner", "outer", "outer"]
    assert not any(span.is_recording() for span in (a, b, c))


def test_a_block_left_in_another_context_still_ends(spans: InMemorySpanExporter) -> None:
    work = operation("work")

    span = copy_context().run(work.__enter__)
    copy_context().run(work.__exit__, None, None, None)

    assert not span.is_recording()


def test_an_exit_without_an_entry_does_no_harm(spans: InMemorySpanExporter) -> None:
    work: Spanned = operation("work")

    work.__exit__(None, None, None)

    assert spans.get_finished_spans() == ()
