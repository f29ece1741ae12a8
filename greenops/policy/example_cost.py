"""What it takes to run the tests of a file, told before one runs: what is accepted ends at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from greenops.errors import Location
from greenops.policy.cost import cost
from greenops.policy.evaluate import Expression
from greenops.policy.ir import walk
from greenops.policy.model import Policy, PolicyTest
from greenops.policy.report import Report

MAX_TESTING: Final = 100_000
"""Most steps of all tests of one file, by rows and by columns: 0.3 to 0.5 s, at three to five
microseconds a step as measured on one server core."""
OF_POLICY: Final = 1_700
"""Steps that a policy takes which has a test: its tables."""
OF_PART: Final = 32
"""Steps that a part of an expression takes once: it is read back, and compiled to kernels."""
OF_TEST: Final = 60
OF_PLACE: Final = 35
"""Steps that a candidate takes whatever is asked of it: its row, and the rules that nobody writes."""
OF_EXPRESSION: Final = 6
OF_LABEL: Final = 30
"""Steps that a label takes: a column of its own."""
LONG: Final = 500
"""Characters of a text of a test that make each step take as long again."""


@dataclass(slots=True)
class _Asked:
    """A policy with a test: what asking it takes."""

    expressions: tuple[Expression, ...]
    steps: dict[int, int] = field(default_factory=dict)

    def once(self) -> int:
        """Steps before its first test."""
        return OF_POLICY + OF_PART * sum(1 for e in self.expressions for _ in walk(e.node))

    def of_place(self, longest: int) -> int:
        """Steps for one candidate, where no list is longer."""
        if longest not in self.steps:
            asked = sum(OF_EXPRESSION + cost(each.node, longest) for each in self.expressions)
            self.steps[longest] = OF_PLACE + asked
        return self.steps[longest]


def refuse_long_tests(
    tests: Iterable[PolicyTest], policies: Mapping[str, Policy], report: Report
) -> None:
    """Note the first test of each file with which its tests take more steps than they may.

    Args:
        tests: In file order.
        policies: Name → policy, those of packs too.
        report: Where problems go.
    """
    asked: dict[str, _Asked] = {}
    spent: dict[str, int] = {}
    for test in tests:
        at = test.source or Location("")
        before = spent.get(at.file, 0)
        if before > MAX_TESTING or test.policy not in policies:
            continue
        steps = 0
        if test.policy not in asked:
            asked[test.policy] = _Asked(tuple(_expressions(policies[test.policy])))
            steps = asked[test.policy].once()
        spent[at.file] = before + steps + _steps(test, asked[test.policy])
        if spent[at.file] > MAX_TESTING:
            report.add(
                "GO0134",
                f"the tests of this file take over {MAX_TESTING:,} steps from here on",
                at,
                "give them fewer candidates, or each policy a file of its own",
            )


def _steps(test: PolicyTest, asked: _Asked) -> int:
    labels, regions = test.job.workload.labels, test.job.workload.allowed_regions
    longest = _rounded(max(len(labels), len(regions)))
    places = 1 + len(test.candidates)
    slower = 1 + _longest_text(test) // LONG
    return OF_TEST + OF_LABEL * len(labels) + slower * places * asked.of_place(longest)


def _rounded(longest: int) -> int:
    """A list's length, up to a power of ten: what asking takes is worked out a few times only."""
    power = 10
    while power < longest:
        power *= 10
    return power


def _longest_text(test: PolicyTest) -> int:
    """Characters of the longest text that a rule may look at."""
    of, places = test.job.workload, (test.baseline, *test.candidates)
    texts = [test.job.id, of.name, of.team, of.criticality, of.data_class, of.home_region]
    texts += [*of.allowed_regions, *of.labels, *of.labels.values()]
    for each in places:
        texts += [each.id, each.region, each.location, each.provider, each.pool, each.tier]
        texts.append(each.zone)
    return max(len(each) for each in texts if each is not None)


def _expressions(policy: Policy) -> Iterable[Expression]:
    yield from policy.match
    for rule in policy.constraints:
        yield rule.expression
        if rule.speech is not None:
            yield rule.speech
    for aim in policy.objectives:
        yield from (e for e in (aim.when, aim.minimize, aim.tie_break) if e is not None)
    yield from (each.match for each in policy.exceptions)
    if policy.key is not None:
        yield policy.key
