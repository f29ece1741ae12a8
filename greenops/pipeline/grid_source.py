"""One grid provider with what it answered before: fresh for the step, then served while it is asked again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, TypeVar

from greenops.domain.grid import Forecast, GridZone, IntensitySeries
from greenops.errors import DataMissing, GreenOpsError, MixedQuantities
from greenops.grid.past import DAY, HOUR, WINDOW, covering
from greenops.pipeline.grid_answers import iso, none_in_force, refuse_nonsense, refuse_untimely
from greenops.pipeline.grid_kept import KeptAnswers
from greenops.pipeline.grid_limits import Patience
from greenops.pipeline.grid_worker import Question, Worker, answered, waited_s
from greenops.ports import Clock, GridProvider
from greenops.units import NS_PER_S

LEAST_FRESH: Final = timedelta(minutes=15)
"""How long an answer is taken as the newest where the step is shorter."""
STALE_FOR: Final = timedelta(hours=6)
"""Age up to which an answer is served at once while it is asked for again; for an older one the caller waits first."""
AROUND: Final = timedelta(hours=6)
"""How far back services ask for what was recorded."""
SETTLED: Final = timedelta(days=2)
"""Age from which recorded hours are taken as final."""
LONG: Final = timedelta(days=29)
"""Longest time of which what was recorded is kept as it was answered."""
MISSED_FOR_S: Final = 60.0
"""How long a question that was not answered is not put again [s]."""
MISSES: Final = 1024
"""Such questions that are remembered."""
LIST_FOR_S: Final = 86_400.0
"""How long a list of zones is taken as complete [s]."""


S = TypeVar("S", bound=IntensitySeries)


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of a question.

    Attributes:
        value: The newest answer that holds at the time; none where none does.
        error: Why that is not what was asked for; none where it is fresh, or is being asked for again.
    """

    value: Forecast | None
    error: GreenOpsError | None = None


@dataclass(slots=True)
class Source:
    """One provider of a chain.

    Attributes:
        provider: The provider itself; asked by the worker alone.
        kept: Its answers.
        worker: Asks it.
        clock: Simulated time for answers, monotonic for waiting.
        max_age: Age from which a forecast is not used at all.
        check_kind: Told of every answer; raises `MixedQuantities` where it may not be used here.
    """

    provider: GridProvider
    kept: KeptAnswers
    worker: Worker
    clock: Clock
    max_age: timedelta
    check_kind: Callable[[IntensitySeries], None]
    _misses: OrderedDict[object, tuple[int, GreenOpsError]] = field(default_factory=OrderedDict)
    _zones: tuple[GridZone, ...] = ()
    _listed_ns: int | None = None

    @property
    def name(self) -> str:
        """The provider's name."""
        return self.kept.provider

    # -- forecasts ------------------------------------------------------------

    def forecast(self, zone: str, at: datetime, wait_s: float, patience: Patience) -> Found:
        """The newest forecast in force at an instant; one that is not fresh is asked for again.

        Whoever asks waits only where nothing is kept or what is kept is old, at most `wait_s`.
        """
        kept = self._in_force(zone, at)
        if kept is not None and self._is_fresh(zone, at, kept.step):
            self._ask_for_past(zone)
            return Found(kept)
        question = self._put(("forecast", zone), lambda: self._foretell(zone, at))
        if kept is None or not self._is_fresh(zone, at, STALE_FOR):
            patience.spent(waited_s(question, wait_s, self.clock))
        if not question.over.is_set():
            late = self._too_slow() if kept is None else self.worker.problem
            return Found(kept, late)
        found = self._in_force(zone, at)
        if question.error is None or isinstance(question.error, DataMissing):
            # Also of a source without forecasts: its past will do for the usual course.
            self._ask_for_past(zone)
        if question.error is None and found is not None:
            return Found(found)
        return Found(found, question.error or none_in_force(self.name, zone))

    def archived(self, zone: str, at: datetime, wait_s: float) -> Forecast:
        """The forecast in force at an instant that is over; nothing of it is kept.

        Raises:
            GreenOpsError: It is not known, or cannot be asked for.
        """
        found: list[Forecast] = []

        def ask() -> None:
            found.append(self._checked_forecast(self.provider.forecast(zone, at), zone, at))

        question = self.worker.submit(("archived", zone, at), ask)
        waited_s(question, wait_s, self.clock)
        if found:
            return found[0]
        raise question.error or self._too_slow()

    def _in_force(self, zone: str, at: datetime) -> Forecast | None:
        found = self._of_my_kind(self.kept.of(zone).forecast)
        if found is None or not found.issued_at <= at < found.end:
            return None
        return found if at - found.issued_at <= self.max_age else None

    def _of_my_kind(self, kept: S | None) -> S | None:
        """What was kept, unless it was asked for under settings that gave another kind."""
        try:
            if kept is not None:
                self.check_kind(kept)
        except MixedQuantities:
            return None
        return kept

    def _is_fresh(self, zone: str, at: datetime, step: timedelta) -> bool:
        asked_at = self.kept.of(zone).asked_at
        # An instant before the question is another clock's, or this one was put back.
        return asked_at is not None and timedelta(0) <= at - asked_at < max(step, LEAST_FRESH)

    def _foretell(self, zone: str, at: datetime) -> None:
        found = self._checked_forecast(self.provider.forecast(zone, at), zone, at)
        self.kept.foretold(zone, found, at)

    def _checked_forecast(self, found: Forecast, zone: str, at: datetime) -> Forecast:
        refuse_nonsense(found, zone, self.name)
        refuse_untimely(found, at, self.name)
        self.check_kind(found)
        return found

    # -- what was recorded ----------------------------------------------------

    def actual(
        self, zone: str, start: datetime, end: datetime, wait_s: float, patience: Patience
    ) -> IntensitySeries:
        """Recorded intensity that covers a time; waits as `forecast` does.

        Raises:
            GreenOpsError: It is not known, or cannot be asked for.
        """
        now = self.clock.now()
        if end - start > LONG:
            return self._history(zone, start, end, wait_s, patience)
        kept = self.kept.covering(zone, start, end)
        if kept is not None:
            age = now - kept.asked_at
            if timedelta(0) <= age < max(kept.series.step, LEAST_FRESH) or end < now - SETTLED:
                return kept.series
        # What differs by less than that is one question: the loop asks for the second that runs.
        key = (
            "actual",
            zone,
            *(each.timestamp() // LEAST_FRESH.total_seconds() for each in (start, end)),
        )
        question = self._put(key, lambda: self._record(zone, start, end, now))
        if kept is None:
            patience.spent(waited_s(question, wait_s, self.clock))
        found = self.kept.covering(zone, start, end)
        if found is not None:
            return found.series
        raise question.error or self._too_slow()

    def _history(
        self, zone: str, start: datetime, end: datetime, wait_s: float, patience: Patience
    ) -> IntensitySeries:
        """So much of the past that whoever learns from it keeps it."""
        found: list[IntensitySeries] = []

        def ask() -> None:
            found.append(self.provider.actual(zone, start, end))
            self._check_whole(found[0], zone, start, end)

        question = self._put(("history", zone, start, end), ask)
        patience.spent(waited_s(question, wait_s, self.clock))
        if found and question.over.is_set() and question.error is None:
            return found[0]
        raise question.error or self._too_slow()

    def _record(self, zone: str, start: datetime, end: datetime, now: datetime) -> None:
        found = self._answer(zone, start, end, now)
        self._check_whole(found, zone, start, end)
        self.kept.recorded(zone, found, now)

    def _answer(self, zone: str, start: datetime, end: datetime, now: datetime) -> IntensitySeries:
        """What is asked of now takes the hours before along: services ask for them in the same hour."""
        earlier = now.replace(minute=0, second=0, microsecond=0) - AROUND
        if start > earlier:
            with suppress(DataMissing):
                return self.provider.actual(zone, earlier, end)
        return self.provider.actual(zone, start, end)

    def past(self, zone: str) -> IntensitySeries | None:
        """Whole hours of the zone that are known; none where none are."""
        return self._of_my_kind(self.kept.of(zone).past)

    def _ask_for_past(self, zone: str) -> None:
        """Once a day, behind all other questions: what the usual course will be made of in an outage."""
        if self.worker.problem is not None:
            return
        now, asked_at = self.clock.now(), self.kept.of(zone).past_asked_at
        if asked_at is None or not timedelta(0) <= now - asked_at < timedelta(days=1):
            end = now.replace(minute=0, second=0, microsecond=0)
            self.worker.submit(("past", zone), lambda: self._recall(zone, end), urgent=False)

    def _recall(self, zone: str, end: datetime) -> None:
        for hours in (WINDOW, DAY):
            try:
                found = self.provider.actual(zone, end - hours * HOUR, end)
            except DataMissing:
                continue
            self._check(found, zone)
            self.kept.recorded(zone, found, end, whole=True)
            return
        self.kept.asked_for_past(zone, end)

    # -- zones ----------------------------------------------------------------

    def zones(self, wait_s: float, patience: Patience | None = None) -> Sequence[GridZone]:
        """Zones that it lists, or listed last; empty where it never did."""
        now_ns = self.clock.monotonic_ns()
        if self._listed_ns is None or now_ns - self._listed_ns > LIST_FOR_S * NS_PER_S:
            self._zones = self._zones or self.kept.zones()
            question = self._put("zones", self._list)
            if not self._zones:
                waited = waited_s(question, wait_s, self.clock)
                if patience is not None:
                    patience.spent(waited)
        return self._zones

    def _list(self) -> None:
        found = tuple(self.provider.zones())
        if found != self._zones:
            self.kept.listed(found)
        self._zones, self._listed_ns = found, self.clock.monotonic_ns()

    # -- asking ---------------------------------------------------------------

    def _put(self, key: object, ask: Callable[[], None]) -> Question:
        """Put a question, unless it was not answered just now."""
        now_ns, missed = self.clock.monotonic_ns(), self._misses.get(key)
        if missed is not None and now_ns - missed[0] < MISSED_FOR_S * NS_PER_S:
            return answered(ask, missed[1])
        if self.worker.refused is not None:
            return answered(ask, self.worker.refused)
        if self.worker.problem is not None and self.worker.shut_for_s() > 0:
            return answered(ask, self.worker.problem)

        def remembering() -> None:
            try:
                ask()
            except DataMissing as error:
                self._misses[key] = now_ns, error
                while len(self._misses) > MISSES:
                    self._misses.popitem(last=False)
                raise
            self._misses.pop(key, None)

        return self.worker.submit(key, remembering)

    def _check_whole(
        self, series: IntensitySeries, zone: str, start: datetime, end: datetime
    ) -> None:
        self._check(series, zone)
        if covering(series, start, end) is None:
            raise DataMissing(
                "GO0303",
                f"`{self.name}` has `{zone}` from {iso(series.start)} to {iso(series.end)} only",
            )

    def _check(self, series: IntensitySeries, zone: str) -> None:
        refuse_nonsense(series, zone, self.name)
        self.check_kind(series)

    def _too_slow(self) -> GreenOpsError:
        return self.worker.problem or DataMissing(
            "GO0345",
            f"`{self.name}` has not answered yet",
            fix="it is asked on in the background; `grid_wait_s` says how long a decision waits",
        )
