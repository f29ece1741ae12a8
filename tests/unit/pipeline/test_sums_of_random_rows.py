"""Sums of random rows: what each row says, added up one by one, however the rows are cut into messages."""

from __future__ import annotations

import json
import math
import random
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise

import pytest

from greenops.domain.spans import SpanRow
from greenops.observe import attributes as names
from greenops.pipeline import sums as sums_module
from greenops.pipeline.footprint import Footprint
from greenops.pipeline.sums import Sum

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
SAID = {
    names.ITEMS: (1, 4, 0, "x", 2.5),
    names.CARBON_EMBODIED: (0.25, -1.0, True),
    names.NETWORK_LOW: (1.0, 2.0),
    names.NETWORK_HIGH: (60.0,),
    names.USER_ID: ("ada", "bob"),
    names.ENERGY_REMOTE: (90.0, 12.5, "much"),
    names.CACHE_OUTCOME: ("hit", "miss", "stale", "perhaps"),
    "gen_ai.usage.output_tokens": (20, 7),
    "http.request.method": ("GET", "PUT"),
}


def random_rows(rng: random.Random, count: int) -> list[SpanRow]:
    """Spans of some services in traces of any shape; each says what it likes, or nothing."""

    def maybe(*values):
        return rng.choice((None, *values))

    rows = []
    for number in range(count):
        trace = rng.randrange(count // 4)
        energy = maybe(rng.uniform(0, 9), rng.uniform(0, 9))
        said = {
            name: json.dumps(rng.choice(values))
            for name, values in SAID.items()
            if rng.random() < 0.15
        }
        start = NOW + timedelta(seconds=rng.uniform(0, 900))
        rows.append(
            SpanRow(
                f"t{trace}", f"{number}", maybe(f"{rng.randrange(count)}"), rng.choice("abc"), None,
                maybe("w", "v"), "op", rng.choice(("SERVER", "CLIENT", "INTERNAL")), start,
                start + timedelta(seconds=rng.uniform(0, 2)), start, energy,
                maybe(rng.uniform(0, 9)), maybe(rng.uniform(0, 9)), maybe(rng.uniform(0, 1e-3)),
                maybe(rng.uniform(0, 1e-5)), maybe("measured", "modeled"), None, maybe("eu", "us"),
                None, maybe("d"), said,
            )
        )  # fmt: skip
    return rows


def told(sums: Footprint) -> list[object]:
    """All that rows add up to."""
    return [
        sums.services(), sums.remote(), sums.caches(), sums.curves(), sums.fleet(), sums.carbon(),
        sums.more_counters(), sums.decided_spans(), sums.spans, sums.spans_with_energy,
        sums.spans_unknown,
    ]  # fmt: skip


def exactly(values) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) if known else None


@pytest.mark.parametrize("seed", range(8))
def test_a_service_is_the_sum_of_what_its_rows_say(seed):
    rows = random_rows(random.Random(seed), 900)
    sums = Footprint()

    sums.add(rows, [])

    for each in sums.services():
        own = [row for row in rows if row.service == each.service]
        served = [row for row in own if row.kind == "SERVER"]
        assert each.spans == len(own)
        assert each.requests == len(served)
        assert each.energy_j == exactly(row.energy_j for row in own)
        assert each.energy_low_j == exactly(row.energy_low_j for row in own)
        assert each.energy_high_j == exactly(row.energy_high_j for row in own)
        assert each.carbon_g == exactly(row.carbon_g for row in own)
        assert each.cost_usd == exactly(row.cost_usd for row in own)
        assert set(each.regions) == {row.region for row in own if row.region}
        assert each.workload == next(row.workload for row in own if row.workload)
        with_energy = sum(row.energy_j is not None for row in served)
        assert each.energy_j_per_request == each.energy_j / with_energy
        embodied = [row.attributes.get(names.CARBON_EMBODIED) for row in own]
        assert each.embodied_g == exactly(0.25 for text in embodied if text == "0.25")
    assert sums.spans_with_energy == sum(row.energy_j is not None for row in rows)


@pytest.mark.untraced
@pytest.mark.parametrize("seed", range(8))
def test_rows_one_by_one_and_in_messages_of_any_length_give_the_same_sums(seed):
    rng = random.Random(seed)
    rows = random_rows(rng, 300)
    one_by_one, in_messages = Footprint(), Footprint()
    cuts = sorted({0, len(rows), *(rng.randrange(len(rows)) for _ in range(rng.randrange(20)))})

    for row in rows:
        one_by_one.add([row], [])
    fresh = []
    for start, end in pairwise(cuts):
        # A sender that got no answer sends again.
        fresh += in_messages.add(rows[start:end] + rows[start:end][:5], [])

    assert fresh == rows
    assert told(in_messages) == told(one_by_one)


def test_a_sum_does_not_depend_on_when_its_parts_are_folded(monkeypatch):
    rng = random.Random(5)
    values = [rng.uniform(0, 10) ** rng.randrange(-6, 9) for _ in range(20_000)]
    whole = float(sum(map(Fraction, values)))
    at_once, folded = Sum(), Sum()
    at_once.extend(values)
    monkeypatch.setattr(sums_module, "FOLD", 7)

    for value in rng.sample(values, len(values)):
        folded.add(value)

    assert at_once.value() == folded.value() == whole
    assert len(folded.parts) <= 8
