"""The disk: whole or not at all, one writer at a time, and no more is read than is wanted."""

from __future__ import annotations

import os
import threading

import pytest

from greenops.adapters.disk import one_writer, read_bounded, write_whole
from greenops.errors import AdapterUnavailable, Unreachable


def test_a_second_writer_waits_for_the_first(tmp_path):
    lock, done = tmp_path / "state" / "lock", threading.Event()

    def second():
        with one_writer(lock):
            done.set()

    waiting = threading.Thread(target=second)
    with one_writer(lock):
        waiting.start()
        early = done.wait(0.05)
    waiting.join(10)

    assert (early, done.is_set()) == (False, True)


def test_a_disk_that_fails_under_the_lock_is_an_error_of_the_kind_that_was_asked_for(tmp_path):
    with (
        pytest.raises(Unreachable, match="overrides cannot be kept: No space left") as caught,
        one_writer(tmp_path / "lock", Unreachable, "overrides cannot be kept"),
    ):
        raise OSError(28, "No space left on device")

    assert (caught.value.code, caught.value.at.file) == ("GO0601", str(tmp_path))


def test_a_lock_that_cannot_be_made_is_an_adapter_that_does_not_answer(tmp_path):
    (tmp_path / "state").write_text("a file where the folder ought to be")

    with pytest.raises(AdapterUnavailable, match="state cannot be written"):
        one_writer(tmp_path / "state" / "lock").__enter__()


def test_what_fails_half_way_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_whole(path, b"old")

    def full(_handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(path, b"new")

    assert [(each, each.read_bytes()) for each in tmp_path.iterdir()] == [(path, b"old")]


@pytest.mark.parametrize(("most", "content"), [(3, b"abcd"), (4, b"abcde"), (5, b"abcde")])
def test_one_byte_more_than_the_most_tells_that_a_file_is_longer(tmp_path, most, content):
    (tmp_path / "file").write_bytes(b"abcde")

    assert read_bounded(tmp_path / "file", most) == content


def test_a_pipe_that_nobody_writes_to_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")

    assert read_bounded(tmp_path / "pipe", 10) is None


def test_a_folder_is_no_file_and_its_handle_is_closed(tmp_path):
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    assert read_bounded(tmp_path, 10) is None
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
