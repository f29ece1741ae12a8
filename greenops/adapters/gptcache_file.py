"""GPTCache: what its report counted, as JSON, or on a Prometheus page under the same names.

Source: GPTCache 0.1.44, `gptcache/report.py` (`hint_cache_count`, and `count` and `total_time` of `op_pre`, `op_search`, `op_llm` …) and
`gptcache/adapter/adapter.py`: a look is `op_search`, a hit `hint_cache_count`. GPTCache writes neither form itself: the page on
importing has the lines that do. Its counts begin with its process, so they are of no period and are kept nowhere.

A hit is an answer to a question that was *like* one before. That it is the right answer nothing here tells.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from greenops.adapters.import_text import documents, text_of
from greenops.domain.answer_cache import AnswerCache
from greenops.errors import InvalidFile, Location

HITS: Final = "hint_cache_count"
LOOKS: Final = "op_search.count"
MADE: Final = "op_llm.count"
MADE_S: Final = "op_llm.total_time"
NEEDED: Final = (HITS, LOOKS)
LINE: Final = re.compile(r"gptcache_(\w+?)(?:_total)?(?:\{[^}]*\})?[ \t]+(\S+).*")
"""A sample of a page; the underscore before the last word stands for the dot."""


def read(path: Path) -> AnswerCache:
    """What a report counted.

    Raises:
        DataMissing: It cannot be read.
        InvalidFile: It is none, or a count cannot be.
    """
    text, at = text_of(path), Location(str(path))
    told = _report(text, path) if text.lstrip()[:1] == "{" else dict(_page(text))
    missing = [each for each in NEEDED if each not in told]
    if missing:
        what = f"no report of GPTCache: it lacks `{'`, `'.join(missing)}`"
        raise InvalidFile("GO0440", what, at=at)
    numbers = {name: _number(told[name], name, at) for name in (*NEEDED, MADE, MADE_S) if name in told}  # fmt: skip
    if numbers[HITS] > numbers[LOOKS]:
        what = (
            f"`{HITS}` ({numbers[HITS]:g}) is more than the looks, `{LOOKS}` ({numbers[LOOKS]:g})"
        )
        raise InvalidFile("GO0441", what, at=at)
    return AnswerCache(
        hits=int(numbers[HITS]),
        looks=int(numbers[LOOKS]),
        made=int(numbers[MADE]) if MADE in numbers else None,
        made_s=numbers.get(MADE_S),
    )


def _report(text: str, path: Path) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    for _, document in documents(text, path):
        if isinstance(document, dict):
            for name, value in document.items():
                inner = value.items() if isinstance(value, dict) else [("", value)]
                found.update({f"{name}.{part}" if part else name: each for part, each in inner})
    return found


def _page(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        if found := LINE.fullmatch(line):
            name = found[1]
            yield (name if name == HITS else _dotted(name)), found[2]


def _dotted(name: str) -> str:
    """`op_llm_total_time` is `op_llm.total_time`."""
    parts = re.fullmatch(r"(op_[a-z]+)_(count|total_time)", name)
    return f"{parts[1]}.{parts[2]}" if parts else name


def _number(told: Any, name: str, at: Location) -> float:
    try:
        value = float(told) if not isinstance(told, bool) else math.nan
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        what = f"`{name}` must be a count, not `{str(told)[:40]}`"
        raise InvalidFile("GO0441", what, at=at)
    return value
