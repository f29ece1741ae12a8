"""`operation` and `batch`: spans for code that has none, as context managers and decorators."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, TypeVar

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind

from greenops.observe import attributes as names

F = TypeVar("F", bound=Callable[..., Any])

RUN_KEY = "GREENOPS_RUN_KEY"
DECISION_ID = "GREENOPS_DECISION_ID"


class Spanned:
    """One span around a block, or around every call of a function, sync or async. Stability: beta."""

    def __init__(
        self, name: str, attributes: Callable[[], Mapping[str, str]], kind: SpanKind
    ) -> None:
        self._name, self._attributes, self._kind = name, attributes, kind
        self._entered: list[AbstractContextManager[Span]] = []

    def _span(self) -> AbstractContextManager[Span]:
        return trace.get_tracer("greenops").start_as_current_span(
            self._name, kind=self._kind, attributes=self._attributes()
        )

    def __enter__(self) -> Span:
        """Start the span."""
        span = self._span()
        entered = span.__enter__()
        self._entered.append(span)
        return entered

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the span; an exception is recorded and goes on."""
        self._entered.pop().__exit__(kind, error, traceback)

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
