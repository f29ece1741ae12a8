"""`greenops policy replay`: what changed policies would have decided over what was recorded."""

from __future__ import annotations

import argparse
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from greenops.cli import policy_isolated
from greenops.cli.policy_explain import policy_folder, print_json

if TYPE_CHECKING:
    from greenops.pipeline.policy_replay import Checks, Side
    from greenops.pipeline.policy_replay_report import Report

RECORDED = "what was decided"


def add_parser(verbs: Any) -> None:
    """Add `policy replay`."""
    replay = verbs.add_parser(
        "replay", help="what these rules would have decided, and what it changes"
    )
    replay.add_argument(
        "path",
        nargs="?",
        type=Path,
        metavar="PATH",
        help="folder, file or bundle; default: the setting",
    )
    replay.add_argument(
        "--against", type=Path, metavar="PATH", help="compare with these; default: what was decided"
    )
    add_period(replay)
    replay.add_argument("-o", "--output", choices=("table", "json", "markdown"), default="table")
    policy_isolated.offer(replay, run_replay, tables=True)


def add_period(parser: argparse.ArgumentParser) -> None:
    """Which recorded decisions: a state folder, and simulated days."""
    parser.add_argument("--since", type=day, metavar="DATE", help="first day, UTC; default: all")
    parser.add_argument("--until", type=day, metavar="DATE", help="last day, inclusive")
    parser.add_argument("--state", type=Path, metavar="DIR", help="folder of the lake")


def day(text: str) -> date:
    """A day of the command line."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"`{text}` is no date such as 2026-11-23") from None


def lake(state: Path | None) -> Path:
    """The lake's folder."""
    from greenops.config import load_settings

    return (state if state is not None else load_settings().state) / "lake"


def run_replay(args: argparse.Namespace) -> int:
    """Replay the policies; exit 1 where the two evaluators do not agree."""
    from greenops.pipeline.policies import read_policies
    from greenops.pipeline.policy_replay import Side

    folder = policy_folder(args.path)
    after = Side(str(folder), read_policies(folder))
    before = Side(RECORDED, None)
    if args.against is not None:
        before = Side(str(args.against), read_policies(args.against))
    return show(args, before, after)


def show(args: argparse.Namespace, before: Side, after: Side) -> int:
    """Compare two sides over the period that was asked for, and print it."""
    import time

    from greenops.cli.policy_replay_text import markdown, table
    from greenops.domain.record import plain
    from greenops.pipeline.policy_replay import Replayer
    from greenops.pipeline.policy_replay_report import compare

    replayer = Replayer(lake(args.state), (before, after), args.since, args.until)
    start = time.perf_counter()
    report: Report = compare(replayer)
    tell(replayer.checks, time.perf_counter() - start)
    if args.output == "json":
        print_json(plain(report))
    else:
        print(markdown(report) if args.output == "markdown" else table(report))
    return told_apart(report.differ)


def tell(checks: Checks, seconds: float) -> None:
    """Say on stderr how much was read."""
    print(
        f"{checks.decisions:,} decisions, {checks.rows:,} candidates read in {seconds:.1f} s;"
        f" {checks.sampled:,} answers asked again row by row",
        file=sys.stderr,
    )
    if checks.orphans:
        print(f"{checks.orphans:,} candidates left out: no decision holds them", file=sys.stderr)


def told_apart(differ: dict[str, int]) -> int:
    """Say which rules mean different things by row and by column; 1 where some do."""
    for text, count in differ.items():
        print(
            f"GO0452 `{text}` differs by row and by column in {count} answers; the figures above may be"
            " wrong: report it with the policy",
            file=sys.stderr,
        )
    return 1 if differ else 0
