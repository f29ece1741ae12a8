"""The order of keys in a policy file: as the schema lists them; comments go with the line they stand above.

Maps over several lines in `{}` are left alone, since nothing tells where their comments belong.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise
from typing import Final

import yaml

from greenops.policy.json_schema import json_schema
from greenops.policy.schema_parts import Schema

ROW: Final[Schema] = {"properties": {"id": {}}}
"""A run or a place in a test: its figures stay in the order that their author tells them in."""
MOST_DEPTH: Final = 24
"""Deepest nesting of maps; each pass puts one more level in order."""


def ordered(text: str) -> str:
    """The text with the keys of its documents in order."""
    for _ in range(MOST_DEPTH):
        made = _one_pass(text)
        if made == text:
            break
        text = made
    return text


def _one_pass(text: str) -> str:
    """The text with every map in order that stands in no other map out of order.

    A map in another order has as many lines and characters, so places outside of it stay.
    """
    done = 0
    for root in yaml.compose_all(text, Loader=yaml.SafeLoader):
        if not isinstance(root, yaml.MappingNode):
            continue
        for node, known in _maps(root, _schema_of(root)):
            if node.start_mark.index < done:
                continue
            made = _in_order(text, node, known)
            if made is not None:
                text, done = made, node.end_mark.index
    return text


@cache
def _schemas() -> dict[str, Schema]:
    """Kind of document → its schema."""
    kinds: dict[str, Schema] = json_schema()["definitions"]
    tests = kinds["PlacementPolicy"]["properties"]["tests"]["items"]["properties"]
    tests |= {"job": ROW, "baseline": ROW, "candidates": {"items": ROW}}
    return kinds


def _schema_of(root: yaml.MappingNode) -> Schema:
    named = [str(of.value) for key, of in root.value if key.value == "kind"]
    return _schemas().get(named[0], {}) if named else {}


def _maps(node: yaml.Node, schema: Schema) -> Iterator[tuple[yaml.MappingNode, Sequence[str]]]:
    """Every map, the outer ones first, and the keys that its schema lists."""
    if isinstance(node, yaml.MappingNode):
        keys: dict[str, Schema] = schema.get("properties", {})
        yield node, list(keys)
        for key, value in node.value:
            yield from _maps(value, keys.get(key.value, {}))
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _maps(value, schema.get("items", {}))


def _in_order(text: str, node: yaml.MappingNode, known: Sequence[str]) -> str | None:
    keys = [key.value for key, _ in node.value]
    rank = {key: at for at, key in enumerate(known)}
    wanted = sorted(range(len(keys)), key=lambda at: (rank.get(keys[at], len(rank)), at))
    if wanted == list(range(len(keys))):
        return None
    return _flow(text, node, wanted) if node.flow_style else _block(text, node, wanted)


def _flow(text: str, node: yaml.MappingNode, wanted: Sequence[int]) -> str | None:
    if node.start_mark.line != node.end_mark.line:
        return None
    spans = [(key.start_mark.index, value.end_mark.index) for key, value in node.value]
    parts = [text[begin:end] for begin, end in spans]
    for (begin, end), at in reversed(list(zip(spans, wanted, strict=True))):
        text = text[:begin] + parts[at] + text[end:]
    return text


def _block(text: str, node: yaml.MappingNode, wanted: Sequence[int]) -> str | None:
    lines = text.split("\n")
    keys = [key.start_mark for key, _ in node.value]
    column = keys[0].column
    before = [lines[each.line][:column] for each in keys]
    if (
        any(e.column != column for e in keys)
        or before[0].strip(" -")
        or "".join(before[1:]).strip()
    ):
        return None
    first, end, prefix = keys[0].line, _end(lines, node, column), before[0]
    starts = [first, *(_with_comments(lines, each.line, column) for each in keys[1:]), end]
    lines[first] = " " * column + lines[first][column:]
    regions = [lines[a:b] for a, b in pairwise(starts)]
    made = [line for at in wanted for line in regions[at]]
    head = next(at for at, line in enumerate(made) if _is_content(line))
    depth = len(prefix) - len(prefix.lstrip(" "))  # of the dash: comments above it are as deep
    made[:head] = [" " * depth + line.lstrip(" ") for line in made[:head]]
    made[head] = prefix + made[head][column:]
    return "\n".join([*lines[:first], *made, *lines[end:]])


def _with_comments(lines: Sequence[str], line: int, column: int) -> int:
    """The first of the comment lines that stand right above a key, no deeper than it."""
    while _is_comment(lines[line - 1], column):
        line -= 1
    return line


def _end(lines: Sequence[str], node: yaml.MappingNode, column: int) -> int:
    """The line after a map: blank lines and comments of what follows are not its own."""
    mark = node.end_mark
    end = mark.line + 1 if mark.column > column else mark.line
    end = min(end, len(lines))
    while end > 0 and (not lines[end - 1].strip() or _is_comment(lines[end - 1], column)):
        end -= 1
    return end


def _is_comment(line: str, column: int) -> bool:
    bare = line.lstrip(" ")
    return bare.startswith("#") and len(line) - len(bare) <= column


def _is_content(line: str) -> bool:
    bare = line.strip()
    return bool(bare) and not bare.startswith("#")
