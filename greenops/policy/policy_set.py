"""What the policies say of a job: a verdict on the baseline and on every candidate."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from greenops.domain.budget import Budget, Target
from greenops.domain.decision import Candidate, Judgement, Mode
from greenops.domain.record import plain
from greenops.domain.workload import Job, Limits, Workload
from greenops.policy.builtin import KNOWN_CLASSES, constraints_for
from greenops.policy.evaluate import Expression, Failed, Row, to_cel
from greenops.policy.ir import Has, walk
from greenops.policy.judging import Ruling, judge_candidates
from greenops.policy.model import Policy, PolicyException, PolicyTest
from greenops.policy.schema import deadline_of, job_row, limits_row, place_row, tightest

CAUTION = (Mode.AUDIT, Mode.SHADOW, Mode.ENFORCE)
"""Modes, the most cautious first."""
ANY_DAY = datetime(2000, 1, 1, tzinfo=UTC)
"""Submission of the made-up run that tells which policies a declared workload meets."""
OF_A_RUN = frozenset({"now", "job.id", "job.submitted", "baseline"})
"""What a declared workload does not tell of its runs; of the baseline it tells the region only."""


@dataclass(frozen=True, slots=True)
class PolicySet:
    """Compiled policies and declared workloads.

    Attributes:
        policies: In file order.
        workloads: Name → declared workload.
        tests: The tests written in the policy files.
        documents: Name → canonical text, for the ledger.
        classes: Data classes known beside those that the policies declare.
        packs: Policies that others extend; by themselves they say nothing of any job.
        budgets: What some work may emit or cost in a period.
        targets: Reductions that are wanted; they steer nothing.
        stages: (Budget, share) → policies that hold too once that share is spent.
        hash: SHA-256 of all documents.
    """

    policies: tuple[Policy, ...]
    workloads: Mapping[str, Workload]
    tests: tuple[PolicyTest, ...] = ()
    classes: frozenset[str] = KNOWN_CLASSES
    packs: tuple[Policy, ...] = ()
    budgets: tuple[Budget, ...] = ()
    targets: tuple[Target, ...] = ()
    stages: Mapping[tuple[str, float], tuple[Policy, ...]] = field(default_factory=dict)
    documents: Mapping[str, str] = field(init=False)
    hash: str = field(init=False)

    def __post_init__(self) -> None:
        documents = {each.name: each.document for each in self.policies}
        for name, workload in self.workloads.items():
            documents[f"workload/{name}"] = _text(workload)
        for budget in self.budgets:
            documents[f"budget/{budget.name}"] = _text(budget)
        for target in self.targets:
            documents[f"target/{target.name}"] = _text(target)
        for of_stage in self.stages.values():
            documents |= {f"stage/{each.name}": each.document for each in of_stage}
        object.__setattr__(self, "documents", documents)
        object.__setattr__(self, "hash", _hash(documents))

    def only(self, policy: str) -> PolicySet:
        """The set with one policy and nothing else, be it of a pack; only data classes stay."""
        kept = tuple(each for each in (*self.policies, *self.packs) if each.name == policy)
        tests = tuple(each for each in self.tests if each.policy == policy)
        return PolicySet(kept, {}, tests, self.known_classes())

    def matching(self, workload: Workload) -> tuple[Policy, ...]:
        """Policies that could match some run of the workload, at some hour."""
        row = _row_of_any_run(workload)
        return tuple(e for e in self.policies if _matches(e, row, OF_A_RUN) is not False)

    def rivals(self, workload: Workload) -> tuple[Policy, ...]:
        """Policies with objectives that could count together for some run of the workload.

        A match that lacks a fact about the workload never gives an objective, so it is no rival;
        one that lacks only the run's hour or name may be.
        """
        job = Job(workload.name, workload, ANY_DAY)
        whole = _job_row(job, _home(workload), ANY_DAY)
        able = (e for e in self.matching(workload) if _matches(e, whole) is not None)
        return tuple(each for each in able if each.objectives)

    def deadline_for(
        self, job: Job, now: datetime, baseline: Candidate | None = None
    ) -> datetime | None:
        """The tightest deadline of job, workload and matching policies, before candidates are made.

        Args:
            job: The run.
            now: Instant of the decision.
            baseline: What would happen without GreenOps; none where it is not made yet: then a
                policy whose match asks for its figures cannot be told, and counts.

        Returns:
            Latest end; none where nothing gives one. Law: without a baseline never later than
            `Judgement.deadline`, whatever the baseline turns out to be.
        """
        row = _job_row(job, baseline or Candidate("baseline"), now)
        unknown = frozenset() if baseline else frozenset({"baseline"})
        met = (each for each in self.policies if _matches(each, row, unknown) is not False)
        return deadline_of(job, _limits(job, met))

    def judge(
        self, job: Job, baseline: Candidate, candidates: Sequence[Candidate], now: datetime
    ) -> Judgement:
        """What all matching policies and the workload's own numbers say.

        Args:
            job: The run.
            baseline: What would happen without GreenOps.
            candidates: The other ways; the baseline is not among them.
            now: Instant of the decision.

        Returns:
            Verdicts, the baseline first, then the candidates in order. A policy whose match cannot
            be evaluated counts as matching for its constraints, and its objectives are not used.
        """
        row = _job_row(job, baseline, now)
        said = [(each, _matches(each, row)) for each in self.policies]
        matching = [each for each, answer in said if answer is not False]
        sure = [each for each, answer in said if answer is True]
        limits = _limits(job, matching)
        deadline = deadline_of(job, limits)
        row = {**row, "limits": limits_row(limits, deadline)}
        active = [(p, e) for p in sure for e in p.exceptions if _applies(e, row, now)]
        run_now = any(each.run_now for _, each in active)
        waived = {(policy.name, name) for policy, each in active for name in each.waive}
        own = constraints_for(job, limits, deadline, self.known_classes())
        ruling = Ruling(
            constraints=(
                *own,
                *(c for p in matching for c in p.constraints if (p.name, c.name) not in waived),
            ),
            objectives=_objectives(sure),
        )
        verdicts, objective = judge_candidates(ruling, row, baseline, candidates)
        return Judgement(
            policies=tuple(p.name for p in sorted(matching, key=lambda p: (-p.priority, p.name))),
            verdicts=verdicts,
            limits=limits,
            policy_hash=_hash({p.name: p.document for p in matching}),
            objective=objective,
            mode=min((p.mode for p in matching), key=CAUTION.index, default=Mode.ENFORCE),
            held_out=not run_now and _held_out(ruling.objectives, job, row),
            run_now=run_now,
            exception=_on_record([each for _, each in active]),
            waived=tuple(sorted({name for _, name in waived})),
            deadline=deadline,
        )

    def known_classes(self) -> frozenset[str]:
        """Data classes that some policy, or the package, knows."""
        return self.classes.union(*(each.data_classes for each in self.policies))


def _text(record: object) -> str:
    """Canonical text of a declared thing, without its place in a file."""
    body = {name: each for name, each in plain(record).items() if name != "source"}
    return json.dumps(body, sort_keys=True, separators=(",", ":"))


def _hash(documents: Mapping[str, str]) -> str:
    text = json.dumps(documents, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _job_row(job: Job, baseline: Candidate, now: datetime) -> Row:
    return {
        "job": job_row(job),
        "baseline": place_row(baseline),
        "limits": limits_row(Limits(), None),
        "now": to_cel(now),
    }


def _home(workload: Workload) -> Candidate:
    return Candidate("baseline", region=workload.home_region)


def _row_of_any_run(workload: Workload) -> Row:
    """What is known of every run: nothing that depends on its hour, its id or its place."""
    row = dict(_job_row(Job(workload.name, workload, ANY_DAY), _home(workload), ANY_DAY))
    del row["now"], row["job"]["id"], row["job"]["submitted"], row["baseline"]["id"]
    return row


def _limits(job: Job, policies: Iterable[Policy]) -> Limits:
    return tightest([job.workload.limits, *(each.limits for each in policies)], job.submitted)


def _matches(policy: Policy, row: Row, unknown: frozenset[str] = frozenset()) -> bool | None:
    """Does the policy match; none where that cannot be told.

    Args:
        policy: The policy.
        row: What is known of the job.
        unknown: Fields, or roots of fields, that are left out of the row because they are not known
            yet: `has` of one is not told either, and does not mean absent.
    """
    answers = [
        Failed("not known yet") if _asks_for(rule, unknown) else rule(row) for rule in policy.match
    ]
    if any(answer is False for answer in answers):
        return False
    return None if any(isinstance(answer, Failed) for answer in answers) else True


def _asks_for(rule: Expression, unknown: frozenset[str]) -> bool:
    has = (each.path for each in walk(rule.node) if isinstance(each, Has)) if unknown else ()
    return any(path[0] in unknown or ".".join(path) in unknown for path in has)


def _applies(exception: PolicyException, row: Row, now: datetime) -> bool:
    return exception.not_before <= now < exception.expires and exception.match(row) is True


def _objectives(policies: Sequence[Policy]) -> tuple[tuple[str, Policy], ...] | Policy | None:
    """The policy whose objectives count; the rivals' names where two claim that; none if none."""
    rivals = [each for each in policies if each.objectives]
    if not rivals:
        return None
    highest = max(each.priority for each in rivals)
    top = [each for each in rivals if each.priority == highest]
    return top[0] if len(top) == 1 else tuple((each.name, each) for each in top)


def _on_record(active: Sequence[PolicyException]) -> str | None:
    """Id of the exception that decides: the first that runs the job now, else the first at all."""
    decisive = sorted(active, key=lambda each: not each.run_now)
    return decisive[0].id if decisive else None


def _held_out(policy: Policy | tuple[tuple[str, Policy], ...] | None, job: Job, row: Row) -> bool:
    """Is the job in the hold-out of the one policy whose objectives count; none: nothing moves it.

    Law: the same policy and key fall on the same side, on every machine and every day.
    """
    if not isinstance(policy, Policy) or policy.percent >= 100:  # noqa: PLR2004 - per cent
        return False
    key = policy.key(row) if policy.key else job.id
    if isinstance(key, Failed):
        return True
    digest = hashlib.sha256(f"{policy.name}\0{key}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64 * 100 >= policy.percent
