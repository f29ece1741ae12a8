"""The clocks of a machine whose `/proc` is missing, cut short or taken away; the thread clocks are the kernel's own."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from greenops.observe.host import AT_REST_NS, Host


def test_without_proc_the_process_and_its_threads_still_have_clocks(tmp_path: Path) -> None:
    host = Host(tmp_path / "no-stat", tmp_path / "no-tasks")

    first, second = host.read(), host.read()

    assert first.host_ns is None
    assert not first.native
    assert threading.get_native_id() in first.threads
    assert second.process_ns >= first.process_ns
    host.close()
    host.close()


@pytest.mark.parametrize("text", ["", "cpu  1 2\n", "cpu  a b c d e f g h\n", "\x00"], ids=repr)
def test_cpu_times_that_are_none_leave_the_host_unknown_until_they_are_some(
    tmp_path: Path, text: str
) -> None:
    stat = tmp_path / "stat"
    stat.write_text("cpu  100 0 0 100 0 0 0 0 0 0\n")
    host = Host(stat, tmp_path / "no-tasks")

    stat.write_text(text)
    gone = host.read().host_ns
    stat.write_text("cpu  200 0 0 100 0 0 0 0 0 0\n")
    back = host.read().host_ns

    assert gone is None
    assert back is not None
    assert back > 0
    host.close()
    assert host.read().host_ns is None


def test_a_thread_that_is_gone_has_no_clock(tmp_path: Path) -> None:
    host = Host(tmp_path / "no-stat", tmp_path / "no-tasks")
    ids: list[int] = []
    worker = threading.Thread(target=lambda: ids.append(threading.get_native_id()))
    worker.start()
    worker.join()
    # Python's part of a thread ends a moment before the kernel's.
    while Path(f"/proc/self/task/{ids[0]}").exists():
        threading.Event().wait(0.001)
    host.know(ids[0])

    clocks = host.read()

    assert ids[0] not in clocks.threads
    host.close()


def test_the_clock_of_a_thread_goes_on_though_it_is_not_read_while_the_thread_rests(
    tmp_path: Path,
) -> None:
    host = Host(tmp_path / "no-stat", tmp_path / "no-tasks")
    go, done, leave = threading.Event(), threading.Event(), threading.Event()

    def run() -> None:
        go.wait()
        burn(0.01)
        done.set()
        leave.wait()

    worker = threading.Thread(target=run)
    worker.start()
    first = host.read()
    resting = [host.read() for _ in range(5)]

    go.set()
    done.wait()
    after = host.read()
    leave.set()
    worker.join()

    mine, its = threading.get_native_id(), worker.native_id or 0
    assert all(abs(each.threads[its] - first.threads[its]) < AT_REST_NS for each in resting)
    assert after.threads[its] - first.threads[its] > 9_000_000
    looked = [each.threads[mine] for each in (first, *resting)]
    assert looked == sorted(set(looked))
    host.close()


def burn(cpu_s: float) -> None:
    until = time.thread_time() + cpu_s
    while time.thread_time() < until:
        pass
