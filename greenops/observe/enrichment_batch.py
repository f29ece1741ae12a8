"""What enrichment looks at of a batch of spans, and how a column of it is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from greenops.observe.enrichment_columns import Columns, Objects, Sparse, as_numbers

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


class SeenSpan(NamedTuple):
    """A span one by one, for whoever has no columns.

    Attributes:
        kind: `Span.kind` of OTLP.
        root: Whether it has no parent.
        start_ns, end_ns: Nanoseconds since 1970.
        resource: Place of its resource among the batch's.
    """

    kind: int
    root: bool
    start_ns: int
    end_ns: int
    resource: int
    attributes: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class SpanBatch:
    """What is looked at of N spans.

    Attributes:
        kind: `Span.kind` of OTLP, shape (N).
        root: Whether a span has no parent, shape (N).
        start_ns, end_ns: Nanoseconds since 1970; where a replay runs, simulated ones, shape (N).
        resource: Which of `resources` a span has, shape (N).
        resources: Attributes of each resource.
        columns: Attribute → where it stands and its values, for those of `WANTED` that occur.
    """

    kind: Ints
    root: Mask
    start_ns: Ints
    end_ns: Ints
    resource: Ints
    resources: Sequence[Mapping[str, object]]
    columns: Mapping[str, Sparse]


def mask(batch: SpanBatch, attributes: Sequence[str]) -> Mask:
    """Whether each span has one of some attributes."""
    found = np.zeros(len(batch.kind), np.bool_)
    for name in attributes:
        column = batch.columns.get(name)
        if column is not None:
            found[column.rows] = True
    return found


def first(batch: SpanBatch, rows: Ints, spellings: Sequence[str]) -> Objects:
    """The first of some attributes that each of some rows has; none where it has none."""
    found = np.full(len(batch.kind), None, np.object_)
    for name in reversed(spellings):
        column = batch.columns.get(name)
        if column is not None:
            found[column.rows] = column.values
    return found[rows]


def given(batch: SpanBatch, name: str) -> tuple[Ints, npt.NDArray[np.float64]]:
    """Rows that have an attribute, and it as numbers; NaN for what is none."""
    column = batch.columns.get(name)
    if column is None:
        return np.zeros(0, np.int64), np.zeros(0)
    return column.rows, as_numbers(column.values)


def text(batch: SpanBatch, rows: Ints, name: str) -> list[str | None]:
    """An attribute of some rows as text; none for what is none."""
    found = first(batch, rows, (name,))
    return [each if isinstance(each, str) else None for each in found]


def of_resource(batch: SpanBatch, rows: Ints, name: str) -> list[str | None]:
    """An attribute of the resources of some rows, as text."""
    said = [each.get(name) for each in batch.resources]
    known = [each if isinstance(each, str) else None for each in said]
    return [known[each] for each in batch.resource[rows]]


def either(batch: SpanBatch, rows: Ints, name: str) -> list[str | None]:
    """As the span says, else as its resource does."""
    own, home = text(batch, rows, name), of_resource(batch, rows, name)
    return [h if o is None else o for o, h in zip(own, home, strict=True)]


def absent(values: Objects) -> Mask:
    """Where a column has no value."""
    return np.array([each is None for each in values], np.bool_)


def batch_of(
    spans: Sequence[SeenSpan], resources: Sequence[Mapping[str, object]], wanted: Set[str]
) -> SpanBatch:
    """A batch of single spans.

    Args:
        spans: In the order of the rows.
        resources: Attributes of each resource.
        wanted: Attributes that are looked at, `enrichment.WANTED`.
    """
    columns = Columns()
    for row, span in enumerate(spans):
        for name in wanted & span.attributes.keys():
            columns.add(row, name, span.attributes[name])
    return SpanBatch(
        kind=_ints(each.kind for each in spans),
        root=np.array([each.root for each in spans], np.bool_),
        start_ns=_ints(each.start_ns for each in spans),
        end_ns=_ints(each.end_ns for each in spans),
        resource=_ints(each.resource for each in spans),
        resources=resources,
        columns=columns.finish(),
    )


def _ints(values: Iterable[int]) -> Ints:
    return np.array(list(values), np.int64)
