"""The demo's result as a page for people: plain text that fits a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from greenops.show.format import grams

WIDTH = 98


def page(found: dict[str, Any]) -> str:
    """The whole page."""
    parts = (
        _heading("What it used"),
        _services(found),
        _adds_up(found),
        _heading("What was decided"),
        _decisions(found),
        _heading("What was done"),
        _actions(found),
        _heading("What it saved, and the proof"),
        _proof(found),
    )
    return "\n".join(parts)


def _heading(text: str) -> str:
    return f"\n{text}\n{'─' * WIDTH}"


def number(value: float | None, unit: str, factor: float = 1.0) -> str:
    """A number with three figures and its unit; a dash where it is not known."""
    return "-" if value is None else f"{value * factor:.3g} {unit}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [list(head), *[list(row) for row in rows]]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    numeric = [_is_number(line[i]) for i in range(len(head)) for line in lines[1:2]]

    def text(line: list[str]) -> str:
        cells = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric or [False] * len(head), strict=True)
        ]
        return "  ".join(cells).rstrip()

    return "\n".join(text(line) for line in lines)


def _is_number(cell: str) -> bool:
    return cell[:1].isdigit() or cell == "-"


def _services(found: dict[str, Any]) -> str:
    rows = [
        (
            each["service"],
            ", ".join(each["regions"]),
            str(each["requests"]),
            number(each["energy_j_per_request"], "J"),
            f"{number(each['low'], '')}to {number(each['high'], 'J')}",
            grams(each["carbon_g_per_request"]),
            each["method"] or "unknown",
        )
        for each in found["services"]
    ]
    head = ("service", "region", "requests", "J/request", "90 % range", "CO2e/request", "method")
    return _table(head, rows)


def _adds_up(found: dict[str, Any]) -> str:
    residual, share = found["conservation_residual_ratio"], found["attributed_share"]
    known = found["spans_with_energy"] / found["spans"] if found["spans"] else 0
    shown = "not known" if residual is None else f"{residual:.1e}"
    part = "not known" if share is None else f"{share:.0%}"
    return (
        f"\n{found['spans']} spans, {known:.1%} with energy. Spans, idle and the rest add up to the "
        f"meter: residual {shown}.\n{part} of the services' dynamic energy is on a span."
    )


def _decisions(found: dict[str, Any]) -> str:
    return "\n".join(_decision(each) for each in _newest_per_workload(found["decisions"]))


def _newest_per_workload(decisions: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    newest: dict[str, dict[str, Any]] = {}
    for each in decisions:
        newest[each["workload"]] = each
    return list(newest.values())


def _decision(each: dict[str, Any]) -> str:
    lines = [f"{each['workload']}: {each['reason']}"]
    for name in ("baseline", "chosen"):
        place = each[name]
        begin = (place["start"] or "")[:16].replace("T", " ")
        lines.append(
            f"  {name:<9} {place['region'] or '-':<14} {begin:<17} "
            f"{grams(place['carbon_g']):>10}  {number(place['cost_usd'], 'USD')}"
        )
    refused = Counter(rule for rules in each["rejected"].values() for rule in rules)
    if refused:
        rules = ", ".join(f"{count} by {rule}" for rule, count in refused.most_common())
        lines.append(f"  rejected  {len(each['rejected'])} candidates: {rules}")
    return "\n".join(lines)


def _actions(found: dict[str, Any]) -> str:
    rows = [
        (
            each["target"],
            each["kind"],
            each["outcome"],
            (each["started_at"] or "-")[:16].replace("T", " "),
            {True: "on time", False: "LATE", None: ""}[each["on_time"]],
            each["detail"].replace("`", ""),
        )
        for each in found["actions"]
    ]
    return _table(("target", "kind", "outcome", "at (UTC)", "", "detail"), rows)


def _range(avoided: dict[str, Any]) -> str:
    if avoided["low"] is None:
        return "range not known"
    return f"90 %: {grams(avoided['low'])} to {grams(avoided['high'])}"


def _proof(found: dict[str, Any]) -> str:
    avoided, ledger = found["avoided_g"], found["ledger"]
    saved = (
        "nothing yet"
        if avoided is None
        else (f"{grams(avoided['estimate'])} avoided ({_range(avoided)}, grade {avoided['grade']})")
    )
    return (
        f"{saved}.\nLedger: {counted(ledger['entries'], 'entry', 'entries')}, "
        f"{counted(ledger['checkpoints'], 'signed checkpoint')}, "
        f"{counted(ledger['recomputed'], 'number')} recomputed: {_verified(ledger)}.\n"
        f"Grid and prices are a replay ({found['replay']}); joules are this machine's own, unscaled."
    )


def _verified(ledger: dict[str, Any]) -> str:
    if ledger["problems"]:
        return "NOT VERIFIED: " + "; ".join(ledger["problems"])
    if ledger["unsigned"]:
        return f"the last {counted(ledger['unsigned'], 'entry', 'entries')} not signed yet"
    return "verified"


def counted(count: int, one: str, many: str | None = None) -> str:
    """A number of things, as it is said: `1 entry`, `2 entries`."""
    return f"{count} {one if count == 1 else many or one + 's'}"
