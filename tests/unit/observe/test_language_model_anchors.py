"""Estimates stay where they were against published figures; tests/bench/language_model.py prints them."""

from __future__ import annotations

import pytest

from tests.bench.language_model_anchors import Compared, compare, error

COMPARED = compare()


@pytest.mark.parametrize("compared", COMPARED, ids=lambda each: each.anchor.name)
def test_an_estimate_is_of_the_size_of_what_others_published(compared: Compared):
    assert 1 / 2.5 < compared.ratio < 2.5


def test_half_of_them_are_nearer_than_a_third():
    assert error(COMPARED) < 1 / 3
    assert sum(each.within for each in COMPARED) >= 7
