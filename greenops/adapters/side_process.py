"""Work of ours in a process beside a service: it gives way to everything else, and ends when told or left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import Final

from greenops.errors import Unreachable, one_line

LOOK_S: Final = 0.1
"""How soon an end is noticed, the work's own or the service's [s]."""
GRACE_S: Final = 2.0
"""How long work that is told to end may take to remove what it has half written [s]."""
LEFT_ALONE_S: Final = 0.5
"""How often the work looks whether its service is still there [s]."""
LEAST_URGENT: Final = 19
"""Niceness: the work gets what processor time nobody else wants, and little where all want more."""
FIRST_TO_GO: Final = b"1000"
"""`oom_score_adj`: where a machine runs out of memory, the work goes and the service stays."""
TOLD_TO_END: Final = 128 + signal.SIGTERM
START: Final = "from greenops.adapters import side_process as s; s.main()"


@dataclass(frozen=True, slots=True)
class Ended:
    """How the work ended by itself.

    Attributes:
        code: Its exit code; negative where a signal ended it.
        said: What it wrote to its standard error.
    """

    code: int
    said: str


def run_aside(
    work: str,
    given: Sequence[str],
    stopped: Callable[[], bool],
    longest_s: float,
    environ: Mapping[str, str] = MappingProxyType({}),
) -> Ended | None:
    """Run work and wait for its end.

    Args:
        work: `module:function`; it takes a list of texts and gives an exit code.
        given: Those texts.
        stopped: True ends the work.
        longest_s: After so long it is ended [s].
        environ: Variables that it gets where the service has none of that name.

    Returns:
        None where it was stopped.

    Raises:
        Unreachable: It cannot be started, or took too long.
    """
    process = _started(work, given, environ)
    until = time.monotonic() + longest_s
    try:
        while time.monotonic() < until:
            try:
                _, said = process.communicate(timeout=LOOK_S)
            except subprocess.TimeoutExpired:
                if stopped():
                    return None
            else:
                return Ended(process.returncode, said.decode(errors="replace"))
    finally:
        _end(process)
    raise Unreachable("GO0425", f"{work} took more than {longest_s:g} s and was ended")


def _started(work: str, given: Sequence[str], more: Mapping[str, str]) -> subprocess.Popen[bytes]:
    command = _command(work, os.getpid(), given)
    environ = {**more, **os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    try:
        # A session of its own: Ctrl-C at a terminal is the service's to handle.
        return subprocess.Popen(  # noqa: S603  (our own interpreter and module)
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environ,
            start_new_session=True,
        )
    except OSError as error:
        why = f"no process can be started for {work}: {error.strerror or one_line(str(error))}"
        raise Unreachable("GO0425", why, fix="free memory, or allow more processes") from error


def _command(work: str, parent: int, given: Sequence[str]) -> list[str]:
    # `-P`: modules come from where GreenOps is installed, never from the folder where the service was started.
    return [sys.executable, "-P", "-c", START, work, str(parent), *given]


def begin_again(work: str, given: Sequence[str]) -> None:
    """From within the work: let go of all memory and locks, and go on as the same process with other texts."""
    command = _command(work, os.getppid(), given)
    os.execv(command[0], command)  # noqa: S606  (our own interpreter and module)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stderr is not None:
        process.stderr.close()


def main() -> None:
    """The other side: what this process is for stands in its arguments."""
    os.nice(LEAST_URGENT)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_bytes(FIRST_TO_GO)
    signal.signal(signal.SIGTERM, _exit)
    work, parent, *given = sys.argv[1:]
    threading.Thread(target=_watch, args=(int(parent),), daemon=True).start()
    module, _, name = work.partition(":")
    sys.exit(getattr(import_module(module), name)(given))


def _exit(_number: int, _frame: FrameType | None) -> None:
    sys.exit(TOLD_TO_END)


def _watch(parent: int) -> None:
    """End with the service, also where that was killed."""
    while os.getppid() == parent:
        time.sleep(LEFT_ALONE_S)
    os._exit(TOLD_TO_END)
