"""What statements of the transform processor (OTTL) are made of: paths, literals, groups."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from greenops.observe import attributes as names

Group = dict[str, object]
PLACE: Final = "greenops.place"
"""Attribute of a resource while its spans are enriched: what holds in its region; deleted at the end."""
JOB: Final = "greenops.job"
"""The same: whether its root spans are runs of a job."""
NANOS: Final = 1000
"""Nanoseconds of a microsecond."""


def span(name: str) -> str:
    """Path of an attribute of the span."""
    return f"span.attributes[{json.dumps(name)}]"


def resource(name: str) -> str:
    """Path of an attribute of its resource."""
    return f"resource.attributes[{json.dumps(name)}]"


def coalesce(spellings: Sequence[str], *more: str) -> str:
    """The first of some attributes of the span that is there, else what else is given."""
    return f"Coalesce([{', '.join((*(span(each) for each in spellings), *more))}])"


ENERGY, CARBON = span(names.ENERGY_SELF), span(names.CARBON_SELF)
METHOD, UNKNOWN = span(names.ENERGY_METHOD), span(names.ENERGY_UNKNOWN)
WHY, REGION = span(names.CARBON_UNKNOWN), span(names.CLOUD_REGION)
HOME = resource(names.CLOUD_REGION)
FREE: Final = f"{coalesce((names.ENERGY_SELF, names.ENERGY_UNKNOWN, names.ENERGY_REMOTE, names.ENERGY_REMOTE_UNKNOWN))} == nil"
"""No energy, and no reason for it."""
OUTGOING: Final = "(span.kind == SPAN_KIND_CLIENT or span.kind == SPAN_KIND_PRODUCER)"


def group(context: str, conditions: Sequence[str], lines: Iterable[str]) -> Group:
    """Statements that are looked at where one of the conditions holds; errors in them are silent."""
    return {
        "context": context,
        "error_mode": "silent",
        "conditions": list(conditions),
        "statements": list(lines),
    }


def quoted(name: str) -> str:
    """A text as a regular expression."""
    return "".join(rf"\{each}" if each in r"\.+*?()|[]{}^$" else each for each in name)


def carbon_lines(where: str = "true") -> list[str]:
    """Grams of a span with energy, or why there are none; z is what holds where it ran."""
    place, end = 'span.cache["z"]', "span.end_time_unix_nano"
    outside = f'({end} < {place}["from"] or {end} >= {place}["until"])'
    return [
        f'set({WHY}, "no_region") where {where} and {place} == nil',
        f'set({WHY}, "stale_table") where {where} and {place} != nil and {outside}',
        f'set({WHY}, {place}["why"]) where {where} and {WHY} == nil and {place}["why"] != nil',
        f'set({CARBON}, {ENERGY} * {place}["g"]) where {where} and {WHY} == nil',
    ]


def literal(value: object) -> str:
    """A map, text or number as OTTL spells it."""
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{json.dumps(k)}:{literal(v)}" for k, v in value.items()) + "}"
    if isinstance(value, float):
        return number(value)
    return json.dumps(value, ensure_ascii=False)


def number(value: float) -> str:
    """A number with a point, without which OTTL takes it for a whole one; all its digits are kept."""
    mantissa, _, exponent = repr(value).partition("e")
    point = mantissa if "." in mantissa else f"{mantissa}.0"
    return f"{point}e{exponent}" if exponent else point
