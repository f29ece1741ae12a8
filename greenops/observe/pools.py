"""Work that a request hands to a pool of threads is charged to the span it was handed over under.

A span that waits for a thread uses no CPU time itself: `asyncio.to_thread`, executors, and AnyIO's threads, where
Starlette and FastAPI run what is not async, do its work.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from greenops.observe.open_spans import TaskStack
from greenops.observe.steps import Steps, current_key


class Handed:
    """A function that runs on another thread for the span that was current here.

    Args:
        function: The service's.
        under: Key of that span.
        steps: Told when it begins and ends.
    """

    __slots__ = ("_function", "_steps", "_under")

    def __init__(self, function: Callable[..., Any], under: int, steps: Steps) -> None:
        self._function, self._under, self._steps = function, under, steps

    def __call__(self, *args: Any, **named: Any) -> Any:
        """Run it."""
        steps, stack = self._steps, TaskStack(self._under)
        here = steps.here
        outer, here.running = here.running, stack
        steps.switch(stack)
        try:
            return self._function(*args, **named)
        finally:
            here.running = outer
            steps.switch(outer)


class Pools:
    """Follows work into `ThreadPoolExecutor` and AnyIO, from `install` to `remove`. Stability: beta.

    Args:
        steps: Told when a function begins and ends on its thread.
    """

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._patched: list[tuple[Any, str, Any, Any]] = []

    def install(self) -> None:
        """Begin with work that is handed over from now on."""
        if self._patched:
            return
        self._patch(ThreadPoolExecutor, "submit", self._submit)
        threads = _anyio()
        if threads is not None:
            self._patch(threads, "run_sync", self._run_sync)

    def remove(self) -> None:
        """Leave both as they were; where another tool came after us, ours passes functions on as they are."""
        for owner, name, before, ours in self._patched:
            if vars(owner).get(name) is ours:
                setattr(owner, name, before)
        self._patched.clear()

    def _patch(self, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        before = getattr(owner, name)
        ours = make(before)
        setattr(owner, name, ours)
        self._patched.append((owner, name, before, ours))

    def _handed(self, function: Any) -> Any:
        under = current_key() if self._steps.active and callable(function) else None
        return function if under is None else Handed(function, under, self._steps)

    def _submit(self, before: Any) -> Any:
        @wraps(before)
        def submit(pool: Any, fn: Any, /, *args: Any, **named: Any) -> Any:
            return before(pool, self._handed(fn), *args, **named)

        return submit

    def _run_sync(self, before: Any) -> Any:
        @wraps(before)
        async def run_sync(func: Any, *args: Any, **named: Any) -> Any:
            return await before(self._handed(func), *args, **named)

        return run_sync


def _anyio() -> Any:
    """AnyIO's threads, where a service has them."""
    if find_spec("anyio") is None:
        return None
    try:
        return import_module("anyio.to_thread")
    except Exception:  # noqa: BLE001 - a service's package that does not load is the service's matter
        return None
