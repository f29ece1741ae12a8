"""From an acknowledged OTLP message to rows in the lake: nothing that was accepted is lost."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from greenops.adapters.parquet_lake import ParquetLake
from greenops.adapters.wal import Wal
from greenops.domain.spans import EnergyAccount, SpanRow
from greenops.errors import DataMissing, GreenOpsError
from greenops.pipeline.footprint import Footprint
from greenops.ports import Clock
from greenops.service.rows import account_rows, span_rows

log = logging.getLogger("greenops.intake")

TRACES: Final = b"T"
METRICS: Final = b"M"


class RowListener(Protocol):
    """Whoever wants each new span once, such as the metrics page."""

    def spans(self, rows: Sequence[SpanRow]) -> None:
        """Spans that were not seen before."""


class Intake:
    """Write-ahead log, lake and sums of one receiver.

    A message is written to the log, then acknowledged, then counted; every flush turns a segment
    of the log into lake files of the segment's name, and only then forgets the segment. A crash
    anywhere in between repeats the last step and changes nothing.
    """

    def __init__(self, lake: ParquetLake, wal: Wal, footprint: Footprint, clock: Clock) -> None:
        self._lake, self._wal, self._footprint, self._clock = lake, wal, footprint, clock
        self._flushing = threading.Lock()
        self.listeners: list[RowListener] = []

    def recover(self) -> None:
        """After a start: turn what a crash left into lake files, then read the sums anew.

        A damaged lake file is named in the log and left out of the sums; the rest counts.
        """
        self.flush()
        for read in (self._read_spans, self._read_accounts):
            try:
                read()
            except DataMissing as error:
                log.warning("%s", error)

    def _read_spans(self) -> None:
        for row in self._lake.spans():
            self._footprint.add([row], [])

    def _read_accounts(self) -> None:
        self._footprint.add([], self._lake.accounts())

    def traces(self, message: ExportTraceServiceRequest) -> None:
        """Accept spans.

        Raises:
            Unreachable: They could not be written down; the sender must send again.
        """
        self._wal.append(TRACES + message.SerializeToString())
        self._count(self._spans(message), [])

    def metrics(self, message: ExportMetricsServiceRequest) -> None:
        """Accept readings of energy accounts.

        Raises:
            Unreachable: They could not be written down; the sender must send again.
        """
        rows = list(account_rows(message))
        if rows:
            self._wal.append(METRICS + message.SerializeToString())
            self._count([], rows)

    def _spans(self, message: ExportTraceServiceRequest) -> list[SpanRow]:
        replay = self._clock.replay
        simulated = replay.simulated if replay else (lambda wall: wall)
        return list(span_rows(message, simulated))

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
            self._wal.rotate()
            for segment in self._wal.closed():
                try:
                    self._keep(segment)
                except GreenOpsError as error:
                    log.warning("%s", error)
                    return

    def _keep(self, segment: Path) -> None:
        spans: list[SpanRow] = []
        accounts: list[EnergyAccount] = []
        for payload in self._wal.read(segment):
            kind, body = payload[:1], payload[1:]
            try:
                if kind == TRACES:
                    spans += self._spans(ExportTraceServiceRequest.FromString(body))
                else:
                    accounts += account_rows(ExportMetricsServiceRequest.FromString(body))
            except DecodeError:
                log.warning("a frame of %s is no OTLP message; left out", segment)
        self._lake.write_spans(spans, segment.stem)
        self._lake.write_accounts(accounts, segment.stem)
        self._wal.remove(segment)


def every(seconds: float, step: Callable[[], None], stop: threading.Event) -> threading.Thread:
    """Run a step again and again in a thread of its own until told to stop."""

    def run() -> None:
        while not stop.wait(seconds):
            step()

    thread = threading.Thread(target=run, name="greenops-flush", daemon=True)
    thread.start()
    return thread
