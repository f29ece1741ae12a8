"""Replays policies over what was recorded: what each would have chosen, and what that changes."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from greenops.adapters.lake_history import LakeHistory, RecordedBatch
from greenops.adapters.thread_engine import ThreadEngine
from greenops.domain.decision import Mode
from greenops.errors import DataMissing
from greenops.pipeline.policy_replay_asked import Asked, AskedPart
from greenops.pipeline.policy_replay_jobs import JobTables
from greenops.pipeline.policy_replay_stages import Stages
from greenops.policy import PolicySet
from greenops.policy.choose_columns import ChoiceColumns, choose_columns, choose_each

FIGURES: Final = (
    "region",
    "end",
    "carbon_g",
    "carbon_low_g",
    "carbon_high_g",
    "cost_usd",
    "p95_ms",
)
"""What a comparison asks of the candidates that are chosen."""
SAMPLE: Final = 2
"""Answers a rule that are asked again row by row, of the first batch of a day that is sampled."""
SAMPLED: Final = 10
"""Days from one that is sampled to the next; each answer costs about half a millisecond."""
NEVER: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two that are compared: a set of policies, or what was decided then.

    Attributes:
        name: For a person.
        policies: None for the recorded decisions.
    """

    name: str
    policies: PolicySet | None


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a side chose in one batch.

    Attributes:
        rows: Row of the candidates per job.
        moves: It is enforced and not held out.
        ends: Deadline in force [us]; `NEVER` where there is none.
        ruler: Policy whose objectives count, by its place in `Stages.rulers`; -1 where none does, or
            not known.
    """

    rows: Any
    moves: Any
    ends: Any
    ruler: Any


@dataclass(slots=True)
class Checks:
    """What was read, and how it is known that the columns mean what the rows mean.

    Attributes:
        staged: Decisions that were made under a stage of a budget, where that was asked.
        untold: Decisions that do not tell their stages.
    """

    decisions: int = 0
    rows: int = 0
    orphans: int = 0
    staged: int = 0
    untold: int = 0
    sampled: int = 0
    mismatches: dict[str, int] = field(default_factory=dict)
    slow: set[str] = field(default_factory=set)

    def count_stages(self, stages: Any) -> None:
        """Take in the stages that some decisions tell."""
        told = stages.to_pylist()
        self.untold += told.count(None)
        self.staged += sum(each not in {None, "[]"} for each in told)

    def add(self, found: ChoiceColumns) -> None:
        """Take in what one batch of one side said of itself."""
        self.sampled += found.sampled
        self.slow |= found.slow
        for text, count in found.mismatches.items():
            self.mismatches[text] = self.mismatches.get(text, 0) + count


@dataclass(slots=True)
class Replayer:
    """Goes through a period once and asks every side about each batch.

    Attributes:
        folder: The lake.
        first: First simulated day; none: from the first that is recorded.
        last: Last simulated day, inclusive; none: to the last.
    """

    folder: Path
    sides: Sequence[Side]
    first: date | None = None
    last: date | None = None
    checks: Checks = field(default_factory=Checks)
    tables: dict[int, JobTables] = field(default_factory=dict)
    stages: dict[int, Stages] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def days(self) -> list[date]:
        """Days of the period on which something was decided.

        Raises:
            DataMissing: There are none.
        """
        known = LakeHistory(self.folder).days()
        days = [
            each
            for each in known
            if (self.first is None or each >= self.first)
            and (self.last is None or each <= self.last)
        ]
        if days:
            return days
        if known:
            since = f" since {self.first}" if self.first else ""
            until = f" until {self.last}" if self.last else ""
            why = f"no decision is recorded{since}{until}"
            fix = f"there are some from {known[0]} to {known[-1]}; mend `--since` or `--until`"
        else:
            why = f"no decision is recorded in {self.folder}"
            fix = "name the state folder of `greenops serve` with `--state DIR`"
        raise DataMissing("GO0450", why, fix=fix)

    def batches(self) -> Iterator[tuple[RecordedBatch, Any, list[Chosen]]]:
        """Each batch, the row of each decision's baseline, and what each side chose.

        Raises:
            DataMissing: Nothing was recorded, or a file of the lake is damaged.
        """
        history, days = LakeHistory(self.folder), self.days()
        sampled = set(days[::SAMPLED])
        fields = self._fields()
        columns = sorted(
            {*FIGURES, *(each[10:] for each in fields if each.startswith("candidate."))}
            | {each[9:] for each in fields if each.startswith("baseline.")}
        )
        batches = history.batches(days, columns, staged=self.staged)
        # A batch takes some fifty megabytes, so none waits.
        yield from ThreadEngine(spare=0).run(self._answered, self._asked(batches, fields, sampled))

    def _asked(
        self, batches: Iterable[RecordedBatch], fields: frozenset[str], sampled: set[date]
    ) -> Iterator[Asked]:
        """Those batches that have decisions, counted."""
        for batch in batches:
            self.checks.orphans += batch.orphans
            if not batch.decisions.num_rows:
                continue
            day = batch.decisions.column("decided_at")[0].as_py().date()
            asked = Asked.of(batch, fields, SAMPLE if day in sampled else 0)
            sampled.discard(day)
            self.checks.decisions += batch.decisions.num_rows
            self.checks.rows += batch.candidates.num_rows
            if self.staged:
                self.checks.count_stages(batch.decisions.column("stages"))
            yield asked

    def _fields(self) -> frozenset[str]:
        asked = [at for at, each in enumerate(self.sides) if each.policies is not None]
        return frozenset().union(*(self.of_stages(at).fields() for at in asked))

    @property
    def staged(self) -> bool:
        """Can stages of budgets bind a decision of some side?"""
        sides = range(len(self.sides))
        return any(self.of_stages(at).binds for at in sides)

    def _answered(self, asked: Asked) -> tuple[RecordedBatch, Any, list[Chosen]]:
        """A batch, and what each side chose in it."""
        found = self._together(asked)
        sides = range(len(self.sides))
        chosen = [found[at] if at in found else self._chosen(at, asked) for at in sides]
        return asked.batch, asked.starts, chosen

    def _together(self, asked: Asked) -> dict[int, Chosen]:
        """Those sides that see the same jobs and no stages of budgets: what they share is asked once."""
        able = {
            at: each.policies
            for at, each in enumerate(self.sides)
            if each.policies is not None and not self.of_stages(at).binds
        }
        if not able:
            return {}
        first, model = next(iter(able.items()))
        alike = {at: each for at, each in able.items() if each.workloads == model.workloads}
        jobs = self.job_tables(first).table(asked.batch, asked.starts, asked.fields)
        whole = asked.part(None)
        found = choose_each(list(alike.values()), jobs, whole.named, whole.ids, sample=whole.sample)
        return {
            at: self._kept(at, policies, whole, each)
            for (at, policies), each in zip(alike.items(), found, strict=True)
        }

    def _chosen(self, at: int, asked: Asked) -> Chosen:
        if self.sides[at].policies is None:
            return _recorded(asked.batch, asked.starts)
        jobs = self.job_tables(at).table(asked.batch, asked.starts, asked.fields)
        with self.lock:  # it learns what sets of policies there are
            groups = self.of_stages(at).groups(asked.batch.decisions)
        found = [
            self._of_group(at, policies, asked.part(places), jobs) for policies, places in groups
        ]
        return found[0] if len(found) == 1 else _joined(found, [places for _, places in groups])

    def _of_group(self, at: int, policies: PolicySet, asked: AskedPart, jobs: pa.Table) -> Chosen:
        """What decisions choose that were made under the same stages of budgets."""
        found = choose_columns(
            policies, asked.jobs(jobs), asked.named, asked.ids, sample=asked.sample
        )
        return self._kept(at, policies, asked, found)

    def _kept(self, at: int, policies: PolicySet, asked: AskedPart, found: ChoiceColumns) -> Chosen:
        with self.lock:
            self.checks.add(found)
        ends, known = found.ends.values.ravel(), found.ends.ok
        return Chosen(
            asked.rows(found.rows),
            found.moves,
            ends if known is None else np.where(known.ravel(), ends, NEVER),
            self.of_stages(at).ruler(policies, found.ruler),
        )

    def of_stages(self, at: int) -> Stages:
        """The policies of a side under the stages of their budgets."""
        policies = self.sides[at].policies
        if at not in self.stages:
            self.stages[at] = Stages(policies or PolicySet((), {}))
        return self.stages[at]

    def job_tables(self, at: int) -> JobTables:
        """What makes the jobs of a side's policies."""
        policies = self.sides[at].policies
        if at not in self.tables:
            self.tables[at] = JobTables(policies or PolicySet((), {}))
        return self.tables[at]


def _joined(found: Sequence[Chosen], places: Sequence[Any]) -> Chosen:
    """The choices of all decisions of a batch, in its order."""
    order = np.argsort(np.concatenate(places))
    names = ("rows", "moves", "ends", "ruler")
    whole = {n: np.concatenate([getattr(e, n) for e in found])[order] for n in names}
    return Chosen(**whole)


def _recorded(batch: RecordedBatch, starts: Any) -> Chosen:
    found = batch.decisions
    places = found.column("chosen").fill_null(0).to_numpy()
    enforced = [each == Mode.ENFORCE for each in found.column("mode").to_pylist()]
    held_out = found.column("held_out").fill_null(False).to_numpy()
    ends = found.column("deadline").combine_chunks().view(pa.int64()).fill_null(NEVER)
    return Chosen(
        rows=starts + places,
        moves=np.array(enforced, np.bool_) & ~held_out,
        ends=ends.to_numpy(zero_copy_only=False),
        ruler=np.full(len(starts), -1),
    )
