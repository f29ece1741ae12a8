"""A decider that weighs by the upper bound of carbon where its settings ask for that."""

from __future__ import annotations

from datetime import timedelta

import pytest

from greenops.cli.decisions import explain
from greenops.domain.console import JobRequest
from greenops.domain.grid import Forecast
from greenops.domain.record import canonical
from greenops.pipeline.decide import decide_again
from greenops.testing.grid import KIND, FakeGrid
from greenops.units import GramsPerKwh
from tests.integration.pipeline.test_replanning import FILE, KEY, NIGHT, House, at

VALUES = [400.0, 390, 380, 300, 310, 230, 320, 310, 320, 330, 200, 350] + [400.0] * 60


class Widening(FakeGrid):
    """The later an hour, the less its value is known."""

    said = None

    def forecast(self, zone, when):
        grams = tuple(GramsPerKwh(each) for each in VALUES)
        high = tuple(GramsPerKwh(each * (1 + 0.05 * hour)) for hour, each in enumerate(VALUES))
        return Forecast(
            zone,
            KIND,
            NIGHT,
            timedelta(hours=1),
            grams,
            issued_at=NIGHT,
            id="f",
            low=grams,
            high=high,
        )


def decide(state, **more):
    house = House(state, FILE, **more)
    house.use(Widening({"DE": VALUES}))
    record = house.decider.decide(JobRequest("night", KEY, NIGHT, triggered=True))
    house.close()
    return record, house.policies


@pytest.mark.feature("C5")
def test_near_the_deadline_a_start_that_is_better_known_wins_and_the_record_says_why(tmp_path):
    by_mean, _ = decide(tmp_path / "a")
    careful, policies = decide(tmp_path / "b", careful_slack_s=2 * 3600.0)

    assert by_mean.decision.chosen.start == at(10)
    assert careful.decision.chosen.start == at(5)
    assert careful.decision.by_upper_bound == "its P95 run would leave 1.0 h before its deadline"
    assert careful.candidates == by_mean.candidates, "the record keeps the means"
    assert canonical(decide_again(careful, policies)) == canonical(careful.decision)
    assert "weighed by     the upper bound of carbon, since its P95" in explain(careful)
    assert "weighed by" not in explain(by_mean)


def test_a_plan_with_slack_is_weighed_by_the_mean(tmp_path):
    made, _ = decide(tmp_path, careful_slack_s=0.5 * 3600.0, careful_age_s=3600.0)

    assert made.decision.chosen.start == at(10)
    assert made.decision.by_upper_bound is None
