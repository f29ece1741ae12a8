"""`kind: Target` documents: a reduction against a period of the past, by an instant."""

from __future__ import annotations

from greenops.domain.budget import Measure, Target
from greenops.policy.declared import Declared, read_scope
from greenops.policy.fields import Fields


def read_target(
    name: str, owners: tuple[str, ...], spec: Fields, declared: Declared
) -> Target | None:
    """A target from its `spec`; none, with problems noted, where anything in it is wrong."""
    before = len(spec.report.problems)
    scope = read_scope(spec, declared)
    measure = spec.choice("measure", Measure, required=True)
    spec.get("reduction", required=True)
    reduction = spec.percent("reduction")
    if reduction is not None and not 0 < reduction <= 1:
        spec.wrong("reduction", "a percentage above 0%, at most 100%")
    baseline = spec.map("baseline", required=True)
    begins = baseline.instant("from", required=True) if baseline else None
    ends = baseline.instant("to", required=True) if baseline else None
    if baseline:
        baseline.done()
    by = spec.instant("by", required=True)
    spec.done()
    if baseline and begins and ends and begins >= ends:
        baseline.bad("to", "the baseline period ends before it begins", "write a later instant")
    if ends and by and by <= ends:
        spec.bad("by", "the target is due before its baseline period ends", "write a later instant")
    if len(spec.report.problems) > before:
        return None
    if measure is None or reduction is None or begins is None or ends is None or by is None:
        return None
    return Target(name, owners, scope, measure, reduction, begins, ends, by, spec.node.at)
