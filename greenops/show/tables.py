"""What the pages show, row by row, made from records without Streamlit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

from greenops.domain.action import Receipt
from greenops.domain.console import DecisionRecord, Overview, ServiceFootprint
from greenops.domain.decision import Candidate, Decision
from greenops.domain.energy import Category
from greenops.domain.replay import parse_replay
from greenops.domain.workload import Limits
from greenops.errors import UsageError
from greenops.show import format as show

Row = dict[str, str]

CATEGORY_NAMES: Final = {
    Category.ATTRIBUTED: "attributed to spans",
    Category.IDLE: "idle",
    Category.UNATTRIBUTED: "unattributed",
    Category.OTHER_PROCESS: "other processes",
    Category.OVERHEAD: "GreenOps itself",
}


def known_sum(values: Iterable[float | None]) -> tuple[float | None, int]:
    """Sum of what is known, none where nothing is; and how many are not known."""
    given = list(values)
    known = [each for each in given if each is not None]
    return (sum(known) if known else None), len(given) - len(known)


def service_rows(services: Sequence[ServiceFootprint]) -> list[Row]:
    """One row per service; energy and carbon per request with their range and method."""
    return [_service_row(each) for each in services]


def _service_row(service: ServiceFootprint) -> Row:
    return {
        "Service": service.service,
        "Region": ", ".join(service.regions) or show.NOT_KNOWN,
        "Requests": f"{service.requests:,}",
        "J per request": show.joules(service.energy_j_per_request),
        "J, 90 % range": _per_request(service, service.energy_low_j, service.energy_high_j),
        "g per request": show.grams(service.carbon_g_per_request),
        "g, 90 % range": _carbon_per_request(service),
        "Energy": show.joules(service.energy_j),
        "CO2e": show.grams(service.carbon_g),
        "Cost": show.usd(service.cost_usd),
        "Method": service.method or show.NOT_KNOWN,
        "Workload": service.workload or show.NOT_KNOWN,
    }


def _per_request(service: ServiceFootprint, low: float | None, high: float | None) -> str:
    if not service.requests or low is None or high is None:
        return show.NOT_KNOWN
    return show.joules_range(low / service.requests, high / service.requests)


def _carbon_per_request(service: ServiceFootprint) -> str:
    """Law: grams are joules times factors, so the relative range of energy is that of carbon."""
    middle, grams = service.energy_j, service.carbon_g_per_request
    low, high = service.energy_low_j, service.energy_high_j
    if not middle or grams is None or low is None or high is None:
        return show.NOT_KNOWN
    return show.grams_range(grams * low / middle, grams * high / middle)


def energy_rows(overview: Overview) -> list[Row]:
    """Energy by category and its emissions; what was not reported is not known."""
    whole, _ = known_sum(overview.energy.values())
    # What drew nothing emitted nothing, wherever it stands.
    nothing = {name: 0.0 for name, joules in overview.energy.items() if not joules}
    carbon = {**nothing, **overview.carbon}
    rows = []
    for category, name in CATEGORY_NAMES.items():
        value = overview.energy.get(category.value)
        part = value / whole if value is not None and whole else None
        rows.append(
            {
                "Category": name,
                "Energy": show.joules(value),
                "Share": show.percent(part),
                "CO2e": show.grams(carbon.get(category.value)),
            }
        )
    return rows


def intensity_rows(overview: Overview) -> list[Row]:
    """Intensity now by region, cleanest first; data that is played back says so in each row."""
    data = "REPLAY, not live" if overview.replay else "live"
    ranked = sorted(overview.intensity.items(), key=lambda pair: pair[1])
    return [{"Region": r, "Intensity": show.intensity(v), "Data": data} for r, v in ranked]


def route_rows(overview: Overview) -> list[Row]:
    """Each route with its backends and their share [%]."""
    return [
        {"Route": route, "Backend": backend, "Share": f"{weight} %"}
        for route, weights in overview.routes.items()
        for backend, weight in weights.items()
    ]


def replay_line(overview: Overview) -> str | None:
    """The sentence that says what is played back; none for live data."""
    if not overview.replay:
        return None
    try:
        replay = parse_replay(overview.replay)
    except UsageError:
        replay = None
    faster = replay is not None and replay.rate != 1
    pace = f", {replay.rate:,g} times as fast as it happened" if replay and faster else ""
    return (
        f"REPLAY: recorded grid data is played back{pace}; it is {show.instant(overview.now)} "
        "in the replay. Intensity, carbon and decisions are not live."
    )


def decision_rows(decisions: Iterable[Decision]) -> list[Row]:
    """One row per decision, newest first, chosen beside baseline."""
    newest = sorted(decisions, key=lambda each: each.decided_at, reverse=True)
    return [
        {
            "Decision": each.id,
            "Decided": show.instant(each.decided_at),
            "Workload": each.workload,
            "Mode": each.mode.value,
            "From": main_place(each.baseline),
            "To": main_place(each.chosen),
            "Start": show.instant(each.chosen.start),
            "CO2e": show.grams(each.chosen.carbon_g),
            "Against baseline": show.change(each.chosen.carbon_g, each.baseline.carbon_g),
            "Data": "REPLAY" if each.replay else "live",
        }
        for each in newest
    ]


def place(candidate: Candidate) -> str:
    """Where a candidate runs: its region, or how it shares a route among backends."""
    if "=" in candidate.id:
        return ", ".join(f"{each.replace('=', ' ')} %" for each in candidate.id.split(","))
    return candidate.region or show.NOT_KNOWN


def main_place(candidate: Candidate) -> str:
    """Where most of it runs, for a narrow column."""
    shares = [each.rpartition("=") for each in candidate.id.split(",") if "=" in each]
    if not shares:
        return place(candidate)
    name, _, share = max(shares, key=lambda each: float(each[2]))
    return f"{name} {share} %"


def comparison_rows(decision: Decision) -> list[Row]:
    """Chosen, baseline and runner-up, column by column."""
    named = {"Chosen": decision.chosen, "Baseline (without GreenOps)": decision.baseline}
    if decision.runner_up is not None:
        named["Runner-up"] = decision.runner_up
    return [{"": name, **_candidate_cells(each)} for name, each in named.items()]


def turned(rows: Sequence[Row]) -> list[Row]:
    """The same table with rows and columns exchanged, for a narrow place."""
    first, *others = rows[0]
    return [{first: other, **{row[first]: row[other] for row in rows}} for other in others]


def _candidate_cells(candidate: Candidate) -> Row:
    return {
        "Region": place(candidate),
        "Start": show.instant(candidate.start),
        "End": show.instant(candidate.end),
        "CO2e": show.grams(candidate.carbon_g),
        "CO2e, 90 % range": show.grams_range(candidate.carbon_low_g, candidate.carbon_high_g),
        "Intensity": show.intensity(candidate.intensity),
        "Cost": show.usd(candidate.cost_usd),
    }


def three_numbers(decision: Decision) -> Row:
    """Deadline, most cost, most carbon; `not set` where no policy or file gives one."""
    limits = decision.limits
    return {
        "Deadline": _deadline(decision),
        "Maximum cost": _max_cost(limits),
        "Maximum carbon": _max_carbon(limits),
    }


def _deadline(decision: Decision) -> str:
    if decision.deadline is not None:
        return show.instant(decision.deadline)
    within, clock = decision.limits.deadline_within, decision.limits.deadline_at
    if within is not None:
        return f"{show.duration(within)} after submission"
    return f"{clock.at:%H:%M} {clock.time_zone}" if clock is not None else show.NOT_SET


def _max_cost(limits: Limits) -> str:
    parts = []
    if limits.max_cost_usd is not None:
        parts.append(show.usd(limits.max_cost_usd))
    if limits.max_cost_increase is not None:
        parts.append(f"baseline + {show.percent(limits.max_cost_increase, 0)}")
    return " and ".join(parts) or show.NOT_SET


def _max_carbon(limits: Limits) -> str:
    parts = []
    if limits.max_carbon_reduction is not None:
        parts.append(f"baseline - {show.percent(limits.max_carbon_reduction, 0)}")
    if limits.max_intensity is not None:
        parts.append(show.intensity(limits.max_intensity))
    return " and ".join(parts) or show.NOT_SET


def rejection_rows(record: DecisionRecord) -> list[Row]:
    """One row per rule that refused candidates: how many, the author's words, one example."""
    refused: defaultdict[str, list[str]] = defaultdict(list)
    for candidate, rules in record.decision.rejected.items():
        for rule in rules:
            refused[rule].append(candidate)
    words = {
        rule: text
        for verdict in reversed(record.verdicts)
        for rule, text in {**verdict.errors, **verdict.messages}.items()
    }
    most_first = sorted(refused.items(), key=lambda pair: (-len(pair[1]), pair[0]))
    return [
        {
            "Rule": rule,
            "Refused": f"{len(ids):,}",
            "Why": words.get(rule, "the rule has no message"),
            "For example": ids[0],
        }
        for rule, ids in most_first
    ]


def receipt_rows(receipts: Iterable[Receipt]) -> list[Row]:
    """What became of each action; whether it was on time where that matters."""
    words = {True: "on time", False: "LATE", None: "does not matter"}
    return [
        {
            "Target": each.target,
            "Action": each.kind,
            "Outcome": each.outcome.value,
            "At": show.instant(each.at),
            "On time": words[each.on_time],
            "Detail": each.detail,
        }
        for each in receipts
    ]


def receipt_line(receipt: Receipt) -> str:
    """A receipt as one sentence."""
    when = f" at {show.instant(receipt.at)}" if receipt.at else ""
    return (
        f"Receipt: {receipt.target} {receipt.kind}: {receipt.outcome.value}{when}. {receipt.detail}"
    )


def workload_names(overview: Overview, decisions: Iterable[Decision]) -> list[str]:
    """Workloads to ask about: those with a deadline first, then by name."""
    dated = {each.workload for each in decisions if each.deadline is not None}
    seen = {each.workload for each in overview.services if each.workload}
    placed = {each.workload for each in decisions}
    return [*sorted(dated), *sorted((seen | placed) - dated)]
