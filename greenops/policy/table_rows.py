"""One candidate of the tables as the row that the row evaluator takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from greenops.policy.evaluate import Expression, Row, to_cel
from greenops.policy.ir import LABELS, Has, Var, walk
from greenops.policy.kernel_numbers import EPOCH
from greenops.policy.tables import Array, Tables

ROOTS: Final = ("job", "baseline", "limits", "candidate")


@dataclass(slots=True)
class TableRows:
    """Reads rows; columns are made ready once."""

    tables: Tables
    arrays: dict[str, Array | None] = field(default_factory=dict)
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def row(self, expression: Expression, job: int, candidate: int | None = None) -> Row:
        """What an expression names of a job, and of one of its candidates."""
        row: dict[str, Any] = {root: {} for root in ROOTS}
        for name in self._names(expression):
            root, _, rest = name.partition(".")
            value = self._value(name, job, candidate)
            if rest:
                _put(row.setdefault(root, {}), rest, value)
            elif value is not None:
                row[root] = value
        return {root: to_cel(value) for root, value in row.items()}

    def _names(self, expression: Expression) -> tuple[str, ...]:
        if expression.text not in self.names:
            fields = (e for e in walk(expression.node) if isinstance(e, Var | Has))
            self.names[expression.text] = tuple({".".join(each.path) for each in fields})
        return self.names[expression.text]

    def _value(self, name: str, job: int, candidate: int | None) -> Any:
        if name == "now" or name.startswith("limits."):
            return self._worked_out(name, job)
        if name not in self.arrays:
            self.arrays[name] = self.tables.array(name)
        array = self.arrays[name]
        at = candidate if name.startswith("candidate.") else job
        return None if array is None or at is None else array[at].as_py()

    def _worked_out(self, name: str, job: int) -> Any:
        column = self.tables.source(name).column
        at = job if len(column.values) > 1 else 0
        if column.ok is not None and not column.ok[at, 0]:
            return None
        value = column.values[at, 0].item()
        return EPOCH + timedelta(microseconds=value) if column.kind == "timestamp" else value


def _put(fields: dict[str, Any], rest: str, value: Any) -> None:
    label = f"{LABELS[1]}."
    if rest.startswith(label):
        fields.setdefault(LABELS[1], {})[rest[len(label) :]] = value
    else:
        fields[rest] = value
