"""Routing under round trips and capacity against published results; `--json` for machines.

Data are those of the reference folder (`GREENOPS_REFERENCE_DATA`). The peer, the published greedy rule, is
computed beside ours in the same run. `--only` runs some of published, traffic, speed.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.common.figures import needs, run
from tests.conftest import REFERENCE

PARTS = ("published", "traffic", "speed")

if __name__ == "__main__":
    needs(REFERENCE)
    sys.exit(run(__doc__, "tests.bench.routing_parts", PARTS))
