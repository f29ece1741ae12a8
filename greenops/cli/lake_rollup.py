"""`greenops lake rollup|recompute|query|views`: what the lake's spans add up to, and how people read it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date, datetime

    from greenops.adapters.rollup_files import RollupFiles
    from greenops.pipeline.rollup_recompute import Recomputed

THREADS: Final = "threads"
PERIOD: Final = "2026-11-01/2026-12-01"
INCOMPLETE: Final = 3
"""Exit where files of the lake are damaged: roll-ups are without them."""


def add_verbs(verbs: Any) -> None:
    """Add what concerns roll-ups to `lake`."""
    rollup = verbs.add_parser("rollup", help="bring roll-ups by minute, hour and day up to date")
    _add_place(rollup)
    _add_engine(rollup)
    rollup.add_argument("--since", metavar="DATE", help="first day that is looked at")
    rollup.set_defaults(run=run_rollup)
    recompute = verbs.add_parser(
        "recompute", help="carbon of recorded energy with other factors, before and after"
    )
    _add_place(recompute)
    _add_engine(recompute)
    recompute.add_argument(
        "--factors", type=Path, metavar="FILE", help="factor table; default: the one in force"
    )
    recompute.add_argument("--pue", type=_pue, metavar="N", help="takes the place of each region's")
    recompute.add_argument(
        "--period", metavar="FROM/TO", help=f"days, the last exclusive: {PERIOD}"
    )
    recompute.add_argument("-o", "--output", choices=("table", "json"), default="table")
    recompute.set_defaults(run=run_recompute)
    query = verbs.add_parser("query", help="totals, most, courses and quantiles from roll-ups")
    _add_place(query)
    query.add_argument("--period", metavar="FROM/TO", help="instants or days, the last exclusive")
    query.add_argument("--by", default="service", help="words, with commas; default: service")
    query.add_argument("--step", choices=("minute", "hour", "day"), help="a course over time")
    query.add_argument(
        "--where", action="append", default=[], metavar="WORD=VALUE", help="cells of this alone"
    )
    query.add_argument("--top", type=int, metavar="N", help="those with the most energy alone")
    query.add_argument("-o", "--output", choices=("table", "json"), default="table")
    query.set_defaults(run=run_query)
    views = verbs.add_parser("views", help="SQL of views over rows and roll-ups, for DuckDB")
    _add_place(views)
    views.set_defaults(run=run_views)


def run_rollup(args: argparse.Namespace) -> int:
    """Refresh, and say in one line what was made anew; exit 3 where files are damaged."""
    from greenops.adapters.rollup_place import SpanFiles
    from greenops.pipeline.rollups import refresh

    spans = SpanFiles.away(args.lake) if args.lake else SpanFiles.local(_lake(args))
    since = _day("--since", args.since) if args.since else None
    engine = _engine(args)
    try:
        wanted = [day for day in spans.days() if since is None or day >= since]
        done = refresh(spans, _rollups(args), engine, days=wanted)
    finally:
        if engine is not None:
            engine.close()
    for said in done.damaged.values():
        print(f"greenops: {said}", file=sys.stderr)
    if done.days:
        again = f", {done.repeats:,} delivered again" if done.repeats else ""
        hours, days = _counted(done.hours, "hour"), _counted(done.days, "day")
        print(f"rolled up {_counted(done.spans, 'span')} of {hours} in {days}{again}")
    else:
        print("nothing new")
    return INCOMPLETE if done.damaged else 0


def run_recompute(args: argparse.Namespace) -> int:
    """Print carbon before and after; the lake stays as it is."""
    import json

    from greenops.adapters.factor_file import FactorFile
    from greenops.adapters.rollup_files import MINUTE
    from greenops.config import load_settings
    from greenops.domain.record import plain
    from greenops.errors import DataMissing, InvalidFile, Location
    from greenops.pipeline.rollup_recompute import Recompute, recompute

    file = FactorFile(args.factors or load_settings().state / "factors.json")
    table = file.table()
    if args.factors is not None and file.problem is not None:
        raise InvalidFile(
            "GO0417",
            f"no factor table: {file.problem}",
            at=Location(str(args.factors)),
            fix="take one that `greenops serve` wrote (`factors.json` in its state)",
        )
    rollups = _rollups(args)
    begins, ends = _days(args.period)
    days = [
        day
        for day in rollups.days(MINUTE)
        if (begins is None or begins <= day) and (ends is None or day < ends)
    ]
    if not days:
        raise DataMissing(
            "GO0416", "there are no roll-ups of that period", fix="run `greenops lake rollup` first"
        )
    engine = _engine(args)
    try:
        rows = recompute(Recompute(rollups, table, args.pue), days, engine)
    finally:
        if engine is not None:
            engine.close()
    if args.output == "json":
        about = {"factors": table.version, "pue": args.pue, "rows": rows}
        print(json.dumps(plain(about), indent=2))
    else:
        print(f"factors {table.version[:12]}, {days[0]} to {days[-1]}")
        _print(
            ("service", "energy", "method", "spans", "before", "after", "intensity"), rows, _cells
        )
    return 0


def run_query(args: argparse.Namespace) -> int:
    """Answer one question from roll-ups."""
    import json

    from greenops.domain.record import plain
    from greenops.pipeline.rollup_query import Question, RollupReader, most

    rollups = _rollups(args)
    begins, ends = _instants(args.period, rollups)
    by = tuple(each for each in args.by.split(",") if each)
    where = dict(_pair(each) for each in args.where)
    found = RollupReader(rollups).answer(Question(begins, ends, by, args.step, where))
    if args.top is not None:
        found = most(found, "energy_j", max(0, args.top))
    rows = found.to_pylist()
    if args.output == "json":
        print(json.dumps(plain(rows), indent=2))
        return 0
    shown = [name for name in found.column_names if name in SHOWN or name in ("begins", *by)]
    _print(shown, rows, lambda row: [_shown(row[name]) for name in shown])
    return 0


SHOWN: Final = ("spans", "with_energy", "energy_j", "carbon_g", "cost_usd", "p95_ms")


def run_views(args: argparse.Namespace) -> int:
    """Print SQL that makes one view for each level."""
    from greenops.adapters.lake_views import views
    from greenops.adapters.parquet_lake import TABLES
    from greenops.adapters.rollup_files import LEVELS

    if not args.lake and (rows := views(_lake(args), TABLES)):
        print(f"{rows}\n")
    rollups = _rollups(args)
    folder = rollups.folder
    if rollups.remote:
        folder = f"{args.lake.partition('?')[0].rstrip('/')}/{folder}"
    for level in LEVELS:
        pattern = f"{level}/*/*.parquet"
        if not rollups.remote and not any(Path(folder).glob(pattern)):
            # DuckDB makes no view of files that are not there, and stops.
            print(f"-- no spans_by_{level} yet: `greenops lake rollup` makes it")
            continue
        quoted = folder.replace("'", "''")
        files = f"read_parquet('{quoted}/{pattern}', hive_partitioning = true)"
        print(f"CREATE OR REPLACE VIEW spans_by_{level} AS FROM {files};")
    return 0


def _add_place(parser: argparse.ArgumentParser) -> None:
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--state", type=Path, metavar="DIR", help="folder of the lake")
    place.add_argument("--lake", metavar="URL", help="lake in object storage, `s3://bucket/prefix`")


def _add_engine(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--engine",
        default=THREADS,
        help="`threads` of this process, `processes`, `ray`, or another that is registered",
    )
    parser.add_argument(
        "--workers",
        type=_workers,
        metavar="N",
        help="threads or processes; default: all cores, four threads at most",
    )


def _lake(args: argparse.Namespace) -> Path:
    from greenops.cli.policy_replay import lake

    return lake(args.state)


def _rollups(args: argparse.Namespace) -> RollupFiles:
    from greenops.adapters.rollup_files import RollupFiles

    return RollupFiles.away(args.lake) if args.lake else RollupFiles.local(_lake(args))


def _engine(args: argparse.Namespace) -> Any:
    from greenops.plugins import ENGINES, load

    make: Any = load(ENGINES, args.engine)
    return make(args.workers)


def _day(flag: str, text: str) -> date:
    from datetime import date

    from greenops.errors import UsageError

    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise UsageError("GO0805", f"`{flag} {text}` is no date", fix="2026-11-01") from error


def _ends(period: str | None) -> tuple[str, str]:
    from greenops.errors import UsageError

    begins, _, ends = (period or "/").partition("/")
    if period is not None and not (begins and ends):
        raise UsageError("GO0805", f"`--period {period}` has no begin and end", fix=PERIOD)
    return begins, ends


def _days(period: str | None) -> tuple[date | None, date | None]:
    begins, ends = _ends(period)
    found = [_day("--period", each) if each else None for each in (begins, ends)]
    return found[0], found[1]


def _instants(period: str | None, rollups: RollupFiles) -> tuple[datetime, datetime]:
    from datetime import UTC, datetime, time, timedelta

    from greenops.adapters.rollup_files import DAY
    from greenops.cli.instants import instant
    from greenops.errors import DataMissing

    begins, ends = _ends(period)
    if begins:
        return instant("--period", begins, dates=True), instant("--period", ends, dates=True)
    days = rollups.days(DAY)
    if not days:
        raise DataMissing("GO0416", "there are no roll-ups", fix="run `greenops lake rollup` first")
    first = datetime.combine(days[0], time(), UTC)
    return first, datetime.combine(days[-1], time(), UTC) + timedelta(days=1)


def _pair(text: str) -> tuple[str, str | None]:
    from greenops.errors import UsageError

    name, found, value = text.partition("=")
    if not found:
        raise UsageError("GO0805", f"`--where {text}` says no value", fix="service=shop")
    return name, value or None


def _workers(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"`{text}` is no number of processes")
    return int(text)


def _pue(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 1.0 <= found <= 10.0:  # noqa: PLR2004  (a site uses no less than its machines)
        raise argparse.ArgumentTypeError(f"`{text}` is no power usage effectiveness; 1 to 10")
    return found


def _cells(row: Recomputed) -> list[str]:
    return [
        _shown(row.service), f"{_shown(row.energy_j)} J", _shown(row.energy_method),
        f"{row.spans:,}", _of(row.before_g, row.spans_before), _of(row.after_g, row.spans_after),
        _shown(row.intensity),
    ]  # fmt: skip


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _of(grams: float | None, spans: int) -> str:
    return "-" if grams is None else f"{_shown(grams)} g of {spans:,}"


def _shown(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:,.6g}" if isinstance(value, float) else str(value)


def _print(head: Sequence[str], rows: Sequence[Any], cells: Callable[[Any], list[str]]) -> None:
    table = [list(head), *map(cells, rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table:
        print(
            "  ".join(each.ljust(width) for each, width in zip(line, widths, strict=True)).rstrip()
        )
