"""The energy of a call that is served elsewhere, as attributes of the caller's span."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind

from greenops.domain.factors import FactorTable, RegionFactors
from greenops.domain.language_model import CallEnergy, CallUnknown, Tokens
from greenops.domain.spans import credible
from greenops.observe import attributes as names
from greenops.observe import call_place
from greenops.observe.call_place import Place, Places
from greenops.observe.emissions import intensity_at
from greenops.observe.enriched import Attributes, said_by
from greenops.observe.gen_ai import Call, call, is_call
from greenops.observe.language_model import LanguageModels
from greenops.units import Joules, emissions

KEPT: Final = 8_192
"""Open spans above a counted call that are remembered; the oldest goes."""
FLOPS_PER_PARAMETER: Final = 2
"""Operations of a forward pass per active parameter and token: one product, one sum."""


class Remote(NamedTuple):
    """What is known of a call: its attributes, its energy, its tokens, and reasons for what is missing."""

    attributes: Attributes
    energy: CallEnergy | None
    tokens: Tokens | None
    reasons: tuple[str, ...]


NONE: Final = Remote({}, None, None, ())


class RemoteCalls:
    """Knows which calls it counted, so that a call that two instrumentations tell is counted once. Stability: beta.

    Args:
        models: Estimates.
        version: Content hash of what they rest on.
        places: Tells calls to elsewhere from calls to here.
        flops: Adds floating-point operations.
    """

    def __init__(
        self, models: LanguageModels, version: str, places: Places, *, flops: bool = False
    ) -> None:
        self._models, self._version, self._places = models, version, places
        self._flops = flops
        self._lock = threading.Lock()
        self._above: OrderedDict[int, None] = OrderedDict()

    def of(self, span: ReadableSpan, table: FactorTable, at: datetime | None) -> Remote:
        """What a span's call drew elsewhere.

        Args:
            span: Ended.
            table: Factors in force, for the region of the called service.
            at: Simulated end of the span; none where its time cannot be.
        """
        counted_below = self._passes(span)
        said = said_by(span)
        if counted_below or not is_call(span.kind, said):
            return NONE
        told = call(said)
        address = call_place.address(said)
        place = self._places.of(span.kind, told.provider, address)
        if place is Place.HERE:
            return NONE
        factors = _factors(span, said, table)
        found = self._energy(said, told, place, address, factors)
        if not isinstance(found, tuple):
            return Remote({names.ENERGY_REMOTE_UNKNOWN: str(found)}, None, None, (str(found),))
        self._count(span)
        return self._told(found, told, factors, at, table)

    def _energy(
        self,
        said: Mapping[str, object],
        told: Call,
        place: Place,
        address: str | None,
        factors: RegionFactors | None,
    ) -> CallEnergy | CallUnknown:
        reported = said.get(names.ENERGY_REPORTED)
        if reported is not None:
            return self._reported(reported)
        if place is Place.UNKNOWN:
            return CallUnknown.UNKNOWN_SERVER
        model, tokens = told.model, told.tokens
        if isinstance(model, CallUnknown):
            return model
        if isinstance(tokens, CallUnknown):
            return tokens
        pue = None if factors is None else factors.pue
        return self._models.estimate(model, tokens, server=address, pue=pue)

    def _reported(self, value: object) -> CallEnergy | CallUnknown:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not credible(value):  # type: ignore[arg-type]
            return CallUnknown.BAD_REPORT
        return self._models.reported(Joules(float(value)))  # type: ignore[arg-type]

    def _told(
        self,
        found: CallEnergy,
        told: Call,
        factors: RegionFactors | None,
        at: datetime | None,
        table: FactorTable,
    ) -> Remote:
        more: Attributes = {
            names.ENERGY_REMOTE: found.energy,
            names.ENERGY_REMOTE_LOW: found.low,
            names.ENERGY_REMOTE_HIGH: found.high,
            names.ENERGY_REMOTE_METHOD: str(found.method),
            names.ENERGY_REMOTE_SOURCE: str(found.trust),
            # As with the method: on a span only where it differs from the resource's.
            names.FACTORS_VERSION: f"{table.version}+{self._version}",
        }
        grams = _carbon(found.energy, factors, at)
        reasons: tuple[str, ...] = ()
        if isinstance(grams, str):
            more[names.CARBON_REMOTE_UNKNOWN], reasons = grams, (grams,)
        else:
            more[names.CARBON_REMOTE] = grams
        tokens = told.tokens if isinstance(told.tokens, tuple) else None
        if self._flops:
            more.update(self._operations(told.model, tokens))
        return Remote(more, found, tokens, reasons)

    def _operations(self, model: str, tokens: Tokens | None) -> Attributes:
        size = None if tokens is None else self._models.size(model)
        if tokens is None or size is None:
            return {}
        passed = tokens.fresh + tokens.output
        flops = FLOPS_PER_PARAMETER * size.active_b * 1e9 * passed
        return {names.FLOPS: flops, names.FLOPS_ESTIMATED: True}

    def _passes(self, span: ReadableSpan) -> bool:
        """Whether a call below a span was counted; its parent is above that call too."""
        if not self._above or span.context is None:
            return False
        with self._lock:
            if span.context.span_id not in self._above:
                return False
            del self._above[span.context.span_id]
            self._remember(span)
        return True

    def _count(self, span: ReadableSpan) -> None:
        with self._lock:
            self._remember(span)

    def _remember(self, span: ReadableSpan) -> None:
        # A child ends before its parent, so that its mark is there when the parent comes.
        if span.parent is not None and not span.parent.is_remote:
            self._above[span.parent.span_id] = None
            if len(self._above) > KEPT:
                self._above.popitem(last=False)


def _factors(
    span: ReadableSpan, said: Mapping[str, object], table: FactorTable
) -> RegionFactors | None:
    # Only on an outgoing call the region is that of the service called.
    region = said.get(names.CLOUD_REGION) if span.kind is SpanKind.CLIENT else None
    return table.regions.get(region) if isinstance(region, str) else None


def _carbon(energy: Joules, factors: RegionFactors | None, at: datetime | None) -> float | str:
    if factors is None:
        return "no_remote_region"
    if at is None:
        return "no_time"
    if factors.zone is None:
        return "no_zone"
    intensity = intensity_at(factors, at)
    # The energy is at the boundary of the site: the PUE is in it.
    return "no_intensity" if intensity is None else emissions(energy, intensity)
