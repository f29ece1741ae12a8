"""cel-python's interpreter, put right: macros, maps, members, and logic that stops when decided.

cel-python 0.5 copies every name for each round of a macro, stops a macro at its first error, takes
any failure inside `has()` for absence, and evaluates both sides of `&&`. Errors are values here.
Source: CEL language definition; cel-spec conformance tests at 508bd98.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import celpy
import celpy.celtypes as cel
from celpy.evaluation import CELEvalError, Evaluator, NameContainer

from greenops.policy.kinds import TYPE_NAMES
from greenops.policy.operators import OPERATORS
from greenops.policy.strings import decoded
from greenops.policy.values import Entries, TypeName, holds, keys, kind, looked_up

SIGNS: Final = {
    "relation_lt": "_<_",
    "relation_le": "_<=_",
    "relation_gt": "_>_",
    "relation_ge": "_>=_",
    "relation_eq": "_==_",
    "relation_ne": "_!=_",
    "relation_in": "_in_",
    "addition_add": "_+_",
    "addition_sub": "_-_",
    "multiplication_mul": "_*_",
    "multiplication_div": "_/_",
    "multiplication_mod": "_%_",
    "unary_not": "!_",
    "unary_neg": "-_",
}
MACROS: Final = frozenset({"all", "exists", "exists_one", "filter", "map"})
LAST_WORDS: Final = frozenset(name.split(".")[-1] for name in TYPE_NAMES if "." in name)
"""Ends of the types' names that have dots."""
NO_OVERLOAD: Final = "no such overload"


class Runner(celpy.InterpretedRunner):
    """Runs a program by our interpreter."""

    def evaluate(self, context: Any) -> Any:
        """The value on one row."""
        plain = {name: value for name, value in context.items() if "." not in name}
        dotted = len(plain) < len(context)
        made = Interpreter(self.ast, self.new_activation() if dotted else None, plain)
        if dotted:
            made.set_activation(context)
        found = made.visit(self.ast)
        if isinstance(found, CELEvalError):
            raise found
        return found


class Interpreter(Evaluator):
    """One evaluation.

    Attributes:
        local: What names stand for: a row's roots, and the variables of the macros around.
        activation: cel-python's names, where some have dots; none: none have.
    """

    def __init__(self, ast: Any, activation: Any, local: dict[str, Any]) -> None:
        super().__init__(ast, activation)
        self.local = local

    def expr(self, tree: Any) -> Any:
        """`test ? then : other`; the part that is not chosen is not asked."""
        test, then, other = tree.children
        found = self.visit(test)
        if isinstance(found, CELEvalError):
            return found
        if kind(found) != "bool":
            return _error(NO_OVERLOAD)
        return self.visit(then if found else other)

    def conditionalor(self, tree: Any) -> Any:
        """`||`; a side that is true decides."""
        return self._logic(tree, "_||_", decisive=True)

    def conditionaland(self, tree: Any) -> Any:
        """`&&`; a side that is false decides."""
        return self._logic(tree, "_&&_", decisive=False)

    def _logic(self, tree: Any, sign: str, *, decisive: bool) -> Any:
        left = self.visit(tree.children[0])
        if kind(left) == "bool" and bool(left) is decisive:
            return cel.BoolType(decisive)
        return OPERATORS[sign](left, self.visit(tree.children[1]))

    def relation(self, tree: Any) -> Any:
        """An operator between two values."""
        left, right = tree.children
        return OPERATORS[SIGNS[str(left.data)]](self.visit(left.children[0]), self.visit(right))

    addition = relation
    multiplication = relation

    def unary(self, tree: Any) -> Any:
        """`!` and `-`."""
        return OPERATORS[SIGNS[str(tree.children[0].data)]](self.visit(tree.children[1]))

    def member_dot(self, tree: Any) -> Any:
        """A member; cel-python keeps names with dots in containers of its own."""
        name = str(tree.children[1])
        if name in LAST_WORDS and (of_types := _dotted(tree)) in TYPE_NAMES:
            return TypeName(of_types)
        of = self.visit(tree.children[0])
        if isinstance(of, NameContainer):
            return of[name].value if name in of else _absent(name)
        return self._member(of, name)

    def _member(self, of: Any, name: str) -> Any:
        if isinstance(of, CELEvalError):
            return of
        if kind(of) != "map":
            return _error(f"{kind(of)} has no members")
        try:
            return looked_up(of, name)
        except LookupError:
            return _absent(name)

    def member_index(self, tree: Any) -> Any:
        """An element of a list, or what a map holds under a key."""
        return OPERATORS["_[_]"](*(self.visit(each) for each in tree.children))

    def member_dot_arg(self, tree: Any) -> Any:
        """A macro or a method."""
        over, name, *rest = tree.children
        args = rest[0].children if rest and rest[0] is not None else []
        if name in MACROS:
            variable = next(args[0].find_data("ident")).children[0]
            return self._macro(str(name), self.visit(over), str(variable), args[1])
        return OPERATORS[str(name)](self.visit(over), *(self.visit(each) for each in args))

    def list_lit(self, tree: Any) -> Any:
        """A list; an element that errs is the list's error."""
        values = self._items(tree)
        return _first_error(values) or cel.ListType(values)

    def map_lit(self, tree: Any) -> Any:
        """A map; keys and values take turns."""
        values = self._items(tree)
        return _first_error(values) or _entries(values)

    def _items(self, tree: Any) -> list[Any]:
        inner = tree.children[0] if tree.children else None
        return [] if inner is None else [self.visit(each) for each in inner.children]

    def literal(self, tree: Any) -> Any:
        """A literal, read once for each program: a long text costs more than all the rest.

        Bytes go by our own decoder.
        """
        known = getattr(tree, "known", None)
        if known is None:
            token = tree.children[0]
            of_bytes = token.type == "BYTES_LIT"
            known = cel.BytesType(decoded(str(token))) if of_bytes else super().literal(tree)
            tree.known = known
        return known

    def ident(self, tree: Any) -> Any:
        """A macro's variable, a field's root, or a type."""
        name = str(tree.children[0])
        if name in self.local:
            return self.local[name]
        if self.activation is not None:
            with suppress(KeyError):
                return self.activation.identifiers.resolve_name(None, name).value
        return TypeName(name) if name in TYPE_NAMES else _error(f"`{name}` is not known")

    def ident_arg(self, tree: Any) -> Any:
        """A function."""
        name, *rest = tree.children
        args = rest[0].children if rest and rest[0] is not None else []
        if name == "has":
            return self._has(args[0])
        return OPERATORS[str(name)](*(self.visit(each) for each in args))

    def _has(self, tree: Any) -> Any:
        """Is the member there? What it is a member of must be a map."""
        while tree.data != "member_dot":
            tree = tree.children[0]
        of = self.visit(tree.children[0])
        if isinstance(of, CELEvalError):
            return of
        if isinstance(of, NameContainer):
            return cel.BoolType(str(tree.children[1]) in of)
        return (
            cel.BoolType(holds(of, str(tree.children[1])))
            if kind(of) == "map"
            else _error(NO_OVERLOAD)
        )

    def _macro(self, macro: str, over: Any, variable: str, body: Any) -> Any:
        if isinstance(over, CELEvalError):
            return over
        if kind(over) not in {"list", "map"}:
            return _error(NO_OVERLOAD)
        items = keys(over) if kind(over) == "map" else list(over)
        outer = dict(self.local)

        def asked(item: Any) -> Any:
            self.local[variable] = item
            return self.visit(body)

        try:
            if macro in {"all", "exists"}:
                return _quantified(items, asked, decisive=macro == "exists")
            return _listed(macro, items, asked)
        finally:
            self.local = outer


def _dotted(tree: Any) -> str:
    """The name that a chain of members spells, such as `google.protobuf.Duration`; else nothing."""
    words = []
    while tree.data == "member_dot":
        words.append(str(tree.children[1]))
        tree = tree.children[0]
    return ".".join([str(tree.children[0]), *reversed(words)]) if tree.data == "ident" else ""


def _quantified(items: list[Any], asked: Callable[[Any], Any], *, decisive: bool) -> Any:
    """An element that decides does so whatever the others err."""
    found = cel.BoolType(not decisive)
    join = OPERATORS["_||_" if decisive else "_&&_"]
    for item in items:
        found = join(found, asked(item))
        if kind(found) == "bool" and bool(found) is decisive:
            break
    return found


def _listed(macro: str, items: list[Any], asked: Callable[[Any], Any]) -> Any:
    """`map`, `filter` and `exists_one` err where one element does."""
    answers = []
    for item in items:
        answer = asked(item)
        if isinstance(answer, CELEvalError):
            return answer
        if macro != "map" and kind(answer) != "bool":
            return _error(NO_OVERLOAD)
        answers.append(answer)
    if macro == "map":
        return cel.ListType(answers)
    taken = [item for item, answer in zip(items, answers, strict=True) if answer]
    return cel.ListType(taken) if macro == "filter" else cel.BoolType(len(taken) == 1)


def _entries(values: list[Any]) -> Any:
    try:
        return Entries.of(zip(values[::2], values[1::2], strict=True))
    except (TypeError, ValueError) as error:
        return _error(str(error))


def _first_error(values: list[Any]) -> CELEvalError | None:
    return next((each for each in values if isinstance(each, CELEvalError)), None)


def _error(why: str) -> CELEvalError:
    return CELEvalError(why, TypeError, ())


def _absent(name: str) -> CELEvalError:
    return CELEvalError(f"no such member in mapping: {name!r}", KeyError, ())
