"""Keys of spans: apart for all ids that occur, and also for those that only a counter or an enemy makes."""

from __future__ import annotations

import numpy as np
import pytest

from greenops.domain.span_keys import keys_of


def words(ids, count):
    return (
        np.frombuffer(b"".join(each.to_bytes(8 * count) for each in ids), np.uint64)
        .reshape(-1, count)
        .T
    )


@pytest.mark.parametrize("shift", [0, 8, 20, 48])
def test_ids_in_a_row_have_keys_of_their_own(shift):
    traces = [at // 16 << shift for at in range(1 << 18)]
    spans = [at % 16 + 1 << shift // 2 for at in range(1 << 18)]

    keys = keys_of(words(traces, 2), words(spans, 1))

    assert len(np.unique(keys)) == 1 << 18


def test_words_at_other_places_are_other_ids():
    one, none = np.array([7], np.uint64), np.array([0], np.uint64)

    found = {
        int(keys_of(trace, span)[0])
        for trace in ((one, none), (none, one), (one, one))
        for span in ((one,), (none,))
    }

    assert len(found) == 6


def test_the_width_that_texts_are_padded_to_does_not_count():
    one, two, none = (np.array([each], np.uint64) for each in (7, 9, 0))

    narrow = keys_of((one, two), (one,), padded=True)

    assert narrow == keys_of((one, two, none), (one, none), padded=True)
    assert narrow != keys_of((one,), (two, one), padded=True)
