"""Meters asyncio per step of a coroutine: a suspended span collects nothing, whoever else has the thread.

Event loops hand every coroutine that becomes a task to `create_task`. There it is put into a `Metered`, which tells
the observer when a step begins and ends. Task factories, eager ones too, stay as the service set them.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine, Generator
from functools import wraps
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from opentelemetry import trace

from greenops.observe.open_spans import TaskStack

_log = logging.getLogger(__name__)

Switch = Callable[[TaskStack | None], None]


class _Here(threading.local):
    running: TaskStack | None = None
    """Open spans of the task whose step this thread runs."""


def _nothing(stack: TaskStack | None) -> None:
    """No step is metered any more."""


class Metered(Coroutine[Any, Any, Any]):
    """A coroutine whose steps are told; behaves as the one it holds.

    Args:
        inner: The service's coroutine.
        steps: Told of each step.
    """

    __slots__ = ("__weakref__", "_inner", "_stack", "_steps")

    def __init__(self, inner: Coroutine[Any, Any, Any], steps: Steps) -> None:
        self._inner, self._steps = inner, steps
        self._stack: TaskStack | None = None

    def send(self, value: Any) -> Any:
        """Run one step."""
        steps, stack = self._steps, self._stack
        if stack is None:
            stack = self._stack = TaskStack(current_key())
        here = steps.here
        # A task that starts eagerly runs inside a step of the one that made it.
        outer, here.running = here.running, stack
        steps.switch(stack)
        try:
            return self._inner.send(value)
        finally:
            here.running = outer
            steps.switch(outer)

    def throw(self, *error: Any) -> Any:
        """Run one step that begins with an exception, such as a cancellation."""
        steps, here = self._steps, self._steps.here
        outer, here.running = here.running, self._stack
        steps.switch(self._stack)
        try:
            return self._inner.throw(*error)
        finally:
            here.running = outer
            steps.switch(outer)

    def close(self) -> None:
        """End the coroutine where it stands."""
        self._inner.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._inner.__await__()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __repr__(self) -> str:
        return repr(self._inner)


class Steps:
    """Meters the tasks of every event loop of this process, from `install` to `remove`. Stability: beta.

    Args:
        switch: Told of the open spans of the task that runs from now on on the calling thread; none where none runs.
    """

    def __init__(self, switch: Switch) -> None:
        self.switch, self.here = switch, _Here()
        self._classes: list[tuple[Any, Any]] = []

    @property
    def active(self) -> bool:
        """False once it was removed."""
        return self.switch is not _nothing

    def install(self) -> None:
        """Begin with tasks that are made from now on."""
        self._patch(asyncio.BaseEventLoop)
        for loop in (_uvloop(), _running()):
            if loop is not None and not issubclass(loop, asyncio.BaseEventLoop):
                self._patch(loop)

    def remove(self) -> None:
        """Leave event loops as they were; tasks that run go on unmetered."""
        self.switch = _nothing
        for loop, ours in self._classes:
            # Where another tool came after us, it calls ours, which passes coroutines on as they are.
            if loop.__dict__.get("create_task") is ours:
                _put(loop, ours.__wrapped__)
        self._classes.clear()

    def metered(self, coroutine: Any) -> Any:
        """The coroutine with its steps told; what is none stays for asyncio to refuse."""
        if not self.active or isinstance(coroutine, Metered):
            return coroutine
        return Metered(coroutine, self) if asyncio.iscoroutine(coroutine) else coroutine

    def _patch(self, loop: Any) -> None:
        if any(known is loop for known, _ in self._classes):
            return
        before = loop.create_task

        @wraps(before)
        def create_task(self_: Any, coro: Any, **named: Any) -> Any:
            return before(self_, self.metered(coro), **named)

        try:
            _put(loop, create_task)
        except (AttributeError, TypeError):
            _log.info("tasks of event loop `%s` are not metered step by step", loop.__name__)
            return
        self._classes.append((loop, create_task))


def current_key() -> int | None:
    """Key of the span that is current here; none where there is none."""
    return trace.get_current_span().get_span_context().span_id or None


def _put(loop: Any, create_task: Any) -> None:
    loop.create_task = create_task


def _running() -> type | None:
    try:
        return type(asyncio.get_running_loop())
    except RuntimeError:
        return None


def _uvloop() -> type | None:
    """The loop of uvloop, where a service has it: most servers take it as they start, after us."""
    if find_spec("uvloop") is None:
        return None
    try:
        found: type = import_module("uvloop").Loop
    except Exception:  # noqa: BLE001 - a service's package that does not load is the service's matter
        return None
    return found
