"""`kind: Workload` documents, read into `Workload` records; a batch job must give its three numbers."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

from greenops.domain.workload import ClockTime, Limits, Urgency, Workload, WorkloadKind
from greenops.policy.calendar_file import read_calendar, read_days, read_zone
from greenops.policy.fields import Fields
from greenops.policy.quantity import clock
from greenops.units import GramsPerKwh, Kwh, Seconds, Usd

PREFIX = "GO02"
LONGEST_JITTER = timedelta(minutes=30)
"""The distance between two starts that a plan considers."""
PERSONAL = "personal"
"""The data class that means personal data without saying so twice."""


def read_workload(name: str, spec: Fields) -> Workload | None:
    """A workload from its `spec`; none where a field it cannot do without is wrong."""
    spec.prefix = PREFIX
    before = len(spec.report.problems)
    kind = spec.choice("kind", WorkloadKind, required=True)
    urgency = spec.choice("urgency", Urgency)
    home = spec.text("homeRegion", required=True)
    limits = read_limits(spec)
    usual, p95 = spec.duration("duration"), spec.duration("durationP95")
    data_class = spec.text("dataClass")
    personal = personal_data(spec, "containsPersonalData", data_class)
    schedule, calendar = spec.map("schedule"), read_calendar(spec)
    closed = calendar.holidays if calendar else None
    fields = {
        "allowed_regions": regions(spec, "allowedRegions"),
        "team": spec.text("team"),
        "criticality": spec.text("criticality"),
        "interruptible": spec.flag("interruptible") or False,
        "energy_kwh": _kwh(spec.number("energyKwh", "energy in kWh, such as 2.4")),
        "transfer_gb": spec.number("transferGb"),
        "schedule": _open(clock_time(schedule) if schedule else None, closed),
        "target": spec.text("target"),
        "learn": spec.flag("learn"),
        "max_concurrent": _count(spec, "maxConcurrent"),
        "jitter": _jitter(spec),
        "labels": _labels(spec),
    }
    spec.done()
    if kind is None or home is None:
        return None
    urgency = urgency or _usual_urgency(kind)
    _check_waiting(spec, urgency)
    if kind is WorkloadKind.BATCH:
        _check_three_numbers(spec, limits, urgency)
    if len(spec.report.problems) > before:
        return None
    return Workload(
        name=name,
        kind=kind,
        urgency=urgency,
        home_region=home,
        data_class=data_class,
        contains_personal_data=personal,
        duration_s=_seconds(usual or p95),
        duration_p95_s=_seconds(p95),
        limits=replace(limits, deadline_at=_open(limits.deadline_at, closed)),
        calendar=calendar,
        source=spec.node.at,
        **fields,  # type: ignore[arg-type]
    )


def _open(clock: ClockTime | None, closed: tuple[date, ...] | None) -> ClockTime | None:
    """A time of day that does not count on dates that are closed."""
    return clock if clock is None or closed is None else replace(clock, closed=closed)


def _count(spec: Fields, name: str) -> int | None:
    form = "a whole number, 1 or more"
    given = spec.number(name, form)
    if given is None or (given >= 1 and given == int(given)):
        return None if given is None else int(given)
    spec.wrong(name, form)
    return None


def _jitter(spec: Fields) -> timedelta | None:
    found = spec.duration("jitter")
    if found is not None and found > LONGEST_JITTER:
        spec.wrong("jitter", "at most 30m: starts are considered every half hour")
        return None
    return found


def personal_data(fields: Fields, name: str, data_class: str | None) -> bool | None:
    """Does the work touch personal data; the class `personal` says so, and nothing unsays it."""
    given = fields.flag(name)
    if data_class == PERSONAL and given is False:
        fix = "remove it, or name another data class"
        fields.bad(name, f"`{fields.path(name)}` is false, but the data class is personal", fix)
    return True if data_class == PERSONAL else given


def regions(fields: Fields, name: str) -> tuple[str, ...]:
    """The regions allowed. A list without one would mean anywhere, as if the key were not there."""
    node = fields.get(name)
    if node is not None and node.items == ():
        fields.is_empty(name, "name a region, or remove the key: then policies alone decide")
    return fields.texts(name)


def _kwh(value: float | None) -> Kwh | None:
    return None if value is None else Kwh(value)


def _seconds(value: timedelta | None) -> Seconds | None:
    return None if value is None else Seconds(value.total_seconds())


def _usual_urgency(kind: WorkloadKind) -> Urgency:
    return Urgency.STANDARD if kind is WorkloadKind.BATCH else Urgency.INTERACTIVE


def _labels(spec: Fields) -> dict[str, str]:
    labels = spec.map("labels")
    if labels is None:
        return {}
    return {name: labels.text(name) or "" for name in labels.entries()}


def _check_waiting(spec: Fields, urgency: Urgency) -> None:
    """Law: interactive work is never delayed, so nothing in its file may say that it can be."""
    for name in ("schedule", "deadline", "calendar"):
        if urgency is Urgency.INTERACTIVE and spec.get(name) is not None:
            spec.bad(
                name,
                f"an interactive workload is never delayed, but has `{spec.path(name)}`",
                f"remove `{name}`, or make `urgency` standard or deferrable",
                "21",
            )


def _check_three_numbers(spec: Fields, limits: Limits, urgency: Urgency) -> None:
    given = {
        "deadline": limits.deadline_within is not None or limits.deadline_at is not None,
        "maxCost": limits.max_cost_usd is not None or limits.max_cost_increase is not None,
        "maxCarbon": limits.max_intensity is not None or limits.max_carbon_reduction is not None,
    }
    examples = {
        "deadline": "deadline: {within: 8h}",
        "maxCost": "maxCost: {increase: 10%}",
        "maxCarbon": "maxCarbon: {reduction: 15%}",
    }
    for name, there in given.items():
        waits = name == "deadline" and urgency is Urgency.INTERACTIVE
        told = name in (spec.node.entries or {}) and spec.report.problems
        if not there and not waits and not told:
            spec.report.add(
                PREFIX + "20",
                f"a batch workload needs its three numbers; `{spec.path(name)}` is missing",
                spec.node.at,
                f"add `{examples[name]}`",
            )


def read_limits(fields: Fields) -> Limits:
    """The three numbers `deadline`, `maxCost` and `maxCarbon` of a map."""
    deadline, cost = fields.map("deadline"), fields.map("maxCost")
    carbon = fields.map("maxCarbon")
    usd = cost.number("usd", "dollars as a number, such as 40.0") if cost else None
    most = carbon.number("intensity", "gCO2e/kWh as a number, such as 250") if carbon else None
    within = deadline.duration("within") if deadline else None
    by_clock = deadline is not None and {"at", "timeZone", "days"} & set(
        deadline.node.entries or {}
    )
    at = clock_time(deadline) if deadline and by_clock else None
    limits = Limits(
        deadline_within=within,
        deadline_at=at,
        max_cost_usd=None if usd is None else Usd(usd),
        max_cost_increase=cost.percent("increase") if cost else None,
        max_carbon_reduction=carbon.percent("reduction") if carbon else None,
        max_intensity=None if most is None else GramsPerKwh(most),
    )
    if deadline:
        deadline.asked |= {"at", "timeZone", "days"}
    for each in (deadline, cost, carbon):
        if each is not None:
            not_empty(each)
            each.done()
    return limits


def not_empty(fields: Fields) -> None:
    """Refuse a map that holds nothing, and name what it may hold."""
    if not fields.node.entries:
        fields.report.add(
            fields.prefix + "11",
            f"`{fields.what}` is empty",
            fields.node.at,
            f"give one of {', '.join(f'`{each}`' for each in sorted(fields.asked))}",
        )


def clock_time(fields: Fields) -> ClockTime | None:
    """`{at: "06:00", timeZone: Europe/Paris, days: [mon-fri]}`; none with a problem noted where it is wrong."""
    at, zone = fields.get("at", required=True), read_zone(fields)
    days = read_days(fields)
    if fields.what.endswith("schedule"):
        fields.done()
    if at is None or zone is None:
        return None
    found = clock(at.text or "")
    if found is None:
        fields.wrong("at", 'a time of day, such as "06:00"')
        return None
    return ClockTime(found, zone, days)
