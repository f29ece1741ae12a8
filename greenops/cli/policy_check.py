"""`greenops policy check`: everything that is wrong with the files, and what may be."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from greenops.cli import policy_isolated
from greenops.cli.policy_annotations import annotation
from greenops.cli.policy_explain import policy_folder, print_json
from greenops.errors import ExitCode

if TYPE_CHECKING:
    import argparse

    from greenops.policy import PolicySet
    from greenops.policy.lint_report import Finding


def add_parser(verbs: Any) -> None:
    """Add `policy check`."""
    check = verbs.add_parser(
        "check",
        help="everything that is wrong with the files",
        epilog="exit 0: fine; 1: rules that cannot hold, or with --strict a warning; "
        "2: a file cannot be used",
    )
    check.add_argument(
        "path", nargs="?", type=Path, metavar="PATH", help="folder or file; default: the setting"
    )
    check.add_argument("--strict", action="store_true", help="a warning fails too")
    formats = ("table", "json", "github", "sarif")
    check.add_argument("-o", "--output", choices=formats, default="table")
    policy_isolated.offer(check, run_check)


def run_check(args: argparse.Namespace) -> int:
    """Print every problem and warning; the exit code is that of the worst."""
    from greenops.adapters.clock import SystemClock
    from greenops.errors import InvalidFile
    from greenops.pipeline.policies import policy_sources
    from greenops.policy.lint_findings import findings
    from greenops.policy.lint_report import Finding, Severity

    try:
        sources = policy_sources(policy_folder(args.path))
    except InvalidFile as error:
        if args.output in {"sarif", "github"}:  # what reads these looks at no other place
            _print_findings([Finding.of(error, Severity.ERROR)], args.output)
        raise
    found, policies = findings(sources, SystemClock.from_environment().now())
    _print_findings(found, args.output)
    errors = sum(each.severity == "error" for each in found)
    if policies is None:
        print(f"{errors} problems in {len(sources)} files", file=sys.stderr)
        return ExitCode.USAGE
    counts = _counts(policies)
    warned = f"{len(found) - errors} warnings"
    end = f"{errors} errors, {warned}" if errors else f"fine, {warned}" if found else "fine"
    print(f"{counts}, {len(policies.tests)} tests in {len(sources)} files: {end}", file=sys.stderr)
    return ExitCode.POLICY if errors or (found and args.strict) else ExitCode.OK


def _counts(policies: PolicySet) -> str:
    """`2 policies, 1 workloads, 1 budgets`; the kinds that a folder may do without only where it has them."""
    plans = sum(each.name.startswith("plan/") for each in policies.policies)
    rules = len(policies.policies) - plans
    found = [f"{rules} policies", f"{len(policies.workloads)} workloads"]
    others = {"budgets": len(policies.budgets), "targets": len(policies.targets), "plans": plans}
    return ", ".join([*found, *(f"{count} {kind}" for kind, count in others.items() if count)])


def _print_findings(found: Sequence[Finding], output: str) -> None:
    if output == "json":
        print_json([_record(each) for each in found])
    elif output == "sarif":
        from greenops.cli.policy_check_sarif import sarif

        print_json(sarif(found))
    elif output == "github":
        for each in found:
            text = each.message + (f"; {each.fix}" if each.fix else "")
            print(annotation(each.severity.value, each.at, each.code, text))
    else:
        for each in found:
            print(each)


def _record(found: Finding) -> dict[str, object]:
    return {
        "level": found.severity.value,
        "code": found.code,
        "file": found.at.file or None,
        "line": found.at.line or None,
        "column": found.at.column or None,
        "message": found.message,
        "fix": found.fix,
    }
