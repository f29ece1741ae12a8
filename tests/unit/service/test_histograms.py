"""Histograms that take thousands of values at once are what the SDK's are, value by value."""

from __future__ import annotations

import bisect
import random
from collections import Counter, defaultdict

import numpy as np
import pytest

from greenops.service import histograms
from greenops.service.histograms import Histogram, latest

BOUNDS = (0.1, 1.0, 10.0)


def counted(histogram: Histogram) -> dict[tuple[str, str], float]:
    return {
        (
            sample.labels.get("op", ""),
            sample.labels.get("le", sample.name.rpartition("_")[2]),
        ): sample.value
        for metric in histogram.collect()
        for sample in metric.samples
    }


@pytest.mark.parametrize("seed", range(4))
def test_buckets_counts_and_sums_are_those_of_counting_one_by_one(seed):
    dice, own = random.Random(seed), Histogram("h", BOUNDS)
    expected, sums = defaultdict[str, Counter[float]](Counter), defaultdict[str, float](float)
    for _ in range(5):
        series = [{"op": name} for name in dice.sample("abcd", 3)]
        which = [dice.randrange(3) for _ in range(200)]
        values = [dice.choice((0.1, 1.0, 10.0, dice.uniform(0, 20))) for _ in which]
        array = np.array(values)
        own.add(series, np.array(which), own.buckets(array), array)
        for place, value in zip(which, values, strict=True):
            name = series[place]["op"]
            expected[name][bisect.bisect_left(BOUNDS, value)] += 1
            sums[name] += value

    found = counted(own)

    for name, buckets in expected.items():
        below = [sum(buckets[at] for at in range(end + 1)) for end in range(len(BOUNDS) + 1)]
        bounds = [*map(str, BOUNDS), "+Inf"]
        assert [found[name, bound] for bound in bounds] == below
        assert found[name, "count"] == below[-1]
        assert found[name, "sum"] == pytest.approx(sums[name])


def test_nothing_is_shown_before_the_first_value():
    assert list(Histogram("h", BOUNDS).collect()) == []


def test_series_are_bounded_and_what_comes_beyond_is_counted_together(monkeypatch):
    monkeypatch.setattr(histograms, "MOST_SERIES", 5)
    own = Histogram("h", BOUNDS)
    values = np.full(20, 2.0)

    own.add([{"op": str(n)} for n in range(20)], np.arange(20), own.buckets(values), values)

    (metric,) = own.collect()
    counts = {
        sample.labels["otel_metric_overflow"]: sample.value
        for sample in metric.samples
        if sample.name == "h_count"
    }
    assert counts == {"": 1.0, "true": 15.0}
    assert len([s for s in metric.samples if s.name == "h_count"]) == 6


def test_the_last_value_of_each_bucket_is_found():
    which, buckets = np.array([0, 1, 0, 1, 0]), np.array([2, 0, 2, 0, 1])

    assert latest(which, buckets, 4).tolist() == [4, 2, 3]
