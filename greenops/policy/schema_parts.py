"""Pieces of the JSON Schema of policy files, in the words of draft 7, which editors know best."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Final

from greenops.domain.decision import Mode
from greenops.policy.cost import LONGEST_LIST
from greenops.policy.parse import MAX_TEXT as MAX_EXPRESSION
from greenops.policy.reading import MAX_LIST

Schema = dict[str, Any]

WORD: Final = r"\S"
"""A text that says something."""
NAME: Final = "^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$"
IDENTIFIER: Final = "^[A-Za-z_][A-Za-z0-9_]*$"
DURATION: Final = r"^(?=.*[1-9])([0-9]{1,18}(\.[0-9]{1,9})?[dhms])+$"
PERCENT: Final = r"^[0-9]{1,6}(\.[0-9]{1,6})?%$"
CLOCK: Final = "^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$"
INSTANT: Final = (
    r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
    r"(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$"
)
DATE: Final = "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"
DAY: Final = "^((mon|tue|wed|thu|fri|sat|sun)(-(mon|tue|wed|thu|fri|sat|sun))?|weekdays|weekends)$"
PACKED: Final = "^[^/]+/[^/]+$"


def text(about: str, pattern: str = WORD) -> Schema:
    """A text."""
    return {"type": "string", "pattern": pattern, "description": about}


def texts(about: str, *, least: int = 0, pattern: str = WORD) -> Schema:
    """A list of texts."""
    given: Schema = {"type": "array", "items": {"type": "string", "pattern": pattern}}
    more = {"minItems": least} if least else {}
    return {**given, **more, "maxItems": LONGEST_LIST, "description": about}


def word(kind: type[StrEnum], about: str) -> Schema:
    """One word of an enum."""
    return {"enum": [each.value for each in kind], "description": about}


def number(about: str, *, above_zero: bool = False) -> Schema:
    """A number that is not negative."""
    least = {"exclusiveMinimum": 0} if above_zero else {"minimum": 0}
    return {"type": "number", **least, "description": about}


def flag(about: str) -> Schema:
    """True or false."""
    return {"type": "boolean", "description": about}


def duration(about: str) -> Schema:
    """`90m`, `8h`, `3d`."""
    return text(f"{about}: a number and its unit, such as 90m, 8h or 3d", DURATION)


def percent(about: str) -> Schema:
    """`10%`."""
    return text(f"{about}: a percentage with its sign, such as 10%", PERCENT)


def instant(about: str) -> Schema:
    """`2026-11-23T20:00:00Z`."""
    return text(f'{about}: an instant with its zone, in quotes: "2026-11-23T20:00:00Z"', INSTANT)


def expression(about: str) -> Schema:
    """CEL."""
    return {**text(f"{about} (CEL)"), "maxLength": MAX_EXPRESSION}


def mapping(
    properties: Mapping[str, Schema], about: str, *, required: Iterable[str] = (), least: int = 0
) -> Schema:
    """A map with these keys and no others."""
    needed = sorted(required)
    return {
        "type": "object",
        "description": about,
        "additionalProperties": False,
        "properties": dict(properties),
        **({"required": needed} if needed else {}),
        **({"minProperties": least} if least else {}),
    }


def free(
    values: Schema, about: str, *, least: int = 0, names: str | None = None, most: int = 0
) -> Schema:
    """A map whose keys are the author's."""
    return {
        "type": "object",
        "description": about,
        "additionalProperties": values,
        **({"minProperties": least} if least else {}),
        **({"maxProperties": most} if most else {}),
        **({"propertyNames": {"pattern": names}} if names else {}),
    }


def rows(items: Schema, about: str, *, least: int = 0, most: int = 0) -> Schema:
    """A list of maps."""
    return {
        "type": "array",
        "items": items,
        "description": about,
        **({"minItems": least} if least else {}),
        **({"maxItems": most} if most else {}),
    }


def where(condition: Schema, then: Schema) -> Schema:
    """What must hold too where something is so."""
    return {"if": condition, "then": then}


def says(**values: object) -> Schema:
    """A condition: these keys are there, with these values (or any of a list)."""
    wanted = {
        key: {"enum": list(value)} if isinstance(value, tuple) else {"const": value}
        for key, value in values.items()
    }
    return {"properties": wanted, "required": sorted(values)}


def without(*keys: str) -> Schema:
    """These keys are not there."""
    return {"properties": dict.fromkeys(keys, False)}


SCALAR: Final[Schema] = {"type": ["string", "number", "boolean"]}
PARAMETER: Final[Schema] = {
    "anyOf": [
        SCALAR,
        {"type": "array", "items": SCALAR, "minItems": 1, "maxItems": MAX_LIST},
    ]
}

CLOCK_TIME: Final = {
    "at": text('time of day, in quotes: "06:00"', CLOCK),
    "timeZone": text("name of a time zone, such as Europe/Paris"),
}
DAYS: Final = texts(
    "days of the week that count, such as [mon-fri] or [weekdays, sun]; default: every day",
    least=1,
    pattern=DAY,
)
AT: Final = {**CLOCK_TIME, "days": DAYS}
BOTH: Final = {"dependencies": {"at": ["timeZone"], "timeZone": ["at"], "days": ["at"]}}

MAX_COST: Final = mapping(
    {"usd": number("most for one run [USD]"), "increase": percent("most above the baseline's")},
    "most that a run may cost",
    least=1,
)
MAX_CARBON: Final = mapping(
    {
        "intensity": number("most mean intensity over the run [gCO2e/kWh]"),
        "reduction": percent("least saving against the baseline"),
    },
    "most carbon",
    least=1,
)
DEADLINE: Final = {
    **mapping({"within": duration("this long after submission"), **AT}, "latest end", least=1),
    **BOTH,
}
LIMITS: Final = {"deadline": DEADLINE, "maxCost": MAX_COST, "maxCarbon": MAX_CARBON}


def without_false(of_class: str, personal: str) -> Schema:
    """Work of the class `personal` touches personal data; nothing unsays it."""
    return where(says(**{of_class: "personal"}), {"properties": {personal: {"const": True}}})


def enforcement() -> Schema:
    """Mode and rollout."""
    rollout = mapping(
        {
            "percent": {**number("share of jobs that are moved; the rest show"), "maximum": 100},
            "key": expression("a text that puts a job on one side; default: its id"),
        },
        "how many",
        least=1,
    )
    mode = word(Mode, "audit: say; shadow: choose, send nothing; enforce: send")
    return mapping({"mode": mode, "rollout": rollout}, "how far it reaches; default: audit")
