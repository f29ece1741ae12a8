"""`kind: ServicePlan` documents: the tiers that a service may use, and what each may lose.

A plan becomes a policy, so it is explained, replayed and hashed as one: a tier that is not named is
refused, and so is one whose quality is not certified to lose at most what it may.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from greenops.domain.workload import Limits, WorkloadKind
from greenops.errors import Location
from greenops.policy.declared import Declared
from greenops.policy.evaluate import Expression, compile_node
from greenops.policy.fields import Fields
from greenops.policy.model import Constraint, Level, Policy
from greenops.policy.parse import parse
from greenops.policy.policy_file import document, read_enforcement
from greenops.policy.schema import FIELDS, with_labels
from greenops.policy.scope import Scope

MOST_TIERS: Final = 20


@dataclass(frozen=True, slots=True)
class _Tier:
    name: str
    loss: float | None
    at: Location


def read_service_plan(
    name: str, owners: tuple[str, ...], spec: Fields, declared: Declared
) -> Policy | None:
    """The policy that a plan is; none, with problems noted, where anything in it is wrong."""
    before = len(spec.report.problems)
    workload = spec.text("workload", required=True)
    _check_service(spec, workload, declared.workloads)
    tiers = _tiers(spec)
    slower = spec.percent("maxP95Increase")
    mode, percent, key = read_enforcement(spec, Scope(with_labels(declared.labels), spec.report))
    spec.done()
    if workload is None or len(spec.report.problems) > before:
        return None
    policy = Policy(
        name=f"plan/{name}",
        owners=owners,
        priority=0,
        match=(_rule(f"job.name == {json.dumps(workload)}"),),
        limits=Limits(),
        constraints=_constraints(tiers, slower),
        objectives=(),
        exceptions=(),
        mode=mode,
        percent=percent,
        key=key,
        data_classes=frozenset(),
        document="",
        source=spec.node.at,
    )
    return replace(policy, document=document(policy))


def _check_service(spec: Fields, name: str | None, workloads: Mapping[str, object]) -> None:
    if name is None:
        return
    if name not in workloads:
        spec.report.unknown("GO0115", "workload", name, workloads, spec.at("workload"))
    elif getattr(workloads[name], "kind", None) is WorkloadKind.BATCH:
        fix = "name a workload of `kind: inference`"
        spec.bad("workload", f"`{name}` is a batch workload, and has no tiers", fix)


def _tiers(spec: Fields) -> list[_Tier]:
    node, found = spec.get("tiers", required=True), []
    if node is not None and node.items == ():
        spec.is_empty("tiers", "name at least one, such as `{name: full}`")
    for each in spec.maps("tiers"):
        name, loss = each.text("name", required=True), each.percent("maxLoss")
        each.done()
        if name is not None:
            found.append(_Tier(name, loss, each.at("name")))
    names = [each.name for each in found]
    for twice in sorted({each for each in names if names.count(each) > 1}):
        spec.bad("tiers", f"two tiers are named `{twice}`", "names are unique")
    if len(found) > MOST_TIERS:
        spec.bad("tiers", f"{len(found)} tiers, over {MOST_TIERS}", "keep fewer", "34")
    if found and all(each.loss is not None for each in found):
        fix = "leave `maxLoss` out of the tier that serves where no other is certified"
        spec.bad("tiers", "every tier needs a certificate, so that none may be left", fix)
    return found


def _constraints(tiers: list[_Tier], slower: float | None) -> tuple[Constraint, ...]:
    named = json.dumps(sorted(each.name for each in tiers), ensure_ascii=False)
    rules = [
        Constraint(
            "plan/tier",
            Level.HARD,
            _rule(f"candidate.tier in {named}"),
            "The service plan does not name this tier.",
        )
    ]
    rules += [
        Constraint(
            "plan/certified",
            Level.HARD,
            _rule(
                f"candidate.tier != {json.dumps(each.name, ensure_ascii=False)} || "
                f"candidate.quality_low >= baseline.quality * (1.0 - {each.loss!r})"
            ),
            f"Tier {each.name} is not certified to lose at most {each.loss:.2%} of quality.",
        )
        for each in tiers
        if each.loss is not None
    ]
    if slower is not None:
        rules.append(
            Constraint(
                "plan/p95",
                Level.HARD,
                _rule(f"candidate.p95_ms <= baseline.p95_ms * (1.0 + {slower!r})"),
                "The service plan does not let P95 rise that far.",
            )
        )
    return tuple(rules)


def _rule(text: str) -> Expression:
    return compile_node(parse(text), FIELDS)
