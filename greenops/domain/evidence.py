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
class LedgerState:
    """How far a ledger goes.

    Attributes:
        size: Number of entries.
        root: Merkle root of all of them, in hexadecimal.
        length: Of the stored lines [byte].
    """

    size: int
    root: str
    length: int


@dataclass(frozen=True, slots=True)
class LedgerHead:
    """An append that was set out on: the ledger is as before it, or as after it."""

    before: LedgerState
    after: LedgerState

    def counted(self, length: int) -> int:
        """How much of a file of this length [byte] counts: an append is there whole or not at all."""
        torn = self.before.length < length < self.after.length
        return self.before.length if torn else length


@dataclass(frozen=True, slots=True)
class AvoidedEmissions:
    """Baseline less actual [gCO2e] with its 90 % range; may be negative, and then stays so.

    Attributes:
        low, high: Ends of the range; none where nobody says how far off the energy may be.
    """

    estimate: Grams
    low: Grams | None
    high: Grams | None
    grade: Grade


@dataclass(frozen=True, slots=True)
class Verification:
    """What a check of the ledger found.

    Attributes:
        entries: Lines that were read.
        checkpoints: States of the ledger that signed checkpoints vouch for.
        recomputed: Numbers that were computed again from their inputs.
        problems: One sentence each; empty means that nothing was tampered with so far as it is
            signed.
        signed: Entries that a checkpoint vouches for; later ones are only chained, and whoever can
            write the file can change them.
    """

    entries: int
    checkpoints: int
    recomputed: int
    problems: tuple[str, ...] = field(default=())
    signed: int = 0

    @property
    def unsigned(self) -> int:
        """Entries after the last one that is signed."""
        return self.entries - self.signed

    @property
    def verified(self) -> bool:
        """True where nothing is wrong and every entry is signed."""
        return not self.problems and not self.unsigned
