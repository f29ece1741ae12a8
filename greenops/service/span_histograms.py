"""What the metrics page tells of spans: their energy and carbon by operation, and per token and item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from prometheus_client import CollectorRegistry

from greenops.domain.language_model import MODEL_KEYS
from greenops.observe import attributes as names
from greenops.pipeline.carried import value_in
from greenops.pipeline.carried_columns import counts, metered_tokens, numbers, output_tokens
from greenops.pipeline.span_columns import Attributes, SpanColumns
from greenops.service.exemplars import Exemplars
from greenops.service.histograms import Histogram, known, latest
from greenops.service.series import (
    CARBON_PAGE,
    ENERGY_PAGE,
    GRAMS,
    ITEM_PAGE,
    JOULES,
    LONGEST,
    NONE,
    OUTPUT_PAGE,
    PER_UNIT,
    REMOTE_OUTPUT_PAGE,
)

US_PER_S: Final = 1_000_000
PLACE: Final = (("greenops_workload", "workload"), ("greenops_region", "region"))
ALWAYS: Final = frozenset(label for label, _ in PLACE)
"""Labels that every series has."""


class _Series(NamedTuple):
    """Labels of each series, and which each span belongs to."""

    labels: Sequence[Mapping[str, str]]
    which: Any


class SpanHistograms:
    """The histograms over spans of one page.

    Args:
        registry: Of the page.
        exemplars: Links from buckets to spans.
    """

    def __init__(self, registry: CollectorRegistry, exemplars: Exemplars) -> None:
        self._exemplars = exemplars
        self._energy = Histogram(ENERGY_PAGE, JOULES)
        self._carbon = Histogram(CARBON_PAGE, GRAMS)
        self._token = Histogram(OUTPUT_PAGE, PER_UNIT)
        self._item = Histogram(ITEM_PAGE, PER_UNIT)
        self._remote_token = Histogram(REMOTE_OUTPUT_PAGE, PER_UNIT)
        own = (self._energy, self._carbon, self._token, self._item, self._remote_token)
        for each in own:
            registry.register(each)

    def add(self, spans: SpanColumns) -> None:
        """Take in spans that were not seen before."""
        energy, carbon = spans.numbers("energy_j"), spans.numbers("carbon_g")
        series = _by_operation(spans)
        for histogram, values in ((self._energy, energy), (self._carbon, carbon)):
            self._linked(histogram, spans, series, values)
        attributes = spans.attributes
        remote, tokens = np.full(len(spans), np.nan), output_tokens(attributes)
        if not np.isnan(tokens).all():
            places, said = numbers(attributes, names.ENERGY_REMOTE)
            remote[places] = said
        per = (
            (self._item, energy / counts(attributes, names.ITEMS)),
            (self._token, energy / metered_tokens(spans)),
            (self._remote_token, remote / tokens),
        )
        if any(len(known(values)) for _, values in per):
            place = _by_place(spans)
            for histogram, values in per:
                _count(histogram, place, values, known(values))

    def _linked(
        self, histogram: Histogram, spans: SpanColumns, series: _Series, values: Any
    ) -> None:
        there = known(values)
        if not len(there):
            return
        buckets = _count(histogram, series, values, there)
        places = there[latest(series.which[there], buckets, len(histogram.bounds) + 1)]
        ends = spans.numbers("end")[places] / US_PER_S
        ids = (spans.table[name].take(pa.array(places)) for name in ("trace_id", "span_id"))
        traces, own = (each.to_pylist() for each in ids)
        for place, trace_id, span_id, end in zip(places.tolist(), traces, own, ends, strict=True):
            labels, value = series.labels[series.which[place]], float(values[place])
            page = (histogram.name, histogram.bounds, labels, value)
            self._exemplars.see(*page, (trace_id, span_id, float(end)))


def _count(histogram: Histogram, series: _Series, values: Any, places: Any) -> Any:
    buckets = histogram.buckets(values[places])
    histogram.add(series.labels, series.which[places], buckets, values[places])
    return buckets


def _by_place(spans: SpanColumns) -> _Series:
    return _series([(label, *spans.words(column)) for label, column in PLACE])


def _by_operation(spans: SpanColumns) -> _Series:
    place = [(label, *spans.words(column)) for label, column in PLACE]
    name = ("greenops_operation", *spans.words("name"))
    return _series([*place, name, ("greenops_model", *_models(spans.attributes))])


def _series(columns: Sequence[tuple[str, Any, Sequence[str | None]]]) -> _Series:
    whole = np.zeros(len(columns[0][1]), np.int64)
    for _, codes, words in columns:
        whole = whole * len(words) + codes
    different, firsts, which = np.unique(whole, return_index=True, return_inverse=True)
    labels: list[dict[str, str]] = [{} for _ in different]
    for label, codes, words in columns:
        for found, code in zip(labels, codes[firsts].tolist(), strict=True):
            word = words[code]
            if label in ALWAYS:
                found[label] = word or NONE
            elif word is not None:
                found[label] = word
    return _Series(labels, which)


def _models(attributes: Attributes) -> tuple[Any, list[str | None]]:
    """The model that each span names, by the first spelling that is a name."""
    words: list[str | None] = []
    codes = np.full(attributes.count, -1)
    for name in reversed(MODEL_KEYS):
        at = attributes.at(name)
        if len(at):
            told = attributes.texts.take(pa.array(at)).dictionary_encode()
            said = [value_in(text) for text in told.dictionary.to_pylist()]
            fit = np.array([isinstance(each, str) and bool(each) for each in said], np.bool_)
            own = np.where(fit, len(words) + np.arange(len(said)), -1)
            words += [each[:LONGEST] if isinstance(each, str) else None for each in said]
            found = own[told.indices.to_numpy()]
            codes[attributes.span[at[found >= 0]]] = found[found >= 0]
    return np.where(codes < 0, len(words), codes), [*words, None]
