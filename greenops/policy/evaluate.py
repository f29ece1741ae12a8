"""Runs canonical CEL on one row with cel-python's interpreter and our operators; errors are values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final

import celpy.celtypes as cel
import lark
from celpy.celparser import CELParseError
from celpy.evaluation import CELEvalError

from greenops.policy.check import Schema, check
from greenops.policy.ir import Node
from greenops.policy.operators import OPERATORS
from greenops.policy.parse import environment
from greenops.policy.reading import CHAIN
from greenops.policy.text import canonical
from greenops.policy.values import Entries, Uint, bare, kind, wrapped

MOST_PROGRAMS: Final = 20_000
"""Programs that are kept: a hundred policies of two hundred rules."""
Row = Mapping[str, Any]
"""Root name → its value as cel-python types; see `to_cel`."""


@dataclass(frozen=True, slots=True)
class Failed:
    """What an expression gives where it cannot be evaluated."""

    why: str


@dataclass(frozen=True, slots=True)
class Expression:
    """A checked expression, ready to run.

    Attributes:
        text: Canonical CEL.
        kind: Type of the result.
    """

    node: Node
    text: str
    kind: str

    def __call__(self, row: Row) -> Any:
        """Result on one row, as a plain Python value; `Failed` where it errs."""
        try:
            return _plain(_program(self.text).evaluate(row))
        except CELEvalError as error:
            return Failed(_sentence(error))
        except (CELParseError, lark.exceptions.LarkError):
            return Failed(f"`{self.text[:40]}` cannot be read back")
        except (ValueError, TypeError, ArithmeticError, LookupError, RecursionError) as error:
            return Failed(str(error) or type(error).__name__)


def compile_node(node: Node, schema: Schema, *, message: bool = False) -> Expression:
    """Check a tree; every evaluator gets the checked tree or its canonical text, nothing else.

    Raises:
        ExpressionError: It does not pass the check.
    """
    checked, kind = check(node, schema, message=message)
    return Expression(checked, canonical(checked), kind)


@lru_cache(maxsize=MOST_PROGRAMS)
def _program(text: str) -> Any:
    """The interpreter's program; made when first asked, since reading a text back takes long."""
    return environment().program(_short(environment().compile(text)), functions=OPERATORS)


def _short(tree: Any) -> Any:
    """The tree without its chains of single children: same meaning, a tenth of the depth."""
    if not isinstance(tree, lark.Tree):
        return tree
    while _skips(tree):
        tree = tree.children[0]
    return lark.Tree(tree.data, [_short(each) for each in tree.children], tree.meta)


def _skips(tree: lark.Tree[lark.Token]) -> bool:
    return (
        str(tree.data) in CHAIN
        and len(tree.children) == 1
        and isinstance(tree.children[0], lark.Tree)
    )


def to_cel(value: Any) -> Any:
    """A plain value as cel-python's; absent fields are left out of maps."""
    match value:
        case float() | str() | bytes():  # texts are sequences too
            return wrapped(value)
        case None:
            return None
        case Mapping():
            return cel.MapType(
                {cel.StringType(k): to_cel(v) for k, v in value.items() if v is not None}
            )
        case Sequence():
            return cel.ListType([to_cel(each) for each in value])
        case _:
            return wrapped(value)


def _plain(value: Any) -> Any:  # noqa: C901, PLR0911 - one case per type
    match value:
        case cel.BoolType() | bool():
            return bool(value)
        case cel.UintType():
            return Uint(int(value))
        case int():
            return int(value)
        case float():
            return float.__float__(value)
        case str():
            return str.__str__(value)
        case bytes() | datetime() | timedelta():
            return bare(value, kind(value))
        case list():
            return [_plain(each) for each in value]
        case Entries(pairs=pairs):
            return {_plain(key): _plain(each) for key, each in pairs}
        case dict():
            return {_plain(key): _plain(each) for key, each in value.items()}
        case _:
            return value


def _sentence(error: CELEvalError) -> str:
    text = str(error.args[0]) if error.args else "cannot be evaluated"
    if text.startswith("no such member in mapping: "):
        return f"`{text.split(': ', 1)[1].strip(chr(39))}` is absent"
    return text.splitlines()[0][:200]
