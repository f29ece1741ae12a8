"""`greenops policy sweep`: one number of a rule over a range, and the carbon and cost of each value."""

from __future__ import annotations

import argparse
import csv
import io
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from greenops.cli.policy_explain import policy_folder, print_json
from greenops.cli.policy_replay import add_period, lake, told_apart

if TYPE_CHECKING:
    from greenops.pipeline.policy_replay_sweep import Point, Sweep


def add_parser(verbs: Any) -> None:
    """Add `policy sweep`."""
    sweep = verbs.add_parser("sweep", help="a threshold over a range: carbon against cost")
    sweep.add_argument("--policy", required=True, metavar="NAME")
    sweep.add_argument(
        "--param",
        required=True,
        metavar="NAME",
        help="a parameter, or the way to a number below `spec`: limits.maxCost.increase",
    )
    sweep.add_argument("--from", dest="first", type=float, required=True, metavar="A")
    sweep.add_argument("--to", dest="last", type=float, required=True, metavar="B")
    sweep.add_argument("--steps", type=int, default=7, metavar="N", help="values; default 7")
    sweep.add_argument(
        "--path", type=Path, metavar="PATH", help="folder, file or bundle of policies"
    )
    add_period(sweep)
    sweep.add_argument("-o", "--output", choices=("table", "json", "csv"), default="table")
    sweep.set_defaults(run=run_sweep)


def run_sweep(args: argparse.Namespace) -> int:
    """Replay every value, and print the frontier."""
    from greenops.domain.record import plain
    from greenops.pipeline.policies import policy_sources
    from greenops.pipeline.policy_replay_sweep import sweep, values_between

    values = values_between(args.first, args.last, args.steps)
    sources = policy_sources(policy_folder(args.path))
    found = sweep(
        lake(args.state), sources, args.policy, args.param, values, args.since, args.until
    )
    if args.output == "json":
        print_json(plain(found))
    elif args.output == "csv":
        print(_csv(found.points), end="")
    else:
        print(_table(found))
    return told_apart(found.differ)


def _csv(points: tuple[Point, ...]) -> str:
    rows = [asdict(each) for each in points]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _table(found: Sweep) -> str:
    from greenops.cli.policy_replay_text import grid
    from greenops.pipeline.policy_replay_words import grams

    head = ("value", "carbon", "range", "cost", "decisions changed", "deadlines missed", "frontier")
    rows = []
    for each in found.points:
        ranged = each.carbon_low_g is not None and each.carbon_high_g is not None
        rows.append(
            (
                each.value + (" (now)" if each.value == found.now else ""),
                "unknown" if each.carbon_g is None else grams(each.carbon_g),
                f"{grams(each.carbon_low_g or 0)} to {grams(each.carbon_high_g or 0)}"
                if ranged
                else "unknown",
                "unknown" if each.cost_usd is None else f"{each.cost_usd:,.2f} USD",
                f"{each.changed:,}",
                f"{each.missed:,}",
                "*" if each.pareto else "",
            )
        )
    told = (
        f"{found.param} of {found.policy}, now {found.now}: {found.decisions:,} decisions,"
        f" carbon known under every value for {found.counted:,}"
    )
    end = "* no other value is as good in carbon and cost and better in one"
    return "\n".join([told, *found.assumed, "", *grid([head, *rows]), "", end])
