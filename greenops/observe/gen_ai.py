"""What a span says of a call of a language model: model, server and tokens, in every spelling in use.

Spellings: the GenAI conventions of OpenTelemetry from their first version on, and what OpenLLMetry, OpenInference and
Pydantic AI write in their place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from opentelemetry.trace import SpanKind

from greenops.domain.language_model import CALL_MODEL_KEYS, MOST_TOKENS, CallUnknown, Tokens
from greenops.observe.model_names import LONGEST

OPERATION: Final = "gen_ai.operation.name"
CALLS: Final = frozenset({"chat", "generate_content", "text_completion", "embeddings"})
"""Operations that are one call; spans of agents, workflows and tools repeat the tokens of the calls below them."""
READING: Final = "embeddings"
"""The operation that writes nothing."""
MODEL: Final = CALL_MODEL_KEYS
NAMES_MODEL: Final = frozenset(MODEL)
PROVIDER: Final = ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system")
INPUT: Final = (
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.prompt_tokens",
    "llm.usage.prompt_tokens",
    "llm.token_count.prompt",
)
OUTPUT: Final = (
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
    "llm.usage.completion_tokens",
    "llm.token_count.completion",
)
CACHE_READ: Final = (
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "gen_ai.usage.details.cache_read_tokens",
    "llm.token_count.prompt_details.cache_read",
)
CACHE_CREATION: Final = (
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
    "gen_ai.usage.details.cache_write_tokens",
    "llm.token_count.prompt_details.cache_write",
)
REASONING: Final = (
    "gen_ai.usage.reasoning.output_tokens",
    "gen_ai.usage.reasoning_tokens",
    "gen_ai.usage.details.reasoning_tokens",
    "llm.token_count.completion_details.reasoning",
)
KINDS: Final = (SpanKind.CLIENT, SpanKind.INTERNAL)
"""Kinds that a caller's span has; the serving side's own spans are metered where they run."""

Said = Mapping[str, object]


class Call(NamedTuple):
    """A call as its span tells it; what is not told is none, what cannot be is its reason."""

    model: str | CallUnknown
    provider: str | None
    tokens: Tokens | CallUnknown


def is_call(kind: SpanKind, said: Said) -> bool:
    """Whether a span is a caller's span of one call of a language model."""
    if kind not in KINDS or NAMES_MODEL.isdisjoint(said):
        return False
    operation = said.get(OPERATION)
    # An attribute may be a mapping, which a set cannot be asked for.
    return operation is None or (isinstance(operation, str) and operation in CALLS)


def call(said: Said) -> Call:
    """What a span says of its call; never raises, whatever stands in the attributes."""
    provider = _first(said, PROVIDER)
    name = provider.lower() if isinstance(provider, str) and len(provider) <= LONGEST else None
    return Call(_model(said), name, tokens(said))


def _model(said: Said) -> str | CallUnknown:
    model = _first(said, MODEL)
    if not isinstance(model, str) or not model:
        return CallUnknown.NO_MODEL
    return model if len(model) <= LONGEST else CallUnknown.UNKNOWN_MODEL


def tokens(said: Said) -> Tokens | CallUnknown:
    """Tokens of a call, disjoint.

    Input includes what was cached, and output what was reasoned, as the conventions say; where a part is more than its
    whole, the provider counts them apart, as Anthropic does, and they are added.
    """
    given = [_first(said, spelling) for spelling in (INPUT, OUTPUT)]
    if given[1] is None and said.get(OPERATION) == READING:
        given[1] = 0
    if None in given:
        return CallUnknown.NO_TOKENS
    parts = [_first(said, each) or 0 for each in (CACHE_READ, CACHE_CREATION, REASONING)]
    counts = [count(each) for each in (*given, *parts)]
    if None in counts:
        return CallUnknown.BAD_TOKENS
    read, wrote, cached, created, reasoned = (each or 0 for each in counts)
    fresh = read + created if cached + created > read else read - cached
    return Tokens(fresh, cached, wrote + reasoned if reasoned > wrote else wrote)


def count(value: object) -> int | None:
    """A number of tokens; none where it is not whole, below zero, above `MOST_TOKENS` or no number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # A NaN fails both comparisons.
    if not 0 <= value <= MOST_TOKENS or value != int(value):
        return None
    return int(value)


def _first(said: Said, spellings: tuple[str, ...]) -> object:
    for name in spellings:
        value = said.get(name)
        if value is not None:
            return value
    return None
