"""Lays the points of a source's answer on a regular grid of time: sorted, gaps kept, contradictions refused."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final

from greenops.domain.grid import Forecast, IntensitySeries, SeriesKind
from greenops.errors import DataMissing
from greenops.units import GramsPerKwh

MOST_GRAMS: Final = 5_000.0
"""Above this a value is no carbon intensity [gCO2e/kWh]; the dirtiest plants emit under 2,000."""
MOST_VALUES: Final = 200_000
"""Longest series [values]; a year of five minutes is 105,408."""
SKEW: Final = timedelta(minutes=5)
"""How long before its answer a question may be from: it waits its turn, and a source's clock may run ahead."""


@dataclass(frozen=True, slots=True)
class Point:
    """One value of a source, which holds from an instant on.

    Attributes:
        at: Aware instant.
        value: In the unit of the series; none where the source has a gap.
        estimated: Whether the source estimated it; none where it does not say.
    """

    at: datetime
    value: float | None
    estimated: bool | None = None


@dataclass(frozen=True, slots=True)
class Laid:
    """Values on a regular grid: value `i` holds from `start + i * step`; none is a gap."""

    start: datetime
    step: timedelta
    values: tuple[float | None, ...]
    estimated: tuple[bool, ...] | None

    @property
    def end(self) -> datetime:
        """First instant after the last value."""
        return self.start + self.step * len(self.values)


def instant(text: object) -> datetime:
    """An instant as a source writes it, in UTC.

    Raises:
        ValueError: It is none, or does not say its offset.
    """
    if not isinstance(text, str):
        raise ValueError(f"`{text!r:.40}` is no time")  # noqa: TRY004 - of an answer, not of a call
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"`{text:.40}` is no time") from None
    if at.tzinfo is None:
        raise ValueError(f"time `{text:.40}` has no offset")
    return at.astimezone(UTC)


def number(value: object) -> float | None:
    """A number as a source gives it; none for null and NaN, which are gaps.

    Raises:
        ValueError: It is no number, or infinite.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"`{value!r:.40}` is no number")  # noqa: TRY004 - as above
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if math.isinf(found):
        raise ValueError("a number is infinite")
    return None if math.isnan(found) else found


def grams(value: object, at: datetime, per_unit: float = 1.0) -> float | None:
    """A carbon intensity [gCO2e/kWh]; none for a gap.

    Args:
        value: As the source gives it.
        at: When, for the error.
        per_unit: Grams per kWh in one unit of the source.

    Raises:
        ValueError: It is negative, above 5,000 g/kWh or no number; then the unit is not what it was taken for.
    """
    found = number(value)
    if found is None:
        return None
    found *= per_unit
    if not 0 <= found <= MOST_GRAMS:
        raise ValueError(f"{found:g} g/kWh at {iso(at)} cannot be")
    return found


def lay(points: Iterable[Point], step: timedelta | None = None) -> Laid:
    """Points on a regular grid, in any order; where none lies, there is a gap.

    Args:
        points: At least one. The same value twice is one, and a value stands before a gap.
        step: Of the grid; none takes the smallest distance between two points.

    Raises:
        ValueError: Two values of one instant differ, a point lies off the grid, or there are none or too many.
    """
    found: dict[datetime, Point] = {}
    for each in points:
        before = found.setdefault(each.at, each)
        if before.value is None:
            found[each.at] = each
        elif each.value is not None and each.value != before.value:
            raise ValueError(f"two values for {iso(each.at)}: {before.value:g} and {each.value:g}")
        elif each.value is not None:
            found[each.at] = each
    if not found:
        raise ValueError("no values")
    times = sorted(found)
    return _filled(found, times, step or _smallest(times))


def _smallest(times: Sequence[datetime]) -> timedelta:
    if len(times) == 1:
        raise ValueError("one value alone tells no step")
    return min(later - earlier for earlier, later in pairwise(times))


def _filled(found: Mapping[datetime, Point], times: Sequence[datetime], step: timedelta) -> Laid:
    start = times[0]
    count = (times[-1] - start) // step + 1
    if count > MOST_VALUES:
        raise ValueError(f"{count} values in steps of {step} are too many")
    places: list[Point | None] = [None] * count
    for at in times:
        index, off = divmod(at - start, step)
        if off:
            raise ValueError(f"{iso(at)} lies off the grid of {step} from {iso(start)}")
        places[index] = found[at]
    said = [each.estimated for each in found.values()]
    return Laid(
        start,
        step,
        tuple(None if each is None else each.value for each in places),
        # A gap that the source left is no estimate.
        None if None in said else tuple(bool(each and each.estimated) for each in places),
    )


def pieces(
    start: datetime, end: datetime, step: timedelta, longest: timedelta
) -> Iterator[tuple[datetime, datetime]]:
    """A time in pieces that one question may span, rounded outward to whole steps of the UTC day.

    Args:
        start: First instant.
        end: First instant after.
        step: Length that the day is divided into.
        longest: Of a piece.
    """
    first, last = whole(start, end, step)
    while first < last:
        past = min(first + longest, last)
        yield first, past
        first = past


def whole(start: datetime, end: datetime, step: timedelta) -> tuple[datetime, datetime]:
    """A time, rounded outward to whole steps of the UTC day."""
    last = floor(end, step)
    return floor(start, step), last if last == end else last + step


def floor(at: datetime, step: timedelta) -> datetime:
    """Start of the step of the UTC day that holds an instant."""
    at = at.astimezone(UTC)
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + (at - midnight) // step * step


def covering(laid: Laid, start: datetime, end: datetime, what: str) -> Laid:
    """The steps that cover `[start, end)`.

    Args:
        laid: What the source gave.
        start: First instant.
        end: First instant after.
        what: Whose values they are, for the error: "`neso` has no actual intensity of `GB`".

    Raises:
        DataMissing: The source gave less.
    """
    first, past = (start - laid.start) // laid.step, -((laid.start - end) // laid.step)
    if first < 0 or past > len(laid.values) or first >= past:
        raise DataMissing(
            "GO0303",
            f"{what} for {iso(start)} to {iso(end)}; it gives {iso(laid.start)} to {iso(laid.end)}",
            fix="ask for a time in it, or choose another grid provider",
        )
    part = slice(first, past)
    estimated = None if laid.estimated is None else laid.estimated[part]
    return Laid(laid.start + first * laid.step, laid.step, laid.values[part], estimated)


def as_series(
    laid: Laid, zone: str, kind: SeriesKind, published_at: datetime | None = None
) -> IntensitySeries:
    """Intensities that were laid, as the port gives them."""
    return IntensitySeries(
        zone,
        kind,
        laid.start,
        laid.step,
        all_grams(laid.values),
        estimated=laid.estimated,
        published_at=published_at,
    )


def as_forecast(
    laid: Laid, zone: str, kind: SeriesKind, *, issued_at: datetime, at: datetime
) -> Forecast:
    """A forecast that was laid, as the port gives it.

    Args:
        laid: Its values.
        zone: Whose they are.
        kind: What they are.
        issued_at: When the source says that it said it; a little after `at` is the question's way, and counts as
            `at`.
        at: The forecast must have been known then, and say something of then or later.

    Raises:
        DataMissing: It was issued later, or ended before.
    """
    if issued_at > at + SKEW:
        raise DataMissing(
            "GO0305",
            f"`{kind.source}` has no forecast of `{zone}` known at {iso(at)}; its newest is of {iso(issued_at)}",
        )
    if at >= laid.end:
        raise DataMissing(
            "GO0305",
            f"the newest forecast of `{zone}` from `{kind.source}`, of {iso(issued_at)}, ended at {iso(laid.end)}",
        )
    issued = min(issued_at, at)
    return Forecast(
        zone,
        kind,
        laid.start,
        laid.step,
        all_grams(laid.values),
        estimated=laid.estimated,
        issued_at=issued,
        id=f"{kind.source}/{zone}/{issued.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
    )


def iso(at: datetime) -> str:
    """An instant for a person, to the minute."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ")


def all_grams(values: Iterable[float | None]) -> tuple[GramsPerKwh | None, ...]:
    """Values as intensities [gCO2e/kWh]; none stays a gap."""
    return tuple(None if each is None else GramsPerKwh(each) for each in values)
