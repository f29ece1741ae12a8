"""A policy file, laid out one way: white space and quotes of expressions, order of keys, ends of lines.

Comments stay, and so does what the file says. Law: what is read from the result equals what is read
from the source, but for the order of keys; where that could not be kept the file is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import yaml

from greenops.errors import InvalidFile, Location
from greenops.policy.document import Node, documents
from greenops.policy.format_cel import respaced, tokens_of
from greenops.policy.format_order import ordered
from greenops.policy.lint_text import EXPRESSIONS, PLACES

MOST_ROUNDS: Final = 4
NEEDS_QUOTES: Final = re.compile(r"""^[-!&*?|>@`"'%\[\]{},:#]|: | #|:$|\n""")
"""What YAML would read for itself in a text without quotes."""
IN_FLOW: Final = re.compile(r"[,\[\]{}]")
Spot = tuple[str, int, int]


def formatted(file: str, text: str) -> str:
    """The text of one file, laid out; formatting it again changes nothing.

    Raises:
        InvalidFile: Not YAML that is read here, or its meaning could not be kept.
    """
    before = list(documents(file, text))
    made = _settled(text)
    if made is None or not _alike(before, list(documents(file, made))):
        raise InvalidFile(
            "GO0158",
            "its layout is too unusual to be changed without changing what it says",
            at=Location(file),
            fix="lay it out by hand, and report it",
        )
    return made


def _settled(text: str) -> str | None:
    """The text that a further round leaves alone; none where there is none near."""
    try:
        for _ in range(MOST_ROUNDS):
            last, text = text, _round(text)
            if text == last:
                return text
    except yaml.YAMLError:
        return None
    return None


def _round(text: str) -> str:
    text = text.replace("\r\n", "\n")
    text = ordered(_expressions(text))
    return _ends(text)


def _expressions(text: str) -> str:
    """The text with its expressions laid out, the last first, so that places before it stay."""
    roots = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
    spots = [spot for root in roots for spot in _spots(text, root)]
    for new, begin, end in sorted(spots, key=lambda spot: -spot[1]):
        text = text[:begin] + new + text[end:]
    return text


def _spots(text: str, root: yaml.Node | None) -> Iterator[Spot]:
    """(new text, begin, end) of each expression."""
    stack = [(root, "", False)] if root is not None else []
    while stack:
        node, above, in_flow = stack.pop()
        flow = in_flow or bool(getattr(node, "flow_style", False))
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                is_cel = key.value in EXPRESSIONS or PLACES.get(key.value) == above
                if is_cel and isinstance(value, yaml.ScalarNode) and value.style not in {"|", ">"}:
                    begin, end = value.start_mark.index, value.end_mark.index
                    yield _scalar(value, text[begin:end], in_flow=flow), begin, end
                stack.append((value, key.value, flow))
        elif isinstance(node, yaml.SequenceNode):
            stack.extend((each, above, flow) for each in node.value)


def _scalar(node: yaml.ScalarNode, raw: str, *, in_flow: bool) -> str:
    """An expression as it is written: bare where it was and may be, else in single quotes."""
    text = respaced(node.value)
    if not text.isprintable():
        return raw
    bare = node.style is None and "\n" not in raw and not NEEDS_QUOTES.search(text)
    if bare and not (in_flow and IN_FLOW.search(text)):
        return text
    quoted = text.replace("'", "''")
    return f"'{quoted}'"


def _ends(text: str) -> str:
    """No white space at the ends of lines outside of texts, one end of line at the end."""
    inside: set[int] = set()
    for token in yaml.scan(text, Loader=yaml.SafeLoader):
        if isinstance(token, yaml.ScalarToken):
            inside.update(range(token.start_mark.line, token.end_mark.line))
    lines = [
        line if at in inside else line.rstrip(" \t") for at, line in enumerate(text.split("\n"))
    ]
    while lines and not lines[-1] and len(lines) - 1 not in inside:
        lines.pop()
    return "\n".join(lines) + "\n" if lines else ""


def _alike(before: list[Node], after: list[Node]) -> bool:
    if len(before) != len(after):
        return False
    return all(_same(a, b, "", "") for a, b in zip(before, after, strict=True))


def _same(one: Node, other: Node, key: str, above: str) -> bool:
    """Do both say one thing? Expressions may differ in white space, maps in order."""
    if one.entries is not None and other.entries is not None:
        mine, theirs = one.entries, other.entries
        return mine.keys() == theirs.keys() and all(
            _same(value, theirs[name][1], name, key) for name, (_, value) in mine.items()
        )
    if one.items is not None and other.items is not None:
        pairs = zip(one.items, other.items, strict=False)
        return len(one.items) == len(other.items) and all(_same(a, b, key, key) for a, b in pairs)
    if one.text is None or other.text is None:
        return False
    if one.text == other.text:
        return one.value == other.value and type(one.value) is type(other.value)
    is_cel = key in EXPRESSIONS or PLACES.get(key) == above
    tokens = tokens_of(one.text)
    both = isinstance(one.value, str) and isinstance(other.value, str)
    return is_cel and both and tokens is not None and tokens == tokens_of(other.text)
