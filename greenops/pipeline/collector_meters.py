"""Kepler and NVIDIA's DCGM exporter as energy meters: scraped by the Collector, told in OpenTelemetry's own names."""

from __future__ import annotations

from typing import Final

Node = dict[str, object]

SCRAPE_EVERY: Final = "15s"
DCGM_ENERGY: Final = "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"
"""Counter of one GPU since its driver was loaded [mJ]. Source: NVIDIA, DCGM field identifiers."""
DCGM_POWER: Final = "DCGM_FI_DEV_POWER_USAGE"
"""Power of one GPU [W]."""
KEPLER_ENERGY: Final = "kepler_node_cpu_joules_total"
"""Counter of one zone of one node [J]. Source: Kepler, metrics reference."""
KEPLER_POWER: Final = "kepler_node_cpu_watts"
KEPT: Final = "DCGM_FI_DEV_(TOTAL_ENERGY_CONSUMPTION|POWER_USAGE)|kepler_(node|pod|container|process)_cpu_(joules_total|watts)"
"""What is scraped: an exporter offers a hundred series of which these are energy."""
MILLI: Final = 0.001


def scrapes(kepler: str | None, dcgm: str | None) -> Node:
    """A prometheus receiver of the exporters that there are, `host:port`; nothing where there are none."""
    jobs = [
        {
            "job_name": name,
            "scrape_interval": SCRAPE_EVERY,
            "static_configs": [{"targets": [target]}],
            "metric_relabel_configs": [
                {"source_labels": ["__name__"], "regex": KEPT, "action": "keep"}
            ],
        }
        for name, target in (("kepler", kepler), ("dcgm", dcgm))
        if target is not None
    ]
    return {"prometheus/meters": {"config": {"scrape_configs": jobs}}} if jobs else {}


def meter_statements() -> Node:
    """A transform processor that gives the exporters' counters the names and units of `hw.*`."""
    lines = [
        *_named(DCGM_ENERGY, "hw.energy", "J", "gpu", "UUID", scale=MILLI),
        *_named(DCGM_POWER, "hw.power", "W", "gpu", "UUID"),
        *_named(KEPLER_ENERGY, "hw.energy", "J", "cpu", "zone"),
        *_named(KEPLER_POWER, "hw.power", "W", "cpu", "zone"),
    ]
    labels, metrics = lines[::2], lines[1::2]
    return {
        "error_mode": "ignore",
        "metric_statements": [
            {"context": "datapoint", "statements": [each for group in labels for each in group]},
            {"context": "metric", "statements": [each for group in metrics for each in group]},
        ],
    }


def _named(
    said: str, name: str, unit: str, kind: str, device: str, scale: float | None = None
) -> tuple[list[str], list[str]]:
    """Statements on the data points of a metric, and on itself."""
    here = f'metric.name == "{said}"'
    points = [
        f'set(datapoint.attributes["hw.type"], "{kind}") where {here}',
        f'set(datapoint.attributes["hw.id"], datapoint.attributes["{device}"]) where {here}',
    ]
    whole = [f'set(metric.unit, "{unit}") where {here}', f'set(metric.name, "{name}") where {here}']
    if scale is not None:
        # A counter without `_total` in its name is scraped as a gauge.
        whole = [
            f"scale_metric({scale}) where {here}",
            f'convert_gauge_to_sum("cumulative", true) where {here}',
            *whole,
        ]
    return points, whole
