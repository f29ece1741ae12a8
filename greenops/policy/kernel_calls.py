"""One operator or function on columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from greenops.policy import kernel_numbers as numbers
from greenops.policy.columns import Column, conjunction, disjunction
from greenops.policy.kernel_clock import PARTS, calendar
from greenops.policy.kernel_numbers import COMPARE, INTEGERS
from greenops.policy.vocabulary import SEARCHES, Vocabulary

JOINED: Final = {"&&": conjunction, "||": disjunction}
SIMPLE: Final[dict[str, Callable[..., Column]]] = {
    "neg": numbers.negative,
    "double": numbers.as_double,
    "getSeconds": numbers.whole_seconds,
    "ratio": numbers.ratio,
}
WITH_TEXT: Final = {*PARTS, *SEARCHES, "matches"}
"""What takes a constant text: a zone's name, or what is looked for."""
COLUMNWISE: Final = {*SIMPLE, *COMPARE, *INTEGERS, *WITH_TEXT, "!", "size"}


def with_text(name: str, of: Column, text: str, words: Vocabulary) -> Column:
    """A function with a constant text."""
    return calendar(name, of, text) if name in PARTS else words.search(name, of, text)


def called(name: str, args: list[Column], words: Vocabulary) -> Column:
    """Any other operator or function."""
    if name in COMPARE:
        return numbers.compare(name, *args)
    if name in INTEGERS:
        return numbers.arithmetic(name, *args)
    if name in SIMPLE:
        return SIMPLE[name](*args)
    if name in SEARCHES:
        return words.search_pairs(name, *args)
    if name == "!":
        return Column("bool", ~args[0].values, args[0].ok)
    return words.size(*args) if name == "size" else calendar(name, args[0], "UTC")
