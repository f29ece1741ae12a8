"""Spans that came before the first one that asks what lies around it count as if it had come first."""

from __future__ import annotations

import random

import numpy as np
import pytest

from greenops.observe import attributes as names
from greenops.pipeline.kin import Kin
from greenops.pipeline.span_columns import SpanColumns
from tests.unit.pipeline.test_sums_of_random_rows import random_rows

ASKING = (names.ENERGY_REMOTE, names.CACHE_OUTCOME)


def told(kin: Kin) -> tuple[object, ...]:
    return kin.remote.services(), kin.caches.caches()


def take(kin: Kin, rows) -> None:
    kin.add(SpanColumns.of_rows(rows))


@pytest.mark.parametrize("seed", range(4))
def test_what_asks_late_finds_what_came_before(seed):
    rows = random_rows(random.Random(seed), 400)
    quiet = [row for row in rows if not any(name in row.attributes for name in ASKING)]
    asking = [row for row in rows if any(name in row.attributes for name in ASKING)]
    late, always = Kin(), Kin()
    always._waiting = None

    for kin in (late, always):
        for begin in range(0, len(quiet), 50):
            take(kin, quiet[begin : begin + 50])
        take(kin, asking)

    assert told(late) == told(always)
    assert told(late)[0]
    assert told(late)[1]


def test_what_nobody_asks_for_is_forgotten():
    kin, rows = Kin(), random_rows(random.Random(1), 400)
    quiet = [row for row in rows if not any(name in row.attributes for name in ASKING)]
    kin._lineage.remembered = 500

    for _ in range(20):
        take(kin, quiet)

    assert kin._waiting is not None
    assert 500 <= kin._count == sum(len(each.key) for each in kin._waiting) < 500 + len(quiet)
    assert np.array_equal(kin._waiting[-1].key, SpanColumns.of_rows(quiet).keys)
