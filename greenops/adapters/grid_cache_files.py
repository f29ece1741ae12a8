"""What grid providers last answered, on disk: a file a zone, whole or not at all."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import quote

from greenops.adapters.disk import read_bounded, write_whole
from greenops.errors import Location, Unreachable

LONGEST: Final = 2**20
"""Longest file that is read [bytes]; a zone's six weeks of hours and its forecast take some 30 KB."""
LONGEST_WORD: Final = 150
"""Longest name that is written out [characters]; of a longer one the hash tells the rest."""
MOST: Final = 512
"""Most files of one provider; the oldest go."""


class GridCacheFiles:
    """Contents by provider and name. Only this class reads or writes its folder.

    Args:
        folder: Where they lie; made when first written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, provider: str, name: str) -> bytes | None:
        """What was kept; none where nothing was, or what lies there cannot be read."""
        path = self._path(provider, name)
        with suppress(OSError):
            content = read_bounded(path, LONGEST)
            if content is not None and len(content) <= LONGEST:
                return content
        return None

    def write(self, provider: str, name: str, content: bytes) -> None:
        """Keep a content in the place of the last one.

        Raises:
            Unreachable: The disk is full or gone; what was kept stands.
        """
        path = self._path(provider, name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, content)
            self._prune(path.parent)
        except OSError as error:
            raise Unreachable(
                "GO0346",
                f"what grid providers answer cannot be kept: {error.strerror or error}",
                at=Location(str(path.parent)),
                fix="free space or make the folder writable; decisions go on with what is in memory",
            ) from error

    def _path(self, provider: str, name: str) -> Path:
        return self._folder / _word(provider) / f"{_word(name)}.json"

    @staticmethod
    def _prune(folder: Path) -> None:
        files = list(folder.glob("*.json"))
        if len(files) > MOST:
            by_age = sorted(files, key=lambda each: each.stat().st_mtime)
            for each in by_age[: len(files) - MOST]:
                each.unlink(missing_ok=True)


def _word(text: str) -> str:
    """A name as a file's: no name leads out of the folder, and no two share a file."""
    word = quote(text, safe="").replace(".", "%2E") or "%00"
    if len(word) <= LONGEST_WORD:
        return word
    return f"{word[:LONGEST_WORD]}~{hashlib.sha256(text.encode()).hexdigest()}"
