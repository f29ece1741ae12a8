"""The lake against a cloud provider's own figure: a month, a provider, and what keeps the two apart.

Bottom-up is what spans of the provider's regions emitted, located by grid and with the site's overhead. It is compared with a figure of
the same account alone. What a provider counts by market is another quantity: it is told beside, never subtracted.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from greenops.adapters.lake_columns import span_columns
from greenops.adapters.reported_lake import ReportedLake
from greenops.domain.carbon import Account, Carbon, total
from greenops.domain.energy import Boundary, Method
from greenops.domain.grid import Basis
from greenops.domain.reported import Amount, Quantity
from greenops.domain.reported import total as total_reported
from greenops.errors import DataMissing, MixedQuantities, UsageError
from greenops.pipeline.reconcile_own import COLUMNS, Asked, carbon_of, own_emissions
from greenops.units import Grams

PROVIDERS: Final = ("aws", "azure", "gcp")
PUBLISHED_BY: Final = {"aws": 21, "azure": 19, "gcp": 15}
"""Day of the next month by which a provider's pages say that a month is there."""
SCOPES: Final = ("2", "total", "1+2")
"""Scopes that are compared, best first: spans emit by electricity, which is scope 2 of the provider."""
TOLD: Final = {
    "2": "scope 2, electricity, as the lake's own",
    "total": "scopes 1, 2 and 3: hardware and buildings are in it, and not in the lake's",
    "1+2": "scopes 1 and 2: generators and refrigerants are in it, and not in the lake's",
}
SITE: Final = Boundary.SITE
ACCOUNTS: Final = {Basis.LOCATION: Account.LOCATION, Basis.MARKET: Account.MARKET}


LEVELS: Final = ("account", "service", "region", "resource group", "resource")
"""Whose share an amount may be, the whole before its parts."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of the provider.

    Attributes:
        accounting: None where its export does not say.
        gap: (provider - lake) / provider [1]; none where the two cannot be compared.
        why_not: Why they cannot; none where they can.
    """

    grams: Grams
    accounting: Basis | None
    scope: str | None
    gap: float | None
    why_not: str | None


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """A month of a provider, from both sides.

    Attributes:
        own: What the lake's spans emitted, of one account; none where none of them has emissions.
        by_method: Their emissions [g] by method, for example `measured`.
        known: Part of their energy that has emissions [1]; none where they have no energy.
        days: Days of the month with such spans, of `of_days`.
        nowhere: Spans of the month without a region: of no provider.
        imported: Runs that other tools accounted for, which may be the same work; in no sum here.
        unseen: Regions of the provider's figure without a span.
        published: When the provider last made it; `lag` is how long after the month; none where it does not say.
        due: By when its pages say that the month is there.
        versions: Of the provider's method.
    """

    provider: str
    month: datetime
    figures: Sequence[Figure]
    own: Carbon | None
    by_method: Mapping[str, Grams]
    spans: int
    with_carbon: int
    known: float | None
    days: int
    of_days: int
    nowhere: int
    imported: int
    imported_g: Grams
    unseen: Sequence[str]
    services: Mapping[str, Grams]
    published: datetime | None
    lag: timedelta | None
    due: datetime
    versions: Sequence[str]


def reconcile(asked: Asked, state: Path) -> Reconciliation:
    """Compare.

    Raises:
        DataMissing: Nothing of the provider was imported for the month, or the lake is damaged.
        UsageError: There is no such provider.
    """
    if asked.provider not in PROVIDERS:
        known = ", ".join(f"`{each}`" for each in PROVIDERS)
        raise UsageError("GO0447", f"unknown provider `{asked.provider}`", fix=f"one of {known}")
    reported = ReportedLake(state / "lake").amounts(asked.month)
    amounts = [each for each in reported if _is_asked(each, asked)]
    if not amounts:
        raise DataMissing(
            "GO0447",
            f"nothing of `{asked.provider}` was imported for {asked.month:%Y-%m}",
            fix=f"`greenops import {asked.provider}-carbon FILE`; `greenops import list` tells what is there",
        )
    spans = span_columns(state / "lake", asked.month, asked.end, COLUMNS)
    own = own_emissions(spans, asked)
    carbon = carbon_of(own)
    published = max((each.published for each in amounts if each.published), default=None)
    best = _best(amounts)
    if not best:
        what = f"of `{asked.provider}` scopes 1 and 3 alone were imported for {asked.month:%Y-%m}"
        raise DataMissing("GO0447", what, fix="import scope 2, or a total")
    joules = math.fsum(own.joules)
    return Reconciliation(
        provider=asked.provider,
        month=asked.month,
        figures=[_figure(part, carbon) for part in best],
        own=carbon,
        by_method={
            name: Grams(math.fsum(each[0] for each in ranges))
            for name, ranges in sorted(own.grams.items())
        },
        spans=own.spans,
        with_carbon=own.with_carbon,
        known=math.fsum(own.with_carbon_joules) / joules if joules else None,
        days=len(own.days),
        of_days=(asked.end - asked.month).days,
        nowhere=own.nowhere,
        imported=own.imported,
        imported_g=Grams(math.fsum(own.imported_grams)),
        unseen=sorted({each.region for each in amounts if each.region} - own.regions),
        services=_services(best[0]),
        published=published,
        lag=published - asked.end if published else None,
        due=asked.end.replace(day=PUBLISHED_BY[asked.provider]),
        versions=sorted({each.version for each in amounts if each.version}),
    )


def _is_asked(amount: Amount, asked: Asked) -> bool:
    return (
        amount.kind.source == asked.provider
        and amount.kind.quantity is Quantity.CARBON
        and amount.start == asked.month
        and (not asked.regions or amount.region in asked.regions)
        and (not asked.services or amount.service in asked.services)
    )


def _best(amounts: Sequence[Amount]) -> list[list[Amount]]:
    """Amounts of one kind each: for every accounting the scope that is most alike to what spans emit, location first."""
    level = min((each.kind.level for each in amounts), key=LEVELS.index)
    amounts = [each for each in amounts if each.kind.level == level]
    found: list[list[Amount]] = []
    for accounting in (Basis.LOCATION, Basis.MARKET, None):
        of_it = [each for each in amounts if each.kind.accounting is accounting]
        for scope in (*SCOPES, None):
            told = [each for each in of_it if each.kind.scope == scope]
            # A part that is the same by both accounts is a part of theirs, no figure of its own.
            if told and not (accounting is None and found):
                found.append(told)
                break
    return found


def _figure(amounts: Sequence[Amount], own: Carbon | None) -> Figure:
    grams, kind = Grams(total_reported(amounts) or 0.0), amounts[0].kind
    gap, why = None, None
    if own is None:
        why = "no span of the month in these regions has emissions"
    elif kind.accounting is None:
        why = "its export does not say how scope 2 is counted; import it with `--accounting`"
    elif not grams:
        why = "it is zero"
    else:
        account = ACCOUNTS[kind.accounting]
        theirs = Carbon(grams, grams, grams, own.signal, account, SITE, Method.REPORTED)
        try:
            total([own, theirs])
        except MixedQuantities as error:
            why = f"not comparable: the lake is {own.account}, this is {theirs.account} ({error.code})"
        else:
            gap = (grams - own.grams) / grams
    return Figure(grams, kind.accounting, kind.scope, gap, why)


def _services(amounts: Sequence[Amount]) -> Mapping[str, Grams]:
    parts: defaultdict[str, list[float]] = defaultdict(list)
    for each in amounts:
        parts[each.service or "not told"].append(each.value)
    return {name: Grams(math.fsum(parts[name])) for name in sorted(parts)}
