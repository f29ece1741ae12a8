"""Which expressions compile to kernels, and in which frame each of their parts is worked out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import reduce
from typing import Final

from greenops.policy.frames import JOB, ONE, WIDE, Frame
from greenops.policy.ir import Call, Const, Each, Has, If, ListOf, Local, Node, Var, children, walk
from greenops.policy.kernel_calls import COLUMNWISE, JOINED
from greenops.policy.tables import Tables

TAKEN: Final = COLUMNWISE | JOINED.keys() | {"in"}


def compiles(node: Node, schema: Mapping[str, str]) -> bool:
    """Is every part of a checked expression known to the kernels?"""
    return all(_taken(each, schema) for each in walk(node))


def _taken(node: Node, schema: Mapping[str, str]) -> bool:
    match node:
        case Each(over=over):
            return _is_list(over, schema)
        case Call(name="in", args=(_, among)):
            return isinstance(among, ListOf) or _is_list(among, schema)
        case Call(name="size", args=(ListOf(),)):
            return False
        case Call(name="+", args=(first, _)):
            return not _is_text(first, schema)  # joined texts are in no vocabulary
        case Call(name=name):
            return name in TAKEN
        case If():
            return not any(_gives_list(each, schema) for each in (node.then, node.other))
        case Var(path=path):
            kind = schema.get(".".join(path), "")
            return not kind.startswith("list(") or _is_list(node, schema)
        case _:
            return True


def _is_text(node: Node, schema: Mapping[str, str]) -> bool:
    match node:
        case Const(kind=kind):
            return kind == "string"
        case Var(path=path):
            return schema.get(".".join(path)) == "string"
        case If(then=then):
            return _is_text(then, schema)
        case Call(name="+", args=(first, _)):
            return _is_text(first, schema)
        case Call(name="string"):
            return True
        case _:
            return isinstance(node, Local)


def _gives_list(node: Node, schema: Mapping[str, str]) -> bool:
    """A list that is chosen has no column; only lists that stand where they are asked have."""
    return isinstance(node, ListOf) or (
        isinstance(node, Var) and schema.get(".".join(node.path), "").startswith("list(")
    )


def _is_list(node: Node, schema: Mapping[str, str]) -> bool:
    """A list of texts that belongs to the job; lists of candidates are not in the tables."""
    if not isinstance(node, Var) or node.path[0] == "candidate":
        return False
    return schema.get(".".join(node.path)) == "list(string)"


def grouped(node: Node, tables: Tables) -> Node:
    """Chains of `&&` and `||` with the parts of one frame side by side, the smallest first."""
    if not isinstance(node, Call) or node.name not in JOINED:
        return node
    groups: list[tuple[Frame, list[Node]]] = []
    parts = [grouped(each, tables) for each in _chain(node, node.name)]
    for part in sorted(parts, key=lambda each: _size(frame_of(each, tables), tables)):
        frame = frame_of(part, tables)
        for at, (other, members) in enumerate(groups):
            joint = tables.layout.joined(frame, other)
            if joint != WIDE or frame == other:
                groups[at] = (joint, [*members, part])
                break
        else:
            groups.append((frame, [part]))
    whole = [m[0] if len(m) == 1 else Call(node.name, tuple(m)) for _, m in groups]
    return whole[0] if len(whole) == 1 else Call(node.name, tuple(whole))


def _chain(node: Node, name: str) -> list[Node]:
    if isinstance(node, Call) and node.name == name:
        return [part for each in node.args for part in _chain(each, name)]
    return [node]


def _size(frame: Frame, tables: Tables) -> int:
    if frame.wide:
        return len(tables.layout.job) + 1
    rows, columns = tables.layout.shape(frame)
    return rows * columns


def frame_of(node: Node, tables: Tables) -> Frame:
    """The smallest frame that tells the node."""
    return frame_over(node, [frame_of(each, tables) for each in children(node)], tables)


def frame_over(node: Node, inside: list[Frame], tables: Tables) -> Frame:
    """The same where the frames of the nodes directly inside are known."""
    match node:
        case Var(path=path) | Has(path=path):
            name = ".".join(path)
            return JOB if name in tables.lists else tables.source(name).frame
        case Local():
            return JOB
        case _:
            return reduce(tables.layout.joined, inside, ONE)


def placeless(node: Node) -> Node:
    """The tree without its places, so that equal parts are equal."""
    return replace(with_children(node, tuple(placeless(e) for e in children(node))), at=0)


def with_children(node: Node, inside: tuple[Node, ...]) -> Node:
    """The node round other inner nodes."""
    match node:
        case Call():
            return replace(node, args=inside)
        case ListOf():
            return replace(node, items=inside)
        case If():
            return replace(node, test=inside[0], then=inside[1], other=inside[2])
        case Each():
            return replace(node, over=inside[0], body=inside[1])
        case _:
            return node
