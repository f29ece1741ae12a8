"""The law of `greenops.observe.enrichment` as statements of the transform processor (OTTL), tables written into them.

The order of the groups is the order of the law. What a group decides is a whole map literal indexed by a name: the
Collector reads a literal once, at its start. A name that is not in it raises an error inside the Collector, silenced by
`error_mode`, and leaves the statement undone: that is how "unknown" is told.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from greenops.domain.language_model import MOST_TOKENS
from greenops.domain.spans import MOST
from greenops.observe import attributes as names
from greenops.observe import gen_ai
from greenops.observe.enrichment import CARBON_REASONS, NO_METER, NO_TIME, RUN_NAMES, TASK
from greenops.observe.enrichment_look import grams_per_joule
from greenops.observe.enrichment_tables import EnrichmentTables, RegionRow, microseconds
from greenops.observe.model_names import LONGEST, SEPARATORS, VENDOR
from greenops.units import NS_PER_S

Group = dict[str, object]

PLACE: Final = "greenops.place"
"""Attribute of a resource while its spans are enriched: what holds in its region; deleted at the end."""
JOB: Final = "greenops.job"
"""The same: whether its root spans are runs of a job."""
NANOS: Final = 1000
"""Nanoseconds of a microsecond."""


def _span(name: str) -> str:
    return f"span.attributes[{json.dumps(name)}]"


def _resource(name: str) -> str:
    return f"resource.attributes[{json.dumps(name)}]"


ENERGY, CARBON = _span(names.ENERGY_SELF), _span(names.CARBON_SELF)
METHOD, UNKNOWN = _span(names.ENERGY_METHOD), _span(names.ENERGY_UNKNOWN)
WHY, REGION = _span(names.CARBON_UNKNOWN), _span(names.CLOUD_REGION)
HOME = _resource(names.CLOUD_REGION)
FREE: Final = " and ".join(
    f"{_span(name)} == nil"
    for name in (
        names.ENERGY_SELF,
        names.ENERGY_UNKNOWN,
        names.ENERGY_REMOTE,
        names.ENERGY_REMOTE_UNKNOWN,
    )
)
OUTGOING: Final = "(span.kind == SPAN_KIND_CLIENT or span.kind == SPAN_KIND_PRODUCER)"


def statements(tables: EnrichmentTables) -> list[Group]:
    """`trace_statements` of a transform processor.

    Raises:
        ValueError: A region has more rows than one: a Collector's table is that of one instant.
    """
    places = _literal({row.region: _place(row) for row in tables.regions})
    if len({row.region for row in tables.regions}) < len(tables.regions):
        raise ValueError("a region has several rows; a Collector takes one of each")
    return [
        _resources(places, tables.version),
        _calls(tables, places),
        _runs(tables.watts),
        _carried(places),
        _others(),
        _group("resource", [f"{_resource(PLACE)} != nil or {_resource(JOB)} != nil"], _clean()),
    ]


def _group(context: str, conditions: Sequence[str], lines: Iterable[str]) -> Group:
    return {
        "context": context,
        "error_mode": "silent",
        "conditions": list(conditions),
        "statements": list(lines),
    }


def _resources(places: str, version: str) -> Group:
    jobs = " or ".join(f"{_resource(name)} != nil" for name in RUN_NAMES)
    place, said = _resource(PLACE), _resource(names.FACTORS_VERSION)
    return _group(
        "resource",
        [f"IsString({HOME})", jobs],
        [
            f"set({place}, Coalesce([{places}])[{HOME}]) where IsString({HOME})",
            f"set({_resource(JOB)}, true) where {jobs}",
            *(
                f'set({_resource(name)}, {place}["{key}"]) where {_resource(name)} == nil and {place} != nil'
                for name, key in ((names.GRID_ZONE, "zone"), (names.PUE, "pue"))
            ),
            f"set({said}, {json.dumps(version)}) where {said} == nil and {place} != nil",
        ],
    )


def _calls(tables: EnrichmentTables, places: str) -> Group:
    """Spans of calls of language models.

    The cache holds m(odel), i(nput), c(ached), w(ritten to the cache), o(utput), r(easoned), f(resh), n, the plain
    name, k, the coefficients, and z, what holds in the called region.
    """
    operation = _span(gen_ai.OPERATION)
    one_call = " or ".join(f'{operation} == "{each}"' for each in sorted(gen_ai.CALLS))
    named = " or ".join(f"{_span(each)} != nil" for each in gen_ai.MODEL)
    parts = {"f": "i", "c": "c", "o": "o"}
    joules = " + ".join(f'span.cache["{n}"] * span.cache["k"]["{j}"]' for n, j in parts.items())
    caller = "span.kind != SPAN_KIND_SERVER and span.kind <= SPAN_KIND_CLIENT"
    return _group(
        "span",
        [f"{caller} and ({named}) and ({operation} == nil or {one_call}) and {FREE}"],
        [
            f'set(span.cache["m"], {_coalesce(gen_ai.MODEL)})',
            f'set({UNKNOWN}, "no_model") where not IsString(span.cache["m"]) or span.cache["m"] == ""',
            *_tokens(operation),
            *_coefficients(tables),
            f'set({ENERGY}, {joules}) where {UNKNOWN} == nil and span.cache["k"] != nil',
            f'set({UNKNOWN}, "unknown_model") where {UNKNOWN} == nil and {ENERGY} == nil',
            f'set({METHOD}, span.cache["k"]["m"]) where {ENERGY} != nil',
            f'set(span.cache["z"], Coalesce([{places}])[{REGION}]) where {ENERGY} != nil and IsString({REGION})',
            *_carbon(f"{ENERGY} != nil"),
        ],
    )


def _tokens(operation: str) -> list[str]:
    parts = {"c": gen_ai.CACHE_READ, "w": gen_ai.CACHE_CREATION, "r": gen_ai.REASONING}
    counts = ("i", "o", *parts)
    cache = {each: f'span.cache["{each}"]' for each in (*counts, "f")}
    wrong = " or ".join(
        f"not IsInt({cache[each]}) or {cache[each]} < 0 or {cache[each]} > {MOST_TOKENS}"
        for each in counts
    )
    return [
        f"set({cache['i']}, {_coalesce(gen_ai.INPUT)})",
        f"set({cache['o']}, {_coalesce(gen_ai.OUTPUT)})",
        f'set({cache["o"]}, 0) where {cache["o"]} == nil and {operation} == "{gen_ai.READING}"',
        f'set({UNKNOWN}, "no_tokens") where {UNKNOWN} == nil and ({cache["i"]} == nil or {cache["o"]} == nil)',
        *(f"set({cache[key]}, {_coalesce(said, '0')})" for key, said in parts.items()),
        # A whole number may come as a double.
        *(
            f"set({cache[key]}, Int({cache[key]})) where IsDouble({cache[key]}) and Double(Int({cache[key]})) == {cache[key]}"
            for key in counts
        ),
        f'set({UNKNOWN}, "bad_tokens") where {UNKNOWN} == nil and ({wrong})',
        f"set({cache['f']}, {cache['i']} - {cache['c']})",
        # Where the parts are more than the whole, the provider counts them apart.
        f"set({cache['f']}, {cache['i']} + {cache['w']}) where {cache['c']} + {cache['w']} > {cache['i']}",
        f"set({cache['o']}, {cache['o']} + {cache['r']}) where {cache['r']} > {cache['o']}",
    ]


def _coefficients(tables: EnrichmentTables) -> list[str]:
    known = _literal(
        {
            each.name: {"i": each.input_j, "c": each.cached_j, "o": each.output_j, "m": each.method}
            for each in tables.models
        }
    )
    if not tables.models:
        return []
    # The longest known name comes first, so that it is the one that matches.
    longest = sorted((each.name for each in tables.models), key=lambda name: (-len(name), name))
    pattern = f"^(?P<m>{'|'.join(_quoted(name) for name in longest)})(?:-|$)"
    plain = 'span.cache["n"]'
    begins = f'ExtractPatterns({plain}, {json.dumps(pattern)})["m"]'
    unfound = f'span.cache["k"] == nil and {UNKNOWN} == nil'
    return [
        f'set(span.cache["k"], Coalesce([{known}])[span.cache["m"]]) where {UNKNOWN} == nil',
        f'set({plain}, ToLowerCase(span.cache["m"])) where {unfound} and Len(span.cache["m"]) <= {LONGEST}',
        *(
            f"replace_pattern({plain}, {json.dumps(said)}, {json.dumps(with_)}) where {plain} != nil"
            for said, with_ in (
                (rf"{SPACE}+$", ""),
                (rf"(?s)^(?:.*/|{SPACE}+)", ""),
                (VENDOR.pattern, ""),
                (SEPARATORS.pattern.replace(r"\s", SPACES), "-"),
            )
        ),
        f'set(span.cache["k"], Coalesce([{known}])[{begins}]) where {plain} != nil',
    ]


SPACES: Final = r"\t-\r\x1c-\x20\x{85}\p{Z}"
"""What Python takes for white space, as Go spells it."""
SPACE: Final = f"[{SPACES}]"


def _quoted(name: str) -> str:
    return "".join(rf"\{each}" if each in r"\.+*?()|[]{}^$" else each for each in name)


def _runs(watts: Mapping[str, float]) -> Group:
    marked = " or ".join(f"{_span(name)} != nil" for name in RUN_NAMES)
    told = _span(names.WORKLOAD)
    lines = [
        f'set({UNKNOWN}, "{NO_TIME}") where span.end_time_unix_nano < span.start_time_unix_nano',
        f'set(span.cache["w"], {_resource(names.WORKLOAD)}) where not IsString({told})',
        f'set(span.cache["w"], {told}) where IsString({told})',
    ]
    if watts:
        lines.append(
            f'set({ENERGY}, Coalesce([{_literal(watts)}])[span.cache["w"]] * '
            f"((span.end_time_unix_nano - span.start_time_unix_nano) / {NS_PER_S}.0)) where {UNKNOWN} == nil"
        )
    lines += [
        f'set({UNKNOWN}, "{NO_METER}") where {UNKNOWN} == nil and {ENERGY} == nil',
        f'set({METHOD}, "estimated") where {ENERGY} != nil',
    ]
    of_job = f"({_resource(JOB)} != nil and IsRootSpan())"
    return _group("span", [f"({marked} or {of_job}) and {_span(TASK)} == nil and {FREE}"], lines)


def _carried(places: str) -> Group:
    """Carbon of what has energy and none: a run of the group before, or a span that came with its energy."""
    number = f"(IsDouble({ENERGY}) or IsInt({ENERGY}))"
    own = f"IsString({REGION}) and not {OUTGOING}"
    missing = f"{ENERGY} != nil and {CARBON} == nil and {WHY} == nil"
    return _group(
        "span",
        [f"{missing} and {number} and {ENERGY} >= 0 and {ENERGY} <= {MOST:.1f}"],
        [
            f'set(span.cache["z"], {_resource(PLACE)}) where not ({own})',
            f'set(span.cache["z"], Coalesce([{places}])[{REGION}]) where {own}',
            *_carbon("true"),
        ],
    )


def _carbon(where: str) -> list[str]:
    place = 'span.cache["z"]'
    end = "span.end_time_unix_nano"
    return [
        f'set({WHY}, "no_region") where {where} and {place} == nil',
        f'set({WHY}, "stale_table") where {where} and {place} != nil and ({end} < {place}["from"] or {end} >= {place}["until"])',
        f'set({WHY}, {place}["why"]) where {where} and {WHY} == nil and {place}["why"] != nil',
        f'set({CARBON}, {ENERGY} * {place}["g"]) where {where} and {WHY} == nil',
    ]


def _others() -> Group:
    return _group("span", [FREE], [f'set({UNKNOWN}, "not_observed")'])


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


def _coalesce(spellings: Sequence[str], *more: str) -> str:
    return f"Coalesce([{', '.join((*(_span(each) for each in spellings), *more))}])"


def _literal(value: object) -> str:
    """A map, text or number as OTTL spells it."""
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{json.dumps(k)}:{_literal(v)}" for k, v in value.items()) + "}"
    if isinstance(value, float):
        return number(value)
    return json.dumps(value, ensure_ascii=False)


def number(value: float) -> str:
    """A number with a point, without which OTTL takes it for a whole one; all its digits are kept."""
    mantissa, _, exponent = repr(value).partition("e")
    point = mantissa if "." in mantissa else f"{mantissa}.0"
    return f"{point}e{exponent}" if exponent else point
