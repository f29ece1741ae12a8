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

from greenops.domain.energy import Method, Unknown
from greenops.domain.factors import FactorTable
from greenops.observe import attributes as names
from greenops.observe.attribution import Finished
from greenops.observe.emissions import Price, instant, price
from greenops.observe.enriched import Attributes, EnrichedSpan
from greenops.observe.observer import PERIOD_S, Observer
from greenops.observe.span_parts import SpanParts, installed
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
        total: Adds `greenops.energy.total`.
        parts: What spans carry beyond their own energy; none for what is installed in the process.
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
        total: bool = False,
        parts: SpanParts | None = None,
        after_shutdown: Callable[[], None] | None = None,
    ) -> None:
        self.inner = inner
        self._observer, self._factors, self._clock = observer, factors, clock
        self._region, self._workload, self._instance = region, workload, instance
        self._total, self._after_shutdown = total, after_shutdown
        self._parts = installed() if parts is None else parts
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
        self._observer.settle(keys)
        table = self._factors()
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
        end = self._simulated(span.end_time or 0)
        if self._clock.replay is not None and end is not None:
            more[names.TIME] = end.isoformat().replace("+00:00", "Z")
        found = self._observer.take(span.context.span_id if span.context else 0)
        self._add_parts(more, span, found, table)
        if found.energy is None:
            more[names.ENERGY_UNKNOWN] = str(found.unknown)
            return more
        more[names.ENERGY_SELF] = found.energy.self_j
        more[names.ENERGY_LOW] = found.energy.low_j
        more[names.ENERGY_HIGH] = found.energy.high_j
        if self._total:
            more[names.ENERGY_TOTAL] = found.energy.total_j
        if found.energy.method is not self._method():
            more[names.ENERGY_METHOD] = str(found.energy.method)
        self._add_price(more, self._price(span, found, found.energy.self_j, table))
        more.update(self._elsewhere(span, table))
        return more

    def _add_parts(
        self, more: Attributes, span: ReadableSpan, found: Finished, table: FactorTable
    ) -> None:
        try:
            at = self._simulated(span.end_time or 0)
            parts, reasons = self._parts.of(span, found, table, at)
        except Exception:  # noqa: BLE001 - a part that fails must not cost the span its own energy
            _log.warning("GO0732 span `%s` goes out without its parts", span.name, exc_info=True)
            return
        more.update(parts)
        for reason in reasons:
            self._observer.count_unknown(reason)

    def _price(
        self, span: ReadableSpan, found: Finished, energy: Joules, table: FactorTable
    ) -> Price:
        start, end = self._simulated(span.start_time or 0), self._simulated(span.end_time or 0)
        if start is None or end is None:
            return Price(None, NO_TIME, None, NO_TIME)
        return price(
            table,
            self._region_of(span),
            energy,
            cpu=seconds(found.cpu_ns),
            start=start,
            end=end,
            periods={
                datetime.fromtimestamp(p * PERIOD_S, UTC): e for p, e in found.periods.items()
            },
        )

    def _add_price(self, more: Attributes, cost: Price) -> None:
        for name, value, missing, why in (
            (names.CARBON_SELF, cost.carbon, names.CARBON_UNKNOWN, cost.carbon_unknown),
            (names.COST_SELF, cost.cost, names.COST_UNKNOWN, cost.cost_unknown),
        ):
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

    def _region_of(self, span: ReadableSpan) -> str | None:
        # On an outgoing call the region is that of the service called: the work here is done at home.
        own = None if span.kind in OUTGOING else (span.attributes or {}).get(names.CLOUD_REGION)
        return str(own) if own else self._home(span.resource)

    def _home(self, resource: Resource) -> str | None:
        found = resource.attributes.get(names.CLOUD_REGION)
        return str(found) if found else self._region

    def _elsewhere(self, span: ReadableSpan, table: FactorTable) -> Attributes:
        region = self._region_of(span)
        if region is None or region == self._home(span.resource):
            return {}
        return _place(table, region)

    def _method(self) -> Method | None:
        methods = [info.method for info in self._observer.meters]
        return max(methods, key=list(Method).index) if methods else None

    def _enriched(self, resource: Resource, table: FactorTable) -> Resource:
        instance = self._instance() if self._instance else ""
        kept = self._resource
        if kept and kept[0] is resource and kept[1:3] == (table.version, instance):
            return kept[3]
        more = self._constants(resource, table, instance)
        full = resource.merge(Resource(more))
        self._resource = (resource, table.version, instance, full)
        return full

    def _constants(self, resource: Resource, table: FactorTable, instance: str) -> Attributes:
        more: Attributes = {names.FACTORS_VERSION: table.version}
        meters = self._observer.meters
        method = self._method()
        if method is not None:
            more[names.ENERGY_METHOD] = str(method)
            more[names.ENERGY_SOURCE] = ",".join(sorted({info.name for info in meters}))
            more[names.ENERGY_UNCERTAINTY] = max(info.uncertainty for info in meters)
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


def _place(table: FactorTable, region: str) -> Attributes:
    """Grid zone and PUE that a region's numbers rest on."""
    factors = table.regions.get(region)
    if factors is None:
        return {}
    zone = {} if factors.zone is None else {names.GRID_ZONE: factors.zone}
    return {names.PUE: factors.pue, **zone}
