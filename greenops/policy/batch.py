"""Asks expressions about whole tables: by kernels where they compile, else row by row.

A sample of the rows that kernels answered is asked again row by row; what differs is counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np

from greenops.policy.columns import TYPES, Column, Values
from greenops.policy.evaluate import Expression, Failed
from greenops.policy.frames import Chunk
from greenops.policy.ir import Node
from greenops.policy.kernel_numbers import microseconds
from greenops.policy.kernel_reach import compiles
from greenops.policy.kernels import Kernels
from greenops.policy.table_rows import TableRows
from greenops.policy.tables import Source, Tables

WHATEVER: Final = np.dtype(np.object_)
"""How rows keep a list, a map and all else that has no column, and texts, which may be no word."""
NUMERIC: Final = TYPES.keys() - {"string"}


@dataclass(slots=True)
class Batch:
    """One pair of tables and the expressions asked about it.

    Attributes:
        sample: Rows of each frame that are asked again.
        sampled: Answers that were compared.
        mismatches: Canonical text → rows on which the evaluators differ; empty where they agree.
        slow: Canonical texts that went row by row.
    """

    tables: Tables
    sample: int = 0
    sampled: int = 0
    mismatches: dict[str, int] = field(default_factory=dict)
    slow: set[str] = field(default_factory=set)
    compiled: dict[str, Node | None] = field(default_factory=dict)
    kernels: Kernels = field(init=False)
    rows: TableRows = field(init=False)

    @classmethod
    def of(
        cls,
        tables: Tables,
        expressions: Iterable[Expression],
        sample: int = 0,
        also: Iterable[str] = (),
    ) -> Batch:
        """The batch, with the fields that the expressions name, and some others, loaded."""
        tables.load([each.node for each in expressions], also)
        batch = cls(tables, sample)
        batch.kernels, batch.rows = Kernels(tables), TableRows(tables)
        return batch

    def turn(self, side: int, limits: dict[str, Source]) -> None:
        """Ask for another side from now on, whose limits are these."""
        self.tables.limits, self.kernels.side = limits, side

    def over_jobs(self, expression: Expression) -> Column:
        """The answer for each job, to an expression that names no candidate."""
        node, jobs = self._compiled(expression), self.tables.layout.jobs
        if node is None:
            rows = [(at, None) for at in range(jobs)]
            return self._row_by_row(expression, rows, (jobs, 1))
        with np.errstate(all="ignore"):
            found = self.kernels.over_jobs(node)
        for at in _sample(jobs, self.sample).tolist():
            self._check(expression, found, at, at)
        return found

    def over(self, expression: Expression, chunk: Chunk) -> Column:
        """The answer for each candidate of a chunk; its shape broadcasts to the chunk's."""
        layout, node = self.tables.layout, self._compiled(expression)
        if node is None:
            lie = chunk.row(np.arange(chunk.shape[0] * chunk.shape[1]))
            rows = [(int(layout.job[at]), at) for at in lie.tolist()]
            return self._row_by_row(expression, rows, chunk.shape)
        with np.errstate(all="ignore"):
            found = self.kernels.over(node, chunk)
        if self.sample:
            flat = _flat(found, chunk.shape)
            for at in chunk.holds(_sample(len(layout.job), self.sample)).tolist():
                row = int(chunk.row(at))
                self._check(expression, flat, at, int(layout.job[row]), row)
        return found

    def _compiled(self, expression: Expression) -> Node | None:
        text = expression.text
        if text not in self.compiled:
            takes = compiles(expression.node, self.tables.schema)
            self.compiled[text] = self.kernels.made(expression.node) if takes else None
            if not takes:
                self.slow.add(text)
        return self.compiled[text]

    def _row_by_row(
        self, expression: Expression, rows: Sequence[tuple[int, int | None]], shape: tuple[int, int]
    ) -> Column:
        answers = [expression(self.rows.row(expression, *each)) for each in rows]
        ok = np.array([not isinstance(each, Failed) for each in answers], np.bool_)
        of = expression.kind
        values = np.zeros(len(answers), TYPES[of] if of in NUMERIC else WHATEVER)
        for at, answer in enumerate(answers):
            if ok[at]:
                values[at] = _coded(answer) if of in NUMERIC else answer
        return Column(expression.kind, values.reshape(shape), ok.reshape(shape))

    def _check(
        self, expression: Expression, found: Column, at: int, job: int, candidate: int | None = None
    ) -> None:
        answer = expression(self.rows.row(expression, job, candidate))
        self.sampled += 1
        if not agree(answer, found, at, self.tables.vocabulary.words):
            self.mismatches[expression.text] = self.mismatches.get(expression.text, 0) + 1


def _sample(total: int, count: int) -> Values:
    """Rows that are in the sample: evenly spread over the table, the same each time."""
    step = max(1, total // count) if count else 1
    return np.arange(step // 2, total if count else 0, step)


def _flat(column: Column, shape: tuple[int, int]) -> Column:
    ok = None if column.ok is None else _row(column.ok, shape)
    return Column(column.kind, _row(column.values, shape), ok)


def _row(array: Values, shape: tuple[int, int]) -> Values:
    return np.broadcast_to(array, shape).reshape(-1, 1)


def _coded(answer: Any) -> Any:
    return microseconds(answer) if isinstance(answer, datetime | timedelta) else answer


def agree(answer: Any, found: Column, at: int, words: list[str]) -> bool:
    """Is the row evaluator's answer that of a column's row? Two errors agree, and two NaN."""
    ok = found.ok is None or bool(found.ok[at, 0])
    if isinstance(answer, Failed) or not ok:
        return isinstance(answer, Failed) and not ok
    value = found.values[at, 0].item()
    plain = words[value] if found.kind == "string" else value
    given = _coded(answer)
    return bool(plain == given or (plain != plain and given != given))  # noqa: PLR0124 - two NaN
