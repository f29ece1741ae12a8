"""Become another command that gets SIGTERM when its parent dies, however that dies. Linux only.

    python -I -S leash.py PARENT COMMAND …

The wish outlives `exec`, so the command needs to know nothing of it; asking for it between fork and
exec (`preexec_fn`) could deadlock where the parent has threads. Nothing but the standard library.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from typing import Final

PR_SET_PDEATHSIG: Final = 1
"""Source: prctl(2). The signal comes when the thread that started us ends."""


def on(command: Sequence[str], parent: int) -> list[str]:
    """The command line that runs `command` on the leash of `parent`."""
    return [sys.executable, "-I", "-S", __file__, str(parent), *command]


def main() -> None:
    """Ask for the signal, then become the command; where the parent is gone already, end."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    # Without the wish the command still ends with its parent, unless that is killed outright.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    if os.getppid() == parent:
        os.execv(command[0], command)  # noqa: S606  (our own words)


if __name__ == "__main__":
    main()
