"""What enrichment adds, written into the columns of spans."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from greenops.domain.spans import MOST
from greenops.observe import attributes as names
from greenops.observe.enrichment import CARBON_REASONS, REASONS, Enriched
from greenops.pipeline.span_columns import Attributes, SpanColumns


def enriched(spans: SpanColumns, found: Enriched) -> SpanColumns:
    """The spans with energy, carbon, method and reasons where they had none."""
    energy, carbon = spans.numbers("energy_j"), spans.numbers("carbon_g")
    added = _credible(found.energy_j) & np.isnan(energy)
    known = np.where(added, found.energy_j, energy)
    emitted = _credible(found.carbon_g) & np.isnan(carbon) & ~np.isnan(known)
    told = np.where(added, 0, found.unknown) * np.isnan(known)
    if added.any() or emitted.any() or told.any():
        methods = ("estimated", *found.methods)
        chosen = np.where(found.model < 0, 0, found.model + 1)
        columns = {
            "energy_j": _numbers(known),
            "carbon_g": _numbers(np.where(emitted, found.carbon_g, carbon)),
            "method": _with_words(spans, "method", added, chosen, methods),
            "unknown": _with_words(spans, "unknown", added | (told > 0), told, REASONS),
        }
        table = spans.table
        for name, column in columns.items():
            at = table.schema.get_field_index(name)
            table = table.set_column(at, table.schema.field(at), column)
        spans = replace(spans, table=table)
    said = found.carbon_unknown * (~np.isnan(known) & np.isnan(carbon) & ~emitted)
    if said.any():
        return replace(spans, attributes=_with_reasons(spans.attributes, said))
    return spans


def _credible(values: Any) -> Any:
    with np.errstate(invalid="ignore"):
        return (values >= 0.0) & (values <= MOST)


def _numbers(values: Any) -> pa.Array:
    return pa.array(values, pa.float64(), mask=np.isnan(values))


def _with_words(
    spans: SpanColumns, column: str, where: Any, codes: Any, words: Sequence[str]
) -> pa.DictionaryArray:
    """A column of words with others at some places; an empty word is none."""
    own, known = spans.words(column)
    places = {word: at for at, word in enumerate(known[:-1]) if word is not None}
    new = np.array([places.setdefault(word, len(places)) if word else -1 for word in words])
    own = np.where(own == len(known) - 1, -1, own)
    found = np.where(where, new[np.where(where, codes, 0)], own).astype(np.int32)
    return pa.DictionaryArray.from_arrays(
        pa.array(found, mask=found < 0), pa.array(list(places), pa.string())
    )


def _with_reasons(attributes: Attributes, codes: Any) -> Attributes:
    """The attributes with `greenops.carbon.unknown` at the end of those of some spans."""
    spans = np.flatnonzero(codes)
    texts = pa.array([json.dumps(reason) for reason in CARBON_REASONS])
    known = attributes.names
    different = known if names.CARBON_UNKNOWN in known else (*known, names.CARBON_UNKNOWN)
    place = np.full(len(spans), different.index(names.CARBON_UNKNOWN), np.int32)
    whole = np.concatenate([attributes.span, spans])
    order = np.argsort(whole, kind="stable")
    both = pa.concat_arrays([attributes.texts, texts.take(pa.array(codes[spans]))])
    return Attributes(
        different,
        np.concatenate([attributes.name, place])[order],
        whole[order],
        both.take(pa.array(order)),
        attributes.count,
    )
