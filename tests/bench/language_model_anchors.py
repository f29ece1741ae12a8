"""Estimates against what others published of calls that the fit has not seen; read by tests/bench/language_model.py.

The benchmark that the fit comes from may not be passed on, so leaving its models out one by one cannot be repeated here:
18.5 % is cited. What can be: numbers that others published one by one, each with its source. They are few, and of three
kinds: measured, told by a provider as a mean, and estimated by others; the last say whether we agree, not who is right.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log
from statistics import median
from typing import Final

from greenops.adapters.language_model_file import shipped
from greenops.domain.language_model import CallEnergy, LanguageModel, LanguageModelTable, Tokens
from greenops.observe.language_model import LanguageModels
from greenops.observe.per_token import NORMAL_80, NORMAL_90, Formula
from greenops.units import Kwh, to_joules

FIT_ERROR: Final = 0.185
"""Median error of the fit on models left out of it, one at a time. Cited: measurement notes of 2026-11 on the ML.ENERGY
benchmark v3 (565 configurations, 27 models); not measured here."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """A published figure of one call or one token.

    Attributes:
        name: What it is of.
        kind: `measured`, `provider` (a mean without its tokens) or `estimate`.
        joules: Published [J].
        model: Name that is estimated.
        tokens: Of the call; none where the figure is of one output token at the accelerators.
        batch: Requests at once, where that is published.
        source: Where it is from, and what was assumed to compare it.
    """

    name: str
    kind: str
    joules: float
    model: str
    tokens: Tokens | None
    batch: float | None
    source: str


def watt_hours(value: float) -> float:
    """Watt-hours as [J]."""
    return to_joules(Kwh(value / 1000))


ANCHORS: Final = (
    Anchor(
        "DeepSeek-R1, fp8, 7.4k in, 0.9k out",
        "measured",
        watt_hours((0.96 * 3.74) ** 0.5),
        "deepseek-r1",
        Tokens(7373, 0, 922),
        None,
        "https://muxup.com/2026q1/per-query-energy-consumption-of-llms: throughput that InferenceMAX measured, times the "
        "power provisioned for a GPU; geometric middle of 0.96 to 3.74 Wh; lengths are nine tenths of 8k and 1k",
    ),
    Anchor(
        "DeepSeek-R1, fp8, 0.9k in, 7.4k out",
        "measured",
        watt_hours((15.0 * 16.3) ** 0.5),
        "deepseek-r1",
        Tokens(922, 0, 7373),
        None,
        "the same; 15.0 to 16.3 Wh",
    ),
    Anchor(
        "Mistral 7B, one H100, one request",
        "measured",
        732e-6 * 3600,
        "mistral-7b",
        None,
        1,
        "Alice benchmark (vLLM, BF16, NVML at 100 ms), as its authors reported it in 2026: 732 uWh a token",
    ),
    Anchor(
        "Mistral 7B, one H100, 128 requests",
        "measured",
        13.8e-6 * 3600,
        "mistral-7b",
        None,
        128,
        "the same: 13.8 uWh a token",
    ),
    Anchor(
        "Gemini Apps, median prompt",
        "provider",
        watt_hours(0.24),
        "gemini-2.5-flash",
        Tokens(300, 0, 300),
        None,
        "arXiv 2508.15734; model and tokens not told, taken for a medium one with 300 and 300. Our factor from "
        "accelerators to the site is from the same paper",
    ),
    Anchor(
        "ChatGPT, average query",
        "provider",
        watt_hours(0.34),
        "gpt-4o",
        Tokens(300, 0, 300),
        None,
        "S. Altman, June 2025, no method; model and tokens not told, taken for a large one with 300 and 300",
    ),
    Anchor(
        "GPT-4o, 500 out (Epoch)",
        "estimate",
        watt_hours(0.301),
        "gpt-4o",
        Tokens(0, 0, 500),
        None,
        "Epoch AI 2025: 100B active, utilisation 0.1, PUE 1.2",
    ),
    Anchor(
        "GPT-4o, short query (Jegham)",
        "estimate",
        watt_hours(0.42),
        "gpt-4o",
        Tokens(100, 0, 300),
        None,
        "arXiv 2505.09598: 100 in, 300 out",
    ),
)


@dataclass(frozen=True, slots=True)
class Compared:
    """An anchor beside the estimate, both [J]."""

    anchor: Anchor
    ours: float
    low: float
    high: float

    @property
    def ratio(self) -> float:
        """Ours over theirs."""
        return self.ours / self.anchor.joules

    @property
    def within(self) -> bool:
        """Whether the published figure lies in our 90 % range."""
        return self.low <= self.anchor.joules <= self.high


def compare() -> list[Compared]:
    """Every anchor beside its estimate."""
    table = shipped()
    models = LanguageModels(table)
    return [_call(each, models) if each.tokens else _token(each, table) for each in ANCHORS]


def error(compared: list[Compared]) -> float:
    """Median distance from the published figures [1]."""
    return median(abs(each.ratio - 1) for each in compared)


def _call(anchor: Anchor, models: LanguageModels) -> Compared:
    assert anchor.tokens is not None
    found = models.estimate(anchor.model, anchor.tokens)
    assert isinstance(found, CallEnergy), anchor.model
    return Compared(anchor, found.energy, found.low, found.high)


def _token(anchor: Anchor, table: LanguageModelTable) -> Compared:
    """Where batch and boundary are known, only the fit's own error is left."""
    formula = Formula(table)
    model: LanguageModel = next(each for each in table.models if each.name == anchor.model)
    ours = formula.output(model, anchor.batch or formula.figures["batch"])
    factor = exp(log(formula.figures["fit_error"]) * NORMAL_90 / NORMAL_80)
    return Compared(anchor, ours, ours / factor, ours * factor)
