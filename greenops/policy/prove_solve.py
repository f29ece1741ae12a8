"""Decides a claim: first over exact numbers, then, where rounding could matter, over doubles.

Law: a row is shown only after the row evaluator said that it is what was looked for, and absence is
claimed only where the solver ruled every row out. Anything else is unknown, with the reason.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import z3

from greenops.policy.evaluate import Failed, compile_node
from greenops.policy.example import DEFAULT_NOW
from greenops.policy.ir import Const, Has, Node, Var, walk
from greenops.policy.kernel_numbers import microseconds
from greenops.policy.parse import parse
from greenops.policy.prove_claims import Claim, Kind, Parts
from greenops.policy.prove_encode import Encoder
from greenops.policy.prove_numbers import Exact, Numbers, Rounded, Unsettled
from greenops.policy.prove_rules import Told, expressions, facts, list_length, told
from greenops.policy.prove_terms import YES, Items, Term, escaped
from greenops.policy.prove_witness import Seen, Witness, of_fields, seen, witness, writable
from greenops.policy.schema import with_labels

ROUNDING: Final = "only as doubles are rounded"
DRAWS: Final = 200
"""Rows that are drawn by chance around each of a few, to find one on which rounding tells."""
ROUNDS: Final = 8
"""Rows that are tried where a part was left free, each time telling the solver what that part gives."""


class Answer(StrEnum):
    """What became of a claim."""

    HOLDS = "holds"
    FAILS = "fails"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer to one claim.

    Attributes:
        says: One sentence.
        because: Names of the parts that rule every row out; empty where there is a row.
        found: The row that shows it; none where there is none.
        caveat: What the answer leaves open; empty where nothing.
    """

    answer: Answer
    says: str
    because: tuple[str, ...] = ()
    found: Witness | None = None
    seen: tuple[Seen, ...] = field(default=(), repr=False)
    caveat: str = ""


@dataclass(frozen=True, slots=True)
class _Looked:
    """What one arithmetic gave: a row, none (with what rules them out), or neither."""

    row: Witness | None = None
    seen: tuple[Seen, ...] = ()
    ruled_out: bool = False
    because: tuple[str, ...] = ()
    why: str = ""


def decide(claim: Claim, seconds: float) -> Finding:
    """The answer to a claim.

    Args:
        claim: What is asked.
        seconds: Longest that one question to the solver may take [s]; a claim asks a few.
    """
    exact = _Question(claim, Exact(), seconds)
    looked = exact.look()
    if looked.row is not None:
        return _present(claim, looked)
    if not exact.encoder.sums.calculates:
        return _absent(claim, looked, exact.longer) if looked.ruled_out else _open(looked)
    if looked.ruled_out and _Question(claim, Unsettled(), seconds).ruled_out():
        return _absent(claim, looked, exact.longer)
    doubles = _by_chance(claim, seconds) if looked.ruled_out else None
    doubles = doubles or _Question(claim, Rounded(), seconds).look()
    if doubles.row is not None:
        return _present(claim, doubles, ROUNDING if looked.ruled_out else "")
    if doubles.ruled_out:
        return _absent(claim, doubles, exact.longer)
    if looked.ruled_out:
        caveat = f"of exact numbers; whether rounding matters is not known: {doubles.why}"
        return _absent(claim, looked, exact.longer or caveat)
    return _open(looked)


def _open(looked: _Looked) -> Finding:
    return Finding(Answer.UNKNOWN, f"not known: {looked.why}")


def _present(claim: Claim, looked: _Looked, caveat: str = "") -> Finding:
    answer, says = (Answer.HOLDS, claim.fine) if claim.wanted else (Answer.FAILS, claim.amiss)
    return Finding(answer, says, (), looked.row, looked.seen, caveat)


def _absent(claim: Claim, looked: _Looked, caveat: str) -> Finding:
    if caveat and not caveat.startswith("of exact numbers"):
        return Finding(Answer.UNKNOWN, f"not known: {caveat}")
    if claim.moot and claim.moot.issuperset(looked.because):
        return Finding(Answer.HOLDS, claim.moot_says, caveat=caveat)
    answer, says = (Answer.FAILS, claim.amiss) if claim.wanted else (Answer.HOLDS, claim.fine)
    return Finding(answer, says, looked.because if claim.wanted else (), caveat=caveat)


def _by_chance(claim: Claim, seconds: float) -> _Looked | None:
    """A row on which rounding breaks what holds of exact numbers, found by drawing figures.

    The solver takes long to find one; where sums are merely grouped anew, chance does not.
    """
    question = _Question(claim, Exact(), seconds)
    *given, _ = question.parts.values()
    question.solver.add(*given)
    chance = random.Random(0)  # noqa: S311 - the same rows each time
    fields = question.encoder.fields.items()
    doubles = [n for n, each in fields if each.kind == "double" and not n.startswith("limits.")]
    for row in question.rows([]):
        for _ in range(DRAWS):
            drawn = {name: round(chance.uniform(0.0, 100.0), 2) for name in doubles}
            found = of_fields({**row.fields, **drawn}, question.limits)
            said = question.seen(found)
            if claim.seen(said):
                return _Looked(found, said)
    return None


class _Question:
    """A claim told to the solver in one arithmetic."""

    def __init__(self, claim: Claim, numbers: Numbers, seconds: float) -> None:
        self.claim = claim
        labels = {
            n for s in claim.subjects for w in s.policies.workloads.values() for n in w.labels
        }
        nodes = [node for s in claim.subjects for node in expressions(s.policy)] + list(claim.also)
        labels |= {
            name[11:] for n in nodes for name in _fields(n) if name.startswith("job.labels.")
        }
        longest, self.longer = list_length(nodes)
        self.encoder = Encoder(numbers, {**with_labels(labels), "eligible": "bool"}, longest)
        self.told: list[Told] = [
            told(self.encoder, each.policy, each.policies.known_classes())
            for each in claim.subjects
        ]
        self.parts: Parts = claim.ask(self.encoder, self.told)
        one_test = claim.kind is Kind.EQUAL or len(self.told) == 1
        self.limits = [self.told[0].policy.limits] if one_test else []
        self.solver = z3.Solver()
        self.solver.set("timeout", max(1, int(seconds * 1_000)))
        self.seconds = seconds
        self.solver.add(facts(self.encoder), *(each.facts for each in self.told))

    def ruled_out(self) -> bool:
        """Is there no such row, whatever is left free?"""
        self.solver.add(*self.parts.values())
        return bool(self.solver.check() == z3.unsat)

    def look(self) -> _Looked:
        """Look for the row; one that a test can give is better than another."""
        marks = {z3.Bool(f"part {name}"): name for name in self.parts}
        for mark, name in marks.items():
            self.solver.add(z3.Implies(mark, self.parts[name]))
        for _ in range(ROUNDS):
            answer = self.solver.check(*marks)
            if answer == z3.unsat:
                return _Looked(ruled_out=True, because=self._because(marks))
            if answer != z3.sat:
                return _Looked(why=self._why())
            learnt = False
            for found in self.rows(list(marks)):
                said = self.seen(found)
                if self.claim.seen(said):
                    return _Looked(found, said)
                learnt = self._learn(found, said) or learnt
            if not learnt:
                break
        free = "; ".join(sorted({why for _, why in self.encoder.free.values()}))
        return _Looked(why=free or "the row evaluator does not confirm the solver's row")

    def seen(self, found: Witness) -> tuple[Seen, ...]:
        """What the row evaluator says of a row, policy by policy."""
        return tuple(seen(each.policies, each.policy, found) for each in self.claim.subjects)

    def rows(self, marks: list[Any]) -> Iterator[Witness]:
        """Rows that the solver chooses: first of those that a test can give, far from every edge."""
        given = writable(self.encoder, self.limits, DEFAULT_NOW) if self.limits else YES
        apart = z3.And([self.encoder.numbers.apart(*each) for each in self.encoder.sums.compared])
        for more in dict.fromkeys((z3.And(given, apart), given, apart, YES)):
            self.solver.push()
            self.solver.add(more)
            model = self.solver.model() if self.solver.check(*marks) == z3.sat else None
            self.solver.pop()
            found = witness(self.encoder, model, self.limits) if model is not None else None
            if found is not None:
                yield found

    def _why(self) -> str:
        reason = self.solver.reason_unknown()
        if reason in {"timeout", "canceled"}:
            return f"the solver did not end within {self.seconds:g} s"
        return f"the solver gave up: {reason}"

    def _because(self, marks: dict[Any, str]) -> tuple[str, ...]:
        """The fewest parts, of those the solver names, that still rule every row out."""
        moot = [each for each, name in marks.items() if name in self.claim.moot]
        if moot and self.solver.check(*moot) == z3.unsat:
            return tuple(marks[each] for each in moot)
        self.solver.check(*marks)
        core = [each for each in marks if any(each.eq(e) for e in self.solver.unsat_core())]
        for each in list(core):
            fewer = [e for e in core if e is not each]
            if self.solver.check(*fewer) == z3.unsat:
                core = fewer
        return tuple(marks[each] for each in core)

    def _learn(self, found: Witness, said: Sequence[Seen]) -> bool:
        """Tell the solver what each free part gives on this row; false where that taught nothing."""
        row, learnt = said[0].row, False
        for text, (term, _) in self.encoder.free.items():
            node = parse(text)
            value = compile_node(node, self.encoder.schema)(row)
            here = [self._is(name, found.fields.get(name)) for name in _fields(node)]
            if any(each is None for each in here):
                continue
            then = z3.Not(term.ok) if isinstance(value, Failed) else self._gives(term, value)
            if then is not None:
                self.solver.add(z3.Implies(z3.And(here), then))
                learnt = True
        return learnt

    def _is(self, name: str, value: Any) -> Any:
        field = self.encoder.field(name)
        if value is None:
            return z3.Not(field.ok)
        if isinstance(field, Items):
            length = z3.Int(f"length of {name}")
            same = [
                e.value == z3.StringVal(escaped(v))
                for e, v in zip(field.items, value, strict=False)
            ]
            return z3.And(field.ok, length == len(value), *same)
        made = self._gives(field, value)
        return None if made is None else made

    def _gives(self, term: Term, value: Any) -> Any:
        match term.kind:
            case "bool":
                return z3.And(term.ok, term.value == z3.BoolVal(value))
            case "string":
                made = self.encoder.term(Const("string", value))
                return z3.And(term.ok, term.value == made.value)
            case "double":
                made = self.encoder.numbers.constant(value)
                return z3.And(term.ok, self.encoder.numbers.same(term.value, made))
            case "int":
                return z3.And(term.ok, term.value == value)
            case _:
                return z3.And(term.ok, term.value == microseconds(value))


def _fields(node: Node) -> list[str]:
    return sorted({".".join(e.path) for e in walk(node) if isinstance(e, Var | Has)})
