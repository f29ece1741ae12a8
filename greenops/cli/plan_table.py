"""A plan of many runs for a terminal, and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

HEAD: Final = ("workload", "start (UTC)", "where", "carbon", "cost", "allowed", "mode", "why")


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """A line for each run, under a head."""
    lines = [HEAD, *(_line(each) for each in rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(HEAD))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def as_plain(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """A row as JSON writes it: instants in UTC, what is absent as null."""
    return {
        name: value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value
        for name, value in row.items()
    }


def _line(row: Mapping[str, Any]) -> tuple[str, ...]:
    start = row["chosen.start"]
    return (
        row["workload"],
        "-" if start is None else f"{start.astimezone(UTC):%Y-%m-%d %H:%M}",
        f"{row['chosen.region']} {row['chosen.pool'] or ''}".strip(),
        _changed(row, "carbon_g", "g"),
        _changed(row, "cost_usd", "USD"),
        f"{row['allowed']} of {row['ways']}",
        _mode(row),
        row["reason"],
    )


def _changed(row: Mapping[str, Any], name: str, unit: str) -> str:
    """A figure of the choice, and how it differs from the baseline's."""
    value, usual = row[f"chosen.{name}"], row[f"baseline.{name}"]
    if value is None:
        return "not known"
    change = f" {value / usual - 1:+.0%}" if usual and value != usual else ""
    return f"{value:.4g} {unit}{change}"


def _mode(row: Mapping[str, Any]) -> str:
    told = f"{row['mode']}, held out" if row["held_out"] else str(row["mode"])
    return f"{told}, baseline refused" if row["noncompliant_baseline"] else told
