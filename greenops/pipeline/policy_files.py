"""Reads policy files from folders; a file that is none of them must be a signed bundle."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from greenops.adapters.disk import read_bounded
from greenops.adapters.packaged import packaged
from greenops.errors import InvalidFile, Location
from greenops.policy.document import MAX_BYTES
from greenops.policy.packs import SHIPPED, packs_named

ROUTES: Final = "routes.yaml"
"""The file of routes may lie beside the policies; it is not one."""
ENDINGS: Final = (".yaml", ".yml")
MAX_LEVELS: Final = 32
"""Deepest folder that is looked into; Python's walk descends by recursion."""
MAX_FOLDERS: Final = 1_000
"""Most folders that are looked into: a link to `/` leads to all of a machine's."""


def file_sources(folder: Path) -> list[tuple[str, str]]:
    """(name, text) of every YAML file below a folder, sorted; of the file itself for a file.

    Shipped packs that they extend come after them.

    Names that begin with a dot are left out: a Kubernetes volume keeps its files a second time in
    `..data`. Links are followed, each folder once.

    Raises:
        InvalidFile: There is no such folder, or a folder or file cannot be read.
    """
    mode = _mode(folder)
    if stat.S_ISREG(mode):
        return with_packs([(str(folder), _text(folder))])
    if stat.S_ISDIR(mode):
        return with_packs([(str(path), _text(path)) for path in sorted(_yaml_files(folder))])
    raise InvalidFile(
        "GO0108",
        "no such file or folder of policies",
        at=Location(str(folder)),
        fix="name one with `--policies DIR` or in `greenops.yaml`",
    )


def is_bundle(path: Path) -> bool:
    """Is it a file that must be a bundle? By its name, so that what is put in its place is refused."""
    return stat.S_ISREG(_mode(path)) and not path.name.lower().endswith(ENDINGS)


def sources_among(files: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The policy files among (path, text) of a folder that is not on the disk."""
    found = [
        (path, text)
        for path, text in files
        if _is_policy_file(Path(path).name)
        and not any(each.startswith(".") for each in Path(path).parts)
    ]
    return with_packs(found)


def with_packs(sources: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Files, and the shipped packs that they extend and do not hold themselves.

    Raises:
        Unreachable: This installation lacks its packs.
    """
    named = [each for each in SHIPPED if each in packs_named(sources)]
    files = [packaged("policies") / "packs" / f"{each}.yaml" for each in named]
    return [*sources, *((str(each), _text(each)) for each in files)]


def _mode(path: Path) -> int:
    """What a path is; 0 where there is nothing."""
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0
    except OSError as error:
        raise _unreadable(path, error) from error


def _yaml_files(folder: Path) -> Iterator[Path]:
    """Every YAML file below a folder. A folder that cannot be listed is an error, not empty."""

    def fail(error: OSError) -> None:
        raise _unreadable(Path(error.filename or folder), error) from error

    seen: set[str] = set()
    for at, inside, files in os.walk(folder, onerror=fail, followlinks=True):
        if len(Path(at).relative_to(folder).parts) > MAX_LEVELS or len(seen) > MAX_FOLDERS:
            message = f"over {MAX_LEVELS} folders deep, or over {MAX_FOLDERS:,} folders"
            fix = "keep policies in a folder of their own, without links to others"
            raise InvalidFile("GO0109", message, at=Location(at), fix=fix)
        real = os.path.realpath(at)
        inside[:] = [] if real in seen else [e for e in inside if not e.startswith(".")]
        if real not in seen:
            yield from (Path(at, each) for each in files if _is_policy_file(each))
        seen.add(real)


def _is_policy_file(name: str) -> bool:
    return not name.startswith(".") and name != ROUTES and name.lower().endswith(ENDINGS)


def _text(path: Path) -> str:
    try:
        content = _content(path)
    except OSError as error:
        raise _unreadable(path, error) from error
    return text_of(str(path), content)


def text_of(file: str, content: bytes) -> str:
    """A file's text. A carriage return alone is kept, so that it is refused: it would end a comment.

    Raises:
        InvalidFile: It is not UTF-8; names the byte.
    """
    try:
        return content.decode().replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        before = error.object[: error.start]
        column = error.start - before.rfind(b"\n")
        raise InvalidFile(
            "GO0109",
            f"cannot be read: byte 0x{error.object[error.start]:02x} is not UTF-8",
            at=Location(file, before.count(b"\n") + 1, column),
            fix="save the file as UTF-8",
        ) from error


def _content(path: Path) -> bytes:
    """The bytes of a regular file; no more are read than a policy file may have."""
    content = read_bounded(path, MAX_BYTES)
    if content is None:
        fix = "remove it, or give it another name"
        raise InvalidFile("GO0109", "is a pipe or a device", at=Location(str(path)), fix=fix)
    if len(content) > MAX_BYTES:
        raise InvalidFile("GO0102", "file is over 256 KiB", at=Location(str(path)), fix="split it")
    return content


def _unreadable(path: Path, error: OSError) -> InvalidFile:
    return InvalidFile(
        "GO0109",
        f"cannot be read: {error.strerror or error}",
        at=Location(str(path)),
        fix="give the user that runs this the right to read it",
    )
