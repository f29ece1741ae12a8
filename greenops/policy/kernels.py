"""Evaluates checked expressions over whole tables; what it does not take goes row by row.

Each part is worked out once in its frame (see `frames`) and brought to the candidates of a chunk.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np

from greenops.policy.columns import (
    Column,
    Mask,
    absent,
    both,
    chosen,
    conjunction,
    constant,
    disjunction,
)
from greenops.policy.frames import JOB, Chunk, Frame
from greenops.policy.ir import (
    Call,
    Const,
    Each,
    Has,
    If,
    ListOf,
    Local,
    Node,
    Var,
    children,
    with_children,
)
from greenops.policy.kernel_calls import JOINED, WITH_TEXT, called, with_text
from greenops.policy.kernel_lists import member, members_of
from greenops.policy.kernel_numbers import microseconds
from greenops.policy.kernel_plan import frame_over, grouped, placeless
from greenops.policy.tables import Lists, Tables
from greenops.policy.text import canonical

Key = tuple[int, int, int]
"""Part, round of a macro, and side, as far as they matter."""


@dataclass(slots=True)
class Kernels:
    """Evaluates one batch's expressions; give each through `made` once, then ask by chunk.

    Attributes:
        side: Whose limits are in the tables; what names none of them is worked out once for all sides.
        of_limits: Parts that name a limit.
        hoisted: Part → its value in its frame; a macro's rounds are told apart by number.
        near: The same for the chunk at hand.
    """

    tables: Tables
    interned: dict[Node, Node] = field(default_factory=dict)
    frames: dict[int, Frame] = field(default_factory=dict)
    in_macro: set[int] = field(default_factory=set)
    of_limits: set[int] = field(default_factory=set)
    side: int = 0
    bound: dict[str, tuple[int, Column]] = field(default_factory=dict)
    hoisted: dict[Key, Column] = field(default_factory=dict)
    near: dict[Key, Column] = field(default_factory=dict)
    chunk: Chunk | None = None

    def made(self, node: Node) -> Node:
        """The expression with equal parts made one, and the frame of each part found."""
        return self._intern(grouped(placeless(node), self.tables))

    def over_jobs(self, node: Node) -> Column:
        """The value of a made expression that names no candidate, for each job."""
        return self.tables.layout.spread(self._hoist(node), JOB)

    def over(self, node: Node, chunk: Chunk) -> Column:
        """The value of a made expression for each candidate of a chunk."""
        if chunk is not self.chunk:
            self.chunk, self.near = chunk, {}
        return self._wide(node, chunk)

    def _intern(self, node: Node) -> Node:
        node = with_children(node, tuple(self._intern(each) for each in children(node)))
        known = self.interned.setdefault(node, node)
        if id(known) not in self.frames:
            inside = [id(each) for each in children(known)]
            frames = [self.frames[each] for each in inside]
            self.frames[id(known)] = frame_over(known, frames, self.tables)
            if isinstance(known, Local) or not self.in_macro.isdisjoint(inside):
                self.in_macro.add(id(known))
            if _names_limits(known) or not self.of_limits.isdisjoint(inside):
                self.of_limits.add(id(known))
        return known

    def _key(self, node: Node) -> Key:
        rounds = [at for at, _ in self.bound.values()] if id(node) in self.in_macro else []
        side = self.side if id(node) in self.of_limits else -1
        return id(node), rounds[-1] if rounds else -1, side

    def _hoist(self, node: Node) -> Column:
        key = self._key(node)
        if key not in self.hoisted:
            made = self._apply(node, None)
            self.hoisted[key] = self.tables.layout.spread(made, self.frames[id(node)])
        return self.hoisted[key]

    def _wide(self, node: Node, chunk: Chunk) -> Column:
        key, frame = self._key(node), self.frames[id(node)]
        if key not in self.near:
            if frame.wide:
                self.near[key] = self._apply(node, chunk)
            else:
                self.near[key] = self.tables.layout.gathered(self._hoist(node), frame, chunk)
        return self.near[key]

    def _of(self, node: Node, chunk: Chunk | None) -> Column:
        return self._hoist(node) if chunk is None else self._wide(node, chunk)

    def _apply(self, node: Node, chunk: Chunk | None) -> Column:
        match node:
            case Const():
                return constant(node.kind, self._plain(node.value))
            case Var() | Has() | Local():
                return self._read(node, chunk)
            case If():
                return chosen(*(self._of(each, chunk) for each in children(node)))
            case Each():
                return self._macro(node, chunk)
            case Call():
                return self._call(node, chunk)
            case _:
                raise AssertionError("lists stand only where `in` looks into them; maps go by rows")

    def _read(self, node: Var | Has | Local, chunk: Chunk | None) -> Column:
        if isinstance(node, Local):
            return self.bound[node.name][1]
        name = ".".join(node.path)
        return self._field(name, chunk) if isinstance(node, Var) else self._present(name, chunk)

    def _plain(self, value: object) -> object:
        match value:
            case str():
                return self.tables.vocabulary.code[value]
            case datetime() | timedelta():
                return microseconds(value)
            case _:
                return value

    def _field(self, name: str, chunk: Chunk | None) -> Column:
        found = self.tables.source(name)
        if chunk is None:
            return found.column
        ok = None if found.column.ok is None else chunk.of(found.column.ok)
        return Column(found.column.kind, chunk.of(found.column.values), ok)

    def _present(self, name: str, chunk: Chunk | None) -> Column:
        if (lists := self.tables.lists.get(name)) is not None:
            ok = lists.ok
        else:
            ok = self._field(name, chunk).ok
        return constant("bool", True) if ok is None else Column("bool", ok)

    def _call(self, node: Call, chunk: Chunk | None) -> Column:
        words = self.tables.vocabulary
        match node:
            case Call(name="in", args=(item, ListOf(items=items))):
                given = [self._of(each, chunk) for each in items]
                return member(self._of(item, chunk), given)
            case Call(name="in", args=(item, Var(path=path))):
                return self._in_field(self._of(item, chunk), ".".join(path), chunk)
            case Call(name="size", args=(Var(path=path),)) if ".".join(path) in self.tables.lists:
                lists = self.tables.lists[".".join(path)]
                return Column("int", lists.lengths, lists.ok)
            case Call(name=name, args=args) if name in JOINED:
                return self._joined(name, args, chunk)
            case Call(name=name, args=(text, Const(value=str(value)))) if name in WITH_TEXT:
                return with_text(name, self._of(text, chunk), value, words)
            case _:
                return called(node.name, [self._of(each, chunk) for each in node.args], words)

    def _joined(self, name: str, args: tuple[Node, ...], chunk: Chunk | None) -> Column:
        """`&&` or `||`; nothing more is asked once every row is decided."""
        decisive = name == "||"
        found = self._of(args[0], chunk)
        for each in args[1:]:
            if found.ok is None and bool((found.values == decisive).all()):
                break
            found = JOINED[name](found, self._of(each, chunk))
        return found

    def _lists(self, name: str, chunk: Chunk | None) -> Lists | None:
        lists = self.tables.lists.get(name)
        if lists is None or chunk is None:
            return lists
        ok = None if lists.ok is None else lists.ok[chunk.jobs]
        return Lists(lists.codes[chunk.jobs], lists.lengths[chunk.jobs], ok)

    def _in_field(self, item: Column, name: str, chunk: Chunk | None) -> Column:
        lists = self._lists(name, chunk)
        return absent("bool") if lists is None else members_of(item, lists)

    def _macro(self, node: Each, chunk: Chunk | None) -> Column:
        """Round by round: the first texts of all jobs' lists, then the second, and so on."""
        name = canonical(node.over)
        lists = self.tables.lists.get(name)
        if lists is None:
            return absent("bool")
        join = conjunction if node.macro == "all" else disjunction
        found = constant("bool", node.macro == "all")
        for at in range(lists.codes.shape[1]):
            text = Column("string", lists.codes[:, at : at + 1])
            inside, beyond = self._round(node, text, at, chunk), lists.lengths <= at
            if chunk is not None:
                beyond = beyond[chunk.jobs]
            found = join(found, _beyond(inside, beyond, value=node.macro == "all"))
        near = self._lists(name, chunk)
        return Column("bool", found.values, both(found.ok, near.ok if near else None))

    def _round(self, node: Each, text: Column, at: int, chunk: Chunk | None) -> Column:
        self.bound[node.name] = (at, text)
        try:
            return self._of(node.body, chunk)
        finally:
            del self.bound[node.name]


def _names_limits(node: Node) -> bool:
    return isinstance(node, Var | Has) and node.path[0] == "limits"


def _beyond(inside: Column, beyond: Mask, *, value: bool) -> Column:
    """Past a list's end a round decides nothing."""
    values = np.where(beyond, value, inside.values)
    return Column("bool", values, None if inside.ok is None else inside.ok | beyond)
