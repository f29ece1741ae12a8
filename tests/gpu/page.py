"""The page of what was found on a device: written when the experiments ran on one, and by nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TypeVar

from tests.gpu.experiments import Batch, PartTime, Rest, Steps, Turns

PAGE = Path(__file__).parents[2] / "docs/explanation/gpu-findings.md"
WHERE = "GREENOPS_GPU_FINDINGS"
"""Environment variable: another file to write to."""
HEAD = """# What was found on GPUs

Experiments of `tests/gpu` on a device: `pytest -m gpu tests/gpu`. They write this page; without a device they are skipped, and
on a made-up board whose truth is known they run in every suite (`tests/gpu/test_experiments.py`).

"""
Found = TypeVar("Found", Steps, PartTime, Turns, Batch, Rest)


@dataclass
class Findings:
    """Of one device, in the order in which they were found."""

    device: str
    found: list[Steps | PartTime | Turns | Batch | Rest] = field(default_factory=list)

    def add(self, finding: Found) -> Found:
        self.found.append(finding)
        return finding

    def page(self, on: date | None = None) -> str:
        day = on or datetime.now(UTC).date()
        return HEAD + f"{self.device}, {day.isoformat()}.\n" + "".join(self._sections())

    def write(self) -> None:
        """Nothing where nothing was found."""
        if self.found:
            Path(os.environ.get(WHERE) or PAGE).write_text(self.page(), encoding="utf-8")

    def _sections(self) -> Iterator[str]:
        for title, kind, columns in SECTIONS:
            rows = [each for each in self.found if isinstance(each, kind)]
            if rows:
                yield f"\n## {title}\n\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}\n"
                for row in rows:
                    cells = (_cell(getattr(row, name)) for name in columns.values())
                    yield f"| {' | '.join(cells)} |\n"


SECTIONS: tuple[tuple[str, type, dict[str, str]], ...] = (
    (
        "The counter's steps",
        Steps,
        {
            "median period [ms]": "period_ms",
            "longest [ms]": "longest_ms",
            "start of a load to the first step that shows it [ms]": "lag_ms",
        },
    ),
    (
        "Part-time loads",
        PartTime,
        {
            "half period [ms]": "half_ms",
            "energy counter [W]": "counter_w",
            "`nvmlDeviceGetPowerUsage` [W]": "average_w",
            "`NVML_FI_DEV_POWER_INSTANT` [W]": "instant_w",
        },
    ),
    (
        "Two kernels in turn: dynamic power, first over second",
        Turns,
        {"turn [s]": "turn_s", "alone": "alone", "as spans were given it": "shared"},
    ),
    (
        "Batches of a small model: dynamic energy of one request",
        Batch,
        {
            "batch": "size",
            "given to a span [J]": "share_j",
            "counter over requests [J]": "isolated_j",
            "batches a second": "batches_per_s",
        },
    ),
    (
        "At rest before and after a load, medians",
        Rest,
        {
            "before [W]": "before_w",
            "after [W]": "after_w",
            "before [°C]": "before_c",
            "after [°C]": "after_c",
        },
    ),
)


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
