"""Which keys were seen, by the thousand, is what counting them one by one tells."""

from __future__ import annotations

import random

import numpy as np
import pytest

from greenops.pipeline.recent_keys import RecentKeys


@pytest.mark.parametrize("seed", range(6))
def test_a_key_is_new_once(seed):
    dice, seen, keys = random.Random(seed), set(), RecentKeys(1_000_000)

    for _ in range(25):
        # Keys that lie beside each other, and such that are alike in all of their last bits.
        batch = [dice.choice((dice.randrange(3000), dice.randrange(900) << 40)) for _ in range(200)]
        # What tells an empty place is no key of its own: 0 and 1 pass for one.
        told = [max(key, 1) for key in batch]
        expected = [key not in seen and key not in told[:at] for at, key in enumerate(told)]

        assert keys.first(np.array(batch, np.uint64)).tolist() == expected
        seen.update(told)


def test_half_of_what_is_remembered_is_known_at_any_time():
    keys = RecentKeys(1000)

    for begin in range(0, 10_000, 70):
        batch = np.arange(begin + 1, begin + 71, dtype=np.uint64)
        assert keys.first(batch).all()
        newest = np.arange(max(1, begin + 71 - 500), begin + 71, dtype=np.uint64)
        assert not keys.first(newest).any()


def test_memory_ends_at_what_is_remembered():
    keys = RecentKeys(1000)

    for begin in range(0, 10_000, 77):
        keys.first(np.arange(begin + 1, begin + 78, dtype=np.uint64))

    assert keys._new.count <= 500
    assert keys._old.count <= 500
    assert len(keys._new._places) <= 1024
