"""Another program: started in its own words, told to stop when we are, its exit code kept."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import FrameType
from typing import Final

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
