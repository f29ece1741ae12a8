"""Tasks that share a thread: what a step uses goes to the spans of its task."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenops.domain.energy import Category
from greenops.observe.open_spans import OpenSpans, TaskStack
from greenops.observe.span_log import MOST_NOTES, SpanLog
from tests.unit.observe.test_attribution import World, meter


def switch(world: World, stack: TaskStack | None) -> None:
    world.books.spans.switch(1, stack, world.threads[1], world.now)


def test_a_suspended_span_collects_nothing() -> None:
    world, a, b = World(meter()), TaskStack(), TaskStack()

    switch(world, a)
    world.start(1)
    world.run(1, 10)
    switch(world, None)
    world.run(1, 5)
    switch(world, b)
    world.start(2)
    world.run(1, 20)
    switch(world, None)
    switch(world, a)
    world.run(1, 30)
    world.end(1)
    world.run(1, 7)
    switch(world, None)
    switch(world, b)
    world.run(1, 40)
    world.end(2)
    switch(world, None)
    world.tick()

    assert world.self_j(1) == pytest.approx(0.4)
    assert world.self_j(2) == pytest.approx(0.6)
    assert world.part(Category.UNATTRIBUTED) == pytest.approx(0.12)


def test_a_task_without_spans_works_for_the_span_it_was_made_under() -> None:
    world, request, helper = World(meter()), TaskStack(), TaskStack(under=1)

    switch(world, request)
    world.start(1)
    switch(world, None)
    switch(world, helper)
    world.run(1, 10)
    world.start(2, parent=1)
    world.run(1, 20)
    world.end(2)
    world.run(1, 30)
    switch(world, None)
    switch(world, request)
    world.end(1)
    switch(world, None)
    switch(world, helper)
    world.run(1, 40)
    switch(world, None)
    world.tick()

    assert world.self_j(1) == pytest.approx(0.4)
    assert world.self_j(2) == pytest.approx(0.2)
    assert world.part(Category.UNATTRIBUTED) == pytest.approx(0.4)


def test_a_task_that_ends_the_span_it_was_made_under_is_charged_up_to_its_end() -> None:
    world, request, stream = World(meter()), TaskStack(), TaskStack(under=1)

    switch(world, request)
    world.start(1)
    switch(world, None)
    switch(world, stream)
    world.run(1, 10)
    world.end(1)
    world.run(1, 20)
    switch(world, None)
    world.tick()

    assert world.self_j(1) == pytest.approx(0.1)
    assert world.part(Category.UNATTRIBUTED) == pytest.approx(0.2)


def test_a_span_of_a_suspended_task_that_is_thrown_away_gives_its_energy_back() -> None:
    world, stack = World(meter()), TaskStack()

    switch(world, stack)
    world.start(1)
    world.run(1, 10)
    switch(world, None)
    world.tick()
    world.forget(1)
    world.tick()
    world.tick()

    assert stack == []
    assert world.part(Category.UNATTRIBUTED) == pytest.approx(0.1)


def test_a_stack_of_a_parent_process_is_empty_after_a_fork() -> None:
    before, after, stack = World(meter()), World(meter()), TaskStack()

    switch(before, stack)
    before.start(1)
    switch(after, stack)

    assert stack == []


def test_switches_leave_room_for_starts_and_ends() -> None:
    log, spans, stack = SpanLog(lambda _: None), OpenSpans(), TaskStack()

    for _ in range(MOST_NOTES):
        log.switched(stack)
    waiting = len(log._notes)
    log.tell(spans)

    assert waiting == MOST_NOTES // 2 + 1
    (state,) = spans.threads.values()
    assert state.stack is stack


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 50)), max_size=60))
def test_interleaved_tasks_conserve_energy(steps: list[tuple[int, int, int]]) -> None:
    world = World(meter())
    stacks = {task: TaskStack(under=1 if task == 2 else None) for task in range(3)}
    opened: dict[int, list[int]] = {0: [], 1: [], 2: [], 3: []}
    key = 0
    for task, what, ms in steps:
        switch(world, stacks.get(task))
        if what == 0:
            key += 1
            world.start(key)
            opened[task].append(key)
        world.run(1, ms)
        if what == 1 and opened[task]:
            world.end(opened[task].pop(0))
        if what == 2:
            world.tick()
        switch(world, None)
        world.run(1, 1)
    world.tick()
    world.books.close()

    parts = world.books.devices["cpu"].parts
    given_out = sum(done.energy.self_j for done in world.done.values() if done.energy)
    assert world.part(Category.ATTRIBUTED) == pytest.approx(given_out, rel=1e-9, abs=1e-9)
    assert sum(world.part(each) for each in parts) == pytest.approx(world.drawn, rel=1e-6, abs=1e-9)
    assert all(each.energy is None or each.energy.self_j >= 0 for each in world.done.values())
