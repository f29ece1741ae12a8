"""What one set of policies chooses for the jobs of a chunk, in columns."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Final

import numpy as np
import pyarrow as pa

from greenops.policy.batch import Batch
from greenops.policy.builtin import relative_texts
from greenops.policy.columns import Column, Mask, Values
from greenops.policy.evaluate import Expression, compile_node
from greenops.policy.job_groups import NONE, JobGroups, Key
from greenops.policy.job_rules import job_rules
from greenops.policy.model import Level, Objective
from greenops.policy.parse import parse
from greenops.policy.policy_set import PolicySet
from greenops.policy.rule_columns import all_matches, rules_of
from greenops.policy.schema import FIELDS
from greenops.policy.tables import Tables
from greenops.policy.told import Told
from greenops.policy.verdict_columns import broken_by

RUN_TIME: Final = "run_time"
"""Column of the jobs: the longest a run is expected to take [duration]; absent: no latest start."""
LATEST: Final = 2**63 - 1
WORD_BITS: Final = 32
"""Marks that are told apart at once: twice as many would not fit beside a job's number in 64 bits."""
Scores = tuple[Mask, Values, Values, Mask]
"""Rows that may win, what they are ranked by first and then, and rows that have both numbers."""
Ids = Callable[[], Any]
"""Gives `candidate.id` of all rows; asked only where all else is equal."""


@cache
def _field(name: str) -> Expression:
    return compile_node(parse(name), FIELDS)


class Chooser:
    """Chooses by one set of policies for the jobs of one chunk at a time."""

    def __init__(
        self, side: int, policies: PolicySet, batch: Batch, ids: Ids, real: Mask | None
    ) -> None:
        self.side, self.policies, self.batch, self.ids, self.real = side, policies, batch, ids, real
        batch.turn(side, {})
        answers = all_matches(policies, batch)
        rules = rules_of(policies, batch, answers, of_baseline=False)
        self.rules = [each for each in rules if each.constraint.level is not Level.ADVISORY]
        self.by_job = job_rules(policies, batch, answers)
        self.limits = batch.tables.limits
        self.told = Told.of(batch.tables.layout.jobs)
        self.now = batch.tables.source("now").column
        self.ends = batch.tables.source("limits.deadline").column
        self.latest = _latest(batch.tables)

    def alike(self, jobs: Values) -> Values:
        """Jobs told apart by a number, and by the rules that hold for them and whose objectives count."""
        found: Values = jobs
        masks = [self.by_job.ruler == at for at in np.unique(self.by_job.ruler)]
        for at, mask in enumerate([*masks, *(each.jobs.ravel() for each in self.rules)]):
            if at % WORD_BITS == 0:  # room for as many more
                found = np.unique(found, return_inverse=True)[1].astype(np.int64)
            found = 2 * found + mask
        return found

    def asks(self, jobs: slice | Values) -> tuple[Any, ...]:
        """All that a choice for these jobs asks; where it is equal, so is the choice."""
        held = ((rule, rule.jobs[jobs]) for rule in self.rules)
        ruler = self.by_job.ruler[jobs]
        columns = [each.column.at(jobs) for _, each in sorted(self.limits.items())]
        return (
            [
                (r.constraint.expression.text, r.constraint.ignore_errors, mask.tobytes())
                for r, mask in held
                if mask.any()
            ],
            {
                (_objectives(self.policies, at), (ruler == at).tobytes())
                for at in np.unique(ruler).tolist()
            },
            [(each.values.tobytes(), _known(each).tobytes()) for each in columns],
            self.by_job.run_now[jobs].tobytes(),
        )

    def take(self, other: Chooser, jobs: slice | Values) -> None:
        """Keep what another tells of its choices for these jobs."""
        for name in Told.__dataclass_fields__:
            getattr(self.told, name)[jobs] = getattr(other.told, name)[jobs]

    def choose(self, groups: JobGroups) -> Values:
        """Row of the chunk that each job's choice is."""
        allowed = self._allowed(groups)
        able, score, tie, scored = self._scored(groups, allowed)
        start = self._start(groups)
        latest = self.latest.at(groups.jobs)
        in_time = (start <= groups.spread(latest.values.ravel())) | (start == LATEST)
        able &= in_time | ~groups.spread(_known(latest).ravel())
        stays = self._staying(groups, start)
        at_stays = groups.at(stays)
        # The baseline competes where it is what stays; else its place at once stands for it.
        able &= ~groups.is_first() | at_stays
        since = np.where(start == LATEST, 0, start)
        keys: tuple[Key, ...] = (
            lambda _: score,
            lambda _: tie,
            lambda _: ~at_stays,
            lambda _: since,
            lambda left: self._by_id(groups, left),
        )
        won = groups.best(able, keys)
        own = groups.starts
        rows = np.where((won == NONE) | (won == stays), own, won)
        late = _known(latest).ravel() & (groups.first(start) != LATEST)
        late &= groups.first(start) > latest.values.ravel()
        hasty = self.by_job.run_now[groups.jobs] | (late & (won == NONE))
        if hasty.any():
            rows = np.where(hasty, self._soonest(groups, allowed, start), rows)
        self._tell(groups, rows, (allowed, able, scored), score)
        return rows

    def _tell(
        self, groups: JobGroups, rows: Values, masks: tuple[Mask, Mask, Mask], score: Values
    ) -> None:
        allowed, able, scored = masks
        compliant, told = groups.first(allowed), self.told
        told.compliant[groups.jobs] = compliant
        told.allowed[groups.jobs] = groups.count(allowed) - compliant
        told.able[groups.jobs] = groups.count(able)
        known, values = scored.ravel()[rows], np.broadcast_to(score, scored.shape).ravel()[rows]
        told.score[groups.jobs] = np.where(known, values, np.nan)

    def _allowed(self, groups: JobGroups) -> Mask:
        chunk = groups.chunk
        refused = np.zeros(chunk.shape, np.bool_)
        if self.real is not None:
            refused |= ~chunk.of(self.real)
        for rule in self.rules:
            meets = rule.jobs[chunk.jobs]
            if not meets.any():
                continue
            found = self.batch.over(rule.constraint.expression, chunk)
            broken = broken_by(found, rule.constraint)
            if rule.constraint.expression.text in relative_texts():
                broken = broken & ~groups.is_first()
            refused |= broken if meets.all() else broken & meets
        return ~refused

    def _scored(self, groups: JobGroups, allowed: Mask) -> Scores:
        """Who may win, and by what numbers: those of the first objective under which some may."""
        able: Mask = np.zeros(groups.chunk.shape, np.bool_)
        scored: Mask = np.zeros(groups.chunk.shape, np.bool_)
        score: Values = np.zeros(groups.chunk.shape)
        tie: Values = np.zeros(groups.chunk.shape)
        ruler, own = self.by_job.ruler[groups.jobs], True
        counts = np.full(len(ruler), NONE)
        for at in {int(each) for each in np.unique(ruler)} - {NONE, NONE - 1}:
            ruled, undecided = ruler == at, ruler == at
            for number, objective in enumerate(self.policies.policies[at].objectives):
                if number and not undecided.any():
                    break
                found = self._by(groups, objective, allowed)
                wins = groups.count(found[0] & ~groups.is_first()) > 0
                takes = ruled if not number else undecided & wins
                undecided = undecided & ~wins
                counts[takes] = number
                if takes.all():
                    (able, score, tie, scored), own = found, False
                    continue
                if not own:
                    # The kernels may ask for these arrays again, and some are one row for all.
                    able, score, tie, scored = (
                        np.broadcast_to(each, able.shape).copy()
                        for each in (able, score, tie, scored)
                    )
                    own = True
                for new, mine in zip(found, (able, score, tie, scored), strict=True):
                    np.copyto(mine, new, where=groups.spread(takes))
        self.told.objective[groups.jobs] = counts
        return able, score, tie, scored

    def _by(self, groups: JobGroups, objective: Objective, allowed: Mask) -> Scores:
        score, known = self._number(groups, objective.minimize)
        scored, tie = allowed & known, np.zeros((1, 1))
        if objective.tie_break is not None:
            tie, known = self._number(groups, objective.tie_break)
            scored &= known
        if objective.when is None:
            return scored.copy(), score, tie, scored
        able = scored & self.batch.over(objective.when, groups.chunk).holds()
        return able, score, tie, scored

    def _number(self, groups: JobGroups, expression: Expression) -> tuple[Values, Mask]:
        """Finite numbers, and where there is one."""
        found = self.batch.over(expression, groups.chunk)
        values = np.broadcast_to(found.values, groups.chunk.shape).astype(np.float64, copy=False)
        finite = np.isfinite(values)
        return values, finite if found.ok is None else finite & found.ok

    def _start(self, groups: JobGroups) -> Values:
        """Start of each candidate [us]; `LATEST` where it is absent."""
        found = self.batch.over(_field("candidate.start"), groups.chunk)
        return np.where(_known(found), np.broadcast_to(found.values, groups.chunk.shape), LATEST)

    def _staying(self, groups: JobGroups, start: Values) -> Values:
        """What really happens where nothing is moved: the baseline, or its place at once."""
        first, now = groups.first(start), self.now.at(groups.jobs).values.ravel()
        passed = (first != LATEST) & (first < now)
        if not passed.any():
            return groups.starts
        at_once = (start == groups.spread(now)) & ~groups.is_first() & groups.spread(passed)
        if self.real is not None:
            at_once &= groups.chunk.of(self.real)
        for name in ("candidate.region", "candidate.pool"):
            at_once &= self._as_baseline(groups, name)
        return np.where(passed, groups.first_true(at_once), groups.starts)

    def _soonest(self, groups: JobGroups, allowed: Mask, start: Values) -> Values:
        """The earliest start that the rules allow, as near to the baseline's place as can be."""
        keys: tuple[Key, ...] = (
            lambda _: start,
            lambda _: ~groups.is_first(),
            lambda _: ~self._as_baseline(groups, "candidate.region"),
            lambda _: ~self._as_baseline(groups, "candidate.pool"),
            lambda left: self._by_id(groups, left),
        )
        found = groups.best(allowed, keys)
        return np.where(found == NONE, groups.starts, found)

    def _as_baseline(self, groups: JobGroups, name: str) -> Mask:
        found = self.batch.over(_field(name), groups.chunk)
        codes = np.where(_known(found), np.broadcast_to(found.values, groups.chunk.shape), NONE)
        same: Mask = codes == groups.spread(groups.first(codes))
        return same

    def _by_id(self, groups: JobGroups, left: Mask) -> Values:
        """Ids as ranks, on the rows that are asked for alone."""
        flat, ranks = left.ravel().nonzero()[0], np.zeros(left.size, np.int64)
        words = self.ids().take(pa.array(groups.chunk.row(flat))).to_pylist()
        places = {word: at for at, word in enumerate(sorted(set(words)))}
        ranks[flat] = [places[word] for word in words]
        return ranks.reshape(left.shape)


def _objectives(policies: PolicySet, at: int) -> tuple[tuple[str, ...], ...]:
    """What a ruling policy's objectives ask, in order; nothing where none rules."""
    found = policies.policies[at].objectives if at >= 0 else ()
    return tuple(
        tuple(e.text if e else "" for e in (each.when, each.minimize, each.tie_break))
        for each in found
    )


def _known(column: Column) -> Mask:
    return np.ones_like(column.values, np.bool_) if column.ok is None else column.ok


def _latest(tables: Tables) -> Column:
    """Latest safe start of each job: after it, the longest run would miss the deadline in force."""
    ends = tables.source("limits.deadline").column
    array = tables.jobs.column(RUN_TIME).combine_chunks()
    known = array.is_valid().to_numpy(zero_copy_only=False).reshape(-1, 1)
    longest = array.cast(pa.duration("us")).fill_null(pa.scalar(0, pa.duration("us")))
    lasts = longest.view(pa.int64()).to_numpy(zero_copy_only=False).reshape(-1, 1)
    return Column("timestamp", ends.values - lasts, known & _known(ends))
