"""Energy and carbon of spans that nobody metered, a batch at a time: columns in, columns out; no clock, no file.

How to call it for N spans, from any decoder of OTLP:

    enricher = Enricher(tables)                       # once per version of the tables
    columns = Columns()                               # an attribute costs one look into `WANTED`
    for row, span in enumerate(spans):
        for key, value in span.attributes:
            if key in WANTED:
                columns.add(row, key, value)          # value: str, bool, int, float, or what else OTLP has
    batch = SpanBatch(kind, root, start_ns, end_ns, resource, resources, columns.finish())
    found = enricher.enrich(batch)                    # found.energy_j[row] is NaN where nothing is added

What it gives is what to *add*: `greenops.energy.self`, `.method` and `greenops.carbon.self` where the numbers are no
NaN, `greenops.energy.unknown` and `greenops.carbon.unknown` where the codes are not zero (`found.unknown_of(row)`).
The law, in this order, for each span:

1. It carries `greenops.energy.self`: that stands; carbon is added where it carries none.
2. It carries a reason, or remote energy: nothing is added.
3. It is a caller's span of one call of a language model: joules by token, or a reason. Carbon only where the span
   itself names the called region, for where the caller runs is not where the model does.
4. It is a run of a batch job (`cicd.pipeline.*`, `k8s.job.name`): watts of its workload by its time, or a reason.
5. Any other has no energy here, for what it caused is in spans that are not seen: `not_observed`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from greenops.domain.language_model import CallUnknown
from greenops.domain.spans import MOST
from greenops.observe import attributes as names
from greenops.observe import gen_ai
from greenops.observe.enrichment_batch import (
    Mask,
    SpanBatch,
    absent,
    either,
    first,
    given,
    mask,
    of_resource,
    text,
)
from greenops.observe.enrichment_columns import Columns, as_counts
from greenops.observe.enrichment_look import ModelIndex, RegionIndex
from greenops.observe.enrichment_tables import EnrichmentTables
from greenops.units import NS_PER_S

__all__ = ["CARBON_REASONS", "REASONS", "WANTED", "Columns", "Enriched", "Enricher", "SpanBatch"]

INTERNAL, SERVER, CLIENT, PRODUCER = 1, 2, 3, 4
"""Kinds of spans as OTLP numbers them; 0 is unspecified and stands for internal."""

NO_METER: Final = "no_meter"
NO_TIME: Final = "no_time"
REASONS: Final = (
    "",
    "not_observed",
    str(CallUnknown.NO_MODEL),
    str(CallUnknown.NO_TOKENS),
    str(CallUnknown.BAD_TOKENS),
    str(CallUnknown.UNKNOWN_MODEL),
    NO_METER,
    NO_TIME,
)
"""Values of `greenops.energy.unknown` by code; zero: none."""
CARBON_REASONS: Final = ("", "no_region", "no_zone", "no_intensity", "stale_table")
"""Values of `greenops.carbon.unknown` by code; zero: none."""

RUN_NAMES: Final = (
    "cicd.pipeline.name",
    "cicd.pipeline.run.id",
    "k8s.job.name",
    "k8s.cronjob.name",
)
"""On a span: it is a run of a batch job. On a resource: its root spans are."""
TASK: Final = "cicd.pipeline.task.name"
"""On a span: it is a part of a run, whose energy is in the run's."""
CARRIES: Final = (
    names.ENERGY_SELF,
    names.ENERGY_UNKNOWN,
    names.ENERGY_REMOTE,
    names.ENERGY_REMOTE_UNKNOWN,
)
WANTED: Final = frozenset(
    {
        *CARRIES,
        names.CARBON_SELF,
        names.CARBON_UNKNOWN,
        names.CLOUD_REGION,
        names.WORKLOAD,
        gen_ai.OPERATION,
        *gen_ai.MODEL,
        *gen_ai.INPUT,
        *gen_ai.OUTPUT,
        *gen_ai.CACHE_READ,
        *gen_ai.CACHE_CREATION,
        *gen_ai.REASONING,
        *RUN_NAMES,
        TASK,
    }
)
"""Attributes of spans that are looked at."""

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int8]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Enriched:
    """What to add to N spans; shape (N) each.

    Attributes:
        energy_j: `greenops.energy.self` [J]; NaN where none is added.
        carbon_g: `greenops.carbon.self` [g]; NaN where none is added.
        unknown: Place in `REASONS`.
        carbon_unknown: Place in `CARBON_REASONS`.
        model: Coefficient of each call; below zero where there is none.
        methods: Method of each coefficient.
    """

    energy_j: Floats
    carbon_g: Floats
    unknown: Codes
    carbon_unknown: Codes
    model: Ints
    methods: Sequence[str]

    def method_of(self, row: int) -> str | None:
        """Value of `greenops.energy.method` to add; none where no energy is added."""
        if np.isnan(self.energy_j[row]):
            return None
        model = int(self.model[row])
        return "estimated" if model < 0 else self.methods[model]

    def unknown_of(self, row: int) -> str | None:
        """Value of `greenops.energy.unknown` to add."""
        return REASONS[self.unknown[row]] or None

    def carbon_unknown_of(self, row: int) -> str | None:
        """Value of `greenops.carbon.unknown` to add."""
        return CARBON_REASONS[self.carbon_unknown[row]] or None


class Enricher:
    """Applies tables to batches of spans. Thread-safe: it changes nothing but a cache of names.

    Raises:
        ValueError: More regions than an integer has room for.
    """

    def __init__(self, tables: EnrichmentTables) -> None:
        self.tables = tables
        self._models = ModelIndex(tables.models)
        self._regions = RegionIndex(tables.regions)
        self._watts = dict(tables.watts)
        each = tables.models
        self._read = np.array([*(e.input_j for e in each), np.nan])
        self._cached = np.array([*(e.cached_j for e in each), np.nan])
        self._wrote = np.array([*(e.output_j for e in each), np.nan])
        self._methods = tuple(e.method for e in each)

    def enrich(self, batch: SpanBatch) -> Enriched:
        """What to add to each span of a batch."""
        count = len(batch.kind)
        found = Enriched(
            np.full(count, np.nan),
            np.full(count, np.nan),
            np.zeros(count, np.int8),
            np.zeros(count, np.int8),
            np.full(count, -1, np.int64),
            self._methods,
        )
        carried = mask(batch, (names.ENERGY_SELF,))
        free = ~(carried | mask(batch, CARRIES[1:]))
        calls = np.flatnonzero(free & _is_call(batch))
        self._calls(batch, calls, found)
        free[calls] = False
        runs = np.flatnonzero(free & _is_run(batch))
        self._runs(batch, runs, found)
        free[runs] = False
        found.unknown[free] = REASONS.index("not_observed")
        self._carry(batch, found)
        return found

    def _calls(self, batch: SpanBatch, rows: Ints, found: Enriched) -> None:
        if not len(rows):
            return
        model = self._models.find(first(batch, rows, gen_ai.MODEL))
        tokens, reasons = _tokens(batch, rows)
        fresh, cached, wrote = tokens
        # The last coefficient is a NaN, for names that are not known.
        joules = fresh * self._read[model] + cached * self._cached[model]
        joules += wrote * self._wrote[model]
        reasons[(reasons == 0) & (model < 0)] = REASONS.index("unknown_model")
        reasons[model == ModelIndex.NONE] = REASONS.index("no_model")
        joules[reasons != 0] = np.nan
        found.energy_j[rows], found.unknown[rows], found.model[rows] = joules, reasons, model
        self._carbon(batch, rows, joules, text(batch, rows, names.CLOUD_REGION), found)

    def _runs(self, batch: SpanBatch, rows: Ints, found: Enriched) -> None:
        if not len(rows):
            return
        workload = either(batch, rows, names.WORKLOAD)
        watts = np.array([self._watts.get(each or "", np.nan) for each in workload])
        duration = (batch.end_ns[rows] - batch.start_ns[rows]) / NS_PER_S
        late = duration < 0
        joules = np.where(late, np.nan, watts * duration)
        found.energy_j[rows] = joules
        found.unknown[rows[np.isnan(joules)]] = REASONS.index(NO_METER)
        found.unknown[rows[late]] = REASONS.index(NO_TIME)
        self._carbon(batch, rows, joules, self._region(batch, rows), found)

    def _carry(self, batch: SpanBatch, found: Enriched) -> None:
        """Carbon of spans that came with energy and without."""
        rows, joules = given(batch, names.ENERGY_SELF)
        told = mask(batch, (names.CARBON_SELF, names.CARBON_UNKNOWN))[rows]
        with np.errstate(invalid="ignore"):
            keep = ~told & (joules >= 0) & (joules <= MOST)
        rows, joules = rows[keep], joules[keep]
        if len(rows):
            self._carbon(batch, rows, joules, self._region(batch, rows), found)

    def _region(self, batch: SpanBatch, rows: Ints) -> list[str | None]:
        """Where spans ran: on an outgoing call the span's own region is that of the service called."""
        own = either(batch, rows, names.CLOUD_REGION)
        home = of_resource(batch, rows, names.CLOUD_REGION)
        outgoing = np.isin(batch.kind[rows], (CLIENT, PRODUCER))
        return [h if out else e for h, e, out in zip(home, own, outgoing, strict=True)]

    def _carbon(
        self,
        batch: SpanBatch,
        rows: Ints,
        joules: Floats,
        regions: Sequence[str | None],
        found: Enriched,
    ) -> None:
        known = ~np.isnan(joules)
        per_joule, why = self._regions.at(regions, batch.end_ns[rows])
        found.carbon_g[rows] = joules * per_joule
        found.carbon_unknown[rows] = np.where(known, why, 0)


def _is_call(batch: SpanBatch) -> Mask:
    """Whether spans are callers' spans of one call of a language model, as `gen_ai.is_call` tells."""
    found: Mask = mask(batch, gen_ai.MODEL) & (batch.kind <= CLIENT) & (batch.kind != SERVER)
    operation = batch.columns.get(gen_ai.OPERATION)
    if operation is not None:
        other = [not (isinstance(e, str) and e in gen_ai.CALLS) for e in operation.values]
        found[operation.rows[np.array(other, np.bool_)]] = False
    return found


def _is_run(batch: SpanBatch) -> Mask:
    jobs = [any(each.get(name) is not None for name in RUN_NAMES) for each in batch.resources]
    of_job = np.array(jobs, np.bool_)[batch.resource] if jobs else np.zeros(0, np.bool_)
    found: Mask = mask(batch, RUN_NAMES) | (of_job & batch.root)
    return found & ~mask(batch, (TASK,))


def _tokens(batch: SpanBatch, rows: Ints) -> tuple[tuple[Floats, Floats, Floats], Codes]:
    """Tokens of calls, disjoint, and why they are not known, as `gen_ai.tokens` tells them."""
    read, wrote = first(batch, rows, gen_ai.INPUT), first(batch, rows, gen_ai.OUTPUT)
    operation = first(batch, rows, (gen_ai.OPERATION,))
    wrote[absent(wrote) & (operation == gen_ai.READING)] = 0
    untold = absent(read) | absent(wrote)
    parts = [first(batch, rows, e) for e in (gen_ai.CACHE_READ, gen_ai.CACHE_CREATION)]
    parts.append(first(batch, rows, gen_ai.REASONING))
    for part in (read, wrote, *parts):
        part[absent(part)] = 0
    counts = [as_counts(each) for each in (read, wrote, *parts)]
    bad = np.isnan(np.sum(counts, axis=0))
    whole, written, cached, created, reasoned = counts
    with np.errstate(invalid="ignore"):
        fresh = np.where(cached + created > whole, whole + created, whole - cached)
        output = np.where(reasoned > written, written + reasoned, written)
    reasons = np.where(bad, REASONS.index("bad_tokens"), 0)
    reasons = np.where(untold, REASONS.index("no_tokens"), reasons).astype(np.int8)
    return (fresh, cached, output), reasons
