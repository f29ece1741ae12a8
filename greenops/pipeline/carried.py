"""Numbers that a row carries among its attributes; what cannot be is absent."""

from __future__ import annotations

import json
from typing import Any, Final

from greenops.domain.spans import SpanRow, credible
from greenops.observe import attributes as names
from greenops.observe.gen_ai import OUTPUT

MOST_COUNTED: Final = 1e9
"""Most tokens or items that one span may tell [1]."""
ELSEWHERE: Final = frozenset({names.ENERGY_REMOTE, names.ENERGY_REMOTE_UNKNOWN})


def value(row: SpanRow, name: str) -> Any:
    """An attribute as it was sent; none where it is absent or no JSON."""
    return value_in(row.attributes.get(name))


def value_in(text: str | None) -> Any:
    """What a JSON text says; none where there is none or it is no JSON."""
    try:
        return None if text is None else json.loads(text)
    except (ValueError, RecursionError):
        return None


def number(row: SpanRow, name: str) -> float | None:
    """An amount [J, g]; none where it is absent or cannot be."""
    return number_in(row.attributes.get(name))


def number_in(text: str | None) -> float | None:
    """An amount in a JSON text [J, g]; none where there is none or it cannot be."""
    found = value_in(text)
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    return float(found) if credible(found) else None


def count(row: SpanRow, *spellings: str) -> int | None:
    """A count by the first spelling that is there; none where it is no whole number above zero."""
    for name in spellings:
        if name in row.attributes:
            found = number(row, name)
            whole = found is not None and found == int(found) and 0 < found <= MOST_COUNTED
            return int(found) if found is not None and whole else None
    return None


def output_tokens(row: SpanRow) -> int | None:
    """Tokens that a call of a language model gave; none where the span does not tell."""
    return count(row, *OUTPUT)


def text(row: SpanRow, name: str) -> str | None:
    """A word; none where it is absent, empty or no text."""
    found = value(row, name)
    return found if isinstance(found, str) and found else None
