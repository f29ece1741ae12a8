"""What policies would change: totals, by owner, workload and region, and the ten most changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa

from greenops.adapters.lake_history import RecordedBatch
from greenops.errors import DataMissing
from greenops.pipeline.policy_replay import NEVER, Chosen, Replayer
from greenops.pipeline.policy_replay_sums import NO_FIGURE, Figures, Sums, Two
from greenops.pipeline.policy_replay_words import MostChanged, Seen, assumed, told

MOST: Final = 10
"""Decisions that are told one by one."""
ALL: Final = "all"
DIMENSIONS: Final = ("owner", "workload", "region")


@dataclass(frozen=True, slots=True)
class Change:
    """After less before, over the changed decisions for which both are known.

    Attributes:
        low, high: Ends of the range, as if all forecasts were off together; none where one has no range.
        unknown: Changed decisions left out because a figure is absent.
    """

    change: float | None
    low: float | None = None
    high: float | None = None
    unknown: int = 0


@dataclass(frozen=True, slots=True)
class Part:
    """What changes for some of the decisions.

    Attributes:
        carbon_g: [gCO2e].
        cost_usd: [USD].
        p95_ms: Mean change of the latency, P95, over changed decisions that have one [ms].
        p95_most_ms: Largest rise of one of them [ms].
        carbon_before_g: Of all decisions, as far as known [gCO2e].
        missed_before, missed_after: Choices that end after the deadline in force.
    """

    name: str
    decisions: int
    changed: int
    carbon_g: Change
    cost_usd: Change
    p95_ms: float | None
    p95_most_ms: float | None
    missed_before: int
    missed_after: int
    carbon_before_g: float | None


@dataclass(frozen=True, slots=True)
class InEffect:
    """What would really move: choices that are enforced and not held out, else baselines.

    Attributes:
        changed: Decisions whose effect differs.
        carbon_g, cost_usd: Change of it; none where no such decision has a figure.
    """

    changed: int
    carbon_g: float | None
    cost_usd: float | None


@dataclass(frozen=True, slots=True)
class Report:
    """A whole comparison.

    Attributes:
        first, last: Simulated days, the first and the last that something was decided on.
        rows: Candidates that were looked at.
        orphans: Candidates left out: their decision is not in the lake, or lacks its job.
        differ: Rule, or `choice` → answers on which the two evaluators differ; empty is as it should be.
        assumed: Sentences on what the comparison takes as it was.
    """

    before: str
    after: str
    first: str
    last: str
    rows: int
    total: Part
    in_effect: InEffect
    by: dict[str, tuple[Part, ...]]
    most: tuple[MostChanged, ...]
    orphans: int = 0
    sampled: int = 0
    differ: dict[str, int] = field(default_factory=dict)
    assumed: tuple[str, ...] = ()


@dataclass(slots=True)
class _Book:
    replayer: Replayer
    total: Sums = field(default_factory=Sums)
    by: dict[str, Sums] = field(default_factory=lambda: {each: Sums() for each in DIMENSIONS})
    moved: Any = field(default_factory=lambda: np.zeros(5))
    most: list[Seen] = field(default_factory=list)

    def take(self, batch: RecordedBatch, starts: Any, chosen: Sequence[Chosen]) -> None:
        before, after = chosen
        sides = [Figures.of(batch.candidates, each.rows) for each in chosen]
        missed = [
            (found.ends != NEVER) & (found.ends > each.ends)
            for found, each in zip(sides, chosen, strict=True)
        ]
        two = Two(sides[0], sides[1], before.rows != after.rows, (missed[0], missed[1]))
        self.total.add(two, [ALL], np.zeros(len(starts), np.int64))
        workloads, owners = self._groups(batch, after)
        self.by["workload"].add(two, *workloads)
        self.by["owner"].add(two, *owners)
        self.by["region"].add(two, *_regions(batch.candidates, before.rows, after.rows))
        self.moved += _moved(batch.candidates, starts, chosen, sides)
        self._most(batch, starts, chosen, two)

    def _groups(self, batch: RecordedBatch, after: Chosen) -> tuple[Any, Any]:
        """Workload and owner of each job: its team, else who owns the policy that rules it."""
        at = next(i for i in (1, 0) if self.replayer.sides[i].policies is not None)
        tables, rulers = self.replayer.job_tables(at), self.replayer.of_stages(at).rulers
        column = batch.decisions.column("workload_record").combine_chunks()
        codes = column.indices.to_numpy(zero_copy_only=False)
        known = [tables.workload(each) for each in column.dictionary.to_pylist()]
        names, places = _distinct([each.name for each in known])
        pairs, inverse = np.unique(np.stack([codes, after.ruler]), axis=1, return_inverse=True)
        owners = []
        for code, ruler in pairs.T.tolist():
            team = known[code].team
            rules = rulers[ruler] if ruler >= 0 else None
            owners.append(team or (rules.owners[0] if rules and rules.owners else "no owner"))
        owner_names, owner_places = _distinct(owners)
        return (names, places[codes]), (owner_names, owner_places[inverse.ravel()])

    def _most(self, batch: RecordedBatch, starts: Any, chosen: Sequence[Chosen], two: Two) -> None:
        weight = np.nan_to_num(np.abs(two.after.carbon - two.before.carbon))
        cost = np.nan_to_num(np.abs(two.after.cost - two.before.cost))
        order = np.lexsort((-cost, -weight, ~two.changed))[:MOST]
        for at in (int(each) for each in order):
            job = batch.decisions.column("job_id")[at].as_py()
            key = (-float(weight[at]), -float(cost[at]), job)
            if not two.changed[at] or (len(self.most) == MOST and key >= self.most[-1].key):
                break
            length = int(np.append(starts, batch.candidates.num_rows)[at + 1] - starts[at])
            places = [int(each.rows[at] - starts[at]) for each in chosen]
            decision = batch.decisions.slice(at, 1).to_pylist()[0]
            seen = Seen(key, decision, batch.source, int(starts[at]), length, places[0], places[1])
            self.most = sorted([*self.most, seen], key=lambda each: each.key)[:MOST]


def compare(replayer: Replayer) -> Report:
    """Replay two sides and tell what the second would change.

    Raises:
        DataMissing: Nothing was recorded in the period, or a file is damaged.
    """
    book = _Book(replayer)
    for batch, starts, chosen in replayer.batches():
        book.take(batch, starts, chosen)
    most: list[MostChanged] = []
    differ = dict(replayer.checks.mismatches)
    for each in book.most:
        found, agree = told(each, replayer, whole=not most)
        most.append(found)
        if not agree:
            differ["choice"] = differ.get("choice", 0) + 1
    days, parts = replayer.days(), _parts(book.total)
    if not parts:
        raise DataMissing(
            "GO0451",
            f"{replayer.checks.orphans} candidates are recorded, but not the decisions they belong to",
            fix="bring back `lake/v1/decisions`, or choose another period",
        )
    return Report(
        before=replayer.sides[0].name,
        after=replayer.sides[1].name,
        first=days[0].isoformat(),
        last=days[-1].isoformat(),
        rows=replayer.checks.rows,
        total=parts[0],
        in_effect=_in_effect(book.moved),
        by={name: tuple(_ordered(_parts(sums))) for name, sums in book.by.items()},
        most=tuple(most),
        orphans=replayer.checks.orphans,
        sampled=replayer.checks.sampled,
        differ=differ,
        assumed=assumed(replayer),
    )


def _distinct(words: Sequence[str]) -> tuple[list[str], Any]:
    places: dict[str, int] = {}
    codes = [places.setdefault(each, len(places)) for each in words]
    return list(places), np.array(codes, np.int64)


def _regions(candidates: pa.Table, before: Any, after: Any) -> tuple[list[str], Any, Any]:
    column = candidates.column("region")
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    whole = column.unify_dictionaries().combine_chunks()
    words = [each or "no region" for each in (*whole.dictionary.to_pylist(), None)]
    names, places = _distinct(words)
    codes = whole.indices
    sides = [codes.take(pa.array(each)).fill_null(len(words) - 1) for each in (before, after)]
    old, new = (places[each.to_numpy(zero_copy_only=False)] for each in sides)
    return names, old, new


def _moved(
    candidates: pa.Table, starts: Any, chosen: Sequence[Chosen], sides: Sequence[Figures]
) -> Any:
    """Decisions whose effect differs; carbon and cost of it, and for how many each is known."""
    rows = [np.where(each.moves, each.rows, starts) for each in chosen]
    stays = Figures.of(candidates, starts)
    differ = rows[0] != rows[1]
    sums = [float(differ.sum())]
    for name in ("carbon", "cost"):
        old, new = (
            np.where(each.moves, getattr(found, name), getattr(stays, name))
            for each, found in zip(chosen, sides, strict=True)
        )
        known = differ & np.isfinite(new - old)
        sums += [float((new - old)[known].sum()), float(known.sum())]
    return np.array(sums)


def _in_effect(sums: Any) -> InEffect:
    changed, carbon, carbon_known, cost, cost_known = sums.tolist()
    return InEffect(
        int(changed),
        _figure(carbon, carbon_known, changed),
        _figure(cost, cost_known, changed),
    )


def _figure(value: float, known: float, changed: float) -> float | None:
    """A sum; 0 where nothing changes, none where something does and nothing is known of it."""
    return value if known or not changed else None


def _parts(sums: Sums) -> list[Part]:
    found = []
    for name, at in sums.names.items():
        of = {each: float(values[at]) for each, values in sums.sums.items()}
        changed, known, timed = of["changed"], of["carbon_known"], of["p95_known"]
        whole = of["carbon_ranged"] == known and (known > 0 or not changed)
        carbon = Change(
            _figure(of["carbon"], known, changed),
            of["low"] if whole else None,
            of["high"] if whole else None,
            int(changed - known),
        )
        cost = _figure(of["cost"], of["cost_known"], changed)
        most = float(sums.p95_most[at])
        found.append(
            Part(
                name,
                int(of["decisions"]),
                int(changed),
                carbon,
                Change(cost, unknown=int(changed - of["cost_known"])),
                of["p95"] / timed if timed else None,
                most if most != NO_FIGURE else None,
                int(of["missed_before"]),
                int(of["missed_after"]),
                of["carbon_before"],
            )
        )
    return found


def _ordered(parts: Sequence[Part]) -> list[Part]:
    """Most changed first."""
    return sorted(parts, key=lambda e: (-abs(e.carbon_g.change or 0.0), -e.changed, e.name))
