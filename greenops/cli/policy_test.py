"""`greenops policy test`: the tests in the files, on both evaluators, and what they cover."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from greenops.cli import policy_isolated
from greenops.cli.policy_annotations import annotation
from greenops.cli.policy_counts import counted
from greenops.cli.policy_explain import policy_folder, print_json, result_record
from greenops.errors import ExitCode, PolicyFailed

if TYPE_CHECKING:
    from greenops.pipeline.policy_tests import TestResult
    from greenops.policy import PolicySet
    from greenops.policy.coverage import Coverage

MOST = 100.0
Sources = Sequence[tuple[str, str]]


def add_parser(verbs: Any) -> None:
    """Add `policy test`."""
    test = verbs.add_parser(
        "test",
        help="run the tests written in the files",
        epilog="exit 0: all hold; 1: a test fails, or too little is covered; 2: a file is wrong",
    )
    test.add_argument(
        "path",
        nargs="?",
        type=Path,
        metavar="PATH",
        help="folder, file or bundle; default: the setting",
    )
    test.add_argument("--coverage", action="store_true", help="say which outcomes no test shows")
    test.add_argument(
        "--min-coverage",
        type=_percent,
        metavar="PERCENT",
        help="exit 1 where the tests show less of the outcomes than this",
    )
    formats = ("table", "json", "github", "junit")
    test.add_argument("-o", "--output", choices=formats, default="table")
    policy_isolated.offer(test, run_test)


def _percent(text: str) -> float:
    try:
        value = float(text.removesuffix("%"))
    except ValueError:
        value = -1.0
    if not 0 <= value <= MOST:
        raise argparse.ArgumentTypeError(f"`{text}` is no number from 0 to 100")
    return value


def run_test(args: argparse.Namespace) -> int:
    """Run the tests in the files; exit 1 where one fails, or too little is covered.

    Raises:
        InvalidFile: There is no file, or one is wrong: a gate does not open on nothing.
    """
    from greenops.errors import InvalidFile, Location
    from greenops.pipeline.policies import policy_sources
    from greenops.pipeline.policy_test_columns import by_columns_too
    from greenops.pipeline.policy_tests import run_tests
    from greenops.policy import compile_policies

    folder = policy_folder(args.path)
    sources = policy_sources(folder)
    if not sources:
        fix = "name a folder or file of policies, or set `policies` in `greenops.yaml`"
        raise InvalidFile("GO0108", "no policy file to test", at=Location(str(folder)), fix=fix)
    policies = compile_policies(sources)
    results = by_columns_too(policies, run_tests(policies))
    asked = args.coverage or args.min_coverage is not None
    covered = covered_by(sources, policies, results) if asked else None
    _print(results, covered, args)
    return _end(results, covered, args, len(sources))


def covered_by(
    sources: Sources, policies: PolicySet, results: Sequence[TestResult]
) -> list[Coverage]:
    """What the tests show of each policy; of one in a pack too, where it has tests of its own."""
    from greenops.policy.coverage import coverage
    from greenops.policy.lint_source import written

    runs: dict[str, list[Any]] = {}
    for each in results:
        runs.setdefault(each.test.policy, []).append((each.test, each.judgement))
    own = {each.name for each in policies.policies}
    return [
        coverage(each, runs.get(each.policy.name, []))
        for each in written(sources, policies, with_packs=True)
        if each.policy.name in own or each.policy.name in runs
    ]


def _print(
    results: Sequence[TestResult], covered: Sequence[Coverage] | None, args: argparse.Namespace
) -> None:
    match args.output:
        case "json":
            records = [result_record(each) for each in results]
            both = {"tests": records, "coverage": coverage_record(covered or ())}
            print_json(records if covered is None else both)
        case "junit":
            from greenops.cli.policy_test_junit import junit

            print(junit(results, covered, args.min_coverage))
        case "github":
            _print_annotations(results, covered)
        case _:
            _print_table(results, covered)


def coverage_record(covered: Sequence[Coverage]) -> dict[str, object]:
    """Coverage as JSON says it."""
    from greenops.policy.coverage import percent

    policies = [
        {
            "policy": each.policy,
            "percent": round(percent([each]), 2),
            "seen": each.count,
            "outcomes": len(each.wanted),
            "missed": [
                {
                    "rule": e.rule,
                    "kind": e.kind,
                    "part": e.part or None,
                    "outcome": e.outcome,
                    "at": str(e.at),
                }
                for e in each.missed
            ],
        }
        for each in covered
    ]
    return {"percent": round(percent(covered), 2), "policies": policies}


def _print_annotations(results: Sequence[TestResult], covered: Sequence[Coverage] | None) -> None:
    for each in results:
        if not each.passed:
            text = f"{each.test.name}: {'; '.join(each.failures)}"
            print(annotation("error", each.test.source, each.test.policy, text))
    for policy in covered or ():
        for missed in policy.missed:
            print(annotation("notice", missed.at, policy.policy, str(missed)))


def _print_table(results: Sequence[TestResult], covered: Sequence[Coverage] | None) -> None:
    from greenops.policy.coverage import percent

    for each in results:
        print(f"{'ok  ' if each.passed else 'FAIL'} {each.test.policy}: {each.test.name}")
        for failure in each.failures:
            print(f"       {each.test.source}: {failure}")
    for policy in covered or ():
        share = f"{percent([policy]):.0f} %"
        print(f"{share:>5} {policy.policy}: {policy.count} of {len(policy.wanted)} outcomes shown")
        for missed in policy.missed:
            print(f"       {missed.at}: {missed}")


def _end(
    results: Sequence[TestResult],
    covered: Sequence[Coverage] | None,
    args: argparse.Namespace,
    files: int,
) -> int:
    """Say the sums, and give the exit code."""
    from greenops.policy.coverage import percent

    failed = sum(not each.passed for each in results)
    if results:
        print(f"{len(results) - failed} of {len(results)} tests hold", file=sys.stderr)
    else:
        print(f"no test in {counted(files, 'file')}: nothing was tested", file=sys.stderr)
    if covered is not None:
        share = percent(covered)
        print(f"{share:.1f} % of outcomes shown", file=sys.stderr)
        if args.min_coverage is not None and share < args.min_coverage:
            fix = "write tests for the outcomes that `--coverage` names"
            least = f"under the least of {args.min_coverage:g} %"
            error = PolicyFailed("GO0157", f"coverage of {share:.1f} % is {least}", fix=fix)
            print(f"greenops: {error}", file=sys.stderr)
            return ExitCode.POLICY
    return ExitCode.POLICY if failed else ExitCode.OK
