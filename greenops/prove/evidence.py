"""Bodies of ledger entries that carry all their inputs, so that anyone can compute them again."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from greenops.domain.console import DecisionRecord
from greenops.domain.evidence import AvoidedEmissions
from greenops.domain.override import Override
from greenops.domain.record import canonical, plain, restore
from greenops.errors import MixedQuantities
from greenops.prove.chain import digest
from greenops.prove.published import Published, departures
from greenops.prove.savings import Energy, Window, avoided, emitted, mean_of
from greenops.units import Grams

TOLERANCE = 1e-9
"""Largest relative difference between a stored number and the same number computed again; sums in
another order differ by less."""


@dataclass(frozen=True, slots=True)
class OutcomeEvidence:
    """What one run avoided, with every input of the number.

    A run that was not moved has one start on both sides, and so avoids nothing.

    Attributes:
        run_key: Idempotency key of the run.
        receipt_id: Action id of the receipt that says the run took place as decided.
        energy: Of this run; the same on both sides [kWh].
        chosen: Where and when it ran.
        baseline: Where and when it would have run without GreenOps.
        chosen_g: What it emitted [gCO2e].
        baseline_g: What it would have emitted [gCO2e].
        avoided: The difference; may be negative.
        held_out: The comparison rests on a hold-out.
        replay: Computed on played-back history, not on live data.
        factors_version: Content hash of the factors, `greenops.factors.version`.
    """

    workload: str
    run_key: str
    decision_id: str
    receipt_id: str
    energy: Energy
    chosen: Window
    baseline: Window
    chosen_g: Grams
    baseline_g: Grams
    avoided: AvoidedEmissions
    held_out: bool
    replay: bool
    factors_version: str | None = None


def outcome(
    *,
    workload: str,
    run_key: str,
    decision_id: str,
    receipt_id: str,
    energy: Energy,
    chosen: Window,
    baseline: Window,
    replay: bool,
    held_out: bool = False,
    factors_version: str | None = None,
) -> OutcomeEvidence:
    """Compute what a run avoided and keep the inputs with it; `plain` of it is the entry's body.

    Raises:
        MixedQuantities: The two windows are of different signals or factors (GO0301).
    """
    return OutcomeEvidence(
        workload=workload,
        run_key=run_key,
        decision_id=decision_id,
        receipt_id=receipt_id,
        energy=energy,
        chosen=chosen,
        baseline=baseline,
        chosen_g=emitted(energy.estimate, chosen),
        baseline_g=emitted(energy.estimate, baseline),
        avoided=avoided(energy, baseline, chosen, held_out=held_out),
        held_out=held_out,
        replay=replay,
        factors_version=factors_version,
    )


def recompute(body: Mapping[str, object], published: Published | None = None) -> list[str]:
    """Compute an outcome again from its own inputs: what differs, a sentence each.

    Args:
        body: Of an outcome entry.
        published: What the inputs are compared with; none: they are taken as they are.
    """
    try:
        stored = restore(OutcomeEvidence, body)
        return [*_implausible(stored), *_differences(stored), *_departures(stored, published)]
    except (ValueError, TypeError, AttributeError, KeyError, OverflowError) as error:
        return [f"its outcome cannot be computed again: {error}"]
    except MixedQuantities as error:
        return [f"its outcome mixes quantities: {error.message}"]


def _implausible(stored: OutcomeEvidence) -> Iterator[str]:
    energy = stored.energy
    if (energy.low is None) != (energy.high is None):
        yield "its energy has half a range"
    low = energy.estimate if energy.low is None else energy.low
    high = energy.estimate if energy.high is None else energy.high
    if not 0 <= low <= energy.estimate <= high < math.inf:
        yield "its energy lies outside its own range"
    for name, place in (("chosen", stored.chosen), ("baseline", stored.baseline)):
        if not 1 <= place.pue < math.inf:
            yield f"its {name} window has the impossible PUE {place.pue:g}"
        if not all(0 <= hour < math.inf for hour in place.hours):
            yield f"its {name} window has an impossible intensity"


def _departures(stored: OutcomeEvidence, published: Published | None) -> Iterator[str]:
    if published is None:
        return
    for name, place in (("chosen", stored.chosen), ("baseline", stored.baseline)):
        for each in departures(place, stored.factors_version, published, replay=stored.replay):
            yield f"its {name} window {each}"


def _differences(stored: OutcomeEvidence) -> Iterator[str]:
    for name, place in (("chosen", stored.chosen), ("baseline", stored.baseline)):
        mean = mean_of(place.hours, place.hours_from, place.step_s, place.start, place.end)
        yield from _differs(f"{name}.intensity_mean", place.intensity_mean, mean, mean)
        grams = emitted(stored.energy.estimate, place)
        yield from _differs(f"{name}_g", getattr(stored, f"{name}_g"), grams, grams)
    again = avoided(stored.energy, stored.baseline, stored.chosen, held_out=stored.held_out)
    # A small difference of two large amounts is only as exact as these are.
    most = stored.energy.estimate if stored.energy.high is None else stored.energy.high
    scale = max(emitted(most, stored.chosen), stored.baseline_g)
    for name in ("estimate", "low", "high"):
        ours, theirs = getattr(stored.avoided, name), getattr(again, name)
        yield from _differs(f"avoided.{name}", ours, theirs, scale)
    if stored.avoided.grade != again.grade:
        yield f"its grade is {stored.avoided.grade}, but its inputs give {again.grade}"


def _differs(name: str, stored: float | None, again: float | None, scale: float) -> Iterator[str]:
    if stored is None or again is None:
        if stored is not again:
            yield f"its `{name}` is {_said(stored)}, but its inputs give {_said(again)}"
        return
    # Written so that a stored NaN differs as well.
    if not abs(stored - again) <= TOLERANCE * abs(scale):
        yield f"its `{name}` is {stored:.9g}, but its inputs give {again:.9g}"


def decision_body(record: DecisionRecord) -> Mapping[str, object]:
    """Body of a decision entry: the whole record and the hash of its bytes."""
    return {
        "id": record.decision.id,
        "record": plain(record),
        "sha256": digest(canonical(record)).hex(),
    }


def override_body(override: Override) -> Mapping[str, object]:
    """Body of an override entry: who, why, until when, and what it put aside; its order by name."""
    body = plain(replace(override, action=None, receipt=None))
    return body if override.action is None else {**body, "action_id": override.action.id}


def recompute_decision(body: Mapping[str, Any]) -> list[str]:
    """Whether a decision has the bytes and the name that were decided; sentences where not."""
    try:
        record, named = body["record"], body["id"]
        if digest(canonical(record)).hex() != body["sha256"]:
            return ["its decision record does not have the bytes that its hash names"]
        decision = record["decision"]
        again = decision_id(decision)
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        return [f"its decision cannot be computed again: {error!r}"]
    if not named == decision["id"] == again:
        return [f"its decision is named `{named}`, but its content gives `{again}`"]
    return []


def decision_id(decision: Mapping[str, Any]) -> str:
    """The name that a decision's plain form has: `dec-` and 96 bits of SHA-256 over all else."""
    return f"dec-{digest(canonical({**decision, 'id': ''})).hex()[:24]}"


def _said(value: float | None) -> str:
    return "not known" if value is None else f"{value:.9g}"
