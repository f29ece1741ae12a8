"""Reads the fields of one map: typed, with a problem for each that is missing, wrong or unknown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from greenops.errors import Location
from greenops.policy.cost import LONGEST_LIST
from greenops.policy.document import Node
from greenops.policy.quantity import duration, instant, percent
from greenops.policy.report import Report

E = TypeVar("E", bound=StrEnum)


@dataclass(slots=True)
class Fields:
    """One map being read; call `done` last, it reports what nobody asked for.

    Attributes:
        what: Path of the map in the file, `spec.limits`, for messages.
        prefix: First four characters of the codes, `GO01` for policies, `GO02` for workloads.
    """

    node: Node
    what: str
    report: Report
    prefix: str = "GO01"
    asked: set[str] = field(default_factory=set)
    empty: set[str] = field(default_factory=set)

    def bad(self, name: str, message: str, fix: str | None = None, number: str = "12") -> None:
        """Note a problem with one field, at its value."""
        self.report.add(self.prefix + number, message, self.at(name), fix)

    def at(self, name: str) -> Location:
        """Where the field's value stands; the map where it is missing."""
        found = (self.node.entries or {}).get(name)
        return found[1].at if found else self.node.at

    def path(self, name: str) -> str:
        """The field's full path."""
        return f"{self.what}.{name}" if self.what else name

    def get(self, name: str, *, required: bool = False) -> Node | None:
        """The field's node; none where it is missing, or, with a problem noted, empty."""
        self.asked.add(name)
        found = (self.node.entries or {}).get(name)
        if found is None:
            if required:
                self.bad(name, f"`{self.path(name)}` is missing", "add it", "11")
            return None
        if found[1].value is None and found[1].text is not None:
            self.is_empty(name)
            return None
        return found[1]

    def is_empty(self, name: str, fix: str = "give it a value, or remove the key") -> None:
        """Note, once, that a field is there and says nothing: what it switches off is not guessed."""
        if name not in self.empty:
            self.empty.add(name)
            self.bad(name, f"`{self.path(name)}` is empty", fix, "11")

    def wrong(self, name: str, form: str) -> None:
        """Note that a field has the wrong type or form."""
        node = self.get(name)
        given = f"`{node.text}`" if node and node.text is not None else node and node.shape
        self.bad(name, f"`{self.path(name)}` is {given}", f"write {form}")

    def text(self, name: str, *, required: bool = False) -> str | None:
        """A text; a number or true/false is refused, so that nothing is guessed."""
        node = self.get(name, required=required)
        if node is None:
            return None
        if not isinstance(node.value, str):
            self.wrong(name, "a text, in quotes")
            return None
        if not node.value.strip():
            self.is_empty(name)
            return None
        return node.value

    def number(self, name: str, form: str = "a number, such as 40.0") -> float | None:
        """A finite number that is not negative."""
        node = self.get(name)
        if node is None:
            return None
        if isinstance(node.value, bool) or not isinstance(node.value, int | float):
            self.wrong(name, form)
            return None
        if not 0 <= node.value < float("inf"):
            self.wrong(name, f"{form}, 0 or more")
            return None
        return float(node.value)

    def flag(self, name: str) -> bool | None:
        """True, false or absent."""
        node = self.get(name)
        if node is None or isinstance(node.value, bool):
            return node.value if node is not None and isinstance(node.value, bool) else None
        self.wrong(name, "true or false")
        return None

    def texts(self, name: str, *, required: bool = False) -> tuple[str, ...]:
        """A list of texts; empty where absent. One that is required has a member."""
        node = self.get(name, required=required)
        if node is None:
            return ()
        if node.items is None or not all(isinstance(each.value, str) for each in node.items):
            self.wrong(name, "a list of texts")
            return ()
        texts = tuple(each.text or "" for each in node.items)
        if not all(each.strip() for each in texts) or (required and not texts):
            self.is_empty(name, "name at least one, and leave empty texts out")
            return ()
        if len(texts) > LONGEST_LIST:
            given, most = f"`{self.path(name)}` has {len(texts)} texts", f"at most {LONGEST_LIST}"
            self.bad(name, f"{given}, {most} are read", "shorten it")
            return ()
        return texts

    def choice(self, name: str, kind: type[E], *, required: bool = False) -> E | None:
        """One word of an enum."""
        word = self.text(name, required=required)
        if word is None:
            return None
        known = [each.value for each in kind]
        if word not in known:
            self.report.unknown(
                self.prefix + "13", f"`{self.path(name)}`", word, known, self.at(name)
            )
            return None
        return kind(word)

    def duration(self, name: str) -> timedelta | None:
        """A positive duration such as `8h`."""
        node = self.get(name)
        if node is None:
            return None
        found = duration(node.text, "d h m s") if node.text else None
        if found is None or found <= timedelta(0):
            self.wrong(name, "a number and its unit without a space: `90s`, `30m`, `8h` or `3d`")
            return None
        return found

    def percent(self, name: str) -> float | None:
        """A percentage such as `10%`, as a fraction."""
        node = self.get(name)
        if node is None:
            return None
        found = percent(node.text or "")
        if found is None:
            self.wrong(name, "a percentage with its sign, such as `10%`")
        return found

    def instant(self, name: str, *, required: bool = False) -> datetime | None:
        """An RFC 3339 instant."""
        node = self.get(name, required=required)
        if node is None:
            return None
        found = instant(node.text or "")
        if found is None:
            self.wrong(name, 'an instant with its zone, such as "2026-11-23T20:00:00Z"')
        return found

    def map(self, name: str, *, required: bool = False) -> Fields | None:
        """A map inside this one."""
        node = self.get(name, required=required)
        if node is None:
            return None
        return self.inside(node, self.path(name))

    def inside(self, node: Node, what: str) -> Fields | None:
        """Fields of a node that must be a map."""
        if node.entries is None:
            self.report.add(self.prefix + "12", f"`{what}` is {node.shape}", node.at, "write a map")
            return None
        return Fields(node, what, self.report, self.prefix)

    def maps(self, name: str) -> list[Fields]:
        """A list of maps; empty where absent."""
        node = self.get(name)
        if node is None:
            return []
        if node.items is None:
            self.wrong(name, "a list of maps")
            return []
        named = ((f"{self.path(name)}[{i}]", each) for i, each in enumerate(node.items))
        found = (self.inside(each, what) for what, each in named)
        return [each for each in found if each is not None]

    def entries(self) -> Mapping[str, tuple[Location, Node]]:
        """All entries, each counted as asked for."""
        entries = self.node.entries or {}
        self.asked.update(entries)
        return entries

    def done(self) -> None:
        """Report every key that nobody asked for, with the nearest known one."""
        for name, (at, _) in (self.node.entries or {}).items():
            if name not in self.asked:
                where = f"key in `{self.what}`" if self.what else "key"
                self.report.unknown(self.prefix + "10", where, name, self.asked, at)
