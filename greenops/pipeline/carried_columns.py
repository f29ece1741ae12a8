"""Numbers that spans carry among their attributes, in columns: what `carried` tells of one row, of thousands."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from greenops.domain.energy import Method
from greenops.domain.spans import MOST
from greenops.observe.gen_ai import CALLS, OPERATION, OUTPUT
from greenops.pipeline.carried import ELSEWHERE, MOST_COUNTED, number_in, value_in
from greenops.pipeline.span_columns import Attributes, SpanColumns

NUMBER: Final = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$"
"""What JSON has for a number. Source: RFC 8259, section 6."""


def numbers(attributes: Attributes, name: str) -> tuple[Any, Any]:
    """Spans that carry an amount of a name, and the amounts [J, g]; NaN for what cannot be one."""
    at = attributes.at(name)
    if not len(at):
        return at, np.empty(0)
    texts = attributes.texts.take(pa.array(at))
    plain = pc.match_substring_regex(texts, NUMBER)
    whole = pc.if_else(plain, texts, pa.scalar(None, pa.string())).cast(pa.float64())
    values = np.array(whole.to_numpy(zero_copy_only=False), np.float64)
    for place in np.flatnonzero(~plain.to_numpy(zero_copy_only=False)).tolist():
        found = number_in(texts[place].as_py())
        values[place] = np.nan if found is None else found
    with np.errstate(invalid="ignore"):
        return attributes.span[at], np.where((values >= 0) & (values <= MOST), values, np.nan)


def amounts(attributes: Attributes, name: str) -> tuple[Any, Any]:
    """Spans with an amount of a name, and the amounts [J, g]."""
    spans, values = numbers(attributes, name)
    known = ~np.isnan(values)
    return spans[known], values[known]


def counts(attributes: Attributes, *spellings: str) -> Any:
    """Each span's count by the first spelling that it carries; NaN where that is no whole number above zero."""
    found = np.full(attributes.count, np.nan)
    for name in reversed(spellings):
        spans, values = numbers(attributes, name)
        with np.errstate(invalid="ignore"):
            whole = (values > 0) & (values <= MOST_COUNTED) & (values == np.floor(values))
        found[spans] = np.where(whole, values, np.nan)
    return found


def output_tokens(attributes: Attributes) -> Any:
    """Tokens that each span's call of a language model gave; NaN where it does not tell."""
    return counts(attributes, *OUTPUT)


def metered_tokens(spans: SpanColumns) -> Any:
    """Tokens whose energy was metered on the span itself.

    NaN for calls to elsewhere, for what repeats a call's tokens, and for estimates, which follow from the tokens.
    """
    attributes = spans.attributes
    found = output_tokens(attributes)
    if np.isnan(found).all():
        return found
    found[np.isnan(spans.numbers("energy_j"))] = np.nan
    found[spans.is_word("method", Method.ESTIMATED)] = np.nan
    found[attributes.carriers(ELSEWHERE)] = np.nan
    at = attributes.at(OPERATION)
    words = attributes.texts.take(pa.array(at)).dictionary_encode()
    other = np.array([not _is_call(text) for text in words.dictionary.to_pylist()], np.bool_)
    if other.any():
        found[attributes.span[at[other[words.indices.to_numpy()]]]] = np.nan
    return found


CALL_TEXTS: Final = frozenset(json.dumps(each) for each in CALLS)


def _is_call(text: str) -> bool:
    if text in CALL_TEXTS:
        return True
    operation = value_in(text)
    return operation is None or (isinstance(operation, str) and operation in CALLS)


def texts_of(attributes: Attributes, name: str) -> Sequence[str]:
    """The JSON texts of one name."""
    found: list[str] = attributes.texts.take(pa.array(attributes.at(name))).to_pylist()
    return found
