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
from greenops.service.otlp_columns import KINDS, Found, columns_of
from greenops.service.rows import attributes_of, has_ids, span_rows
from greenops.service.wire import Odd

AT_ONCE: Final = 4 * 2**20
"""Bytes of messages that are read together [bytes]: beyond, columns leave the processor's caches."""
FAULTS: Final = (IndexError, KeyError, TypeError, ValueError, OverflowError, pa.ArrowException)


class SpanReader:
    """Reads spans for one receiver, on its clock.

    Args:
        clock: Of the receiver.
        enriching: Adds energy and carbon to spans that came without; none: nothing is added.
    """

    def __init__(self, clock: Clock, enriching: Enriching | None = None) -> None:
        self._clock, self._enriching = clock, enriching

    def read(self, raw: bytes) -> Found:
        """Rows of messages that lie one after the other, which a whole parser has taken."""
        simulated = self.simulated if self._clock.replay else None
        try:
            found = columns_of(raw, simulated, WANTED if self._enriching else ())
        except (Odd, *FAULTS):
            # Whatever columns stumble over, rows take: what was acknowledged must never stay unread.
            found = self._by_rows(ExportTraceServiceRequest.FromString(raw))
        if self._enriching and found.spans is not None and found.looked is not None:
            return Found(self._enriching.add(found.spans, found.looked), found.refused)
        return found

    def _by_rows(self, message: ExportTraceServiceRequest) -> Found:
        rows, refused = list(span_rows(message, self.simulated)), unnamed(message)
        if not rows:
            return Found(None, refused)
        spans = SpanColumns.of_rows(rows)
        return Found(spans, refused, looked_at(message, spans) if self._enriching else None)

    def read_all(self, messages: Sequence[bytes]) -> tuple[list[SpanColumns], int]:
        """Rows of many messages, and how many of them no parser takes."""
        sound = [each for each in messages if _parses(each)]
        found = (self.read(raw).spans for raw in _together(sound))
        return [each for each in found if each is not None], len(messages) - len(sound)

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


def _parses(raw: bytes) -> bool:
    try:
        ExportTraceServiceRequest.FromString(raw)
    except DecodeError:
        return False
    return True


def _together(messages: Sequence[bytes]) -> list[bytes]:
    """Messages joined into some of a size that is read well; protobuf joins them by laying them side by side."""
    found: list[bytes] = []
    waiting: list[bytes] = []
    size = 0
    for each in messages:
        if waiting and size + len(each) > AT_ONCE:
            found.append(b"".join(waiting))
            waiting, size = [], 0
        waiting.append(each)
        size += len(each)
    return [*found, b"".join(waiting)] if waiting else found
