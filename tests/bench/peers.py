"""What a task costs with CodeCarbon and a call with EcoLogits [us]; run by an interpreter that has them.

PYTHON_WITH_PEERS tests/bench/peers.py --json
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

TASKS = 40


def cheapest(run: Callable[[int], object]) -> float:
    """The 10th percentile of runs after a first one [us]."""
    run(0)
    times = []
    for each in range(1, TASKS):
        began = time.perf_counter()
        run(each)
        times.append(time.perf_counter() - began)
    return sorted(times)[len(times) // 10] * 1e6


def codecarbon_task() -> float:
    """`start_task` and `stop_task` in its cheapest mode, which looks at the whole machine."""
    logging.disable(logging.CRITICAL)
    carbon: Any = import_module("codecarbon")
    tracker = carbon.OfflineEmissionsTracker(
        country_iso_code="DEU", save_to_file=False, log_level="critical", tracking_mode="machine"
    )

    def task(number: int) -> None:
        tracker.start_task(str(number))
        tracker.stop_task(str(number))

    return cheapest(task)


def ecologits_call() -> float:
    """Impacts of one call of a model whose size is known."""
    llm: Any = import_module("ecologits.tracers.utils")
    return cheapest(
        lambda _: llm.llm_impacts(
            provider="openai",
            model_name="gpt-4o-mini",
            output_token_count=300,
            request_latency=3.0,
            electricity_mix_zone="USA",
        )
    )


def main() -> int:
    found = {}
    for peer in (codecarbon_task, ecologits_call):
        try:
            found[peer.__name__] = peer()
        except Exception as error:  # noqa: BLE001 - a peer that fails is told, not measured
            sys.stderr.write(f"{peer.__name__}: {error!r}\n")
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
