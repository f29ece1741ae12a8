"""What every ledger store must do; a contract test subclasses the suite and gives a store."""

# ruff: noqa: S101  (a test kit asserts)

from __future__ import annotations

from greenops.domain.evidence import EntryKind
from greenops.ports import LedgerStore


class LedgerStoreSuite:
    """Subclass it, give `store`, and pytest runs these."""

    def store(self) -> LedgerStore:
        """An empty ledger."""
        raise NotImplementedError

    def test_it_is_a_ledger_store(self) -> None:
        """The port's methods are there."""
        assert isinstance(self.store(), LedgerStore)

    def test_an_empty_ledger_reads_as_nothing(self) -> None:
        """No entry, no error."""
        assert list(self.store().read()) == []

    def test_what_was_appended_is_read_back_in_order(self) -> None:
        """Append gives the entry that read gives."""
        store = self.store()

        made = [store.append(kind, {"of": kind.value, "n": 1.5}) for kind in EntryKind]

        assert list(store.read()) == made
        assert [entry.seq for entry in made] == list(range(len(EntryKind)))

    def test_each_entry_names_the_one_before(self) -> None:
        """The chain: no two entries have one predecessor, and the first has none."""
        store = self.store()

        made = [store.append(EntryKind.ACTION, {"n": n}) for n in range(4)]

        assert made[0].prev == "0" * 64
        assert len({entry.prev for entry in made}) == len(made)

    def test_a_body_that_json_cannot_hold_adds_nothing(self) -> None:
        """A refused body leaves the ledger as it was, ready for the next."""
        store = self.store()

        for body in ({"x": float("nan")}, {"x": object()}):
            try:
                store.append(EntryKind.ACTION, body)
            except (TypeError, ValueError):
                continue
            raise AssertionError(f"{body} was accepted")

        assert store.append(EntryKind.ACTION, {"x": 1}).seq == 0

    def test_sealing_twice_or_nothing_changes_no_entry(self) -> None:
        """A signature is no entry."""
        store = self.store()

        store.seal(at_once=True)
        made = store.append(EntryKind.ACTION, {})
        store.seal(at_once=True)
        store.seal(at_once=True)

        assert list(store.read()) == [made]

    def test_a_checkpoint_counts_all_entries(self) -> None:
        """The second line of the note is the size."""
        store = self.store()

        for n in range(5):
            store.append(EntryKind.ACTION, {"n": n})

        assert store.checkpoint().splitlines()[1] == "5"
