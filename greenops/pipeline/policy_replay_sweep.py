"""One number of a policy over a range: what each value would come to in carbon and cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np

from greenops.errors import UsageError, nearest
from greenops.pipeline.policy_replay import NEVER, Replayer, Side
from greenops.pipeline.policy_replay_sums import Figures
from greenops.pipeline.policy_replay_words import assumed
from greenops.policy import compile_policies
from greenops.policy.document import Node, documents

Sources = Sequence[tuple[str, str]]
MOST_STEPS: Final = 50
"""Most values of one sweep; each is a whole set of policies asked about every batch."""
LEAST_STEPS: Final = 2
SUMS: Final = ("carbon", "low", "high", "cost", "counted", "priced", "changed", "missed")


@dataclass(frozen=True, slots=True)
class Point:
    """What one value would come to, over the decisions whose figures are known under every value.

    Attributes:
        value: As it would stand in the file.
        carbon_g: Of all choices, with the range as if all forecasts were off together.
        changed: Decisions that differ from those of the file as it is.
        missed: Choices that end after the deadline in force.
        pareto: No other value is as good in both carbon and cost and better in one.
    """

    value: str
    carbon_g: float | None
    carbon_low_g: float | None
    carbon_high_g: float | None
    cost_usd: float | None
    changed: int
    missed: int
    pareto: bool


@dataclass(frozen=True, slots=True)
class Sweep:
    """A frontier of carbon and cost.

    Attributes:
        now: The value in the file.
        counted: Decisions whose carbon is known under every value.
        assumed: Sentences on what the comparison takes as it was.
    """

    policy: str
    param: str
    now: str
    decisions: int
    counted: int
    points: tuple[Point, ...]
    rows: int
    differ: dict[str, int]
    assumed: tuple[str, ...] = ()


def values_between(first: float, last: float, steps: int) -> list[float]:
    """Evenly spaced values, both ends included.

    Raises:
        UsageError: Too few steps, or too many.
    """
    if not LEAST_STEPS <= steps <= MOST_STEPS:
        raise UsageError("GO0455", f"`--steps {steps}` is not from {LEAST_STEPS} to {MOST_STEPS}")
    return [round(first + (last - first) * at / (steps - 1), 6) for at in range(steps)]


def with_value(
    sources: Sources, policy: str, param: str, value: float
) -> tuple[list[Any], str, str]:
    """The sources with another number in one place of a policy.

    Args:
        sources: (name, text) of each file.
        policy: Name of the policy.
        param: A parameter's name, or the way to a number below `spec`, such as
            `limits.maxCost.increase`.
        value: The number; it takes the unit that stands in the file, `%` or `h` or none.

    Returns:
        The sources, what stood there, and what stands there now.

    Raises:
        UsageError: There is no such policy, or no such number in it.
    """
    place = _place(sources, policy, param)
    texts = []
    raw = place.raw
    digits = raw.strip("\"'").rstrip("%abcdefghijklmnopqrstuvwxyz")
    unit = raw.strip("\"'")[len(digits) :]
    if not _is_number(digits):
        raise UsageError(
            "GO0455",
            f"`{param}` of `{policy}` is `{raw}`, which is no number with a unit",
            fix="a sweep takes one number, such as `10%`, `8h`, `250` or `0.1`",
        )
    quote = raw[0] if raw[0] in "\"'" else ""
    whole = f"{value:.10g}"
    # A double stays one: `3` in a parameter would be an int, and so another type.
    if not unit and "." in digits and whole.lstrip("-").isdigit():
        whole += ".0"
    new = f"{quote}{whole}{unit}{quote}"
    for name, text in sources:
        if name != place.at.file:
            texts.append((name, text))
            continue
        lines = text.split("\n")
        line, column = lines[place.at.line - 1], place.at.column - 1
        lines[place.at.line - 1] = line[:column] + new + line[column + len(raw) :]
        texts.append((name, "\n".join(lines)))
    return texts, raw, new


def sweep(
    folder: Path,
    sources: Sources,
    policy: str,
    param: str,
    values: Sequence[float],
    first: date | None = None,
    last: date | None = None,
) -> Sweep:
    """Replay every value over a period, reading it once.

    Raises:
        UsageError: There is no such number.
        InvalidFile: The policies do not compile, as they are or with a value.
        DataMissing: Nothing was recorded in the period.
    """
    made = [with_value(sources, policy, param, each) for each in values]
    sides = [Side("now", compile_policies(sources))]
    sides += [Side(new, compile_policies(texts)) for texts, _, new in made]
    replayer = Replayer(folder, sides, first, last)
    sums = {name: np.zeros(len(sides)) for name in SUMS}
    for batch, _, chosen in replayer.batches():
        found = [Figures.of(batch.candidates, each.rows) for each in chosen]
        counted = np.all([np.isfinite(each.carbon) for each in found], axis=0)
        priced = np.all([np.isfinite(each.cost) for each in found], axis=0)
        for at, (side, each) in enumerate(zip(chosen, found, strict=True)):
            late = (each.ends != NEVER) & (each.ends > side.ends)
            taken = {
                **{name: getattr(each, name)[counted].sum() for name in ("carbon", "low", "high")},
                "cost": each.cost[priced].sum(),
                "counted": counted.sum(),
                "priced": priced.sum(),
                "changed": (side.rows != chosen[0].rows).sum(),
                "missed": late.sum(),
            }
            for name, value in taken.items():
                sums[name][at] += value
    known = [
        _point(side.name, {n: float(each[at]) for n, each in sums.items()})
        for at, side in enumerate(sides)
    ]
    checks = replayer.checks
    return Sweep(
        policy=policy,
        param=param,
        now=made[0][1],
        decisions=checks.decisions,
        counted=int(sums["counted"][0]),
        points=tuple(replace(each, pareto=_best(each, known[1:])) for each in known[1:]),
        rows=checks.rows,
        differ=dict(checks.mismatches),
        assumed=assumed(replayer),
    )


def _point(value: str, sums: dict[str, float]) -> Point:
    def figure(name: str, count: str = "counted") -> float | None:
        return sums[name] if sums[count] and np.isfinite(sums[name]) else None

    return Point(
        value=value,
        carbon_g=figure("carbon"),
        carbon_low_g=figure("low"),
        carbon_high_g=figure("high"),
        cost_usd=figure("cost", "priced"),
        changed=int(sums["changed"]),
        missed=int(sums["missed"]),
        pareto=False,
    )


def _best(point: Point, others: Sequence[Point]) -> bool:
    """Is no other as good in both and better in one?"""
    if point.carbon_g is None or point.cost_usd is None:
        return False
    mine = point.carbon_g, point.cost_usd
    rivals = [
        (each.carbon_g, each.cost_usd)
        for each in others
        if each.carbon_g is not None and each.cost_usd is not None
    ]
    return not any(c <= mine[0] and u <= mine[1] and (c, u) != mine for c, u in rivals)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _place(sources: Sources, policy: str, param: str) -> Node:
    """The number's place in the files."""
    known = dict(_policies(sources))
    if policy not in known:
        near = nearest(policy, known)
        fix = (
            f"did you mean `{near}`?" if near else f"there are {', '.join(sorted(known)) or 'none'}"
        )
        raise UsageError("GO0455", f"no policy is named `{policy}`", fix=fix)
    spec = _entry(known[policy], "spec")
    params = _numbers(_entry(spec, "params"), "")
    paths = {**_numbers(spec, ""), **params}
    if param in paths:
        return paths[param]
    near = nearest(param, paths)
    fix = f"did you mean `{near}`?" if near else f"it has {', '.join(sorted(paths)) or 'no number'}"
    raise UsageError("GO0455", f"policy `{policy}` has no number `{param}`", fix=fix)


def _policies(sources: Sources) -> Iterator[tuple[str, Node]]:
    for name, text in sources:
        for document in documents(name, text):
            kind, metadata = _entry(document, "kind"), _entry(document, "metadata")
            title = _entry(metadata, "name")
            if kind is not None and kind.text == "PlacementPolicy" and title is not None:
                yield title.text or "", document


def _entry(node: Node | None, name: str) -> Node | None:
    found = (node.entries or {}).get(name) if node is not None else None
    return found[1] if found else None


def _numbers(node: Node | None, path: str) -> dict[str, Node]:
    """Way → place of every number below a map; lists are left out."""
    found: dict[str, Node] = {}
    for name, (_, each) in ((node.entries or {}) if node is not None else {}).items():
        way = f"{path}.{name}" if path else name
        if each.entries is not None:
            found |= _numbers(each, way)
        elif each.text and each.text[:1] in "-+.0123456789" and each.text[:1]:
            found[way] = each
    return found
