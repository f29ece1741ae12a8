"""Packing that dies before any one of its steps on disk: each row once for every reader, and the next packing mends it."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from greenops.adapters.lake_history import LakeHistory
from greenops.adapters.lake_packing import Packer
from greenops.adapters.parquet_lake import TABLES, ParquetLake
from greenops.adapters.reported_lake import ReportedLake
from greenops.domain.console import DecisionRecord
from greenops.domain.decision import Candidate, Judgement
from greenops.domain.spans import SpanRow
from greenops.domain.workload import Job, Limits, Urgency, Workload, WorkloadKind
from greenops.errors import Unreachable
from greenops.plan.choice import choose
from tests.unit.adapters import told_by_others

NOW = datetime(2026, 11, 23, 20, tzinfo=UTC)
TOMORROW = (NOW + timedelta(days=1)).date()
WORKLOAD = Workload("etl", WorkloadKind.BATCH, Urgency.DEFERRABLE, "eu", team="data")
KEPT = {name: schema for name, schema in TABLES.items() if name != "accounts"}
LOCKS = ["v1/packing.lock", "v1/readings/.lock", "v1/reported/.lock"]
"""Which are no rows, and stay."""

PACK_AND_DIE = """
import os, sys
from datetime import date
from pathlib import Path
from greenops.adapters.lake_packing import Packer
from greenops.adapters.parquet_lake import TABLES

before = date.fromisoformat(sys.argv[1])
# Accounts take the way of decisions, and readings that of amounts.
kept = {name: schema for name, schema in TABLES.items() if name not in ("accounts", "readings")}


def pack(folder, wanted):
    steps = 0

    def count(event, details):
        nonlocal steps
        if event in ("os.rename", "os.remove", "os.link", "open") and folder in str(details[0]):
            steps += 1
            if steps == wanted:
                os.kill(os.getpid(), 9)

    sys.addaudithook(count)
    Packer(Path(folder), kept).pack(before)
    return steps


for line in sys.stdin:
    wanted, folder = line.rstrip().split(" ", 1)
    child = os.fork()
    if not child:
        said = 255
        try:
            said = pack(folder, int(wanted))
        finally:
            os._exit(said)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"""Every opening for `fsync`, rename and removal is a step; the process dies before the wanted one. A process that has the
program loaded forks into one for each: a start takes longer than packing."""


def decision(name):
    of = Job(name, WORKLOAD, NOW)
    places = [Candidate(each, region="eu", carbon_g=2.0) for each in ("baseline", name)]
    made = choose(of, places[0], places[1:], Judgement((), (), Limits(), "0"), NOW)
    return DecisionRecord(made, tuple(places), (), {}, job=of)


def span(number):
    known = {
        "trace_id": f"{number:032x}",
        "span_id": f"{number:016x}",
        "service": "shop",
        "name": "order",
        **dict.fromkeys(("start", "end", "time"), NOW),
        "energy_j": 1.5,
        "attributes": {},
    }
    return SpanRow(**dict.fromkeys(SpanRow.__dataclass_fields__) | known)


def answers(folder):
    """What each reader says, and every row as the files hold it, for `spans` hides what comes twice."""
    lake, history = ParquetLake(folder), LakeHistory(folder)
    batches = list(history.batches(history.days(), ["carbon_g"]))
    raw = [row["span_id"] for row in lake._rows("spans", TABLES["spans"])]
    return {
        "raw": sorted(raw),
        "spans": sorted(row.span_id for row in lake.spans()),
        "decisions": sorted(each["decision"]["id"] for each in lake.decisions()),
        "candidates": sorted(
            each for batch in batches for each in batch.source.column("id").to_pylist()
        ),
        **told_by_others.told(folder),
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A packed day with late rows and a file written again: every kind of step is taken."""
    folder = tmp_path_factory.mktemp("made")
    lake = ParquetLake(folder)
    for at in range(2):
        lake.write_spans([span(at)], f"{at:012d}-run")
        lake.write_decision(decision(f"d{at}"))
    bring(folder, 1.0)
    Packer(folder, KEPT).pack(TOMORROW)
    bring(folder, 5.0)
    lake.write_spans([span(1)], f"{1:012d}-run")
    lake.write_spans([span(7)], f"{7:012d}-run")
    lake.write_decision(decision("late"))
    return folder


def bring(folder, grams):
    """Two sources, of which the second is told otherwise when it comes again."""
    others = ReportedLake(folder)
    for source, told in (("a", 1.0), ("b", grams)):
        others.keep(
            [told_by_others.amount("x", told, source), told_by_others.amount("y", 1.0, source)]
        )
        others.keep_readings([told_by_others.reading(each, told, source) for each in range(2)])


@pytest.fixture
def packed():
    """Packs a folder in a process that dies before a step (0: before none); gives how it ended, or its number of steps."""
    command = [sys.executable, "-c", PACK_AND_DIE, TOMORROW.isoformat()]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as helper:

        def pack(folder, die_at=0):
            print(die_at, folder, file=helper.stdin, flush=True)
            return int(helper.stdout.readline())

        yield pack


def files(folder):
    return sorted(
        str(each.relative_to(folder)) for each in (folder / "v1").rglob("*") if each.is_file()
    )


def test_a_kill_before_any_step_loses_no_row_and_doubles_none(made, packed, tmp_path):
    whole, before = tmp_path / "whole", answers(made)
    shutil.copytree(made, whole)
    steps = packed(whole)

    for step in range(1, steps + 1):
        folder = tmp_path / f"at-{step}"
        shutil.copytree(made, folder)
        assert packed(folder, step) == -signal.SIGKILL
        assert answers(folder) == before, (step, files(folder))

        Packer(folder, KEPT).pack(TOMORROW)

        assert answers(folder) == before, step
        left = [each for each in files(folder) if "0-packed-" not in each]
        assert left == LOCKS, (step, files(folder))
        assert len(files(folder)) == len(LOCKS) + len(KEPT), (step, files(folder))

    assert 4 * 6 <= steps < 255
    assert answers(whole) == before


def test_what_a_kill_half_way_through_writing_left_is_cleared_away(made, tmp_path):
    folder = tmp_path / "lake"
    shutil.copytree(made, folder)
    half = folder / "v1" / "spans" / f"day={NOW.date()}" / ".0-packed-2.parquet.99"
    half.write_bytes(b"PAR1 and then the lights went out")
    before = answers(folder)

    Packer(folder, KEPT).pack(TOMORROW)

    assert not half.exists()
    assert answers(folder) == before


def test_a_full_disk_leaves_everything_as_it_was(made, tmp_path):
    folder = tmp_path / "lake"
    shutil.copytree(made, folder)
    (folder / "v1" / "packing.lock").touch()
    was = {name: (folder / name).read_bytes() for name in files(folder)}
    kept = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(Unreachable, match="GO0411 cannot pack"):
            Packer(folder, KEPT).pack(TOMORROW)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, kept)

    assert {name: (folder / name).read_bytes() for name in files(folder)} == was
    assert Packer(folder, KEPT).pack(TOMORROW).days == len(KEPT)


def test_readers_at_every_step_see_each_row_once(made, tmp_path):
    folder = tmp_path / "lake"
    shutil.copytree(made, folder)
    before, seen, inside = answers(folder), [], []

    def read(event, details):
        if inside or event not in ("os.rename", "os.remove", "os.link"):
            return
        if str(folder) in str(details[0]):
            inside.append(event)
            seen.append(answers(folder))
            inside.clear()

    sys.addaudithook(read)
    Packer(folder, KEPT).pack(TOMORROW)
    # A hook cannot be taken back.
    inside.append(os.name)

    assert len(seen) >= len(KEPT) * 4
    assert [each for each in seen if each != before] == []
