"""The JSON Schema of `PlacementPolicy` documents: `spec` and `tests`."""

from __future__ import annotations

from collections.abc import Callable

from greenops.domain.workload import Urgency, WorkloadKind
from greenops.policy.model import Level, OnError
from greenops.policy.policy_file import MAX_RULES
from greenops.policy.schema import JOB, NUMBER, PLACE, TIME
from greenops.policy.schema_parts import (
    IDENTIFIER,
    LIMITS,
    PACKED,
    PARAMETER,
    Schema,
    enforcement,
    expression,
    flag,
    free,
    instant,
    mapping,
    number,
    rows,
    says,
    text,
    texts,
    without,
    without_false,
    word,
)


def policy_spec() -> Schema:
    """`spec` of a `PlacementPolicy`."""
    return mapping(
        {
            "extends": texts("policies of packs, pack/policy", least=1, pattern=PACKED),
            "priority": {"type": "integer", "description": "the highest decides the objective"},
            "match": rows(_rule(named=False), "which jobs; all must hold", least=1, most=MAX_RULES),
            "params": free(PARAMETER, "values put into expressions", names=IDENTIFIER),
            "variables": rows(_variable(), "later ones may name earlier ones", most=MAX_RULES),
            "limits": mapping(LIMITS, "the three numbers", least=1),
            "constraints": rows(_constraint(), "what every candidate must keep", most=MAX_RULES),
            "objectives": rows(_objective(), "what to make small", most=MAX_RULES),
            "exceptions": rows(_exception(), "approved, and for a time", most=MAX_RULES),
            "onError": word(OnError, "Ignore only where every constraint is advisory"),
            "enforcement": enforcement(),
            "verification": _verification(),
        },
        "the rules",
    )


def policy_tests() -> Schema:
    """`tests` of a `PlacementPolicy`."""
    return rows(_test(), "what you expect; greenops policy test runs them")


def _rule(*, named: bool) -> Schema:
    keys = {"name": text("a name for people"), "expression": expression("true where it holds")}
    return mapping(keys, "one rule", required=["expression", *(["name"] if named else [])])


def _variable() -> Schema:
    return mapping(
        {
            "name": text("letters, digits and _", IDENTIFIER),
            "expression": expression("its value"),
        },
        "one variable",
        required=["name", "expression"],
    )


def _constraint() -> Schema:
    keys = {
        "name": text("unique in the policy; named in decisions"),
        "level": word(Level, "hard: never waived; soft: an exception may; advisory: told only"),
        "expression": expression("true where the candidate keeps it"),
        "message": text("what to tell a person"),
        "messageExpression": expression("what to tell a person, made of figures"),
    }
    reserved = {"pattern": "^(limit|interactive|residency|workload|objective|budget|plan)/"}
    made = mapping(keys, "one rule of every candidate", required=["name", "expression"])
    return {
        **made,
        "not": {
            "anyOf": [
                {"required": ["message", "messageExpression"]},
                {"properties": {"name": reserved}, "required": ["name"]},
            ]
        },
    }


def _objective() -> Schema:
    keys = {
        "name": text("named in decisions"),
        "when": expression("true where a candidate may win"),
        "minimize": expression("a number; the least wins"),
        "tieBreak": expression("a number; the least wins a tie"),
    }
    return mapping(keys, "one aim", required=["name", "minimize"])


def _exception() -> Schema:
    effect = {
        **mapping(
            {"runNow": flag("start at once"), "waive": texts("names of soft constraints")},
            "what it does",
        ),
        "anyOf": [
            says(runNow=True),
            {"properties": {"waive": {"minItems": 1}}, "required": ["waive"]},
        ],
    }
    keys = {
        "id": text("unique among all policies; stands in decisions"),
        "reason": text("why"),
        "ticket": text("where it was asked for"),
        "approvedBy": texts("who approved it", least=1),
        "notBefore": instant("when it begins"),
        "expires": instant("when it ends, at most 14 days later"),
        "match": expression("which jobs"),
        "effect": effect,
    }
    return mapping(keys, "one exception", required=set(keys) - {"ticket"})


def _verification() -> Schema:
    keys = {
        "id": text("its name"),
        "assume": expression("where it must hold"),
        "assert": expression("what must hold"),
    }
    row = mapping(keys, "one invariant", required=["id", "assert"])
    return mapping({"invariants": rows(row, "for all jobs", most=MAX_RULES)}, "what must hold")


def _test() -> Schema:
    expect = mapping(
        {
            "choose": text("id of the candidate that must win"),
            "rejected": free(texts("constraints that refuse it", least=1), "by id", least=1),
            "warned": free(texts("advisory constraints", least=1), "by id", least=1),
            "exception": text("id of the exception that must apply"),
            "matches": flag("false: the policy must not match the job"),
        },
        "what must come",
        required=["choose"],
    )
    keys = {
        "name": text("a true sentence"),
        "now": instant("when it is decided"),
        "job": _test_job(),
        "baseline": _place("as without GreenOps"),
        "candidates": rows(_place("another way"), "the other ways"),
        "expect": expect,
    }
    return mapping(keys, "one test", required=["name", "job", "baseline", "expect"])


def _test_job() -> Schema:
    kinds: dict[str, Callable[[str], Schema]] = {
        "string": text,
        "double": number,
        "bool": flag,
        "timestamp": instant,
    }
    keys: dict[str, Schema] = {
        name: kinds[kind](name.replace("_", " ")) for name, kind in JOB.items() if kind in kinds
    }
    keys |= {
        "kind": word(WorkloadKind, "batch ends, inference serves"),
        "urgency": word(Urgency, "how long it may wait"),
        "allowed_regions": texts("where it may run", least=1),
        "labels": free(text("a text"), "labels"),
        "workload": text("a declared workload, in place of all others but submitted"),
    }
    others = sorted(keys.keys() - {"workload", "submitted"})
    made = mapping(keys, "the job")
    written = {"required": ["name", "kind"]}
    personal = without_false("data_class", "contains_personal_data")
    declared = {"required": ["workload"]}
    return {
        **made,
        "if": declared,
        "then": without(*others),
        "else": {"allOf": [written, personal]},
    }


def _place(about: str) -> Schema:
    kinds: dict[str, Callable[[str], Schema]] = {NUMBER: number, TIME: instant}
    keys = {name: kinds.get(kind, text)(name.replace("_", " ")) for name, kind in PLACE.items()}
    return mapping(keys, about, required=["id"])
