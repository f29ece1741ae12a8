"""Energy of tests, as repeated runs told it and as it was accepted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from greenops.units import Joules


@dataclass(frozen=True, slots=True)
class CaseEnergy:
    """Energy of one test: median of its runs and how far chance moves it, 90 % [J]; none from too few runs."""

    joules: Joules
    spread: Joules | None
    runs: int


@dataclass(frozen=True, slots=True)
class Baseline:
    """Energy of tests as it was accepted, by test id, and the meters that told it."""

    source: str
    method: str
    cases: Mapping[str, CaseEnergy]
