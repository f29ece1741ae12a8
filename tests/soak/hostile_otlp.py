"""Seeded damage to OTLP messages, protobuf, JSON and gzip: each is taken or refused in one line, and costs what it may.

What is taken goes through what a receiver does with it: columns, enrichment, sums, the metrics page, a table for the
lake; of some it is asked whether columns and rows agree.

python tests/soak/hostile_otlp.py [--count 1000000] [--seed 0]
"""

# ruff: noqa: T201

from __future__ import annotations

import argparse
import gzip
import os
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client import CollectorRegistry

sys.path.insert(0, str(Path(__file__).parents[2]))

from greenops.pipeline.enriching import Enriching
from greenops.pipeline.footprint import Footprint
from greenops.service.exemplars import Exemplars
from greenops.service.otlp_bodies import PROTOBUF, Refused, decoded, parsed
from greenops.service.rows import account_rows, span_rows
from greenops.service.span_histograms import SpanHistograms
from greenops.service.span_reader import SpanReader, unnamed
from greenops.testing.clock import FakeClock
from tests.unit.service.otlp_messages import (
    as_json,
    damaged,
    damaged_text,
    message,
    metrics_message,
)

JSON = "application/json"
LONGEST = 1.0
"""Most CPU time that one message may take [s]."""
GROWTH = 300.0
"""Most that resident memory may grow [MiB]."""
TOGETHER = 64
"""Messages that are read as one, as a receiver reads small ones."""
COMPARED = 5
"""One in so many that are taken is read row by row as well."""
SHARD = 20_000
"""Messages to one process of the soak: memory is told for each."""
NOW = datetime(2026, 11, 23, tzinfo=UTC)


@dataclass(slots=True)
class Tally:
    """What became of some messages.

    Attributes:
        answers: Code of the refusal, or `taken` → how many.
        faults: Seed → what went wrong; empty where all is well.
        slowest: CPU time of the slowest [s].
        grown: How much resident memory grew at its peak [MiB].
    """

    answers: Counter[str] = field(default_factory=Counter)
    faults: dict[int, str] = field(default_factory=dict)
    slowest: float = 0.0
    grown: float = 0.0


class House:
    """What a receiver does with a message, without doors and disk."""

    def __init__(self) -> None:
        self._reader = SpanReader(FakeClock(NOW), Enriching.shipped())
        self._plain = SpanReader(FakeClock(NOW))
        self._sums = Footprint()
        registry = CollectorRegistry()
        self._page = SpanHistograms(registry, Exemplars(registry))
        self._waiting: list[tuple[int, bytes]] = []
        self._raw = [message(n, spans=6, oddity=0.03).SerializeToString() for n in range(40)]
        self._texts = [as_json(message(n, spans=3, oddity=0.03)) for n in range(40)]
        self._metrics = [metrics_message(n).SerializeToString() for n in range(20)]
        self._taken = 0

    def answer(self, seed: int) -> str:
        """Code of the refusal of a seed's message, or `taken`; any other error is a fault."""
        dice = random.Random(seed)
        try:
            match seed % 8:
                case 0:
                    # Sound bytes that say what no sender should.
                    odd = message(seed, spans=6, oddity=0.3)
                    self._spans(seed, odd.SerializeToString(), PROTOBUF)
                case 1 | 2:
                    self._spans(seed, damaged(dice.choice(self._raw), seed), PROTOBUF)
                case 3 | 4 | 5:
                    self._spans(seed, damaged_text(dice.choice(self._texts), seed), JSON)
                case 6:
                    body = damaged(gzip.compress(dice.choice(self._raw), 1, mtime=0), seed)
                    self._spans(seed, decoded(body, "gzip"), PROTOBUF)
                case _:
                    self._accounts(damaged(dice.choice(self._metrics), seed))
        except Refused as refusal:
            line = refusal.why
            if not line.startswith("GO05") or "\n" in line or len(line) > 300:
                raise ValueError(f"no line: {line[:200]!r}") from refusal
            return line.partition(" ")[0]
        return "taken"

    def _spans(self, seed: int, body: bytes, kind: str) -> None:
        sent = parsed(body, kind, ExportTraceServiceRequest())
        raw = body if kind == PROTOBUF else sent.SerializeToString()
        unnamed(sent)
        self._taken += 1
        if self._taken % COMPARED == 0:
            by_columns = [row for spans in self._plain.read([raw]) for row in spans.rows()]
            if by_columns != list(span_rows(sent, lambda wall: wall)):
                raise ValueError("columns and rows differ")
        self._waiting.append((seed, raw))

    def _accounts(self, body: bytes) -> None:
        sent = parsed(body, PROTOBUF, ExportMetricsServiceRequest())
        found = account_rows(sent, lambda wall: wall, NOW + timedelta(days=9000))
        self._sums.add([], found.rows)

    def settle(self) -> dict[int, str]:
        """Take together what waits; gives the fault of each message that has one alone."""
        waiting, self._waiting = self._waiting, []
        fault = self._take(*(raw for _, raw in waiting))
        if fault is None:
            return {}
        found = {seed: said for seed, raw in waiting if (said := self._take(raw)) is not None}
        return found or {waiting[0][0]: f"these {len(waiting)} together: {fault}"}

    def _take(self, *messages: bytes) -> str | None:
        try:
            for spans in self._reader.read(messages):
                spans.lake_table().validate(full=True)
                fresh = self._sums.add_columns(spans)
                if len(fresh):
                    self._page.add(fresh)
        except Exception as error:  # noqa: BLE001 - any exception is what is looked for
            return f"{type(error).__name__}: {str(error)[:200]}"
        return None

    @property
    def full(self) -> bool:
        """Whether as many wait as are read as one."""
        return len(self._waiting) >= TOGETHER


def trial(seeds: Sequence[int]) -> Tally:
    """Try the messages of some seeds, one after the other; goes on after a fault."""
    tally, house = Tally(), House()
    before = peak()
    for seed in seeds:
        begun = time.thread_time()
        try:
            answer = house.answer(seed)
        except Exception as error:  # noqa: BLE001 - any other exception is what is looked for
            answer = "crash"
            tally.faults[seed] = f"{type(error).__name__}: {str(error)[:200]}"
        spent = time.thread_time() - begun
        tally.answers[answer] += 1
        tally.slowest = max(tally.slowest, spent)
        if spent > LONGEST:
            tally.faults[seed] = f"took {spent:.2f} s"
        if house.full:
            tally.faults |= house.settle()
    tally.faults |= house.settle()
    tally.grown = peak() - before
    return tally


def peak() -> float:
    """Most memory that was resident so far [MiB]."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> int:
    """Try a million messages in as many processes as there are processors; 1 where one has a fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1_000_000, help="first seed")
    args = parser.parse_args()
    end = args.seed + args.count
    shards = [range(at, min(at + SHARD, end)) for at in range(args.seed, end, SHARD)]
    answers, faults, done = Counter[str](), 0, 0
    begun = time.monotonic()
    with ProcessPoolExecutor(os.cpu_count(), max_tasks_per_child=1) as pool:
        for seeds, tally in zip(shards, pool.map(trial, shards), strict=True):
            answers += tally.answers
            done += len(seeds)
            for seed, fault in tally.faults.items():
                print(f"seed {seed}: {fault}", flush=True)
            if tally.grown > GROWTH:
                print(f"seeds from {seeds.start}: grew {tally.grown:.0f} MiB", flush=True)
            faults += len(tally.faults) + (tally.grown > GROWTH)
            slowest, grown = tally.slowest, tally.grown
            print(
                f"{done:9,d} messages, slowest {slowest:.2f} s, {grown:.0f} MiB grown", flush=True
            )
    said = ", ".join(f"{code} {count:,}" for code, count in answers.most_common())
    print(f"{done:,} messages in {time.monotonic() - begun:.0f} s, {faults} faults; {said}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
