"""What spans carry, read in columns, is what their rows say one by one."""

from __future__ import annotations

import json
import math
import random
from collections import defaultdict
from dataclasses import replace
from itertools import pairwise

import pytest

from greenops.adapters.parquet_lake import ParquetLake
from greenops.domain.spans import SpanRow
from greenops.observe import attributes as names
from greenops.observe.gen_ai import CALLS, OPERATION, OUTPUT
from greenops.pipeline.carried import ELSEWHERE, count, number, output_tokens, value
from greenops.pipeline.carried_columns import amounts, counts, metered_tokens
from greenops.pipeline.carried_columns import output_tokens as tokens_of
from greenops.pipeline.footprint import Footprint
from greenops.pipeline.span_columns import SpanColumns, joined
from greenops.units import Joules
from tests.unit.pipeline.test_sums_of_random_rows import random_rows, told

ODD = (
    *("1", "1.0", "0", "-0", "-1", "1e3", "1E+3", "1e400", "0.1", "NaN", "Infinity", "-Infinity"),
    *("true", "null", '"5"', '""', "[1]", "{}", "5 ", " 5", "05", "1_0", "+1", ".5", "1.", "0x1"),
    *("\u0661", "", "nonsense", "[" * 2000, "9" * 400, '"chat"', '"embeddings"', '"agent"', "1e12"),
)


def odd_rows(seed: int) -> list[SpanRow]:
    dice = random.Random(seed)
    said = (names.ITEMS, names.CARBON_EMBODIED, names.ENERGY_REMOTE, OPERATION, *OUTPUT)
    return [
        replace(
            row,
            attributes={n: dice.choice(ODD) for n in said if dice.random() < 0.4},
            method=dice.choice((None, "measured", "estimated")),
        )
        for row in random_rows(dice, 400)
    ]


def metered(row: SpanRow) -> int | None:
    if row.energy_j is None or row.method == "estimated" or ELSEWHERE & row.attributes.keys():
        return None
    operation = value(row, OPERATION)
    known = operation is None or (isinstance(operation, str) and operation in CALLS)
    return output_tokens(row) if known else None


def plain(values) -> list[float | None]:
    return [None if math.isnan(each) else each for each in values.tolist()]


@pytest.mark.parametrize("seed", range(5))
def test_numbers_are_those_of_the_rows(seed):
    rows = odd_rows(seed)
    spans = SpanColumns.of_rows(rows)

    for name in (names.CARBON_EMBODIED, names.ENERGY_REMOTE, "absent"):
        places, values = amounts(spans.attributes, name)
        known = {at: v for at, row in enumerate(rows) if (v := number(row, name)) is not None}
        assert dict(zip(places.tolist(), values.tolist(), strict=True)) == known
    assert plain(counts(spans.attributes, names.ITEMS)) == [count(r, names.ITEMS) for r in rows]
    assert plain(tokens_of(spans.attributes)) == [output_tokens(row) for row in rows]
    assert plain(metered_tokens(spans)) == [metered(row) for row in rows]


def mean(told_of: list[float]):
    """Energy over what was told of it, from both in turn."""
    whole = sum(told_of[1::2])
    return pytest.approx(math.fsum(told_of[0::2]) / whole) if whole else None


@pytest.mark.parametrize("seed", range(5))
def test_sums_of_what_is_carried_are_those_of_the_rows(seed):
    rows, sums = odd_rows(seed), Footprint()
    embodied, per_token = defaultdict[str, list[float]](list), defaultdict[str, list[float]](list)
    items = defaultdict[str, list[float]](list)
    for row in rows:
        if (grams := number(row, names.CARBON_EMBODIED)) is not None:
            embodied[row.service].append(grams)
        for found, told_of in ((per_token, metered(row)), (items, count(row, names.ITEMS))):
            if told_of is not None and row.energy_j is not None:
                found[row.service] += [row.energy_j, told_of]

    sums.add(rows, [])

    for each in sums.services():
        assert each.embodied_g == pytest.approx(math.fsum(embodied[each.service]))
        assert each.energy_j_per_output_token == mean(per_token[each.service])
        assert each.energy_j_per_item == mean(items[each.service])


@pytest.mark.parametrize("seed", range(5))
def test_columns_cut_anywhere_and_joined_again_are_the_same_spans(seed):
    dice, rows = random.Random(seed), odd_rows(seed)
    whole = SpanColumns.of_rows(rows)
    cuts = sorted({0, len(rows), *(dice.randrange(len(rows)) for _ in range(5))})
    parts = [SpanColumns.of_rows(rows[a:b]) for a, b in pairwise(cuts)]
    again, sums, others = joined(parts), Footprint(), Footprint()

    sums.add_columns(whole)
    others.add_columns(again)

    assert whole.rows() == again.rows() == rows
    assert whole.lake_table().to_pylist() == again.lake_table().to_pylist()
    assert told(sums) == told(others)
    assert json.dumps(again.attributes.of([3])) == json.dumps([dict(rows[3].attributes)])


def test_an_estimate_is_no_metered_energy_per_token():
    said = {"gen_ai.usage.output_tokens": "100"}
    rows = [
        replace(row, energy_j=1.0, attributes=said) for row in random_rows(random.Random(1), 40)
    ]
    estimated, modeled = Footprint(), Footprint()

    estimated.add([replace(row, method="estimated") for row in rows], [])
    modeled.add([replace(row, method="modeled") for row in rows], [])

    assert all(each.energy_j_per_output_token is None for each in estimated.services())
    assert all(each.energy_j_per_output_token == 0.01 for each in modeled.services())


@pytest.mark.parametrize("seed", range(4))
def test_what_the_lake_gives_back_in_columns_is_what_its_rows_are(seed, tmp_path):
    lake, rows = ParquetLake(tmp_path), odd_rows(seed)
    strange = [replace(row, energy_j=Joules(-1.0)) for row in rows[:3]] if seed % 2 else []
    lake.write_spans([*rows[3:], *strange, replace(rows[9], attributes={})], "one")

    tables = [SpanColumns.of_table(table) for table in lake.span_tables()]

    read = {(row.trace_id, row.span_id): row for row in lake.spans()}
    given = [row for spans in tables for row in spans.rows()]
    assert len(given) == len(read) + 1
    assert {(row.trace_id, row.span_id): row for row in reversed(given)} == read
    keys = [key for spans in tables for key in spans.keys.tolist()]
    assert len(set(keys)) == len(read)
    again = SpanColumns.of_rows(given)
    assert keys == again.keys.tolist()
    assert [a for spans in tables for a in spans.above.tolist()] == again.above.tolist()
