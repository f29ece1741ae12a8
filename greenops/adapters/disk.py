"""The disk: files that are there whole or not at all, one writer at a time, and reading within bounds."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from greenops.errors import AdapterUnavailable, GreenOpsError, Location


@contextmanager
def one_writer(
    lock: Path,
    kind: type[GreenOpsError] = AdapterUnavailable,
    what: str = "state cannot be written",
) -> Iterator[None]:
    """Write beside a lock while nobody else does; whoever comes second waits.

    Args:
        lock: A file, made where it is not there; the lock ends with the process that holds it.
        kind: Error that is raised where the disk fails, here or in what is done meanwhile.
        what: What could not be done then.

    Raises:
        GreenOpsError: The disk failed; of the kind that was asked for.
    """
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        with lock.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise kind(
            "GO0601",
            f"{what}: {error.strerror or error}",
            at=Location(str(lock.parent)),
            fix="free the disk, or set `GREENOPS_STATE`",
        ) from error


def write_whole(path: Path, content: bytes) -> None:
    """Put content in a file's place at once; `sync` of its folder makes its name last too.

    Raises:
        OSError: It cannot be written; what stood there stands.
    """
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with new.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError:
        with suppress(OSError):
            new.unlink()
        raise


def sync(path: Path) -> None:
    """Wait until what a file holds, or the names in a folder, are on the disk.

    Raises:
        OSError: They cannot be.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_bounded(path: Path, most: int) -> bytes | None:
    """What a file holds; one byte more than the most where it is longer, and of it no more is read.

    Args:
        path: The file; links are followed.
        most: Longest content that is wanted [byte].

    Returns:
        None where it is no file but a pipe, a device or a folder.

    Raises:
        OSError: It cannot be read.
    """
    # A pipe without a writer would hold up a plain `open`; of files this asks nothing new.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return None
        with os.fdopen(handle, "rb", closefd=False) as file:
            return file.read(most + 1)
    finally:
        os.close(handle)
