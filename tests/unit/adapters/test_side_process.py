"""Work beside a service yields, is ended when it should be, and its end is told as it was."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest

from greenops.adapters import side_process
from greenops.adapters.side_process import FIRST_TO_GO, LEAST_URGENT, Ended, run_aside
from greenops.errors import Unreachable

pytestmark = pytest.mark.slow

WORK = "side_work:main"
SOURCE = """
import json, os, signal, sys, time
def main(given):
    if given[0] == "tells":
        score = open("/proc/self/oom_score_adj").read().strip()
        print(json.dumps([os.nice(0), score, os.getsid(0) == os.getpid()]), file=sys.stderr)
        return 3
    if given[0] == "reads":
        print([os.environ.get(each) for each in given[1:]], end="", file=sys.stderr)
        return 0
    if given[0] == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    if given[0] == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    open(given[1], "w").write(str(os.getpid()))
    try:
        while True:
            time.sleep(60)
    finally:
        open(given[1] + ".tidied", "w").close()
"""


@pytest.fixture(autouse=True)
def work(tmp_path, monkeypatch):
    (tmp_path / "side_work.py").write_text(SOURCE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


def run(*given, stopped=lambda: False, longest_s=60.0, environ=None):
    return run_aside(WORK, [str(each) for each in given], stopped, longest_s, environ or {})


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_it_gives_way_and_says_how_it_ended():
    ended = run("tells")

    assert ended.code == 3
    assert json.loads(ended.said) == [LEAST_URGENT, FIRST_TO_GO.decode(), True]


def test_variables_are_for_it_alone_unless_the_service_has_them(monkeypatch):
    monkeypatch.setenv("THEIRS", "kept")
    monkeypatch.delenv("OURS", raising=False)

    ended = run("reads", "OURS", "THEIRS", environ={"OURS": "new", "THEIRS": "new"})

    assert ended == Ended(0, "['new', 'kept']")
    assert "OURS" not in os.environ


def test_a_signal_that_ended_it_is_told():
    assert run("dies") == Ended(-9, "")


def test_it_is_stopped_and_may_tidy_up(tmp_path):
    note = tmp_path / "pid"

    assert run("waits", note, stopped=note.exists) is None

    assert (tmp_path / "pid.tidied").exists()
    assert not alive(int(note.read_text()))


def test_it_is_killed_where_it_does_not_listen(tmp_path, monkeypatch):
    monkeypatch.setattr(side_process, "GRACE_S", 0.2)
    note = tmp_path / "pid"

    assert run("deaf", note, stopped=note.exists) is None

    assert not alive(int(note.read_text()))


def test_it_may_not_take_too_long(tmp_path):
    with pytest.raises(Unreachable, match=r"GO0425 .* took more than"):
        run("waits", tmp_path / "pid", longest_s=0.3)


def test_it_ends_where_the_service_was_killed(tmp_path):
    note = tmp_path / "pid"
    call = f"from greenops.adapters.side_process import *; run_aside({WORK!r}, ['waits', {str(note)!r}], bool, 60)"
    service = subprocess.Popen([sys.executable, "-c", call])
    until = time.monotonic() + 30
    while not (note.exists() and note.read_text()) and time.monotonic() < until:
        time.sleep(0.02)

    service.kill()
    service.wait(10)

    pid = int(note.read_text())
    while alive(pid) and time.monotonic() < until:
        time.sleep(0.02)
    assert not alive(pid)


def test_a_process_that_cannot_be_started_is_a_line(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")

    with pytest.raises(Unreachable, match="GO0425 no process can be started"):
        run("tells")
