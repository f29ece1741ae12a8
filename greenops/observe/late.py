"""An exporter that is wrapped before there is anything to observe, or lives longer than one instrumentation."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

_log = logging.getLogger(__name__)


class Instrumentation(Protocol):
    """What is there once `init` was called."""

    def wrap(self, exporter: SpanExporter) -> SpanExporter:
        """An exporter whose spans carry energy."""


class LateSpanExporter(SpanExporter):
    """Asks at each export which instrumentation is there. Stability: beta.

    Args:
        inner: Where the spans go; as they are while nothing is instrumented.
        current: The instrumentation of this process; none where there is none yet.
    """

    def __init__(self, inner: SpanExporter, current: Callable[[], Instrumentation | None]) -> None:
        self.inner = inner
        self._current = current
        self._session: Instrumentation | None = None
        self._bound = inner

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Enrich where spans are observed, then export."""
        try:
            self._bind()
        except Exception:  # noqa: BLE001 - telemetry must go out whatever happens to ours
            _log.warning("GO0703 spans go out without energy", exc_info=True)
        return self._bound.export(spans)

    def _bind(self) -> None:
        session = self._current()
        if session is not None and session is not self._session:
            self._session, self._bound = session, session.wrap(self.inner)

    def shutdown(self) -> None:
        """Shut the inner exporter down."""
        self._bound.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Flush the inner exporter."""
        return self._bound.force_flush(timeout_millis)
