"""`greenops plan --jobs FILE`: jobs of a file planned together on the newest forecasts, sending nothing."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from greenops.pipeline.batch_plan import BatchPlan, Piece
    from greenops.pipeline.batch_shared import SharedPlace

TEXTS: Final = 4
"""Columns of words; numbers follow."""
HEAD: Final = ("job", "where", "start (UTC)", "end (UTC)", "carbon", "at once", "saved")


def offer(parser: argparse.ArgumentParser) -> None:
    """Add the options of a plan of jobs to `plan`."""
    group = parser.add_argument_group("plan of the jobs of a file, with `--jobs` alone")
    group.add_argument("--places", type=_count, metavar="N", help="jobs at once in each region")
    group.add_argument(
        "--cap-kw", type=_power, metavar="KW", help="power of the jobs in each region"
    )
    group.add_argument(
        "--jitter",
        type=_count,
        metavar="S",
        help="move starts that would be at one instant by up to so many seconds each",
    )
    group.add_argument(
        "--slot",
        type=_count,
        metavar="S",
        help="length of a slot [s]; default: 900, or what the forecasts have",
    )


def refuse(args: argparse.Namespace) -> None:
    """An option of a plan of jobs without one would be passed over in silence.

    Raises:
        UsageError: There is one.
    """
    from greenops.errors import UsageError

    for flag, given in (
        ("--places", args.places),
        ("--cap-kw", args.cap_kw),
        ("--jitter", args.jitter),
        ("--slot", args.slot),
    ):
        if given is not None:
            raise UsageError(
                "GO0805", f"`{flag}` belongs to a plan of jobs", fix="give `--jobs FILE` alone"
            )


def run(args: argparse.Namespace, at: datetime | None) -> int:
    """Plan and print."""
    import json

    from greenops.adapters.clock import SystemClock
    from greenops.config import load_settings
    from greenops.domain.record import plain
    from greenops.errors import UsageError
    from greenops.pipeline.batch_forecasts import newest_forecasts
    from greenops.pipeline.batch_job_file import read_jobs
    from greenops.pipeline.batch_limits import Limits
    from greenops.pipeline.batch_plan import plan_batch
    from greenops.pipeline.grid import load_grid

    if args.policies:
        raise UsageError(
            "GO0805",
            "`--policies` is not asked by a plan of jobs",
            fix="say the limits in the file",
        )
    settings, clock = load_settings(), SystemClock.from_environment()
    now = clock.now()
    start = _whole_second(at or now)
    grid = load_grid(settings, clock, patient=True)
    zones = [each.id for each in grid.provider.zones()]
    file = read_jobs(args.jobs, grid.regions, zones, start)
    if not file.jobs:
        raise UsageError("GO0695", f"`{args.jobs}` has no jobs", fix="a row is a job")
    foretold = newest_forecasts(
        grid.provider,
        [each.zone for job in file.jobs for each in (job.home, *job.elsewhere)],
        start,
        min(start, now),
        max_age_s=settings.forecast_max_age_s,
        slot_s=args.slot,
    )
    slot_s = foretold.table.step_s
    if args.jitter and args.jitter >= slot_s:
        raise UsageError(
            "GO0696",
            f"`--jitter {args.jitter}` leaves the slot of {slot_s} s",
            fix=f"a start stays inside its slot: at most `--jitter {slot_s - 1}`",
        )
    plan = plan_batch(
        file.jobs, foretold, start, Limits(args.places, args.cap_kw), args.jitter or 0
    )
    for name in file.unused:
        print(f"column `{name}` means nothing to the plan", file=sys.stderr)
    print(json.dumps(plain(plan), indent=2) if args.output == "json" else "\n".join(_lines(plan)))
    return 0


def _lines(plan: BatchPlan) -> Iterator[str]:
    yield _head(plan)
    if plan.jobs:
        yield ""
        yield from _planned(plan)
    if plan.not_planned:
        yield ""
        yield "not planned"
        yield from _not_planned(plan)
    yield ""
    yield from _notes(plan)


def _head(plan: BatchPlan) -> str:
    totals = plan.totals
    return (
        f"plan of {totals.jobs:,} jobs from {_time(plan.at)}: {totals.planned:,} planned, "
        f"{totals.not_planned:,} not; at most {totals.longest_queue:,} at once in one place"
    )


def _planned(plan: BatchPlan) -> Iterator[str]:
    from greenops.errors import one_line
    from greenops.pipeline.policy_replay_words import grams

    rows: list[Sequence[str]] = [HEAD]
    for job in plan.jobs:
        masses = ["not known" if g is None else grams(g) for g in (job.carbon_g, job.baseline_g)]
        saved = "" if not job.baseline_g else f"{100 * (1 - job.carbon_g / job.baseline_g):.1f} %"
        for number, piece in enumerate(job.pieces):
            place = f"{job.moved_from} → {job.place}" if job.moved_from else job.place
            name = (one_line(job.id), place) if number == 0 else ("", "")
            figures = (*masses, saved) if number == 0 else ("", "", "")
            rows.append((*name, *_times(piece), *figures))
    totals = plan.totals
    share = "" if totals.saving is None else f"{100 * totals.saving:.1f} %"
    rows.append(("all", "", "", "", grams(totals.carbon_g), grams(totals.baseline_g), share))
    yield from aligned(rows, TEXTS)


def _not_planned(plan: BatchPlan) -> Iterator[str]:
    from greenops.errors import one_line
    from greenops.pipeline.batch_draft import Why

    rows = []
    for job in plan.not_planned:
        if not job.pieces:
            soonest = "never" if job.why is Why.LIMIT else "not within a week after the forecast"
        else:
            first, last = job.pieces[0].start, job.pieces[-1].end
            pieces = f" in {len(job.pieces)} pieces" if len(job.pieces) > 1 else ""
            late = f"{timedelta(seconds=round(job.late_s))} late" if job.late_s else "in time"
            soonest = f"soonest {_time(first)} to {_time(last)}{pieces}, {late}"
        rows.append((one_line(job.id), job.place, job.reason, soonest))
    yield from aligned(rows, TEXTS)


def _notes(plan: BatchPlan) -> Iterator[str]:
    totals = plan.totals
    for shared in plan.shared:
        yield _sharing(shared)
    if plan.rounded:
        yield f"jobs that hold whole slots of {plan.slot_s} s, more than they run: {plan.rounded:,}"
    if totals.compared < totals.planned:
        yield f"jobs whose emissions at once are not known, and are not compared: {totals.planned - totals.compared:,}"
    for each in plan.forecasts:
        replay = ", recorded history played back" if each.replay else ""
        yield f"{each.zone}: {each.signal} intensity, {each.source}, issued {_time(each.issued_at)}, until {_time(each.end)}{replay}"
        if each.degraded:
            yield f"{each.zone}: {each.degraded}"


def _sharing(shared: SharedPlace) -> str:
    bears = (
        f"{shared.cap_kw:g} kW" if shared.at_once is None else f"{shared.at_once:,} jobs at once"
    )
    said = f"{shared.place} bears {bears}: "
    if shared.exact:
        said += "the best placement"
        if shared.gap == 0:
            said += ", as the prices of its slots prove"
    elif shared.gap is None:
        said += "a good placement; how much less the best emits is not known"
    else:
        said += f"a good placement; the best emits at most {100 * shared.gap:.2g} % less"
    if shared.without_room:
        said += f"; without room: {shared.without_room:,}"
    return said


def aligned(rows: Sequence[Sequence[str]], texts: int) -> Iterator[str]:
    """Rows in columns: the first so many are words, the others numbers."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        pairs = list(zip(row, widths, strict=True))
        words = [word.ljust(width) for word, width in pairs[:texts]]
        yield "  ".join([*words, *(word.rjust(width) for word, width in pairs[texts:])]).rstrip()


def _times(piece: Piece) -> tuple[str, str]:
    return _time(piece.start), _time(piece.end)


def _time(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}".removesuffix(":00")


def _whole_second(at: datetime) -> datetime:
    whole = at.astimezone(UTC).replace(microsecond=0)
    return whole if whole == at else whole + timedelta(seconds=1)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"`{text}` is no whole number above zero")
    return int(text)


def _power(text: str) -> float:
    from math import inf

    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found < inf:
        raise argparse.ArgumentTypeError(f"`{text}` is no power in kW")
    return found
