"""From an acknowledged OTLP message to rows in the lake: nothing that was accepted is lost."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Final, Protocol

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from greenops.adapters.parquet_lake import ParquetLake
from greenops.adapters.wal import Segment, Wal
from greenops.domain.spans import EnergyAccount, SpanRow
from greenops.errors import GreenOpsError
from greenops.pipeline.footprint import Footprint
from greenops.ports import Clock
from greenops.service.rows import Accounts, Refusal, account_rows, span_rows

log = logging.getLogger("greenops.intake")

TRACES: Final = b"T"
METRICS: Final = b"M"
BATCH: Final = 1024
"""Spans of the lake that are summed at once after a start [1]."""
AHEAD: Final = timedelta(minutes=10)
"""How far a sender's clock may be ahead of ours."""


class RowListener(Protocol):
    """Whoever wants each new span once, such as the metrics page."""

    def spans(self, rows: Sequence[SpanRow]) -> None:
        """Spans that were not seen before."""

    def refused(self, points: Mapping[Refusal, int]) -> None:
        """Data points that were not taken, by reason."""


class Intake:
    """Write-ahead log, lake and sums of one receiver.

    A message is written to the log, then acknowledged, then counted; every flush turns a segment
    of the log into lake files of the segment's name, and only then forgets the segment. A crash
    anywhere in between repeats the last step and changes nothing.
    """

    def __init__(self, lake: ParquetLake, wal: Wal, footprint: Footprint, clock: Clock) -> None:
        self._lake, self._wal, self._footprint, self._clock = lake, wal, footprint, clock
        self._flushing = threading.Lock()
        self._odd: set[Path] = set()
        self._shown: Mapping[tuple[str | None, str], float] = {}
        self.listeners: list[RowListener] = []

    def recover(self) -> None:
        """After a start: turn what a crash left into lake files, then read the sums anew.

        A damaged lake file is named in the log and left out of the sums; the rest counts.
        """
        self.flush()
        self._read_spans()
        self._read_accounts()
        # What the lake had no room for is acknowledged all the same.
        for segment in self._wal.closed():
            self._footprint.add(*self._rows(segment, self._wal.read(segment).payloads))
        self._footprint.resume(self._lake.counters())

    def _read_spans(self) -> None:
        rows = self._lake.spans(skip_damaged=True)
        while batch := list(islice(rows, BATCH)):
            self._footprint.add(batch, [])

    def _read_accounts(self) -> None:
        # Earlier versions kept readings from the future, above which no later one would count.
        until = self._clock.wall() + AHEAD
        until = max(until, self._simulated(until))
        rows = self._lake.accounts(skip_damaged=True)
        self._footprint.add([], (row for row in rows if row.at <= until))

    def traces(self, message: ExportTraceServiceRequest) -> None:
        """Accept spans.

        Raises:
            Unreachable: They could not be written down; the sender must send again.
        """
        # Rows come first: what has none must not be in the log, where it would return at each start.
        rows = self._spans(message)
        self._wal.append(TRACES + message.SerializeToString())
        self._count(rows, [])

    def metrics(self, message: ExportMetricsServiceRequest) -> Counter[Refusal]:
        """Accept readings of energy accounts; gives how many were refused, by reason.

        Raises:
            Unreachable: They could not be written down; the sender must send again.
        """
        found = self._accounts(message)
        if found.rows:
            self._wal.append(METRICS + message.SerializeToString())
            self._count([], found.rows)
        if found.refused:
            for listener in self.listeners:
                listener.refused(found.refused)
        return found.refused

    def _spans(self, message: ExportTraceServiceRequest) -> list[SpanRow]:
        return list(span_rows(message, self._simulated))

    def _accounts(self, message: ExportMetricsServiceRequest) -> Accounts:
        return account_rows(message, self._simulated, self._clock.wall() + AHEAD)

    def _simulated(self, wall: datetime) -> datetime:
        replay = self._clock.replay
        try:
            return replay.simulated(wall) if replay else wall
        except OverflowError:
            # A span from outside of all calendars: no reason to refuse the spans beside it.
            return wall

    def _count(self, spans: Sequence[SpanRow], accounts: Sequence[EnergyAccount]) -> None:
        fresh = self._footprint.add(spans, accounts)
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
                self._wal.rotate()
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
        read = self._wal.read(segment)
        spans, accounts = self._rows(segment, read.payloads)
        self._lake.write_spans(spans, segment.stem)
        self._lake.write_accounts(accounts, segment.stem)
        if read.damaged_at is not None:
            self._set_aside(segment, read)
            return
        if read.torn:
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

    def _rows(
        self, segment: Path, payloads: Sequence[bytes]
    ) -> tuple[list[SpanRow], list[EnergyAccount]]:
        spans: list[SpanRow] = []
        accounts: list[EnergyAccount] = []
        for payload in payloads:
            kind, body = payload[:1], payload[1:]
            try:
                if kind == TRACES:
                    spans += self._spans(ExportTraceServiceRequest.FromString(body))
                else:
                    accounts += self._accounts(ExportMetricsServiceRequest.FromString(body)).rows
            except (DecodeError, ValueError, OverflowError):
                log.warning("a frame of %s has no rows; left out", segment)
        return spans, accounts


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
