"""The JSON Schema of the `spec` of workloads, budgets, targets and service plans."""

from __future__ import annotations

from greenops.domain.budget import BudgetMode, Every, Measure
from greenops.domain.workload import Urgency, WorkloadKind
from greenops.policy.budget_file import MOST_STAGES, NEVER_BLOCKED, Do
from greenops.policy.calendar_file import MOST_BLACKOUTS
from greenops.policy.schema_parts import (
    AT,
    CLOCK,
    CLOCK_TIME,
    DATE,
    DAYS,
    IDENTIFIER,
    LIMITS,
    MAX_CARBON,
    MAX_COST,
    PACKED,
    PARAMETER,
    Schema,
    duration,
    enforcement,
    flag,
    free,
    instant,
    mapping,
    number,
    percent,
    rows,
    says,
    text,
    texts,
    where,
    without,
    without_false,
    word,
)
from greenops.policy.service_plan_file import MOST_TIERS


def calendar() -> Schema:
    """`calendar` of a `Workload`."""
    blackout = mapping(
        {
            "name": text("what it is for"),
            "from": text('time of day at which it begins, in quotes: "17:00"', CLOCK),
            "to": text(
                "time of day at which it ends; one that is not later is of the next day", CLOCK
            ),
            "days": DAYS,
            "dates": texts(
                'dates on which it begins, in quotes: "2026-12-24"', least=1, pattern=DATE
            ),
        },
        "nothing starts then",
        least=1,
    )
    blackout["dependencies"] = {"from": ["to"], "to": ["from"], "dates": without("days")}
    keys = {
        "name": text("what it is called"),
        "timeZone": CLOCK_TIME["timeZone"],
        "holidays": texts(
            'dates that do not count, in quotes: "2026-12-25"', least=1, pattern=DATE
        ),
        "blackouts": rows(blackout, "when nothing of it may start", most=MOST_BLACKOUTS),
    }
    made = mapping(
        keys, "dates that do not count, and when nothing may start", required=["timeZone"]
    )
    return {**made, "anyOf": [{"required": ["holidays"]}, {"required": ["blackouts"]}]}


def workload_spec() -> Schema:
    """`spec` of a `Workload`."""
    keys = {
        "kind": word(WorkloadKind, "batch ends, inference serves"),
        "urgency": word(Urgency, "how long it may wait"),
        "homeRegion": text("where it runs without GreenOps"),
        "allowedRegions": texts("where it may run; home always may", least=1),
        "schedule": mapping(AT, "when it runs without GreenOps", required=CLOCK_TIME),
        "calendar": calendar(),
        "duration": duration("usual run time"),
        "durationP95": duration("run time that 95 % of runs keep"),
        "maxConcurrent": {
            **number("most of its runs at the same time"),
            "minimum": 1,
            "multipleOf": 1,
        },
        "jitter": duration("starts are spread over this long by their keys, at most 30m"),
        "learn": flag("what earlier runs took stands for what is declared"),
        "energyKwh": number("usual energy of a run, of an hour for inference [kWh]"),
        **LIMITS,
        "dataClass": text("public, internal, personal, or one that a policy makes known"),
        "containsPersonalData": flag("personal data is touched"),
        "team": text("whose it is"),
        "criticality": text("how much hangs on it"),
        "interruptible": flag("it may stop and go on"),
        "transferGb": number("data that a move takes along [GB]"),
        "labels": free(text("a text"), "rules read them as job.labels"),
        "target": text("what carries decisions out"),
    }
    batch = where(says(kind="batch"), {"required": ["maxCost", "maxCarbon"]})
    waits = {
        **where(says(urgency="interactive"), without("deadline", "schedule", "calendar")),
        "else": where(says(kind="batch"), {"required": ["deadline"]}),
    }
    serves = where(
        {**says(kind="inference"), "not": {"required": ["urgency"]}},
        without("deadline", "schedule", "calendar"),
    )
    personal = without_false("dataClass", "containsPersonalData")
    made = mapping(keys, "what is to run", required=["kind", "homeRegion"])
    return {**made, "allOf": [batch, waits, serves, personal]}


def _scope() -> Schema:
    keys = {
        "teams": texts("teams of declared workloads", least=1),
        "workloads": texts("declared workloads", least=1),
    }
    return mapping(keys, "which work counts; default: all", least=1)


def budget_spec() -> Schema:
    """`spec` of a `Budget`."""
    period = mapping(
        {"every": word(Every, "how long it lasts"), "timeZone": CLOCK_TIME["timeZone"]},
        "when it begins anew",
        required=["every"],
    )
    limit = mapping(
        {
            "carbonG": number("most emissions in a period [gCO2e]", above_zero=True),
            "costUsd": number("most cost in a period [USD]", above_zero=True),
        },
        "the most",
        least=1,
    )
    keys = {
        "scope": _scope(),
        "period": period,
        "limit": limit,
        "mode": word(BudgetMode, "audit: tell; enforce: stages bind"),
        "actions": rows(_stage(), "what happens on the way", least=1, most=MOST_STAGES),
    }
    return mapping(keys, "the budget", required=["period", "limit", "actions"])


def _stage() -> Schema:
    may_wait = [each.value for each in Urgency if each not in NEVER_BLOCKED]
    of_tighten = {
        "limits": mapping(
            {"maxCost": MAX_COST, "maxCarbon": MAX_CARBON}, "numbers that hold too", least=1
        ),
        "harden": texts("policy/constraint: soft ones that become hard", pattern=PACKED),
        "params": free(
            free(PARAMETER, "parameter: value", least=1, names=IDENTIFIER),
            "by policy: constraints hold once more with these",
            least=1,
        ),
    }
    urgencies = {
        "type": "array",
        "items": {"enum": may_wait},
        "minItems": 1,
        "description": "batch work that waits for the next period",
    }
    made = mapping(
        {
            "at": {**percent("share of the budget"), "not": {"pattern": r"^0+(\.0+)?%$"}},
            "do": word(Do, "what happens"),
            **of_tighten,
            "urgencies": urgencies,
        },
        "one stage",
        required=["at", "do"],
    )
    something = [
        {"required": ["limits"]},
        {"required": ["harden"], "properties": {"harden": {"minItems": 1}}},
        {"required": ["params"]},
    ]
    tighten = {"allOf": [without("urgencies"), {"anyOf": something}]}
    block = {"required": ["urgencies"], **without(*of_tighten)}
    return {
        **made,
        "allOf": [
            where(says(do="warn"), without("urgencies", *of_tighten)),
            where(says(do="tighten"), tighten),
            where(says(do="block"), block),
        ],
    }


def target_spec() -> Schema:
    """`spec` of a `Target`."""
    baseline = mapping(
        {"from": instant("first instant"), "to": instant("first instant after")},
        "the period to compare with",
        required=["from", "to"],
    )
    part = r"^(?=.*[1-9])(100(\.0+)?|[0-9]{1,2}(\.[0-9]{1,6})?)%$"
    keys = {
        "scope": _scope(),
        "measure": word(Measure, "what is reduced"),
        "reduction": text("less each day than in the baseline period, such as 30%", part),
        "baseline": baseline,
        "by": instant("when it is reached"),
    }
    return mapping(keys, "the target", required=set(keys) - {"scope"})


def plan_spec() -> Schema:
    """`spec` of a `ServicePlan`."""
    tier = mapping(
        {
            "name": text("its name, as candidate.tier tells it"),
            "maxLoss": percent("most quality lost; none: it needs no certificate"),
        },
        "one tier",
        required=["name"],
    )
    trusted = {"contains": {"not": {"required": ["maxLoss"]}}}
    keys = {
        "workload": text("a declared workload of kind inference"),
        "tiers": {**rows(tier, "what may serve", least=1, most=MOST_TIERS), **trusted},
        "maxP95Increase": percent("most that P95 may rise"),
        "enforcement": enforcement(),
    }
    return mapping(keys, "the plan", required=["workload", "tiers"])
