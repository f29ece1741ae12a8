"""What the panels of the dashboards ask and say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

WORKLOAD: Final = 'greenops_workload=~"$workload"'
"""Matcher for the dashboard's workload variable."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel.

    Attributes:
        kind: Grafana's panel type: `stat`, `timeseries` or `table`.
        unit: Grafana's unit id: `watt`, `massg`, `joule`, `percentunit`, `s`, `short` …
        queries: Legend → PromQL.
        source: What the numbers come from; ends the description.
        width: Of 24 columns.
        stacked: Series are laid on one another.
        decimals: Digits after the point; none lets Grafana choose.
    """

    kind: str
    title: str
    unit: str
    queries: dict[str, str]
    about: str
    source: str
    width: int = 12
    height: int = 8
    stacked: bool = False
    decimals: int | None = None


OVERVIEW: Final = (
    Panel(
        "stat",
        "Power now",
        "watt",
        {"power": "sum(rate(greenops_energy_joules_total[$__rate_interval]))"},
        "Mean power of everything metered, all categories; not filtered by workload.",
        "counters of the energy meters; method in each series' labels",
        4,
        5,
    ),
    Panel(
        "stat",
        "Carbon in range (location-based, average, replay/live as served)",
        "massg",
        {"carbon": f"sum(increase(greenops_carbon_location_grams_total{{{WORKLOAD}}}[$__range]))"},
        "CO2e of the energy of spans, at each span's own time and region.",
        "energy of spans x PUE x average grid intensity",
        5,
        5,
    ),
    Panel(
        "stat",
        "Avoided carbon, 90 % range (location-based, average, replay/live as served)",
        "massg",
        {"{{bound}}": "sum by (bound) (greenops_savings_grams)"},
        "CO2e of the baseline less that of what ran: estimate, low, high; all workloads. May be negative.",
        "ledger: decisions with their outcomes",
        7,
        5,
    ),
    Panel(
        "stat",
        "Coverage of spans",
        "percentunit",
        {"coverage": "avg(greenops_coverage_ratio)"},
        "Share of spans whose energy is known; all workloads.",
        "span counters of the instrumented services",
        4,
        5,
    ),
    Panel(
        "stat",
        "Ledger checkpoint age",
        "s",
        {"age": "time() - max(greenops_ledger_checkpoint_timestamp_seconds)"},
        "Time since the evidence was last signed.",
        "signed checkpoints of the ledger",
        4,
        5,
    ),
    Panel(
        "timeseries",
        "Power by category",
        "watt",
        {
            "{{greenops_energy_category}}": "sum by (greenops_energy_category) "
            "(rate(greenops_energy_joules_total[$__rate_interval]))",
        },
        "Where the metered energy went; the layers add up to what the meter read; all workloads.",
        "counters of the energy meters, shared among spans",
        stacked=True,
    ),
    Panel(
        "timeseries",
        "Carbon by workload (location-based, average, replay/live as served)",
        "massg",
        {
            "{{greenops_workload}}": "sum by (greenops_workload) (increase("
            f"greenops_carbon_location_grams_total{{{WORKLOAD}}}[$__rate_interval]))",
        },
        "CO2e per step of the chart.",
        "energy of spans x PUE x average grid intensity",
        stacked=True,
    ),
    Panel(
        "timeseries",
        "Grid carbon intensity by region and zone (average, replay/live as served) [g/kWh]",
        "none",
        {
            "{{greenops_region}} {{greenops_zone}}": "avg by (greenops_region, greenops_zone) "
            "(greenops_grid_carbon_intensity_grams_per_kwh)",
        },
        "Average carbon intensity [gCO2e/kWh]; not filtered by workload.",
        "the configured grid provider",
    ),
    Panel(
        "timeseries",
        "Carbon per operation, p50 and p95 (location-based, average, replay/live as served)",
        "massg",
        {
            name: f"histogram_quantile({quantile}, sum by (le) (rate("
            f"greenops_operation_carbon_grams_bucket{{{WORKLOAD}}}[$__rate_interval])))"
            for name, quantile in (("p50", "0.50"), ("p95", "0.95"))
        },
        "CO2e of one operation: half, and 19 of 20, emit no more.",
        "histogram of the instrumented services",
    ),
    Panel(
        "timeseries",
        "Decisions and actions",
        "short",
        {
            "decisions": f"sum(increase(greenops_decisions_total{{{WORKLOAD}}}[$__rate_interval]))",
            "actions": "sum(increase(greenops_actions_total[$__rate_interval]))",
        },
        "What was decided, and what was sent to a target (all workloads), per step.",
        "counters of the control loop",
        8,
    ),
    Panel(
        "timeseries",
        "Policy evaluations",
        "ops",
        {
            "evaluations": "sum(rate("
            f"greenops_policy_evaluations_total{{{WORKLOAD}}}[$__rate_interval]))",
        },
        "Candidates judged per second.",
        "counter of the policy engine",
        8,
    ),
    Panel(
        "timeseries",
        "Conservation residual",
        "percentunit",
        {"residual": "max(greenops_conservation_residual_ratio)"},
        "Metered energy that the categories do not account for; 0 is exact; all workloads.",
        "energy accounts of the instrumented services",
        8,
        decimals=3,
    ),
    Panel(
        "timeseries",
        "Idle power",
        "watt",
        {
            "idle": 'sum(rate(greenops_energy_joules_total{greenops_energy_category="idle"}'
            "[$__rate_interval]))",
        },
        "What devices draw while nothing runs on them; all workloads.",
        "counters of the energy meters",
        8,
    ),
    Panel(
        "timeseries",
        "Idle share of metered energy",
        "percentunit",
        {
            "idle": 'sum(rate(greenops_energy_joules_total{greenops_energy_category="idle"}'
            "[$__rate_interval])) / sum(rate(greenops_energy_joules_total[$__rate_interval]))",
        },
        "Part of all metered energy that is drawn while nothing runs; all workloads.",
        "counters of the energy meters",
        8,
    ),
    Panel(
        "timeseries",
        "Idle and own carbon (location-based, average, replay/live as served)",
        "massg",
        {
            "idle": "sum(increase(greenops_carbon_idle_grams_total[$__rate_interval]))",
            "GreenOps itself": "sum(increase(greenops_carbon_overhead_grams_total"
            "[$__rate_interval]))",
        },
        "CO2e per step, per joule as much as the services on that machine emit; all workloads.",
        "idle and own energy x what spans beside it emit per joule",
        8,
    ),
    Panel(
        "timeseries",
        "Language models served elsewhere",
        "joule",
        {
            f"{name} {{{{greenops_energy_remote_method}}}}": "sum by "
            f"(greenops_energy_remote_method) (increase(greenops_energy_remote{part}_joules_total"
            f"{{{WORKLOAD}}}[$__rate_interval]))"
            for name, part in (("estimate", ""), ("low", "_low"), ("high", "_high"))
        },
        "Energy per step that calls drew where they were served, with its 90 % range; not metered, "
        "and in no other panel.",
        "tokens of the calls, or what their provider said",
        8,
    ),
    Panel(
        "timeseries",
        "Energy per item and per output token, p50",
        "joule",
        {
            name: f"histogram_quantile(0.50, sum by (le) (rate({metric}_bucket{{{WORKLOAD}}}"
            "[$__rate_interval])))"
            for name, metric in (
                ("item", "greenops_energy_per_item_joules"),
                ("token, own server", "greenops_energy_per_output_token_joules"),
                ("token, served elsewhere", "greenops_energy_remote_per_output_token_joules"),
            )
        },
        "Half of the spans take no more; own servers at the chip, others at the site.",
        "energy of spans by the items and tokens that they tell",
        8,
    ),
    Panel(
        "timeseries",
        "Carbon of making the machines (embodied)",
        "massg",
        {
            "{{greenops_workload}}": "sum by (greenops_workload) (increase("
            f"greenops_carbon_embodied_grams_total{{{WORKLOAD}}}[$__rate_interval]))",
        },
        "CO2e per step; in no sum of operational emissions.",
        "CPU time of spans over the machines' life x what making them emitted",
        8,
    ),
    Panel(
        "timeseries",
        "Own emissions over avoided ones",
        "percentunit",
        {"own": "max(greenops_savings_own_ratio)"},
        "What GreenOps emits itself by what was avoided; all workloads.",
        "own energy in the accounts; ledger: decisions with their outcomes",
        8,
        decimals=2,
    ),
)
"""Panels of the overview, left to right, top to bottom."""
