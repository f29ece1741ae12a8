"""The metrics that dashboards may ask for: those `/metrics` sends, by their Prometheus names."""

from __future__ import annotations

from typing import Final

COUNTERS: Final = frozenset(
    {
        "greenops_energy_joules_total",
        "greenops_energy_remote_joules_total",
        "greenops_energy_remote_low_joules_total",
        "greenops_energy_remote_high_joules_total",
        "greenops_energy_network_low_joules_total",
        "greenops_energy_network_high_joules_total",
        "greenops_carbon_location_grams_total",
        "greenops_carbon_embodied_grams_total",
        "greenops_carbon_remote_grams_total",
        "greenops_carbon_idle_grams_total",
        "greenops_carbon_overhead_grams_total",
        "greenops_carbon_avoided_grams_total",
        "greenops_carbon_added_grams_total",
        "greenops_cost_total",
        "greenops_policy_evaluations_total",
        "greenops_decisions_total",
        "greenops_actions_total",
        "greenops_otlp_refused_total",
    }
)
"""Counters: only to be asked through `rate` or `increase`."""

HISTOGRAMS: Final = frozenset(
    {
        "greenops_operation_energy_joules",
        "greenops_operation_carbon_grams",
        "greenops_energy_per_item_joules",
        "greenops_energy_per_output_token_joules",
        "greenops_energy_remote_per_output_token_joules",
        "greenops_policy_evaluation_duration_seconds",
    }
)
"""Histograms: each sends `_bucket`, `_sum` and `_count`."""

GAUGES: Final = frozenset(
    {
        "greenops_grid_carbon_intensity_grams_per_kwh",
        "greenops_conservation_residual_ratio",
        "greenops_coverage_ratio",
        "greenops_budget_limit_grams",
        "greenops_budget_period_seconds",
        "greenops_savings_grams",
        "greenops_savings_own_ratio",
        "greenops_sci_grams",
        "greenops_forecast_coverage_ratio",
        "greenops_forecast_captured_ratio",
        "greenops_provider_last_success_timestamp_seconds",
        "greenops_ledger_checkpoint_timestamp_seconds",
    }
)
"""Gauges."""

COUNTING: Final = COUNTERS | {
    f"{name}_{part}" for name in HISTOGRAMS for part in ("bucket", "sum", "count")
}
"""Every series that only grows."""

ALL: Final = COUNTING | GAUGES
"""Every series that `/metrics` can show."""
