"""What caches saved, against a world in which it is known what each answer would have taken without one."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime

import pytest

from greenops.domain.footprint import CacheSavings
from greenops.domain.spans import SpanRow
from greenops.observe import attributes as names
from greenops.pipeline.cache_savings import CacheSums
from greenops.pipeline.lineage import Lineage

NOW = datetime(2021, 9, 17, 8, tzinfo=UTC)


def row(span: str, parent: str | None = None, joules: float | None = 0.0, **given) -> SpanRow:
    facts = dict.fromkeys(SpanRow.__dataclass_fields__)
    facts |= {"trace_id": "t", "span_id": span, "parent_id": parent, "service": "search"}
    facts |= {"name": "op", "kind": "INTERNAL", "start": NOW, "end": NOW, "time": NOW}
    facts |= {"energy_j": joules, "carbon_g": None if joules is None else joules / 10}
    return SpanRow(**{**facts, "attributes": {}, **given})


def look(span: str, outcome: str, joules: float | None, parent: str | None = None, cache="a"):
    said = {names.CACHE_NAME: cache, names.CACHE_OUTCOME: outcome}
    attributes = {name: json.dumps(value) for name, value in said.items()}
    return row(span, parent, joules, attributes=attributes)


def take(sums: CacheSums, lineage: Lineage, row: SpanRow) -> None:
    key = hash((row.trace_id, row.span_id))
    above = key if row.parent_id is None else hash((row.trace_id, row.parent_id))
    lineage.put(key, above)
    sums.add(key, above, row.energy_j, row.carbon_g, row)


def caches(rows: list[SpanRow], remembered: int = 100_000) -> tuple[CacheSavings, ...]:
    lineage = Lineage(remembered)
    sums = CacheSums(lineage)
    for each in rows:
        take(sums, lineage, each)
    return sums.caches()


def world(draw: random.Random) -> tuple[list[SpanRow], float]:
    """Spans of 6,000 requests, and what they would have drawn more without the cache [J]."""
    rows, without, drawn = [], 0.0, 0.0
    for number in range(6000):
        outcome = draw.choices(["hit", "miss", "stale"], [70, 25, 5])[0]
        makes, looks = draw.gammavariate(25, 0.4), draw.uniform(0.05, 0.2)
        without += makes
        drawn += looks
        root = f"r{number}"
        trace = [row(root, None, draw.uniform(0, 5)), look(f"l{number}", outcome, looks, root)]
        if outcome != "hit":
            part = draw.random()
            trace += [
                row(f"m{number}", f"l{number}", makes * part),
                row(f"n{number}", f"m{number}", makes * (1 - part)),
            ]
            drawn += makes
        rows += draw.sample(trace, len(trace))
    return rows, without - drawn


@pytest.mark.feature("F1")
@pytest.mark.parametrize("seed", range(5))
def test_what_a_cache_avoided_is_within_two_percent_of_the_truth(seed: int) -> None:
    rows, truth = world(random.Random(seed))

    (found,) = caches(rows)

    assert found.energy_j == pytest.approx(truth, rel=0.02)
    assert found.carbon_g == pytest.approx(truth / 10, rel=0.02)
    assert found.hits + found.misses + found.stale == 6000


@pytest.mark.feature("F1")
def test_avoided_is_hits_times_what_a_miss_makes_less_what_the_cache_took():
    rows = [look("h", "hit", 1.0), look("h2", "hit", 1.0), look("m", "miss", 2.0)]
    rows += [row("made", "m", 10.0), look("s", "stale", 1.5), row("again", "s", 12.0)]

    (found,) = caches(rows)

    assert (found.hits, found.misses, found.stale) == (2, 1, 1)
    assert (found.miss_j, found.cost_j) == (10.0, 5.5)
    assert found.energy_j == 2 * 10.0 - 5.5


def test_a_cache_that_never_hits_costs_and_says_so():
    (found,) = caches([look("m", "miss", 2.0), row("made", "m", 10.0)])

    assert found.energy_j == -2.0


def test_the_order_in_which_spans_come_changes_nothing():
    rows, _ = world(random.Random(9))
    one, other = caches(rows), caches(random.Random(1).sample(rows, len(rows)))

    assert one[0].energy_j == pytest.approx(other[0].energy_j)


def test_a_cache_below_a_cache_saves_for_itself_and_is_making_for_the_upper_one():
    rows = [look("l1", "miss", 1.0, cache="a"), look("l2", "miss", 2.0, "l1", cache="b")]
    rows += [row("made", "l2", 10.0)]

    upper, lower = caches(rows)

    assert (upper.miss_j, lower.miss_j) == (12.0, 10.0)


def test_where_no_miss_tells_what_making_takes_nothing_is_claimed():
    (found,) = caches([look("h", "hit", 1.0), look("m", "miss", 1.0)])

    assert (found.energy_j, found.miss_j, found.cost_j) == (None, None, 2.0)


def test_a_look_without_energy_makes_the_saving_unknown_and_not_greater():
    (found,) = caches([look("h", "hit", None), look("m", "miss", 1.0), row("x", "m", 9.0)])

    assert (found.energy_j, found.cost_j) == (None, None)


def test_energy_without_grams_makes_the_grams_unknown():
    rows = [look("h", "hit", 1.0), look("m", "miss", 1.0), row("x", "m", 9.0, carbon_g=None)]

    for order in (rows, rows[::-1]):
        (found,) = caches(order)
        assert (found.energy_j, found.carbon_g) == (7.0, None)


@pytest.mark.parametrize("outcome", ["HIT", 3, None, ["hit"]])
def test_an_outcome_that_is_none_is_no_look(outcome):
    assert caches([look("h", outcome, 1.0)]) == ()


def test_memory_is_bounded_and_circles_come_to_an_end():
    rows = [look("a", "hit", 1.0, "b"), look("b", "hit", 1.0, "a")]
    rows += [row(str(n), f"never {n}", 1.0) for n in range(500)]
    lineage = Lineage(100)
    sums = CacheSums(lineage)

    for each in rows:
        take(sums, lineage, each)

    assert len(sums._waiting) <= 100
    assert len(lineage._parents) <= 100


def test_names_of_caches_that_hold_an_id_do_not_fill_the_memory():
    found = caches([look(str(n), "hit", 1.0, cache=f"user {n}") for n in range(1500)])

    assert len(found) == 1000
