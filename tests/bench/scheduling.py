"""Batch scheduling against published results, its own promises and the clock; `--json` for machines.

Data are those of the reference folder (`GREENOPS_REFERENCE_DATA`). Speeds are CPU time of one core; the
peers' figures are quoted. `--only` runs some of anchors, forecasts, promises, scaling, speed, fleet, engines: what is not run then
is not told, and not asked for.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.common.figures import needs, run
from tests.conftest import REFERENCE

PARTS = ("anchors", "forecasts", "promises", "scaling", "speed", "fleet", "engines")

if __name__ == "__main__":
    needs(REFERENCE)
    sys.exit(run(__doc__, "tests.bench.scheduling_parts", PARTS))
