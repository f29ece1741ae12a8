"""Simulated time beside wall time, as `GREENOPS_REPLAY=<sim start>@<wall start>@<rate>` says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from greenops.errors import UsageError

VARIABLE = "GREENOPS_REPLAY"


@dataclass(frozen=True, slots=True)
class Replay:
    """A linear map from wall time to simulated time; both aware UTC.

    Attributes:
        sim_start: Simulated instant that belongs to `wall_start`.
        wall_start: Wall instant at which the replay began.
        rate: Simulated seconds per wall second, above zero.
    """

    sim_start: datetime
    wall_start: datetime
    rate: float

    def simulated(self, wall: datetime) -> datetime:
        """The simulated instant of a wall instant."""
        return self.sim_start + (wall - self.wall_start) * self.rate

    def wall(self, simulated: datetime) -> datetime:
        """The wall instant of a simulated instant."""
        return self.wall_start + (simulated - self.sim_start) / self.rate

    def wall_span(self, simulated: timedelta) -> timedelta:
        """How long a simulated span lasts on the wall."""
        return simulated / self.rate

    def __str__(self) -> str:
        """Give the value of the environment variable."""
        return f"{_iso(self.sim_start)}@{_iso(self.wall_start)}@{self.rate:g}"


def parse_replay(text: str | None) -> Replay | None:
    """Read the variable's value; none where it is not set.

    Raises:
        UsageError: The value has another form.
    """
    if not text:
        return None
    try:
        sim, wall, rate = text.split("@")
        replay = Replay(_instant(sim), _instant(wall), float(rate))
    except ValueError as error:
        raise UsageError(
            "GO0801",
            f"`{VARIABLE}={text}` is not `<sim start>@<wall start>@<rate>`",
            fix="for example 2021-10-08T06:00:00Z@2026-11-23T10:00:00Z@1440",
        ) from error
    if not replay.rate > 0:
        raise UsageError("GO0801", f"`{VARIABLE}` has rate `{rate}`; it must be above zero")
    return replay


def _instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError("naive")
    return instant.astimezone(UTC)


def _iso(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
