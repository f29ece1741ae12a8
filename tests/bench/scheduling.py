"""Batch scheduling against published results, its own promises and the clock; `--json` for machines.

Data are those of the reference folder (`GREENOPS_REFERENCE_DATA`). Speeds are CPU time of one core; the
peers' figures are quoted. `--only` runs some of anchors, forecasts, promises, scaling, speed, fleet, engines: what is not run then
is not told, and not asked for.
"""

# ruff: noqa: T201  (a benchmark prints; and the core's number is set before numpy is there)

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.common.figures import Figure, told
from tests.bench.scheduling_parts import (
    anchors,
    engines,
    fleet,
    forecasts,
    promises,
    scaling,
    speed,
)
from tests.conftest import REFERENCE

PARTS = {
    "anchors": anchors,
    "forecasts": forecasts,
    "promises": promises,
    "scaling": scaling,
    "speed": speed,
    "fleet": fleet,
    "engines": engines,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    asked = parser.parse_args()
    if not REFERENCE.is_dir():
        print(f"no reference data in {REFERENCE}; set GREENOPS_REFERENCE_DATA", file=sys.stderr)
        return 1
    figures: list[Figure] = []
    notes: dict[str, object] = {}
    for name in asked.only:
        found, beside = PARTS[name].figures()
        figures += found
        notes |= beside
    told(figures, notes, as_json=asked.json)
    return 0 if all(each.holds(each.must) for each in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
