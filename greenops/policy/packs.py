"""`extends`: a policy that builds on policies of packs, with parameters of its own.

The result is one document, as if it had been written out: rules of the bases first, then its own.
Every value keeps the place where it was written, so that an error names the file to mend.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from greenops.errors import InvalidFile, Location
from greenops.policy.document import Node, documents
from greenops.policy.heads import Head
from greenops.policy.ir import did_you_mean
from greenops.policy.report import Report

SHIPPED: Final = ("greenops",)
"""Packs that come with the package."""
JOINED: Final = frozenset({"match", "variables", "constraints", "invariants"})
"""Lists whose members all hold: those of the bases, then the policy's own."""
BY_KEY: Final = frozenset({"params", "limits", "verification"})
"""Maps that are put together key by key; a key of the policy's own counts."""
MOST_JOINED: Final = 200
"""Most members of a joined list; a policy takes no more rules."""
MAX_CHAIN: Final = 16
"""Most policies of packs that build on each other in a row."""
DATA_CLASSES: Final = "data_classes"

MANY: Final = {
    "a text": "texts",
    "a number": "numbers",
    "a whole number": "whole numbers",
    "true or false": "true and false",
}
MIXED: Final = "a list of several kinds"
Entries = Mapping[str, tuple[Location, Node]]


@dataclass(frozen=True, slots=True)
class Packs:
    """The policies of packs, by the name that `extends` gives them."""

    specs: Mapping[str, Node]
    report: Report
    wholes: dict[str, Node | None] = field(default_factory=dict)
    """What was put together, by name: two bases of each policy would double the work with each step."""

    @classmethod
    def of(cls, heads: Iterable[Head], report: Report) -> Packs:
        """The packs among some documents."""
        specs: dict[str, Node] = {}
        for each in heads:
            spec = (each.root.node.entries or {}).get("spec")
            if each.pack and spec and spec[1].entries is not None:
                specs.setdefault(each.full_name, spec[1])
        return cls(specs, report)

    def whole(self, spec: Node, trail: tuple[str, ...] = ()) -> Node | None:
        """A `spec` with all that it extends put in.

        Args:
            spec: The map as written.
            trail: Names that led here, to find a circle.

        Returns:
            The whole; none, with a problem noted, where a base is wrong. What is wrong with the
            rules themselves is told when they are read.
        """
        extends = (spec.entries or {}).get("extends")
        if extends is None:
            return spec
        names = self._names(extends[1])
        if names is None:
            return None
        base: Node | None = None
        for name in names:
            found = self._base(name, trail)
            if found is None:
                return None
            base = found if base is None else self._joined(base, found)
            if base is None:
                return None
        if base is None or not self._params_fit(base, spec):
            return None
        return self._joined(base, spec)

    def _names(self, node: Node) -> tuple[Node, ...] | None:
        items = node.items or ()
        if items and all(isinstance(each.value, str) and _in_two(each) for each in items):
            return items
        wrong = next((each for each in items if not _in_two(each)), node)
        given = f"`{wrong.text}`" if wrong.text else wrong.shape
        fix = "write a list of `pack/policy`, such as `[greenops/cleaner-within]`"
        self.report.add("GO0112", f"`spec.extends` has {given}", wrong.at, fix)
        return None

    def _base(self, name: Node, trail: tuple[str, ...]) -> Node | None:
        wanted = name.text or ""
        if wanted in trail:
            circle = " -> ".join(f"`{each}`" for each in (*trail[trail.index(wanted) :], wanted))
            fix = "remove one `extends` of the circle"
            self.report.add("GO0124", f"policies extend each other: {circle}", name.at, fix)
            return None
        if wanted not in self.specs:
            self._unknown(name, wanted)
            return None
        if len(trail) >= MAX_CHAIN:
            message = f"over {MAX_CHAIN} policies of packs build on each other in a row"
            self.report.add("GO0134", message, name.at, "name their bases in `extends` directly")
            return None
        if wanted not in self.wholes:
            self.wholes[wanted] = self.whole(self.specs[wanted], (*trail, wanted))
        return self.wholes[wanted]

    def _unknown(self, at: Node, wanted: str) -> None:
        pack, name = wanted.split("/")
        held = {each.split("/")[0] for each in self.specs}
        if pack not in held:
            self.report.unknown("GO0123", "pack", pack, held | set(SHIPPED), at.at)
            return
        inside = sorted(e.removeprefix(f"{pack}/") for e in self.specs if e.startswith(f"{pack}/"))
        fix = partial(did_you_mean, name, inside, f"it has: {', '.join(inside)}", f"{pack}/")
        self.report.add("GO0123", f"pack `{pack}` has no policy `{name}`", at.at, fix)

    def _params_fit(self, base: Node, own: Node) -> bool:
        """A parameter that is given anew keeps its type; one that nothing names is told, no more."""
        there, given = _map(base, "params"), _map(own, "params")
        if len(given) > MOST_JOINED:
            message = f"{len(given)} parameters, over {MOST_JOINED}"
            self.report.add("GO0134", message, own.at, "give fewer")
            return False
        used = {name for text in _texts(own) for name in given if f"params.{name}" in text}
        fine = True
        for name, (_, node) in given.items():
            if name not in there:
                if name not in used and name != DATA_CLASSES:
                    self._unknown_param(name, node, there)
            elif (why := misfit(node, there[name][1])) is not None:
                self.report.add("GO0125", f"`spec.params.{name}` is {why[0]}", node.at, why[1])
                fine = False
        return fine

    def _unknown_param(self, name: str, node: Node, there: Iterable[str]) -> None:
        names = sorted(there)
        known = f"known: {', '.join(names)}" if names else "they have none"
        fix = partial(did_you_mean, name, names, f"name it in a rule, or remove it; {known}")
        message = f"the policies that this one extends have no parameter `{name}`"
        self.report.add("GO0125", message, node.at, fix)

    def _joined(self, base: Node, own: Node) -> Node | None:
        """Both in one; a list that grows beyond what a policy may hold is refused."""
        joined = joined_specs(base, own)
        most = max((len(n.items or ()) for _, n in (joined.entries or {}).values()), default=0)
        most = max(most, len(_map(joined, "params")))
        if most <= MOST_JOINED:
            return joined
        message = f"{most} rules or parameters, over {MOST_JOINED}"
        self.report.add("GO0134", message, own.at, "extend less")
        return None


def misfit(given: Node, base: Node) -> tuple[str, str] | None:
    """Why a parameter cannot stand for another, and what to write; none where it can."""
    wanted, said = _kind(base), _kind(given)
    if said in {wanted, wanted.replace("number", "whole number")}:
        return None
    return f"{said}, not {wanted} as at {base.at}", f"write {wanted}"


def with_param_types(given: Node, base: Node) -> Node:
    """A parameter that was a number with a fraction stays one: `1` is written for `1.0`."""
    if "whole" in _kind(base) or "number" not in _kind(base):
        return given
    if given.items is not None:
        return replace(given, items=tuple(_with_fraction(each) for each in given.items))
    return _with_fraction(given)


def _with_fraction(node: Node) -> Node:
    return replace(node, value=float(node.value)) if isinstance(node.value, int) else node


def joined_specs(base: Node, own: Node) -> Node:
    """Two maps of rules in one, as `JOINED` and `BY_KEY` tell; what else both give is the own."""
    entries = dict(base.entries or {})
    for name, (at, node) in (own.entries or {}).items():
        if name == "extends":
            continue
        there = entries[name][1] if name in entries else None
        if there is None:
            entries[name] = (at, node)
        elif name in JOINED and there.items is not None and node.items:
            entries[name] = (at, Node(node.at, items=(*there.items, *node.items)))
        elif name in BY_KEY and there.entries is not None and node.entries is not None:
            entries[name] = (at, _by_key(name, there, node))
        else:
            entries[name] = (at, node)
    return Node(own.at, entries=entries)


def _by_key(name: str, there: Node, own: Node) -> Node:
    if name == "verification":
        return joined_specs(there, own)
    entries = dict(there.entries or {})
    for key, (at, node) in (own.entries or {}).items():
        same = entries.get(key)
        typed = with_param_types(node, same[1]) if same and name == "params" else node
        entries[key] = (at, typed)
    return Node(own.at, entries=entries)


def packs_named(sources: Iterable[tuple[str, str]]) -> frozenset[str]:
    """Packs that some files extend and do not hold; a file that is no YAML names none."""
    named: set[str] = set()
    held: set[str] = set()
    for file, text in sources:
        if "extends" not in text and "pack" not in text:
            continue
        for node in _readable(file, text):
            held |= {n.text or "" for n in _values(node, "metadata", "pack")}
            lists = _values(node, "spec", "extends")
            names = (each.text or "" for n in lists for each in n.items or ())
            named |= {each.split("/")[0] for each in names}
    return frozenset(named - held)


def _readable(file: str, text: str) -> Iterator[Node]:
    try:
        yield from documents(file, text)
    except InvalidFile:
        return  # the reader of the files tells it


def _values(node: Node, *path: str) -> list[Node]:
    for name in path:
        found = (node.entries or {}).get(name)
        if found is None:
            return []
        node = found[1]
    return [node]


def _map(spec: Node, name: str) -> Entries:
    found = (spec.entries or {}).get(name)
    return (found[1].entries or {}) if found else {}


def _texts(spec: Node) -> Iterator[str]:
    """Every text of a map, however deep; the nesting of a file is bounded."""
    for name, (_, node) in (spec.entries or {}).items():
        if name != "params":
            yield from _texts(node)
    for each in spec.items or ():
        yield from _texts(each)
    if spec.text is not None:
        yield spec.text


def _in_two(node: Node) -> bool:
    parts = (node.text or "").split("/")
    return len(parts) == 2 and all(parts)  # noqa: PLR2004 - `pack/policy`


def _kind(node: Node) -> str:
    """What a parameter is; a list by its members."""
    if node.items is not None:
        kinds = {_kind(each) for each in node.items}
        if kinds == {"a number", "a whole number"}:
            kinds = {"a number"}
        (kind, *more) = kinds or {"nothing"}
        return MIXED if more else f"a list of {MANY.get(kind, kind)}"
    if isinstance(node.value, int) and not isinstance(node.value, bool):
        return "a whole number"
    return node.shape
