"""Puts our processor and exporters into a tracer provider; private fields of the SDK stay here and in `join`.

Checked against opentelemetry-sdk 1.43.0 to 1.45.2: a batch processor keeps its exporter in
`_batch_processor._exporter`, a simple one in `span_exporter`, a provider its processors, in order, in
`_active_span_processor._span_processors`. Spans call that object's own `on_start` and `on_end`, on the service's thread.
"""

# ruff: noqa: SLF001 - the SDK has no public way to put a processor first or to reach exporters
from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from opentelemetry.sdk.trace import ConcurrentMultiSpanProcessor, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter

from greenops.observe.exporter import EnergySpanExporter
from greenops.observe.late import LateSpanExporter

_log = logging.getLogger(__name__)

EXPORTING: Final = (BatchSpanProcessor, SimpleSpanProcessor)
"""Processors of the SDK that hand spans to an exporter, and only sampled ones."""
HOOKS: Final = ("on_start", "on_end", "shutdown", "force_flush")
"""What a provider asks of its processors."""
DEEPEST: Final = 8
"""Wrappers round wrappers that are looked into."""

Wrap = Callable[[SpanExporter], SpanExporter]


@dataclass(frozen=True, slots=True)
class _Slot:
    """Where a processor keeps its exporter, and what stands there and shall stand there."""

    owner: Any
    name: str
    before: SpanExporter
    after: SpanExporter

    def put(self, exporter: SpanExporter) -> None:
        setattr(self.owner, self.name, exporter)


class Attachment:
    """Our processor and exporters in a provider, all of them or none.

    Args:
        provider: Of the SDK.
        processor: Ours; becomes the first.
        wrap: Gives an exporter that adds energy.
    """

    def __init__(self, provider: TracerProvider, processor: SpanProcessor, wrap: Wrap) -> None:
        self._active: Any = provider._active_span_processor
        self._processor = processor
        self._first: dict[str, Any] = {}
        found = [leaf for each in self._active._span_processors for leaf in leaves(each)]
        self.queued = sum(map(_queue, found))
        """Spans that batch processors may hold back from their exporters."""
        self._slots = _slots(found, wrap)
        try:
            for slot in self._slots:
                slot.put(slot.after)
            if isinstance(self._active, ConcurrentMultiSpanProcessor):
                self._come_first()
            else:
                with self._active._lock:
                    self._active._span_processors = (processor, *self._active._span_processors)
        except Exception:
            self.undo()
            raise

    def _come_first(self) -> None:
        # It hands each call to threads of its own, where neither the clock nor the nesting is the span's. Tracers that
        # were handed out hold the object itself, so our calls go before its own, on the thread that makes them.
        for name in HOOKS:
            both = _then(getattr(self._processor, name), getattr(self._active, name))
            setattr(self._active, name, both)
            self._first[name] = both

    def remove(self) -> None:
        """Take the processor out; exporters stay, so that later spans say that they were not observed."""
        for name, both in self._first.items():
            # What another tool put round ours calls it still, and ours takes no more notes.
            if vars(self._active).get(name) is both:
                delattr(self._active, name)
        self._first.clear()
        with self._active._lock:
            self._active._span_processors = tuple(
                each for each in self._active._span_processors if each is not self._processor
            )

    def undo(self) -> None:
        """Leave the provider as it was."""
        for slot in self._slots:
            slot.put(slot.before)
        self.remove()


def _then(ours: Callable[..., object], theirs: Callable[..., Any]) -> Callable[..., Any]:
    def both(*args: Any, **named: Any) -> Any:
        ours(*args, **named)
        return theirs(*args, **named)

    return both


def leaves(processor: SpanProcessor, depth: int = 0) -> Iterator[SpanProcessor]:
    """The processors that a span comes to in the end: those inside of wrappers, such as Logfire's, or itself."""
    inner = [] if isinstance(processor, EXPORTING) or depth == DEEPEST else list(_held(processor))
    if not inner:
        yield processor
    for each in inner:
        yield from leaves(each, depth + 1)


def _held(processor: SpanProcessor) -> Iterator[SpanProcessor]:
    for value in getattr(processor, "__dict__", {}).values():
        for each in value if isinstance(value, tuple | list) else (value,):
            if isinstance(each, SpanProcessor):
                yield each


def _slots(processors: Iterable[SpanProcessor], wrap: Wrap) -> list[_Slot]:
    found = []
    for processor in processors:
        if not isinstance(processor, EXPORTING):
            continue
        owner, name = _place(processor)
        if owner is None:
            _log.warning(
                "GO0708 the exporter of span processor `%s` cannot be reached; its spans get no energy",
                type(processor).__name__,
            )
            continue
        before = getattr(owner, name)
        after = _wrapped(before, wrap)
        if isinstance(processor, SimpleSpanProcessor) and isinstance(after, EnergySpanExporter):
            # It exports on the thread of the request, which waits for no counter.
            after.patience_s = 0.0
        found.append(_Slot(owner, name, before, after))
    return found


def _place(processor: SpanProcessor) -> tuple[Any, str]:
    for owner, name in (
        (getattr(processor, "_batch_processor", None), "_exporter"),
        (processor, "span_exporter"),
    ):
        if name in getattr(owner, "__dict__", {}):
            return owner, name
    return None, ""


def _queue(processor: SpanProcessor) -> int:
    batch = getattr(processor, "_batch_processor", None)
    return int(getattr(batch, "_max_queue_size", 0))


def _wrapped(exporter: SpanExporter, wrap: Wrap) -> SpanExporter:
    if isinstance(exporter, LateSpanExporter):
        return exporter
    # One that an earlier instrumentation left behind would ask its closed books.
    return wrap(exporter.inner if isinstance(exporter, EnergySpanExporter) else exporter)
