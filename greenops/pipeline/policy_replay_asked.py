"""A batch of recorded decisions as the sides of a replay are asked about it, whole or in part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from greenops.adapters.lake_history import RecordedBatch
from greenops.policy.tables import INDEX


@dataclass(frozen=True, slots=True)
class Asked:
    """A batch as every side is asked about it.

    Attributes:
        named: Its candidates under the names that rules use.
        starts: Row of each decision's baseline.
        fields: Fields that some rule names.
    """

    batch: RecordedBatch
    named: pa.Table
    starts: Any
    fields: frozenset[str]
    sample: int

    @classmethod
    def of(cls, batch: RecordedBatch, fields: frozenset[str], sample: int) -> Asked:
        """The whole batch."""
        names = batch.candidates.column_names
        job = batch.candidates.column(INDEX).to_numpy()
        return cls(
            batch,
            batch.candidates.rename_columns(
                [each if each == INDEX else f"candidate.{each}" for each in names]
            ),
            np.searchsorted(job, np.arange(batch.decisions.num_rows, dtype=job.dtype)),
            fields,
            sample,
        )

    def part(self, places: Any) -> AskedPart:
        """Some of the decisions alone; none: all."""
        ids = partial(self.batch.source.column, "id")
        if places is None:
            return AskedPart(self.named, ids, self.sample)
        job = self.named.column(INDEX).to_numpy()
        new = np.full(self.batch.decisions.num_rows, -1, np.int32)
        new[places] = np.arange(len(places), dtype=np.int32)
        kept = np.flatnonzero(new[job] >= 0)
        named = self.named.drop_columns([INDEX]).take(pa.array(kept))
        named = named.append_column(INDEX, pa.array(new[job[kept]]))
        return AskedPart(named, lambda: ids().take(pa.array(kept)), self.sample, places, kept)


@dataclass(frozen=True, slots=True)
class AskedPart:
    """Some decisions of a batch; all of them where no places are given.

    Attributes:
        named: Their candidates.
        ids: Gives the ids of these.
        places: Which decisions of the batch.
        kept: Which candidates of the batch.
    """

    named: pa.Table
    ids: Callable[[], Any]
    sample: int
    places: Any = None
    kept: Any = None

    def jobs(self, whole: pa.Table) -> pa.Table:
        """Their rows of the table of jobs."""
        return whole if self.places is None else whole.take(pa.array(self.places))

    def rows(self, found: Any) -> Any:
        """Rows of the batch, of rows among these candidates."""
        return found if self.kept is None else self.kept[found]
