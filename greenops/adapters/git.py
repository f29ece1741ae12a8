"""Files of a revision, as git keeps them; nothing is checked out."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from greenops.errors import Unreachable, UsageError

PATIENCE_S: Final = 60.0
"""Longest wait for one call of git [s]."""
FILE: Final = ("100644", "100755")
"""Modes of a plain file; links and submodules are no files of the revision."""


class GitRevision:
    """One revision of the repository that a folder lies in.

    Args:
        folder: A folder or file in the repository; it need not be in this revision.
        revision: Any name that git understands: a branch, a tag, `HEAD~3`, a commit.

    Raises:
        UsageError: There is no such revision.
        Unreachable: The folder is in no repository, or there is no git.
    """

    def __init__(self, folder: Path, revision: str) -> None:
        self._at = folder if folder.is_dir() else folder.parent
        top = self._git("rev-parse", "--show-toplevel")
        if top is None:
            raise Unreachable(
                "GO0453",
                f"{folder} is in no git repository",
                fix="run this in the repository of the policies, or name them with `--path`",
            )
        root = Path(top.decode().strip())
        self._inside = folder.resolve().relative_to(root.resolve()).as_posix()
        wanted = f"{revision}^{{commit}}"
        found = self._git("rev-parse", "--verify", "--quiet", "--end-of-options", wanted)
        if found is None:
            raise UsageError(
                "GO0454",
                f"`{revision}` is no revision of {root}",
                fix="name a branch, a tag or a commit; `git fetch` first if it is elsewhere",
            )
        self.name = revision
        self.commit = found.decode().strip()

    def files(self) -> list[tuple[str, str]]:
        """(path below the folder, text) of every file there, sorted; of the file itself for a file.

        Raises:
            UsageError: The revision has no such folder.
        """
        listed = self._git("ls-tree", "-r", "-z", "--full-tree", self.commit, "--", self._inside)
        entries = [each.partition("\t") for each in (listed or b"").decode().split("\0") if each]
        if not entries:
            raise UsageError("GO0454", f"`{self.name}` has no `{self._inside}`")
        return [
            (path.removeprefix(f"{self._inside}/"), self._text(head.split()[2]))
            for head, _, path in entries
            if head.split()[0] in FILE
        ]

    def _text(self, blob: str) -> str:
        return (self._git("cat-file", "blob", blob) or b"").decode(errors="replace")

    def _git(self, *arguments: str) -> bytes | None:
        """What git says; none where it refuses."""
        command: Sequence[str] = ("git", "-C", str(self._at), *arguments)
        try:
            ran = subprocess.run(  # noqa: S603 - fixed words, no shell; a revision comes after `--end-of-options`
                command, capture_output=True, check=False, timeout=PATIENCE_S
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unreachable(
                "GO0453", f"cannot run git: {error}", fix="install git, or put it on the PATH"
            ) from error
        return ran.stdout if ran.returncode == 0 else None
