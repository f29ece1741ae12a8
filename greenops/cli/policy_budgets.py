"""`greenops policy budgets` and `targets`: where they stand, from the spans in the lake."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from greenops.cli.policy_explain import policy_folder, print_json
from greenops.errors import ExitCode

if TYPE_CHECKING:
    import argparse

    from greenops.domain.budget import Budget, BudgetState, Target, TargetState


def add_parser(verbs: Any) -> None:
    """Add `policy budgets` and `policy targets`."""
    budgets = verbs.add_parser(
        "budgets",
        help="what is spent of each budget, and the stage it has reached",
        epilog="exit 0: fine; 1: a budget is spent; 2: a file cannot be used; 3: the lake is damaged",
    )
    budgets.set_defaults(run=run_budgets)
    targets = verbs.add_parser(
        "targets",
        help="what each target wants by now, and what is reached",
        epilog="exit 0: told; 2: a file cannot be used; 3: the lake is damaged",
    )
    targets.set_defaults(run=run_targets)
    for each in (budgets, targets):
        each.add_argument(
            "path",
            nargs="?",
            type=Path,
            metavar="PATH",
            help="folder, file or bundle; default: the setting",
        )
        each.add_argument("--state", type=Path, metavar="DIR", help="state folder with the lake")
        each.add_argument("-o", "--output", choices=("table", "json"), default="table")


def run_budgets(args: argparse.Namespace) -> int:
    """Print where budgets stand; exit 1 where one is spent."""
    from greenops.adapters.clock import SystemClock
    from greenops.domain.record import plain
    from greenops.pipeline.budgets import standing_of_budgets, sums_of
    from greenops.pipeline.policies import read_policies

    policies = read_policies(policy_folder(args.path))
    now = SystemClock.from_environment().now()
    states = standing_of_budgets(policies, sums_of(_state(args.state), skip_damaged=False), now)
    if args.output == "json":
        print_json([{**plain(each), "spent": each.spent} for each in states])
    else:
        by_name = {each.name: each for each in policies.budgets}
        for state in states:
            print(_budget_line(by_name[state.budget], state))
    if not states:
        print("no budget is declared", file=sys.stderr)
    return ExitCode.POLICY if any(each.spent for each in states) else ExitCode.OK


def run_targets(args: argparse.Namespace) -> int:
    """Print where targets stand."""
    from greenops.adapters.clock import SystemClock
    from greenops.domain.record import plain
    from greenops.pipeline.budgets import standing_of_targets, sums_of
    from greenops.pipeline.policies import read_policies

    policies = read_policies(policy_folder(args.path))
    now = SystemClock.from_environment().now()
    states = standing_of_targets(policies, sums_of(_state(args.state), skip_damaged=False), now)
    if args.output == "json":
        print_json([plain(each) for each in states])
    else:
        by_name = {each.name: each for each in policies.targets}
        for state in states:
            print(_target_line(by_name[state.target], state))
    if not states:
        print("no target is declared", file=sys.stderr)
    return ExitCode.OK


def _state(given: Path | None) -> Path:
    from greenops.config import load_settings

    return given if given is not None else load_settings().state


def _budget_line(budget: Budget, state: BudgetState) -> str:
    """`data: 62 % of 500000 gCO2e …`, one line a budget."""
    parts = [
        _of(state.carbon_g, budget.carbon_g, "gCO2e"),
        _of(state.cost_usd, budget.cost_usd, "USD"),
        f"until {state.ends:%Y-%m-%d %H:%M} UTC",
    ]
    if state.burn is not None:
        parts.append(f"burning at {state.burn:.2f} of an even pace")
    if state.unknown:
        parts.append(f"at least: {state.unknown} spans lack a figure")
    parts.append(f"stage {state.stage.at:.0%}" if state.stage else "no stage reached")
    if state.spent:
        parts.append("spent")
    return f"{budget.name}: {'; '.join(each for each in parts if each)} ({budget.mode.value})"


def _of(used: float | None, limit: float | None, unit: str) -> str:
    if limit is None:
        return ""
    known = f"{used:,.1f}" if used is not None else "unknown"
    share = f" ({used / limit:.0%})" if used is not None else ""
    return f"{known} of {limit:,.1f} {unit}{share}"


def _target_line(target: Target, state: TargetState) -> str:
    reached = "unknown" if state.reduction is None else f"{state.reduction:.1%}"
    line = (
        f"{target.name}: {state.standing.value}; {target.measure.value} a day is down {reached}, "
        f"{state.wanted:.1%} wanted by now, {target.reduction:.1%} by {target.by:%Y-%m-%d}"
    )
    return f"{line}; {state.why}" if state.why else line
