"""The JSON Schema for editors and the loader say the same of every key, type and word."""

from __future__ import annotations

import copy
import json
import re
from functools import cache
from pathlib import Path

import pytest
from jsonschema import Draft7Validator  # type: ignore[import-untyped]

from greenops.policy import lint
from greenops.policy.document import documents
from greenops.policy.json_schema import json_schema, schema_text

SCHEMA = json_schema()
VALID = Draft7Validator(SCHEMA)
ROOT = Path(__file__).parents[3]
VERSION = "greenops.dev/v1alpha1"
RULE = {"name": "r", "expression": "true"}
EXCEPTION = {
    "id": "E1",
    "reason": "attack",
    "ticket": "INC-1",
    "approvedBy": ["boss@example.com"],
    "notBefore": "2026-11-01T00:00:00Z",
    "expires": "2026-11-10T00:00:00Z",
    "match": "true",
    "effect": {"runNow": True, "waive": ["soft"]},
}
FIGURES = (
    ("energy_kwh", "carbon_g", "carbon_low_g", "carbon_high_g", "intensity", "cost_usd", "p95_ms", "quality", "quality_low", "transfer_gb", "capacity_free", "forecast_age_s")
)  # fmt: skip
PLACE = {
    **dict.fromkeys(("region", "location", "provider", "pool", "tier", "zone"), "eu"),
    **dict.fromkeys(("start", "end"), "2026-11-01T00:00:00Z"),
    **dict.fromkeys(FIGURES, 1.5),
}
JOB = {
    **dict.fromkeys(("id", "name", "team", "criticality", "data_class", "home_region"), "x"),
    **dict.fromkeys(("duration_s", "energy_kwh", "transfer_gb"), 1.5),
    "kind": "batch",
    "urgency": "standard",
    "allowed_regions": ["eu"],
    "labels": {"a": "b"},
    "submitted": "2026-11-01T00:00:00Z",
    "interruptible": True,
    "contains_personal_data": True,
}
TEST = {
    "name": "a sentence",
    "now": "2026-11-01T00:00:00Z",
    "job": JOB,
    "baseline": {"id": "now", **PLACE},
    "candidates": [{"id": "it", **PLACE}],
    "expect": {
        "choose": "now",
        "exception": "E1",
        "matches": True,
        "rejected": {"it": ["hard"]},
        "warned": {"it": ["advisory"]},
    },
}
LIMITS = {
    "deadline": {"within": "8h", "at": "06:00", "timeZone": "Europe/Paris", "days": ["sun"]},
    "maxCost": {"usd": 40.0, "increase": "10%"},
    "maxCarbon": {"intensity": 250.0, "reduction": "15%"},
}
ENFORCEMENT = {"mode": "shadow", "rollout": {"percent": 25, "key": "job.name"}}


def document(kind, spec, **more):
    metadata = {"name": "it", "owners": ["a@example.com"], "annotations": {"ticket": "T-1"}}
    return {"apiVersion": VERSION, "kind": kind, "metadata": metadata, "spec": spec, **more}


def policy(*, tests=None, **sections):
    spec = {"match": [{"name": "m", "expression": 'job.kind == "batch"'}], **sections}
    return document("PlacementPolicy", spec, **({"tests": tests} if tests else {}))


RULES = policy(
    extends=["acme/base"],
    priority=3,
    params={"most": 10.0, "pools": ["spot"], "strict": True, "word": "x"},
    variables=[{"name": "cheap", "expression": "candidate.cost_usd < params.most"}],
    constraints=[
        {"name": "hard", "level": "hard", "expression": "variables.cheap", "message": "Dear."},
        {"name": "said", "expression": "params.strict", "messageExpression": "params.word"},
        {"name": "in", "expression": "candidate.pool in params.pools"},
    ],
)
REACH = policy(limits=LIMITS, onError="Reject", enforcement=ENFORCEMENT)
WAYS_ROUND = policy(
    constraints=[{"name": "soft", "level": "soft", "expression": "true"}], exceptions=[EXCEPTION]
)
AIMS = policy(
    objectives=[
        {
            "name": "o",
            "when": "true",
            "minimize": "candidate.carbon_g",
            "tieBreak": "candidate.cost_usd",
        }
    ],
    verification={"invariants": [{"id": "i", "assume": "true", "assert": "eligible"}]},
)
TESTED = policy(tests=[TEST])
TESTED_RUN = policy(
    tests=[
        {
            **TEST,
            "job": {"workload": "etl", "submitted": "2026-11-01T00:00:00Z"},
            "baseline": {"id": "now"},
            "candidates": [{"id": "it"}],
        }
    ]
)
BASE = document(
    "PlacementPolicy",
    {
        "match": [{"expression": 'job.kind == "batch"'}],
        "constraints": [{"name": "base", "expression": "true"}],
        "exceptions": [],
    },
)
BASE["metadata"] |= {"pack": "acme", "name": "base"}
BATCH = document(
    "Workload",
    {
        "kind": "batch",
        "urgency": "deferrable",
        "homeRegion": "eu",
        "allowedRegions": ["eu"],
        "schedule": {"at": "06:00", "timeZone": "Europe/Paris"},
        "duration": "90m",
        "durationP95": "2h",
        "energyKwh": 2.4,
        "dataClass": "personal",
        "team": "data",
        "containsPersonalData": True,
        "criticality": "low",
        "interruptible": True,
        "transferGb": 1.0,
        "labels": {"tier": "b"},
        "target": "local-process",
        **LIMITS,
    },
)
CALENDAR = document(
    "Workload",
    {
        **BATCH["spec"],
        "learn": True,
        "maxConcurrent": 3,
        "jitter": "20m",
        "schedule": {"at": "06:00", "timeZone": "Europe/Paris", "days": ["mon-fri"]},
        "deadline": {"at": "18:00", "timeZone": "Europe/Paris", "days": ["weekdays", "sat"]},
        "calendar": {
            "name": "france",
            "timeZone": "Europe/Paris",
            "holidays": ["2026-12-25"],
            "blackouts": [
                {"name": "peak", "from": "17:00", "to": "21:00", "days": ["mon-fri"]},
                {"dates": ["2026-12-24"]},
            ],
        },
    },
)
SERVICE = document("Workload", {"kind": "inference", "homeRegion": "eu"})
CONTEXT = [
    document("Workload", {**BATCH["spec"]}),
    document("Workload", {"kind": "inference", "homeRegion": "eu"}),
    document(
        "PlacementPolicy",
        {
            "match": [{"expression": 'job.name == "etl"'}],
            "params": {"most": 10.0},
            "constraints": [
                {"name": "soft", "level": "soft", "expression": "candidate.cost_usd < params.most"}
            ],
        },
    ),
    BASE,
]
for each, name in zip(CONTEXT, ["etl", "search", "rule"], strict=False):
    each["metadata"] = {**each["metadata"], "name": name}
BUDGET = document(
    "Budget",
    {
        "scope": {"teams": ["data"], "workloads": ["etl"]},
        "period": {"every": "month", "timeZone": "Europe/Paris"},
        "limit": {"carbonG": 5000, "costUsd": 12.5},
        "mode": "enforce",
        "actions": [
            {"at": "50%", "do": "warn"},
            {
                "at": "80%",
                "do": "tighten",
                "limits": {"maxCost": LIMITS["maxCost"], "maxCarbon": LIMITS["maxCarbon"]},
                "harden": ["rule/soft"],
                "params": {"rule": {"most": 5.0}},
            },
            {"at": "100%", "do": "block", "urgencies": ["best-effort"]},
        ],
    },
)
TARGET = document(
    "Target",
    {
        "scope": {"teams": ["data"], "workloads": ["etl"]},
        "measure": "carbon",
        "reduction": "30%",
        "baseline": {"from": "2026-01-01T00:00:00Z", "to": "2026-07-01T00:00:00Z"},
        "by": "2027-12-31T00:00:00Z",
    },
)
PLAN = document(
    "ServicePlan",
    {
        "workload": "search",
        "tiers": [{"name": "int8", "maxLoss": "1%"}, {"name": "full"}],
        "maxP95Increase": "2%",
        "enforcement": ENFORCEMENT,
    },
)
SAMPLES = {
    "rules": RULES,
    "reach": REACH,
    "ways-round": WAYS_ROUND,
    "aims": AIMS,
    "tested": TESTED,
    "tested-run": TESTED_RUN,
    "pack": BASE,
    "batch": BATCH,
    "calendar": CALENDAR,
    "service": SERVICE,
    "budget": BUDGET,
    "target": TARGET,
    "plan": PLAN,
}


def loader(sample):
    """What the loader says of a sample beside the documents that its kind names."""
    kind = sample.get("kind")
    named = {"Budget": CONTEXT[:3], "Target": CONTEXT[:1], "ServicePlan": CONTEXT[1:2]}
    others = named.get(kind, []) if isinstance(kind, str) else []
    if kind == "PlacementPolicy" and "pack" not in str(sample.get("metadata")):
        others = [*CONTEXT[:1], BASE]
    context = "\n---\n".join(json.dumps(each) for each in others)
    return list(_said(context, json.dumps(sample)))


@cache
def _said(context, sample):
    """A text is read once, whoever asks again what is said of it."""
    found = lint([("context.yaml", context), ("sample.yaml", sample)])
    return tuple(each for each in found if each.at and each.at.file == "sample.yaml")


def schema(sample):
    return [f"{each.json_path}: {each.message}"[:200] for each in VALID.iter_errors(sample)]


def paths(value, at=()):
    """Every place in a sample, the deepest last."""
    yield at
    if isinstance(value, dict):
        for key, each in value.items():
            yield from paths(each, (*at, key))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from paths(each, (*at, index))


def at(value, path):
    for step in path:
        value = value[step]
    return value


def put(sample, path, value):
    made = copy.deepcopy(sample)
    at(made, path[:-1])[path[-1]] = value
    return made


def node_of(path, given=SCHEMA):
    """The part of the schema that a place of a sample is about; none where its keys are free."""
    for step in path:
        if given is None:
            return None
        if isinstance(step, int):
            given = given.get("items")
        elif step in given.get("properties", {}):
            given = given["properties"][step]
        elif isinstance(given.get("additionalProperties"), dict):
            given = given["additionalProperties"]
        else:
            return None
    return given


def of_kind(sample):
    return SCHEMA["definitions"][sample["kind"]]


MAPS = [
    pytest.param(sample, path, id=f"{name}:{'.'.join(map(str, path))}")
    for name, sample in SAMPLES.items()
    for path in paths(sample)
    if isinstance(at(sample, path), dict)
]
CLOSED = [
    each
    for each in MAPS
    if (node_of(each.values[1], of_kind(each.values[0])) or {}).get("additionalProperties") is False
]
KEYS = [
    pytest.param(sample, path, id=f"{name}:{'.'.join(map(str, path))}")
    for name, sample in SAMPLES.items()
    for path in paths(sample)
    if path and isinstance(path[-1], str) and not {*FIGURES[1:], "candidates"} & set(path)
]
ITEMS = [
    pytest.param(sample, path, id=f"{name}:{'.'.join(map(str, path))}")
    for name, sample in SAMPLES.items()
    for path in paths(sample)
    if path and not {*FIGURES[1:], "candidates"} & set(path)
]


def test_the_schema_is_one():
    Draft7Validator.check_schema(SCHEMA)


def test_the_shipped_file_is_the_schema():
    assert (ROOT / "policies" / "schema.json").read_text() == schema_text()


@pytest.mark.parametrize("name", SAMPLES)
def test_a_document_with_every_key_is_fine_for_both(name):
    assert loader(SAMPLES[name]) == []
    assert schema(SAMPLES[name]) == []


def test_the_samples_hold_every_key_of_the_schema():
    def keys(node, where):
        for name, each in (node.get("properties") or {}).items():
            yield (*where, name)
            yield from keys(each, (*where, name))
        for inner in ("items", "additionalProperties"):
            if isinstance(node.get(inner), dict):
                yield from keys(node[inner], (*where, "*"))

    told = {
        (kind, *path) for kind, node in SCHEMA["definitions"].items() for path in keys(node, ())
    }
    there = set()
    for sample in SAMPLES.values():
        for path in paths(sample):
            shown, node = [sample["kind"]], of_kind(sample)
            for step in path:
                free = isinstance(step, int) or step not in node.get("properties", {})
                shown.append("*" if free else step)
                node = node_of((step,), node) or {}
            there.add(tuple(shown))

    assert told - there == set()


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("policies/**/*.yaml")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_each_shipped_policy_has_the_schemas_shape(path):
    def plain(node):
        if node.entries is not None:
            return {key: plain(each) for key, (_, each) in node.entries.items()}
        return [plain(each) for each in node.items] if node.items is not None else node.value

    for node in documents(path.name, path.read_text()):
        assert schema(plain(node)) == []


@pytest.mark.parametrize(("sample", "path"), CLOSED)
def test_the_loader_knows_the_keys_of_the_schema_and_no_others(sample, path):
    word = "zqxjkvwpzqxjkvwp"
    odd = copy.deepcopy(sample)
    at(odd, path)[word] = "x"
    known = set(node_of(path, of_kind(sample))["properties"])
    if path[:1] == ("tests",) and path[2:] == ("job",) and "workload" in at(sample, path):
        known = {"workload", "submitted"}
    elif path[:2] == ("spec", "actions") and len(path) == 3:
        more = {"tighten": {"limits", "harden", "params"}, "block": {"urgencies"}, "warn": set()}
        known = {"at", "do"} | more[at(sample, path)["do"]]

    said = [each for each in loader(odd) if f"`{word}`" in each.message]

    assert schema(odd)
    assert [each.code[-2:] for each in said] == ["10"]
    told = set(re.findall(r"[A-Za-z0-9_]+", str(said[0].fix).removeprefix("known:")))
    assert told - {"deadline"} == known - {"deadline"}


@pytest.mark.parametrize(("sample", "path"), KEYS)
def test_a_key_is_needed_by_both_or_by_neither(sample, path):
    without = copy.deepcopy(sample)
    del at(without, path[:-1])[path[-1]]
    missing = {"11", "20"}
    lacks = [each for each in loader(without) if each.code[-2:] in missing]

    assert bool(schema(without)) == bool(lacks or changes_nothing(without)), (
        schema(without),
        lacks,
    )


def changes_nothing(sample):
    """The effect of an exception or a stage that is there and does nothing."""
    return any(
        "changes nothing" in e.message or "tightens nothing" in e.message for e in loader(sample)
    )


ODD = {
    str: [None, {}, [], "", "a b", 5, "0%"],
    bool: [None, 5, "a b"],
    float: [None, -1.5, True, "a b", []],
    int: [None, -1.5, True, "a b", []],
    list: [None, {}, [], "a b", [1], [""], [{}]],
    dict: [None, {}, [], "a b", {"a": 1}],
}
"""What is put in the place of a value of each kind."""
OF_SHAPE = {"10", "11", "12", "13", "20", "21"}
ONLY_TOLD_BY_CHECK = (
    "no soft constraint here",
    "at most 14 days",
    "`Ignore` would let",
    "is no new name",
    "a time zone's name",
    "ends before it begins",
    "due before its baseline",
    "names are unique",
    "two actions stand",
    "is hard already",
    "is declared twice",
    "could delay interactive",
    "interactive work is never delayed, but this policy",
)


@pytest.mark.parametrize(("sample", "path"), ITEMS)
def test_a_wrong_value_is_wrong_for_both(sample, path):
    for odd in ODD[type(at(sample, path))]:
        changed = put(sample, path, odd)
        told = loader(changed)
        said = [
            str(each)
            for each in told
            if each.code[-2:] in OF_SHAPE
            and not any(words in each.message + str(each.fix) for words in ONLY_TOLD_BY_CHECK)
        ]
        shown = schema(changed)

        assert not said or shown, f"the loader alone refuses {odd!r}: {said}"
        assert not shown or told, f"the schema alone refuses {odd!r}: {shown}"
