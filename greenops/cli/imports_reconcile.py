"""`greenops import reconcile`: the lake against a provider's own figure of a month."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from greenops.pipeline.reconcile import Figure, Reconciliation

PERCENT = 100.0
MOST = 5
"""Services and regions that a line names."""


def add_tool(tools: Any) -> None:
    """Add `reconcile`."""
    from greenops.cli.imports_reported import shared

    parser = tools.add_parser(
        "reconcile",
        help="compare the lake with a cloud provider's own figure",
        description="What spans of the provider's regions emitted in a month, against what the provider reports for it. "
        "Figures by market are told and not compared: the lake counts by location.",
    )
    parser.add_argument("provider", metavar="aws|gcp|azure")
    parser.add_argument("--month", required=True, metavar="YYYY-MM")
    parser.add_argument("--region", action="append", default=[], help="one region; repeat for more (default: all)")  # fmt: skip
    parser.add_argument("--service", action="append", default=[], help="one service, by the provider's name (default: all)")  # fmt: skip
    parser.add_argument("--lake-service", action="append", default=[], help="one service of the lake (default: all)")  # fmt: skip
    shared(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Compare and print."""
    from greenops.cli.imports_reported import state_of
    from greenops.pipeline.reconcile import reconcile
    from greenops.pipeline.reconcile_own import Asked

    asked = Asked(args.provider, _month(args.month), args.region, args.service, args.lake_service)
    found = reconcile(asked, state_of(args))
    if args.output == "json":
        print(json.dumps(_plain(found), indent=2))
        return 0
    print("\n".join(_lines(found)))
    return 0


def _month(text: str) -> datetime:
    from datetime import UTC, datetime

    from greenops.errors import UsageError

    try:
        return datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)
    except ValueError as error:
        raise UsageError("GO0447", f"`--month {text}` is no month", fix="as 2026-10") from error


def _plain(found: Reconciliation) -> dict[str, Any]:
    from greenops.domain.record import plain

    whole = plain(found)
    whole.pop("lag", None)
    return whole if found.lag is None else {**whole, "lag_days": found.lag.days}


def _lines(found: Reconciliation) -> Iterator[str]:
    yield f"{found.provider}, {found.month:%Y-%m}"
    yield from (_figure(each) for each in found.figures)
    yield f"  lake: {_own(found)}"
    yield from _coverage(found)
    yield f"  lag: {_lag(found)}"


def _figure(figure: Figure) -> str:
    from greenops.pipeline.reconcile import TOLD

    account = f"{figure.accounting}-based" if figure.accounting else "account not told"
    scope = TOLD.get(figure.scope or "", "scope not told")
    said = f"  provider: {_mass(figure.grams)}, {account}, reported ({scope})"
    if figure.gap is None:
        return f"{said}: {figure.why_not}"
    way = "below" if figure.gap >= 0 else "above"
    return f"{said}: the lake is {abs(figure.gap) * PERCENT:.1f} % {way} it"


def _own(found: Reconciliation) -> str:
    if found.own is None:
        return "no emissions"
    parts = ", ".join(f"{name} {_mass(grams)}" for name, grams in found.by_method.items())
    own = found.own
    within = f" ({_mass(own.low)} to {_mass(own.high)})" if own.low != own.high else ""
    return f"{_mass(own.grams)}{within}, {own.account}, {own.method} or better: {parts}"


def _coverage(found: Reconciliation) -> Iterator[str]:
    from greenops.cli.imports_reported import many

    known = "" if found.known is None else f", with {found.known * PERCENT:.1f} % of their energy"
    yield (
        f"  coverage: {found.with_carbon:,} of {found.spans:,} spans have emissions{known}; "
        f"{found.days} of {found.of_days} days; idle energy is on no span"
    )
    if found.unseen:
        yield f"  without a span here: {_some(found.unseen)}"
    if found.nowhere:
        yield f"  left out: {many(found.nowhere, 'span')} without a region"
    if found.imported:
        yield f"  left out: {many(found.imported, 'run')} that other tools accounted for, {_mass(found.imported_g)}"  # fmt: skip
    most = sorted(found.services.items(), key=lambda each: -each[1])
    yield f"  the provider's by service: {_some([f'{name} {_mass(grams)}' for name, grams in most])}"


def _some(names: Any) -> str:
    more = len(names) - MOST
    return ", ".join(names[:MOST]) + (f" and {more} more" if more > 0 else "")


def _lag(found: Reconciliation) -> str:
    due = f"its pages say by {found.due:%Y-%m-%d}"
    method = f"; its method {', '.join(found.versions)}" if found.versions else ""
    if found.published is None or found.lag is None:
        return f"when it was published is not told, {due}{method}"
    return f"published {found.published:%Y-%m-%d}, {found.lag.days} days after the month; {due}{method}"  # fmt: skip


def _mass(grams: float) -> str:
    kilograms = grams / 1000
    return f"{kilograms:,.4g} kg" if abs(kilograms) >= 1 else f"{grams:,.4g} g"
