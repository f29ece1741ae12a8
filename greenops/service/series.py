"""The series of `/metrics`: units, bounds of histograms, labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from opentelemetry.metrics import Observation

from greenops.observe import attributes as names
from greenops.pipeline.sci import Sci

JOULES: Final = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
GRAMS: Final = (1e-7, 1e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 0.1, 1.0)
PER_UNIT: Final = (1e-5, 1e-4, 1e-3, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
SECONDS: Final = (1e-4, 3e-4, 1e-3, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
"""Bounds of the histograms; the SDK's own are for milliseconds."""
ENERGY_PAGE: Final = "greenops_operation_energy_joules"
CARBON_PAGE: Final = "greenops_operation_carbon_grams"
OUTPUT_PAGE: Final = "greenops_energy_per_output_token_joules"
ITEM_PAGE: Final = "greenops_energy_per_item_joules"
REMOTE_OUTPUT_PAGE: Final = "greenops_energy_remote_per_output_token_joules"
"""Names of the histograms on the page."""
PLACED: Final = {names.METRIC_CARBON: "g", names.METRIC_COST: "{USD}"}
"""Counters by region, and their units."""
MORE: Final = {
    names.METRIC_EMBODIED: "g",
    names.METRIC_REMOTE: "J",
    names.METRIC_REMOTE_LOW: "J",
    names.METRIC_REMOTE_HIGH: "J",
    names.METRIC_CARBON_REMOTE: "g",
    names.METRIC_NETWORK_LOW: "J",
    names.METRIC_NETWORK_HIGH: "J",
    names.METRIC_CARBON_IDLE: "g",
    names.METRIC_CARBON_OVERHEAD: "g",
}
"""Counters beside metered energy, and their units: a name of its own for each, so that no sum mixes two."""
LONGEST: Final = 100
"""Longest name of a model that becomes a label [characters]."""
NONE: Final = "none"


def score_points(scores: Mapping[tuple[str, str | None], Sci]) -> list[Observation]:
    """Data points of `greenops.sci`."""
    return [
        Observation(
            score.total,
            {
                "greenops.service": service,
                "greenops.workload": workload or NONE,
                "greenops.functional_unit": "request",
                # A score without M is another quantity, so it says so.
                "greenops.embodied": "left_out" if score.embodied is None else "included",
            },
        )
        for (service, workload), score in scores.items()
    ]


def labels_of(workload: str | None, metric: str, told: str | None) -> dict[str, str]:
    """Labels of a counter: its workload, and the region or the method that its name tells besides."""
    labels = {"greenops.workload": workload or NONE}
    if metric in PLACED:
        return {**labels, "greenops.region": told or NONE}
    return labels if told is None else {**labels, names.ENERGY_REMOTE_METHOD: told}
