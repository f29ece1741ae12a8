"""Questions to roll-ups get what a plain loop over the spans gives, whichever files cover the period."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

import numpy as np
import pytest

from greenops.domain.factors import FactorTable, RegionFactors
from greenops.domain.spans import sound
from greenops.errors import UsageError
from greenops.pipeline.rollup_query import Question, RollupReader, most
from greenops.pipeline.rollup_recompute import Recompute, recompute
from greenops.units import GramsPerKwh, emissions
from tests.unit.pipeline.rollup_lakes import DAY_ONE, QUANTA, Lake, random_spans, span

HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    lake = Lake(tmp_path_factory.mktemp("lake"))
    rows = random_spans(random.Random(1), 900, hours=60)
    lake.write(rows, "a")
    lake.refresh()
    return lake, [sound(row) for row in rows]


PERIODS = {
    "days": (0.0, 72.0),
    "hours": (3.0, 51.0),
    "minutes": (5.25, 5.75),
    "crooked": (1.1, 49.6),
    "within a day": (2.5, 9.5),
    "nothing": (400.0, 420.0),
}


@pytest.mark.parametrize("step", [None, "hour", "day", "minute"])
@pytest.mark.parametrize("period", PERIODS.values(), ids=PERIODS)
def test_an_answer_is_what_the_spans_of_the_period_add_up_to(made, period, step):
    lake, rows = made
    begins, ends = (DAY_ONE + each * HOUR for each in period)
    expected = defaultdict(lambda: [0, 0])
    for row in rows:
        if begins <= row.time < ends and row.region == "eu":
            cut = {"minute": 16, "hour": 13, "day": 10, None: 0}[step]
            cell = expected[row.time.isoformat()[:cut], row.service, row.unknown]
            cell[0] += 1
            cell[1] += 0 if row.energy_j is None else round(Fraction(row.energy_j) * QUANTA)

    answer = RollupReader(lake.rollups).answer(
        Question(begins, ends, ("service", "unknown"), step, {"region": "eu"})
    )

    cut = {"minute": 16, "hour": 13, "day": 10, None: 0}[step]
    found = {}
    for row in answer.to_pylist():
        at = row["begins"].isoformat()[:cut] if step else ""
        assert (at, row["service"], row["unknown"]) not in found
        found[at, row["service"], row["unknown"]] = [row["spans"], row["energy_j"]]
    assert found == {
        key: [spans, quanta / QUANTA if quanta else None]
        for key, (spans, quanta) in expected.items()
    }


def test_a_quantile_lies_within_a_sixteenth_of_that_of_the_spans(made):
    lake, rows = made
    answer = RollupReader(lake.rollups).answer(Question(DAY_ONE, DAY_ONE + 72 * HOUR, ("service",)))

    for row in answer.to_pylist():
        own = [each for each in rows if each.service == row["service"] and each.end >= each.start]
        lasted = [(each.end - each.start).total_seconds() * 1e3 for each in own]
        for name, share in (("p50_ms", 50), ("p95_ms", 95)):
            true = np.percentile(lasted, share, method="inverted_cdf")
            assert row[name] == pytest.approx(true, rel=1 / 16, abs=1e-3)


def test_durations_are_left_out_where_nobody_asks_and_nothing_else_is(made):
    lake, _ = made
    reader = RollupReader(lake.rollups)
    whole = Question(DAY_ONE, DAY_ONE + 72 * HOUR, ("service",), "hour")
    quick = Question(DAY_ONE, DAY_ONE + 72 * HOUR, ("service",), "hour", durations=False)

    found = reader.answer(quick)

    assert found["p95_ms"].null_count == len(found)
    assert found.drop_columns(["p50_ms", "p95_ms"]).equals(
        reader.answer(whole).drop_columns(["p50_ms", "p95_ms"])
    )


def test_what_is_most_comes_first_and_ties_go_by_name(tmp_path):
    lake = Lake(tmp_path)
    lake.write(
        [span(at, name=name, energy_j=used) for at, (name, used) in enumerate(
            [("b", 2.0), ("a", 2.0), ("c", 5.0), ("d", None)]
        )],
        "a",
    )  # fmt: skip
    lake.refresh()

    answer = RollupReader(lake.rollups).answer(
        Question(DAY_ONE, DAY_ONE + 24 * HOUR, ("operation",))
    )

    assert most(answer, "energy_j", 3)["operation"].to_pylist() == ["c", "a", "b"]


def test_a_file_is_read_once_and_anew_when_it_changed(tmp_path):
    lake = Lake(tmp_path)
    lake.write([span(1)], "a")
    lake.refresh()
    reader = RollupReader(lake.rollups)
    question = Question(DAY_ONE, DAY_ONE + 24 * HOUR)
    assert reader.answer(question)["spans"].to_pylist() == [1]
    lake.write([span(2)], "b")
    lake.refresh()

    assert reader.answer(question)["spans"].to_pylist() == [2]


def test_a_word_that_is_not_known_is_refused():
    with pytest.raises(UsageError, match="GO0805 roll-ups know no `colour`"):
        Question(DAY_ONE, DAY_ONE + HOUR, ("colour",))


def factors(**intensity):
    regions = {
        name: RegionFactors(
            region=name, zone="Z", pue=1.5, usd_per_vcpu_hour=None, series=None,
            annual=GramsPerKwh(value), annual_source="test",
        )
        for name, value in intensity.items()
    }  # fmt: skip
    return FactorTable("test", regions)


@pytest.mark.feature("J2")
@pytest.mark.parametrize("pue", [None, 1.1])
def test_carbon_is_computed_anew_from_energy_that_stays(made, pue):
    lake, rows = made
    before = lake.files()

    found = recompute(Recompute(lake.rollups, factors(eu=250.0), pue), lake.rollups.days("minute"))

    for each in found:
        own = [
            row
            for row in rows
            if (row.service, row.method) == (each.service, each.energy_method)
            and row.energy_j is not None
        ]
        eu = [row for row in own if row.region == "eu"]
        carbon = [row.carbon_g for row in own if row.carbon_g is not None]
        assert (each.spans, each.spans_after, each.spans_before) == (len(own), len(eu), len(carbon))
        expected = sum(emissions(row.energy_j, 250.0, pue or 1.5) for row in eu)
        assert each.after_g == pytest.approx(expected, rel=1e-12)
        assert each.intensity == "estimated"
        assert each.before_g <= sum(carbon) * (1 + 1e-12)
    assert lake.files() == before


@pytest.mark.feature("J4")
def test_energy_of_a_region_without_factors_stays_unknown(made):
    lake, _ = made

    found = recompute(Recompute(lake.rollups, factors(us=1.0)), [date(2026, 11, 23)])

    assert {(each.after_g, each.spans_after, each.intensity) for each in found} == {(None, 0, None)}
    assert datetime(2026, 11, 23, tzinfo=UTC) == DAY_ONE
