"""Adds energy, carbon and cost to spans on their way out, on the exporter's thread."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind

from greenops.domain.energy import Unknown
from greenops.domain.factors import FactorTable
from greenops.observe import attributes as names
from greenops.observe.attribution import Finished
from greenops.observe.emissions import Price, instant, price
from greenops.observe.enriched import Attributes, EnrichedSpan, SharedResource, said_by
from greenops.observe.glance import PERIOD_S
from greenops.observe.observer import PATIENCE_S, Observer
from greenops.observe.own_energy import WALL_SHARE, Stated, own_energy
from greenops.observe.span_parts import Part, SpanParts
from greenops.units import Joules, seconds

if TYPE_CHECKING:
    from greenops.ports import Clock

__all__ = ["EnergySpanExporter", "EnrichedSpan", "SpanExporter"]

OUTGOING: Final = (SpanKind.CLIENT, SpanKind.PRODUCER)
NO_TIME: Final = "no_time"
_log = logging.getLogger(__name__)


class EnergySpanExporter(SpanExporter):
    """Wraps an exporter. Stability: beta.

    Args:
        inner: Where the spans go.
        observer: Keeps the books.
        factors: Gives the table in force; must be cheap.
        clock: Maps wall to simulated time.
        region: Cloud region where neither span nor resource names one.
        workload: `greenops.workload` where the resource has none.
        instance: `service.instance.id` where the resource has none.
        parts: What spans carry beyond their own energy and carbon; none for nothing.
        clocks: As the observer's: false where spans shared CPU time by wall time, which is said of them.
        after_shutdown: Called once the inner exporter has everything.
    """

    def __init__(
        self,
        inner: SpanExporter,
        observer: Observer,
        factors: Callable[[], FactorTable],
        *,
        clock: Clock,
        region: str | None = None,
        workload: str | None = None,
        instance: Callable[[], str] | None = None,
        parts: SpanParts | None = None,
        clocks: bool = True,
        after_shutdown: Callable[[], None] | None = None,
    ) -> None:
        self.inner = inner
        self.patience_s = PATIENCE_S
        """How long spans wait for a counter that has not stepped since they ended [s]."""
        self._observer, self._factors, self._clock = observer, factors, clock
        self._region, self._workload, self._instance = region, workload, instance
        self._after_shutdown = after_shutdown
        self._parts = SpanParts() if parts is None else parts
        self._clocks, self._stated = clocks, Stated.of(())
        self._resource: tuple[Resource, str, str, Resource] | None = None

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Enrich, then export; spans go out as they are if enriching fails."""
        try:
            out: Sequence[ReadableSpan] = self._enrich(spans)
        except Exception:  # noqa: BLE001 - telemetry must go out whatever happens to ours
            _log.warning("GO0703 spans go out without energy", exc_info=True)
            out = spans
        return self.inner.export(out)

    def shutdown(self) -> None:
        """Shut the inner exporter down."""
        self.inner.shutdown()
        if self._after_shutdown is not None:
            self._after_shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Flush the inner exporter."""
        return self.inner.force_flush(timeout_millis)

    def _enrich(self, spans: Sequence[ReadableSpan]) -> list[ReadableSpan]:
        keys = [span.context.span_id for span in spans if span.context]
        self._observer.settle(keys, self.patience_s)
        table = self._factors()
        # A forked child has meters of its own.
        self._stated = Stated.of(self._observer.meters, clocks=self._clocks)
        return [self._enrich_one(span, table) for span in spans]

    def _enrich_one(self, span: ReadableSpan, table: FactorTable) -> ReadableSpan:
        try:
            return EnrichedSpan(
                span, self._numbers(span, table), self._enriched(span.resource, table)
            )
        except Exception:  # noqa: BLE001 - one odd span must not cost the others of its batch
            _log.warning("GO0703 span `%s` goes out without energy", span.name, exc_info=True)
            self._observer.count_unknown(Unknown.FAULT)
            return EnrichedSpan(span, {names.ENERGY_UNKNOWN: str(Unknown.FAULT)}, span.resource)

    def _numbers(self, span: ReadableSpan, table: FactorTable) -> Attributes:
        more: Attributes = {}
        start, end = self._simulated(span.start_time or 0), self._simulated(span.end_time or 0)
        if self._clock.replay is not None and end is not None:
            more[names.TIME] = end.isoformat().replace("+00:00", "Z")
        found = self._observer.take(span.context.span_id if span.context else 0)
        self._add_parts(more, span, found, table, end)
        if found.energy is None:
            more[names.ENERGY_UNKNOWN] = str(found.unknown)
            return more
        more.update(own_energy(found.energy, found, self._stated, self._parts.asked))
        home = self._home(span.resource)
        region = _region_of(span) or home
        self._add_price(more, _price(table, region, found, found.energy.self_j, start, end))
        if region is not None and region != home:
            more.update(_place(table, region))
        return more

    def _add_parts(
        self,
        more: Attributes,
        span: ReadableSpan,
        found: Finished,
        table: FactorTable,
        at: datetime | None,
    ) -> None:
        try:
            parts, reasons = self._parts.of(span, found, table, at)
        except Exception:  # noqa: BLE001 - a part that fails must not cost the span its own energy
            _log.warning("GO0732 span `%s` goes out without its parts", span.name, exc_info=True)
            return
        more.update(parts)
        for reason in reasons:
            self._observer.count_unknown(reason)

    def _add_price(self, more: Attributes, found: Price) -> None:
        self._add(more, names.CARBON_SELF, found.carbon, names.CARBON_UNKNOWN, found.carbon_unknown)
        if Part.COST in self._parts.asked:
            self._add(more, names.COST_SELF, found.cost, names.COST_UNKNOWN, found.cost_unknown)

    def _add(
        self, more: Attributes, name: str, value: float | None, missing: str, why: str | None
    ) -> None:
        if value is not None:
            more[name] = value
        elif why is not None:
            more[missing] = why
            self._observer.count_unknown(why)

    def _simulated(self, ns: int) -> datetime | None:
        # Whoever ends a span may give any number as its time, and a replay may lead out of the calendar.
        try:
            wall, replay = instant(ns), self._clock.replay
            return replay.simulated(wall) if replay else wall
        except (ValueError, OverflowError, OSError):
            return None

    def _home(self, resource: Resource) -> str | None:
        found = resource.attributes.get(names.CLOUD_REGION)
        return str(found) if found else self._region

    def _enriched(self, resource: Resource, table: FactorTable) -> Resource:
        instance = self._instance() if self._instance else ""
        kept = self._resource
        if kept and kept[0] is resource and kept[1:3] == (table.version, instance):
            return kept[3]
        more = self._constants(resource, table, instance)
        full = SharedResource(resource.merge(Resource(more)))
        self._resource = (resource, table.version, instance, full)
        return full

    def _constants(self, resource: Resource, table: FactorTable, instance: str) -> Attributes:
        more: Attributes = {
            names.FACTORS_VERSION: table.version,
            names.IDLE_POLICY: self._observer.idle.policy.value,
        }
        meters, stated = self._observer.meters, self._stated
        if stated.method is not None:
            more[names.ENERGY_METHOD] = stated.method.value
            more[names.ENERGY_SOURCE] = ",".join(sorted({info.name for info in meters}))
        if not stated.clocks:
            more[names.ENERGY_ATTRIBUTION] = WALL_SHARE
        if stated.uncertainty is not None:
            more[names.ENERGY_UNCERTAINTY] = stated.uncertainty
        region = self._home(resource)
        if region is not None:
            more.update(_place(table, region))
        for name, value in (
            (names.WORKLOAD, self._workload),
            (names.SERVICE_INSTANCE_ID, instance),
            (names.CLOUD_REGION, self._region),
        ):
            if value and name not in resource.attributes:
                more[name] = value
        return more


def _region_of(span: ReadableSpan) -> str | None:
    # On an outgoing call the region is that of the service called: the work here is done at home.
    own = None if span.kind in OUTGOING else said_by(span).get(names.CLOUD_REGION)
    return str(own) if own else None


def _price(
    table: FactorTable,
    region: str | None,
    found: Finished,
    energy: Joules,
    start: datetime | None,
    end: datetime | None,
) -> Price:
    if start is None or end is None:
        return Price(None, NO_TIME, None, NO_TIME)
    return price(
        table,
        region,
        energy,
        cpu=seconds(found.cpu_ns),
        start=start,
        end=end,
        periods={datetime.fromtimestamp(p * PERIOD_S, UTC): e for p, e in found.periods.items()},
    )


def _place(table: FactorTable, region: str) -> Attributes:
    """Grid zone and PUE that a region's numbers rest on."""
    factors = table.regions.get(region)
    if factors is None:
        return {}
    zone = {} if factors.zone is None else {names.GRID_ZONE: factors.zone}
    return {names.PUE: factors.pue, **zone}
