"""Sums are those of whole quanta, in any order, and the double that is shown is the one next to them."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from greenops.domain.grouping import Groups
from greenops.pipeline.rollup_cells import bounds_of, bucket_of
from greenops.pipeline.rollup_sums import (
    MOST_UNITS,
    added,
    decimals,
    doubles,
    of_decimals,
    sums_by_group,
    totals,
    whole,
)

QUANTA = 2**72
GROUPS = 40


def numbers(scale, count=4_000, seed=1):
    rng = np.random.default_rng(seed)
    values = np.minimum(rng.lognormal(0, 4, count) * scale, 1e12)
    return values, rng.integers(0, GROUPS, count)


def by_hand(values, groups):
    """Quanta of each group, as integers without end."""
    found = [0] * GROUPS
    for value, group in zip(values.tolist(), groups.tolist(), strict=True):
        found[group] += round(Fraction(value) * QUANTA)
    return [min(each, MOST_UNITS * QUANTA) for each in found]


def integers(sums):
    return [whole(sums[:, at]) for at in range(sums.shape[1])]


@pytest.mark.parametrize("scale", [0.0, 1e-300, 1e-9, 1e-3, 1.0, 1e3, 1e9, 1e12])
def test_a_sum_is_that_of_the_quanta_one_by_one(scale):
    values, groups = numbers(scale)
    expected = by_hand(values, groups)

    sums = sums_by_group(values, groups, GROUPS)

    assert integers(sums) == expected
    assert doubles(sums).tolist() == [each / QUANTA for each in expected]


@pytest.mark.parametrize("most", [1023.999_999_999_9, 1e12])
def test_sums_beyond_the_whole_numbers_of_a_double_lose_nothing(most):
    # More than 2^53 steps of the middle part in one group, or as many units.
    values = np.full(2 * 10**4, most) - np.arange(2 * 10**4) * 2.0**-10 * (most < 1024)
    groups = np.arange(2 * 10**4) % 2

    assert integers(sums_by_group(values, groups, GROUPS)) == by_hand(values, groups)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_what_is_shown_is_the_exactly_rounded_sum(scale):
    values, groups = numbers(scale)
    values = np.maximum(values, 2.0**-19)  # keeps all its bits

    shown = doubles(sums_by_group(values, groups, GROUPS)).tolist()

    assert shown == [math.fsum(values[groups == at].tolist()) for at in range(GROUPS)]


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e12])
def test_sums_of_sums_are_the_same_in_any_order_and_any_pieces(scale):
    values, groups = numbers(scale, 3_000)
    expected = integers(sums_by_group(values, groups, GROUPS))
    order = np.random.default_rng(2).permutation(len(values))

    pieces = [
        sums_by_group(values[some], groups[some], GROUPS) for some in np.array_split(order, 17)
    ]
    together = Groups.of(np.tile(np.arange(GROUPS), 17), GROUPS)

    assert integers(added(pieces, together)) == expected


def test_a_sum_stays_at_the_most_that_is_kept():
    most = np.array([[MOST_UNITS - 1], [2**36 - 1], [2**36 - 1]] * 1)
    many = np.repeat(most, 600_000, axis=1)

    found = added([many], Groups.of(np.zeros(600_000, np.int64), 1))

    assert integers(found) == [MOST_UNITS * QUANTA]
    assert int(decimals(found, np.ones(1, np.bool_))[0].as_py()) == MOST_UNITS * QUANTA


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_sums_are_kept_to_the_bit_and_absent_ones_as_absent(scale):
    values, groups = numbers(scale)
    sums = sums_by_group(values, groups, GROUPS)
    known = np.arange(GROUPS) % 3 > 0

    kept = decimals(sums, known)

    told = [None if each is None else int(each) for each in kept.to_pylist()]
    assert told == [
        each if there else None for each, there in zip(integers(sums), known.tolist(), strict=True)
    ]
    back = of_decimals(kept.slice(4, 30))
    assert back[:, known[4:34]].tolist() == sums[:, 4:34][:, known[4:34]].tolist()
    assert not back[:, ~known[4:34]].any()


def test_a_duration_lies_in_its_bucket_and_buckets_are_a_sixteenth_wide():
    rng = np.random.default_rng(3)
    durations = np.concatenate([np.arange(5_000), 2 ** rng.integers(0, 46, 500) - 1])

    buckets = bucket_of(durations)
    low, high = bounds_of(buckets)

    assert ((low <= durations) & (durations < high)).all()
    assert ((high - low) <= np.maximum(1, low / 16)).all()
    assert (np.diff(buckets[:5_000]) >= 0).all()


@pytest.mark.parametrize("size", [1, 500, 10**9], ids=["one", "some", "hardly any twice"])
@pytest.mark.parametrize("most", [1, 2**40, 2**60])
def test_totals_are_those_of_a_plain_loop(size, most):
    rng = np.random.default_rng(5)
    codes, counts = rng.integers(0, size, 6), rng.integers(1, most + 1, 6)
    by_hand = {}
    for code, count in zip(codes.tolist(), counts.tolist(), strict=True):
        by_hand[code] = by_hand.get(code, 0) + count

    numbers, found = totals(codes, size, counts)
    _, rows = totals(codes, size)

    assert dict(zip(numbers.tolist(), found.tolist(), strict=True)) == by_hand
    assert numbers.tolist() == sorted(by_hand)
    assert rows.sum() == len(codes)
