"""What the ledger holds and what it proves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from greenops.units import Grams


class EntryKind(StrEnum):
    """What a ledger entry records."""

    DECISION = "decision"
    ACTION = "action"
    RECEIPT = "receipt"
    OUTCOME = "outcome"
    OVERRIDE = "override"
    REFUSAL = "refusal"
    KEY = "key"


class Grade(StrEnum):
    """How well a saving is known; only A and B enter a leadership total."""

    A = "A"
    """Hold-out and metered energy."""
    B = "B"
    """Modeled energy, actual intensity."""
    C = "C"
    """Estimates."""
    D = "D"
    """Forecast only."""


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One line: `prev` is the SHA-256 of the stored bytes of the line before."""

    seq: int
    prev: str
    ts: datetime
    kind: EntryKind
    body: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class AvoidedEmissions:
    """Baseline less actual [gCO2e] with its 90 % range; may be negative, and then stays so."""

    estimate: Grams
    low: Grams
    high: Grams
    grade: Grade


@dataclass(frozen=True, slots=True)
class Verification:
    """What a check of the ledger found.

    Attributes:
        entries: Lines that were read.
        checkpoints: Signed checkpoints that were checked.
        recomputed: Numbers that were computed again from their inputs.
        problems: One sentence each; empty means verified.
        signed: Entries that a checkpoint vouches for; later ones are only chained so far.
    """

    entries: int
    checkpoints: int
    recomputed: int
    problems: tuple[str, ...] = field(default=())
    signed: int = 0

    @property
    def verified(self) -> bool:
        """True where nothing is wrong."""
        return not self.problems
