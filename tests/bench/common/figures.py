"""A figure that a benchmark must reach, and how figures are printed."""

# ruff: noqa: T201  (a benchmark prints)

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


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


def run(about: str | None, folder: str, parts: Sequence[str], *, long: bool = False) -> int:
    """Run a benchmark's parts as the command line asks; exit 1 where a figure is not met.

    Args:
        about: What it measures.
        folder: Package of its parts; each has `figures()`, which gives figures and what stands beside them.
        parts: Their names.
        long: The parts take `full`, for what takes long.
    """
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--only", nargs="+", choices=parts, default=list(parts))
    if long:
        parser.add_argument("--full", action="store_true", help="the long ones whole")
    asked = parser.parse_args()
    how = {"full": asked.full} if long else {}
    figures: list[Figure] = []
    notes: dict[str, object] = {}
    for name in asked.only:
        found, beside = importlib.import_module(f"{folder}.{name}").figures(**how)
        figures += found
        notes |= beside
    told(figures, notes, as_json=asked.json)
    return 0 if all(each.holds(each.must) for each in figures) else 1


def needs(reference: Path) -> None:
    """End in one line where the reference data are not there."""
    if not reference.is_dir():
        sys.exit(f"no reference data in {reference}; set GREENOPS_REFERENCE_DATA")
