"""Series: what roll-ups tell spans apart by, as one number a row; the words of each number stand once.

A packed file has the numbers as a column, and its footer lists their words. Where it lists none (earlier files, more
series than `MOST`) and in small files, the column is made from the words themselves: readers see no difference.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa

from greenops.adapters.lake_compact import ATTRIBUTE
from greenops.domain.grouping import combined, grouped
from greenops.domain.language_model import MODEL_KEYS

WORDS: Final = ("service", "workload", "name", "region", "grid_zone", "method", "unknown")
MODELS: Final = tuple(ATTRIBUTE + each for each in MODEL_KEYS)
"""Columns that may name a model; the first that is there counts."""
APART: Final = (*WORDS, *MODELS)
"""Columns of the lake's schema that tell series apart."""
LISTED: Final = b"greenops.series.z"
"""The words of a file's series in its footer: JSON, deflated, in base 85."""
MOST: Final = 20_000
"""Most series that a footer lists: some hundred kilobytes."""

_Words = tuple[str | None, ...]


def series_of(columns: Mapping[str, Any]) -> pa.DictionaryArray:
    """The series of some rows: numbers, and the words of each number as a struct of `APART`.

    Args:
        columns: Each of `APART`, as words or as a dictionary of them, in one piece.
    """
    coded = [_coded(columns[name]) for name in APART]
    series, firsts = grouped(*combined([(codes, len(words) + 1) for words, codes in coded]))
    fields = [_words(words, codes[firsts]) for words, codes in coded]
    listed = pa.StructArray.from_arrays(fields, list(APART))
    return pa.DictionaryArray.from_arrays(pa.array(series.astype(np.int32)), listed)


def listed_in(footer: Mapping[bytes, bytes] | None) -> pa.StructArray | None:
    """The words of a file's series; none where its footer does not list them.

    Raises:
        ValueError: The footer says something that cannot be.
    """
    told = (footer or {}).get(LISTED)
    if told is None:
        return None
    try:
        columns = json.loads(zlib.decompress(base64.b85decode(told)))
        fields = [
            _words(pa.array(words, pa.string()), codes) for words, codes in map(columns.get, APART)
        ]
        return pa.StructArray.from_arrays(fields, list(APART))
    except (
        zlib.error,
        ValueError,
        TypeError,
        AttributeError,
        OverflowError,
        pa.ArrowException,
    ) as error:
        raise ValueError(f"its list of series cannot be read: {error}") from error


def numbered(numbers: pa.Array, listed: pa.StructArray) -> pa.DictionaryArray:
    """The series of some rows by their numbers.

    Raises:
        ValueError: A row has none, or one that is not listed.
    """
    if numbers.null_count:
        raise ValueError("a row has no series")
    return pa.DictionaryArray.from_arrays(numbers.cast(pa.int32()), listed)


@dataclass(slots=True)
class SeriesList:
    """The series of a file in the making."""

    _numbers: dict[_Words, int] = field(default_factory=dict)

    def numbers(self, columns: Mapping[str, Any]) -> Any:
        """Number of each row's series, of type int32; zero where there are too many to be listed."""
        rows = len(columns[WORDS[0]])
        if self._too_many:
            return np.zeros(rows, np.int32)
        found = series_of(columns)
        told = zip(*(each.to_pylist() for each in found.dictionary.flatten()), strict=True)
        numbers = [self._numbers.setdefault(each, len(self._numbers)) for each in told]
        return np.array(numbers, np.int32)[found.indices.to_numpy()]

    def footer(self) -> Mapping[bytes, bytes]:
        """What the footer says of them; nothing where there are too many."""
        if self._too_many:
            return {}
        columns = zip(*self._numbers, strict=True) if self._numbers else [()] * len(APART)
        told = {name: _listed(words) for name, words in zip(APART, columns, strict=True)}
        text = json.dumps(told, separators=(",", ":")).encode()
        return {LISTED: base64.b85encode(zlib.compress(text, 9))}

    @property
    def _too_many(self) -> bool:
        return len(self._numbers) > MOST


def _coded(column: Any) -> tuple[pa.Array, Any]:
    """Words, and their places in them plus one; zero where there is none."""
    array = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    places = array.indices.fill_null(-1) if array.indices.null_count else array.indices
    return array.dictionary, places.to_numpy() + np.int32(1)


def _words(words: pa.Array, codes: Any) -> pa.Array:
    """The other way round."""
    places = np.asarray(codes, np.int32) - np.int32(1)
    return pa.DictionaryArray.from_arrays(pa.array(places, mask=places < 0), words)


def _listed(column: Sequence[str | None]) -> tuple[list[str], list[int]]:
    """Words of a column and their places, as `_coded` has them."""
    places: dict[str, int] = {}
    codes = [0 if each is None else places.setdefault(each, len(places) + 1) for each in column]
    return list(places), codes
