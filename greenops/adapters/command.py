"""Another program: started in its own words, told to stop when we are, its exit code kept.

And processes by name: a pid comes again, so a claim also says when its process began.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Final

from greenops.domain.run import Claim

SHELL_NOT_FOUND: Final = 127
"""Exit code of a command that is not there. Source: POSIX.1-2024, shell, 2.8.2."""
SHELL_SIGNAL: Final = 128
"""Added to the number of the signal that ended a command. Source: POSIX shells' convention."""
FORWARDED: Final = (signal.SIGTERM, signal.SIGINT)
"""Signals that are passed on to a running command."""


class Stopped(BaseException):
    """Someone told us to stop while nothing was running yet; no `except Exception` holds it up."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(signal.Signals(number).name)


def found(command: Sequence[str]) -> bool:
    """Whether the program can be started."""
    return shutil.which(command[0]) is not None


class Command:
    """One program and the signals that reach it. Stability: beta."""

    def __init__(self, argv: Sequence[str], environ: Mapping[str, str]) -> None:
        self._argv = list(argv)
        self._environ = {**os.environ, **environ}
        self._process: subprocess.Popen[bytes] | None = None

    def listen(self) -> None:
        """From now on: hang-ups are ignored, stops reach the program, or raise before it runs."""
        # A handler, not SIG_IGN: a program that we start gets its default behaviour back.
        signal.signal(signal.SIGHUP, _ignore)
        for number in FORWARDED:
            signal.signal(number, self._stop)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)

    def start(self, environ: Mapping[str, str]) -> int:
        """Start it; its process id.

        Raises:
            OSError: It cannot be started.
        """
        # Law: a stop is never lost between the fork and `self._process`.
        signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)
        try:
            self._process = subprocess.Popen(  # noqa: S603  (running it is the purpose)
                self._argv,
                env={**self._environ, **environ},
                preexec_fn=_unblock,  # noqa: PLW1509  (one thread)
            )
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
        return self._process.pid

    def wait(self) -> int:
        """Its exit code; 128 + number where a signal ended it."""
        assert self._process is not None  # noqa: S101  (programming error)
        return exit_code(self._process.wait())

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        if self._process is None:
            raise Stopped(number)
        with suppress(ProcessLookupError):
            self._process.send_signal(number)


def exit_code(returncode: int) -> int:
    """A `subprocess` return code as a shell gives it."""
    return SHELL_SIGNAL - returncode if returncode < 0 else returncode


def _ignore(number: int, _frame: FrameType | None) -> None:
    pass


def _unblock() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)


def in_own_session() -> int | None:
    """Go on in a session of our own, so that the terminal's death is not ours.

    Returns:
        None in the new session; in the process that was called, the other's exit code once it ended.
        Stops sent to the caller are passed on.
    """
    # Stops wait until both sides listen; `Command.listen` lets them in on the other side.
    signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)
    child = os.fork()
    if child == 0:
        os.setsid()
        return None

    def forward(number: int, _frame: FrameType | None) -> None:
        with suppress(ProcessLookupError):
            os.kill(child, number)

    for number in FORWARDED:
        signal.signal(number, forward)
    signal.signal(signal.SIGHUP, _ignore)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
    _, status = os.waitpid(child, 0)
    return exit_code(os.waitstatus_to_exitcode(status))


def _boot_id() -> str:
    """Id of this boot of the machine; empty where the system tells none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def own_claim(now: datetime) -> Claim:
    """The claim of this process."""
    return Claim(os.getpid(), _boot_id(), now, _since(os.getpid()))


def alive(claim: Claim) -> bool:
    """Whether the process that claimed runs still: in this boot, and no later one of its pid.

    A claim that bears this process's own pid is an earlier one's: who asks has not claimed.
    """
    if claim.boot_id != _boot_id() or claim.pid == os.getpid() or _ended(claim.pid):
        return False
    since = _since(claim.pid)
    if claim.since is not None and since is not None:
        return claim.since == since
    try:
        os.kill(claim.pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _ended(pid: int) -> bool:
    """Whether a process ended and waits for its parent to look; false where nothing tells.

    Source: proc_pid_stat(5), field 3: zombie, or dead.
    """
    return _stat(pid)[:1] in (["Z"], ["X"])


def _since(pid: int) -> int | None:
    """When a process began [clock ticks since boot]; none where it is gone or nothing tells.

    Source: proc_pid_stat(5), field 22.
    """
    try:
        return int(_stat(pid)[19])
    except (ValueError, IndexError):
        return None


def _stat(pid: int) -> list[str]:
    """The fields of a process from the third on; the name in the second may hold spaces and brackets."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []
