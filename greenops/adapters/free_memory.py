"""How much memory is free for more, and how much is held: what the machine has, and what its control group lets this process have."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Final

KIB: Final = 1024


def free_memory(root: Path = Path("/")) -> int | None:
    """Memory that can be had without pushing anything out [byte]; none where nothing tells.

    Args:
        root: Where `proc` and `sys` are.
    """
    found = [each for each in (_of_machine(root), _of_groups(root)) if each is not None]
    return max(0, min(found)) if found else None


def held_memory(root: Path = Path("/")) -> int | None:
    """Memory that this process holds [byte]; none where nothing tells."""
    with suppress(OSError, ValueError, IndexError):
        return int((root / "proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return None


def _of_machine(root: Path) -> int | None:
    with suppress(OSError, ValueError, IndexError):
        for line in (root / "proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * KIB
    return None


def _of_groups(root: Path) -> int | None:
    """Least that is free in the process's control group and those around it (version 2 alone)."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return None
    path = next((line.removeprefix("0::") for line in lines if line.startswith("0::")), None)
    if path is None:
        return None
    group = PurePosixPath(path.lstrip("/"))
    found = [_of_group(root / "sys/fs/cgroup" / each) for each in (group, *group.parents)]
    return min((each for each in found if each is not None), default=None)


def _of_group(folder: Path) -> int | None:
    """None where the group has no limit."""
    with suppress(OSError, ValueError):
        limit = int((folder / "memory.max").read_text())
        used = int((folder / "memory.current").read_text())
        # Files that were read count as used until the memory is wanted.
        return limit - used + _reclaimable(folder)
    return None


def _reclaimable(folder: Path) -> int:
    with suppress(OSError, ValueError):
        for line in (folder / "memory.stat").read_text().splitlines():
            name, _, value = line.partition(" ")
            if name == "inactive_file":
                return int(value)
    return 0
