"""Runs the tests that are written in policy files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from greenops.domain.decision import Decision, Judgement
from greenops.plan.choice import choose
from greenops.policy import PolicySet, PolicyTest


@dataclass(frozen=True, slots=True)
class TestResult:
    """What became of one test.

    Attributes:
        failures: What was expected and what came instead; empty where the test holds.
        judgement: What the policies said.
        decision: What was chosen.
    """

    __test__ = False

    test: PolicyTest
    failures: tuple[str, ...]
    judgement: Judgement
    decision: Decision

    @property
    def passed(self) -> bool:
        """Did everything come as expected?"""
        return not self.failures


def run_tests(policies: PolicySet) -> tuple[TestResult, ...]:
    """Every test in the policy files, each against its own policy alone.

    The hold-out does not count: a test is about the rule, not about the draw.
    """
    alone = {each: policies.only(each) for each in {test.policy for test in policies.tests}}
    return tuple(_run(alone[each.policy], each) for each in policies.tests)


def run_test(policies: PolicySet, test: PolicyTest) -> TestResult:
    """One test: the policy speaks, then the planner chooses with the deadline that is in force."""
    return _run(policies.only(test.policy), test)


def _run(alone: PolicySet, test: PolicyTest) -> TestResult:
    judged = alone.judge(test.job, test.baseline, test.candidates, test.now)
    judgement = replace(judged, held_out=False)
    job = replace(test.job, deadline=judged.deadline)
    decision = choose(job, test.baseline, test.candidates, judgement, test.now)
    failures = [
        *_matched(test, judgement),
        *_chosen(test, decision),
        *_named("rejected", test.rejected, decision.rejected),
        *_named("warned", test.warned, decision.warned),
    ]
    return TestResult(test, tuple(failures), judgement, decision)


def _matched(test: PolicyTest, judgement: Judgement) -> list[str]:
    """A test of a policy that has no say would hold whatever its rules said."""
    matches = test.policy in judgement.policies
    if matches == test.matches:
        return []
    if matches:
        return ["the policy matches the job, expected that it does not"]
    return ["the policy does not match the job; mend `match` or `job`, or expect `matches: false`"]


def _chosen(test: PolicyTest, decision: Decision) -> list[str]:
    failures = []
    if decision.chosen.id != test.choose:
        failures.append(f"chose `{decision.chosen.id}`, expected `{test.choose}`")
    if decision.exception != test.exception:
        given, wanted = decision.exception or "none", test.exception or "none"
        failures.append(f"exception {given}, expected {wanted}")
    return failures


def _named(
    word: str, expected: Mapping[str, tuple[str, ...]], given: Mapping[str, tuple[str, ...]]
) -> list[str]:
    return [
        f"`{candidate}` is not {word} by `{name}`; by {', '.join(given.get(candidate, ())) or 'none'}"
        for candidate, names in expected.items()
        for name in names
        if name not in given.get(candidate, ())
    ]
