"""The sentence of a decision says what changes, by how much, and what holds it back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from greenops.domain.decision import Candidate, Judgement, Verdict
from greenops.domain.workload import Limits
from greenops.plan.wording import reason
from greenops.units import Grams, GramsPerKwh, Usd

NOW = datetime(2021, 10, 8, 8, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
HOME = Candidate(
    "baseline",
    region="us-west-1",
    start=NOW,
    end=NOW + 2 * HOUR,
    carbon_g=Grams(1000),
    cost_usd=Usd(10),
)
JUDGED = Judgement(
    ("cleaner",), (Verdict("baseline", allowed=True),), Limits(), "0" * 64, "cleanest"
)
LATER = replace(HOME, id="x", start=NOW + 10 * HOUR, end=NOW + 12 * HOUR, carbon_g=Grams(640))


@pytest.mark.parametrize(
    ("chosen", "sentence"),
    [
        (
            LATER,
            (
                "waits from 08:00 until 18:00 UTC, 36% less carbon expected, at the same cost, "
                "done 2.0 h before its deadline"
            ),
        ),
        (
            replace(LATER, region="eu-north-1", cost_usd=Usd(11)),
            (
                "moves from us-west-1 to eu-north-1 and waits from 08:00 until 18:00 UTC, "
                "36% less carbon expected, 10% more cost, done 2.0 h before its deadline"
            ),
        ),
        (
            replace(HOME, id="x", region="eu-north-1", carbon_g=None, cost_usd=None),
            "moves from us-west-1 to eu-north-1, done 12.0 h before its deadline",
        ),
        (
            replace(LATER, start=NOW + 20 * HOUR, end=NOW + 22 * HOUR, carbon_g=Grams(1100)),
            (
                "waits from 08:00 until 2021-10-09 04:00 UTC, 10% more carbon expected, "
                "at the same cost, done 8.0 h after its deadline"
            ),
        ),
        (
            replace(HOME, id="spot", cost_usd=Usd(5), end=None),
            "takes spot in place of baseline, 0% less carbon expected, 50% less cost",
        ),
    ],
)
def test_a_change_is_told_with_its_figures(chosen: Candidate, sentence: str) -> None:
    assert reason(chosen, HOME, JUDGED, NOW + 14 * HOUR, 5) == sentence


def test_staying_tells_what_held_it_back() -> None:
    refused = tuple(Verdict(n, allowed=False, reasons=("same-region",)) for n in "ab")
    held = replace(JUDGED, verdicts=(*JUDGED.verdicts, *refused))

    told = {
        "refused": reason(HOME, HOME, held, None, 3),
        "alone": reason(HOME, HOME, JUDGED, None, 0),
        "best": reason(HOME, HOME, JUDGED, None, 3),
        "no policy": reason(HOME, HOME, replace(JUDGED, policies=()), None, 3),
        "no objective": reason(HOME, HOME, replace(JUDGED, objective=None), None, 3),
    }

    assert told == {
        "refused": "stays as it is: same-region refuses 2 of 3 other ways",
        "alone": "stays as it is: there is no other way to run it",
        "best": "stays as it is: none of 3 other ways is better under cleanest",
        "no policy": "stays as it is: no policy applies to it",
        "no objective": "stays as it is: no policy that applies has an objective",
    }


def refused(**figures):
    verdicts = [Verdict("baseline", allowed=True)]
    for name, why in figures.items():
        verdicts.append(
            Verdict(
                name, allowed=False, reasons=("limit/maxCarbon",), errors={"limit/maxCarbon": why}
            )
        )
    return replace(JUDGED, verdicts=tuple(verdicts))


def test_without_a_forecast_the_sentence_says_that_carbon_is_not_known():
    blind = replace(HOME, zone="CISO", carbon_g=None)
    judged = refused(a="`carbon_g` is absent", b="`carbon_g` is absent")

    assert reason(blind, blind, judged, None, 2) == (
        "stays as it is: no forecast for CISO, so carbon is not known, "
        "and limit/maxCarbon refuses 2 of 2 other ways"
    )


def test_a_forecast_without_energy_is_not_blamed_for_the_carbon():
    known = replace(HOME, carbon_g=None, intensity=GramsPerKwh(300))

    said = reason(known, known, refused(a="`carbon_g` is absent"), None, 1)

    assert said.startswith("stays as it is: carbon is not known, and limit/maxCarbon refuses 1")


def test_a_rule_that_knew_the_figure_of_some_ways_is_told_as_it_stands():
    said = reason(HOME, HOME, refused(a="`carbon_g` is absent", b=""), None, 2)

    assert said == "stays as it is: limit/maxCarbon refuses 2 of 2 other ways"
