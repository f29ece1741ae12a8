"""Energy and carbon on the spans that a rotel collector passes on; `greenops collector render --role rotel` writes it.

rotel runs it inside the collector with the standard library alone, so it imports nothing of GreenOps. The tables are the
CSV files beside it, read again when one changes; what a broken table says is not taken. It does what
`greenops.observe.enrichment` does, span by span.

    rotel start --otlp-with-trace-processor DIR/greenops_rotel.py
"""

from __future__ import annotations

import csv
import math
import re
import time
from datetime import datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
LOOK_EVERY_S = 1.0
SELF, METHOD, UNKNOWN = "greenops.energy.self", "greenops.energy.method", "greenops.energy.unknown"
CARBON, WHY, REGION = "greenops.carbon.self", "greenops.carbon.unknown", "cloud.region"
KEPT = (SELF, UNKNOWN, "greenops.energy.remote", "greenops.energy.remote_unknown")
OPERATION = "gen_ai.operation.name"
CALLS = ("chat", "generate_content", "text_completion", "embeddings")
MODEL = (
    "gen_ai.response.model",
    "gen_ai.request.model",
    "llm.response.model",
    "llm.request.model",
    "llm.model_name",
)
USAGE = "gen_ai.usage."
INPUT = (
    USAGE + "input_tokens",
    USAGE + "prompt_tokens",
    "llm.usage.prompt_tokens",
    "llm.token_count.prompt",
)
OUTPUT = (
    USAGE + "output_tokens",
    USAGE + "completion_tokens",
    "llm.usage.completion_tokens",
    "llm.token_count.completion",
)
CACHE_READ = (
    USAGE + "cache_read.input_tokens",
    USAGE + "cache_read_input_tokens",
    USAGE + "details.cache_read_tokens",
    "llm.token_count.prompt_details.cache_read",
)
CACHE_CREATION = (
    USAGE + "cache_creation.input_tokens",
    USAGE + "cache_creation_input_tokens",
    USAGE + "details.cache_write_tokens",
    "llm.token_count.prompt_details.cache_write",
)
REASONING = (
    USAGE + "reasoning.output_tokens",
    USAGE + "reasoning_tokens",
    USAGE + "details.reasoning_tokens",
    "llm.token_count.completion_details.reasoning",
)
RUN_NAMES = ("cicd.pipeline.name", "cicd.pipeline.run.id", "k8s.job.name", "k8s.cronjob.name")
VENDOR = re.compile(
    r"^(?:(?:us|eu|apac|global)\.)?(?:ai21|amazon|anthropic|cohere|deepseek|meta|mistral|openai|qwen)\."
)
SERVER, CLIENT, PRODUCER = 2, 3, 4
MOST_TOKENS, LONGEST, MOST_J = 1_000_000_000, 200, 1e12


class Tables:
    """The three CSV files of a folder."""

    def __init__(self, folder: Path) -> None:
        rows = _csv(folder / "models.csv")
        self.models = {
            row["name"]: (
                *(float(row[each]) for each in ("input_j", "cached_j", "output_j")),
                row["method"],
            )
            for row in rows
        }
        self.regions = {row["region"]: _place(row) for row in _csv(folder / "regions.csv")}
        self.watts = {
            row["workload"]: float(row["watts"]) for row in _csv(folder / "workloads.csv")
        }
        self._longest = max(map(len, self.models), default=0)
        self._found: dict[str, Any] = {}

    def model(self, said: str) -> Any:
        """Joules per token of the longest known name that begins a spelling; none where there is none."""
        if said in self._found:
            return self._found[said]
        found = None
        if len(said.encode("utf-8", "replace")) <= LONGEST:
            last = said.strip().rsplit("/", 1)[-1].lower()
            name = re.sub(r"[:@_\s]+", "-", VENDOR.sub("", last))
            for end in range(min(len(name), self._longest), 0, -1):
                if end == len(name) or name[end] == "-":
                    found = self.models.get(name[:end])
                    if found:
                        break
        if len(self._found) < 4096:  # noqa: PLR2004
            self._found[said] = found
        return found


def _csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _place(row: dict[str, str]) -> tuple[int, int, float | None, str | None]:
    since, until = (
        round(datetime.fromisoformat(row[each]).timestamp() * 1e6) * 1000
        for each in ("valid_from", "valid_until")
    )
    if not row["zone"]:
        return since, until, None, "no_zone"
    if not row["grams_per_joule"]:
        return since, until, None, "no_intensity"
    return since, until, float(row["grams_per_joule"]), None


class _Current:
    tables: Tables | None = None
    stamps: tuple[Any, ...] = ()
    next_look = 0.0


def tables() -> Tables | None:
    """Those of the files as they are, looked at once a second; the last good ones where a file is broken."""
    now = time.monotonic()
    if now >= _Current.next_look:
        _Current.next_look = now + LOOK_EVERY_S
        try:
            names = ("models.csv", "regions.csv", "workloads.csv")
            found = [(HERE / name).stat() for name in names]
            stamps = tuple((each.st_mtime_ns, each.st_size, each.st_ino) for each in found)
            if stamps != _Current.stamps:
                _Current.tables = Tables(HERE)
                _Current.stamps = stamps
        except (OSError, ValueError, KeyError, TypeError):
            pass
    return _Current.tables


def enrich(
    kind: int,
    root: bool,
    start_ns: int,
    end_ns: int,
    said: dict[str, Any],
    resource: dict[str, Any],
    known: Tables,
) -> dict[str, Any]:
    """Attributes to add to one span."""
    free = not any(said.get(name) is not None for name in KEPT)
    if free and _is_call(kind, said):
        more = _call(said, known)
        region = said.get(REGION)
        return more if UNKNOWN in more else {**more, **_carbon(more[SELF], region, end_ns, known)}
    here = said.get(REGION)
    if kind in (CLIENT, PRODUCER) or not isinstance(here, str):
        here = resource.get(REGION)
    if free and _is_run(root, said, resource):
        more = _run(said, resource, start_ns, end_ns, known)
        return more if UNKNOWN in more else {**more, **_carbon(more[SELF], here, end_ns, known)}
    if free:
        return {UNKNOWN: "not_observed"}
    joules = said.get(SELF)
    told = said.get(CARBON) is not None or said.get(WHY) is not None
    if told or isinstance(joules, bool) or not isinstance(joules, (int, float)):
        return {}
    return _carbon(joules, here, end_ns, known) if 0 <= joules <= MOST_J else {}


def _is_call(kind: int, said: dict[str, Any]) -> bool:
    operation = said.get(OPERATION)
    one = operation is None or (isinstance(operation, str) and operation in CALLS)
    return one and kind != SERVER and kind <= CLIENT and _first(said, MODEL) is not None


def _is_run(root: bool, said: dict[str, Any], resource: dict[str, Any]) -> bool:
    if said.get("cicd.pipeline.task.name") is not None:
        return False
    of_job = root and any(resource.get(name) is not None for name in RUN_NAMES)
    return of_job or any(said.get(name) is not None for name in RUN_NAMES)


def _call(said: dict[str, Any], known: Tables) -> dict[str, Any]:
    model = _first(said, MODEL)
    if not isinstance(model, str) or not model:
        return {UNKNOWN: "no_model"}
    read, wrote = _first(said, INPUT), _first(said, OUTPUT)
    if wrote is None and said.get(OPERATION) == "embeddings":
        wrote = 0
    if read is None or wrote is None:
        return {UNKNOWN: "no_tokens"}
    parts = [_first(said, each) for each in (CACHE_READ, CACHE_CREATION, REASONING)]
    said_counts = (read, wrote, *(0 if each is None else each for each in parts))
    counts = [found for each in said_counts if (found := _count(each)) is not None]
    if len(counts) < len(said_counts):
        return {UNKNOWN: "bad_tokens"}
    per_token = known.model(model)
    if per_token is None:
        return {UNKNOWN: "unknown_model"}
    read, wrote, cached, created, reasoned = counts
    fresh = read + created if cached + created > read else read - cached
    output = wrote + reasoned if reasoned > wrote else wrote
    input_j, cached_j, output_j, method = per_token
    return {SELF: fresh * input_j + cached * cached_j + output * output_j, METHOD: method}


def _run(
    said: dict[str, Any], resource: dict[str, Any], start_ns: int, end_ns: int, known: Tables
) -> dict[str, Any]:
    if end_ns < start_ns:
        return {UNKNOWN: "no_time"}
    workload = said.get("greenops.workload")
    if not isinstance(workload, str):
        workload = resource.get("greenops.workload")
    watts = known.watts.get(workload) if isinstance(workload, str) else None
    if watts is None:
        return {UNKNOWN: "no_meter"}
    return {SELF: watts * ((end_ns - start_ns) / 1e9), METHOD: "estimated"}


def _carbon(joules: float, region: Any, end_ns: int, known: Tables) -> dict[str, Any]:
    place = known.regions.get(region) if isinstance(region, str) else None
    if place is None:
        return {WHY: "no_region"}
    since, until, grams, why = place
    if not since <= end_ns < until:
        return {WHY: "stale_table"}
    return {WHY: why} if grams is None else {CARBON: joules * grams}


def _count(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if math.isnan(value) or not 0 <= value <= MOST_TOKENS or value != int(value):
        return None
    return int(value)


def _first(said: dict[str, Any], names: tuple[str, ...]) -> Any:
    for name in names:
        if said.get(name) is not None:
            return said[name]
    return None


def process_spans(resource_spans: Any) -> None:
    """What rotel calls with the spans of one resource; changes them in place."""
    from rotel_sdk.open_telemetry.common.v1 import (  # type: ignore[import-not-found]
        AnyValue,
        KeyValue,
    )

    known = tables()
    if known is None:
        return
    about = resource_spans.resource
    resource = _attributes(about.attributes) if about is not None else {}
    for scope_spans in resource_spans.scope_spans:
        for span in scope_spans.spans:
            said = _attributes(span.attributes)
            root = not any(span.parent_span_id)
            start, end = span.start_time_unix_nano, span.end_time_unix_nano
            more = enrich(span.kind, root, start, end, said, resource, known)
            for name, value in more.items():
                span.attributes.append(KeyValue(name, AnyValue(value)))


def _attributes(pairs: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pair in pairs:
        value = pair.value
        found.setdefault(pair.key, None if value is None else value.value)
    return found
