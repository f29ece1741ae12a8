"""Check a ledger as a third party would: the chain, the signatures, and the numbers themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from greenops.domain.action import Outcome
from greenops.domain.evidence import EntryKind, LedgerEntry, Verification
from greenops.prove.chain import Chain, parse
from greenops.prove.checkpoint import Notary
from greenops.prove.evidence import recompute, recompute_decision
from greenops.prove.links import Links
from greenops.prove.published import Published

LONGEST: Final = 500
"""Longest sentence on one problem [characters]."""


def verify_ledger(
    lines: Iterable[bytes],
    checkpoints: Iterable[tuple[str, str]],
    notary: Notary,
    published: Published | None = None,
) -> Verification:
    """Check stored lines against each other, against checkpoints, and against their inputs.

    Args:
        lines: As stored, newline included; hashes are over these bytes.
        checkpoints: Signed notes, from the ledger's folder and wherever copies are kept: the file
            of each, and its text.
        notary: Holds the public key, pinned outside the ledger.
        published: What inputs are compared with; none: they are taken as they stand.

    Returns:
        What was found; never raises for what the bytes hold.
    """
    check = _Check(published)
    for file, note in checkpoints:
        check.open(_told(file), note, notary)
    for number, line in enumerate(lines, 1):
        check.read(number, line)
    return check.result()


@dataclass(slots=True)
class _Check:
    published: Published | None = None
    chain: Chain = field(default_factory=Chain)
    wanted: dict[int, tuple[bytes, str]] = field(default_factory=dict)
    """Root at a size, and the checkpoint that vouches for it."""
    problems: list[str] = field(default_factory=list)
    applied: dict[tuple[str, ...], int] = field(default_factory=dict)
    outcomes: dict[tuple[str, ...], int] = field(default_factory=dict)
    links: Links = field(default_factory=Links)
    notes: int = 0
    entries: int = 0
    signed: int = 0
    recomputed: int = 0

    def open(self, file: str, note: str, notary: Notary) -> None:
        """Remember what a checkpoint vouches for."""
        self.notes += 1
        try:
            size, root = notary.open(note)
        except ValueError as error:
            self.problems.append(f"checkpoint {file} {error}")
            return
        first, other = self.wanted.setdefault(size, (root, file))
        if first != root:
            self.problems.append(
                f"checkpoint {file} contradicts {other}: two roots for {size} entries"
            )

    def read(self, number: int, line: bytes) -> None:
        """Check one line and go on from its stored bytes, so that one fault is told once."""
        self.entries += 1
        self.problems += [f"line {number} {_told(fault)}" for fault in self._faults(number, line)]
        wanted = self.wanted.get(number)
        if wanted is None:
            return
        root, file = wanted
        if root == self.chain.root():
            self.signed = number
        else:
            self.problems.append(f"line {number} ends a ledger that checkpoint {file} did not see")

    def _faults(self, number: int, line: bytes) -> Iterator[str]:
        stored = line.removesuffix(b"\n")
        if stored == line:
            yield "is cut off: it has no end of line"
        try:
            entry = parse(stored)
        except ValueError as error:
            yield str(error)
            self.chain.follow(stored, None)
            return
        yield from self.chain.faults(entry)
        self.chain.follow(stored, entry.seq)
        yield from self._meaning(number, entry)
        yield from self.links.take(entry.kind, entry.body)

    def _meaning(self, number: int, entry: LedgerEntry) -> Iterator[str]:
        match entry.kind:
            case EntryKind.OUTCOME:
                self.recomputed += 1
                yield from recompute(entry.body, self.published)
                yield from _again(self.outcomes, (entry.body.get("run_key"),), number, "outcome")
            case EntryKind.DECISION:
                self.recomputed += 1
                yield from recompute_decision(entry.body)
            case EntryKind.RECEIPT if entry.body.get("outcome") == Outcome.APPLIED:
                key = (entry.body.get("action_id"), entry.body.get("target"))
                yield from _again(self.applied, key, number, "action")

    def result(self) -> Verification:
        """Sum up, once all lines are read."""
        seen = max(self.wanted, default=0)
        if seen > self.entries:
            self.problems.append(
                f"line {self.entries} is the last, but checkpoint {self.wanted[seen][1]} saw "
                f"{seen} entries: cut off"
            )
        if self.entries and not self.wanted:
            self.problems.append("no checkpoint vouches for any line: nothing is signed")
        return Verification(
            entries=self.entries,
            checkpoints=len(self.wanted),
            recomputed=self.recomputed,
            problems=tuple(self.problems),
            signed=self.signed,
        )


def _told(fault: str) -> str:
    # What a ledger says of itself may hold anything; a problem is one line that any terminal shows.
    shown = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in fault[:LONGEST])
    return shown if len(fault) <= LONGEST else f"{shown} …"


def _again(
    seen: dict[tuple[str, ...], int], key: tuple[object, ...], number: int, what: str
) -> Iterator[str]:
    first = seen.setdefault(tuple(map(str, key)), number)
    if first != number:
        yield f"repeats the {what} of line {first} (`{key[0]}`), which happens at most once"
