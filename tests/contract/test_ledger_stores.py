"""Each ledger store passes the port's suite."""

from pathlib import Path

import pytest

from greenops.pipeline.evidence import open_ledger
from greenops.ports import LedgerStore
from greenops.testing.clock import FakeClock
from greenops.testing.ledger import LedgerStoreSuite


class TestFileLedger(LedgerStoreSuite):
    @pytest.fixture(autouse=True)
    def _opened(self, tmp_path: Path):
        self._store = open_ledger(tmp_path, FakeClock())
        yield
        self._store.close()

    def store(self) -> LedgerStore:
        return self._store
