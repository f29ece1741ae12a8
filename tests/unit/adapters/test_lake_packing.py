"""A day's small files become one, and every reader gets what it got before, at any moment."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from greenops.adapters.lake_history import LakeHistory
from greenops.adapters.lake_packing import Packed, Packer
from greenops.adapters.parquet_lake import TABLES, ParquetLake
from greenops.domain.console import DecisionRecord
from greenops.domain.decision import Candidate, Judgement
from greenops.domain.energy import Category
from greenops.domain.spans import EnergyAccount, SpanRow
from greenops.domain.workload import Job, Limits, Urgency, Workload, WorkloadKind
from greenops.errors import DataMissing
from greenops.plan.choice import choose
from tests.unit.adapters import told_by_others

NOW = datetime(2026, 11, 23, 20, tzinfo=UTC)
TOMORROW = (NOW + timedelta(days=1)).date()
WORKLOAD = Workload("etl", WorkloadKind.BATCH, Urgency.DEFERRABLE, "eu", team="data")
FILES = 6


def record(name, others):
    of = Job(name, WORKLOAD, NOW)
    places = [
        Candidate("baseline", region="eu", carbon_g=100.0),
        *(Candidate(f"{name}-{at}", region="eu", carbon_g=float(at)) for at in range(others)),
    ]
    made = choose(of, places[0], places[1:], Judgement((), (), Limits(), "0"), NOW)
    return DecisionRecord(replace(made, id=f"dec-{name}"), tuple(places), (), {}, job=of)


def span(number, energy_j=1.5):
    known = {
        "trace_id": f"{number:032x}",
        "span_id": f"{number:016x}",
        "service": "shop",
        "name": "order",
        "start": NOW,
        "end": NOW,
        "time": NOW,
        "energy_j": energy_j,
        "attributes": {"n": str(number)},
    }
    return SpanRow(**dict.fromkeys(SpanRow.__dataclass_fields__) | known)


def account(number):
    at = NOW + timedelta(seconds=number)
    return EnergyAccount("shop", "i-1", None, "cpu", Category.IDLE, at, float(number), None, None)


def fill(folder, files=FILES):
    lake = ParquetLake(folder)
    for at in range(files):
        lake.write_spans([span(10 * at), span(10 * at + 1)], f"{at:012d}-run")
        lake.write_accounts([account(at)], f"{at:012d}-run")
        lake.write_decision(record(f"{at}", at))
    told_by_others.fill(folder, files)
    return lake


def candidates(folder, rows=4):
    history = LakeHistory(folder)
    found = []
    for batch in history.batches(history.days(), ["carbon_g"], rows):
        names = batch.decisions.column("id").to_pylist()
        ids = batch.source.column("id").to_pylist()
        found += [
            (names[row["job"]], each, row["carbon_g"])
            for row, each in zip(batch.candidates.to_pylist(), ids, strict=True)
        ]
    return found


def answers(folder):
    lake = ParquetLake(folder)
    return {
        "spans": list(lake.spans()),
        "accounts": list(lake.accounts()),
        "decisions": list(lake.decisions()),
        "candidates": candidates(folder),
        **told_by_others.told(folder),
    }


def files(folder, table):
    return sorted(each.name for each in (folder / "v1" / table).glob("*=*/*"))


def folder_of(state, table):
    return state / "v1" / table / f"day={NOW.date().isoformat()}"


def pack(folder):
    return Packer(folder, TABLES).pack(TOMORROW)


def test_each_table_of_a_day_is_one_file_and_all_readers_answer_as_before(tmp_path):
    fill(tmp_path)
    before = answers(tmp_path)

    done = pack(tmp_path)

    assert done == Packed(days=6, files=6 * FILES, rows=12 + 6 + 6 + 21 + 6 + 12)
    assert {name: files(tmp_path, name) for name in TABLES} == {
        name: [f"0-packed-1{'.v2' * (name == 'spans')}.parquet"] for name in TABLES
    }
    assert answers(tmp_path) == before


def test_packing_again_changes_nothing(tmp_path):
    fill(tmp_path)
    pack(tmp_path)
    path = folder_of(tmp_path, "spans") / "0-packed-1.v2.parquet"
    once = path.read_bytes()

    assert pack(tmp_path) == Packed()
    assert path.read_bytes() == once


def test_a_day_or_a_month_that_is_not_over_stays_as_it_is(tmp_path):
    fill(tmp_path)

    assert Packer(tmp_path, TABLES).pack(date(2026, 10, 31)) == Packed()
    assert Packer(tmp_path, TABLES).pack(date(2026, 11, 1)) == Packed(1, FILES, FILES)
    assert Packer(tmp_path, TABLES).pack(NOW.date()) == Packed()
    assert files(tmp_path, "reported") == ["0-packed-1.parquet"]
    assert len(files(tmp_path, "decisions")) == FILES


def test_late_rows_are_read_beside_the_packed_file_and_merged_the_next_time(tmp_path):
    lake = fill(tmp_path)
    pack(tmp_path)
    lake.write_spans([span(77)], "000000000077-run")
    lake.write_decision(record("late", 2))
    before = answers(tmp_path)

    done = pack(tmp_path)

    assert [row.span_id for row in before["spans"]].count(f"{77:016x}") == 1
    assert (done.days, files(tmp_path, "spans")) == (3, ["0-packed-2.v2.parquet"])
    assert answers(tmp_path) == before


def test_a_folder_whose_name_is_no_day_is_left_alone(tmp_path):
    fill(tmp_path)
    strange = folder_of(tmp_path, "spans").rename(tmp_path / "v1" / "spans" / "day=someday")

    assert pack(tmp_path).days == 5
    assert len(list(strange.iterdir())) == FILES


def test_a_file_that_is_written_again_after_packing_replaces_its_rows(tmp_path):
    lake = fill(tmp_path)
    lake.write_spans([span(500, 1.0), span(501, 1.0)], "import-x")
    pack(tmp_path)
    lake.write_spans([span(500, 9.0)], "import-x")
    lake.write_decision(record("3", 3))
    before = answers(tmp_path)

    pack(tmp_path)

    got = {row.span_id: row.energy_j for row in before["spans"] if row.energy_j != 1.5}
    assert got == {f"{500:016x}": 9.0}
    assert len(before["decisions"]) == FILES
    assert answers(tmp_path) == before


def test_a_packed_file_keeps_the_form_of_the_small_ones(tmp_path):
    fill(tmp_path)
    small = pq.read_schema(next(folder_of(tmp_path, "candidates").glob("*")))
    pack(tmp_path)

    file = pq.ParquetFile(folder_of(tmp_path, "candidates") / "0-packed-1.parquet")

    assert file.schema_arrow.equals(small)
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"
    assert file.metadata.row_group(0).column(0).has_dictionary_page


def test_readers_that_were_under_way_read_each_row_once(tmp_path):
    lake = fill(tmp_path)
    before = answers(tmp_path)
    spans, decisions = lake.spans(), lake.decisions()
    got = [next(spans) for _ in range(3)], [next(decisions) for _ in range(2)]

    pack(tmp_path)

    assert [*got[0], *spans] == before["spans"]
    assert [*got[1], *decisions] == before["decisions"]


def test_a_replay_under_way_finds_its_rows_in_the_packed_file(tmp_path):
    lake = fill(tmp_path)
    ids = [each for _, each, _ in candidates(tmp_path)]
    history = LakeHistory(tmp_path)
    batches = list(history.batches(history.days(), ["carbon_g"], 4))
    whole = [list(each.source.rows(0, each.candidates.num_rows)) for each in batches]

    pack(tmp_path)
    first = [each for batch in batches for each in batch.source.column("id").to_pylist()]
    lake.write_decision(record("late", 2))
    pack(tmp_path)

    assert first == ids
    assert [each for batch in batches for each in batch.source.column("id").to_pylist()] == ids
    assert [list(each.source.rows(0, each.candidates.num_rows)) for each in batches] == whole


def test_what_a_replay_read_from_a_packed_file_outlives_the_next_packing(tmp_path):
    lake = fill(tmp_path)
    pack(tmp_path)
    history = LakeHistory(tmp_path)
    batches = list(history.batches(history.days(), ["carbon_g"], 4))
    ids = [each.source.column("id").to_pylist() for each in batches]

    lake.write_decision(record("late", 2))
    pack(tmp_path)

    assert [each.source.column("id").to_pylist() for each in batches] == ids


def test_a_damaged_file_is_left_where_it_is_and_the_others_are_packed(tmp_path):
    fill(tmp_path)
    damaged = folder_of(tmp_path, "spans") / f"{2:012d}-run.parquet"
    damaged.write_bytes(b"PAR1 not a file PAR1")
    packer = Packer(tmp_path, TABLES)

    packer.pack(TOMORROW)

    assert files(tmp_path, "spans") == ["0-packed-1.v2.parquet", damaged.name]
    assert packer.pack(TOMORROW) == Packed()
    assert len(list(ParquetLake(tmp_path).spans(skip_damaged=True))) == 2 * (FILES - 1)
    with pytest.raises(DataMissing, match=damaged.name):
        list(ParquetLake(tmp_path).spans())


def test_a_damaged_packed_file_is_never_taken_for_an_empty_one(tmp_path, caplog):
    lake = fill(tmp_path)
    pack(tmp_path)
    packed = folder_of(tmp_path, "spans") / "0-packed-1.v2.parquet"
    packed.write_bytes(packed.read_bytes()[:-50])
    lake.write_spans([span(77)], "000000000077-run")
    before = files(tmp_path, "spans")

    pack(tmp_path)

    assert files(tmp_path, "spans") == before
    assert [each.message.partition(" ")[0] for each in caplog.records] == ["GO0412"]
    with pytest.raises(DataMissing, match="0-packed-1"):
        list(lake.spans())
    assert len(list(lake.spans(skip_damaged=True))) == 1


def test_decisions_of_an_earlier_version_stay_as_they_are(tmp_path):
    fill(tmp_path)
    for path in folder_of(tmp_path, "decisions").glob("*"):
        pq.write_table(pq.read_table(path).select(TABLES["decisions"].names[:5]), path)
    before = candidates(tmp_path)

    pack(tmp_path)

    assert len(files(tmp_path, "decisions")) == FILES
    assert candidates(tmp_path) == before


def test_one_process_packs_at_a_time(tmp_path):
    fill(tmp_path)
    inner = []

    def meanwhile():
        inner.append(pack(tmp_path))
        return False

    done = Packer(tmp_path, TABLES, meanwhile).pack(TOMORROW)

    assert done.days == len(TABLES)
    assert set(inner) == {Packed()}


def test_packing_that_is_told_to_stop_leaves_the_day_as_it_was(tmp_path):
    fill(tmp_path)
    before = {name: files(tmp_path, name) for name in TABLES}
    asked = iter([False] * 3)

    done = Packer(tmp_path, TABLES, lambda: next(asked, True)).pack(TOMORROW)

    assert done == Packed()
    assert {name: files(tmp_path, name) for name in TABLES} == before


def test_a_file_that_is_written_again_while_its_day_is_packed_is_kept(tmp_path):
    lake = fill(tmp_path)
    asked = iter(range(100))

    def meanwhile():
        # The fourth small file is about to be read, so the first has been.
        if next(asked) == 3:
            lake.write_spans([span(0, 9.0), span(1, 9.0)], f"{0:012d}-run")
        return False

    Packer(tmp_path, {"spans": TABLES["spans"]}, meanwhile).pack(TOMORROW)

    assert files(tmp_path, "spans") == ["0-packed-1.v2.parquet", f"{0:012d}-run.parquet"]
    got = sorted((row.span_id, row.energy_j) for row in lake.spans())
    assert got[:3] == [(f"{0:016x}", 9.0), (f"{1:016x}", 9.0), (f"{10:016x}", 1.5)]
    assert len(got) == 2 * FILES


def test_a_lake_that_is_not_there_is_not_made(tmp_path):
    assert pack(tmp_path / "lake") == Packed()
    assert not (tmp_path / "lake").exists()


@pytest.mark.parametrize("bytes_", [1, 10_000, 40 * 2**20])
def test_jobs_are_whole_in_row_groups_of_any_size(tmp_path, bytes_, monkeypatch):
    monkeypatch.setattr("greenops.adapters.lake_merging.GROUP_BYTES", bytes_)
    monkeypatch.setattr("greenops.adapters.lake_merging.TOGETHER", 2)
    fill(tmp_path)
    before = answers(tmp_path)

    pack(tmp_path)

    file = pq.ParquetFile(folder_of(tmp_path, "candidates") / "0-packed-1.parquet")
    seen = [
        set(file.read_row_group(at, columns=["decision_id"])["decision_id"].to_pylist())
        for at in range(file.num_row_groups)
    ]
    assert len(pa.array([name for each in seen for name in each])) == FILES
    assert answers(tmp_path) == before
