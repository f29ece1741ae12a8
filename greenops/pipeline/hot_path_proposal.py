"""Workloads for what could be moved off the hot path, as YAML that can be pasted, and one policy that moves them.

What spans tell is filled in: run times, energy, region, schedule. What nobody can tell from spans, how late a
result may be, is proposed as half the time between two runs and said to be a guess. The policy is in shadow
mode: what it would do is written down, and nothing is moved before somebody says so.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from math import ceil
from typing import Final

from greenops.pipeline.hot_path_split import Movable, Split, Why
from greenops.units import Joules, to_kwh

HOUR: Final = timedelta(hours=1)
LONGEST_WAIT: Final = timedelta(hours=48)
USUAL_WAIT: Final = timedelta(hours=12)
"""Where only one run was seen."""
AFTER_ANSWER: Final = HOUR
"""How late what a request set off may be: people may come back to see it."""
SLACK: Final = 1.25
"""The longest of some runs is not their P95: this much more is taken."""
SHORTEST_S: Final = 60.0
"""Longest run that is not worth a plan of its own [s]; starts are considered every half hour."""
TWO_MINUTES_S: Final = 120
OWNER: Final = "you@example.com"
CLASSES: Final[Mapping[str, str]] = {
    "candidate": "candidate-sets",
    "image": "image-embeddings",
    "embed": "embeddings",
    "enrich": "enrichment",
    "forecast": "demand-forecast",
    "index": "index-rebuild",
    "backfill": "backfill",
    "feature": "batch-features",
    "train": "training",
}
"""Word in a name → class of workload that has a template, the more special first."""
NO_NAME: Final = re.compile(r"[^a-z0-9]+")
VERB: Final = re.compile(r"^(run|execute|start|process)\s+", re.IGNORECASE)


def names(movable: Sequence[Movable], taken: Collection[str]) -> list[str | None]:
    """A name of its own for each, as a workload has one; none for a declared job, and for what is too short.

    Args:
        movable: What could be moved.
        taken: Names of declared workloads.
    """
    found: list[str | None] = []
    for each in movable:
        if is_declared(each, taken) or too_short(each):
            found.append(None)
            continue
        name = base = _slug(each)
        number = 2
        while name in found or name in taken:
            name, number = f"{base}-{number}", number + 1
        found.append(name)
    return found


def is_declared(of: Movable, taken: Collection[str]) -> bool:
    """Whether its runs are of a workload that is declared."""
    return of.why is Why.JOB and of.workload in taken


def too_short(of: Movable) -> bool:
    """Whether a run is too short to be planned alone; a job is planned by itself already."""
    return of.why is not Why.JOB and of.longest_s < SHORTEST_S


def proposal(split: Split, taken: Collection[str] = ()) -> str:
    """Documents of `kind: Workload`, and a policy for all of them; empty where there is nothing to move.

    Args:
        split: What the traces say.
        taken: Names of declared workloads.
    """
    pairs = list(zip(names(split.movable, taken), split.movable, strict=True))
    of = [(name, each) for name, each in pairs if name is not None]
    short = [each for name, each in pairs if name is None and too_short(each)]
    notes = "".join(f"{line}\n" for each in short for line in _gather(each))
    if not of:
        return notes
    documents = ["".join(f"{line}\n" for line in _workload(name, each)) for name, each in of]
    return notes + "---\n".join([*documents, _policy(of)])


def _gather(of: Movable) -> Iterator[str]:
    energy = "" if of.energy_j is None else f", {of.energy_j:.3g} J each"
    yield f"# {_told(of)} {of.length_s:.2g} s{energy}."
    yield "# Too short to plan one by one: gather them in a queue, and plan the run that empties it."


def _told(of: Movable) -> str:
    runs = f"{of.runs:,} run{'s' if of.runs != 1 else ''}"
    return f"`{_plain(of.operation)}` of {_plain(of.service)} {of.why.value}: {runs} of"


def _slug(of: Movable) -> str:
    # The workload of a span is often that of the service which answers people.
    told = of.workload if of.why is Why.JOB and of.workload else VERB.sub("", of.operation)
    return NO_NAME.sub("-", told.lower()).strip("-")[:63].strip("-") or "work"


def _workload(name: str, of: Movable) -> Iterator[str]:
    yield f"# {_told(of)} {timedelta(seconds=round(of.length_s))} seen."
    if kind := next((kind for word, kind in CLASSES.items() if word in name), None):
        yield f"# There is a template for its class: policies/templates/classes/{kind}.yaml."
    yield "apiVersion: greenops.dev/v1alpha1"
    yield "kind: Workload"
    yield f"metadata: {{name: {name}, owners: [{OWNER}]}}"
    yield "spec:"
    yield "  kind: batch"
    yield f"  urgency: {'standard' if of.why in (Why.AFTER, Why.QUEUE) else 'deferrable'}"
    region = of.region or "unknown"
    told = "" if of.region else "  # its spans do not say where they run: put the region in"
    yield f"  homeRegion: {region}{told}"
    if of.region:
        yield f"  allowedRegions: [{region}]"
    if of.starts_at is not None:
        minutes = int(of.starts_at.total_seconds() // 60)
        yield f'  schedule: {{at: "{minutes // 60:02d}:{minutes % 60:02d}", timeZone: UTC}}'
    yield f"  duration: {_length(of.length_s)}"
    yield f"  durationP95: {_length(SLACK * of.longest_s)}  # the longest seen, and a quarter"
    if of.energy_j is not None:
        yield f"  energyKwh: {to_kwh(Joules(of.energy_j)):.3g}"
    yield f"  deadline: {{within: {_length(_wait(of).total_seconds())}}}  # a guess: how late may its result be?"
    yield "  maxCost: {increase: 10%}"
    yield "  maxCarbon: {reduction: 5%}"
    yield "  # What data it touches no span tells; rules on personal data bind it until you do."
    yield "  # dataClass: internal"
    yield "  # containsPersonalData: false"


def _wait(of: Movable) -> timedelta:
    """How late it may be: half the time to its next run, as far as spans can tell."""
    longest = timedelta(seconds=SLACK * of.longest_s)
    if of.why in (Why.AFTER, Why.QUEUE):
        return max(AFTER_ANSWER, 2 * longest)
    half = USUAL_WAIT if of.every_s is None else timedelta(seconds=of.every_s / 2)
    whole = timedelta(hours=round(half / HOUR) or 1)
    return max(min(whole, LONGEST_WAIT), longest + HOUR)


def _policy(of: Sequence[tuple[str, Movable]]) -> str:
    first, movable = of[0]
    place = f"region: {movable.region or 'unknown'}, pool: ondemand"
    return f"""\
# In shadow mode it moves nothing: `greenops plan --all` says what it would do. Then: `enforcement: {{mode: enforce}}`.
apiVersion: greenops.dev/v1alpha1
kind: PlacementPolicy
metadata: {{name: around-the-hot-path, owners: [{OWNER}]}}
spec:
  match:
  - {{name: these-jobs, expression: job.name in params.jobs}}
  params: {{jobs: [{", ".join(name for name, _ in of)}]}}
  constraints:
  - {{name: same-region, level: hard, expression: candidate.region == baseline.region, message: It stays where its data are.}}
  - {{name: steady-pool, level: hard, expression: candidate.pool == baseline.pool || job.interruptible, message: It must not be interrupted.}}
  objectives:
  - {{name: cleaner, when: candidate.carbon_g < baseline.carbon_g, minimize: candidate.carbon_g, tieBreak: candidate.cost_usd}}
  enforcement: {{mode: shadow}}
tests:
- name: it waits for a cleaner hour where it is, and not for another pool
  job: {{workload: {first}, submitted: "2026-01-01T00:00:00Z"}}
  baseline: {{id: now, {place}, carbon_g: 100.0, cost_usd: 1.0, start: "2026-01-01T00:00:00Z", end: "2026-01-01T00:10:00Z"}}
  candidates:
  - {{id: later, {place}, carbon_g: 80.0, cost_usd: 1.0, start: "2026-01-01T00:30:00Z", end: "2026-01-01T00:40:00Z"}}
  - {{id: spot, {place.replace("ondemand", "spot")}, carbon_g: 70.0, cost_usd: 0.5, start: "2026-01-01T00:30:00Z", end: "2026-01-01T00:40:00Z"}}
  expect: {{choose: later, rejected: {{spot: [steady-pool]}}}}
"""


def _length(seconds: float) -> str:
    """Rounded up to whole seconds, or minutes from two on, as a person would write it."""
    whole = max(1, ceil(round(seconds, 6)))
    if whole < TWO_MINUTES_S:
        return f"{whole}s"
    minutes = ceil(whole / 60)
    return f"{minutes // 60}h" if minutes % 60 == 0 else f"{minutes}m"


def _plain(text: str) -> str:
    """Without what would end a comment; names of spans are whatever their sender wrote."""
    return "".join(each if each.isprintable() else " " for each in text)[:80]
