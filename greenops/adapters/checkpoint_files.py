"""Signed checkpoints in three places: beside the ledger, beside its key, and in a mirror."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from greenops.adapters.disk import sync, write_whole
from greenops.domain.evidence import LedgerHead
from greenops.domain.record import canonical, restore

NEWEST: Final = "newest.txt"
"""The newest checkpoint beside the ledger; replaced, where numbered ones stay as they are."""
SEALED: Final = "sealed.txt"
"""The newest checkpoint again, beside the key: whoever can rewrite the ledger alone cannot reach it."""
HEAD: Final = "head.json"
"""What the writer is about to leave the ledger as, written before each append."""


class CheckpointFiles:
    """Keeps notes and reads them back; every file is there whole or not at all. Stability: beta.

    Args:
        folder: Beside the ledger: `<size>.txt` for good, and `newest.txt`.
        anchor: The key's folder: `sealed.txt` and `head.json`.
        mirror: Gets a copy of every numbered checkpoint; a place this process can add to but not
            rewrite (another host's mount, object lock, a Git work tree that is pushed).
    """

    def __init__(self, folder: Path, anchor: Path, mirror: Path | None = None) -> None:
        self._folder, self._anchor, self._mirror = folder, anchor, mirror
        self._mirrored: set[str] = set()

    def prepare(self) -> None:
        """Make the folder beside the ledger.

        Raises:
            OSError: It cannot be made.
        """
        self._folder.mkdir(parents=True, exist_ok=True)

    def notes(self) -> list[tuple[str, str]]:
        """Every note that is kept: where, and its text.

        Raises:
            OSError: One cannot be read.
        """
        beside_key = [path for path in (self._anchor / SEALED,) if path.is_file()]
        mirrored = notes_in(self._mirror) if self._mirror else []
        paths = [*notes_in(self._folder), *beside_key, *mirrored]
        # What is not UTF-8 becomes a note that does not verify, and so a problem with a name.
        return [(str(path), path.read_bytes().decode(errors="replace")) for path in paths]

    def keep(self, size: int, note: str, *, lasting: bool) -> None:
        """Keep the newest note, and where it is to last, one under its number.

        Raises:
            OSError: It cannot be written.
        """
        numbered = self._folder / f"{size:06d}.txt"
        if lasting and not numbered.exists():
            _keep(numbered, note)
        _keep(self._folder / NEWEST, note)
        _keep(self._anchor / SEALED, note)

    def copy_to_mirror(self) -> str | None:
        """Copy what the mirror lacks; why that failed, or none."""
        if self._mirror is None:
            return None
        try:
            self._mirror.mkdir(parents=True, exist_ok=True)
            for path in notes_in(self._folder):
                if path.name != NEWEST and path.name not in self._mirrored:
                    self._copy(path, self._mirror / path.name)
        except OSError as error:
            return f"checkpoint not mirrored to {self._mirror}: {error.strerror}"
        return None

    def _copy(self, path: Path, copy: Path) -> None:
        if not copy.exists():
            _keep(copy, path.read_text(encoding="utf-8"))
        self._mirrored.add(path.name)

    def head(self) -> LedgerHead | None:
        """What the writer last set out to leave the ledger as; none where it never wrote.

        Raises:
            ValueError: The file holds something else.
            OSError: It cannot be read.
        """
        path = self._anchor / HEAD
        if not path.exists():
            return None
        try:
            return restore(LedgerHead, json.loads(path.read_bytes()))
        except (TypeError, AttributeError, RecursionError) as error:
            raise ValueError(str(error)) from error

    def set_out(self, head: LedgerHead) -> None:
        """Keep what the ledger is about to become.

        Raises:
            OSError: It cannot be written; then nothing must be appended.
        """
        _keep(self._anchor / HEAD, canonical(head).decode() + "\n")


def notes_in(folder: Path) -> list[Path]:
    """The notes of a folder in the order of their names; nothing where it is not there."""
    return sorted(folder.glob("*.txt"))


def _keep(path: Path, text: str) -> None:
    """Put a text in a file's place at once, so that it lasts."""
    write_whole(path, text.encode())
    sync(path.parent)
