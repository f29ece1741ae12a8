"""Grid providers in a row: the first that answers, then what it said last, then the usual course; each stand-in says why.

Nothing here raises but `DataMissing`, and no decision waits longer than the bound: what takes longer is asked on in the background.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from greenops.domain.grid import Forecast, GridZone, IntensitySeries, SeriesKind
from greenops.errors import DataMissing, GreenOpsError, MixedQuantities
from greenops.pipeline.grid_limits import Patience
from greenops.pipeline.grid_source import LONG, Found, Source
from greenops.pipeline.grid_zones import ZoneNames
from greenops.pipeline.savings_by_day import ForecastArchive
from greenops.ports import Clock

PRESENT: Final = timedelta(hours=3)
"""How far back an instant still asks for what is in force; what was in force before that is looked up as such.
A fast replay goes on by an hour while a decision is made."""
YESTERDAYS: Final = timedelta(hours=24)
"""Age from which a forecast is called old, whoever gives it: the slowest sources issue once a day."""
FOR_ACTUAL: Final = 1 / 3
"""Part of the bound that is waited for what was recorded; the rest is waited for forecasts."""
HISTORY_WAIT_S: Final = 60.0
"""How long is waited for long pasts by whoever may, all together [s]."""
LISTED: Final = "`greenops grid zones` lists those it has"
WHY: Final = 200
"""Most characters of a reason that a forecast carries."""
HAS_NONE: Final = "GO0305"
"""Error of a provider that has no forecast of a zone; any other says that it had one and does not give it."""


@dataclass(slots=True)
class Kinds:
    """Holds what may stand in to the kind of the first provider.

    Attributes:
        first: The first one's kind; none until it is known.
    """

    first: SeriesKind | None

    def learn(self, series: IntensitySeries) -> None:
        """What the first provider answers is what is asked for."""
        self.first = series.kind

    def check(self, series: IntensitySeries) -> None:
        """Refuse what is of another kind.

        Raises:
            MixedQuantities: It is.
        """
        if self.first is not None:
            refuse_mixed(self.first, series.kind)


def refuse_mixed(first: SeriesKind, other: SeriesKind) -> None:
    """Only a provider of the same signal, factors and basis may stand in for another.

    Raises:
        MixedQuantities: They differ; names in what.
    """
    what = first.differs_in(other)
    if what is not None:
        ours, theirs = getattr(first, what), getattr(other, what)
        raise MixedQuantities(
            "GO0301",
            f"`{other.source}` gives `{theirs}` intensity and cannot stand in for `{first.source}`, which "
            f"gives `{ours}`: {what} differs",
            fix="leave it out of `provider`",
        )


@dataclass(slots=True)
class GridChain:
    """A grid provider made of others, in the order of their worth.

    Attributes:
        sources: The providers; all but the first only stand in.
        names: What each source calls a zone.
        kinds: What may stand in.
        clock: Simulated time for forecasts, monotonic for waiting.
        bound_s: Longest that a decision waits for all of them together [s].
        patient: Whoever asks for a long past may wait for it: no decision does.
    """

    sources: Sequence[Source]
    names: ZoneNames
    kinds: Kinds
    clock: Clock
    bound_s: float
    patient: bool = False
    _for_forecasts: Patience = field(init=False)
    _for_actual: Patience = field(init=False)
    _for_history: Patience = field(init=False)

    def __post_init__(self) -> None:
        """Begin rested; what services account for does not use up what decisions may wait."""
        self._for_actual = Patience(self.bound_s * FOR_ACTUAL)
        self._for_forecasts = Patience(self.bound_s * (1 - FOR_ACTUAL))
        self._for_history = Patience(HISTORY_WAIT_S)

    @property
    def name(self) -> str:
        """Names of its providers, as the setting has them."""
        return ",".join(each.name for each in self.sources)

    def zones(self) -> Sequence[GridZone]:
        """Zones that the first provider lists; while it never did, those that regions need."""
        patience = self._for_actual
        wait_s = patience.left_s(self.clock.monotonic_ns())
        listed = self.sources[0].zones(wait_s, patience)
        return listed or tuple(GridZone(each, each) for each in self.names.needed())

    def successes(self) -> Mapping[str, datetime]:
        """Provider → when it last gave data (wall time); one that never did is absent."""
        found = ((each.name, each.worker.last_success) for each in self.sources)
        return {name: at for name, at in found if at is not None}

    def issues(self, zone: str) -> Sequence[datetime]:
        """When each forecast of the zone was issued, where the first provider keeps them.

        Raises:
            DataMissing: It keeps none.
        """
        first = self.sources[0]
        if isinstance(first.provider, ForecastArchive):
            return first.provider.issues(self._called(first, zone))
        raise DataMissing("GO0310", f"grid provider `{first.name}` keeps no forecasts of `{zone}`")

    # -- what was recorded ----------------------------------------------------

    def actual(self, zone: str, start: datetime, end: datetime) -> IntensitySeries:
        """Recorded intensity that covers `[start, end)`, from the first provider that knows it.

        Raises:
            DataMissing: None knows it now.
        """
        start, end = start.astimezone(UTC), end.astimezone(UTC)
        errors: list[GreenOpsError] = []
        patience = self._for_actual
        if end - start > LONG:
            patience = self._for_history if self.patient else self._for_forecasts
        for place, source in enumerate(self._usable()):
            wait_s = self._share(patience, place)
            try:
                called = self._called(source, zone)
                found = source.actual(called, start, end, wait_s, patience)
            except GreenOpsError as error:
                errors.append(error)
            else:
                return replace(found, zone=zone)
        raise _missing("recorded intensity", zone, errors)

    # -- forecasts ------------------------------------------------------------

    def forecast(self, zone: str, at: datetime) -> Forecast:
        """The best that is known of the hours from `at` on; `degraded` says where that is not what was asked for.

        Raises:
            DataMissing: Nothing is known of them.
        """
        at = at.astimezone(UTC)
        if at < self.clock.now() - PRESENT:
            return self._archived(zone, at)
        old: list[tuple[Forecast, str]] = []
        errors: list[GreenOpsError] = []
        for place, source in enumerate(self._usable()):
            wait_s = self._share(self._for_forecasts, place)
            found = self._ask(source, zone, at, wait_s)
            value = None if found.value is None else replace(found.value, zone=zone)
            if value is not None and found.error is None:
                return self._served(value, source, at, errors)
            if found.error is not None:
                errors.append(found.error)
            if value is not None:
                old.append((value, str(errors[0])))
        return self._in_place(zone, at, old, errors)

    def _ask(self, source: Source, zone: str, at: datetime, wait_s: float) -> Found:
        try:
            called = self._called(source, zone)
        except DataMissing as error:
            return Found(None, error)
        return source.forecast(called, at, wait_s, self._for_forecasts)

    def _served(
        self, value: Forecast, source: Source, at: datetime, errors: list[GreenOpsError]
    ) -> Forecast:
        if errors:
            why = f"`{source.name}` stands in for `{self.sources[0].name}`: {errors[0]}"
            return degraded(value, why)
        if at - value.issued_at > YESTERDAYS:
            return degraded(value, f"`{source.name}` has no newer one than of {_ago(value, at)}")
        return value

    def _in_place(
        self,
        zone: str,
        at: datetime,
        old: list[tuple[Forecast, str]],
        errors: list[GreenOpsError],
    ) -> Forecast:
        """What was foretold before, while it holds for long enough; else the usual course; else what is left of it."""
        for value, why in old:
            if value.end - at >= (value.end - value.start) / 2:
                return _kept(value, at, why)
        # Arrays load where the usual course is needed: most processes never need it.
        from greenops.grid.climatology import climatology

        # One that is away has worse to tell than one that never has a forecast.
        why = str(next((each for each in errors if each.code != HAS_NONE), errors[0]))
        for past in self._pasts(zone):
            usual = climatology(past, at, why)
            if usual is not None:
                return degraded(usual, usual.degraded or "")
        for value, why in old:
            return _kept(value, at, why)
        raise _missing("forecast", zone, errors)

    def _pasts(self, zone: str) -> Iterator[IntensitySeries]:
        for source in self._usable():
            with suppress(DataMissing):
                past = source.past(self._called(source, zone))
                if past is not None:
                    yield replace(past, zone=zone)

    def _archived(self, zone: str, at: datetime) -> Forecast:
        errors = []
        for source in self._usable():
            try:
                found = source.archived(self._called(source, zone), at, self.bound_s)
            except GreenOpsError as error:
                errors.append(error)
            else:
                return replace(found, zone=zone)
        raise _missing("forecast", zone, errors)

    # -- which source ---------------------------------------------------------

    def _usable(self) -> Sequence[Source]:
        """The first, and what may stand in for it; nothing may while the first one's kind is not known."""
        first, *others = self.sources
        if self.kinds.first is None:
            return [first]
        return [first, *(each for each in others if each.worker.refused is None)]

    def _called(self, source: Source, zone: str) -> str:
        """What a source calls a zone.

        Raises:
            DataMissing: It does not have it.
        """
        listed = source.zones(0.0)
        found = self.names.known_as(zone, listed)
        if found is None:
            raise DataMissing(
                "GO0302", f"`{source.name}` does not have grid zone `{zone}`", fix=LISTED
            )
        return found

    def _share(self, patience: Patience, place: int) -> float:
        """What one of the sources may take of the time that is left, so that the next ones have theirs."""
        left = patience.left_s(self.clock.monotonic_ns())
        return left / max(1, len(self.sources) - place)


def _missing(what: str, zone: str, errors: Sequence[GreenOpsError]) -> DataMissing:
    """One error for all; that of a source alone keeps its code and its words, and where none has forecasts, that is said."""
    if len(errors) == 1:
        only = errors[0]
        return DataMissing(only.code, only.message, at=only.at, fix=only.fix)
    whys = "; ".join(dict.fromkeys(str(each) for each in errors)) or "no provider can be used"
    codes = {each.code for each in errors}
    return DataMissing(
        HAS_NONE if codes == {HAS_NONE} else "GO0340",
        f"no {what} of `{zone}` can be had now: {whys}",
        fix="look with `greenops grid check`",
    )


def degraded(value: Forecast, why: str) -> Forecast:
    """A forecast that says why it stands in for what was asked for."""
    said = why if len(why) <= WHY else f"{why[: WHY - 2]} …"
    return replace(value, degraded=said)


def _kept(value: Forecast, at: datetime, why: str) -> Forecast:
    return degraded(value, f"the forecast of {_ago(value, at)}, for no newer one can be had: {why}")


def _ago(value: Forecast, at: datetime) -> str:
    hours = (at - value.issued_at) / timedelta(hours=1)
    return f"{value.issued_at:%Y-%m-%d %H:%M} UTC ({hours:.0f} h ago)"
