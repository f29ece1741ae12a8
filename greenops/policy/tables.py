"""The Arrow tables `jobs` and `candidates` as columns that kernels read; an Arrow null is absent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from greenops.policy.columns import TYPES, Column, Mask, Values, absent, constant
from greenops.policy.frames import JOB, ONE, WIDE, Frame, Layout, laid_out
from greenops.policy.ir import Const, Has, Node, Var, walk
from greenops.policy.kernel_numbers import EPOCH, MICROSECOND
from greenops.policy.vocabulary import Vocabulary

INDEX: Final = "job"
"""Column of the candidates that holds the row of their job."""
ARROW: Final = {
    "bool": pa.bool_(),
    "int": pa.int64(),
    "double": pa.float64(),
    "string": pa.string(),
    "timestamp": pa.timestamp("us", "UTC"),
    "duration": pa.duration("us"),
    "list(string)": pa.list_(pa.string()),
}
Array = Any
"""pyarrow has no types of its own that a checker can read."""


@dataclass(frozen=True, slots=True)
class Source:
    """One field: hoisted where it can be, else one value per candidate."""

    frame: Frame
    column: Column


@dataclass(frozen=True, slots=True)
class Lists:
    """A list field of the jobs: (jobs, longest) codes, and how long each is."""

    codes: Values
    lengths: Values
    ok: Mask | None


@dataclass(slots=True)
class Tables:
    """What a batch is asked about.

    Attributes:
        schema: Dotted field → CEL type.
        now: Instant of the decisions.
        limits: `limits.*` in force for each job, found after its policies are known.
    """

    jobs: pa.Table
    candidates: pa.Table
    schema: Mapping[str, str]
    now: datetime | None = None
    vocabulary: Vocabulary = field(init=False)
    layout: Layout = field(init=False)
    sources: dict[str, Source] = field(default_factory=dict)
    limits: dict[str, Source] = field(default_factory=dict)
    lists: dict[str, Lists] = field(default_factory=dict)

    def load(self, nodes: Iterable[Node], also: Iterable[str] = ()) -> None:
        """Read the fields that some rules name, and some others."""
        asked = [each for node in nodes for each in walk(node)]
        fields = {".".join(each.path) for each in asked if isinstance(each, Var | Has)}
        names = sorted({*fields, *also})
        raw = {name: array for name in names if (array := self.array(name)) is not None}
        words = {each.value for each in asked if isinstance(each, Const) and each.kind == "string"}
        for array in raw.values():
            words.update(_words(array))
        self.vocabulary = Vocabulary.of(str(each) for each in words)
        index = _whole(self.candidates.column(INDEX)).to_numpy(zero_copy_only=False)
        self.layout = Layout(self.jobs.num_rows, index, laid_out(self.jobs.num_rows, index), {}, {})
        for name, array in raw.items():
            if array.null_count < len(array):
                self._take(name, array)

    def array(self, name: str) -> Array | None:
        """The field's Arrow array in its declared type; texts as dictionaries. None: all absent."""
        table = self.candidates if name.startswith("candidate.") else self.jobs
        if name not in table.column_names or name not in self.schema:
            return None
        return _declared(table.column(name), self.schema[name])

    def source(self, name: str) -> Source:
        """The field's column; one that is in neither table is absent everywhere."""
        return self.limits.get(name) or self.own(name)

    def own(self, name: str) -> Source:
        """The same as it lies in the tables: of a limit, what the job itself says."""
        if name == "now" and self.now is not None and name not in self.sources:
            return Source(ONE, constant("timestamp", (self.now - EPOCH) // MICROSECOND))
        return self.sources.get(name) or Source(ONE, absent(self.schema[name]))

    def put(self, name: str, column: Column) -> None:
        """Take a limit in force."""
        self.limits[name] = Source(JOB, self.layout.spread(column, JOB))

    def _take(self, name: str, array: Array) -> None:
        kind, per_job = self.schema[name], not name.startswith("candidate.")
        if kind.startswith("list("):
            self.lists[name] = _lists(array, self.vocabulary)
        elif not pa.types.is_dictionary(array.type):
            values, ok = _numbers(array, kind)
            column = Column(kind, values, ok)
            whole = Source(JOB, _tall(column)) if per_job else Source(WIDE, column)
            self.sources[name] = whole
        else:
            self._take_coded(name, array, kind, per_job=per_job)

    def _take_coded(self, name: str, array: Array, kind: str, *, per_job: bool) -> None:
        column, codes = _coded(array, kind, self.vocabulary)
        if per_job:
            self.sources[name] = Source(JOB, _tall(column.at(codes)))
            return
        if len(column.values) * 2 > max(len(codes), 1_000):
            self.sources[name] = Source(WIDE, column.at(codes))
            return
        self.layout.sizes[name], self.layout.codes[name] = len(column.values), codes
        flat = None if column.ok is None else column.ok.reshape(1, -1)
        self.sources[name] = Source(
            Frame(coded=name), Column(kind, column.values.reshape(1, -1), flat)
        )


def _whole(column: Array) -> Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _declared(column: Array, kind: str) -> Array:
    if pa.types.is_dictionary(column.type) and column.num_chunks > 1:
        column = column.unify_dictionaries()
    array = _whole(column)
    if kind.startswith("list("):
        return array.cast(pa.list_(ARROW[kind[5:-1]]))
    if pa.types.is_dictionary(array.type):
        words = _cast(array.dictionary, kind)
        if words is array.dictionary:
            return array
        return pa.DictionaryArray.from_arrays(array.indices, words, safe=False)
    array = _cast(array, kind)
    return array.dictionary_encode() if kind == "string" else array


def _cast(array: Array, kind: str) -> Array:
    wanted = ARROW[kind]
    if array.type == wanted:
        return array
    if kind == "timestamp" and pa.types.is_timestamp(array.type) and array.type.unit == "ns":
        return pc.floor_temporal(array, unit="microsecond").cast(wanted)
    return array.cast(wanted)


def _words(array: Array) -> Iterable[str]:
    if pa.types.is_dictionary(array.type) and pa.types.is_string(array.type.value_type):
        return (each for each in array.dictionary.to_pylist() if each is not None)
    if pa.types.is_list(array.type) and pa.types.is_string(array.type.value_type):
        return (each for each in pc.unique(array.flatten()).to_pylist() if each is not None)
    return ()


def _numbers(array: Array, kind: str) -> tuple[Values, Mask | None]:
    ok = None
    if array.null_count:
        ok = array.is_valid().to_numpy(zero_copy_only=False)
        array = array.fill_null(False if kind == "bool" else pa.scalar(0).cast(array.type))
    if kind in {"timestamp", "duration"}:
        array = array.view(pa.int64())
    return array.to_numpy(zero_copy_only=False).astype(TYPES[kind], copy=False), ok


def _coded(array: Array, kind: str, words: Vocabulary) -> tuple[Column, Values]:
    """The dictionary as a column, with a last place for the absent, and each row's place."""
    if kind == "string":
        texts = array.dictionary.to_pylist()
        values, ok = words.codes(texts), np.array([each is not None for each in texts], np.bool_)
    else:
        values, some = _numbers(array.dictionary, kind)
        ok = np.ones(len(values), np.bool_) if some is None else some
    indices = array.indices
    if indices.null_count or not len(values):
        indices = indices.cast(pa.int64()).fill_null(len(values))
        values, ok = np.append(values, values.dtype.type(0)), np.append(ok, False)
    codes = indices.to_numpy(zero_copy_only=False)
    return Column(kind, values, None if ok.all() else ok), codes


def _tall(column: Column) -> Column:
    ok = None if column.ok is None else column.ok.reshape(-1, 1)
    return Column(column.kind, column.values.reshape(-1, 1), ok)


def _lists(array: Array, words: Vocabulary) -> Lists:
    texts = array.flatten().dictionary_encode()
    lengths = pc.list_value_length(array).fill_null(0).to_numpy(zero_copy_only=False)
    lengths = lengths.astype(np.int64)
    codes = np.zeros((len(array), int(lengths.max(initial=0))), np.int32)
    inside = np.arange(codes.shape[1]) < lengths.reshape(-1, 1)
    flat = words.codes(texts.dictionary.to_pylist())
    codes[inside] = flat[texts.indices.to_numpy(zero_copy_only=False)] if len(flat) else 0
    ok = array.is_valid().to_numpy(zero_copy_only=False).reshape(-1, 1)
    return Lists(codes, lengths.reshape(-1, 1), None if ok.all() else ok)
