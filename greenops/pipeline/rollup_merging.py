"""Cells of several parts as one: what stands in the same stretch and series is added up, in any order the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from greenops.domain.grouping import Groups, combined
from greenops.pipeline.rollup_cells import (
    COUNTS,
    MEASURES,
    NO_DURATIONS,
    WORDS,
    Cells,
    Durations,
    Words,
)
from greenops.pipeline.rollup_sums import added, totals


def merged(parts: Sequence[Cells], step_us: int) -> Cells:
    """Cells of longer stretches of time from those of shorter ones; the same in any order of the parts.

    They come by service, then by the other words, then by time: of one service they lie together.

    Args:
        parts: Cells of the same spans never stand in two of them.
        step_us: How long each stretch is [us]; a day at most.
    """
    at = _joined([each.at for each in parts])
    at -= at % step_us
    series, words = _merged_series(parts)
    steps = (at - at.min(initial=np.iinfo(np.int64).max)) // step_us
    width = int(steps.max(initial=0)) + 1
    groups = Groups.of(series * width + steps, len(words[0].codes) * width)
    first = groups.firsts
    series, words = used_series(series[first], words)
    counts = np.empty((len(COUNTS), len(groups)), np.int64)
    for place in range(len(COUNTS)):
        counts[place] = groups.added(_joined([each.counts[place] for each in parts]))
    return Cells(
        at=at[first],
        series=series,
        words=words,
        counts=counts,
        sums=_merged_sums([each.sums for each in parts], groups),
        duration=groups.added(_joined([each.duration for each in parts])),
        durations=_merged_durations(parts, groups),
    )


def _merged_series(parts: Sequence[Cells]) -> tuple[Any, tuple[Words, ...]]:
    """Series of each cell, and the words of each series; series rise with their words, and no two have the same."""
    words = [_merged_words([each.words[place] for each in parts]) for place in range(len(WORDS))]
    codes, _ = combined([(each.codes, len(each.known) + 1) for each in words])
    _, firsts, number = np.unique(codes, return_index=True, return_inverse=True)
    begins = np.cumsum([0, *(len(each.words[0].codes) for each in parts)])
    series = [
        number[begin:][each.series] for each, begin in zip(parts, begins.tolist(), strict=False)
    ]
    return _joined(series), tuple(each.some(firsts) for each in words)


def used_series(series: Any, words: Sequence[Words]) -> tuple[Any, tuple[Words, ...]]:
    """The series of cells without those that no cell is of, and without words that none has."""
    there = np.zeros(len(words[0].codes), np.bool_)
    there[series] = True
    used = tuple(_used(each.known, each.codes[there]) for each in words)
    return (np.cumsum(there) - 1)[series], used


def _used(known: tuple[str, ...], codes: Any) -> Words:
    """The words without those that no row has."""
    there = np.zeros(len(known) + 1, np.bool_)
    there[codes] = True
    there[0] = True
    kept = np.flatnonzero(there)[1:] - 1
    return Words(tuple(known[at] for at in kept.tolist()), (np.cumsum(there) - 1)[codes])


def _merged_words(parts: Sequence[Words]) -> Words:
    known = tuple(sorted({word for each in parts for word in each.known}))
    places: Mapping[str, int] = {word: at + 1 for at, word in enumerate(known)}
    codes = [np.array([0, *(places[word] for word in each.known)])[each.codes] for each in parts]
    return Words(known, _joined(codes))


def _merged_sums(parts: Sequence[Any], groups: Groups) -> Any:
    found = np.zeros((len(MEASURES), 3, len(groups)), np.int64)
    for place in range(len(MEASURES) if parts else 0):
        found[place] = added([each[place] for each in parts], groups)
    return found


def _merged_durations(parts: Sequence[Cells], groups: Groups) -> Durations:
    if not any(len(each.durations.cell) for each in parts):
        return NO_DURATIONS
    firsts = np.cumsum([0, *map(len, parts)])
    cells = [
        groups.numbers[each.durations.cell + first]
        for each, first in zip(parts, firsts, strict=False)
    ]
    buckets = _joined([each.durations.bucket for each in parts])
    low = int(buckets.min())
    width = int(buckets.max()) - low + 1
    codes = _joined(cells) * width + (buckets - low)
    spans = _joined([each.durations.spans for each in parts])
    different, spans = totals(codes, len(groups) * width, spans)
    return Durations(different // width, different % width + low, spans)


def _joined(arrays: Sequence[Any]) -> Any:
    return np.concatenate([np.zeros(0, np.int64), *arrays])
