"""Calls of language models as statements of the transform processor (OTTL): a short way for most, a long one for all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from greenops.domain.language_model import MOST_TOKENS
from greenops.observe import gen_ai
from greenops.observe.enrichment_look import grams_per_joule
from greenops.observe.enrichment_tables import EnrichmentTables, RegionRow, microseconds
from greenops.observe.model_names import LONGEST, SEPARATORS, VENDOR
from greenops.pipeline.collector_ottl_words import (
    CARBON,
    ENERGY,
    FREE,
    METHOD,
    NANOS,
    REGION,
    UNKNOWN,
    WHY,
    Group,
    carbon_lines,
    coalesce,
    group,
    literal,
    quoted,
    span,
)

DATE: Final = "-20"
"""What a date behind a model's name begins with: `gpt-4o-2024-08-06`."""


def _call() -> str:
    """Whether a span is a caller's span of one call; what most spans lack is asked for first."""
    operation = span(gen_ai.OPERATION)
    one_call = " or ".join(f'{operation} == "{each}"' for each in sorted(gen_ai.CALLS))
    caller = "span.kind != SPAN_KIND_SERVER and span.kind <= SPAN_KIND_CLIENT"
    named = f"{coalesce(gen_ai.MODEL)} != nil"
    return f"{caller} and {named} and ({operation} == nil or {one_call}) and {FREE}"


def plain_calls(tables: EnrichmentTables) -> list[Group]:
    """Calls as most are: in the newest spelling, nothing cached, a name that is known but for a date behind it.

    A few statements where the general case has forty. Whatever they leave undone, the next group does.
    """
    read, wrote = span(gen_ai.INPUT[0]), span(gen_ai.OUTPUT[0])
    before = f'Split({coalesce(gen_ai.MODEL)}, "{DATE}")[0]'
    model, cut = coalesce(gen_ai.MODEL), 'span.cache["n"]'
    known = {each.name for each in tables.models}
    methods = {each.method for each in tables.models}
    dated = sorted({each.split(DATE)[0] for each in known if DATE in each})
    if len(methods) != 1 or known.intersection(dated):
        # Where a name is known with a date and without, the part before the date tells them not apart.
        return []
    per = (
        literal({each.name: each.input_j for each in tables.models}),
        literal({each.name: each.output_j for each in tables.models}),
    )
    plain = f'not IsMatch({model}, "/") and Len({model}) <= {LONGEST}'
    other = f"not IsMatch({model}, {json.dumps('|'.join(quoted(e + DATE) for e in dated))})"
    simple = f'{ENERGY} == nil and Len({model}) <= {LONGEST} and IsMatch({model}, "^[a-z0-9.-]+$")'
    undone = f"{ENERGY} == nil"
    usual, carbon = _usual(tables.regions)
    lines = [
        f"set({ENERGY}, {_joules(read, wrote, per, before)}) where {plain}",
        # A part more behind the name, a version or a size; those that are known with a date are not asked for.
        f"set({cut}, {before}) where {simple}{f' and {other}' if dated else ''}",
        f'replace_pattern({cut}, "-[^-]*$", "") where {undone} and {cut} != nil',
        f"set({ENERGY}, {_joules(read, wrote, per, cut)}) where {undone} and {cut} != nil",
        f'set({METHOD}, "{methods.pop()}") where {ENERGY} != nil',
        f'set({WHY}, "no_region") where {ENERGY} != nil and {REGION} == nil',
        *carbon,
    ]
    counts = " and ".join(
        f"IsInt({each}) and {each} >= 0 and {each} <= {MOST_TOKENS}" for each in (read, wrote)
    )
    more = (*gen_ai.CACHE_READ, *gen_ai.CACHE_CREATION, *gen_ai.REASONING)
    conditions = [f"{_call()} and {counts} and {coalesce(more)} == nil and {usual}"]
    return [group("span", conditions, lines)]


def _joules(read: str, wrote: str, per: Sequence[str], name: str) -> str:
    return f"{read} * Coalesce([{per[0]}])[{name}] + {wrote} * Coalesce([{per[1]}])[{name}]"


def _usual(rows: Sequence[RegionRow]) -> tuple[str, list[str]]:
    """Calls whose carbon is no question, for their region is not told, or known while every such row holds; and it."""
    known = [row for row in rows if not grams_per_joule(row)[1]]
    untold = f"{REGION} == nil"
    if not known:
        return untold, []
    since = max(microseconds(row.valid_from) for row in known) * NANOS
    until = min(microseconds(row.valid_until) for row in known) * NANOS
    grams = (
        f"Coalesce([{literal({row.region: grams_per_joule(row)[0] for row in known})}])[{REGION}]"
    )
    end = "span.end_time_unix_nano"
    told = f"({untold} or ({end} >= {since} and {end} < {until} and {grams} != nil))"
    return told, [f"set({CARBON}, {ENERGY} * {grams}) where {ENERGY} != nil and {REGION} != nil"]


def calls(tables: EnrichmentTables, places: str) -> Group:
    """Calls in any spelling.

    The cache holds m(odel), i(nput), c(ached), w(ritten to the cache), o(utput), r(easoned), f(resh), n, the plain
    name, k, the coefficients, and z, what holds in the region that the span itself names.
    """
    parts = {"f": "i", "c": "c", "o": "o"}
    joules = " + ".join(f'span.cache["{n}"] * span.cache["k"]["{j}"]' for n, j in parts.items())
    return group(
        "span",
        [f"{ENERGY} == nil and {_call()}"],
        [
            f'set(span.cache["m"], {coalesce(gen_ai.MODEL)})',
            f'set({UNKNOWN}, "no_model") where not IsString(span.cache["m"]) or span.cache["m"] == ""',
            *_tokens(span(gen_ai.OPERATION)),
            *_coefficients(tables),
            f'set({ENERGY}, {joules}) where {UNKNOWN} == nil and span.cache["k"] != nil',
            f'set({UNKNOWN}, "unknown_model") where {UNKNOWN} == nil and {ENERGY} == nil',
            f'set({METHOD}, span.cache["k"]["m"]) where {ENERGY} != nil',
            f'set(span.cache["z"], Coalesce([{places}])[{REGION}]) where {ENERGY} != nil and IsString({REGION})',
            *carbon_lines(f"{ENERGY} != nil"),
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
        f"set({cache['i']}, {coalesce(gen_ai.INPUT)})",
        f"set({cache['o']}, {coalesce(gen_ai.OUTPUT)})",
        f'set({cache["o"]}, 0) where {cache["o"]} == nil and {operation} == "{gen_ai.READING}"',
        f'set({UNKNOWN}, "no_tokens") where {UNKNOWN} == nil and ({cache["i"]} == nil or {cache["o"]} == nil)',
        *(f"set({cache[key]}, {coalesce(said, '0')})" for key, said in parts.items()),
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
    known = literal(
        {
            each.name: {"i": each.input_j, "c": each.cached_j, "o": each.output_j, "m": each.method}
            for each in tables.models
        }
    )
    if not tables.models:
        return []
    # The longest known name comes first, so that it is the one that matches.
    longest = sorted((each.name for each in tables.models), key=lambda name: (-len(name), name))
    pattern = f"^(?P<m>{'|'.join(quoted(name) for name in longest)})(?:-|$)"
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
