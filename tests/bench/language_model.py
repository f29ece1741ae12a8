"""What estimating a call costs, the same call in EcoLogits, and how far estimates are from what others published.

    python tests/bench/language_model.py [--json]

`llm_holdout_error` is the median over few published figures that the fit has not seen (language_model_anchors.py lists
them); `llm_fit_error_cited` is the fit's own, on models left out of it, and is cited, not measured here.

EcoLogits is a peer and no dependency. Where it is not installed its key is left out; to get it:

    python -m venv .peers && .peers/bin/pip install ecologits
    PYTHONPATH=$(echo .peers/lib/python3.*/site-packages) python tests/bench/language_model.py --json
"""

from __future__ import annotations

import gc
import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from greenops.adapters.language_model_file import shipped
from greenops.domain.language_model import Tokens
from greenops.observe.gen_ai import call
from greenops.observe.language_model import LanguageModels
from tests.bench import language_model_anchors as anchors

ROUNDS = 30
CALLS = 2000
MUST_US = 2.0
"""A call's estimate takes no longer [us]."""
TOKENS = Tokens(fresh=1200, cached=300, output=300)
SAID = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "gen_ai.usage.input_tokens": 1500,
    "gen_ai.usage.output_tokens": 300,
    "gen_ai.usage.cache_read.input_tokens": 300,
    "server.address": "api.openai.com",
}


def cases() -> dict[str, Callable[[], object]]:
    models = LanguageModels(shipped())
    found: dict[str, Callable[[], object]] = {
        "llm_estimate_us": lambda: models.estimate("llama-3.1-70b", TOKENS),
        "llm_estimate_tier_us": lambda: models.estimate("gpt-4o", TOKENS),
        "llm_read_span_us": lambda: call(SAID),
    }
    peer = ecologits()
    return {**found, "ecologits_call_us": peer} if peer else found


def ecologits() -> Callable[[], object] | None:
    """The peer's estimate of the same call; none where it is not installed."""
    try:
        from ecologits.tracers.utils import llm_impacts  # type: ignore[import-not-found]
    except ImportError:
        return None
    impacts: Any = llm_impacts
    return lambda: impacts(
        provider="openai", model_name="gpt-4o", output_token_count=300, request_latency=5.0
    )


def measure() -> dict[str, float]:
    """Microseconds per call, 10th percentile of interleaved rounds."""
    found = cases()
    times: dict[str, list[float]] = {name: [] for name in found}
    for _ in range(ROUNDS):
        for name in random.sample(sorted(found), len(found)):
            gc.collect()
            times[name].append(once(found[name], CALLS // 20 if name.startswith("eco") else CALLS))
    figures = {name: sorted(each)[len(each) // 10] for name, each in times.items()}
    if "ecologits_call_us" in figures:
        figures["ecologits_call_ratio"] = figures["ecologits_call_us"] / figures["llm_estimate_us"]
    return {name: round(value, 3) for name, value in figures.items()}


def once(case: Callable[[], object], calls: int) -> float:
    started = time.perf_counter()
    for _ in range(calls):
        case()
    return (time.perf_counter() - started) / calls * 1e6


def held_out(compared: list[anchors.Compared]) -> dict[str, float]:
    return {
        "llm_holdout_error": round(anchors.error(compared), 3),
        "llm_holdout_n": len(compared),
        "llm_holdout_within_range": sum(each.within for each in compared) / len(compared),
        "llm_holdout_measured_error": round(
            anchors.error([each for each in compared if each.anchor.kind == "measured"]), 3
        ),
        "llm_fit_error_cited": anchors.FIT_ERROR,
    }


def rows(compared: list[anchors.Compared]) -> Iterator[str]:
    yield "\nagainst published figures (ratio: ours over theirs; * where theirs is in our 90 % range)\n"
    for each in compared:
        mark = "*" if each.within else " "
        yield f"  {each.anchor.name:38} {each.anchor.kind:9} {each.ratio:5.2f} {mark}\n"
        yield f"      {each.anchor.source}\n"


def main() -> int:
    compared = anchors.compare()
    figures = {**measure(), **held_out(compared)}
    if "--json" in sys.argv:
        sys.stdout.write(json.dumps(figures) + "\n")
    else:
        sys.stdout.writelines(f"{name:26} {value:10.3f}\n" for name, value in figures.items())
        sys.stdout.writelines(rows(compared))
        if "ecologits_call_us" not in figures:
            sys.stdout.write("ecologits is not installed; this file's head says how to get it\n")
    return 0 if figures["llm_estimate_us"] <= MUST_US else 1


if __name__ == "__main__":
    sys.exit(main())
