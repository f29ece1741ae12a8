"""The `/metrics` page: what was measured and decided, under the names of the design."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from prometheus_client import CollectorRegistry, generate_latest

from greenops.domain.action import Receipt
from greenops.domain.decision import Decision
from greenops.domain.evidence import AvoidedEmissions
from greenops.domain.spans import SpanRow
from greenops.service.rows import Refusal
from greenops.units import GramsPerKwh, Joules

JOULES: Final = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
GRAMS: Final = (1e-7, 1e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 0.1, 1.0)
"""Bounds of the histograms; the SDK's own are for milliseconds."""
NONE: Final = "none"

Number = int | float


class Telemetry:
    """Counters and gauges of one `greenops serve`, on a registry of its own."""

    def __init__(
        self,
        energy: Callable[[], Mapping[tuple[str | None, str], Joules]],
        residual: Callable[[], float | None],
        coverage: Callable[[], float | None],
    ) -> None:
        self._registry = CollectorRegistry()
        reader = PrometheusMetricReader(scope_info_enabled=False, registry=self._registry)
        self._provider = MeterProvider(
            metric_readers=[reader], resource=Resource({"service.name": "greenops"})
        )
        meter = self._provider.get_meter("greenops")
        self._carbon = meter.create_counter("greenops.carbon.location", "g")
        self._cost = meter.create_counter("greenops.cost", "{USD}")
        self._avoided = meter.create_counter("greenops.carbon.avoided", "g")
        self._added = meter.create_counter("greenops.carbon.added", "g")
        self._operation_energy = meter.create_histogram(
            "greenops.operation.energy", "J", explicit_bucket_boundaries_advisory=JOULES
        )
        self._operation_carbon = meter.create_histogram(
            "greenops.operation.carbon", "g", explicit_bucket_boundaries_advisory=GRAMS
        )
        self._refused = meter.create_counter("greenops.otlp.refused", "{point}")
        self._decisions = meter.create_counter("greenops.decisions", "{decision}")
        self._actions = meter.create_counter("greenops.actions", "{action}")
        self._evaluations = meter.create_counter("greenops.policy.evaluations", "{evaluation}")
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
        self._observe("greenops.conservation.residual.ratio", residual)
        self._observe("greenops.coverage.ratio", coverage)

    def _observe(self, name: str, read: Callable[[], float | None]) -> None:
        def callback(_options: CallbackOptions) -> list[Observation]:
            value = read()
            return [] if value is None else [Observation(value)]

        self._meter.create_observable_gauge(name, [callback], "1")

    def _set(self, name: str, unit: str, value: Number, **labels: str) -> None:
        if name not in self._gauges:
            series: dict[tuple[tuple[str, str], ...], Number] = {}
            self._gauges[name] = series

            def callback(_options: CallbackOptions) -> list[Observation]:
                return [Observation(each, dict(key)) for key, each in list(series.items())]

            self._meter.create_observable_gauge(name, [callback], unit)
        self._gauges[name][tuple(sorted(labels.items()))] = value

    def spans(self, rows: Sequence[SpanRow]) -> None:
        """Spans that were not seen before."""
        for row in rows:
            labels = {
                "greenops.workload": row.workload or NONE,
                "greenops.region": row.region or NONE,
            }
            operation = {**labels, "greenops.operation": row.name}
            if row.energy_j is not None:
                self._operation_energy.record(row.energy_j, operation)
            if row.carbon_g is not None:
                self._operation_carbon.record(row.carbon_g, operation)
                self._carbon.add(row.carbon_g, labels)
            if row.cost_usd is not None:
                self._cost.add(row.cost_usd, labels)

    def refused(self, points: Mapping[Refusal, int]) -> None:
        """Data points of `greenops.energy` that were not taken."""
        for reason, count in points.items():
            self._refused.add(count, {"greenops.reason": reason})

    def decision(self, decision: Decision, evaluations: int) -> None:
        """One decision was made, for which the policies judged so many candidates."""
        moved = "moved" if decision.chosen.id != decision.baseline.id else "stayed"
        labels = {"greenops.workload": decision.workload}
        self._decisions.add(1, {**labels, "greenops.choice": moved, "greenops.mode": decision.mode})
        self._evaluations.add(evaluations, labels)

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
        """Avoided emissions so far with their 90 % range [gCO2e]."""
        for bound in ("estimate", "low", "high"):
            self._set("greenops.savings", "g", getattr(avoided, bound), bound=bound)

    def provider_success(self, provider: str, at: datetime) -> None:
        """When a grid provider last answered."""
        name = "greenops.provider.last_success.timestamp"
        self._set(name, "s", at.timestamp(), greenops_provider=provider)

    def checkpoint(self, at: datetime) -> None:
        """When the ledger was last signed."""
        self._set("greenops.ledger.checkpoint.timestamp", "s", at.timestamp())

    def page(self) -> bytes:
        """The page, in the Prometheus text format."""
        return generate_latest(self._registry)

    def close(self) -> None:
        """Let go of the reader."""
        self._provider.shutdown()
