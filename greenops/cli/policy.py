"""`greenops policy check|test|explain|replay|diff|sweep`: look at the rules before they look at the work."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from greenops.cli import policy_diff, policy_replay, policy_sweep
from greenops.cli.policy_explain import policy_folder, print_json, result_record, run_explain

if TYPE_CHECKING:
    from greenops.pipeline.policies import TestResult
    from greenops.policy import Problem


def add_parser(subparsers: Any) -> None:
    """Add `policy` and its commands."""
    parser = subparsers.add_parser("policy", help="check, test, explain and replay the rules")
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
    for each in (policy_replay, policy_diff, policy_sweep):
        each.add_parser(verbs)


def _path(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "path", nargs="?", type=Path, metavar="PATH", help="folder or file; default: the setting"
    )


def run_check(args: argparse.Namespace) -> int:
    """Print every problem and warning; exit 0 where there is no problem, else 2."""
    from greenops.adapters.clock import SystemClock
    from greenops.pipeline.policies import policy_sources
    from greenops.policy import compile_policies, lint, warnings

    sources, now = policy_sources(policy_folder(args.path)), SystemClock.from_environment().now()
    problems = lint(sources, now)
    made = None if problems else compile_policies(sources)
    said = [("error", each) for each in problems]
    said += [("warning", each) for each in (warnings(made, now) if made else ())]
    _print_problems(said, args.output)
    if made is None:
        print(f"{len(problems)} problems in {len(sources)} files", file=sys.stderr)
        return 2
    counts = f"{len(made.policies)} policies, {len(made.workloads)} workloads"
    end = f"fine, {len(said)} warnings" if said else "fine"
    print(f"{counts}, {len(made.tests)} tests in {len(sources)} files: {end}", file=sys.stderr)
    return 0


def _print_problems(said: Sequence[tuple[str, Problem]], output: str) -> None:
    if output == "json":
        print_json([_problem_record(level, each) for level, each in said])
    elif output == "github":
        for level, each in said:
            print(_github(level, each))
    else:
        for level, each in said:
            print(each if level == "error" else f"{each} (warning)")


def _problem_record(level: str, problem: Problem) -> dict[str, object]:
    at = problem.at
    return {
        "level": level,
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
    """Run the tests in the files; exit 1 where one fails.

    Raises:
        InvalidFile: There is no file, or one is wrong: a gate does not open on nothing.
    """
    from greenops.errors import InvalidFile, Location
    from greenops.pipeline.policies import policy_sources, run_tests
    from greenops.policy import compile_policies

    folder = policy_folder(args.path)
    sources = policy_sources(folder)
    if not sources:
        fix = "name a folder or file of policies, or set `policies` in `greenops.yaml`"
        raise InvalidFile("GO0108", "no policy file to test", at=Location(str(folder)), fix=fix)
    results = run_tests(compile_policies(sources))
    failed = [each for each in results if not each.passed]
    if args.output == "json":
        print_json([result_record(each) for each in results])
    elif args.output == "github":
        for each in failed:
            print(_github_failure(each))
    else:
        for each in results:
            print(f"{'ok  ' if each.passed else 'FAIL'} {each.test.policy}: {each.test.name}")
            for failure in each.failures:
                print(f"       {each.test.source}: {failure}")
    if not results:
        print(f"no test in {len(sources)} files: nothing was tested", file=sys.stderr)
        return 0
    print(f"{len(results) - len(failed)} of {len(results)} tests hold", file=sys.stderr)
    return 1 if failed else 0


def _github_failure(result: TestResult) -> str:
    at = result.test.source
    place = f"file={_property(at.file)},line={at.line},col={at.column}," if at else ""
    text = f"{result.test.name}: {'; '.join(result.failures)}"
    return f"::error {place}title={_property(result.test.policy)}::{_data(text)}"
