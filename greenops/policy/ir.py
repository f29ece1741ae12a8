"""The typed expression tree between CEL text and whatever evaluates it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from greenops.errors import nearest

LABELS: Final = ("job", "labels")
"""The one map; its members are the labels, whatever their names."""
MOST_WORDS: Final = 250
"""Most words among which one like another is looked for; each takes about five microseconds."""
LONGEST_WORD: Final = 60
"""Longest word that one like it is looked for [characters]."""
Fix = str | Callable[[], str | None] | None
"""What to do about a problem. Looking for like words takes long, so it may wait until it is told."""
Literal = bool | int | float | str | bytes | datetime | timedelta | None


@dataclass(frozen=True, slots=True)
class Const:
    """A literal, decoded; `kind` is its CEL type. One of kind `type` has a type's name as value."""

    kind: str
    value: Literal
    at: int = 0


@dataclass(frozen=True, slots=True)
class Var:
    """A declared field such as `job.team`."""

    path: tuple[str, ...]
    at: int = 0


@dataclass(frozen=True, slots=True)
class Has:
    """Is the field there?"""

    path: tuple[str, ...]
    at: int = 0


@dataclass(frozen=True, slots=True)
class Call:
    """An operator or function; operators go by their sign, unary minus by `neg`."""

    name: str
    args: tuple[Node, ...]
    at: int = 0


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list literal."""

    items: tuple[Node, ...]
    at: int = 0


@dataclass(frozen=True, slots=True)
class MapOf:
    """A map literal; keys and values take turns."""

    items: tuple[Node, ...]
    at: int = 0


@dataclass(frozen=True, slots=True)
class Select:
    """A member of what is no declared field, such as `{"a": 1}.a`."""

    of: Node
    name: str
    at: int = 0


@dataclass(frozen=True, slots=True)
class HasMember:
    """Is the member there?"""

    of: Node
    name: str
    at: int = 0


@dataclass(frozen=True, slots=True)
class If:
    """`test ? then : other`."""

    test: Node
    then: Node
    other: Node
    at: int = 0


@dataclass(frozen=True, slots=True)
class Each:
    """`over.all(name, body)`, `.exists`, `.exists_one`, `.filter` or `.map`."""

    macro: str
    over: Node
    name: str
    body: Node
    at: int = 0


@dataclass(frozen=True, slots=True)
class Local:
    """A macro's variable."""

    name: str
    at: int = 0


Node = Const | Var | Has | Call | ListOf | MapOf | Select | HasMember | If | Each | Local


class ExpressionError(Exception):
    """An expression that is refused; `at` counts characters from its start.

    Attributes:
        code: `GO0130` syntax, `GO0131` unknown name, `GO0132` type, `GO0133` not allowed, `GO0134` limit.
    """

    def __init__(self, code: str, message: str, at: int, fix: Fix = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.at = at
        self.hint = fix

    @property
    def fix(self) -> str | None:
        """What to do about it."""
        return self.hint() if callable(self.hint) else self.hint


def children(node: Node) -> tuple[Node, ...]:
    """The nodes directly inside."""
    match node:
        case Call():
            return node.args
        case ListOf() | MapOf():
            return node.items
        case Select() | HasMember():
            return (node.of,)
        case If():
            return (node.test, node.then, node.other)
        case Each():
            return (node.over, node.body)
        case _:
            return ()


def with_children(node: Node, inside: tuple[Node, ...]) -> Node:
    """The node round other inner nodes."""
    match node:
        case Call():
            return Call(node.name, inside, node.at)
        case ListOf() | MapOf():
            return type(node)(inside, node.at)
        case Select() | HasMember():
            return type(node)(inside[0], node.name, node.at)
        case If():
            return If(inside[0], inside[1], inside[2], node.at)
        case Each():
            return Each(node.macro, inside[0], node.name, inside[1], node.at)
        case _:
            return node


def walk(node: Node) -> Iterator[Node]:
    """Every node, without recursion."""
    stack = [node]
    while stack:
        each = stack.pop()
        yield each
        stack.extend(children(each))


def conjuncts(node: Node) -> Iterator[Node]:
    """The parts of `a && b && c`."""
    if isinstance(node, Call) and node.name == "&&":
        for each in node.args:
            yield from conjuncts(each)
    else:
        yield node


def replace_fields(node: Node, put: Callable[[Var | Has], Node]) -> Node:
    """The tree with each field replaced by what `put` gives for it."""
    if isinstance(node, Var | Has):
        return put(node)
    return with_children(node, tuple(replace_fields(each, put) for each in children(node)))


def moved(node: Node, at: int) -> Node:
    """The tree with every node at one place: where it is put in, not where it was written."""
    return replace(with_children(node, tuple(moved(each, at) for each in children(node))), at=at)


def near_word(word: str, known: Collection[str]) -> str | None:
    """The known word most like another; none where none is near, or too many are known."""
    if len(word) > LONGEST_WORD or len(known) > MOST_WORDS:
        return None
    return nearest(word, known)


def did_you_mean(word: str, known: Collection[str], otherwise: str, before: str = "") -> str:
    """`did you mean …?` for a word that is near a known one, else something else to do.

    Args:
        word: What was written.
        known: What could have been.
        otherwise: What to do where none is near.
        before: What stands before the word that is meant.
    """
    near = near_word(word, known)
    return f"did you mean `{before}{near}`?" if near else otherwise
