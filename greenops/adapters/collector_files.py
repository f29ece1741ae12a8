"""Files that a Collector reads: each is replaced as a whole, so that none is ever seen half."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from greenops.adapters.disk import sync, write_whole
from greenops.errors import InvalidFile, Location, Unreachable


def write(folder: Path, files: Mapping[str, str]) -> list[Path]:
    """Put files into a folder, made where it is not there; one that holds the same already is left alone.

    Returns:
        What was written.

    Raises:
        Unreachable: It cannot be; a file that stood there stands.
    """
    changed = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            path, content = folder / name, text.encode()
            if not path.is_file() or path.read_bytes() != content:
                write_whole(path, content)
                changed.append(path)
        if changed:
            sync(folder)
    except OSError as error:
        raise Unreachable(
            "GO0921",
            f"cannot write what a Collector reads: {error.strerror or error}",
            at=Location(str(folder)),
            fix="name a folder that can be written",
        ) from error
    return changed


def read(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Texts of some files of a folder.

    Raises:
        InvalidFile: One is missing or no text.
    """
    found = {}
    for name in names:
        path = folder / name
        try:
            found[name] = path.read_text("utf-8")
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise InvalidFile("GO0920", f"cannot be read: {why}", at=Location(str(path))) from error
    return found
