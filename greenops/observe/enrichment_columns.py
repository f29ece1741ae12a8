"""Attributes of a batch of spans by name, each where it stands: most spans have few of those that are asked for."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from greenops.domain.language_model import MOST_TOKENS
from greenops.observe.gen_ai import count

Objects = npt.NDArray[np.object_]


class Sparse(NamedTuple):
    """Values of one attribute, and the rows that have it; no row twice."""

    rows: npt.NDArray[np.int64]
    values: Objects


class Columns:
    """Collects attributes while spans are decoded, one call an attribute."""

    def __init__(self) -> None:
        self._rows: dict[str, list[int]] = {}
        self._values: dict[str, list[object]] = {}

    def add(self, row: int, name: str, value: object) -> None:
        """An attribute of a span; none is no value, and of two of one name the first counts."""
        if value is None:
            return
        rows = self._rows.setdefault(name, [])
        if rows and rows[-1] == row:
            return
        rows.append(row)
        self._values.setdefault(name, []).append(value)

    def finish(self) -> dict[str, Sparse]:
        """What was collected, by attribute."""
        return {name: sparse(rows, self._values[name]) for name, rows in self._rows.items()}


def sparse(rows: list[int], values: list[object]) -> Sparse:
    """A column of what one attribute says."""
    # Asked for plainly, numpy takes a list of equal lists for a table.
    return Sparse(np.array(rows, np.int64), np.fromiter(values, np.object_, len(values)))


def as_numbers(values: Objects) -> npt.NDArray[np.float64]:
    """Numbers; NaN for what is none."""
    if set(map(type, values)) <= {int, float}:
        try:
            return values.astype(np.float64)
        except OverflowError:
            pass
    return np.array([_number(each) for each in values], np.float64)


def as_counts(values: Objects) -> npt.NDArray[np.float64]:
    """Numbers of tokens, as `gen_ai.count` takes them; NaN for what is none."""
    if set(map(type, values)) <= {int}:
        known = [each if 0 <= each <= MOST_TOKENS else -1 for each in values]
        whole = np.array(known, np.float64)
    else:
        whole = np.array([_count(each) for each in values], np.float64)
    whole[whole < 0] = np.nan
    return whole


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return float("nan")
    try:
        return float(value)
    except OverflowError:
        return float("nan")


def _count(value: object) -> float:
    found = count(value)
    return float("nan") if found is None else found
