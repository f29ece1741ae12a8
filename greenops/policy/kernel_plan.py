"""In which frame each part of an expression is worked out, and in which order."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce

from greenops.policy.frames import JOB, ONE, WIDE, Frame
from greenops.policy.ir import (
    Call,
    Has,
    Local,
    Node,
    Var,
    children,
    with_children,
)
from greenops.policy.kernel_calls import JOINED
from greenops.policy.tables import Tables


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
