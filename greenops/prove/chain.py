"""The hash chain and its Merkle tree: every hash is over stored bytes, so no canonicaliser is needed.

Leaf and node hashes, tree shape and inclusion proofs are those of RFC 6962, sections 2.1 and 2.1.1.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from greenops.domain.evidence import EntryKind, LedgerEntry
from greenops.domain.record import canonical, plain

GENESIS: Final = "0" * 64
"""`prev` of the first entry: there is no line before it."""
KEYS: Final = frozenset({"seq", "prev", "ts", "kind", "body"})
"""Members of a line, all of them and no other."""


def digest(data: bytes) -> bytes:
    """SHA-256 of bytes."""
    return hashlib.sha256(data).digest()


def leaf_hash(line: bytes) -> bytes:
    """Leaf of a line without its newline; the prefix 0x00 keeps leaves and nodes apart."""
    return digest(b"\x00" + line)


def node_hash(left: bytes, right: bytes) -> bytes:
    """Node over two subtrees."""
    return digest(b"\x01" + left + right)


class Frontier:
    """Roots of the full subtrees, largest first: O(log n) memory, O(1) amortised per leaf."""

    __slots__ = ("_peaks", "size")

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        self.size = size
        self._peaks = list(peaks)

    def add(self, leaf: bytes) -> None:
        """Append one leaf hash."""
        self.size += 1
        carry = self.size
        while carry % 2 == 0:
            leaf = node_hash(self._peaks.pop(), leaf)
            carry //= 2
        self._peaks.append(leaf)

    def root(self) -> bytes:
        """Root of all leaves so far; of none, the hash of nothing."""
        if not self._peaks:
            return digest(b"")
        root = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            root = node_hash(peak, root)
        return root

    def copy(self) -> Frontier:
        """The same state, to go on from separately."""
        return Frontier(self.size, self._peaks)


class Chain:
    """Where a ledger stands: what the next line must say, and the root of all lines so far."""

    __slots__ = ("_frontier", "_prev", "_skew")

    def __init__(self, frontier: Frontier | None = None, prev: str = GENESIS) -> None:
        self._frontier = frontier or Frontier()
        self._prev = prev
        self._skew = 0

    @property
    def size(self) -> int:
        """Number of entries."""
        return self._frontier.size

    def root(self) -> bytes:
        """Merkle root of all entries."""
        return self._frontier.root()

    def copy(self) -> Chain:
        """The same state, to go on from separately."""
        return Chain(self._frontier.copy(), self._prev)

    def add(
        self, kind: EntryKind, body: Mapping[str, object], ts: datetime
    ) -> tuple[LedgerEntry, bytes]:
        """Append an entry; give it with the line (no newline) that is to be stored.

        Raises:
            ValueError: The body holds a number that JSON has no form for.
            TypeError: The body holds something that has no plain form.
        """
        entry = LedgerEntry(self.size, self._prev, ts, kind, plain(body))
        line = canonical(entry)
        self._advance(line)
        return entry, line

    def take(self, line: bytes) -> LedgerEntry:
        """Append a stored line (no newline) that must fit.

        Raises:
            ValueError: It is not an entry, or not the next one; the state is then unchanged.
        """
        entry = parse(line)
        faults = self.faults(entry)
        if faults:
            raise ValueError(faults[0])
        self._advance(line)
        return entry

    def faults(self, entry: LedgerEntry) -> list[str]:
        """Why an entry is not the next one, a sentence each; empty where it is."""
        found = []
        if entry.seq != self.size + self._skew:
            found.append(f"has seq {entry.seq} where {self.size + self._skew} belongs")
        if entry.prev != self._prev:
            found.append("does not continue the line before it: its `prev` is another hash")
        return found

    def follow(self, line: bytes, seq: int | None) -> None:
        """Go on from any stored line, fitting or not; `seq` is what it calls itself."""
        self._advance(line)
        self._skew = 0 if seq is None else seq + 1 - self.size

    def _advance(self, line: bytes) -> None:
        self._frontier.add(leaf_hash(line))
        self._prev = digest(line).hex()


def parse(line: bytes) -> LedgerEntry:
    """The entry that a stored line (no newline) holds.

    Raises:
        ValueError: It is not one; says what is wrong.
    """
    try:
        value = json.loads(line, object_pairs_hook=_members, parse_constant=_constant)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is not JSON: {error}") from error
    if not isinstance(value, dict) or value.keys() != KEYS:
        raise ValueError(f"is not an object of {', '.join(sorted(KEYS))}")
    seq, prev, ts, kind, body = (value[key] for key in ("seq", "prev", "ts", "kind", "body"))
    if type(seq) is not int or not isinstance(prev, str) or not isinstance(body, dict):
        raise ValueError("has a `seq`, `prev` or `body` of the wrong type")
    return LedgerEntry(seq, prev, _instant(ts), _kind(kind), body)


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Readers differ in which of two equal keys they take, so none may come twice.
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key comes twice")
    return found


def _constant(name: str) -> float:
    raise ValueError(f"`{name}` is no JSON number")


def _instant(value: object) -> datetime:
    instant = datetime.fromisoformat(value) if isinstance(value, str) else None
    if instant is None or instant.tzinfo is None:
        raise ValueError("has a `ts` that is no instant with its time zone")
    return instant


def _kind(value: object) -> EntryKind:
    try:
        return EntryKind(value)  # type: ignore[arg-type]
    except ValueError as error:
        known = ", ".join(EntryKind)
        raise ValueError(f"has the unknown kind `{value}`; known: {known}") from error


def naive_root(leaves: Sequence[bytes]) -> bytes:
    """Root as RFC 6962 defines it, recursively; what the frontier must equal."""
    match len(leaves):
        case 0:
            return digest(b"")
        case 1:
            return leaves[0]
        case n:
            k = 1 << (n - 1).bit_length() - 1
            return node_hash(naive_root(leaves[:k]), naive_root(leaves[k:]))


def inclusion_proof(index: int, leaves: Sequence[bytes]) -> tuple[bytes, ...]:
    """Hashes that lead from one leaf to the root, lowest first."""
    if not 0 <= index < len(leaves):
        raise IndexError(f"no leaf {index} among {len(leaves)}")
    if len(leaves) == 1:
        return ()
    k = 1 << (len(leaves) - 1).bit_length() - 1
    if index < k:
        return (*inclusion_proof(index, leaves[:k]), naive_root(leaves[k:]))
    return (*inclusion_proof(index - k, leaves[k:]), naive_root(leaves[:k]))


def included(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether the proof shows that `leaf` stands at `index` of a tree of `size` leaves.

    Source: RFC 9162, section 2.1.3.2 (the algorithm for the trees of RFC 6962).
    """
    if not 0 <= index < size:
        return False
    at, last, found = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if at % 2 or at == last:
            found = node_hash(sibling, found)
            while not at % 2 and at:
                at, last = at >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and found == root
