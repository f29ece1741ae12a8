"""Reads policy files from a folder, and runs the tests written in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from greenops.domain.decision import Decision, Judgement
from greenops.errors import InvalidFile, Location
from greenops.plan.choice import choose
from greenops.policy import PolicySet, PolicyTest, compile_policies

ROUTES: Final = "routes.yaml"
"""The file of routes may lie beside the policies; it is not one."""


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


def policy_sources(folder: Path) -> list[tuple[str, str]]:
    """(name, text) of every `*.yaml` file below a folder, sorted; of the file itself for a file.

    Raises:
        InvalidFile: There is no such folder, or a file cannot be read.
    """
    if folder.is_file():
        paths = [folder]
    elif folder.is_dir():
        found = (path for end in ("*.yaml", "*.yml") for path in folder.rglob(end))
        paths = sorted(path for path in found if path.name != ROUTES)
    else:
        raise InvalidFile(
            "GO0108",
            "no such file or folder of policies",
            at=Location(str(folder)),
            fix="name one with `--policies DIR` or in `greenops.yaml`",
        )
    return [(str(path), _text(path)) for path in paths]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InvalidFile("GO0109", f"cannot be read: {why}", at=Location(str(path))) from error


def read_policies(folder: Path) -> PolicySet:
    """The policies and workloads of every `*.yaml` file below a folder.

    Raises:
        InvalidFile: The folder is missing, or the first problem of a file.
    """
    return compile_policies(policy_sources(folder))


def run_tests(policies: PolicySet) -> tuple[TestResult, ...]:
    """Every test in the policy files, each against its own policy alone.

    The hold-out does not count: a test is about the rule, not about the draw.
    """
    return tuple(run_test(policies, each) for each in policies.tests)


def run_test(policies: PolicySet, test: PolicyTest) -> TestResult:
    """One test: the policy speaks, then the planner chooses with the deadline that is in force."""
    judged = policies.only(test.policy).judge(test.job, test.baseline, test.candidates, test.now)
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
