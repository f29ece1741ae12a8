"""The `/metrics` page: what was measured and decided, under the names of the design."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from greenops.domain.action import Receipt
from greenops.domain.budget import Budget
from greenops.domain.decision import Decision
from greenops.domain.evidence import AvoidedEmissions
from greenops.grid.forecast_quality import WINDOWS, ForecastQuality
from greenops.observe import attributes as names
from greenops.pipeline.more_counters import series
from greenops.pipeline.sci import Sci
from greenops.pipeline.span_columns import SpanColumns
from greenops.pipeline.spent import own_share
from greenops.service.exemplars import Exemplars
from greenops.service.rows import Refusal
from greenops.service.series import (
    MORE,
    NONE,
    PLACED,
    SECONDS,
    labels_of,
    score_points,
)
from greenops.service.span_histograms import SpanHistograms
from greenops.units import Grams, GramsPerKwh, Joules, Seconds

Number = int | float


class Telemetry:
    """Counters and gauges of one `greenops serve`, on a registry of its own.

    Args:
        energy: (Workload, category) → metered energy [J].
        residual: What spans and accounts disagree by [1].
        coverage: Part of the spans that have energy [1].
        more: (Workload, name) → what spans carry beside it [J, g]; `more_counters.series` reads the name.
        scores: (Service, workload) → software carbon intensity [gCO2e per request].
    """

    def __init__(
        self,
        energy: Callable[[], Mapping[tuple[str | None, str], Joules]],
        residual: Callable[[], float | None],
        coverage: Callable[[], float | None],
        more: Callable[[], Mapping[tuple[str | None, str], float]] = dict,
        scores: Callable[[], Mapping[tuple[str, str | None], Sci]] = dict,
    ) -> None:
        self._registry = CollectorRegistry()
        self._exemplars = Exemplars(self._registry)
        reader = PrometheusMetricReader(scope_info_enabled=False, registry=self._registry)
        self._provider = MeterProvider(
            metric_readers=[reader], resource=Resource({"service.name": "greenops"})
        )
        meter = self._provider.get_meter("greenops")
        self._avoided = meter.create_counter("greenops.carbon.avoided", "g")
        self._added = meter.create_counter("greenops.carbon.added", "g")
        self._of_spans = SpanHistograms(self._registry, self._exemplars)
        self._refused = meter.create_counter("greenops.otlp.refused", "{point}")
        self._decisions = meter.create_counter("greenops.decisions", "{decision}")
        self._actions = meter.create_counter("greenops.actions", "{action}")
        self._evaluations = meter.create_counter("greenops.policy.evaluations", "{evaluation}")
        self._evaluation_s = meter.create_histogram(
            "greenops.policy.evaluation.duration", "s", explicit_bucket_boundaries_advisory=SECONDS
        )
        self._gauges: dict[str, dict[tuple[tuple[str, str], ...], Number]] = {}
        self._meter = meter
        meter.create_observable_counter(
            "greenops.energy",
            [
                lambda _options: [
                    Observation(
                        joules,
                        {
                            "greenops.energy.category": category,
                            "greenops.workload": workload or NONE,
                        },
                    )
                    for (workload, category), joules in energy().items()
                ]
            ],
            "J",
        )
        self._more, self._now = more, dict(more())
        for name, unit in {**PLACED, **MORE}.items():
            self._count(name, unit)
        meter.create_observable_gauge(
            "greenops.sci", [lambda _options: score_points(scores())], "g"
        )
        self._saved: AvoidedEmissions | None = None
        self._observe("greenops.savings.own.ratio", self._own_share)
        self._observe("greenops.conservation.residual.ratio", residual)
        self._observe("greenops.coverage.ratio", coverage)

    def _observe(self, name: str, read: Callable[[], float | None]) -> None:
        def callback(_options: CallbackOptions) -> list[Observation]:
            value = read()
            return [] if value is None else [Observation(value)]

        self._meter.create_observable_gauge(name, [callback], "1")

    def _count(self, name: str, unit: str) -> None:
        def callback(_options: CallbackOptions) -> list[Observation]:
            found = [(series(key), value) for key, value in self._now.items()]
            return [
                Observation(value, labels_of(workload, metric, told))
                for (workload, metric, told), value in found
                if metric == name
            ]

        self._meter.create_observable_counter(name, [callback], unit)

    def _own_share(self) -> float | None:
        own = self._now.get((None, names.METRIC_CARBON_OVERHEAD))
        return own_share(None if own is None else Grams(own), self._saved)

    def _set(self, name: str, unit: str, value: Number, **labels: str) -> None:
        if name not in self._gauges:
            series: dict[tuple[tuple[str, str], ...], Number] = {}
            self._gauges[name] = series

            def callback(_options: CallbackOptions) -> list[Observation]:
                return [Observation(each, dict(key)) for key, each in list(series.items())]

            self._meter.create_observable_gauge(name, [callback], unit)
        self._gauges[name][tuple(sorted(labels.items()))] = value

    def _set_or_drop(
        self, name: str, unit: str, value: Number | None, labels: Mapping[str, str]
    ) -> None:
        """A gauge that is not known any more is absent, not what it was."""
        if value is not None:
            self._set(name, unit, value, **labels)
        elif name in self._gauges:
            self._gauges[name].pop(tuple(sorted(labels.items())), None)

    def spans(self, spans: SpanColumns) -> None:
        """Spans that were not seen before."""
        self._of_spans.add(spans)

    def refused(self, points: Mapping[Refusal, int]) -> None:
        """Data points of `greenops.energy` that were not taken."""
        for reason, number_of in points.items():
            self._refused.add(number_of, {"greenops.reason": reason})

    def decision(self, decision: Decision) -> None:
        """One decision was made."""
        moved = "moved" if decision.chosen.id != decision.baseline.id else "stayed"
        labels = {"greenops.workload": decision.workload}
        self._decisions.add(1, {**labels, "greenops.choice": moved, "greenops.mode": decision.mode})

    def judged(self, workload: str, ways: int, took: Seconds) -> None:
        """The policies judged so many ways of one thing, which took so long [s]."""
        labels = {"greenops.workload": workload}
        self._evaluations.add(ways, labels)
        self._evaluation_s.record(took, labels)

    def action(self, receipt: Receipt) -> None:
        """One action ended."""
        self._actions.add(
            1,
            {
                "greenops.target": receipt.target,
                "greenops.kind": receipt.kind,
                "greenops.outcome": receipt.outcome,
            },
        )

    def intensity(self, region: str, zone: str, value: GramsPerKwh) -> None:
        """Carbon intensity of a region now [gCO2e/kWh]."""
        name = "greenops.grid.carbon_intensity.grams_per_kwh"
        labels = {"greenops_region": region, "greenops_zone": zone}
        self._set(name, "{gCO2e/kWh}", value, **labels)

    def outcome(self, workload: str, avoided: AvoidedEmissions) -> None:
        """What one run avoided, or added; two counters, for a counter never falls [gCO2e]."""
        labels = {"greenops.workload": workload, "greenops.grade": avoided.grade.value}
        counter = self._avoided if avoided.estimate >= 0 else self._added
        counter.add(abs(avoided.estimate), labels)

    def savings(self, avoided: AvoidedEmissions) -> None:
        """Avoided emissions so far with their 90 % range, where they have one [gCO2e]."""
        self._saved = avoided
        for bound in ("estimate", "low", "high"):
            value = getattr(avoided, bound)
            self._set_or_drop("greenops.savings", "g", value, {"bound": bound})

    def budget(self, budget: Budget, period: Seconds) -> None:
        """The most that some work may emit in a period [gCO2e], and how long that is [s]."""
        (only,) = budget.scope.workloads if len(budget.scope.workloads) == 1 else (NONE,)
        labels = {"greenops.budget": budget.name, "greenops.workload": only}
        self._set("greenops.budget.period", "s", period, **labels)
        if budget.carbon_g is not None:
            self._set("greenops.budget.limit", "g", budget.carbon_g, **labels)

    def forecast_quality(self, of: ForecastQuality) -> None:
        """What came of a source's forecasts of a zone in the last 28 days."""
        labels = {"greenops_zone": of.zone, "greenops_source": of.source}
        self._set_or_drop("greenops.forecast.coverage.ratio", "1", of.coverage, labels)
        for hours, share in zip(WINDOWS, of.captured, strict=True):
            within = {**labels, "greenops_within": f"{hours}h"}
            self._set_or_drop("greenops.forecast.captured.ratio", "1", share, within)

    def provider_success(self, provider: str, at: datetime) -> None:
        """When a grid provider last answered."""
        name = "greenops.provider.last_success.timestamp"
        self._set(name, "s", at.timestamp(), greenops_provider=provider)

    def checkpoint(self, at: datetime) -> None:
        """When the ledger was last signed."""
        self._set("greenops.ledger.checkpoint.timestamp", "s", at.timestamp())

    def answer(self, accept: str) -> tuple[bytes, str]:
        """The page in the format that a scraper asks for, and its content type; OpenMetrics has exemplars."""
        # All counters of one page tell of one instant.
        self._now = dict(self._more())
        encode, content_type = choose_encoder(accept)
        return encode(self._exemplars), content_type

    def close(self) -> None:
        """Let go of the reader."""
        self._provider.shutdown()
