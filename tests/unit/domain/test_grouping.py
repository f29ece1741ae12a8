"""Groups are those of a plain loop, whatever the numbers and however many rows share one."""

from __future__ import annotations

import numpy as np
import pytest

from greenops.domain.grouping import Groups, combined, grouped, ordered


@pytest.mark.parametrize(
    "widths",
    [(1,), (5,), (3, 1, 4), (2**16, 2**15, 2), (2**30, 2), (2**40, 2**40, 3)],
    ids=["nothing", "one", "few", "just too many for half a number", "half", "more than a number"],
)
def test_rows_have_one_number_where_they_agree_in_every_column(widths):
    rng = np.random.default_rng(1)
    columns = [
        (rng.choice(rng.integers(0, width, 3), 500).astype(np.int64), width) for width in widths
    ]

    codes, size = combined(columns)

    rows = list(zip(*(each.tolist() for each, _ in columns), strict=True))
    numbers = codes.tolist()
    assert len(set(rows)) == len(set(numbers)) == len(set(zip(rows, numbers, strict=True)))
    assert all(0 <= each < size for each in numbers)
    assert sorted(zip(rows, numbers, strict=True)) == sorted(
        zip(sorted(rows), sorted(numbers), strict=True)
    ), "they rise with the columns"


@pytest.mark.parametrize("group", [grouped, ordered])
@pytest.mark.parametrize("size", [1, 40, 10**6, 2**61])
@pytest.mark.parametrize("rows", [0, 1, 2_000])
def test_each_row_is_in_the_group_of_its_number(group, size, rows):
    rng = np.random.default_rng(2)
    codes = rng.choice(rng.integers(0, size, 50), rows) if rows else np.zeros(0, np.int64)

    groups, firsts = group(codes, size)

    assert codes[firsts][groups].tolist() == codes.tolist()
    assert len(set(codes.tolist())) == len(firsts)


@pytest.mark.parametrize("size", [1, 3, 900, 10**9], ids=["one", "many each", "few", "hardly any"])
def test_sums_of_groups_are_those_of_a_plain_loop(size):
    rng = np.random.default_rng(3)
    codes = rng.integers(0, size, 1_000)
    values = rng.integers(-(2**40), 2**40, 1_000)
    by_hand = {}
    for code, value in zip(codes.tolist(), values.tolist(), strict=True):
        by_hand[code] = by_hand.get(code, 0) + value

    groups = Groups.of(codes, size)

    assert len(groups) == len(by_hand)
    found = dict(zip(codes[groups.firsts].tolist(), groups.added(values).tolist(), strict=True))
    assert found == by_hand
    assert list(found) == sorted(by_hand)
