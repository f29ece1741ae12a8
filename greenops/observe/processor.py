"""Tells the observer when spans start and end; all the rest happens off the request path."""

from __future__ import annotations

from collections.abc import Callable

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

from greenops.observe.observer import Observer


class EnergySpanProcessor(SpanProcessor):
    """First in line, so that no other processor's work is counted on a span. Stability: beta.

    Args:
        observer: Keeps the books.
        on_shutdown: Called once when the provider shuts down, before its exporters are flushed.
    """

    def __init__(self, observer: Observer, on_shutdown: Callable[[], None] | None = None) -> None:
        self._started = observer.span_started
        self._ended = observer.span_ended
        self._observer = observer
        self._on_shutdown = on_shutdown

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002
        """Make the span the innermost of its thread."""
        parent = span.parent
        # A remote parent is not among the open spans here, so its id finds nothing.
        self._started(span.context.span_id, span.name, parent.span_id if parent else None, span)

    def on_end(self, span: ReadableSpan) -> None:
        """Give the span what its thread used, and wait for the next look at the meters."""
        context = span.context
        self._ended(context.span_id, context.trace_flags.sampled)

    def shutdown(self) -> None:
        """Look once more, then close the books."""
        if self._on_shutdown is not None:
            self._on_shutdown()
        else:
            self._observer.close()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Look once more, so that spans ended so far go out with their energy; without it if a driver hangs."""
        self._observer.look(timeout_millis / 1000)
        return True
