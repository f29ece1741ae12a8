"""What a person's request waits for, and what goes on around it: told from the spans of whole traces.

A request comes in at an entrance: a span of kind SERVER that is no run of a job, or a caller's own span above one.
What its process still does after the entrance has answered, and what is taken from a queue, nobody waits for.
A trace without an entrance is a job, or work that a process does by itself.

Only a span that ends late proves something: one that ends in time may or may not have been waited for. So an
operation is around only where enough of its runs are, and what is not proven counts as awaited.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from sys import intern
from typing import Final, NamedTuple

from greenops.domain.spans import SpanRow
from greenops.domain.workload import Workload, WorkloadKind

TOLERANCE_S: Final = 0.001
"""A span of the same process that ends so much after its entrance may have been waited for [s]."""
SKEW_S: Final = 1.0
"""Clocks of two hosts may differ by this much [s]; within it an end after the root's proves nothing."""
KEPT: Final = 2_000
"""Runs of an operation whose start, length and energy are kept [1]; they tell its schedule and its P95."""
JOBS: Final = ("cicd.pipeline.name", "cicd.pipeline.run.id", "k8s.job.name", "k8s.cronjob.name")
"""Attributes of a run of a batch job. Source: OpenTelemetry semantic conventions, CI/CD and Kubernetes."""


class Root(StrEnum):
    """What a trace begins with."""

    REQUEST = "request"
    JOB = "job"
    QUEUE = "queue"
    ALONE = "alone"


class Operation(NamedTuple):
    """An operation as a part of what its trace begins with: the same code may be hot in one and around in another."""

    root_service: str
    root: str
    service: str
    name: str

    @property
    def begins(self) -> bool:
        """Whether it is what its traces begin with."""
        return (self.root_service, self.root) == (self.service, self.name)


class Run(NamedTuple):
    """One run of an operation with all that is below it.

    Attributes:
        start: Simulated instant.
        length_s: Until the last span below it ended [s].
        energy_j: Of it and what is below it [J]; none where no span of it tells.
    """

    start: datetime
    length_s: float
    energy_j: float | None
    instance: str | None


@dataclass(slots=True)
class Seen:
    """What was seen of an operation.

    Attributes:
        spans, traces: How many.
        late: Spans that ended after what could have waited for them.
        queued: Spans that were taken from a queue.
        latest_s: Most that one ended after its root [s]; below zero: before it.
        energy_j: Sum over the spans that tell it [J].
        above: Operation right above → spans.
    """

    root: Root
    spans: int = 0
    traces: int = 0
    late: int = 0
    queued: int = 0
    latest_s: float = float("-inf")
    energy_j: float = 0.0
    untold: int = 0
    above: Counter[Operation] = field(default_factory=Counter)
    regions: Counter[str] = field(default_factory=Counter)
    workloads: Counter[str] = field(default_factory=Counter)
    runs: list[Run] = field(default_factory=list)


@dataclass(slots=True)
class Traces:
    """All that was seen.

    Attributes:
        incomplete: Spans left out, for what their trace begins with is not there.
        first_request: Instance → simulated start of its first request.
    """

    seen: dict[Operation, Seen] = field(default_factory=dict)
    traces: int = 0
    incomplete: int = 0
    first_request: dict[str, datetime] = field(default_factory=dict)


class _Node(NamedTuple):
    span_id: str
    parent_id: str | None
    service: str
    name: str
    process: str
    kind: str
    start: datetime
    end: datetime
    time: datetime
    energy_j: float | None
    region: str | None
    workload: str | None
    job: bool


def look(rows: Iterable[SpanRow], declared: Mapping[str, Workload] | None = None) -> Traces:
    """Look at all spans of a period, trace by trace.

    Args:
        rows: Spans in any order; those of a trace may lie anywhere.
        declared: Workloads by name: their kind says what a root is where its span does not.
    """
    by_trace: defaultdict[str, list[_Node]] = defaultdict(list)
    known = declared or {}
    for row in rows:
        by_trace[row.trace_id].append(_node(row, known))
    found = Traces()
    for nodes in by_trace.values():
        _Trace(nodes, found).look()
    return found


def _node(row: SpanRow, declared: Mapping[str, Workload]) -> _Node:
    of = declared.get(row.workload or "")
    batch = of is not None and of.kind is WorkloadKind.BATCH
    # Few words stand on many spans: one of each is kept.
    return _Node(
        row.span_id,
        row.parent_id,
        intern(row.service),
        intern(row.name),
        intern(row.instance or row.service),
        intern(row.kind),
        row.start,
        row.end,
        row.end if row.time == row.end else row.time,
        row.energy_j,
        row.region and intern(row.region),
        row.workload and intern(row.workload),
        batch or any(name in row.attributes for name in JOBS),
    )


class _Trace:
    """One trace, walked from what it begins with."""

    def __init__(self, nodes: list[_Node], into: Traces) -> None:
        self._into = into
        self._below: defaultdict[str, list[_Node]] = defaultdict(list)
        ids = {each.span_id for each in nodes}
        self._roots = []
        for each in nodes:
            if each.parent_id in ids and each.parent_id != each.span_id:
                self._below[str(each.parent_id)].append(each)
            elif each.parent_id is None or each.kind == "SERVER":
                # A browser or a proxy in front may have begun the trace without sending its span.
                self._roots.append(each)
        self._count = len(nodes)

    def look(self) -> None:
        """Count every span below a root; the others are told as incomplete."""
        self._into.traces += bool(self._roots)
        walked = sum(self._walk(each) for each in self._roots)
        self._into.incomplete += self._count - walked

    def _walk(self, root: _Node) -> int:
        kind = self._kind(root)
        order = list(self._down(root))
        if kind is Root.REQUEST:
            self._requests(node for node, _, _ in order)
        energy, ends = self._sums(order)
        counted: set[Operation] = set()
        for node, above, gate in order:
            operation = Operation(root.service, root.name, node.service, node.name)
            seen = self._into.seen.setdefault(operation, Seen(kind))
            self._count_span(seen, node, root, gate)
            seen.traces += operation not in counted
            counted.add(operation)
            if above is not None:
                over = Operation(root.service, root.name, above.service, above.name)
                seen.above[over] += 1
            if len(seen.runs) < KEPT:
                length = (ends[node.span_id] - node.start).total_seconds()
                run = Run(_simulated(node), length, energy.get(node.span_id), node.process)
                seen.runs.append(run)
        return len(order)

    def _requests(self, nodes: Iterable[_Node]) -> None:
        first = self._into.first_request
        for each in nodes:
            if each.kind == "SERVER":
                began = _simulated(each)
                first[each.process] = min(first.get(each.process, began), began)

    def _kind(self, root: _Node) -> Root:
        if root.job:
            return Root.JOB
        if root.kind == "SERVER":
            return Root.REQUEST
        if root.kind == "CONSUMER":
            return Root.QUEUE
        # Whoever calls an entrance may be waited for: a page, or another service's worker.
        calls = root.kind == "CLIENT" and any(
            each.kind == "SERVER" for each in self._below[root.span_id]
        )
        return Root.REQUEST if calls else Root.ALONE

    def _down(self, root: _Node) -> Iterator[tuple[_Node, _Node | None, _Node | None]]:
        """Each span with the one above it and the one that bounds it in its own process; parents first."""
        waiting: list[tuple[_Node, _Node | None, _Node | None]] = [(root, None, None)]
        bounds: dict[str, _Node] = {}
        while waiting:
            node, above, gate = waiting.pop()
            if node.span_id in bounds:
                continue
            # The first span of a process bounds those below it: one clock tells both ends.
            bounds[node.span_id] = node if gate is None else gate
            yield node, above, gate
            for each in self._below[node.span_id]:
                same = each.process == node.process and each.kind != "CONSUMER"
                waiting.append((each, node, bounds[node.span_id] if same else None))

    def _sums(
        self, order: list[tuple[_Node, _Node | None, _Node | None]]
    ) -> tuple[dict[str, float], dict[str, datetime]]:
        """Energy of each span with all below it, where any of it is told, and when the last of it ended."""
        energy: dict[str, float] = {}
        ends = {node.span_id: node.end for node, _, _ in order}
        for node, above, _ in reversed(order):
            if node.energy_j is not None:
                energy[node.span_id] = energy.get(node.span_id, 0.0) + node.energy_j
            if above is None:
                continue
            if node.span_id in energy:
                energy[above.span_id] = energy.get(above.span_id, 0.0) + energy[node.span_id]
            ends[above.span_id] = max(ends[above.span_id], ends[node.span_id])
        return energy, ends

    @staticmethod
    def _count_span(seen: Seen, node: _Node, root: _Node, gate: _Node | None) -> None:
        after = (node.end - root.end).total_seconds()
        if gate is not None:
            late = (node.end - gate.end).total_seconds() > TOLERANCE_S
        else:
            late = after > SKEW_S
        seen.spans += 1
        seen.late += late
        seen.queued += node.kind == "CONSUMER"
        seen.latest_s = max(seen.latest_s, after)
        if node.energy_j is None:
            seen.untold += 1
        else:
            seen.energy_j += node.energy_j
        if node.region:
            seen.regions[node.region] += 1
        if node.workload:
            seen.workloads[node.workload] += 1


def _simulated(node: _Node) -> datetime:
    """When it began, as the clock of the control loop has it."""
    return node.time - (node.end - node.start)
