"""What grid providers answered lies in one folder, whole, and not without bound."""

import os

import pytest

from greenops.adapters import grid_cache_files
from greenops.adapters.grid_cache_files import LONGEST, GridCacheFiles
from greenops.errors import Unreachable


def test_what_was_kept_is_read_again_by_provider_and_name(tmp_path):
    files = GridCacheFiles(tmp_path / "grid")
    files.write("neso", "GB", b"1")
    files.write("neso", "GB", b"2")
    files.write("eia930", "GB", b"3")

    assert files.read("neso", "GB") == b"2"
    assert files.read("eia930", "GB") == b"3"
    assert files.read("neso", "FR") is None


@pytest.mark.parametrize(
    "name", ["../../x", "/etc/passwd", "..", ".", "", "a/b", "a\x00b", "é" * 90]
)
def test_no_name_leads_out_of_the_folder(tmp_path, name):
    files = GridCacheFiles(tmp_path / "in" / "grid")

    files.write(name, name, b"1")

    assert files.read(name, name) == b"1"
    assert [each.name for each in tmp_path.iterdir()] == ["in"]
    assert [each.name for each in (tmp_path / "in").iterdir()] == ["grid"]


def test_names_that_differ_only_past_their_length_do_not_share_a_file(tmp_path):
    files = GridCacheFiles(tmp_path)
    files.write("p", "z" * 300 + "1", b"1")
    files.write("p", "z" * 300 + "2", b"2")

    assert files.read("p", "z" * 300 + "1") == b"1"


def test_the_oldest_files_go_where_there_are_too_many(tmp_path, monkeypatch):
    monkeypatch.setattr(grid_cache_files, "MOST", 3)
    files = GridCacheFiles(tmp_path)

    for number in range(6):
        files.write("p", f"z{number}", b"1")
        os.utime(tmp_path / "p" / f"z{number}.json", (number, number))

    assert sorted(each.stem for each in (tmp_path / "p").iterdir()) == ["z3", "z4", "z5"]


def test_a_file_that_is_too_long_or_a_folder_is_as_if_it_was_not_there(tmp_path):
    files = GridCacheFiles(tmp_path)
    files.write("p", "long", b"x" * (LONGEST + 1))
    (tmp_path / "p" / "folder.json").mkdir()

    assert files.read("p", "long") is None
    assert files.read("p", "folder") is None


def test_a_disk_that_cannot_be_written_is_one_error_and_the_old_content_stands(tmp_path):
    (tmp_path / "p").write_text("no folder")

    with pytest.raises(Unreachable, match="GO0346"):
        GridCacheFiles(tmp_path).write("p", "z", b"1")
