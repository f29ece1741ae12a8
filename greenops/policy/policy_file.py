"""`kind: PlacementPolicy` documents, read and compiled."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from greenops.domain.decision import Mode
from greenops.domain.record import plain
from greenops.domain.workload import Limits
from greenops.policy.evaluate import Expression
from greenops.policy.fields import Fields
from greenops.policy.interactive import check_interactive
from greenops.policy.ir import Const
from greenops.policy.model import (
    Constraint,
    Level,
    Objective,
    OnError,
    Policy,
    PolicyException,
)
from greenops.policy.schema import JOB_ROOTS, MATCH_ROOTS
from greenops.policy.scope import Scope
from greenops.policy.workload_file import not_empty, read_limits

MAX_RULES: Final = 200
"""Most rules of one policy, of every kind together."""
RULES: Final = ("match", "variables", "constraints", "objectives", "exceptions")
LONGEST_EXCEPTION: Final = timedelta(days=14)
RESERVED: Final = (
    *("limit/", "interactive/", "residency/", "workload/", "objective/"),
    *("budget/", "plan/"),
)
CLASSES: Final = "data_classes"
"""The parameter whose texts are data classes that the policy knows."""


def read_policy(
    name: str,
    owners: tuple[str, ...],
    spec: Fields,
    schema: Mapping[str, str],
    *,
    of_pack: bool = False,
) -> Policy | None:
    """A policy from its `spec`, bases put in; none where anything in it is wrong.

    Args:
        name: Its name; of one in a pack, the pack's name before it.
        owners: Who answers for it.
        spec: What it says.
        schema: Fields that expressions may name.
        of_pack: Others build on it: it need not say which jobs, and approves no exception.
    """
    before = len(spec.report.problems)
    if _too_many(spec, RULES):
        return None
    scope = Scope(schema, spec.report)
    if params := spec.map("params"):
        scope.take_params(params)
    for each in spec.maps("variables"):
        scope.define(each)
    match = [_named_rule(each, scope) for each in spec.maps("match")]
    if (given := spec.get("match", required=not of_pack)) and given.items == ():
        spec.is_empty("match", "write `'true'` as the expression of a rule that means every job")
    limits_map = spec.map("limits")
    limits = read_limits(limits_map) if limits_map else Limits()
    if limits_map:
        not_empty(limits_map)
        limits_map.done()
    on_error = spec.choice("onError", OnError) or OnError.REJECT
    constraints = _constraints(spec, scope, on_error)
    objectives = [_objective(each, scope) for each in spec.maps("objectives")]
    soft = {each.name for each in constraints if each and each.level is Level.SOFT}
    exceptions = [_exception(each, scope, soft) for each in spec.maps("exceptions")]
    if of_pack and exceptions:
        fix = "move them to the policy that extends this one"
        spec.bad(
            "exceptions", "a policy of a pack has no exceptions: each is approved by name", fix
        )
    mode, percent, key = read_enforcement(spec, scope)
    _verification(spec, scope)
    priority = _priority(spec)
    spec.done()
    _check_names(spec, constraints)
    made = tuple(each for each in match if each)
    check_interactive(spec, made, limits)
    if len(spec.report.problems) > before:
        return None
    policy = Policy(
        name=name,
        owners=owners,
        priority=priority,
        match=made,
        limits=limits,
        constraints=tuple(each for each in constraints if each),
        objectives=tuple(each for each in objectives if each),
        exceptions=tuple(each for each in exceptions if each),
        mode=mode,
        percent=percent,
        key=key,
        data_classes=_classes(scope),
        document="",
        source=spec.node.at,
    )
    return replace(policy, document=document(policy))


def _named_rule(fields: Fields, scope: Scope) -> Expression | None:
    fields.text("name")
    found = scope.compile(fields, "expression", roots=MATCH_ROOTS)
    fields.done()
    return found


def _priority(spec: Fields) -> int:
    node = spec.get("priority")
    if node is None:
        return 0
    if not isinstance(node.value, int) or isinstance(node.value, bool):
        spec.wrong("priority", "a whole number; the highest decides the objective")
        return 0
    return node.value


def _constraints(spec: Fields, scope: Scope, on_error: OnError) -> list[Constraint | None]:
    found = [_constraint(each, scope, on_error) for each in spec.maps("constraints")]
    hard = any(each and each.level is not Level.ADVISORY for each in found)
    if on_error is OnError.IGNORE and hard:
        spec.bad("onError", "`Ignore` would let hard constraints pass on an error", "write Reject")
    return found


def _constraint(fields: Fields, scope: Scope, on_error: OnError) -> Constraint | None:
    name = fields.text("name", required=True)
    level = fields.choice("level", Level) or Level.HARD
    expression = scope.compile(fields, "expression")
    message = fields.text("message")
    speech = scope.compile(
        fields, "messageExpression", kinds=("string",), required=False, message=True
    )
    if message is not None and fields.get("messageExpression"):
        fields.bad("message", "`message` and `messageExpression` are both given", "keep one")
    fields.done()
    if name is None or expression is None:
        return None
    if name.startswith(RESERVED):
        fields.bad("name", f"`{name}` begins with a reserved word", "choose another name")
    return Constraint(name, level, expression, message, speech, on_error is OnError.IGNORE)


def _objective(fields: Fields, scope: Scope) -> Objective | None:
    name = fields.text("name", required=True)
    numbers = ("double", "int")
    when = scope.compile(fields, "when", required=False)
    minimize = scope.compile(fields, "minimize", kinds=numbers)
    tie = scope.compile(fields, "tieBreak", kinds=numbers, required=False)
    fields.done()
    return Objective(name, when, minimize, tie) if name and minimize else None


def _exception(fields: Fields, scope: Scope, soft: set[str]) -> PolicyException | None:
    name = fields.text("id", required=True)
    reason = fields.text("reason", required=True)
    approved = fields.texts("approvedBy", required=True)
    begins = fields.instant("notBefore", required=True)
    ends = fields.instant("expires", required=True)
    fields.text("ticket")
    match = scope.compile(fields, "match", roots=JOB_ROOTS)
    run_now, waive = _effect(fields, soft)
    fields.done()
    if not (name and reason and begins and ends and match):
        return None
    if not timedelta(0) < ends - begins <= LONGEST_EXCEPTION:
        fields.bad("expires", "an exception lasts at most 14 days", "bring `expires` forward", "14")
    at = fields.at("id")
    return PolicyException(name, reason, approved, begins, ends, match, run_now, waive, at)


def _effect(fields: Fields, soft: set[str]) -> tuple[bool, tuple[str, ...]]:
    """What an exception does; one that does nothing would still stand on the record."""
    before = len(fields.report.problems)
    effect = fields.map("effect", required=True)
    if effect is None:
        return False, ()
    run_now, waive = bool(effect.flag("runNow")), effect.texts("waive")
    effect.done()
    for each in sorted(set(waive) - soft):
        effect.bad("waive", f"`{each}` is no soft constraint here", "only soft ones are waived")
    if not run_now and not waive and len(fields.report.problems) == before:
        fix = "write `runNow: true`, or `waive` with soft constraints"
        fields.bad("effect", f"`{fields.path('effect')}` changes nothing", fix)
    return run_now, waive


def read_enforcement(spec: Fields, scope: Scope) -> tuple[Mode, float, Expression | None]:
    """Mode, percent of jobs that are moved, and what tells them apart (none: the job's id)."""
    fields = spec.map("enforcement")
    if fields is None:
        return Mode.AUDIT, 100.0, None
    mode = fields.choice("mode", Mode) or Mode.AUDIT
    rollout = fields.map("rollout")
    percent, key = 100.0, None
    if rollout:
        given = rollout.number("percent", "a number from 0 to 100")
        percent = 100.0 if given is None else given
        if percent > 100:  # noqa: PLR2004 - per cent
            rollout.wrong("percent", "a number from 0 to 100")
        key = scope.compile(rollout, "key", kinds=("string",), required=False, roots=JOB_ROOTS)
        not_empty(rollout)
        rollout.done()
    fields.done()
    return mode, percent, key


def _verification(spec: Fields, scope: Scope) -> None:
    """Invariants are checked for names and types; nothing proves them yet."""
    fields = spec.map("verification")
    if fields is None:
        return
    wider = Scope({**scope.schema, "eligible": "bool"}, scope.report, scope.params, scope.variables)
    if _too_many(fields, ("invariants",)):
        return
    for each in fields.maps("invariants"):
        each.text("id", required=True)
        wider.compile(each, "assume", required=False)
        wider.compile(each, "assert")
        each.done()
    fields.done()


def _too_many(fields: Fields, names: Sequence[str]) -> bool:
    """Counted before anything is compiled, so that a big file costs no time."""
    entries = fields.node.entries or {}
    count = sum(len(entries[each][1].items or ()) for each in names if each in entries)
    if count > MAX_RULES:
        fields.report.add("GO0134", f"{count} rules, over {MAX_RULES}", fields.node.at, "split it")
    return count > MAX_RULES


def _check_names(spec: Fields, constraints: Sequence[Constraint | None]) -> None:
    names = [each.name for each in constraints if each]
    for name in sorted({each for each in names if names.count(each) > 1}):
        spec.bad("constraints", f"two constraints are named `{name}`", "names are unique")


def _classes(scope: Scope) -> frozenset[str]:
    node = scope.params.get(CLASSES)
    items = getattr(node, "items", ())
    return frozenset(str(each.value) for each in items if isinstance(each, Const))


def document(policy: Policy) -> str:
    """Canonical text of a policy: what was compiled, nothing else; what the ledger keeps."""

    def text(each: Expression | None) -> str | None:
        return each.text if each else None

    body: dict[str, Any] = {
        "kind": "PlacementPolicy",
        "name": policy.name,
        "owners": list(policy.owners),
        "priority": policy.priority,
        "match": [each.text for each in policy.match],
        "limits": plain(policy.limits),
        "constraints": [
            {
                "name": each.name,
                "level": each.level.value,
                "expression": each.expression.text,
                "message": each.message,
                "messageExpression": text(each.speech),
                "onError": "Ignore" if each.ignore_errors else "Reject",
            }
            for each in policy.constraints
        ],
        "objectives": [
            {
                "name": each.name,
                "when": text(each.when),
                "minimize": each.minimize.text,
                "tieBreak": text(each.tie_break),
            }
            for each in policy.objectives
        ],
        "exceptions": [
            {
                "id": each.id,
                "reason": each.reason,
                "approvedBy": list(each.approved_by),
                "notBefore": plain(each.not_before),
                "expires": plain(each.expires),
                "match": each.match.text,
                "runNow": each.run_now,
                "waive": list(each.waive),
            }
            for each in policy.exceptions
        ],
        "mode": policy.mode.value,
        "rollout": {"percent": policy.percent, "key": text(policy.key)},
        "dataClasses": sorted(policy.data_classes),
    }
    return json.dumps(body, sort_keys=True, separators=(",", ":"))
