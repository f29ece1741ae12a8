"""A chain of fakes under a clock of the test's, asked at once and without a thread."""

# Plain numbers stand for grams, dollars and kWh here.
# mypy: disable-error-code="arg-type,union-attr,dict-item,comparison-overlap,operator,misc"

from datetime import timedelta

from greenops.config import Settings
from greenops.errors import AdapterUnavailable
from greenops.pipeline.beside import at_once
from greenops.pipeline.grid_assembly import chained
from greenops.testing.clock import FakeClock
from greenops.testing.grid import START
from greenops.testing.grid_faults import FaultyGrid

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
NOW = START + 35 * DAY
"""Five weeks into the series: four of them make the usual course."""
DAYS = 45
AWAY = AdapterUnavailable("GO0320", "`first` cannot be reached at `https://example.org`: no answer")


class JumpyClock(FakeClock):
    """A clock whose date is set by somebody else, while monotonic time goes on."""

    def jump(self, by):
        self._now += by


def day(level=100.0):
    """A day that is clean at noon and dirty at night [g/kWh]."""
    return [level + abs(12 - hour) * 10 for hour in range(24)]


def grid(values=None, *, zone="DE", **more):
    """A provider of one zone that knows 45 days, with a forecast each day."""
    return FaultyGrid({zone: values or day() * DAYS}, **more)


def chain(
    tmp_path, *providers, clock=None, names=("first", "second", "third"), run=at_once, **settings
):
    """A chain of providers that are asked at once."""
    chosen = names[: len(providers)]
    for name, provider in zip(chosen, providers, strict=True):
        provider.called = name
    made = Settings(state=tmp_path, provider=",".join(chosen), **settings)
    return chained(chosen, providers, made, clock or FakeClock(NOW), run)[0]
