"""Intensity files that somebody brings: what is right is taken, and what is wrong is said with its place."""

# Plain numbers stand for grams here.
# mypy: disable-error-code="arg-type,type-var,union-attr,dict-item,comparison-overlap,operator,misc"

import os
from datetime import UTC, datetime, timedelta, timezone

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenops.adapters.grid_files import GridFiles, from_environment
from greenops.domain.grid import Basis, Factors, Signal
from greenops.errors import AdapterUnsupported, DataMissing, InvalidFile

HOUR = timedelta(hours=1)
DAY = datetime(2026, 3, 1, tzinfo=UTC)
HEAD = "time,zone,value\n"
ENTRY = {
    "file": "ci.csv",
    "source": "our utility",
    "replay": "true",
    "signal": "average",
    "factors": "lifecycle",
}


def declare(folder, *entries):
    lines = ["series:"]
    for entry in entries:
        lines += [
            f"  {'-' if i == 0 else ' '} {key}: {value}"
            for i, (key, value) in enumerate(entry.items())
        ]
    path = folder / "grid.yaml"
    path.write_text("\n".join(lines) + "\n")
    return path


def files(folder, text, **more):
    (folder / "ci.csv").write_text(text)
    return GridFiles(declare(folder, ENTRY | more))


def hours(*values, start=DAY, zone="DE"):
    return "".join(
        f"{(start + i * HOUR).isoformat()},{zone},{'' if value is None else value}\n"
        for i, value in enumerate(values)
    )


def test_a_file_gives_its_values_and_what_they_are(tmp_path):
    grid = files(tmp_path, HEAD + hours(300, None, 310))

    series = grid.actual("DE", DAY + HOUR / 2, DAY + 3 * HOUR)

    assert (series.start, series.step, series.values) == (DAY, HOUR, (300, None, 310))
    assert (series.kind.signal, series.kind.factors) == (Signal.AVERAGE, Factors.LIFECYCLE)
    assert (series.kind.source, series.kind.replay) == ("our utility", True)
    assert series.estimated is None


def test_columns_of_other_names_and_naive_utc_times_are_taken_where_they_are_declared(tmp_path):
    columns = (
        '{time: "Datetime (UTC)", value: "Carbon intensity (LCA)", estimated: "Data estimated"}'
    )
    text = (
        "Datetime (UTC);Country;Carbon intensity (LCA);Data estimated\n"
        "2026-03-01 00:00:00;Germany;300.5;false\n2026-03-01 00:15:00;Germany;301;true\n"
    )

    grid = files(
        tmp_path, text, columns=columns, zone="DE", naive_times="utc", time_zone="Europe/Berlin"
    )

    series = grid.actual("DE", DAY, DAY + HOUR / 2)
    assert (series.step, series.values) == (HOUR / 4, (300.5, 301))
    assert series.estimated == (False, True)
    assert grid.zones()[0].time_zone == "Europe/Berlin"


def test_both_hours_of_the_day_when_clocks_go_back_are_taken_by_their_offsets(tmp_path):
    text = HEAD + (
        "2026-10-25T02:00+02:00,DE,300\n2026-10-25T02:00+01:00,DE,310\n"
        "2026-10-25T03:00+01:00,DE,320\n"
    )
    first = datetime(2026, 10, 25, 0, tzinfo=UTC)

    series = files(tmp_path, text).actual("DE", first, first + 3 * HOUR)

    assert series.values == (300, 310, 320)


def test_a_forecast_is_the_newest_issued_by_then(tmp_path):
    late = (DAY + 6 * HOUR).isoformat()
    text = "time,zone,value,issued_at,kind\n" + "".join(
        f"{line},{issued},{kind}\n"
        for issued, kind, values in (
            ("", "actual", range(300, 312)),
            (DAY.isoformat(), "forecast", range(400, 412)),
            (late, "", range(500, 512)),
        )
        for line in hours(*values).splitlines()
    )

    grid = files(tmp_path, text)

    assert grid.forecast("DE", DAY + 6 * HOUR - HOUR / 60).values[0] == 400
    found = grid.forecast("DE", DAY + 6 * HOUR)
    assert (found.values[0], found.issued_at) == (500, DAY + 6 * HOUR)
    assert found.id == "files/DE/2026-03-01T06:00:00Z"
    assert grid.issues("DE") == (DAY, DAY + 6 * HOUR)
    with pytest.raises(DataMissing, match="first forecast of `DE` is of 2026-03-01T00:00Z"):
        grid.forecast("DE", DAY - HOUR)
    with pytest.raises(DataMissing, match="ended at 2026-03-01T12:00Z"):
        grid.forecast("DE", DAY + 12 * HOUR)


@pytest.mark.parametrize("unit", ["s", "ms", "ns"])
@pytest.mark.parametrize("place", ["UTC", "Europe/Berlin"])
def test_parquet_is_taken_with_nulls_as_gaps(tmp_path, unit, place):
    table = pa.table(
        {
            "time": pa.array([DAY, DAY + HOUR, DAY + 2 * HOUR], pa.timestamp(unit, place)),
            "zone": pa.array(["DE"] * 3).dictionary_encode(),
            "value": pa.array([300.0, None, 310.0]),
        }
    )
    pq.write_table(table, tmp_path / "ci.parquet")

    grid = GridFiles(declare(tmp_path, ENTRY | {"file": "ci.parquet", "basis": "market"}))

    series = grid.actual("DE", DAY, DAY + 3 * HOUR)
    assert series.values == (300, None, 310)
    assert type(series.start) is datetime
    assert series.kind.basis is Basis.MARKET


def test_a_fault_in_parquet_names_row_and_column(tmp_path):
    table = pa.table({"at": [DAY.replace(tzinfo=None)], "zone": ["DE"], "value": [300.0]})
    pq.write_table(table, tmp_path / "ci.parquet")
    grid = GridFiles(declare(tmp_path, ENTRY | {"file": "ci.parquet", "columns": "{time: at}"}))

    with pytest.raises(DataMissing, match=r"row 1, column `at`: .*does not say its offset"):
        grid.zones()


def test_a_file_that_is_no_parquet_is_refused(tmp_path):
    (tmp_path / "ci.parquet").write_text("no")

    with pytest.raises(DataMissing, match=r"GO0332.*is not Parquet"):
        GridFiles(declare(tmp_path, ENTRY | {"file": "ci.parquet"})).zones()


def test_missing_rows_are_gaps_where_that_is_declared(tmp_path):
    text = HEAD + hours(300, 310) + hours(320, start=DAY + 4 * HOUR)

    series = files(tmp_path, text, gaps="absent").actual("DE", DAY, DAY + 5 * HOUR)

    assert series.values == (300, 310, None, None, 320)


def test_one_value_holds_for_the_declared_step(tmp_path):
    series = files(tmp_path, HEAD + hours(300), step="30m").actual("DE", DAY, DAY + HOUR / 2)

    assert (series.step, series.values) == (HOUR / 2, (300,))


def test_a_changed_file_is_read_again(tmp_path):
    grid = files(tmp_path, HEAD + hours(300, 310))
    grid.zones()

    (tmp_path / "ci.csv").write_text(HEAD + hours(400, 410, 420))
    os.utime(tmp_path / "ci.csv", ns=(1, 1))

    assert grid.actual("DE", DAY, DAY + 3 * HOUR).values == (400, 410, 420)


FAULTS = {
    "naive": ("2026-03-01T00:00,DE,300\n", "2:1: `2026-03-01T00:00` does not say its offset"),
    "no time": ("1.3.2026 00:00,DE,300\n", "2:1: `1.3.2026 00:00` is no time"),
    "before all time": ("0001-01-01T00:00+14:00,DE,300\n", "is no time"),
    "no zone": ("2026-03-01T00:00Z,,300\n", "2:19: no grid zone"),
    "comma": ('2026-03-01T00:00Z,DE,"300,5"\n', "2:22: `300,5` is no number; write decimals with"),
    "nan": ("2026-03-01T00:00Z,DE,nan\n", "2:22: `nan` is no value; write nothing"),
    "negative": ("2026-03-01T00:00Z,DE,-1\n", "2:22: -1 gCO2e/kWh cannot be: it is 0 to 5000"),
    "absurd": ("2026-03-01T00:00Z,DE,300000\n", "2:22: 300000 gCO2e/kWh cannot be"),
    "quoted": ('2026-03-01T00:00Z,"D,E",x\n', "2:25: `x` is no number"),
    "twice": (
        hours(300, 310) + hours(320, start=DAY + HOUR),
        "4:1: `DE` has 2026-03-01T01:00Z twice",
    ),
    "twice at once": (hours(300) + hours(320), "3:1: `DE` has 2026-03-01T00:00Z twice"),
    "twice before": (hours(300, 310) + hours(320), "4:1: `DE` has 2026-03-01T00:00Z twice"),
    "unsorted": (
        hours(300, start=DAY + HOUR) + hours(310),
        "3:1: `DE` goes back from 2026-03-01T01:00Z",
    ),
    "gap": (
        hours(300, 310) + hours(320, start=DAY + 4 * HOUR),
        "4:1: 2 rows are missing between 2026-03-01T01:00Z and 2026-03-01T04:00Z of `DE`",
    ),
    "two steps": (
        hours(300, 310) + hours(320, start=DAY + 1.5 * HOUR),
        "4:1: 30 min after the row",
    ),
    "odd step": (hours(300) + hours(310, start=DAY + HOUR / 8.5), "which does not divide a day"),
    "one row": (hours(300), "2:1: the only row of its series"),
    "cells": ("2026-03-01T00:00Z,DE\n", "2: has 2 cells, the header 3"),
    "quote": ('2026-03-01T00:00Z,"DE,300\n', "is not CSV"),
    "empty": ("", "ci.csv: holds no row"),
    "kilograms": (
        hours(0.3, 0.4),
        "`DE` is never above 0.4 gCO2e/kWh; values are gCO2e/kWh: kg/MWh",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_said_in_one_line_with_its_place(tmp_path, fault):
    text, said = FAULTS[fault]

    with pytest.raises(DataMissing, match="GO0332") as caught:
        files(tmp_path, HEAD + text).zones()

    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "ci.csv" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "when,zone,value\n",
            "ci.csv:1: has no column `time`; its columns are `when`, `zone`, `value`",
        ),
        ("time,value\n", "or `zone: …` for a file of one zone"),
        ("time,zone,zone,value\n", "has the column `zone` twice"),
        ("", "has no column `time`; its columns are none"),
        (
            "time,zone,value,kind\n2026-03-01T00:00Z,DE,3,forecast\n",
            "`forecast`, but `issued_at` is not given",
        ),
        (
            "time,zone,value,kind\n2026-03-01T00:00Z,DE,3,past\n",
            "`past` is neither actual nor forecast",
        ),
        (
            "time,zone,value,estimated\n2026-03-01T00:00Z,DE,3,maybe\n",
            "`maybe` is neither true nor false",
        ),
    ],
)
def test_a_header_that_does_not_fit_is_said(tmp_path, text, said):
    with pytest.raises(DataMissing, match="GO0332") as caught:
        files(tmp_path, text).zones()

    assert said in str(caught.value)


def test_bytes_that_are_no_text_and_a_file_that_is_not_there_are_said(tmp_path):
    grid = files(tmp_path, HEAD)
    (tmp_path / "ci.csv").write_bytes(b"time,zone,value\n\xff\xfe\n")
    with pytest.raises(DataMissing, match="is not UTF-8"):
        grid.zones()

    (tmp_path / "ci.csv").unlink()
    with pytest.raises(
        DataMissing, match=r"cannot be read: No such file.*mend `file` at .*grid.yaml:2:5"
    ):
        grid.zones()


def test_a_zone_in_two_files_is_refused_and_so_are_two_signals_of_one_zone(tmp_path):
    (tmp_path / "two.csv").write_text(
        "time,zone,value,issued_at\n"
        + "".join(f"{line},{DAY.isoformat()}\n" for line in hours(300, 310).splitlines())
    )
    (tmp_path / "ci.csv").write_text(HEAD + hours(300, 310))
    second = ENTRY | {"file": "two.csv"}

    assert GridFiles(declare(tmp_path, ENTRY, second)).forecast("DE", DAY).values == (300, 310)
    with pytest.raises(DataMissing, match="another file has recorded intensity of `DE` too"):
        GridFiles(declare(tmp_path, ENTRY, ENTRY)).zones()
    for other, said in (
        ({"signal": "marginal"}, "marginal, lifecycle, location here"),
        ({"basis": "market"}, "average, lifecycle, market here"),
    ):
        with pytest.raises(DataMissing, match=f"lifecycle, location in another file, and {said}"):
            GridFiles(declare(tmp_path, ENTRY, second | other)).zones()


def test_what_the_files_do_not_have_is_said(tmp_path):
    grid = files(tmp_path, HEAD + hours(300, 310))

    with pytest.raises(DataMissing, match="GO0302 no file has the grid zone `DK`"):
        grid.actual("DK", DAY, DAY + HOUR)
    with pytest.raises(DataMissing, match="GO0303 the files have `DE` from 2026-03-01T00:00Z"):
        grid.actual("DE", DAY, DAY + 3 * HOUR)
    with pytest.raises(DataMissing, match="GO0305 the files hold no forecast of `DE`"):
        grid.forecast("DE", DAY)
    assert grid.issues("DE") == ()


DECLARATIONS = {
    "not yaml": ("series: [", "grid.yaml:1:10: not YAML"),
    "empty": ("", "a declaration is `key: value` pairs"),
    "no list": ("series: 3\n", "grid.yaml:1:9: no file is declared"),
    "other key": ("serie:\n  - file: x\n", "grid.yaml:1:1: unknown key `serie`"),
    "unknown": (
        "series:\n  - file: ci.csv\n    sorce: x\n",
        "3:5: unknown key `sorce`; did you mean `source`?",
    ),
    "missing": (
        "series:\n  - file: ci.csv\n    source: x\n",
        "2:5: `replay` is missing; write `replay: true | false`",
    ),
    "no signal": (
        "series:\n  - {file: ci.csv, source: x, replay: true, factors: direct}\n",
        "`signal` is missing; write `signal: average | marginal`",
    ),
    "wrong word": (
        "series:\n  - {file: ci.csv, source: x, replay: true, factors: both, signal: average}\n",
        "2:54: `factors: both`; write `factors: lifecycle | direct`",
    ),
    "no text": ("series:\n  - {file: [1], source: x, replay: true}\n", "`file` must be a text"),
    "twice": ("series:\n  - {file: a, file: b}\n", "stands here twice"),
    "not utf-8": (b"series: \xff\n", "not YAML: UnicodeDecodeError"),
}


@pytest.mark.parametrize("fault", DECLARATIONS)
def test_a_fault_of_the_declaration_is_said_with_its_place(tmp_path, fault):
    text, said = DECLARATIONS[fault]
    path = tmp_path / "grid.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())

    with pytest.raises(InvalidFile, match="GO0331") as caught:
        GridFiles(path)

    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"step": "7m"}, "`step: 7m`; write `step: 5m | 10m"),
        ({"time_zone": "Mars/Base"}, "no time zone is named `Mars/Base`"),
        ({"columns": "{when: time}"}, "unknown column `when`; ours are time, zone, value"),
        ({"columns": "time"}, "`columns` is `key: value` pairs"),
        ({"gaps": "fine"}, "write `gaps: absent | refused`"),
    ],
)
def test_an_option_that_cannot_be_is_said(tmp_path, more, said):
    with pytest.raises(InvalidFile, match="GO0331") as caught:
        GridFiles(declare(tmp_path, ENTRY | more))

    assert said in str(caught.value)


def test_the_environment_names_the_declaration(tmp_path):
    path = declare(tmp_path, ENTRY)
    with pytest.raises(DataMissing, match="GO0332"):
        from_environment({"GREENOPS_GRID_FILES": str(path)})
    (tmp_path / "ci.csv").write_text(HEAD + hours(300, 310))

    assert from_environment({"GREENOPS_GRID_FILES": str(path)}).name == "files"
    with pytest.raises(AdapterUnsupported, match="set `GREENOPS_GRID_FILES`"):
        from_environment({})
    with pytest.raises(InvalidFile, match=r"GO0331.*cannot be read"):
        from_environment({"GREENOPS_GRID_FILES": str(tmp_path / "none.yaml")})


def test_times_of_other_offsets_are_the_same_instants(tmp_path):
    india = timezone(timedelta(hours=5, minutes=30))
    text = HEAD + hours(300, 310, start=DAY.astimezone(india))

    assert files(tmp_path, text).actual("DE", DAY, DAY + HOUR).start == DAY


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One for all examples of a law."""
    return tmp_path_factory.mktemp("laws")


@given(
    values=st.lists(st.none() | st.floats(3, 2000), min_size=2, max_size=60),
    minutes=st.sampled_from([5, 10, 15, 30, 60]),
    offset=st.integers(-48, 56),
    shift=st.integers(0, 3600),
)
def test_what_is_written_is_read_in_any_offset(folder, values, minutes, offset, shift):
    step, there = timedelta(minutes=minutes), timezone(timedelta(minutes=15 * offset))
    start = DAY + timedelta(seconds=shift)
    lines = [
        f"{(start + i * step).astimezone(there).isoformat()},DE,{'' if value is None else repr(value)}"
        for i, value in enumerate(values)
    ]

    series = files(folder, HEAD + "\n".join(lines)).actual("DE", start, start + len(values) * step)

    assert (series.start, series.step, series.values) == (start, step, tuple(values))


@given(st.lists(st.sampled_from([*"09-+:TZe.,;\n\r\"'\t\0é", "2026-03-01T00:00Z", ",DE,300"])))
def test_whatever_a_file_holds_is_taken_or_refused_in_one_line(folder, parts):
    said = refusal(files(folder, HEAD + hours(300, 310) + "".join(parts)))

    assert said is None or "\n" not in said


def refusal(grid):
    try:
        grid.zones()
    except DataMissing as error:
        return str(error)
    return None
