"""What is free is the least that the machine and the control groups around a process leave it."""

from __future__ import annotations

from pathlib import Path

import pytest

from greenops.adapters.free_memory import free_memory, held_memory

MIB = 1024 * 1024


@pytest.fixture
def root(tmp_path):
    """A machine with 800 MiB free, and a process in a group of a slice that has no limits."""
    write(tmp_path / "proc/meminfo", "MemTotal: 2048000 kB\nMemAvailable:  819200 kB\n")
    write(tmp_path / "proc/self/cgroup", "1:cpu:/elsewhere\n0::/slice/service\n")
    for name in ("slice", "slice/service"):
        group(tmp_path, name, "max", 100)
    return tmp_path


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def group(root, name, limit, used_mib, inactive_mib=0):
    folder = root / "sys/fs/cgroup" / name
    write(folder / "memory.max", f"{limit}\n")
    write(folder / "memory.current", f"{used_mib * MIB}\n")
    write(folder / "memory.stat", f"anon 1\ninactive_file {inactive_mib * MIB}\nactive_file 7\n")


def test_without_limits_it_is_what_the_machine_has(root):
    assert free_memory(root) == 800 * MIB


def test_a_limit_counts_and_files_that_were_read_do_not(root):
    group(root, "slice/service", 500 * MIB, 300, inactive_mib=50)

    assert free_memory(root) == 250 * MIB


def test_the_limit_of_a_group_around_it_counts_as_well(root):
    group(root, "slice/service", 500 * MIB, 300)
    group(root, "slice", 400 * MIB, 390)

    assert free_memory(root) == 10 * MIB


def test_what_is_over_its_limit_has_nothing_free(root):
    group(root, "slice/service", 100 * MIB, 120)

    assert free_memory(root) == 0


def test_where_nothing_tells_it_is_not_known(tmp_path):
    assert free_memory(tmp_path) is None
    write(tmp_path / "proc/meminfo", "MemAvailable:\n")
    write(tmp_path / "proc/self/cgroup", "4:memory:/old\n")
    assert free_memory(tmp_path) is None


def test_this_machine_has_some_and_this_process_holds_some():
    assert free_memory() > 0
    assert held_memory() > 10 * MIB
    assert held_memory(Path("/nowhere")) is None
