"""Views for people over the files of a lake that lie here, as DuckDB reads them: each row once, ids as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from greenops.adapters.lake_compact import ATTRIBUTE, DERIVED, MORE_WORDS, WHOLE, WORDS
from greenops.adapters.lake_files import Counting, Day, Run, day_of, form_of, is_pack
from greenops.adapters.lake_merging import is_spans
from greenops.adapters.lake_places import VERSION, day_folders

SMALL: Final = ("[!0]*.parquet", "0[!-]*.parquet")
"""Patterns of the names of small files: those of packed ones begin with `0-`."""
PACKED: Final = ("0-packed-*[0-9].parquet",)
COMPACT: Final = ("0-packed-*.v2.parquet",)
KINDS: Final = (SMALL, PACKED, COMPACT)
PARENT: Final = (
    "CASE WHEN parent_at IS NOT NULL THEN"
    " lag(span_id, parent_at) OVER (PARTITION BY filename ORDER BY file_row_number) END"
)
DAY_AND_NAME: Final = "'day=[^/]+/[^/]+$'"


def views(lake: Path, tables: Mapping[str, pa.Schema]) -> str:
    """SQL that makes a view for each table of which there are files.

    Args:
        lake: Its folder.
        tables: Schema of each table.
    """
    found = []
    for table, schema in tables.items():
        days = [day_of(folder) for folder in day_folders(lake / VERSION / table, away=False)]
        parts = list(_parts(lake.absolute() / VERSION / table, days, schema))
        if parts:
            whole = "\nUNION ALL BY NAME\n".join(parts)
            found.append(f"CREATE OR REPLACE VIEW {table} AS\n{whole};")
    return "\n\n".join(found)


def _parts(folder: Path, days: Sequence[Day], schema: pa.Schema) -> Iterator[str]:
    keys = _keys(_columns(days, compact=True)) if is_spans(schema) else []
    for kind in KINDS:
        patterns = [each for each in kind if any(_matches(each, day) for day in days)]
        if not patterns:
            continue
        names = ", ".join(_text(f"{folder}/*/{each}") for each in patterns)
        source = (
            f"read_parquet([{names}], union_by_name = true, filename = true, file_row_number = true,"
            " hive_partitioning = true)"
        )
        compact = kind is COMPACT and is_spans(schema)
        there = _columns(days, compact=compact)
        stretch = days[0].folder.name.partition("=")[0]
        columns = _compact(there) if compact else [stretch, *_plain(schema, there)]
        # Beside the map, which takes long to put together.
        columns += [
            f"{_alone(key, there, compact=compact)} AS {_name(ATTRIBUTE + key)}" for key in keys
        ]
        if compact:
            # Before rows are left out: a parent is so many rows away. Nobody pays for it who does not ask.
            source = f"(SELECT *, {PARENT} AS parent_here FROM {source})"  # noqa: S608  (quoted)
        where = "" if kind is SMALL else _where(folder, days, compact=compact)
        yield f"SELECT {', '.join(columns)}\nFROM {source}{where}"


def _matches(pattern: str, day: Day) -> bool:
    names = [*day.loose, *(each.path.name for each in day.packs)]
    if pattern in SMALL:
        return any(
            not is_pack(each) and (each[0] == "0") == (pattern == SMALL[1]) for each in names
        )
    return any(
        is_pack(each) and form_of(each) == (2 if pattern in COMPACT else 1) for each in names
    )


def _columns(days: Sequence[Day], *, compact: bool) -> list[str]:
    """Columns that files of a kind have, all together."""
    found: dict[str, None] = {}
    for day in days:
        paths = [each.path for each in day.packs]
        if not compact:
            # Small files of a version are alike; the newest and the oldest tell what there is.
            paths += [day.folder / each for each in day.loose[:1] + day.loose[-1:]]
        for path in paths:
            if compact == (form_of(path.name) > 1):
                found |= dict.fromkeys(pq.read_schema(path).names)
    return list(found)


def _plain(schema: pa.Schema, there: Sequence[str]) -> list[str]:
    return [_name(each) if each in there else f"NULL AS {_name(each)}" for each in schema.names]


def _compact(there: Sequence[str]) -> list[str]:
    keys = _keys(there)
    entries = ", ".join(f"{{'k': {_text(key)}, 'v': {_value(key, there)}}}" for key in keys)
    kept = f"list_filter([{entries}], lambda each: each.v IS NOT NULL)" if keys else "[]"
    ended = 'epoch_us("time") + end_after_us'
    return [
        "day",
        "coalesce(lower(hex(trace_id)), trace_text) AS trace_id",
        "coalesce(lower(hex(span_id)), span_text) AS span_id",
        "coalesce(lower(hex(parent_id)), parent_text, lower(hex(parent_here))) AS parent_id",
        *(_name(each) for each in WORDS),
        f'coalesce("start", make_timestamptz({ended} - duration_us)) AS "start"',
        f'make_timestamptz({ended}) AS "end"',
        '"time"',
        "energy_j",
        *(f"coalesce({each}, energy_j * {each}_per_j + {each}_rest) AS {each}" for each in DERIVED),
        *(_name(each) for each in MORE_WORDS),
        f"coalesce(attributes_more, map_from_entries({kept})) AS attributes"
        if keys
        else "attributes_more AS attributes",
    ]


def _keys(there: Sequence[str]) -> list[str]:
    """Keys that have a column."""
    return sorted(each.removeprefix(ATTRIBUTE) for each in there if each.startswith(ATTRIBUTE))


def _alone(key: str, there: Sequence[str], *, compact: bool) -> str:
    """One attribute of a row."""
    if not compact:
        return f"attributes[{_text(key)}]"
    return f"coalesce({_value(key, there)}, attributes_more[{_text(key)}])"


def _value(key: str, there: Sequence[str]) -> str:
    text = _name(ATTRIBUTE + key)
    return (
        f"coalesce({text}, CAST({_name(WHOLE + key)} AS VARCHAR))" if WHOLE + key in there else text
    )


def _where(folder: Path, days: Sequence[Day], *, compact: bool) -> str:
    """Rows of packed files that count: no small file of theirs lies beside, and no later packed one has them."""
    refused: list[str] = []
    if compact:
        files = f"glob({_text(f'{folder}/*/*.parquet')})"
        beside = f"SELECT regexp_extract(file, {DAY_AND_NAME}) FROM {files}"  # noqa: S608  (quoted)
        refused.append(f"regexp_extract(filename, 'day=[^/]+') || '/' || small_file IN ({beside})")
    for day in days:
        wanted = dict(day.wanted())
        for pack in day.packs:
            if compact == (form_of(pack.path.name) > 1):
                refused += _refused(
                    folder / day.folder.name / pack.path.name, wanted.get(pack.path), pack.runs
                )
    return "".join(
        f"\n{'WHERE' if at == 0 else 'AND'} NOT ({each})" for at, each in enumerate(refused)
    )


def _refused(path: Path, counting: Counting | None, runs: Sequence[Run]) -> Iterator[str]:
    file = f"filename = {_text(str(path))}"
    if counting is None:
        yield file
    elif counting.left_out and form_of(path.name) > 1:
        yield f"{file} AND small_file IN ({', '.join(map(_text, sorted(counting.left_out)))})"
    else:
        for run in runs:
            if run.name in counting.left_out and run.rows:
                last = run.first + run.rows - 1
                yield f"{file} AND file_row_number BETWEEN {run.first} AND {last}"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _name(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'
