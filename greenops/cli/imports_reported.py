"""`greenops import kepler|dcgm|aws-carbon|…`: readings and amounts of others, each kind by itself; `greenops import list`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from greenops.domain.answer_cache import AnswerCache
    from greenops.domain.reported import Amount, Kind
    from greenops.pipeline.edge_savings import EdgeReport, RequestEnergy, Spared
    from greenops.pipeline.reported import Brought, Told

METERS = {
    "kepler": "Kepler's joules of nodes, pods and containers: a page or a query",
    "scaphandre": "Scaphandre's JSON report, page or query",
    "dcgm": "the DCGM exporter's energy of GPUs: a page or a query",
}
AMOUNTS = {
    "opencost": "what OpenCost's allocation API answers",
    "aws-carbon": "AWS Data Exports, table of carbon emissions (CSV, Parquet)",
    "gcp-carbon": "Google Cloud's Carbon Footprint export (JSON lines, CSV, Parquet)",
    "azure-carbon": "Azure's Emissions Impact Dashboard or Carbon optimization (CSV, JSON)",
}
EDGES = {
    "cloudflare": "Cloudflare's requests and bytes by day, cached and all (GraphQL answer)",
    "vercel": "Vercel's log drain, or days of any CDN (JSON lines, CSV)",
}
COUNTED = ("1", "byte")
"""Units of what is counted, not measured."""
PERCENT = 100.0


def add_tools(tools: Any) -> None:
    """Add the tools whose numbers are kept in tables of their own, and `list`."""
    for tool, what in {**METERS, **AMOUNTS, **EDGES}.items():
        each = _files(tools, tool, what)
        if tool in METERS:
            each.add_argument("--at", metavar="INSTANT", help="of a page (default: when its file was written)")  # fmt: skip
            each.add_argument("--host", help="machine of a file that does not name it")
        if tool == "azure-carbon":
            each.add_argument("--accounting", choices=("location", "market"), help="how the file counts scope 2")  # fmt: skip
        if tool == "opencost":
            each.add_argument("--currency", help="of the costs (default: USD, as OpenCost's)")
        each.set_defaults(run=run)
    _files(tools, "gptcache", "GPTCache's report: how often it answered, never how well").set_defaults(run=run_cache)  # fmt: skip
    listing = tools.add_parser("list", help="what was brought in, each kind by itself")
    shared(listing)
    listing.set_defaults(run=run_list)


def _files(tools: Any, tool: str, what: str) -> argparse.ArgumentParser:
    each: argparse.ArgumentParser = tools.add_parser(tool, help=what)
    each.add_argument("files", nargs="+", type=Path, metavar="FILE")
    shared(each)
    return each


def shared(parser: argparse.ArgumentParser) -> None:
    """Add what every command here takes."""
    parser.add_argument("--state", type=Path, help="state folder (default: as in the settings)")
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")


def run(args: argparse.Namespace) -> int:
    """Bring in each file and print what came."""
    from greenops.errors import UsageError
    from greenops.pipeline.reported import bring_amounts, bring_readings, energy_of

    state, told = state_of(args), _told(args)
    if told.at is not None and len(args.files) > 1:
        raise UsageError("GO0805", f"`--at` is of one page, here are {len(args.files)}", fix="bring in one by one")  # fmt: skip
    bring = bring_readings if args.tool in METERS else bring_amounts
    found = [(path, bring(args.tool, path, told, state)) for path in args.files]
    looks = [look for _, each in found for look in each.readings]
    between = energy_of(looks) if len(found) > 1 else []
    reports, request = _edges([each for _, each in found], state) if args.tool in EDGES else ([], None)  # fmt: skip
    if args.output == "json":
        together = [{"files": len(found), "amounts": _sums(between)}] if between else []
        print(json.dumps([*_plain(found), *together, *map(_plain_edge, reports)], indent=2))
        return 0
    for path, each in found:
        _print(path, each)
    for kind in _sums(between):
        print(f"together: {_words(kind)}")
    for report in reports:
        _print_edge(report, request)
    return 0


def state_of(args: argparse.Namespace) -> Path:
    """The state folder that is meant."""
    from greenops.config import load_settings

    found: Path = args.state or load_settings().state
    return found


def _told(args: argparse.Namespace) -> Told:
    from greenops.cli.instants import instant
    from greenops.domain.grid import Basis
    from greenops.pipeline.reported import Told

    said = vars(args)
    at, accounting = said.get("at"), said.get("accounting")
    return Told(
        at=instant("--at", at) if at else None,
        host=said.get("host"),
        accounting=Basis(accounting) if accounting else None,
        currency=said.get("currency"),
    )


def many(count: float, noun: str) -> str:
    """How many there are of something: `1 span`, `2,000 spans`."""
    return f"{count:,.0f} {noun}{'' if count == 1 else 's'}"


# -- what came


def _plain(found: Iterable[tuple[Path, Brought]]) -> list[dict[str, Any]]:
    return [
        {
            "file": str(path),
            "rows": each.rows,
            "changed": each.changed,
            "series": each.series,
            "single_looks": each.alone,
            "amounts": _sums(each.amounts),
        }
        for path, each in found
    ]


def _sums(amounts: Sequence[Amount]) -> list[dict[str, Any]]:
    from greenops.domain.reported import by_kind, total

    return [
        {**_plain_kind(kind), "value": total(group), "rows": len(group)}
        for kind, group in by_kind(amounts).items()
    ]


def _plain_kind(kind: Kind) -> dict[str, Any]:
    from dataclasses import asdict

    return {**asdict(kind), "unit": kind.unit}


def _print(path: Path, brought: Brought) -> None:
    rows, series = brought.rows, brought.series
    what = many(rows, "amount") if series is None else f"{many(rows, 'reading')} of {series:,} series"  # fmt: skip
    print(f"{path}: {what}, {brought.changed:,} new or changed")
    for each in _sums(brought.amounts):
        print(f"  {_words(each)}")
    if brought.alone:
        print(
            f"  series with one look here: {brought.alone:,}; `greenops import list` tells their energy "
            "once there is a second"
        )


def _words(told: Mapping[str, Any]) -> str:
    """A sum, and what it is, in words."""
    accounting = f"{told['accounting']}-based" if told["accounting"] else None
    scope = f"scope {told['scope']}" if told["scope"] else None
    parts = [told["level"], told["boundary"], scope, accounting, told["method"]]
    kind = f"({', '.join(str(each) for each in parts if each)})"
    what = str(told["quantity"]).replace("_", " ")
    if told["unit"] in COUNTED:
        return f"{told['value']:,.0f} {what} {kind}"
    return f"{told['value']:.6g} {told['unit']} {what} {kind}"


# -- edges


def _edges(
    found: Sequence[Brought], state: Path
) -> tuple[Sequence[EdgeReport], RequestEnergy | None]:
    from greenops.pipeline.edge_savings import edge_reports, request_energy

    amounts = list({each.key: each for brought in found for each in brought.amounts}.values())
    request = request_energy(amounts, state)
    return edge_reports(amounts, request), request


def _plain_edge(report: EdgeReport) -> dict[str, Any]:
    from greenops.domain.record import plain

    return {**plain(report), "hit_ratio": report.hit_ratio, "byte_ratio": report.byte_ratio, "method": "estimated"}  # fmt: skip


def _print_edge(report: EdgeReport, request: RequestEnergy | None) -> None:
    from datetime import timedelta

    last = report.end - timedelta(days=1)
    period = f"{many(report.days, 'day')} from {report.start:%Y-%m-%d} to {last:%Y-%m-%d}"
    print(f"{report.site}: {_percent(report.hit_ratio)} of requests and {_percent(report.byte_ratio)} of bytes out of the cache, {period}")  # fmt: skip
    print(f"  spares, estimated: {_spared(report.now)}")
    if request is None:
        print("  servers: not known, the lake has no request with energy on these days")
    else:
        mean = f"{request.joules:.3g} J, the mean of {many(request.requests, 'request')} on {request.day}"
        print(f"  servers: at most {mean}; what a cache holds is seldom what is dear to make")
    missed = report.requests - report.cached_requests
    if missed:
        print(
            f"  recommend: cache more of the other {many(missed, 'request')}; from nothing to {_spared(report.most)} in as many days, "
            "estimated: the export does not tell which of them can be cached"
        )


def _spared(spared: Spared) -> str:
    from greenops.units import to_kwh

    low, high = (to_kwh(each) for each in (spared.network_low, spared.network_high))
    way = f"network {low:.3g} to {high:.3g} kWh"
    return way if spared.server is None else f"{way}; servers 0 to {to_kwh(spared.server):.3g} kWh"


def _percent(ratio: float | None) -> str:
    return "an unknown part" if ratio is None else f"{ratio * PERCENT:.1f} %"


# -- caches of answers


def run_cache(args: argparse.Namespace) -> int:
    """Print what each report counted; nothing is kept, since counts have no period."""
    from greenops.pipeline.reported import answer_cache

    found = [(path, answer_cache(path)) for path in args.files]
    if args.output == "json":
        print(json.dumps([_plain_cache(*each) for each in found], indent=2))
        return 0
    for path, cache in found:
        made = "" if cache.made is None else f", {cache.made:,} asked of the model"
        looks = f"{cache.hits:,} of {cache.looks:,} looks{made}"
        print(f"{path}: hit ratio {_percent(cache.hit_ratio)} ({looks})")
        print("  how many of these answers were right is not told, so nothing counts as spared: check a sample of them")  # fmt: skip
    return 0


def _plain_cache(path: Path, cache: AnswerCache) -> dict[str, Any]:
    from dataclasses import asdict

    return {"file": str(path), **asdict(cache), "hit_ratio": cache.hit_ratio, "quality": None}


# -- list


def run_list(args: argparse.Namespace) -> int:
    """Print every kind with its sum and period."""
    from greenops.pipeline.reported import listed

    found = listed(state_of(args))
    if args.output == "json":
        rows = [
            {
                **_plain_kind(each.kind),
                "value": each.value,
                "rows": each.rows,
                "start": each.start.isoformat(),
                "end": each.end.isoformat(),
                "left_out": each.left_out,
            }
            for each in found
        ]
        print(json.dumps(rows, indent=2))
        return 0
    if not found:
        print("nothing was brought in")
    for each in found:
        more = f"; {many(each.left_out, 'row')} of the same time left out" if each.left_out else ""
        period = f"{each.start:%Y-%m-%d %H:%M} to {each.end:%Y-%m-%d %H:%M}"
        what = _words({**_plain_kind(each.kind), "value": each.value})
        print(f"{each.kind.source}: {what}, {many(each.rows, 'row')}, {period}{more}")  # fmt: skip
    return 0
