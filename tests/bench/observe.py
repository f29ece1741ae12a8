"""What `observe` costs and how right it is, beside what it must and what it aims at; fails where a must is missed.

python tests/bench/observe.py [--json] [PYTHON_WITH_PEERS]

A peer's cost is measured in another interpreter that has it (`pip install codecarbon ecologits` in a virtual
environment of its own), given as an argument or in GREENOPS_PEERS; without one it is not told.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
PARTS = (
    "span_overhead.py",
    "cpu_operations.py",
    "gpu_batches.py",
    "asyncio_steps.py",
    "language_model.py",
)


@dataclass(frozen=True)
class Target:
    """A bound on one figure: at most, or at least where it `rises`."""

    must: float | None
    aim: float | None
    rises: bool = False
    least: float | None = None

    def met(self, value: float) -> bool:
        if self.must is None:
            return True
        if self.least is not None and value < self.least:
            return False
        return value >= self.must if self.rises else value <= self.must


TARGETS = {
    "deferred_ratio": Target(1.10, 1.06),
    "full_ratio": Target(1.30, 1.15),
    "meter_core_share": Target(0.0005, 0.00015),
    "meter_core_share_quiet": Target(0.0005, 0.00015),
    "meter_core_share_back_to_back": Target(0.0005, 0.00015),
    "encode_extra_us": Target(5, 4),
    "real_cpu_operation_error": Target(0.08, 0.04),
    "gpu_sim_request_error_26": Target(0.05, 0.025),
    "gpu_sim_request_error_112": Target(0.08, 0.05),
    "asyncio_sum_over_true": Target(1.05, 1.02, least=0.95),
    "llm_estimate_us": Target(2, 1),
    "codecarbon_task_ratio": Target(None, 30, rises=True),
    "ecologits_call_ratio": Target(None, 8, rises=True),
}


def run(path: Path, python: str = sys.executable, *more: str) -> dict[str, float]:
    """One part's figures; none where it is not there or has nothing to tell."""
    if not path.exists():
        return {}
    root = str(HERE.parents[1])
    done = subprocess.run(
        [python, path, "--json", *more],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
    )
    lines = done.stdout.strip().splitlines()
    if not lines:
        sys.stderr.write(f"{path.name}: {done.stderr.strip()[-400:]}\n")
        return {}
    found: dict[str, float] = json.loads(lines[-1])
    return found


def peers(found: dict[str, float]) -> dict[str, float]:
    """How many times a span of ours (a call's estimate) each peer costs, on this machine in this run."""
    named = [each for each in sys.argv[1:] if not each.startswith("-")]
    python = named[0] if named else os.environ.get("GREENOPS_PEERS")
    if python is None:
        sys.stderr.write(
            "no peers: give a python with codecarbon and ecologits, see the top of this file\n"
        )
        return {}
    costs = run(HERE / "peers.py", python)
    ours = {
        "codecarbon_task": found["full_ratio"] * found["bare_span_us"],
        "ecologits_call": found.get("llm_estimate_us", 0.0),
    }
    told = {f"{name}_us": cost for name, cost in costs.items()}
    ratios = {f"{name}_ratio": cost / ours[name] for name, cost in costs.items() if ours[name] > 0}
    return {**told, **ratios}


def line(name: str, value: float) -> str:
    target = TARGETS.get(name)
    if target is None:
        return f"{name:28} {value:10.5g}\n"
    must = "" if target.must is None else f"must {target.must:g}"
    verdict = "" if target.must is None else ("ok" if target.met(value) else "MISSED")
    return f"{name:28} {value:10.5g}   {must:12} aim {target.aim:<8g} {verdict}\n"


def main() -> int:
    found: dict[str, float] = {}
    for part in PARTS:
        found.update(run(HERE / part))
    found.update(peers(found))
    absent = [name for name, each in TARGETS.items() if each.must is not None and name not in found]
    missed = [
        name for name, value in found.items() if name in TARGETS and not TARGETS[name].met(value)
    ]
    if "--json" in sys.argv:
        sys.stdout.write(json.dumps({**found, "missed": missed, "absent": absent}) + "\n")
    else:
        sys.stdout.writelines(line(name, value) for name, value in found.items())
        sys.stdout.writelines(f"{name:28} not measured\n" for name in absent)
    return 1 if missed or absent else 0


if __name__ == "__main__":
    sys.exit(main())
