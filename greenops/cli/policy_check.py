"""`greenops policy check`: everything that is wrong with the files, and what may be."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from greenops.cli import policy_isolated
from greenops.cli.policy_annotations import annotation
from greenops.cli.policy_counts import counted
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
        help="say everything that is wrong with the files",
        description="Say everything that is wrong with the files, and what may be; run no test.",
        epilog="exit 0: fine; 1: rules that cannot hold, or with --strict a warning;"
        " 2: a file cannot be used; 3: a bundle is not trusted",
    )
    check.add_argument(
        "path",
        nargs="?",
        type=Path,
        metavar="PATH",
        help="folder, file or bundle; default: the setting",
    )
    check.add_argument("--strict", action="store_true", help="exit 1 where there is a warning too")
    formats = ("table", "json", "github", "sarif")
    check.add_argument(
        "-o",
        "--output",
        choices=formats,
        default="table",
        help="github: annotations of a pull request; sarif: for code scanning",
    )
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
        print(f"{counted(errors, 'problem')} in {counted(len(sources), 'file')}", file=sys.stderr)
        return ExitCode.USAGE
    counts = _counts(policies)
    warned = counted(len(found) - errors, "warning")
    failed = counted(errors, "error")
    end = f"{failed}, {warned}" if errors else f"fine, {warned}" if found else "fine"
    counts += f", {counted(len(policies.tests), 'test')} in {counted(len(sources), 'file')}"
    print(f"{counts}: {end}", file=sys.stderr)
    return ExitCode.POLICY if errors or (found and args.strict) else ExitCode.OK


def _counts(policies: PolicySet) -> str:
    """`2 policies, 1 workload, 1 budget`; the kinds that a folder may do without only where it has them."""
    plans = sum(each.name.startswith("plan/") for each in policies.policies)
    rules = len(policies.policies) - plans
    found = [counted(rules, "policy"), counted(len(policies.workloads), "workload")]
    others = {"budget": len(policies.budgets), "target": len(policies.targets), "plan": plans}
    return ", ".join([*found, *(counted(count, kind) for kind, count in others.items() if count)])


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
