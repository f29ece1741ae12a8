"""Bundles on the disk: plain tar archives that have one form only, so that nothing can hide in them."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from greenops.adapters.disk import read_bounded, write_whole
from greenops.errors import DataMissing, Location, Unreachable, UsageError

MOST_BYTES: Final = 32 * 2**20
"""Largest bundle [byte]: over a hundred of the largest policy files."""
MOST_ENTRIES: Final = 2_000
Entries = Sequence[tuple[str, bytes]]


def archive(entries: Entries) -> bytes:
    """The one archive of some entries: no times, no owners, no compression."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as made:
        for name, content in entries:
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o644
            made.addfile(info, io.BytesIO(content))
    return out.getvalue()


def write_bundle(path: Path, entries: Entries) -> None:
    """Write a bundle, whole or not at all.

    Raises:
        Unreachable: The disk does not take it.
    """
    try:
        write_whole(path, archive(entries))
    except OSError as error:
        raise Unreachable(
            "GO0162",
            f"cannot write: {error.strerror or error}",
            at=Location(str(path)),
            fix="name a file in a folder that you may write to",
        ) from error


def read_bundle(path: Path) -> list[tuple[str, bytes]]:
    """The entries of a bundle, in order.

    Raises:
        DataMissing: There is none, or it is no archive as `archive` makes it.
    """
    content = _bounded(path)
    try:
        entries = _entries(content)
        same = archive(entries) == content
    except (tarfile.TarError, ValueError, EOFError, OverflowError) as error:
        raise _damaged(path, str(error)[:100] or "it is no archive") from error
    if not same:
        raise _damaged(path, "it is cut short, added to, or was packed by something else")
    return entries


def write_folder(folder: Path, files: Entries) -> None:
    """Write files below a folder that is not there yet; their paths were checked.

    Raises:
        UsageError: Something is there.
        Unreachable: The disk does not take them.
    """
    if folder.exists() or folder.is_symlink():
        raise UsageError("GO0167", f"`{folder}` is there already", fix="name a new folder")
    try:
        folder.mkdir(parents=True)
        for name, content in files:
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
    except OSError as error:
        raise Unreachable(
            "GO0162", f"cannot write: {error.strerror or error}", at=Location(str(folder))
        ) from error


def _bounded(path: Path) -> bytes:
    try:
        content = read_bounded(path, MOST_BYTES)
    except OSError as error:
        raise DataMissing(
            "GO0163",
            f"cannot read a bundle: {error.strerror or error}",
            at=Location(str(path)),
            fix="name a file that `greenops policy bundle` made",
        ) from error
    if content is None:
        raise _damaged(path, "it is no file")
    if len(content) > MOST_BYTES:
        raise _damaged(path, f"it is over {MOST_BYTES // 2**20} MiB")
    return content


def _entries(content: bytes) -> list[tuple[str, bytes]]:
    """What an archive holds, as long as it is made of plain files: sizes are those of the bytes read."""
    found: list[tuple[str, bytes]] = []
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as opened:
        for info in opened:
            if info.type != tarfile.REGTYPE or info.pax_headers:
                raise ValueError(f"entry `{shown(info.name)}` is no plain file")
            if info.size > len(content) or len(found) >= MOST_ENTRIES:
                raise ValueError(f"entry `{shown(info.name)}` is too much")
            body = opened.extractfile(info)
            found.append((info.name, body.read() if body else b""))
    return found


def shown(name: str) -> str:
    """A name that nobody vouches for, as a terminal can show it."""
    return ascii(name[:60])[1:-1]


def _damaged(path: Path, why: str) -> DataMissing:
    return DataMissing(
        "GO0163",
        f"this is no whole bundle: {why}",
        at=Location(str(path)),
        fix="get it again from where it was made; a file of policies ends in `.yaml`",
    )
