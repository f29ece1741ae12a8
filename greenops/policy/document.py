"""YAML 1.2 documents with a place for every value; what surprises people is refused.

`NO` is a string, `16:00` is a string, `010` is ten (the 1.2 core schema). Duplicate keys, anchors,
aliases, tags, deep nesting and big files are refused. Source: YAML 1.2.2, section 10.3.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import yaml

from greenops.errors import InvalidFile, Location

MAX_BYTES: Final = 256 * 1024
"""Largest file that is read; a policy is a page, not a data set."""
MAX_DEPTH: Final = 24
"""Deepest nesting of maps and lists."""
MAX_PARTS: Final = 16_000
"""Most values, keys, maps and lists of one file: what 256 KiB of rules hold, at sixteen characters each.
A list of one-digit numbers has eight times as many, and each costs about 20 microseconds."""
MAX_DOCUMENTS: Final = 250
"""Most documents of one file; each workload is asked about with each policy."""

BOOLS: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False}
BOOLS_ALL: Final = {**BOOLS, "FALSE": False}
NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
DEEP: Final = re.compile(rf"(?:[\[{{][ \t]*){{{MAX_DEPTH + 1}}}")
"""A run of brackets deeper than any map; the YAML scanner looks ahead, so it is found first."""
ESCAPES: Final = {"x": 4, "u": 6, "U": 10}
"""Letters of the escapes that are longer than two characters. Source: YAML 1.2.2, section 5.7."""
REFUSED: Final = re.compile(
    r"[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|\r(?!\n)"
)
"""Characters that are not YAML, and those that end a line, so also a comment, where few editors show
it: U+0085, U+2028, U+2029 and a carriage return alone. Source: YAML 1.1, section 4.2."""
SURROGATE: Final = re.compile(r"[\ud800-\udfff]")
INT: Final = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")

Plain = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Node:
    """A value and where it stands; exactly one of the three shapes.

    Attributes:
        text: The scalar as written, unescaped; none for a map or list.
        value: The scalar by the core schema.
        entries: Key → (key's place, value), in file order; none if not a map.
        items: Members; none if not a list.
        raw: The characters in the file, quotes included.
    """

    at: Location
    text: str | None = None
    value: Plain = None
    entries: Mapping[str, tuple[Location, Node]] | None = None
    items: tuple[Node, ...] | None = None
    raw: str = ""

    @property
    def shape(self) -> str:
        """What this is, for a message."""
        if self.entries is not None:
            return "a map"
        if self.items is not None:
            return "a list"
        names = {str: "a text", bool: "true or false", type(None): "nothing"}
        return names.get(type(self.value), "a number")

    def place(self, offset: int) -> Location:
        """Where character `offset` of `text` stands; the start where folding hides it."""
        body = _plain_offset(self.raw, self.text or "", offset)
        if body is None:
            return self.at
        before = self.raw[:body]
        line = before.count("\n")
        column = self.at.column + body if not line else body - before.rfind("\n")
        return Location(self.at.file, self.at.line + line, column)


def _plain_offset(raw: str, text: str, offset: int) -> int | None:
    """Offset in `raw` of character `offset` of `text`; none where lines were folded."""
    if raw[:1] in {"|", ">"}:
        return _block_offset(raw, text, offset)
    if "\n" in raw:
        return None
    if raw[:1] == "'":
        return 1 + len(text[:offset].replace("'", "''"))
    if raw[:1] != '"':
        return offset
    at = 1
    for _ in range(offset):
        at += ESCAPES.get(raw[at + 1 : at + 2], 2) if raw[at : at + 1] == "\\" else 1
    return min(at, len(raw) - 1)


def _block_offset(raw: str, text: str, offset: int) -> int | None:
    """A literal block keeps its lines; each starts after the same indent."""
    lines = text[:offset].split("\n")
    raw_lines = raw.split("\n")
    number = len(lines)
    wanted = text.split("\n")[number - 1]
    if raw[0] == ">" or number >= len(raw_lines) or wanted not in raw_lines[number]:
        return None
    before = sum(len(each) + 1 for each in raw_lines[:number])
    return before + raw_lines[number].index(wanted) + len(lines[-1])


def documents(file: str, text: str) -> Iterator[Node]:
    """The documents of one file, in order; an empty document is left out.

    Raises:
        InvalidFile: Not YAML, or YAML that is refused here; names the place.
    """
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise InvalidFile("GO0102", "file is over 256 KiB", at=Location(file), fix="split it")
    if found := REFUSED.search(text):
        raise InvalidFile(
            "GO0101",
            f"not YAML: character U+{ord(found[0]):04X} is refused",
            at=_at_offset(file, text, found.start()),
            fix="remove it, or write it as an escape in a text in double quotes",
        )
    if found := DEEP.search(text):
        at = Location(file, text.count("\n", 0, found.end()) + 1)
        raise InvalidFile("GO0106", f"nested deeper than {MAX_DEPTH}", at=at)
    builder = _Builder(file, text)
    try:
        for event in _events(file, text):
            done = builder.take(event)
            if done is not None and not (done.text == "" and done.value is None):
                yield done
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = Location(file, mark.line + 1, mark.column + 1) if mark else Location(file)
        raise InvalidFile(
            "GO0101",
            f"not YAML: {error.problem or error.context}",
            at=at,
            fix="quote expressions that hold `: `, ` #`, `!` or `?`",
        ) from error
    except yaml.YAMLError as error:
        said = str(error).splitlines()[0]
        fix = "write plain text, indented with spaces"
        raise InvalidFile("GO0101", f"not YAML: {said}", at=Location(file, 1), fix=fix) from error


def _events(file: str, text: str) -> Iterator[yaml.Event]:
    """What PyYAML's parser says, with a place for what its scanner lets through."""
    loader = yaml.SafeLoader(text)
    try:
        while loader.check_event():
            yield loader.get_event()  # type: ignore[no-untyped-call]
    except (ValueError, OverflowError) as error:
        # Such as an escape over U+10FFFF, or a version of 5,000 digits.
        mark = loader.get_mark()
        raise InvalidFile(
            "GO0101",
            "not YAML: an escape or a directive with a number that is out of range",
            at=Location(file, mark.line + 1, mark.column + 1),
            fix="write escapes up to `\\U0010ffff`, and no `%` directive",
        ) from error
    finally:
        loader.dispose()


def _at_offset(file: str, text: str, offset: int) -> Location:
    line = text.count("\n", 0, offset) + 1
    return Location(file, line, offset - text.rfind("\n", 0, offset))


@dataclass(slots=True)
class _Open:
    """A map or list that has begun."""

    at: Location
    is_map: bool
    entries: dict[str, tuple[Location, Node]] = field(default_factory=dict)
    items: list[Node] = field(default_factory=list)
    key: tuple[str, Location] | None = None

    def put(self, node: Node) -> None:
        if not self.is_map:
            self.items.append(node)
        elif self.key is None:
            if node.text is None:
                raise InvalidFile("GO0104", "a key must be a word", at=node.at)
            if node.text in self.entries:
                raise InvalidFile(
                    "GO0103",
                    f"duplicate key `{node.text}`",
                    at=node.at,
                    fix=f"first given at line {self.entries[node.text][0].line}; keep one",
                )
            self.key = (node.text, node.at)
        else:
            name, at = self.key
            self.entries[name] = (at, node)
            self.key = None

    def close(self) -> Node:
        if self.is_map:
            return Node(self.at, entries=self.entries)
        return Node(self.at, items=tuple(self.items))


class _Builder:
    """Builds nodes from events with a stack of its own, so depth costs no recursion."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text
        self.stack: list[_Open] = []
        self.parts = 0
        self.documents = 0

    def take(self, event: yaml.Event) -> Node | None:
        """Take one event; the document when it is whole."""
        self._count(event)
        match event:
            case yaml.AliasEvent():
                raise self._refused("alias", event)
            case yaml.ScalarEvent():
                self._no_anchor_or_tag(event)
                return self._put(self._scalar(event))
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._no_anchor_or_tag(event)
                if len(self.stack) >= MAX_DEPTH:
                    raise InvalidFile(
                        "GO0106", f"nested deeper than {MAX_DEPTH}", at=self._at(event)
                    )
                is_map = isinstance(event, yaml.MappingStartEvent)
                self.stack.append(_Open(self._at(event), is_map))
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                return self._put(self.stack.pop().close())
            case _:
                pass
        return None

    def _count(self, event: yaml.Event) -> None:
        """Bound the work before it is done: that of a file, and that of comparing its documents."""
        self.parts += isinstance(event, yaml.NodeEvent)
        self.documents += isinstance(event, yaml.DocumentStartEvent)
        for given, most, what in (
            (self.parts, MAX_PARTS, "values"),
            (self.documents, MAX_DOCUMENTS, "documents"),
        ):
            if given > most:
                message = f"file has over {most:,} {what}"
                raise InvalidFile("GO0102", message, at=self._at(event), fix="split it")

    def _put(self, node: Node) -> Node | None:
        if not self.stack:
            return node
        self.stack[-1].put(node)
        return None

    def _at(self, event: yaml.Event) -> Location:
        mark = event.start_mark
        return Location(self.file, mark.line + 1, mark.column + 1) if mark else Location(self.file)

    def _refused(self, what: str, event: yaml.Event) -> InvalidFile:
        return InvalidFile(
            "GO0105",
            f"YAML {what} is refused",
            at=self._at(event),
            fix="write the value out; quote a text that begins with `!`, `&` or `*`",
        )

    def _no_anchor_or_tag(self, event: yaml.NodeEvent) -> None:
        if event.anchor is not None:
            raise self._refused("anchor", event)
        if getattr(event, "tag", None) is not None:
            raise self._refused("tag", event)

    def _scalar(self, event: yaml.ScalarEvent) -> Node:
        at = self._at(event)
        if found := SURROGATE.search(event.value):
            raise InvalidFile(
                "GO0101",
                f"not YAML: `\\u{ord(found[0]):04x}` is half a character",
                at=at,
                fix="write the character itself, or one escape of eight digits: `\\U0001f331`",
            )
        begin, end = event.start_mark, event.end_mark
        raw = self.text[begin.index : end.index] if begin and end else ""
        plain = event.style is None
        value = core_value(event.value, at) if plain else event.value
        return Node(at, text=event.value, value=value, raw=raw)


def core_value(text: str, at: Location) -> Plain:
    """A plain scalar by the YAML 1.2 core schema."""
    if text in NULLS:
        return None
    if text in BOOLS_ALL:
        return BOOLS_ALL[text]
    if len(text) > 40:  # noqa: PLR2004 - no number a person writes is longer
        return text
    if INT.fullmatch(text):
        base = 10 if text[:2] not in {"0o", "0x"} else 0
        whole = int(text, base)
        if abs(whole) >= 2**63:
            raise InvalidFile("GO0107", f"number `{text}` is over 64 bits", at=at)
        return whole
    if not FLOAT.fullmatch(text):
        return text
    if math.isinf(value := float(text)):
        raise InvalidFile("GO0107", f"number `{text}` is over the largest double", at=at)
    return value
