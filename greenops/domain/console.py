"""What the doors show and take: the overview, the what-if question, the order to send."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from greenops.domain.action import Receipt
from greenops.domain.decision import Candidate, Decision, Verdict
from greenops.domain.evidence import AvoidedEmissions, Verification
from greenops.domain.footprint import CacheSavings, Fleet, RemoteEnergy, TokenCurve
from greenops.domain.workload import Job
from greenops.units import Grams, GramsPerKwh, Joules, Seconds, Usd


@dataclass(frozen=True, slots=True)
class ServiceFootprint:
    """Energy and carbon of one service so far; None means not known, never zero.

    Attributes:
        requests: Spans of kind SERVER, else root spans.
        energy_low_j, energy_high_j: 90 % range [J]; spans of one meter err together.
        method: The weakest method among its spans.
        embodied_g: Its part of making the machines [gCO2e]; never in `carbon_g`.
        embodied_g_per_request: The same by the requests that `carbon_g_per_request` is for [gCO2e]; none where fewer
            spans tell it than have emissions: a part would pass for the whole.
        network_low_j, network_high_j: Range of what carrying its bytes takes [J]; never in `energy_j`.
        energy_j_per_item: Energy of the spans that tell `greenops.items`, by those [J].
        energy_j_per_output_token: Energy of its own calls of language models, by their output [J].
    """

    service: str
    workload: str | None
    regions: tuple[str, ...]
    requests: int
    spans: int
    energy_j: Joules | None
    energy_low_j: Joules | None
    energy_high_j: Joules | None
    carbon_g: Grams | None
    cost_usd: Usd | None
    energy_j_per_request: Joules | None
    carbon_g_per_request: Grams | None
    method: str | None
    embodied_g: Grams | None = None
    network_low_j: Joules | None = None
    network_high_j: Joules | None = None
    energy_j_per_item: Joules | None = None
    energy_j_per_output_token: Joules | None = None
    embodied_g_per_request: Grams | None = None


@dataclass(frozen=True, slots=True)
class Overview:
    """One screen: what was used, where it went, what was decided, whether it adds up.

    Attributes:
        energy: Category → energy [J], summed over all reporting processes.
        conservation_residual_ratio: |metered - accounted| / metered; none before the first tick.
        attributed_share: Attributed over dynamic energy of the instrumented processes.
        intensity: Region → carbon intensity now [gCO2e/kWh].
        routes: Route → backend → percent.
        replay: The replay in force, as its variable says; none for live data.
        carbon: Category → emissions of that energy [gCO2e], location-based; absent where not known.
        remote: Calls of language models served elsewhere; in no other number.
        own_share: Emissions of GreenOps itself over the avoided ones [1]; none without a saving.
    """

    now: datetime
    replay: str | None
    services: tuple[ServiceFootprint, ...]
    spans: int
    spans_with_energy: int
    spans_unknown: int
    energy: Mapping[str, Joules]
    conservation_residual_ratio: float | None
    attributed_share: float | None
    intensity: Mapping[str, GramsPerKwh]
    routes: Mapping[str, Mapping[str, int]]
    decisions: int
    receipts: int
    avoided: AvoidedEmissions | None
    ledger: Verification | None
    carbon: Mapping[str, Grams] = field(default_factory=dict)
    remote: tuple[RemoteEnergy, ...] = ()
    fleet: Fleet | None = None
    caches: tuple[CacheSavings, ...] = ()
    curves: tuple[TokenCurve, ...] = ()
    own_share: float | None = None


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """A decision with all it rested on; deciding again from it gives the same bytes.

    Attributes:
        policies: The policy documents that were in force, name → text.
    """

    decision: Decision
    candidates: tuple[Candidate, ...]
    verdicts: tuple[Verdict, ...]
    policies: Mapping[str, str]
    receipts: tuple[Receipt, ...] = ()
    job: Job | None = None


@dataclass(frozen=True, slots=True)
class WhatIfQuestion:
    """What would be chosen for a workload under other bounds; policies hold all the same.

    Attributes:
        max_delay_h: Longest wait for the end after submission [h].
        max_cost_increase: Most above the baseline's cost, 0.10 for 10 %.
        move_regions: Whether other allowed regions count.
    """

    workload: str
    max_delay_h: float
    max_cost_increase: float
    move_regions: bool


@dataclass(frozen=True, slots=True)
class FrontierPoint:
    """The best choice for one longest delay."""

    max_delay_h: float
    carbon_g: Grams
    cost_usd: Usd


@dataclass(frozen=True, slots=True)
class DayOfRefreshes:
    """A day of refreshes of one product, with what they emit and cost; none means not known.

    Attributes:
        starts: When they run.
        carbon_g: Emissions of the day [gCO2e]; low and high: 90 % range, as if all runs' forecasts erred together.
        cost_usd: Price of the day at the on-demand pool [USD].
        longest_gap_s: Longest time between two starts, the next day taken as alike [s].
    """

    starts: tuple[datetime, ...]
    carbon_g: Grams | None
    carbon_low_g: Grams | None
    carbon_high_g: Grams | None
    cost_usd: Usd | None
    longest_gap_s: Seconds


@dataclass(frozen=True, slots=True)
class Cadence:
    """What a time between two refreshes emits and costs a day.

    Attributes:
        every_s: Time between two refreshes [s].
        refreshes: How many a day.
        fixed: Each at the start of its period; none where a run takes longer than a period.
        best: Each at the best time within its period; none where that, or the day's forecast, is missing.
    """

    every_s: Seconds
    refreshes: int
    fixed: DayOfRefreshes | None
    best: DayOfRefreshes | None


@dataclass(frozen=True, slots=True)
class WhatIfAnswer:
    """The choice, what it would save, and what other delays would give.

    Attributes:
        id: Name of this answer; `SendOrder` refers to it.
        sendable: A target can carry it out and the policies allow it.
        why_not: Why it is not sendable.
        job: The run that was asked about; with it the decision can be made again.
        cadences: What refreshing every 1, 2, 6 and 24 hours from now on, at home, would emit and cost a day.
    """

    id: str
    question: WhatIfQuestion
    decision: Decision
    avoided: AvoidedEmissions | None
    extra_cost_usd: Usd | None
    frontier: tuple[FrontierPoint, ...]
    sendable: bool
    why_not: str | None = None
    candidates: tuple[Candidate, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    policies: Mapping[str, str] = field(default_factory=dict)
    job: Job | None = None
    cadences: tuple[Cadence, ...] = ()


@dataclass(frozen=True, slots=True)
class SendOrder:
    """A person sends a what-if answer to its target.

    Attributes:
        actor: Who sends it, an e-mail address.
    """

    answer_id: str
    actor: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class JobRequest:
    """Someone wants to run a workload.

    Attributes:
        workload: Name of a declared workload.
        run_key: Idempotency key of the run.
        submitted: When it is submitted (simulated time).
        labels: Values for the workload's declared labels.
        triggered: It stands ready to start: without GreenOps it would start now, whatever its
            schedule says of other days.
    """

    workload: str
    run_key: str
    submitted: datetime
    labels: Mapping[str, str] = field(default_factory=dict)
    triggered: bool = False
