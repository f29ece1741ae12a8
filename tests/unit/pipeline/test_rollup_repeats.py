"""Spans that were delivered twice are found, and no others, whatever their ids look like."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from greenops.pipeline import rollup_repeats
from greenops.pipeline.rollup_repeats import repeats, span_keys


def keys_of(traces, spans):
    return span_keys(
        pa.table(
            {
                "trace_bytes": pa.array([each.to_bytes(16) for each in traces], pa.binary(16)),
                "span_bytes": pa.array([each.to_bytes(8) for each in spans], pa.binary(8)),
            }
        )
    )


@pytest.mark.parametrize("shift", [0, 20, 48])
def test_ids_in_a_row_have_keys_of_their_own(shift):
    count = 100_000
    traces = [at // 4 << shift for at in range(count)]
    spans = [at << min(shift, 40) for at in range(count)]

    keys = keys_of(traces, spans)

    assert len(np.unique(keys)) == count
    assert len(repeats([keys])) == 0


@pytest.mark.parametrize("count", [0, 1, 50, 40_000, 300_000])
@pytest.mark.parametrize("piece", [2**15, 2**9], ids=["few pieces", "more than a byte tells"])
def test_every_later_row_of_a_key_is_found(monkeypatch, count, piece):
    monkeypatch.setattr(rollup_repeats, "PIECE", piece)
    rng = np.random.default_rng(count)
    keys = rng.integers(0, 2**64, count, np.uint64)
    if count > 1:
        again = rng.integers(0, count, count // 10 + 1)
        keys[again] = keys[rng.integers(0, count, len(again))]
    _, first = np.unique(keys, return_index=True)
    expected = np.setdiff1d(np.arange(count), first)

    found = repeats([keys[: count // 3], keys[count // 3 :]])

    assert found.tolist() == expected.tolist()


@pytest.mark.parametrize("slots", [1, 2], ids=["the first slot", "both slots"])
def test_keys_that_share_their_slot_are_told_apart(slots):
    keys = np.arange(2_000, dtype=np.uint64)
    keys <<= np.uint64(64 - slots * rollup_repeats.SLOT_BITS - 11)
    keys[1_500] = keys[3]

    assert repeats([keys]).tolist() == [1_500]
