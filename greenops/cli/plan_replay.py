"""`greenops plan --replay`: a period over a fleet of runs, decided as it was known and counted as it came."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from greenops.pipeline.fleet_report import FleetReport

HERE: Final = "here"
TEXTS: Final = 2
"""Columns of words; numbers follow."""
EXAMPLE: Final = "--from 2021-10-01 --to 2021-11-01"
BEYOND: Final = timedelta(days=14)
"""How long after the last submission a run may go on; longer than any deadline that is planned for."""


def offer(parser: argparse.ArgumentParser) -> None:
    """Add the options of a replay to `plan`."""
    group = parser.add_argument_group("replay of a period over a fleet")
    group.add_argument(
        "--from", dest="since", metavar="T", help="first submission, RFC 3339 or a date"
    )
    group.add_argument("--to", dest="until", metavar="T", help="end of the submissions, exclusive")
    group.add_argument(
        "--jobs",
        type=Path,
        metavar="FILE",
        help="CSV or Parquet of runs (`workload`, `submitted`, and `duration_s`, `duration_p95_s`, "
        "`energy_kwh` where they differ); default: what the schedules make. Without `--replay`: jobs to plan together",
    )
    group.add_argument("--only", metavar="WORKLOAD", help="runs of this workload alone")
    group.add_argument(
        "--engine", default=HERE, help="`here`, `processes`, `ray`, or another that is registered"
    )
    group.add_argument(
        "--workers", type=_workers, metavar="N", help="processes; default: all cores"
    )
    group.add_argument(
        "--no-best", action="store_true", help="leave out what right forecasts would have given"
    )


def refuse(args: argparse.Namespace, *, jobs: bool) -> None:
    """An option of a replay without one would be passed over in silence.

    Args:
        args: What was said.
        jobs: `--jobs` is asked for without a replay.

    Raises:
        UsageError: There is one.
    """
    from greenops.errors import UsageError

    for flag, given in (
        ("--from", args.since),
        ("--to", args.until),
        ("--jobs", args.jobs if not jobs else None),
        ("--only", args.only),
        ("--engine", args.engine != HERE),
        ("--workers", args.workers),
        ("--no-best", args.no_best),
    ):
        if given:
            alone = ", or give it alone" if flag == "--jobs" else ""
            raise UsageError(
                "GO0805", f"`{flag}` belongs to a replay", fix=f"add `--replay`{alone}"
            )


def run(args: argparse.Namespace) -> int:
    """Replay and print."""
    import json

    from greenops.adapters.clock import SystemClock
    from greenops.config import load_settings
    from greenops.domain.record import plain
    from greenops.errors import UsageError
    from greenops.pipeline.fleet_history import history_of
    from greenops.pipeline.fleet_replay import FleetReplay, replay_fleet
    from greenops.pipeline.fleet_report import report_of
    from greenops.pipeline.fleet_runs import regions_of, runs_of_file, scheduled_runs, some_of
    from greenops.pipeline.grid import load_grid
    from greenops.pipeline.policies import policy_sources
    from greenops.policy import compile_policies

    if args.at:
        raise UsageError(
            "GO0805", "`--at` is of one plan; a replay has `--from` and `--to`", fix=EXAMPLE
        )
    start, end = _period(args)
    settings = load_settings(flags={"policies": args.policies})
    sources = policy_sources(settings.policies, settings)
    policies = compile_policies(sources)
    silent: tuple[str, ...] = ()
    if args.jobs is not None:
        runs = runs_of_file(args.jobs, policies.workloads)
    elif start is None or end is None:
        raise UsageError("GO0805", "a replay needs `--from` and `--to`, or `--jobs`", fix=EXAMPLE)
    else:
        runs, silent = scheduled_runs(policies.workloads, start, end)
    runs, start, end = some_of(runs, start, end, args.only)
    grid = load_grid(settings, SystemClock.from_environment())
    history = history_of(
        grid.provider,
        [grid.regions[each] for each in regions_of(runs, policies.workloads)],
        start,
        end,
        beyond=BEYOND,
        max_age=timedelta(seconds=settings.forecast_max_age_s),
    )
    engine = _engine(args)
    try:
        sums = replay_fleet(runs, FleetReplay(history, tuple(sources), not args.no_best), engine)
    finally:
        if engine is not None:
            engine.close()
    report = report_of(sums, start, end, source=grid.provider.name, best=not args.no_best)
    for name in silent:
        print(
            f"`{name}` has no schedule and makes no runs; name them with `--jobs`", file=sys.stderr
        )
    print(json.dumps(plain(report), indent=2) if args.output == "json" else _table(report))
    return 0


def _engine(args: argparse.Namespace) -> Any:
    from greenops.plugins import ENGINES, load

    if args.engine == HERE:
        return None
    make: Any = load(ENGINES, args.engine)
    return make(args.workers)


def _named(runs: Any, name: str) -> Any:
    import pyarrow.compute as pc

    return pc.equal(runs.column("workload"), name)


def _workers(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"`{text}` is no number of processes")
    return int(text)


def _period(args: argparse.Namespace) -> tuple[datetime | None, datetime | None]:
    from greenops.cli.instants import instant
    from greenops.errors import UsageError

    start, end = (
        None if text is None else instant(flag, text, dates=True).astimezone(UTC)
        for flag, text in (("--from", args.since), ("--to", args.until))
    )
    if start is not None and end is not None and start >= end:
        raise UsageError("GO0805", "`--from` is not before `--to`", fix="turn them round")
    return start, end


def _table(report: FleetReport) -> str:
    from greenops.pipeline.policy_replay_words import grams

    head = ("workload", "region", "runs", "moved", "late", "baseline", "planned", "saved", "USD")
    rows: list[tuple[str, ...]] = [head]
    for each in (*report.rows, report.total):
        counts = (f"{count:,}" for count in (each.runs, each.moved, each.late))
        saved = "" if each.saved is None else f"{100 * each.saved:.1f} %"
        dearer = f"{each.planned_usd - each.baseline_usd:+,.2f}"
        masses = grams(each.baseline_g), grams(each.planned_g)
        rows.append((each.workload, each.region, *counts, *masses, saved, dearer))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        pairs = list(zip(row, widths, strict=True))
        words = [word.ljust(width) for word, width in pairs[:TEXTS]]
        lines.append("  ".join([*words, *(word.rjust(width) for word, width in pairs[TEXTS:])]))
    return "\n".join([report.head(), "", *lines, "", *report.notes()])
