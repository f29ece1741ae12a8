"""`kind: Budget` documents: the most that some work may emit or cost, and what happens before."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from greenops.domain.budget import (
    Block,
    Budget,
    BudgetMode,
    Every,
    Stage,
    Tighten,
    Warn,
)
from greenops.domain.workload import Limits, Urgency
from greenops.policy.declared import Declared, read_scope
from greenops.policy.fields import Fields
from greenops.policy.model import Level
from greenops.policy.workload_file import not_empty, read_limits
from greenops.units import Grams, Usd

MOST_STAGES: Final = 20
NEVER_BLOCKED: Final = (Urgency.INTERACTIVE, Urgency.BREAK_GLASS)
"""Law: a spent budget never delays a person, nor work that may not wait."""
STAGE: Final = "a share of the budget, such as `80%`, above 0"


class Do(StrEnum):
    """What happens at a stage."""

    WARN = "warn"
    TIGHTEN = "tighten"
    BLOCK = "block"


def read_budget(
    name: str, owners: tuple[str, ...], spec: Fields, declared: Declared
) -> Budget | None:
    """A budget from its `spec`; none, with problems noted, where anything in it is wrong."""
    before = len(spec.report.problems)
    scope = read_scope(spec, declared)
    every, zone = _period(spec)
    carbon, cost = _limit(spec)
    mode = spec.choice("mode", BudgetMode) or BudgetMode.AUDIT
    stages = [_stage(each, declared) for each in _actions(spec)]
    spec.done()
    known = [each for each in stages if each]
    _refuse_twins(spec, known)
    if every is None or len(spec.report.problems) > before:
        return None
    return Budget(
        name=name,
        owners=owners,
        scope=scope,
        every=every,
        time_zone=zone,
        mode=mode,
        stages=tuple(sorted(known, key=lambda each: each.at)),
        carbon_g=carbon,
        cost_usd=cost,
        source=spec.node.at,
    )


def _period(spec: Fields) -> tuple[Every | None, str]:
    fields = spec.map("period", required=True)
    if fields is None:
        return None, "UTC"
    every, zone = fields.choice("every", Every, required=True), fields.text("timeZone") or "UTC"
    fields.done()
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        fields.wrong("timeZone", "a time zone's name, such as Europe/Paris")
    return every, zone


def _limit(spec: Fields) -> tuple[Grams | None, Usd | None]:
    fields = spec.map("limit", required=True)
    if fields is None:
        return None, None
    carbon = fields.number("carbonG", "grams of CO2e as a number, such as 500000")
    cost = fields.number("costUsd", "dollars as a number, such as 1200")
    not_empty(fields)
    fields.done()
    for key, given in (("carbonG", carbon), ("costUsd", cost)):
        if given == 0:
            fields.wrong(key, "a number above 0; nothing would be allowed at all")
    return None if carbon is None else Grams(carbon), None if cost is None else Usd(cost)


def _actions(spec: Fields) -> list[Fields]:
    node = spec.get("actions", required=True)
    if node is not None and node.items == ():
        spec.is_empty("actions", "write `{at: 100%, do: warn}` to be told, and no more")
    given = spec.maps("actions")
    if len(given) > MOST_STAGES:
        spec.bad("actions", f"{len(given)} actions, over {MOST_STAGES}", "keep fewer", "34")
        return []
    return given


def _stage(fields: Fields, declared: Declared) -> Stage | None:
    at = _share(fields)
    do = fields.choice("do", Do, required=True)
    action: Warn | Tighten | Block | None = None
    match do:
        case Do.WARN:
            action = Warn()
        case Do.TIGHTEN:
            action = _tighten(fields, declared)
        case Do.BLOCK:
            action = _block(fields)
        case None:
            return None
    fields.done()
    return Stage(at, action) if at is not None and action is not None else None


def _share(fields: Fields) -> float | None:
    fields.get("at", required=True)
    share = fields.percent("at")
    if share == 0:
        fields.wrong("at", STAGE)
    return share


def _tighten(fields: Fields, declared: Declared) -> Tighten | None:
    before = len(fields.report.problems)
    limits = _limits(fields)
    harden = _harden(fields, declared)
    params = _params(fields, declared)
    if len(fields.report.problems) > before:
        return None
    if limits == Limits() and not harden and not params:
        fix = "give `limits`, `harden` or `params`, or write `do: warn`"
        fields.bad("do", f"`{fields.what}` tightens nothing", fix)
        return None
    return Tighten(limits, harden, params)


def _limits(fields: Fields) -> Limits:
    given = fields.map("limits")
    if given is None:
        return Limits()
    limits = read_limits(given)
    not_empty(given)
    given.done()
    if limits.deadline_within is not None or limits.deadline_at is not None:
        given.bad("deadline", "a budget sets no deadline", "keep `maxCost` and `maxCarbon`")
    return replace(limits, deadline_within=None, deadline_at=None)


def _harden(fields: Fields, declared: Declared) -> tuple[tuple[str, str], ...]:
    texts, node, found = fields.texts("harden"), fields.get("harden"), []
    for text, each in zip(texts, (node.items or ()) if node else (), strict=False):
        policy, _, rule = text.partition("/")
        if not rule:
            message = f"`{fields.path('harden')}` has `{text}`"
            fields.report.add("GO0112", message, each.at, "write `policy/constraint`")
        elif policy not in declared.policies:
            fields.report.unknown("GO0115", "policy", policy, declared.policies, each.at)
        elif (of := declared.policies[policy]) is not None:
            levels = {c.name: c.level for c in of.constraints}
            soft = {name for name, level in levels.items() if level is not Level.HARD}
            if levels.get(rule) is Level.HARD:
                message = f"`{text}` is hard already"
                fields.report.add("GO0112", message, each.at, "remove it")
            elif rule not in soft:
                what = f"soft or advisory constraint of `{policy}`"
                fields.report.unknown("GO0115", what, rule, soft or {"none"}, each.at)
            else:
                found.append((policy, rule))
    return tuple(found)


def _params(fields: Fields, declared: Declared) -> tuple[str, ...]:
    """Names of the policies that get other parameters; `budget_rules` reads the values."""
    given = fields.map("params")
    if given is None:
        return ()
    not_empty(given)
    for name, (at, _) in given.entries().items():
        if name not in declared.policies:
            fields.report.unknown("GO0115", "policy", name, declared.policies, at)
        elif (inner := given.map(name)) is not None:
            not_empty(inner)
    return tuple(given.entries())


def _block(fields: Fields) -> Block:
    fields.asked.add("urgencies")
    words = fields.texts("urgencies", required=True)
    node = fields.get("urgencies")
    known = [each.value for each in Urgency if each not in NEVER_BLOCKED]
    found = []
    for word, each in zip(words, (node.items or ()) if node else (), strict=False):
        if word in {never.value for never in NEVER_BLOCKED}:
            message = f"`{word}` work is never delayed, not by a spent budget either"
            fields.report.add("GO0121", message, each.at, f"name some of {', '.join(known)}")
        elif word not in known:
            fields.report.unknown("GO0113", f"`{fields.path('urgencies')}`", word, known, each.at)
        else:
            found.append(Urgency(word))
    return Block(tuple(found))


def _refuse_twins(spec: Fields, stages: list[Stage]) -> None:
    shares = [each.at for each in stages]
    for share in sorted({each for each in shares if shares.count(each) > 1}):
        fix = "put what happens there in one"
        spec.bad("actions", f"two actions stand at {share:.0%}", fix)
