"""Do two policies decide alike? What may be compared as text is; of the rest a differing row is looked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import z3

from greenops.policy.model import Policy
from greenops.policy.prove_claims import Claim, Kind, Parts, Subject
from greenops.policy.prove_encode import Encoder
from greenops.policy.prove_rules import Aim, Told
from greenops.policy.prove_witness import Seen

Ask = Callable[[Encoder, Sequence[Told]], Parts]


def differences(left: Policy, right: Policy) -> list[str]:
    """What differs and needs no solver; a policy's name, owners, messages and tests may differ."""
    given = {
        "priority": (left.priority, right.priority),
        "limits": (left.limits, right.limits),
        "enforcement mode": (left.mode, right.mode),
        "rollout percent": (left.percent, right.percent),
        "rollout key": tuple(each.key and each.key.text for each in (left, right)),
        "data classes": (sorted(left.data_classes), sorted(right.data_classes)),
        "objectives": tuple([e.name for e in each.objectives] for each in (left, right)),
        "exceptions": tuple([_fixed(e) for e in each.exceptions] for each in (left, right)),
        "advisory constraints": (_advice(left), _advice(right)),
    }
    return [f"the two differ in {name}" for name, (one, other) in given.items() if one != other]


def _fixed(exception: Any) -> tuple[Any, ...]:
    return (exception.id, exception.run_now, exception.not_before, exception.expires)


def _advice(policy: Policy) -> list[str]:
    return sorted(each.name for each in policy.constraints if each.level.value == "advisory")


def equal(left: Subject, right: Subject) -> Iterator[Claim]:
    """The rows on which two policies differ, in the parts that people ask about."""

    def claim(
        part: str, fine: str, amiss: str, ask: Ask, seen: Callable[[Sequence[Seen]], bool]
    ) -> Claim:
        return Claim(Kind.EQUAL, (left, right), part, fine, amiss, ask, seen, wanted=False)

    yield claim(
        "match",
        "both meet the same runs",
        "one meets a run that the other does not",
        lambda _, of: {"differ": z3.Or(of[0].applies != of[1].applies, of[0].sure != of[1].sure)},
        lambda of: of[0].applies is not of[1].applies or of[0].sure is not of[1].sure,
    )
    yield claim(
        "constraints",
        "both refuse the same candidates",
        "one refuses a candidate that the other lets pass",
        lambda _, of: _both_apply(of, of[0].allowed != of[1].allowed),
        lambda of: _apply(of) and of[0].verdict.allowed is not of[1].verdict.allowed,
    )
    yield claim(
        "warnings",
        "both warn of the same candidates",
        "one warns of a candidate that the other does not",
        lambda _, of: _both_apply(of, _warned(of)),
        lambda of: _apply(of) and set(of[0].verdict.warnings) != set(of[1].verdict.warnings),
    )
    yield claim(
        "objectives",
        "both give every candidate the same score",
        "they score a candidate differently",
        lambda encoder, of: _both_apply(of, _scored(encoder, of)),
        lambda of: _apply(of) and _score(of[0]) != _score(of[1]),
    )
    yield claim(
        "exceptions",
        "both are waived for the same runs",
        "one is waived for a run that the other is not",
        lambda _, of: _both_apply(of, _excepted(of)),
        lambda of: _apply(of) and _waiver(of[0]) != _waiver(of[1]),
    )


def _both_apply(of: Sequence[Told], differ: Any) -> Parts:
    return {"apply": z3.And(of[0].applies, of[1].applies), "differ": differ}


def _apply(of: Sequence[Seen]) -> bool:
    return of[0].applies and of[1].applies


def _warned(of: Sequence[Told]) -> Any:
    found = []
    for name in _advice(of[0].policy):
        warns = [z3.Or([r.broken for r in each.warning if r.name == name]) for each in of]
        found.append(warns[0] != warns[1])
    return z3.Or(found)


def _scored(encoder: Encoder, of: Sequence[Told]) -> Any:
    pairs = zip(of[0].aims, of[1].aims, strict=True)
    differ = [_aims_differ(encoder, one, other) for one, other in pairs]
    return z3.And(of[0].allowed, of[1].allowed, of[0].sure, of[1].sure, z3.Or(differ))


def _aims_differ(encoder: Encoder, one: Aim, other: Aim) -> Any:
    scores = zip(one.scores, other.scores, strict=False)
    uneven = [z3.Not(encoder.sums.same(x, y)) for x, y in scores]
    if len(one.scores) != len(other.scores):  # a tie break that only one has scores 0 on the other
        longer = max(one.scores, other.scores, key=len)
        zero = encoder.numbers.constant(0.0)
        last = longer[-1]
        uneven.append(
            z3.Not(encoder.numbers.same(last.value, zero))
            if last.kind == "double"
            else last.value != 0
        )
    both = z3.And(one.may_win, other.may_win)
    return z3.Or(one.may_win != other.may_win, z3.And(both, z3.Or(uneven)))


def _score(seen: Seen) -> tuple[Any, ...] | None:
    of = seen.verdict
    return (seen.judgement.objective, of.score) if seen.sure and seen.eligible else None


def _excepted(of: Sequence[Told]) -> Any:
    pairs = zip(of[0].active, of[1].active, strict=True)
    return z3.Or([one != other for (_, one), (_, other) in pairs])


def _waiver(seen: Seen) -> tuple[Any, ...]:
    of = seen.judgement
    return (of.exception, of.run_now, of.waived)
