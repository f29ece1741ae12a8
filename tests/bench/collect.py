"""What collecting spans costs, from the Collector to a question over the lake; `--json` for machines.

`--only` runs some of collector, receiver, lake, rollups: what is not run then is not told, and not asked for. `--full` takes
the long ones whole: ten minutes of load, a hundred kills, fifty million spans.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.common.figures import run

PARTS = ("collector", "receiver", "lake", "rollups")

if __name__ == "__main__":
    sys.exit(run(__doc__, "tests.bench.collect_parts", PARTS, long=True))
