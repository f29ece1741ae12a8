"""Tests out of what was recorded: of each comparison of a policy, the nearest row on either side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np

from greenops.adapters.lake_history import LakeHistory, RecordedBatch
from greenops.domain.decision import Candidate
from greenops.domain.workload import Job, Limits
from greenops.errors import PolicyFailed
from greenops.pipeline.policy_prove import expecting
from greenops.pipeline.policy_replay import Replayer
from greenops.pipeline.policy_replay_jobs import JobTables
from greenops.pipeline.policy_tests import run_tests
from greenops.policy import PolicySet, PolicyTest, compile_policies
from greenops.policy.batch import Batch
from greenops.policy.example_place import with_tests
from greenops.policy.example_text import test_text, unwritable
from greenops.policy.ir import Has, Var, walk
from greenops.policy.model import Policy
from greenops.policy.rule_columns import matches
from greenops.policy.schema import with_labels
from greenops.policy.tables import INDEX, Tables
from greenops.policy.thresholds import Edge, edges

HOLDS: Final = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
}


@dataclass(frozen=True, slots=True)
class Period:
    """Which recorded decisions: a lake, and simulated days."""

    lake: Path
    first: date | None = None
    last: date | None = None


@dataclass(frozen=True, slots=True)
class Generated:
    """What came of it.

    Attributes:
        tests: By edge, in file order; the side on which its comparison holds first.
        edges: How many comparisons there are.
        unseen: Rule → side of one of its comparisons that no row lies on.
        untold: Why a row was left out: no test can say it.
    """

    tests: tuple[PolicyTest, ...]
    edges: int
    unseen: tuple[str, ...]
    untold: tuple[str, ...]


@dataclass(slots=True)
class _Nearest:
    """The nearest row that was seen on one side of an edge."""

    distance: float = np.inf
    test: PolicyTest | None = None


@dataclass(slots=True)
class _Search:
    """One policy's edges, and the nearest rows so far."""

    policies: PolicySet
    policy: Policy
    labels: frozenset[str]
    tables: JobTables = field(init=False)
    edges: list[Edge] = field(init=False)
    best: dict[tuple[int, bool], _Nearest] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tables = JobTables(self.policies)
        self.edges = edges(self.policy, with_labels(self.labels))

    def columns(self) -> list[str]:
        """Columns of the candidates that are asked of."""
        return sorted({e.split(".", 1)[1] for e in self.fields() if not e.startswith("job.")})

    def fields(self) -> frozenset[str]:
        """Fields of places that edges and match name."""
        nodes = [each.gap.node for each in self.edges] + [each.node for each in self.policy.match]
        found = {".".join(e.path) for n in nodes for e in walk(n) if isinstance(e, Var | Has)}
        return frozenset(each for each in found if each.split(".")[0] in {"candidate", "baseline"})

    def take(self, batch: RecordedBatch) -> None:
        """Look at one batch."""
        named = batch.candidates.rename_columns(
            [e if e == INDEX else f"candidate.{e}" for e in batch.candidates.column_names]
        )
        job = batch.candidates.column(INDEX).to_numpy()
        starts = np.searchsorted(job, np.arange(batch.decisions.num_rows, dtype=job.dtype))
        jobs = self.tables.table(batch, starts, self.fields())
        labels = {n[11:] for n in jobs.column_names if n.startswith("job.labels.")}
        tables = Tables(jobs, named, with_labels(labels | self.labels))
        asked = Batch.of(tables, [*(e.gap for e in self.edges), *self.policy.match])
        met = np.broadcast_to(matches(asked, self.policy)[1], (len(starts), 1)).ravel()[job]
        met[starts] = False  # a baseline is no candidate of a test
        for chunk in tables.layout.chunks():
            for at, edge in enumerate(self.edges):
                found = asked.over(edge.gap, chunk)
                gaps = np.broadcast_to(found.values, chunk.shape).ravel().astype(np.float64)
                ok = True if found.ok is None else np.broadcast_to(found.ok, chunk.shape).ravel()
                usable = chunk.of(met).ravel() & ok & np.isfinite(gaps)
                holds = HOLDS[edge.sign](gaps, 0.0)
                for side in (True, False):
                    distances = np.where(usable & (holds == side), np.abs(gaps), np.inf)
                    self._keep(at, distances, side, batch, starts, job, int(chunk.row(0)))

    def _keep(
        self,
        at: int,
        distances: Any,
        side: bool,
        batch: RecordedBatch,
        starts: Any,
        job: Any,
        first: int,
    ) -> None:
        nearest = self.best.setdefault((at, side), _Nearest())
        place = int(np.argmin(distances)) if len(distances) else 0
        if not len(distances) or not distances[place] < nearest.distance:
            return
        row = first + place
        nearest.distance = float(distances[place])
        nearest.test = self._test(batch, int(job[row]), int(starts[job[row]]), row, at, side=side)

    def _test(
        self, batch: RecordedBatch, decision: int, start: int, row: int, at: int, *, side: bool
    ) -> PolicyTest:
        made = batch.decisions.slice(decision, 1).to_pylist()[0]
        job = self.tables.job(made)
        baseline, place = (Candidate(**batch.source.rows(each, 1)[0]) for each in (start, row))
        word = "holds" if side else "does not hold"
        return PolicyTest(
            policy=self.policy.name,
            name=f"{self.edges[at].rule}: near an edge where it {word}, {job.id}",
            now=made["decided_at"],
            job=_as_a_test(job),
            baseline=baseline,
            candidates=(place,),
            choose=baseline.id,
        )


def _as_a_test(job: Job) -> Job:
    """The run as a test gives it: with no limits, schedule or target of its own."""
    from dataclasses import replace

    plain = replace(
        job.workload, limits=Limits(), schedule=None, target=None, duration_p95_s=None, source=None
    )
    return Job(job.id, plain, job.submitted)


def generate(policies: PolicySet, name: str, period: Period) -> Generated:
    """Tests of one policy, near each edge; what they expect is what the engine does now.

    Args:
        policies: The policies.
        name: The one that is tested.
        period: The recorded decisions to choose from.

    Raises:
        DataMissing: Nothing is recorded, or a file of the lake is damaged.
    """
    labels = frozenset(n for each in policies.workloads.values() for n in each.labels)
    policy = next(each for each in policies.policies if each.name == name)
    search = _Search(policies, policy, labels)
    days = Replayer(period.lake, (), period.first, period.last).days()
    for batch in LakeHistory(period.lake).batches(days, search.columns()):
        if batch.decisions.num_rows:
            search.take(batch)
    return _generated(policies, search)


def _generated(policies: PolicySet, search: _Search) -> Generated:
    tests: list[PolicyTest] = []
    unseen, untold = [], []
    seen: set[tuple[str, str]] = set()
    for at, edge in enumerate(search.edges):
        for side in (True, False):
            found = search.best.get((at, side), _Nearest()).test
            if found is None:
                unseen.append(f"{edge.rule} ({'holds' if side else 'does not hold'})")
                continue
            key = (found.job.id, found.candidates[0].id)
            made = expecting(policies, found)
            why = unwritable(made)
            if why is not None:
                untold.append(f"{found.name}: {why}")
            elif key not in seen:
                seen.add(key)
                tests.append(made)
    return Generated(tuple(tests), len(search.edges), tuple(unseen), tuple(untold))


def put_in(sources: Sequence[tuple[str, str]], policy: str, tests: Sequence[PolicyTest]) -> str:
    """The text of the policy's file with the tests in it, once they were run there.

    Raises:
        InvalidFile: Its tests are written in a way that none can be put after.
        PolicyFailed: A test does not hold as it is read back: a fault of GreenOps.
    """
    (file, text), *others = sources
    written = with_tests(file, text, policy, [test_text(each) for each in tests])
    results = run_tests(compile_policies([(file, written), *others]))
    wanted = {each.name for each in tests}
    failed = [e for e in results if e.test.name in wanted and not e.passed]
    if failed:
        raise PolicyFailed(
            "GO0164",
            f"the test `{failed[0].test.name}` does not hold as it is written",
            fix="report it with the policy",
        )
    return written
