"""Candidate sets made ahead of the shop's day: on real forecasts, early enough, and kept until it closes."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from greenops.adapters.packaged import packaged
from greenops.adapters.shipped_grid import ShippedGrid
from greenops.config import Settings
from greenops.domain.console import JobRequest
from greenops.domain.replay import Replay
from greenops.grid.series import mean_intensity
from greenops.pipeline.decide import Decider
from greenops.pipeline.grid import load_grid
from greenops.pipeline.policies import read_policies
from greenops.testing.clock import FakeClock

BERLIN = ZoneInfo("Europe/Berlin")
HOUR, SLOT = timedelta(hours=1), timedelta(minutes=30)
RUN, P95, TTL, AHEAD = HOUR, 1.5 * HOUR, 24 * HOUR, 2 * HOUR
"""As the template has them."""


def days():
    """Opening at eight and closing at ten in the evening, of every fourth day of the half year."""
    for issued in ShippedGrid().issues("DE")[1:-2:4]:
        day = issued.date() + timedelta(days=1)
        opens, closes = (datetime.combine(day, time(at), BERLIN) for at in (8, 22))
        yield opens.astimezone(UTC), closes.astimezone(UTC)


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.feature("B4")
def test_sets_are_made_two_hours_ahead_at_the_cleanest_slot_whose_cache_lasts_until_closing():
    settings = Settings()
    policies = read_policies(packaged("policies") / "templates" / "classes")
    grid = load_grid(settings, FakeClock())
    moved = 0

    for opens, closes in days():
        submitted = opens - 10 * HOUR  # in the evening, when the day's sales are known
        clock = FakeClock(submitted, Replay(submitted, submitted, 1.0))
        request = JobRequest("template-candidate-sets", f"sets/{opens:%Y-%m-%d}", submitted)

        decision = Decider(settings, clock, policies, grid).decide(request).decision

        chosen = decision.chosen
        assert chosen.start + P95 <= opens - AHEAD
        assert chosen.end + TTL >= closes
        forecast = grid.provider.forecast("DE", submitted)
        slots = [submitted + n * SLOT for n in range(21)]
        lasting = [s for s in slots if s + P95 <= opens - AHEAD and s + RUN + TTL >= closes]
        means = {each: mean_intensity(forecast, each, each + RUN) for each in lasting}
        best = min(means, key=lambda each: (means[each], each))
        # The policy moves a run where that saves 5 % at least.
        worth = means[best] <= 0.95 * means[submitted]
        assert chosen.start == (best if worth else submitted)
        moved += worth

    assert moved >= 10
