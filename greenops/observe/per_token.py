"""Joules per token of a language model from its size, and how far they may be off; formulas of the data file's figures.

J_out = exp(a + b ln P_active + c ln P_total + d ln B + e (ln B)^2 + f ln GPUs + precision)     [J], P in 1e9
J_in  = 2 x P_active x 1e9 / (peak x utilisation) x power                                        [J]
"""

from __future__ import annotations

from math import ceil, exp, hypot, log, log2
from typing import Final, NamedTuple

from greenops.domain.energy import Boundary, Method
from greenops.domain.language_model import LanguageModel, LanguageModelTable, Measured, Trust

NORMAL_90: Final = 1.6449
"""Standard deviations on each side of the middle 90 % of a normal distribution. Source: its quantiles."""
NORMAL_80: Final = 1.2816
"""The same of the middle 80 %, which the fit's error covers."""


class PerToken(NamedTuple):
    """Energy per token of one model [J], and in the logarithm how far it may be off.

    Attributes:
        output: Per output token.
        input: Per input token that is computed.
        output_low: Part by which an output token takes more where servers run their largest batches; negative.
        output_high: The same of their smallest batches; positive.
        input_low: The same of an input token at the best utilisation; negative.
        input_high: At the worst; positive.
        down: Logarithm of the factors that hold for all tokens alike: the fit, the model's range of sizes.
        up: The same on the upper side.
        site: What brings it to the boundary of the site, PUE left out; zero where it is there.
        method: How it came about.
        trust: Where it is from.
        factor: Half width of a range that is the same for all tokens; zero where the ranges above make it.
    """

    output: float
    input: float
    output_low: float
    output_high: float
    input_low: float
    input_high: float
    down: float
    up: float
    site: float
    method: Method
    trust: Trust
    factor: float = 0.0


class Formula:
    """The figures of a table, ready to be applied to models.

    Raises:
        KeyError: A figure that the formulas need is not in the table.
    """

    def __init__(self, table: LanguageModelTable) -> None:
        self.figures = {name: each.value for name, each in table.figures.items()}
        self._ranges = {name: (each.low, each.high) for name, each in table.figures.items()}
        self._bytes = {each.name: each.bytes_per_parameter for each in table.precisions}

    def of_size(self, model: LanguageModel) -> PerToken:
        """A model whose size is published."""
        few, many = self._range("batch")
        worst, best = self._range("utilisation")
        output = self.output(model, self.figures["batch"])
        read = self._input(model.active_b, self.figures["utilisation"])
        # The fit states what 80 % of left-out models kept; errors of a fit in logarithms are near normal there.
        error = log(self.figures["fit_error"]) * NORMAL_90 / NORMAL_80
        return PerToken(
            output=output,
            input=read,
            output_low=self.output(model, many) / output - 1,
            output_high=self.output(model, few) / output - 1,
            input_low=self._input(model.active_b, best) / read - 1,
            input_high=self._input(model.active_b, worst) / read - 1,
            down=hypot(error, self._off(model, model.active_low_b)),
            up=hypot(error, self._off(model, model.active_high_b)),
            site=self.figures["stack"],
            method=Method.ESTIMATED,
            trust=Trust.TOKEN_MODEL,
        )

    def of_tier(self, tier: LanguageModel) -> PerToken:
        """A tier: the assumed sizes are most of what is not known, so one factor stands for all of it."""
        middle, factor = self.of_size(tier), self.figures["tier_factor"]
        return middle._replace(trust=Trust.TIER, factor=factor)

    def of_server(self, measured: Measured) -> PerToken:
        """A server with a meter; where only output was told apart, its figure holds the input too."""
        site = {
            Boundary.CHIP: self.figures["stack"],
            Boundary.MODULE: 1.0,
            Boundary.NODE: 1.0,
            Boundary.SITE: 0.0,
        }[measured.boundary]
        tokens = (measured.output_j, measured.input_j or 0.0)
        ranges = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
        return PerToken(*tokens, *ranges, site, Method.MEASURED, Trust.OWN_SERVER, measured.factor)

    def output(self, model: LanguageModel, batch: float, active_b: float | None = None) -> float:
        """Accelerators' energy of one output token [J].

        Args:
            model: Its size and precision.
            batch: Requests that its server runs at once.
            active_b: Active parameters in place of the model's own, its total scaled alike [1e9].
        """
        f, active = self.figures, active_b or model.active_b
        total = model.total_b * active / model.active_b
        batch_log = log(batch)
        return exp(
            f["fit_intercept"]
            + f["fit_active"] * log(active)
            + f["fit_total"] * log(total)
            + f["fit_batch"] * batch_log
            + f["fit_batch_squared"] * batch_log**2
            + f["fit_gpus"] * log(self.gpus(total, model.precision))
            + f.get(f"fit_{model.precision}", 0.0)
        )

    def gpus(self, total_b: float, precision: str) -> int:
        """Accelerators that hold so many parameters, the next power of two."""
        f = self.figures
        memory_gb = f["memory_headroom"] * total_b * self._bytes[precision]
        return int(2 ** ceil(log2(ceil(memory_gb / f["gpu_memory"]))))

    def _input(self, active_b: float, utilisation: float) -> float:
        f = self.figures
        return 2 * active_b * 1e9 / (f["peak_flops"] * utilisation) * f["gpu_power"]

    def _off(self, model: LanguageModel, active_b: float | None) -> float:
        if active_b is None:
            return 0.0
        batch = self.figures["batch"]
        return abs(log(self.output(model, batch, active_b) / self.output(model, batch)))

    def _range(self, name: str) -> tuple[float, float]:
        low, high = self._ranges[name]
        middle = self.figures[name]
        return middle if low is None else low, middle if high is None else high
