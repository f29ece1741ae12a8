"""From an acknowledged OTLP message to rows in the lake: nothing that was accepted is lost."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final, Protocol

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from greenops.adapters.lake_tally import Seen
from greenops.adapters.parquet_lake import ParquetLake
from greenops.adapters.wal import Segment, Wal
from greenops.domain.spans import SpanRow
from greenops.errors import GreenOpsError
from greenops.pipeline.enriching import Enriching
from greenops.pipeline.footprint import Footprint
from greenops.pipeline.span_columns import SpanColumns, joined
from greenops.ports import Clock
from greenops.service.rows import Accounts, Refusal, account_rows
from greenops.service.span_reader import SpanReader, parses, unnamed
from greenops.service.unflushed import Rows, Unflushed

log = logging.getLogger("greenops.intake")

TRACES: Final = b"T"
METRICS: Final = b"M"
AHEAD: Final = timedelta(minutes=10)
"""How far a sender's clock may be ahead of ours."""
MOST_WAITING: Final = 2**20
"""Bytes of messages above which those that wait are read [bytes]: a look at columns costs 6 ms however few spans it has. At
twice as many a span costs 5 % less, and a server of 10,000 spans a second holds 15 MB more."""


class RowListener(Protocol):
    """Whoever wants each new span once, such as the metrics page."""

    def spans(self, spans: SpanColumns) -> None:
        """Spans that were not seen before."""

    def refused(self, points: Mapping[Refusal, int]) -> None:
        """Data points that were not taken, by reason."""


class Intake:
    """Write-ahead log, lake and sums of one receiver.

    A message is written to the log as it came, then acknowledged; its spans are summed together with those
    of others, once there are many, and before anybody looks at a sum. Every flush turns a segment of the log
    into lake files of the segment's name, and only then forgets the segment. A crash anywhere in between
    repeats the last step and changes nothing.
    """

    def __init__(
        self,
        lake: ParquetLake,
        wal: Wal,
        footprint: Footprint,
        clock: Clock,
        enriching: Enriching | None = None,
    ) -> None:
        self._lake, self._wal, self._footprint, self._clock = lake, wal, footprint, clock
        self._reader = SpanReader(clock, enriching)
        self._flushing = threading.Lock()
        self._settling = threading.Lock()
        self._writing = threading.Lock()
        """Held while a message goes into the log and what is known of it is kept, so that no flush comes between."""
        self._unflushed = Unflushed()
        self._waiting: list[tuple[str, bytes]] = []
        self._waiting_bytes = 0
        self._odd: set[Path] = set()
        self._shown: Mapping[tuple[str | None, str], float] = {}
        self.listeners: list[RowListener] = []
        footprint.before_reading = self.settle

    def recover(self) -> None:
        """After a start: turn what a crash left into lake files, then read the sums anew.

        A damaged lake file is named in the log and left out of the sums; the rest counts.
        """
        self.flush()
        self._read_spans()
        self._read_accounts()
        # What the lake had no room for is acknowledged all the same.
        for segment in self._wal.closed():
            rows = self._rows(segment, self._wal.read(segment).payloads)
            for spans in rows.spans:
                self._footprint.add_columns(spans)
            self._footprint.add([], rows.accounts)
        self._footprint.resume(self._lake.counters())

    def _read_spans(self) -> None:
        # What was sent twice may lie in the lake twice, further apart than the sums remember.
        seen = Seen()
        for table in self._lake.span_tables(skip_damaged=True):
            spans = SpanColumns.of_table(table)
            new = seen.first(spans.keys)
            if new.any():
                self._footprint.add_columns(spans.where(new))

    def _read_accounts(self) -> None:
        # Earlier versions kept readings from the future, above which no later one would count.
        until = self._clock.wall() + AHEAD
        until = max(until, self._reader.simulated(until))
        rows = self._lake.accounts(skip_damaged=True)
        self._footprint.add([], (row for row in rows if row.at <= until))

    def traces(self, message: ExportTraceServiceRequest, raw: bytes | None = None) -> int:
        """Accept spans; gives how many were refused, for they do not say which they are.

        Args:
            message: As a whole parser reads it.
            raw: The same as it came, where it came so.

        Raises:
            Unreachable: They could not be written down; the sender must send again.
        """
        refused = unnamed(message)
        # What has no row must not be in the log, where it would be looked for at each start.
        if refused < _spans_in(message):
            self._write(message.SerializeToString() if raw is None else raw)
        return refused

    def _write(self, raw: bytes) -> None:
        with self._writing:
            self._waiting.append((self._wal.append(TRACES, raw), raw))
            self._waiting_bytes += len(raw)
            full = self._waiting_bytes > MOST_WAITING
        if full:
            self.settle()

    def settle(self) -> None:
        """Sum what was acknowledged and waits for it."""
        if not self._waiting and not self._settling.locked():
            return
        # Whoever comes second waits: what the first has taken is not summed yet.
        with self._settling:
            with self._writing:
                waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
            for segment in dict(waiting):
                self._settle(segment, [raw for stem, raw in waiting if stem == segment])

    def _settle(self, segment: str, messages: Sequence[bytes]) -> None:
        try:
            parts = self._reader.read(messages)
            for spans in parts:
                self._count(spans)
        except Exception:
            # Its bytes are in the log, which the flush reads then.
            log.exception("GO0508 spans of %s are not in the sums before the next start", segment)
            with self._writing:
                self._unflushed.drop(segment)
            return
        with self._writing:
            for spans in parts:
                self._unflushed.add(segment, spans)

    def metrics(self, message: ExportMetricsServiceRequest) -> Counter[Refusal]:
        """Accept readings of energy accounts; gives how many were refused, by reason.

        Raises:
            Unreachable: They could not be written down; the sender must send again.
        """
        found = self._accounts(message)
        if found.rows:
            raw = message.SerializeToString()
            with self._writing:
                self._unflushed.add(self._wal.append(METRICS, raw), accounts=found.rows)
            self._footprint.add([], found.rows)
        if found.refused:
            for listener in self.listeners:
                listener.refused(found.refused)
        return found.refused

    def _accounts(self, message: ExportMetricsServiceRequest) -> Accounts:
        return account_rows(message, self._reader.simulated, self._clock.wall() + AHEAD)

    def _count(self, spans: SpanColumns) -> None:
        fresh = self._footprint.add_columns(spans)
        if len(fresh):
            for listener in self.listeners:
                listener.spans(fresh)

    def of_traces(self, traces: set[str]) -> list[SpanRow]:
        """Every span of some traces, those that just arrived included."""
        self.flush()
        return [row for row in self._lake.spans() if row.trace_id in traces]

    def flush(self) -> None:
        """Turn every closed segment into lake files; one that fails waits for the next flush."""
        with self._flushing:
            try:
                with self._writing:
                    self._wal.rotate()
                self.settle()
                for segment in self._wal.closed():
                    if segment not in self._odd:
                        self._try(segment)
                self._keep_counters()
            except (GreenOpsError, OSError) as error:
                log.warning("%s", error)

    def _keep_counters(self) -> None:
        shown = self._footprint.counters()
        if shown != self._shown:
            self._lake.write_counters(shown)
            self._shown = shown

    def _try(self, segment: Path) -> None:
        try:
            self._keep(segment)
        except (GreenOpsError, OSError):
            raise
        except Exception:
            # A fault of ours in one segment must not hold up those behind it.
            self._odd.add(segment)
            log.exception("GO0508 %s stays as it is until the next start", segment)

    def _keep(self, segment: Path) -> None:
        with self._writing:
            rows = self._unflushed.take(segment.stem)
        read = None if rows is not None else self._wal.read(segment)
        if read is not None:
            rows = self._rows(segment, read.payloads)
        if rows is not None and rows.spans:
            self._lake.write_span_table(joined(rows.spans).lake_table(), segment.stem)
        if rows is not None:
            self._lake.write_accounts(rows.accounts, segment.stem)
        if read is not None and read.damaged_at is not None:
            self._set_aside(segment, read)
            return
        if read is not None and read.torn:
            log.warning("%s ended in a write that was cut off, never acknowledged", segment)
        self._wal.remove(segment)

    def _set_aside(self, segment: Path, read: Segment) -> None:
        log.warning(
            "GO0415 %s: damaged at byte %d; the %d messages that are whole count, others may be "
            "lost; restore its bytes, name it `%s` and start anew, or remove it",
            self._wal.set_aside(segment),
            read.damaged_at,
            len(read.payloads),
            segment.name,
        )

    def _rows(self, segment: Path, payloads: Sequence[bytes]) -> Rows:
        traces = [each[1:] for each in payloads if each[:1] == TRACES]
        sound = [each for each in traces if parses(each)]
        rows, strange = Rows(self._reader.read(sound)), len(traces) - len(sound)
        for payload in payloads:
            if payload[:1] != TRACES:
                try:
                    message = ExportMetricsServiceRequest.FromString(payload[1:])
                    rows.accounts += self._accounts(message).rows
                except (DecodeError, ValueError, OverflowError):
                    strange += 1
        if strange:
            log.warning("%d frames of %s have no rows; left out", strange, segment)
        return rows


def _spans_in(message: ExportTraceServiceRequest) -> int:
    return sum(len(scope.spans) for part in message.resource_spans for scope in part.scope_spans)


def every(seconds: float, step: Callable[[], None], stop: threading.Event) -> threading.Thread:
    """Run a step again and again in a thread of its own until told to stop."""

    def run() -> None:
        while not stop.wait(seconds):
            try:
                step()
            except Exception:
                log.exception("GO0508 a flush failed; the next one tries again")

    thread = threading.Thread(target=run, name="greenops-flush", daemon=True)
    thread.start()
    return thread
