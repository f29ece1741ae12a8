"""`operation` and `batch`: spans for code that has none, as context managers and decorators."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar
from types import TracebackType
from typing import Any, TypeVar

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind

from greenops.observe import attributes as names

F = TypeVar("F", bound=Callable[..., Any])

Entered = tuple["Spanned", AbstractContextManager[Span]]
_entered: ContextVar[tuple[Entered, ...]] = ContextVar("greenops_entered", default=())
"""Blocks that this thread or task is in, innermost last: one `Spanned` may be in use by many."""

RUN_KEY = "GREENOPS_RUN_KEY"
DECISION_ID = "GREENOPS_DECISION_ID"


class Spanned:
    """One span around a block, or around every call of a function, sync or async. Stability: beta."""

    def __init__(
        self, name: str, attributes: Callable[[], Mapping[str, str]], kind: SpanKind
    ) -> None:
        self._name, self._attributes, self._kind = name, attributes, kind
        self._open: list[AbstractContextManager[Span]] = []

    def _span(self) -> AbstractContextManager[Span]:
        return trace.get_tracer("greenops").start_as_current_span(
            self._name, kind=self._kind, attributes=self._attributes()
        )

    def __enter__(self) -> Span:
        """Start the span."""
        span = self._span()
        started = span.__enter__()
        _entered.set((*_entered.get(), (self, span)))
        self._open.append(span)
        return started

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the span; an exception is recorded and goes on."""
        span = self._innermost()
        if span is not None:
            self._open.remove(span)
            span.__exit__(kind, error, traceback)

    def _innermost(self) -> AbstractContextManager[Span] | None:
        entered = _entered.get()
        for place in range(len(entered) - 1, -1, -1):
            if entered[place][0] is self:
                _entered.set((*entered[:place], *entered[place + 1 :]))
                return entered[place][1]
        # Left in another context than it was entered in: certain only where there is one.
        return self._open[0] if len(self._open) == 1 else None

    def __call__(self, function: F) -> F:
        """The function with a span round each call."""
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def spanned_async(*args: Any, **kwargs: Any) -> Any:
                with self._span():
                    return await function(*args, **kwargs)

            return spanned_async  # type: ignore[return-value]

        @functools.wraps(function)
        def spanned(*args: Any, **kwargs: Any) -> Any:
            with self._span():
                return function(*args, **kwargs)

        return spanned  # type: ignore[return-value]


def operation(name: str) -> Spanned:
    """A span of a request's work."""
    return Spanned(name, dict, SpanKind.INTERNAL)


def batch(name: str, *, workload: str) -> Spanned:
    """The span of a batch run, named `{action} {pipeline}`, with its run key and decision where they are set."""
    return Spanned(name, lambda: _run(name, workload), SpanKind.SERVER)


def _run(name: str, workload: str) -> dict[str, str]:
    run = {
        names.PIPELINE_NAME: name.partition(" ")[2] or name,
        names.WORKLOAD: workload,
        names.PIPELINE_RUN_ID: os.environ.get(RUN_KEY),
        names.DECISION_ID: os.environ.get(DECISION_ID),
    }
    return {key: value for key, value in run.items() if value}
