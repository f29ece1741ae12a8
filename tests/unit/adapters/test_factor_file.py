"""A table that follows its file, and stays when the file does not."""

# Plain numbers stand for grams, dollars and kWh here.
# mypy: disable-error-code="arg-type,union-attr,dict-item,comparison-overlap,operator,misc"

import os
import threading
from datetime import UTC, datetime, timedelta

import pytest

from greenops.adapters.factor_file import SHIPPED, FactorFile, parse
from greenops.domain.factors import FactorTable
from greenops.domain.grid import Factors, IntensitySeries, Region, SeriesKind, Signal
from greenops.domain.record import canonical
from greenops.errors import Unreachable
from greenops.grid.factors import build_factor_table

KIND = SeriesKind(Signal.AVERAGE, Factors.LIFECYCLE, "test", replay=True)
START = datetime(2021, 10, 8, tzinfo=UTC)


def table(grams):
    region = Region("r", "aws", "EU", "Z", 1.2, "test", {"ondemand": 0.1}, 0.02, "test")
    series = IntensitySeries("Z", KIND, START, timedelta(hours=1), (grams, None))
    return build_factor_table([region], {"Z": series}, {"r": (50.0, "test")})


class Ticks:
    """Seconds under the test's hand."""

    now = 0.0

    def __call__(self):
        return self.now


def test_without_a_file_the_shipped_table_holds():
    found = FactorFile(None).table()

    assert found == parse(SHIPPED.read_bytes())
    assert {"us-west-1", "eu-north-1"} <= found.regions.keys()
    assert all(each.series is None for each in found.regions.values())


def test_without_the_shipped_table_there_are_no_regions(tmp_path):
    assert FactorFile(tmp_path / "none", shipped=False).table() == FactorTable("none", {})


def test_what_was_written_is_read_back_whole(tmp_path):
    path = tmp_path / "state" / "factors.json"

    FactorFile(path).write(table(100.0))

    assert FactorFile(path).table() == table(100.0)
    assert [each.name for each in path.parent.iterdir()] == ["factors.json"]


def test_a_change_is_seen_after_a_second_and_not_looked_for_before(tmp_path):
    ticks, writer = Ticks(), FactorFile(tmp_path / "f")
    writer.write(table(100.0))
    reader = FactorFile(tmp_path / "f", monotonic=ticks)
    first = reader.table()

    writer.write(table(200.0))

    assert reader.table() is first
    ticks.now = 0.99
    assert reader.table() is first
    ticks.now = 1.0
    assert reader.table() == table(200.0)
    same = reader.table()
    ticks.now = 9.0
    assert reader.table() is same


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"7",
        b"\xff\xfe",
        b'{"version": "1"}',
        b'{"version": "1", "regions": {}}',
        b'{"version": "1", "regions": {"r": null}}',
        b'{"version": "1", "regions": [1]}',
        canonical(table(100.0)).replace(b"50.0", b"51.0"),
        canonical(table(100.0))[:-20],
        b"[" * 100_000,
    ],
)
def test_a_damaged_file_leaves_the_last_good_table_and_says_why(tmp_path, content):
    ticks, path = Ticks(), tmp_path / "f"
    reader = FactorFile(path, monotonic=ticks)
    reader.write(table(100.0))
    good = reader.table()

    path.write_bytes(content)
    ticks.now = 2.0

    assert reader.table() is good
    assert str(path) in (reader.problem or "")


def test_a_file_that_is_mended_is_read_again(tmp_path):
    ticks, path = Ticks(), tmp_path / "f"
    path.write_bytes(b"{")
    reader = FactorFile(path, monotonic=ticks)
    assert reader.table() == FactorFile(None).table()

    reader.write(table(100.0))
    ticks.now = 2.0

    assert reader.table() == table(100.0)
    assert reader.problem is None


def test_a_file_that_is_gone_or_a_folder_leaves_the_last_good_table(tmp_path):
    ticks, path = Ticks(), tmp_path / "f"
    reader = FactorFile(path, monotonic=ticks)
    reader.write(table(100.0))
    good = reader.table()

    path.unlink()
    ticks.now = 2.0
    assert reader.table() is good
    path.mkdir()
    ticks.now = 4.0
    assert reader.table() is good
    assert reader.problem is not None


def test_a_shipped_table_that_is_damaged_does_not_raise(tmp_path, monkeypatch):
    monkeypatch.setattr("greenops.adapters.factor_file.SHIPPED", tmp_path / "gone")

    assert FactorFile(None).table() == FactorTable("none", {})


def test_a_folder_that_cannot_be_written_is_said_and_the_old_file_stands(tmp_path):
    (tmp_path / "file").write_text("not a folder")

    with pytest.raises(Unreachable, match=r"GO0308 .*cannot be written"):
        FactorFile(tmp_path / "file" / "factors.json").write(table(100.0))


def test_a_write_that_fails_leaves_no_rest_and_the_old_table(tmp_path, monkeypatch):
    writer = FactorFile(tmp_path / "f")
    writer.write(table(100.0))

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Unreachable, match="No space left on device"):
        writer.write(table(200.0))

    assert [each.name for each in tmp_path.iterdir()] == ["f"]
    assert FactorFile(tmp_path / "f").table() == table(100.0)


def test_a_file_without_a_path_cannot_be_written():
    with pytest.raises(ValueError, match="without a path"):
        FactorFile(None).write(table(1.0))


def test_readers_see_one_table_or_the_other_while_it_is_replaced(tmp_path):
    path = tmp_path / "f"
    known = {table(float(n)).version for n in (1, 2)}
    FactorFile(path).write(table(1.0))
    problems, stop = [], threading.Event()

    def read():
        while not stop.is_set():
            reader = FactorFile(path, shipped=False)
            if reader.table().version not in known:
                problems.append(reader.problem)

    thread = threading.Thread(target=read)
    thread.start()
    for n in range(100):
        FactorFile(path).write(table(float(1 + n % 2)))
    stop.set()
    thread.join()

    assert problems == []
