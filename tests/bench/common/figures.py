"""A figure that a benchmark must reach, and how figures are printed."""

# ruff: noqa: T201  (a benchmark prints)

from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One number with what it must and should be; none: it was not measured, which fails."""

    key: str
    value: float | None
    must: float
    aim: float
    at_most: bool = False
    note: str = ""

    def holds(self, bound):
        if self.value is None:
            return False
        return bool(self.value <= bound if self.at_most else self.value >= bound)


def told(figures, notes, *, as_json):
    """Print figures with their bounds, and what stands beside them."""
    if as_json:
        whole = {each.key: None if each.value is None else float(each.value) for each in figures}
        bounds = {each.key: {"must": each.must, "aim": each.aim} for each in figures}
        print(json.dumps({**whole, **notes, "bounds": bounds}))
        return
    for each in figures:
        sign = "<=" if each.at_most else ">="
        value = "not measured" if each.value is None else f"{each.value:,.7g}"
        words = ("ok" if each.holds(each.must) else "FAILS", "aim met" * each.holds(each.aim))
        print(
            f"{each.key:<28}{value:>14}  must {sign} {each.must:,g}  aim {sign} {each.aim:,g}",
            *words,
            each.note,
        )
    for name, value in notes.items():
        print(f"  {name}: {value:,.5g}" if isinstance(value, float) else f"  {name}: {value}")
