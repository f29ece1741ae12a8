"""Messages of spans to columns: by columns where those can, else row by row; nobody knows which it was."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import pyarrow as pa
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from greenops.observe.enrichment_batch import SeenSpan, SpanBatch, batch_of
from greenops.pipeline.enriching import WANTED, Enriching, at_simulated_time
from greenops.pipeline.span_columns import SpanColumns
from greenops.ports import Clock
from greenops.service.otlp_columns import KINDS, columns_of
from greenops.service.rows import attributes_of, has_ids, span_rows
from greenops.service.wire import Odd

AT_ONCE: Final = 4 * 2**20
"""Bytes of messages that are read together [bytes]: beyond, columns leave the processor's caches."""
BY_ROWS: Final = 64 * 2**10
"""Bytes of messages that rows take together where columns cannot [bytes]: 160 spans of ten attributes, some 10
ms; a look at columns costs 6."""
FAULTS: Final = (IndexError, KeyError, TypeError, ValueError, OverflowError, pa.ArrowException)


class SpanReader:
    """Reads spans for one receiver, on its clock.

    Args:
        clock: Of the receiver.
        enriching: Adds energy and carbon to spans that came without; none: nothing is added.
    """

    def __init__(self, clock: Clock, enriching: Enriching | None = None) -> None:
        self._clock, self._enriching = clock, enriching

    def read(self, messages: Sequence[bytes]) -> list[SpanColumns]:
        """Rows of messages, which a whole parser has taken, in their order."""
        return [spans for part in _together(messages) for spans in self._read(part)]

    def _read(self, messages: Sequence[bytes]) -> list[SpanColumns]:
        try:
            # Protobuf joins messages by laying them side by side.
            found = self._by_columns(b"".join(messages))
        except (Odd, *FAULTS):
            # What columns stumble over is one message, mostly, and many beside it shall not pay for it.
            if len(messages) > 1 and sum(map(len, messages)) > BY_ROWS:
                half = len(messages) // 2
                return [*self._read(messages[:half]), *self._read(messages[half:])]
            # Rows take whatever it is: what was acknowledged must never stay unread.
            found = self._by_rows(ExportTraceServiceRequest.FromString(b"".join(messages)))
        return [] if found is None else [found]

    def _by_columns(self, raw: bytes) -> SpanColumns | None:
        simulated = self.simulated if self._clock.replay else None
        found = columns_of(raw, simulated, WANTED if self._enriching else ())
        return self._enriched(found.spans, found.looked)

    def _by_rows(self, message: ExportTraceServiceRequest) -> SpanColumns | None:
        rows = list(span_rows(message, self.simulated))
        if not rows:
            return None
        spans = SpanColumns.of_rows(rows)
        return self._enriched(spans, looked_at(message, spans) if self._enriching else None)

    def _enriched(self, spans: SpanColumns | None, looked: SpanBatch | None) -> SpanColumns | None:
        if spans is None or looked is None or self._enriching is None:
            return spans
        return self._enriching.add(spans, looked)

    def simulated(self, wall: datetime) -> datetime:
        """The simulated instant of a wall instant."""
        replay = self._clock.replay
        try:
            return replay.simulated(wall) if replay else wall
        except OverflowError:
            # A span from outside of all calendars: no reason to refuse the spans beside it.
            return wall


def looked_at(message: ExportTraceServiceRequest, spans: SpanColumns) -> SpanBatch:
    """What enrichment looks at of the spans that have their ids.

    Args:
        message: Of the spans.
        spans: Those of its spans, in their order.
    """
    resources = [attributes_of(part.resource.attributes) for part in message.resource_spans]
    starts, ends = (each.tolist() for each in at_simulated_time(spans))
    roots = spans.roots().tolist()
    named = [
        (at, span)
        for at, part in enumerate(message.resource_spans)
        for scope in part.scope_spans
        for span in scope.spans
        if has_ids(span)
    ]
    seen = [
        SeenSpan(
            span.kind if 0 <= span.kind < len(KINDS) else 0,
            root,
            start,
            end,
            at,
            attributes_of(span.attributes),
        )
        for (at, span), root, start, end in zip(named, roots, starts, ends, strict=True)
    ]
    return batch_of(seen, resources, WANTED)


def unnamed(message: ExportTraceServiceRequest) -> int:
    """How many spans do not say which they are."""
    return sum(
        not has_ids(span)
        for part in message.resource_spans
        for scope in part.scope_spans
        for span in scope.spans
    )


def parses(raw: bytes) -> bool:
    """Whether a whole parser takes a message."""
    try:
        ExportTraceServiceRequest.FromString(raw)
    except DecodeError:
        return False
    return True


def _together(messages: Sequence[bytes]) -> list[list[bytes]]:
    """Messages in parts of a size that is read well."""
    found: list[list[bytes]] = []
    size = AT_ONCE + 1
    for each in messages:
        size += len(each)
        if size > AT_ONCE:
            found.append([])
            size = len(each)
        found[-1].append(each)
    return found
