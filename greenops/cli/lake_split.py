"""`greenops lake split`: what requests wait for and what goes on around it, from recorded spans; proposes what to move."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from greenops.cli.plan_jobs import aligned

if TYPE_CHECKING:
    from greenops.domain.spans import SpanRow
    from greenops.domain.workload import Workload
    from greenops.pipeline.hot_path_split import Movable, OperationSplit, Split

TEXTS: Final = 4
"""Columns of words; numbers follow."""
MOST_SPANS: Final = 500_000
"""Spans that are looked at: 20 s of CPU and half a gigabyte, and more hardly tell more."""


def offer(verbs: Any) -> None:
    """Add `split` to the verbs of `lake`."""
    parser = verbs.add_parser(
        "split",
        help="what requests wait for and what could be moved",
        description="tells from traces what people wait for and what goes on around it",
        epilog="an operation is around only where spans prove it: taken from a queue, a run of a job, without a"
        " request above it, or ending after its process has answered",
    )
    parser.add_argument("--state", type=Path, metavar="DIR", help="folder of the lake")
    parser.add_argument(
        "--since", type=date.fromisoformat, metavar="DATE", help="first day; default: all"
    )
    parser.add_argument("--policies", type=Path, metavar="PATH", help="declared workloads")
    parser.add_argument(
        "-o",
        "--output",
        choices=("table", "json", "yaml"),
        default="table",
        help="yaml: workloads and a policy for what could be moved, ready to paste",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Look at the spans of the lake, and print."""
    import json

    from greenops.domain.record import plain
    from greenops.errors import DataMissing
    from greenops.pipeline.hot_path import look
    from greenops.pipeline.hot_path_proposal import names, proposal
    from greenops.pipeline.hot_path_split import split

    declared = _declared(args.policies)
    found = split(look(_spans(args), declared))
    if not found.traces:
        raise DataMissing(
            "GO0419",
            "the lake holds no whole trace of that time",
            fix="send spans to `greenops serve`",
        )
    if args.output == "json":
        whole = plain(found)
        for row, name in zip(whole["movable"], names(found.movable, declared), strict=True):
            row["proposed"] = name
        print(json.dumps(whole, indent=2))
    elif args.output == "yaml":
        print(proposal(found, declared), end="")
        if not any(names(found.movable, declared)):
            print("nothing to move that is not declared already", file=sys.stderr)
    else:
        print("\n".join(_lines(found, declared)))
    return 0


def _declared(path: Path | None) -> dict[str, Workload]:
    from greenops.config import load_settings
    from greenops.pipeline.policies import read_policies

    folder = path if path is not None else load_settings().policies
    # Without a folder nothing is declared; one that was named must be there.
    if path is None and not folder.exists():
        return {}
    return dict(read_policies(folder).workloads)


def _spans(args: argparse.Namespace) -> Iterator[SpanRow]:
    from greenops.adapters.parquet_lake import ParquetLake
    from greenops.cli.policy_replay import lake

    spans = ParquetLake(lake(args.state)).spans(since=args.since)
    yield from islice(spans, MOST_SPANS)
    if next(spans, None) is not None:
        said = f"only the first {MOST_SPANS:,} spans were looked at; `--since` begins later"
        print(said, file=sys.stderr)


def _lines(found: Split, declared: dict[str, Workload]) -> Iterator[str]:
    from greenops.pipeline.hot_path_proposal import names

    yield _head(found)
    yield ""
    yield from aligned(list(_operations(found.operations)), TEXTS)
    proposed = names(found.movable, declared)
    if found.movable:
        yield ""
        yield "could be moved"
        yield from aligned(list(_movable(found.movable, proposed)), TEXTS)
    yield ""
    if any(proposed):
        yield "`-o yaml` gives these as workloads, with a policy that would move them"
    if found.incomplete:
        yield f"spans left out, for what their trace begins with is not there: {found.incomplete:,}"
    if found.untold:
        yield f"spans that tell no energy: {found.untold:,}"


def _head(found: Split) -> str:
    of = f"{found.spans:,} spans of {found.traces:,} traces"
    if found.hot_share is None or found.around_share is None:
        return f"{of}: no span tells its energy"
    return (
        f"{of}: people wait for {_percent(found.hot_share)} of the energy, "
        f"{_percent(found.around_share)} goes on around"
    )


def _operations(rows: Iterable[OperationSplit]) -> Iterator[Sequence[str]]:
    from greenops.errors import one_line

    yield ("operation", "of", "part", "for", "energy", "traces", "late", "latest end")
    for each in rows:
        inside = "" if each.operation == each.root else "  "
        yield (
            f"{inside}{one_line(each.operation, 48)}",
            one_line(each.service, 24),
            each.part.value,
            each.why.value,
            "not known" if each.share is None else _percent(each.share),
            f"{each.traces:,}",
            f"{each.late:,}",
            _apart(each.latest_s),
        )


def _movable(rows: Sequence[Movable], names: Sequence[str | None]) -> Iterator[Sequence[str]]:
    from greenops.errors import one_line
    from greenops.pipeline.hot_path_proposal import too_short

    yield ("operation", "of", "as workload", "begins", "runs", "longest", "each")
    for each, name in zip(rows, names, strict=True):
        begins = "when it comes"
        if each.starts_at is not None:
            begins = f"at {str(each.starts_at)[:-3]} UTC"
        elif each.every_s is not None:
            begins = f"every {timedelta(seconds=round(each.every_s))}"
        yield (
            one_line(each.operation, 48),
            one_line(each.service, 24),
            name or ("too short alone" if too_short(each) else f"{each.workload} (declared)"),
            begins,
            f"{each.runs:,}",
            str(timedelta(seconds=round(each.longest_s))),
            "not known" if each.energy_j is None else f"{each.energy_j:.3g} J",
        )


def _percent(share: float) -> str:
    percent = 100 * share
    return f"{percent:.2g} %" if 0 < percent < 1 else f"{percent:.1f} %"


def _apart(seconds: float) -> str:
    if abs(seconds) < 1:
        return f"{1000 * seconds:+.0f} ms"
    return f"{seconds:+,.1f} s"
