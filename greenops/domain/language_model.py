"""Language models and what is known of the energy of a call: figures with their sources, tokens, estimates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from greenops.domain.energy import Boundary, Method
from greenops.units import Joules

CALL_MODEL_KEYS: Final = (
    "gen_ai.response.model",
    "gen_ai.request.model",
    "llm.response.model",
    "llm.request.model",
    "llm.model_name",
)
"""Attributes that name the model of a call; the first that is there counts."""
MODEL_KEYS: Final = ("greenops.model.name", *CALL_MODEL_KEYS)
"""Those that name any model."""
MOST_TOKENS: Final = 1_000_000_000
"""Most tokens that a call may say; a hundred times the longest context that any model takes."""


class Trust(StrEnum):
    """What an amount rests on, most trusted first; the value of `greenops.energy.remote.source`."""

    PROVIDER = "provider"
    OWN_SERVER = "own_server"
    TOKEN_MODEL = "token_model"  # noqa: S105
    TIER = "tier"


class CallUnknown(StrEnum):
    """Why a call has no energy; the value of `greenops.energy.remote.unknown`."""

    NO_TOKENS = "no_tokens"
    BAD_TOKENS = "bad_tokens"
    NO_MODEL = "no_model"
    UNKNOWN_MODEL = "unknown_model"
    UNKNOWN_SERVER = "unknown_server"
    BAD_REPORT = "bad_report"


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with its unit, its source and, where it has one, its range."""

    value: float
    unit: str
    source: str
    date: str
    licence: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Precision:
    """A number format of weights, and the memory that one parameter takes."""

    name: str
    bytes_per_parameter: float
    source: str
    date: str
    licence: str


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """A model whose size is published; parameters in billions.

    Attributes:
        active_b: Parameters that a token passes through [1e9].
        total_b: Parameters in memory [1e9].
        aliases: Other spellings of its name.
        active_low_b: Fewest active parameters where the source gives a range [1e9].
        active_high_b: Most of them.
    """

    name: str
    active_b: float
    total_b: float
    precision: str
    source: str
    date: str
    licence: str
    aliases: tuple[str, ...] = ()
    active_low_b: float | None = None
    active_high_b: float | None = None


@dataclass(frozen=True, slots=True)
class Hosted:
    """A model of unpublished size, and the tier it is taken for."""

    name: str
    tier: str
    source: str
    date: str
    licence: str


@dataclass(frozen=True, slots=True)
class Measured:
    """What tokens of a model took on a server with a meter [J].

    Attributes:
        model: Name, as in `gen_ai.request.model`.
        output_j: Energy of an output token [J].
        input_j: Energy of an input token [J]; none where only output was told apart.
        boundary: What was metered; `chip` and `node` are brought to the site.
        factor: Half width of the 90 % range, as a factor.
        server: Its `server.address`; none where any server of the model counts.
    """

    model: str
    output_j: float
    source: str
    date: str
    licence: str
    boundary: Boundary
    factor: float
    input_j: float | None = None
    server: str | None = None


@dataclass(frozen=True, slots=True)
class LanguageModelTable:
    """All that estimates rest on; tiers are models of which only a range of sizes is assumed."""

    figures: Mapping[str, Figure]
    precisions: tuple[Precision, ...]
    tiers: tuple[LanguageModel, ...]
    models: tuple[LanguageModel, ...]
    hosted: tuple[Hosted, ...]
    measured: tuple[Measured, ...] = ()


class Tokens(NamedTuple):
    """Tokens of a call, disjoint: input that was computed, input from the cache, output with reasoning."""

    fresh: int
    cached: int
    output: int


class CallEnergy(NamedTuple):
    """Energy of a call at the boundary of the site [J], with its 90 % range."""

    energy: Joules
    low: Joules
    high: Joules
    method: Method
    trust: Trust
