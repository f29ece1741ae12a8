"""The settings of electricity that is paid by the hour, read: where, and at which exchange rates."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from greenops.config import Settings
from greenops.errors import UsageError, nearest
from greenops.grid.regions import RegionTable

USD: Final = "USD"
CURRENCY: Final = re.compile(r"[A-Z]{3}")


@dataclass(frozen=True, slots=True)
class Site:
    """Where a region's electricity is bought.

    Attributes:
        zone: Grid zone or bidding zone, as the price provider calls it.
        pue: Power usage effectiveness of the region.
    """

    zone: str
    pue: float


def sites_of(settings: Settings, regions: RegionTable) -> Mapping[str, Site]:
    """Region → where its electricity is bought, out of `priced_regions`.

    Raises:
        UsageError: A region is not known or stands twice, or the setting stands without `price_provider` or that without it.
    """
    found: dict[str, Site] = {}
    for region, zone in _pairs("priced_regions", "region=zone", settings.priced_regions):
        known = regions.get(region)
        if known is None:
            near = nearest(region, regions.by_id)
            hint = (
                f"did you mean `{near}`?" if near else "`greenops grid zones --regions` lists them"
            )
            message = f"`priced_regions` names region `{region}`, which is not known"
            raise UsageError("GO0804", message, fix=hint)
        if region in found:
            raise UsageError("GO0804", f"`priced_regions` names `{region}` twice")
        found[region] = Site(zone, known.pue)
    given = bool(settings.price_provider.strip())
    if given != bool(found):
        has, lacks = ("price_provider", "priced_regions")[:: 1 if given else -1]
        fix = f"set `{lacks}` too, or neither"
        raise UsageError("GO0804", f"`{has}` is set and `{lacks}` is not", fix=fix)
    return found


def rates_of(settings: Settings) -> Mapping[str, float]:
    """Currency → USD per unit, out of `usd_per`; the dollar's is 1.

    Raises:
        UsageError: A rate is no number above 0, or what stands before it no code of a currency.
    """
    found = {USD: 1.0}
    for currency, text in _pairs("usd_per", "currency=rate", settings.usd_per):
        rate = _rate(text)
        if not CURRENCY.fullmatch(currency) or rate is None:
            message = f"`usd_per` is `EUR=1.08` with commas between, not `{currency}={text}`"
            raise UsageError("GO0804", message)
        if found.get(currency, rate) != rate:
            raise UsageError("GO0804", f"`usd_per` gives `{currency}` two rates")
        found[currency] = rate
    return found


def _rate(text: str) -> float | None:
    try:
        found = float(text)
    except ValueError:
        return None
    return found if 0 < found < math.inf else None


def _pairs(setting: str, form: str, text: str) -> list[tuple[str, str]]:
    found = []
    for pair in filter(None, (each.strip() for each in text.split(","))):
        name, sign, value = (each.strip() for each in pair.partition("="))
        if not (name and sign and value):
            message = f"`{setting}` is `{form}` with commas between, not `{pair}`"
            raise UsageError("GO0804", message)
        found.append((name, value))
    return found
