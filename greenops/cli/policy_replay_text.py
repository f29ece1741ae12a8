"""A comparison of policies for a person: tables for a terminal, Markdown for a pull request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from greenops.pipeline.policy_replay_report import Change, Part, Report
    from greenops.pipeline.policy_replay_words import MostChanged

HEAD: Final = (*("decisions", "changed", "carbon", "range", "cost", "P95", "deadlines missed"),)
SHOWN: Final = 10
"""Groups that a table shows; the JSON has all."""
RANGE: Final = (
    "Ranges are as if all forecasts were off together, so they are wide; carbon is forecast."
)


def table(report: Report) -> str:
    """The comparison for a terminal."""
    blank = [""] * len(HEAD)
    blocks = [[("", *HEAD), _row(report.total, "all")]]
    for name, parts in report.by.items():
        shown = _touched(parts)
        if shown:
            rows = [_row(each, each.name) for each in shown[:SHOWN]]
            more = [(each, *blank) for each in _more(len(shown))]
            blocks.append([(f"by {name}", *blank), *rows, *more])
    lines = [*_head(report), ""]
    aligned = grid([row for block in blocks for row in block])
    for block in blocks:
        lines += [*aligned[: len(block)], ""]
        aligned = aligned[len(block) :]
    if report.most:
        lines += ["most changed", *(f"  {n}. {e.sentence}" for n, e in _numbered(report)), ""]
    return "\n".join([*lines, RANGE])


def markdown(report: Report) -> str:
    """The comparison as the comment of a pull request."""
    first, *rest = _head(report)
    lines = [f"### {escaped(first)}", "", *(escaped(each) + "  " for each in rest), ""]
    lines += _markdown_table(("", *HEAD), [_row(report.total, "**all**")])
    for name, parts in report.by.items():
        shown = _touched(parts)
        if shown:
            rows = [_row(each, escaped(each.name)) for each in shown[:SHOWN]]
            lines += ["", *_markdown_table((f"by {name}", *HEAD), rows), *_more(len(shown))]
    if report.most:
        lines += ["", "**Most changed**", ""]
        lines += [f"{number}. {escaped(each.sentence)}" for number, each in _numbered(report)]
    return "\n".join([*lines, "", f"<sub>{RANGE}</sub>"])


def escaped(text: str) -> str:
    """Text as it is, whatever signs of Markdown or HTML stand in it; a name pings nobody."""
    for sign in "\\`*_{}[]<>|#~":
        text = text.replace(sign, f"\\{sign}")
    return text.replace("@", "@\u200b").replace("\n", " ")


def grid(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows with their columns under each other."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    lined = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return [f"  {each}".rstrip() for each in lined]


def _head(report: Report) -> list[str]:
    from greenops.pipeline.policy_replay_words import grams

    total, effect = report.total, report.in_effect
    days = f"{report.first} to {report.last}"
    lines = [
        f"{total.changed:,} of {total.decisions:,} decisions would change",
        f"{report.after} against {report.before}, {days}, {report.rows:,} candidates",
        *report.assumed,
    ]
    moved = f"in effect {effect.changed:,} change"
    if effect.changed and effect.carbon_g is not None:
        moved += f", {_signed(effect.carbon_g, grams(effect.carbon_g))}"
    if effect.changed and effect.cost_usd is not None:
        moved += f", {effect.cost_usd:+,.2f} USD"
    if effect.changed != total.changed:
        lines.append(f"{moved}; the rest is audited, shadowed or held out")
    if total.carbon_g.unknown:
        lines.append(f"carbon is not known for {total.carbon_g.unknown:,} of the changed decisions")
    if total.cost_usd.unknown:
        lines.append(f"cost is not known for {total.cost_usd.unknown:,} of the changed decisions")
    return lines


def _touched(parts: Sequence[Part]) -> list[Part]:
    return [each for each in parts if each.changed or each.missed_before != each.missed_after]


def _row(part: Part, name: str) -> tuple[str, ...]:
    return (
        name,
        f"{part.decisions:,}",
        f"{part.changed:,}",
        _carbon(part),
        _range(part.carbon_g),
        _cost(part.cost_usd),
        _p95(part),
        _missed(part),
    )


def _carbon(part: Part) -> str:
    from greenops.pipeline.policy_replay_words import grams

    change = part.carbon_g.change
    if change is None:
        return "unknown"
    said = _signed(change, grams(change))
    if part.carbon_before_g and part.changed:
        said += f" ({change / part.carbon_before_g:+.1%})"
    return said


def _range(change: Change) -> str:
    from greenops.pipeline.policy_replay_words import grams

    if change.low is None or change.high is None:
        return "unknown"
    return f"{_signed(change.low, grams(change.low))} to {_signed(change.high, grams(change.high))}"


def _signed(value: float, text: str) -> str:
    return f"+{text}" if value > 0 else text


def _cost(change: Change) -> str:
    if change.change is None:
        return "unknown"
    return f"{change.change:+,.2f} USD" if change.change else "0 USD"


def _p95(part: Part) -> str:
    if part.p95_ms is None or part.p95_most_ms is None:
        return "-"
    return f"{part.p95_ms:+.1f} ms, most {part.p95_most_ms:+.1f} ms"


def _missed(part: Part) -> str:
    change = part.missed_after - part.missed_before
    return f"{part.missed_after:,} ({change:+,})" if change else f"{part.missed_after:,}"


def _more(count: int) -> list[str]:
    return [f"… and {count - SHOWN} more; `-o json` has all"] if count > SHOWN else []


def _markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(each)} |" for each in lines]


def _numbered(report: Report) -> list[tuple[int, MostChanged]]:
    return list(enumerate(report.most, 1))
