"""Prices of electricity for decisions: asked beside, waited for within a bound, and unknown where nobody tells them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol, cast

from greenops.config import Settings
from greenops.domain.decision import Candidate
from greenops.domain.prices import PriceSeries
from greenops.errors import DataMissing, GreenOpsError, UsageError
from greenops.grid.regions import RegionTable
from greenops.pipeline.beside import Run, in_background
from greenops.pipeline.grid_answers import iso
from greenops.pipeline.grid_limits import Patience, TokenBucket, at_random
from greenops.pipeline.grid_worker import Question, Worker, waited_s
from greenops.pipeline.intensity_now import Ways
from greenops.pipeline.site_settings import Site, rates_of, sites_of
from greenops.plan.energy_price import SitePrice, with_electricity
from greenops.plan.threshold import QUEUED
from greenops.plugins import PRICES, load
from greenops.ports import Clock, PriceProvider
from greenops.units import NS_PER_S

log = logging.getLogger("greenops.prices")

HOUR: Final = timedelta(hours=1)
BEFORE: Final = timedelta(days=1)
"""How far back prices are asked for: a run that is decided late has a baseline that began."""
AHEAD: Final = timedelta(days=8)
"""How far ahead they are asked for at least, so that one question serves the runs of an hour."""
KEPT_FOR: Final = timedelta(days=2)
"""How long an answer is kept beside newer ones: a decision looks at none from after its instant."""
AGAIN_AFTER_S: Final = 60.0
"""How long a question that failed is not put again [s]."""
MOST: Final = 1_000_000.0
"""Price beyond which an answer is no price [currency/MWh]."""
NO_RATE: Final = "GO0337"


class Priced(Protocol):
    """Tells what electricity costs where machines are owned."""

    @property
    def regions(self) -> Collection[str]:
        """Regions whose electricity is paid by the hour."""

    def __call__(
        self, now: datetime, until: datetime, among: Collection[str]
    ) -> Mapping[str, SitePrice | None]:
        """Region → its price as it was known at `now`, up to `until`; none where it is not known."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a provider told of a zone, and what it was asked."""

    at: datetime
    until: datetime
    series: PriceSeries


@dataclass(slots=True)
class SitePrices:
    """Prices of electricity by region. Safe to ask from several threads; nothing here raises.

    A zone is asked for once an hour, for what was published by the beginning of the hour.

    Attributes:
        provider: Who tells prices; asked by the worker alone.
        sites: Region → where its electricity is bought.
        usd_per: Currency → its exchange rate [USD per unit].
        clock: Simulated time for prices, monotonic for waiting.
        worker: Asks the provider.
        wait_s: Longest that decisions wait for answers [wall s].
    """

    provider: PriceProvider
    sites: Mapping[str, Site]
    usd_per: Mapping[str, float]
    clock: Clock
    worker: Worker
    wait_s: float
    _patience: Patience = field(init=False)
    _answers: dict[str, list[_Answer]] = field(default_factory=dict)
    _failed: dict[str, tuple[datetime, int, GreenOpsError]] = field(default_factory=dict)
    """Zone → the hour whose question failed last, when (monotonic), and why."""
    _told: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Begin rested."""
        self._patience = Patience(self.wait_s)

    @property
    def regions(self) -> Collection[str]:
        """Regions whose electricity is paid by the hour."""
        return self.sites.keys()

    def __call__(
        self, now: datetime, until: datetime, among: Collection[str]
    ) -> Mapping[str, SitePrice | None]:
        """Region → its price as it was known at `now`, up to `until`; none where it is not known.

        Args:
            now: Instant of the decision; of one ahead of the clock the clock's counts.
            until: End of the last run that is weighed.
            among: Regions that matter; others are not asked for.
        """
        hour = self._hour(now)
        sites = {region: self.sites[region] for region in among if region in self.sites}
        zones = {each.zone for each in sites.values()}
        self._ask_and_wait(zones, hour, until)
        known = {zone: self._known(zone, hour) for zone in zones}
        return {region: self._price(each, known[each.zone]) for region, each in sites.items()}

    def refused(self, now: datetime) -> GreenOpsError | None:
        """Ask for every zone: why one's prices cannot be used as the settings are; none where they can, or none answers."""
        hour = self._hour(now)
        self._ask_and_wait({each.zone for each in self.sites.values()}, hour, hour + HOUR)
        with self._lock:
            return next((e for _, _, e in self._failed.values() if e.code == NO_RATE), None)

    def _hour(self, now: datetime) -> datetime:
        at = min(now, self.clock.now()).astimezone(UTC)
        return at.replace(minute=0, second=0, microsecond=0)

    def _ask_and_wait(self, zones: Collection[str], hour: datetime, until: datetime) -> None:
        """Put what is not known yet, then wait: all zones together no longer than there is patience."""
        asked = [self._put(zone, hour, until) for zone in sorted(zones)]
        for question in filter(None, asked):
            longest_s = self._patience.left_s(self.clock.monotonic_ns())
            self._patience.spent(waited_s(question, longest_s, self.clock))

    def _price(self, site: Site, series: PriceSeries | None) -> SitePrice | None:
        if series is None:
            return None
        return SitePrice(series, self.usd_per[series.currency], site.pue)

    def _put(self, zone: str, hour: datetime, until: datetime) -> Question | None:
        """Ask, unless this is known or failed just now."""
        ends = max(until.astimezone(UTC), hour + AHEAD)
        with self._lock:
            here = [each for each in self._answers.get(zone, ()) if each.at == hour]
            failed = self._failed.get(zone)
        if any(each.until >= until for each in here):
            return None
        now_ns = self.clock.monotonic_ns()
        again_ns = AGAIN_AFTER_S * NS_PER_S
        if failed is not None and failed[0] == hour and now_ns - failed[1] < again_ns:
            return None
        return self.worker.submit((zone, hour, ends), lambda: self._ask(zone, hour, ends))

    def _ask(self, zone: str, hour: datetime, ends: datetime) -> None:
        try:
            found = self._checked(self._fetched(zone, hour, ends), zone, hour)
        except GreenOpsError as error:
            with self._lock:
                self._failed[zone] = hour, self.clock.monotonic_ns(), error
            raise
        with self._lock:
            self._failed.pop(zone, None)
            kept = self._answers.get(zone, [])
            newest = max([hour, *(each.at for each in kept)])
            kept = [e for e in kept if e.at != hour and e.at > newest - KEPT_FOR]
            self._answers[zone] = [*kept, _Answer(hour, ends, found)]

    def _fetched(self, zone: str, hour: datetime, ends: datetime) -> PriceSeries:
        try:
            return self.provider.prices(zone, hour - BEFORE, ends, hour)
        except DataMissing:
            # Its prices may begin with today's.
            return self.provider.prices(zone, hour, ends, hour)

    def _checked(self, found: PriceSeries, zone: str, at: datetime) -> PriceSeries:
        """What may be used: of this zone, known by then, and in a currency that has a rate."""
        name = self.provider.name
        odd = any(each is not None and not abs(each) <= MOST for each in found.values)
        if found.zone != zone or found.step <= timedelta() or found.start.tzinfo is None or odd:
            raise DataMissing("GO0344", f"what `{name}` gave for `{zone}` is no series of prices")
        if found.published_at is not None and found.published_at > at:
            raise DataMissing("GO0343", f"`{name}` gave prices that were published after {iso(at)}")
        if found.currency not in self.usd_per:
            raise DataMissing(
                NO_RATE,
                f"`{name}` tells prices of `{zone}` in `{found.currency}`, and `usd_per` has no rate of it",
                fix=f"set `usd_per` to `{found.currency}=` and what one costs in USD",
            )
        return found

    def _known(self, zone: str, hour: datetime) -> PriceSeries | None:
        """The newest answer from no later than an hour; where it says nothing of now, that is told once."""
        with self._lock:
            usable = [each for each in self._answers.get(zone, ()) if each.at <= hour]
            failed = self._failed.get(zone)
            found = max(usable, key=lambda each: each.at, default=None)
            known = found is not None and found.series.end > hour
            tell = not known and zone not in self._told
            (self._told.discard if known else self._told.add)(zone)
        if tell:
            why = failed[2] if failed else self.worker.problem or "it was not answered yet"
            log.warning(
                "GO0338 no price of electricity in `%s` is known now, so rules on cost refuse what runs there: %s",
                *(zone, why),
            )
        return found.series if found is not None and known else None


def load_site_prices(
    settings: Settings, regions: RegionTable, clock: Clock, run: Run = in_background
) -> SitePrices | None:
    """Prices of electricity as the settings name them; none where they name no provider: rents alone.

    The provider is asked once, so that a currency without a rate is told at the start.

    Raises:
        UsageError: A setting says what cannot be: an unknown provider or region, a currency without a rate.
        AdapterUnsupported: The provider lacks a setting that it needs.
        InvalidFile, DataMissing: Its files have a fault.
    """
    sites, usd_per = sites_of(settings, regions), rates_of(settings)
    name = settings.price_provider.strip()
    if not name:
        return None
    provider = price_provider_of(name)
    bucket = TokenBucket(settings.grid_calls_per_minute)
    worker = Worker(f"{name} (prices)", clock, bucket, at_random, run)
    found = SitePrices(provider, sites, usd_per, clock, worker, settings.grid_wait_s)
    refused = found.refused(clock.now())
    if refused is not None:
        raise UsageError(refused.code, refused.message, fix=refused.fix)
    return found


def price_provider_of(name: str) -> PriceProvider:
    """The price provider of a name.

    Raises:
        UsageError: There is none of that name, or what is registered is not one.
        AdapterUnsupported: It lacks a setting that it needs.
    """
    found = cast("Callable[[], object]", load(PRICES, name))()
    if not isinstance(found, PriceProvider):
        raise UsageError(
            "GO0309",
            f"`{name}` is registered as a price provider, but is none",
            fix="it must offer name, zones and prices",
        )
    return found


def priced_ways(priced: Priced, ways: Ways, now: datetime) -> Ways:
    """The ways with the electricity of their runs in their cost, where it is paid by the hour."""
    baseline, others = ways
    ends = [each.end for each in (baseline, *others) if each.end is not None]
    among = {each.region for each in (baseline, *others) if each.region in priced.regions}
    if not among:
        return ways
    prices = priced(now, max(ends, default=now), cast("set[str]", among))
    told = with_electricity((baseline, *others), prices)
    return told[0], told[1:]


def unpriced_wait(priced: Priced, ways: Ways) -> Ways:
    """The ways, with the cost unknown of one that waits without a start: it has no hour, so no price."""

    def told(way: Candidate) -> Candidate:
        waits = way.id == QUEUED and way.region in priced.regions
        return replace(way, cost_usd=None) if waits else way

    return told(ways[0]), tuple(map(told, ways[1]))
