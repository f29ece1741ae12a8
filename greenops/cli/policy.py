"""`greenops policy`: look at the rules before they look at the work; one module for each command."""

from __future__ import annotations

from typing import Any

from greenops.cli import (
    policy_budgets,
    policy_bundle,
    policy_check,
    policy_ci,
    policy_diff,
    policy_explain,
    policy_fmt,
    policy_gen_tests,
    policy_prove,
    policy_replay,
    policy_schema,
    policy_sweep,
    policy_test,
)

VERBS = (
    *(policy_check, policy_test, policy_fmt, policy_explain),
    *(policy_replay, policy_diff, policy_sweep, policy_ci),
    *(policy_gen_tests, policy_prove, policy_bundle),
    *(policy_budgets, policy_schema),
)
"""One module each, in the order of the help."""


def add_parser(subparsers: Any) -> None:
    """Add `policy` and its commands."""
    parser = subparsers.add_parser(
        "policy", help="check, test, explain, replay, prove and sign the rules"
    )
    verbs = parser.add_subparsers(metavar="COMMAND", required=True)
    for each in VERBS:
        each.add_parser(verbs)
