"""Sums of the lake in columns: the same as a row at a time, whatever came, was packed or came late."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenops.adapters import lake_sums
from greenops.adapters.lake_packing import Packer
from greenops.adapters.lake_sums import LakeSums
from greenops.adapters.lake_tally import Seen, exact_parts, keys_of
from greenops.adapters.parquet_lake import TABLES, ParquetLake
from greenops.domain.spans import SpanRow
from greenops.domain.usage import Window
from greenops.errors import DataMissing
from greenops.pipeline.budgets import standing_of_budgets, standing_of_targets
from greenops.policy import compile_policies
from tests.bench.budget_rows import budgets_by_rows, targets_by_rows

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
HEAD = "apiVersion: greenops.dev/v1alpha1\n"
WORKLOADS = "".join(
    HEAD
    + f"""kind: Workload
metadata: {{name: {name}}}
spec: {{kind: inference, team: {team}, homeRegion: eu}}
---
"""
    for name, team in (("a", "red"), ("b", "red"), ("c", "blue"))
)
BUDGETS = "".join(
    HEAD
    + f"""kind: Budget
metadata: {{name: b{at}, owners: [a@example.com]}}
spec:
  scope: {{{scope}}}
  period: {{every: {every}, timeZone: {zone}}}
  limit: {{{limit}}}
  actions: [{{at: 50%, do: warn}}, {{at: 100%, do: warn}}]
---
"""
    for at, (scope, every, zone, limit) in enumerate(
        [
            ("teams: [red]", "day", "UTC", "carbonG: 50"),
            ("workloads: [c]", "week", "Europe/Paris", "costUsd: 50"),
            ("teams: [red], workloads: [b]", "month", "Asia/Kolkata", "carbonG: 9, costUsd: 9"),
            ("teams: [blue]", "month", "America/New_York", "carbonG: 9, costUsd: 9"),
        ]
    )
)
TARGETS = "---\n".join(
    HEAD
    + f"""kind: Target
metadata: {{name: t{at}, owners: [a@example.com]}}
spec:
  measure: {measure}
  reduction: 40%
  baseline: {{from: "{begins}", to: "{ends}"}}
  by: "2026-09-01T00:00:00Z"
"""
    for at, (measure, begins, ends) in enumerate(
        [
            ("carbon", "2026-03-01T07:30:00Z", "2026-03-02T05:00:00Z"),
            ("energy", "2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"),
            ("cost", "2026-03-02T11:11:11Z", "2026-03-03T23:00:00Z"),
        ]
    )
)
POLICIES = compile_policies([("p.yaml", WORKLOADS + BUDGETS + TARGETS)])

figures = st.none() | st.floats(0, 1e12) | st.sampled_from([0.0, 1e-9, 0.1, -1.0, math.nan, 2e12])
minutes = st.integers(0, 5 * 24 * 60) | st.sampled_from([n * 30 for n in range(5 * 48)])
spans = st.builds(
    lambda number, workload, minute, energy, carbon, cost, unknown: row(
        number, workload, BEGIN + minute * MINUTE, energy, carbon, cost, unknown
    ),
    st.integers(0, 400),
    st.sampled_from(["a", "b", "c", "undeclared", None]),
    minutes,
    figures,
    figures,
    figures,
    st.sampled_from([None, None, "no_meter"]),
)


def row(number, workload, at, energy=1.0, carbon=1.0, cost=1.0, unknown=None):
    return SpanRow(
        # One span in three has ids of another length, as other tools give.
        trace_id=f"{number:032x}" if number % 3 else f"t{number}",
        span_id=f"{number:016x}",
        parent_id=None,
        service="svc",
        instance=None,
        workload=workload,
        name="n",
        kind="INTERNAL",
        start=at,
        end=at,
        time=at,
        energy_j=energy,
        energy_low_j=None,
        energy_high_j=None,
        carbon_g=carbon,
        cost_usd=cost,
        method=None,
        unknown=unknown,
        region=None,
        grid_zone=None,
        decision_id=None,
        attributes={},
    )


def same(found, wanted):
    """Are two states the same to 1e-9, and exactly so in what is not a number?"""
    for name in type(wanted).__dataclass_fields__:
        one, other = getattr(found, name), getattr(wanted, name)
        if isinstance(other, float) and one is not None:
            assert one == pytest.approx(other, rel=1e-9, abs=1e-12), (name, found, wanted)
        else:
            assert one == other, (name, found, wanted)


def check(sums, lake, now):
    for found, wanted in zip(
        standing_of_budgets(POLICIES, sums, now), budgets_by_rows(POLICIES, lake, now), strict=True
    ):
        same(found, wanted)
    for found, wanted in zip(
        standing_of_targets(POLICIES, sums, now), targets_by_rows(POLICIES, lake, now), strict=True
    ):
        same(found, wanted)


step = st.tuples(
    st.lists(spans, max_size=8),
    st.booleans(),
    st.sampled_from(["write", "write", "again", "pack", "replace"]),
    st.integers(0, 6 * 24 * 60),
    st.integers(0, 999),
)


@settings(max_examples=50, deadline=None)
@given(st.lists(step, min_size=1, max_size=6), st.sampled_from([1, 3, 400_000]))
def test_sums_in_columns_are_those_of_rows_after_whatever_happens_to_the_lake(steps, together):
    at_once, lake_sums.TOGETHER = lake_sums.TOGETHER, together
    try:
        with TemporaryDirectory() as folder:
            replayed(Path(folder), steps)
    finally:
        lake_sums.TOGETHER = at_once


def replayed(folder, steps):
    lake, sums, instants, names = ParquetLake(folder), LakeSums(folder), {}, []
    for drawn, in_order, act, minute, draw in steps:
        # A span that is delivered again keeps its instant; its figures may be others.
        rows = [with_first_instant(each, instants) for each in drawn]
        if act == "pack":
            Packer(folder, {"spans": TABLES["spans"]}).pack((BEGIN + DAY * (draw % 6)).date())
        elif act in {"again", "replace"} and names:
            lake.write_spans(rows, names[draw % len(names)])
        else:
            names.append(f"{len(names):04d}" if in_order else f"{draw:03d}-{len(names)}")
            lake.write_spans(rows, names[-1])

        check(sums, lake, BEGIN + minute * MINUTE)


def with_first_instant(span, instants):
    at = instants.setdefault((span.trace_id, span.span_id), span.time)
    return row(
        int(span.span_id, 16),
        span.workload,
        at,
        span.energy_j,
        span.carbon_g,
        span.cost_usd,
        span.unknown,
    )


def total(sums, begins=BEGIN, ends=BEGIN + 30 * DAY):
    (usage,) = sums([Window(begins, ends)])
    return {name: used.carbon_g.total for name, used in usage.items() if used.carbon_g}


def reads(monkeypatch):
    """Names of files as they are opened."""
    found, opened = [], lake_sums.opened
    monkeypatch.setattr(lake_sums, "opened", lambda path: found.append(path) or opened(path))
    return found


def test_a_later_look_opens_only_what_is_new(tmp_path, monkeypatch):
    lake, sums, opened = ParquetLake(tmp_path), LakeSums(tmp_path), reads(monkeypatch)
    for number in range(6):
        lake.write_spans([row(number, "a", BEGIN + number * DAY / 2)], f"{number}")
    total(sums, ends=BEGIN + 3 * DAY)
    opened.clear()

    lake.write_spans([row(7, "a", BEGIN + 2.6 * DAY)], "7")

    assert total(sums, ends=BEGIN + 3 * DAY) == {"a": 7.0}
    assert [Path(each).name for each in opened] == ["7.parquet"]


def test_a_late_row_of_a_finished_day_has_that_day_read_again_and_no_other(tmp_path, monkeypatch):
    lake, sums, opened = ParquetLake(tmp_path), LakeSums(tmp_path), reads(monkeypatch)
    for number in range(10):
        lake.write_spans([row(number, "a", BEGIN + number * DAY)], "x")
    total(sums, ends=BEGIN + 10 * DAY)
    opened.clear()

    lake.write_spans([row(99, "a", BEGIN + 3 * DAY)], "late")

    assert total(sums, ends=BEGIN + 10 * DAY) == {"a": 11.0}
    assert {Path(each).parent.name for each in opened} == {"day=2026-03-04"}


def test_a_folder_that_was_left_alone_is_not_listed_again_until_it_changes(tmp_path, monkeypatch):
    lake, listed, files = ParquetLake(tmp_path), [], lake_sums._files
    monkeypatch.setattr(lake_sums, "_files", lambda at: listed.append(at.name) or files(at))
    sums = LakeSums(tmp_path, wall_ns=lambda: time.time_ns() + 10 * lake_sums.SETTLED_NS)
    lake.write_spans([row(1, "a", BEGIN)], "x")
    folder = tmp_path / "v1/spans/day=2026-03-01"
    before = folder.stat().st_ctime_ns

    first, second = total(sums), total(sums)
    looks = len(listed)
    while folder.stat().st_ctime_ns == before:  # stamps go in steps of some milliseconds
        (folder / "touched").touch()
        (folder / "touched").unlink()
    lake.write_spans([row(2, "a", BEGIN)], "y")

    assert (first, second, looks) == ({"a": 1.0}, {"a": 1.0}, 1)
    assert total(sums) == {"a": 2.0}


def test_rows_after_now_count_once_they_are_reached(tmp_path, monkeypatch):
    lake, sums, opened = ParquetLake(tmp_path), LakeSums(tmp_path), reads(monkeypatch)
    lake.write_spans([row(n, "a", BEGIN + n * timedelta(hours=1)) for n in range(10)], "x")

    assert [
        total(sums, ends=BEGIN + timedelta(hours=hours)).get("a") for hours in (3, 5, 10, 4)
    ] == [3.0, 5.0, 10.0, 4.0]
    # Time goes back once, and only then is the file read again.
    assert len(opened) == 2


def test_a_period_that_begins_among_rows_that_just_came_counts_those_after_its_begin(tmp_path):
    lake, sums, noon = ParquetLake(tmp_path), LakeSums(tmp_path), BEGIN + DAY / 2
    lake.write_spans([row(1, "a", BEGIN)], "x")
    total(sums, ends=BEGIN + MINUTE)

    lake.write_spans([row(2, "a", BEGIN + MINUTE), row(3, "a", noon)], "y")

    assert total(sums, begins=noon, ends=noon + MINUTE) == {"a": 1.0}


def test_a_packed_file_that_is_written_again_counts_as_it_is_now(tmp_path):
    lake, sums = ParquetLake(tmp_path), LakeSums(tmp_path)
    for number in range(3):
        lake.write_spans([row(number, "a", BEGIN)], f"{number}")
    Packer(tmp_path, {"spans": TABLES["spans"]}).pack((BEGIN + DAY).date())
    before = total(sums, ends=BEGIN + DAY)

    lake.write_spans([row(1, "a", BEGIN, carbon=7.0)], "1")

    assert (before, total(sums, ends=BEGIN + DAY)) == ({"a": 3.0}, {"a": 9.0})


def test_the_same_sum_to_the_last_bit_however_the_files_lie(tmp_path):
    random = np.random.default_rng(1)
    rows = [row(n, "a", BEGIN, carbon=float(random.lognormal(0, 5))) for n in range(500)]
    one, many = ParquetLake(tmp_path / "one"), ParquetLake(tmp_path / "many")
    one.write_spans(rows, "x")
    for number, at in enumerate(range(0, 500, 7)):
        many.write_spans(rows[::-1][at : at + 7], f"{number:03d}")

    found = total(LakeSums(tmp_path / "one"))

    assert found == total(LakeSums(tmp_path / "many"))
    assert found["a"] == math.fsum(each.carbon_g for each in rows)


@given(
    st.lists(st.tuples(st.floats(0, 1e12, allow_subnormal=False), st.integers(0, 2)), min_size=1)
)
def test_parts_of_a_sum_add_up_to_what_exact_addition_gives(pairs):
    values, codes = np.array([v for v, _ in pairs]), np.array([c for _, c in pairs])

    parts = exact_parts(values, codes, 3)

    for code in range(3):
        wanted = math.fsum(value for value, c in pairs if c == code)
        assert math.fsum(float(each[code]) for each in parts) == pytest.approx(
            wanted, rel=1e-15, abs=1e-30 * max(values)
        )


def test_a_damaged_file_is_named_or_skipped_and_is_not_read_as_nothing(tmp_path, caplog):
    lake = ParquetLake(tmp_path)
    lake.write_spans([row(1, "a", BEGIN)], "x")
    (tmp_path / "v1/spans/day=2026-03-01/y.parquet").write_bytes(b"no parquet")
    strict = LakeSums(tmp_path, skip_damaged=False)

    assert total(LakeSums(tmp_path)) == {"a": 1.0}
    assert "GO0412" in caplog.text
    for _ in range(2):
        with pytest.raises(DataMissing, match="GO0412"):
            total(strict)


def test_a_file_that_lacks_a_column_is_damaged(tmp_path):
    lake = ParquetLake(tmp_path)
    lake.write_spans([row(1, "a", BEGIN)], "x")
    path = tmp_path / "v1/spans/day=2026-03-01/x.parquet"
    pq.write_table(pq.ParquetFile(path).read().drop_columns(["carbon_g"]), path)

    with pytest.raises(DataMissing, match="carbon_g"):
        total(LakeSums(tmp_path, skip_damaged=False))


def test_an_empty_lake_and_an_empty_window_used_nothing(tmp_path):
    sums = LakeSums(tmp_path)

    assert sums([]) == []
    assert sums([Window(BEGIN, BEGIN + DAY), Window(BEGIN, BEGIN)]) == [{}, {}]


def test_keys_tell_ids_apart_that_differ_in_one_sign(tmp_path):
    lake = ParquetLake(tmp_path)
    lake.write_spans([row(n, "a", BEGIN) for n in range(30_000)], "x")
    table = pq.read_table(tmp_path / "v1/spans/day=2026-03-01/x.parquet")

    keys = keys_of(table["trace_id"], table["span_id"])
    halves = [keys_of(each["trace_id"], each["span_id"]) for each in (table[:9_999], table[9_999:])]

    assert len(set(keys.tolist())) == 30_000
    assert (keys == np.concatenate(halves)).all()


@given(st.lists(st.lists(st.integers(0, 30), max_size=9)))
def test_each_key_is_first_once(batches):
    seen, known = Seen(), set()

    for keys in batches:
        mask = seen.first(np.array(keys, np.uint64))

        wanted = [key not in known and key not in keys[:at] for at, key in enumerate(keys)]
        assert mask.tolist() == wanted
        known |= set(keys)
