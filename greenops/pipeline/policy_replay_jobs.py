"""Recorded decisions as the table `jobs` of the policies that are replayed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

import numpy as np
import pyarrow as pa

from greenops.adapters.lake_history import RecordedBatch
from greenops.domain.record import restore
from greenops.domain.wall_clock import next_local
from greenops.domain.workload import ClockTime, Job, Limits, Workload
from greenops.plan.guard import deadline_of, run_time
from greenops.policy import PolicySet
from greenops.policy.chooser import RUN_TIME
from greenops.policy.record_tables import ARROW
from greenops.policy.schema import JOB, LIMITS, NUMBER, PLACE, TEXT, TIME

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
US: Final = timedelta(microseconds=1)
NEVER: Final = 2**63 - 1


@dataclass(slots=True)
class JobTables:
    """Makes the table of jobs for one set of policies.

    A workload that these policies declare takes the place of the recorded one of the same name: its
    three numbers are part of what is replayed. Labels of the run stay.
    """

    policies: PolicySet
    workloads: dict[str, Workload] = field(default_factory=dict)
    limits: dict[str, Limits] = field(default_factory=dict)
    facts: tuple[tuple[str, ...], dict[str, Any]] | None = None

    def workload(self, record: str) -> Workload:
        """The workload that a recorded one is judged as."""
        if record not in self.workloads:
            recorded = _restored(record)
            declared = self.policies.workloads.get(recorded.name, recorded)
            labels = {**declared.labels, **recorded.labels}
            self.workloads[record] = replace(declared, labels=labels)
        return self.workloads[record]

    def job(self, decision: Mapping[str, Any]) -> Job:
        """One run, with the deadline that is its own: the policies' come with the policies."""
        workload = self.workload(decision["workload_record"])
        end = self._own_deadline(decision, workload)
        return Job(decision["job_id"], workload, decision["submitted"], end)

    def table(self, batch: RecordedBatch, starts: Any, fields: Iterable[str]) -> pa.Table:
        """`job.*`, `limits.*`, `now`, `run_time`, and `baseline.*` as far as rules name it.

        Args:
            batch: The decisions.
            starts: Row of each decision's baseline among its candidates.
            fields: Fields that rules name.
        """
        found = batch.decisions
        codes, words = _coded(found.column("workload_record"))
        facts = self._facts_of(tuple(words))
        columns = {name: _per_run(each, codes) for name, each in facts.items()}
        places = [each for each in PLACE if f"baseline.{each}" in fields]
        taken = pa.array(starts)
        return pa.table(
            {
                **columns,
                **{
                    f"baseline.{each}": batch.candidates.column(each).take(taken) for each in places
                },
                "job.id": found.column("job_id"),
                "job.submitted": found.column("submitted"),
                "limits.deadline": self._deadlines(found, codes, words),
                "now": found.column("decided_at"),
            }
        )

    def _facts_of(self, words: tuple[str, ...]) -> dict[str, Any]:
        """What is the same for all runs of a workload, one value for each that a batch knows."""
        known = self.facts  # once: another thread may put those of its batch there
        if known is not None and known[0] == words:
            return known[1]
        workloads = [self.workload(each) for each in words]
        made = {
            f"job.{name}": _array(kind, [_fact(each, name) for each in workloads])
            for name, kind in JOB.items()
            if name not in {"id", "submitted"}
        }
        for name in sorted({label for each in workloads for label in each.labels}):
            made[f"job.labels.{name}"] = _array(TEXT, [each.labels.get(name) for each in workloads])
        for name, kind in LIMITS.items():
            if kind != TIME:
                made[f"limits.{name}"] = _array(kind, [getattr(e.limits, name) for e in workloads])
        made[RUN_TIME] = pa.array([run_time(each) for each in workloads], pa.duration("us"))
        self.facts = (words, made)
        return made

    def _deadlines(self, found: pa.Table, codes: Any, words: list[str]) -> Any:
        """Each job's own deadline, as `_own_deadline` tells it for one."""
        submitted, recorded = (
            _instants(found.column("submitted")),
            _instants(found.column("deadline")),
        )
        own = _ends(codes, [self.workload(each).limits for each in words], submitted)
        limits, texts = _coded(found.column("limits_record"))
        given = _ends(limits, [self._limits(each) for each in texts], submitted)
        ends = np.where(recorded < given, np.minimum(own, recorded), own)
        return pa.array(ends, pa.int64(), mask=ends == NEVER).cast(ARROW[TIME])

    def _own_deadline(self, decision: Mapping[str, Any], workload: Workload) -> datetime | None:
        """What the workload says, or whoever asked for the run, if that is tighter.

        The recorded deadline holds what the policies of that day said too. Only where neither they
        nor the workload explain it did somebody ask for it.
        """
        submitted, recorded = decision["submitted"], decision["deadline"]
        own = deadline_of(workload, submitted)
        then = replace(workload, limits=self._limits(decision["limits_record"]))
        given = deadline_of(then, submitted)
        asked = recorded if recorded and (given is None or recorded < given) else None
        return min((each for each in (own, asked) if each is not None), default=None)

    def _limits(self, record: str) -> Limits:
        if record not in self.limits:
            self.limits[record] = restore(Limits, json.loads(record))
        return self.limits[record]


@lru_cache(maxsize=4096)
def _restored(record: str) -> Workload:
    return restore(Workload, json.loads(record))


def _ends(codes: Any, limits: Sequence[Limits], submitted: Any) -> Any:
    """What limits make of each submission [us]; `NEVER` where they give no deadline."""
    lasts = [NEVER if e.deadline_within is None else e.deadline_within // US for e in limits]
    within = np.array(lasts, np.int64)[codes]
    ends = np.where(within == NEVER, NEVER, submitted + np.minimum(within, NEVER - submitted))
    for clock in {each.deadline_at for each in limits if each.deadline_at is not None}:
        those = np.array([each.deadline_at == clock for each in limits], np.bool_)[codes]
        if those.any():
            ends[those] = np.minimum(ends[those], _clock_times(clock, submitted[those]))
    return ends


def _clock_times(clock: ClockTime, submitted: Any) -> Any:
    """The next time that a wall clock shows this after each submission [us]."""
    shown = [next_local(clock, EPOCH + int(submitted.min()) * US)]
    while (shown[-1] - EPOCH) // US <= submitted.max():
        shown.append(next_local(clock, shown[-1]))
    times = np.array([(each - EPOCH) // US for each in shown], np.int64)
    return times[np.searchsorted(times, submitted, side="right")]


def _instants(column: Any) -> Any:
    """Microseconds since 1970; `NEVER` where absent."""
    whole = column.combine_chunks().view(pa.int64())
    return whole.fill_null(NEVER).to_numpy(zero_copy_only=False)


def _coded(column: Any) -> tuple[Any, list[str]]:
    whole = column.unify_dictionaries().combine_chunks()
    return whole.indices.to_numpy(zero_copy_only=False), whole.dictionary.to_pylist()


def _fact(workload: Workload, name: str) -> Any:
    found = getattr(workload, name)
    if name in {"kind", "urgency"}:
        return found.value
    return (list(found) or None) if name == "allowed_regions" else found


def _array(kind: str, values: list[Any]) -> Any:
    if kind == NUMBER:
        values = [None if each is None else float(each) for each in values]
    return pa.array(values, pa.string() if kind == TEXT else ARROW[kind])


def _per_run(facts: Any, codes: Any) -> Any:
    """A fact of each workload on each of its runs."""
    if pa.types.is_list(facts.type) or pa.types.is_duration(facts.type):
        return facts.take(pa.array(codes))
    return pa.DictionaryArray.from_arrays(pa.array(codes), facts)
