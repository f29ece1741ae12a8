"""The law of `greenops.observe.enrichment` as statements of the transform processor (OTTL), tables written into them.

The order of the groups is the order of the law. What a group decides is a whole map literal indexed by a name: the
Collector reads a literal once, at its start. A name that is not in it raises an error inside the Collector, silenced by
`error_mode`, and leaves the statement undone: that is how "unknown" is told.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from greenops.domain.spans import MOST
from greenops.observe import attributes as names
from greenops.observe.enrichment import CARBON_REASONS, NO_METER, NO_TIME, RUN_NAMES, TASK
from greenops.observe.enrichment_look import grams_per_joule
from greenops.observe.enrichment_tables import EnrichmentTables, RegionRow, microseconds
from greenops.pipeline.collector_ottl_calls import calls, plain_calls
from greenops.pipeline.collector_ottl_words import (
    CARBON,
    ENERGY,
    FREE,
    HOME,
    JOB,
    METHOD,
    NANOS,
    OUTGOING,
    PLACE,
    REGION,
    UNKNOWN,
    WHY,
    Group,
    carbon_lines,
    coalesce,
    group,
    literal,
    resource,
    span,
)
from greenops.units import NS_PER_S


def statements(tables: EnrichmentTables) -> list[Group]:
    """`trace_statements` of a transform processor.

    Raises:
        ValueError: A region has more rows than one: a Collector's table is that of one instant.
    """
    places = literal({row.region: _place(row) for row in tables.regions})
    if len({row.region for row in tables.regions}) < len(tables.regions):
        raise ValueError("a region has several rows; a Collector takes one of each")
    return [
        _resources(places, tables.version),
        # What came with its energy goes first, so that no energy of ours is taken for it. Few groups: to look at a
        # span once more costs as much as ten of its attributes.
        _carried(places),
        *plain_calls(tables),
        calls(tables, places),
        _runs(tables.watts, places),
        _others(),
        group("resource", [f"{resource(PLACE)} != nil or {resource(JOB)} != nil"], _clean()),
    ]


def _resources(places: str, version: str) -> Group:
    jobs = " or ".join(f"{resource(name)} != nil" for name in RUN_NAMES)
    place, said = resource(PLACE), resource(names.FACTORS_VERSION)
    return group(
        "resource",
        [f"IsString({HOME})", jobs],
        [
            f"set({place}, Coalesce([{places}])[{HOME}]) where IsString({HOME})",
            f"set({resource(JOB)}, true) where {jobs}",
            *(
                f'set({resource(name)}, {place}["{key}"]) where {resource(name)} == nil and {place} != nil'
                for name, key in ((names.GRID_ZONE, "zone"), (names.PUE, "pue"))
            ),
            f"set({said}, {json.dumps(version)}) where {said} == nil and {place} != nil",
        ],
    )


def _lacks_carbon() -> str:
    number = f"(IsDouble({ENERGY}) or IsInt({ENERGY}))"
    missing = f"{ENERGY} != nil and {CARBON} == nil and {WHY} == nil"
    return f"{missing} and {number} and {ENERGY} >= 0 and {ENERGY} <= {MOST:.1f}"


def _runs(watts: Mapping[str, float], places: str) -> Group:
    marked = f"{coalesce(RUN_NAMES)} != nil"
    told = span(names.WORKLOAD)
    lines = [
        f'set({UNKNOWN}, "{NO_TIME}") where span.end_time_unix_nano < span.start_time_unix_nano',
        f'set(span.cache["w"], {resource(names.WORKLOAD)}) where not IsString({told})',
        f'set(span.cache["w"], {told}) where IsString({told})',
    ]
    if watts:
        lines.append(
            f'set({ENERGY}, Coalesce([{literal(watts)}])[span.cache["w"]] * '
            f"((span.end_time_unix_nano - span.start_time_unix_nano) / {NS_PER_S}.0)) where {UNKNOWN} == nil"
        )
    lines += [
        f'set({UNKNOWN}, "{NO_METER}") where {UNKNOWN} == nil and {ENERGY} == nil',
        f'set({METHOD}, "estimated") where {ENERGY} != nil',
        *_where_it_ran(places),
        *carbon_lines(f"{ENERGY} != nil"),
    ]
    of_job = f"({resource(JOB)} != nil and IsRootSpan())"
    return group("span", [f"({marked} or {of_job}) and {span(TASK)} == nil and {FREE}"], lines)


def _carried(places: str) -> Group:
    """Carbon of what came with energy and none."""
    return group("span", [_lacks_carbon()], [*_where_it_ran(places), *carbon_lines()])


def _where_it_ran(places: str) -> list[str]:
    own = f"IsString({REGION}) and not {OUTGOING}"
    return [
        f'set(span.cache["z"], {resource(PLACE)}) where not ({own})',
        f'set(span.cache["z"], Coalesce([{places}])[{REGION}]) where {own}',
    ]


def _others() -> Group:
    return group("span", [FREE], [f'set({UNKNOWN}, "not_observed")'])


def _clean() -> list[str]:
    return [
        f"delete_key(resource.attributes, {json.dumps(PLACE)})",
        f"delete_key(resource.attributes, {json.dumps(JOB)})",
    ]


def _place(row: RegionRow) -> dict[str, object]:
    """What holds in a region: grams per joule with the PUE in them, since and until when [ns], or why there are none."""
    grams, why = grams_per_joule(row)
    found: dict[str, object] = {
        "from": microseconds(row.valid_from) * NANOS,
        "until": microseconds(row.valid_until) * NANOS,
        "pue": row.pue,
    }
    if row.zone is not None:
        found["zone"] = row.zone
    return {**found, "why": CARBON_REASONS[why]} if why else {**found, "g": grams}
