"""`greenops policy check|test|explain`: look at the rules before they look at the work."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from greenops.domain.decision import Candidate, Decision, Verdict
    from greenops.pipeline.policies import TestResult
    from greenops.policy import PolicySet, Problem


def add_parser(subparsers: Any) -> None:
    """Add `policy check`, `policy test` and `policy explain`."""
    parser = subparsers.add_parser("policy", help="check, test and explain the rules")
    verbs = parser.add_subparsers(metavar="COMMAND", required=True)
    check = verbs.add_parser("check", help="everything that is wrong with the files")
    _path(check)
    check.add_argument("-o", "--output", choices=("table", "json", "github"), default="table")
    check.set_defaults(run=run_check)
    test = verbs.add_parser("test", help="run the tests written in the files")
    _path(test)
    test.add_argument("-o", "--output", choices=("table", "json", "github"), default="table")
    test.set_defaults(run=run_test)
    explain = verbs.add_parser("explain", help="constraint by constraint, candidate by candidate")
    explain.add_argument("workload", nargs="?", help="a declared workload, or a policy's name")
    explain.add_argument("--test", metavar="NAME", help="the test whose candidates to explain")
    explain.add_argument("--path", type=Path, metavar="PATH", help="folder or file of policies")
    explain.add_argument("-o", "--output", choices=("table", "json"), default="table")
    explain.set_defaults(run=run_explain)


def _path(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "path", nargs="?", type=Path, metavar="PATH", help="folder or file; default: the setting"
    )


def _folder(given: Path | None) -> Path:
    from greenops.config import load_settings

    return given if given is not None else load_settings().policies


def run_check(args: argparse.Namespace) -> int:
    """Print every problem; exit 0 where there is none, else 2."""
    from greenops.pipeline.policies import policy_sources
    from greenops.policy import compile_policies, lint

    sources = policy_sources(_folder(args.path))
    problems = lint(sources)
    if args.output == "json":
        _print_json([_problem_record(each) for each in problems])
    for each in problems if args.output != "json" else ():
        print(_github("error", each) if args.output == "github" else each)
    if problems:
        print(f"{len(problems)} problems in {len(sources)} files", file=sys.stderr)
        return 2
    made = compile_policies(sources)
    counts = f"{len(made.policies)} policies, {len(made.workloads)} workloads"
    print(f"{counts}, {len(made.tests)} tests in {len(sources)} files: fine", file=sys.stderr)
    return 0


def _problem_record(problem: Problem) -> dict[str, object]:
    at = problem.at
    return {
        "code": problem.code,
        "file": at.file if at else None,
        "line": at.line if at else None,
        "column": at.column if at else None,
        "message": problem.message,
        "fix": problem.fix,
    }


def _github(level: str, problem: Problem) -> str:
    """A workflow command, which GitHub shows beside the line. Values are escaped as it asks."""
    at = problem.at
    text = problem.message + (f"; {problem.fix}" if problem.fix else "")
    place = f"file={_property(at.file)},line={at.line},col={at.column}," if at else ""
    return f"::{level} {place}title={problem.code}::{_data(text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def run_test(args: argparse.Namespace) -> int:
    """Run the tests in the files; exit 1 where one fails."""
    from greenops.pipeline.policies import read_policies, run_tests

    results = run_tests(read_policies(_folder(args.path)))
    failed = [each for each in results if not each.passed]
    if args.output == "json":
        _print_json([_result_record(each) for each in results])
    elif args.output == "github":
        for each in failed:
            print(_github_failure(each))
    else:
        for each in results:
            print(f"{'ok  ' if each.passed else 'FAIL'} {each.test.policy}: {each.test.name}")
            for failure in each.failures:
                print(f"       {each.test.source}: {failure}")
    print(f"{len(results) - len(failed)} of {len(results)} tests hold", file=sys.stderr)
    return 1 if failed else 0


def _result_record(result: TestResult) -> dict[str, object]:
    return {
        "policy": result.test.policy,
        "test": result.test.name,
        "passed": result.passed,
        "chosen": result.decision.chosen.id,
        "failures": list(result.failures),
        "at": str(result.test.source),
    }


def _github_failure(result: TestResult) -> str:
    at = result.test.source
    place = f"file={_property(at.file)},line={at.line},col={at.column}," if at else ""
    text = f"{result.test.name}: {'; '.join(result.failures)}"
    return f"::error {place}title={_property(result.test.policy)}::{_data(text)}"


def run_explain(args: argparse.Namespace) -> int:
    """Explain a test of a policy, or the policies that a workload meets.

    Raises:
        UsageError: There is no such workload, policy or test.
    """
    from greenops.pipeline.policies import read_policies

    policies = read_policies(_folder(args.path))
    if args.test is None and args.workload in policies.workloads:
        _explain_workload(policies, args.workload)
        return 0
    results = _wanted(policies, args.workload, args.test)
    if args.output == "json":
        from greenops.domain.record import plain

        _print_json([{**_result_record(e), "judgement": plain(e.judgement)} for e in results])
        return 0
    for each in results:
        _explain_test(each)
    return 0


def _wanted(policies: PolicySet, name: str | None, test: str | None) -> list[TestResult]:
    from greenops.errors import UsageError, nearest
    from greenops.pipeline.policies import run_tests

    found = [
        each
        for each in run_tests(policies)
        if (name is None or name in (each.test.policy, each.test.job.workload.name))
        and (test is None or test == each.test.name)
    ]
    if found and (name or test):
        return found
    if test is not None:
        near = nearest(test, [each.name for each in policies.tests])
    else:
        near = nearest(name or "", [*policies.workloads, *(e.name for e in policies.policies)])
    raise UsageError(
        "GO0119",
        f"nothing to explain for `{test or name or ''}`",
        fix=f"did you mean `{near}`?" if near else "name a workload, a policy, or `--test NAME`",
    )


def _explain_workload(policies: PolicySet, name: str) -> None:
    workload = policies.workloads[name]
    print(f"{name}: {workload.kind}, {workload.urgency}, home {workload.home_region}")
    for policy in policies.matching(workload):
        print(f"\n{policy.name} (priority {policy.priority}, {policy.mode})")
        rows = [(each.name, each.level.value, each.expression.text) for each in policy.constraints]
        objectives = [
            (each.name, "objective", f"minimize {each.minimize.text}") for each in policy.objectives
        ]
        _table([*rows, *objectives])


def _explain_test(result: TestResult) -> None:
    """Five fields: chosen, why, the numbers, the rules, every candidate."""
    test, decision = result.test, result.decision
    print(f"{test.policy}: {test.name}")
    print(f"  chosen     {decision.chosen.id} (baseline {decision.baseline.id})")
    print(f"  reason     {decision.reason}")
    print(f"  limits     {_limits(decision)}")
    print(f"  policies   {', '.join(decision.policies) or 'none'} ({decision.mode})")
    print(f"  exception  {decision.exception or 'none'}\n")
    places = {each.id: each for each in (test.baseline, *test.candidates)}
    head = ("candidate", "verdict", "rule", "why")
    rows = [row for each in result.judgement.verdicts for row in _rows(each, places, decision)]
    _table([head, *rows])
    print()


def _limits(decision: Decision) -> str:
    from greenops.show.tables import three_numbers

    return ", ".join(f"{name} {value}" for name, value in three_numbers(decision).items())


def _rows(
    verdict: Verdict, places: dict[str, Candidate], decision: Decision
) -> list[tuple[str, ...]]:
    """One row per rule that a candidate breaks; one row where it breaks none."""
    word = "chosen" if verdict.candidate == decision.chosen.id else _word(verdict)
    broken = [(name, "refused") for name in verdict.reasons]
    broken += [(name, "warned") for name in verdict.warnings]
    if not broken:
        place = places[verdict.candidate]
        figures = f"{_figure(place.carbon_g)} g, {_figure(place.cost_usd)} USD"
        return [(verdict.candidate, word, "-", figures)]
    return [
        (verdict.candidate, said, name, verdict.errors.get(name) or verdict.messages.get(name, "-"))
        for name, said in broken
    ]


def _figure(value: float | None) -> str:
    return "unknown" if value is None else f"{value:g}"


def _word(verdict: Verdict) -> str:
    return "allowed" if verdict.eligible else "not better"


def _table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))] if rows else []
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  " + "  ".join(cells).rstrip())


def _print_json(value: object) -> None:
    import json

    print(json.dumps(value, indent=2, ensure_ascii=False))
