"""Charts say what the records say, in words too."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import altair
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenops.domain.console import DecisionRecord, FrontierPoint, WhatIfAnswer, WhatIfQuestion
from greenops.domain.decision import Candidate, Decision, Mode
from greenops.domain.workload import Limits
from greenops.show import charts
from greenops.show.format import grams_scale

DAY = datetime(2021, 10, 8, 8, tzinfo=UTC)
BASELINE = Candidate("baseline", "eu-central-1", start=DAY, carbon_g=0.0004, cost_usd=0.2)


def later(hours, grams):
    return Candidate(
        f"later-{hours}", "eu-central-1", start=DAY + timedelta(hours=hours), carbon_g=grams
    )


def record(*others, chosen=BASELINE, rejected=None):
    decision = Decision(
        "d-1", "j-1", "nightly", DAY, chosen, BASELINE, None, rejected or {}, {}, "why",
        Mode.ENFORCE, (), "ab" * 32,
        None, Limits(), None, None, {}, True,
    )  # fmt: skip
    return DecisionRecord(decision, (BASELINE, *others), (), {})


def states(spec):
    return {row["place"] + (row["start"] or ""): row["state"] for row in spec["data"]["values"]}


def test_starts_are_drawn_on_the_clock_with_what_became_of_each():
    noon, late = later(4, 0.0002), later(9, 0.0001)

    spec = charts.candidates_spec(
        record(noon, late, chosen=noon, rejected={"later-9": ("limit/deadline",)})
    )

    assert [row["state"] for row in spec["data"]["values"]] == ["refused", "baseline", "chosen"]
    assert [row["rules"] for row in spec["data"]["values"]] == ["limit/deadline", "none", "none"]
    assert spec["encoding"]["y"]["title"] == "CO2e [µg]"
    assert [row["g"] for row in spec["data"]["values"]] == pytest.approx([100, 400, 200])
    assert spec["encoding"]["x"]["scale"] == {"type": "utc"}
    altair.Chart.from_dict(spec)


@pytest.mark.feature("C10")
def test_places_are_drawn_cleanest_first_and_never_without_choice_and_baseline():
    places = [Candidate(f"r-{n}", f"r-{n}", start=DAY, carbon_g=float(n)) for n in range(1, 60)]

    spec = charts.candidates_spec(
        record(
            *places, chosen=places[-1], rejected={each.id: ("same-region",) for each in places[:-1]}
        )
    )

    drawn = states(spec)
    assert len(drawn) == charts.MOST_BARS + 2
    assert drawn["r-59" + DAY.isoformat()] == "chosen"
    assert drawn["eu-central-1 (baseline)" + DAY.isoformat()] == "baseline"
    assert drawn["r-1" + DAY.isoformat()] == "refused"
    altair.Chart.from_dict(spec)


def test_a_candidate_without_a_figure_is_left_out_and_alone_is_no_chart():
    unknown = Candidate("u", "us-west-1", start=DAY + timedelta(hours=1))

    assert charts.candidates_spec(record(unknown)) is None
    assert len(charts.candidates_spec(record(unknown, later(1, 1.0)))["data"]["values"]) == 2


def test_the_words_of_a_chart_name_choice_baseline_and_refusals():
    said = charts.candidates_alt(record(later(4, 0.0002), rejected={"later-4": ("r",)}))

    assert said == "Chart of CO2e of 2 candidates: chosen 400 µg, baseline 400 µg, 1 refused"


def test_what_waiting_gives_is_drawn_in_a_unit_that_can_be_read():
    points = tuple(FrontierPoint(float(h), 0.0004 - h * 1e-5, 0.2) for h in (1, 2, 3))
    question = WhatIfQuestion("nightly", 2.0, 0.1, move_regions=True)
    answer = WhatIfAnswer("w-1", question, record().decision, None, None, points, sendable=False)

    spec = charts.frontier_spec(answer)

    assert spec["layer"][0]["encoding"]["y"]["title"] == "CO2e of the run [µg]"
    assert [p["g"] for p in spec["layer"][0]["data"]["values"]] == pytest.approx([390, 380, 370])
    assert charts.frontier_alt(points).endswith("1 h: 390 µg, 2 h: 380 µg, 3 h: 370 µg")
    altair.Chart.from_dict(spec)


@given(st.lists(st.floats(1e-6, 1e9), min_size=1))
def test_the_largest_value_on_an_axis_has_one_to_three_figures_before_the_point(values):
    size, unit = grams_scale(values)

    assert 0.999 <= max(values) / size < 1000 or unit == "kg"


def test_an_axis_without_values_is_in_grams():
    assert grams_scale([None]) == (1.0, "g")
