"""cel-python's interpreter, put right: macros, maps, members, and logic that stops when decided.

cel-python 0.5 copies every name for each round of a macro, stops a macro at its first error, takes
any failure inside `has()` for absence, and evaluates both sides of `&&`. Errors are values here.
Source: CEL language definition; cel-spec conformance tests at 508bd98.
"""

from __future__ import annotations

from collections.abc import Callable
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
NO_OVERLOAD: Final = "no such overload"


class Runner(celpy.InterpretedRunner):
    """Runs a program by our interpreter."""

    def evaluate(self, context: Any) -> Any:
        """The value on one row."""
        return Interpreter(ast=self.ast, activation=self.new_activation()).evaluate(context)


class Interpreter(Evaluator):
    """One evaluation; `local` holds the variables of the macros around."""

    def __init__(self, ast: Any, activation: Any) -> None:
        super().__init__(ast, activation)
        self.local: dict[str, Any] = {}

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
        return OPERATORS[SIGNS[left.data]](self.visit(left.children[0]), self.visit(right))

    addition = relation
    multiplication = relation

    def unary(self, tree: Any) -> Any:
        """`!` and `-`."""
        return OPERATORS[SIGNS[tree.children[0].data]](self.visit(tree.children[1]))

    def member_dot(self, tree: Any) -> Any:
        """A member; cel-python keeps names with dots in containers of its own."""
        of, name = self.visit(tree.children[0]), str(tree.children[1])
        if isinstance(of, NameContainer):
            return of[name].value if name in of else _absent(name)
        return self._member(of, name)

    def _member(self, of: Any, name: str) -> Any:
        if isinstance(of, CELEvalError):
            return of
        if kind(of) != "map":
            return _error(f"{kind(of)} has no members")
        return (
            looked_up(of, cel.StringType(name))
            if holds(of, cel.StringType(name))
            else _absent(name)
        )

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

    def primary(self, tree: Any) -> Any:
        """A literal, a name, a call, a list or a map."""
        inner = tree.children[0]
        items = (
            inner.children[0].children
            if inner.data in {"list_lit", "map_lit"}
            and inner.children
            and inner.children[0] is not None
            else []
        )
        match inner.data:
            case "literal":
                return self.literal(inner)
            case "ident":
                return self._name(str(inner.children[0]))
            case "ident_arg":
                return self._call(inner)
            case "list_lit":
                values = [self.visit(each) for each in items]
                return _first_error(values) or cel.ListType(values)
            case "map_lit":
                values = [self.visit(each) for each in items]
                return _first_error(values) or _entries(values)
            case _:
                return super().primary(tree)

    def literal(self, tree: Any) -> Any:
        """A literal; bytes go by our own decoder."""
        token = tree.children[0]
        return (
            cel.BytesType(decoded(str(token)))
            if token.type == "BYTES_LIT"
            else super().literal(tree)
        )

    def _name(self, name: str) -> Any:
        if name in self.local:
            return self.local[name]
        try:
            return self.activation.identifiers.resolve_name(None, name).value
        except KeyError:
            return TypeName(name) if name in TYPE_NAMES else _error(f"`{name}` is not known")

    def _call(self, tree: Any) -> Any:
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
            cel.BoolType(holds(of, cel.StringType(tree.children[1])))
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
