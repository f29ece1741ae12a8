"""A process of its own for policies that nobody vouches for: bounded in memory, time and output.

The language has no way out of the process; this is the second wall. The worker inherits no descriptor and
no secret of the environment, may write no file, and is ended where it does not end by itself. Off Linux
only the time by the clock on the wall and the output are bounded.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import IO, Any, Final

from greenops.errors import PolicyFailed, Unreachable

MIB: Final = 2**20
BOUNDED: Final = sys.platform == "linux"
"""Does the system hold a process to memory and CPU time? Elsewhere `resource` promises less."""
KEPT: Final = frozenset(
    {"PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "PYTHONPATH", "TMPDIR", "SYSTEMROOT"}
    | {"GREENOPS_POLICIES", "GREENOPS_POLICIES_KEY", "GREENOPS_STATE", "GREENOPS_REPLAY"}
)
"""What of the environment the worker sees; tokens of a build are not among it."""
OUT_OF_MEMORY: Final = 90
"""Exit code of a worker that could not even say that memory ran out."""
FIX: Final = "look at the files before you run them without `--isolated`"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one worker may use.

    Attributes:
        memory_mib: Address space [MiB]; libraries map about 700 of it before any work.
        cpu_s: CPU time [s].
        wall_s: Time by the clock on the wall [s].
        output_mib: Answer [MiB].
        threads: It may start threads, which tables need; where the user is not root, else none.
    """

    memory_mib: int = 2_048
    cpu_s: int = 60
    wall_s: float = 120.0
    output_mib: int = 16
    threads: bool = False


def isolated(work: str, request: Mapping[str, Any], limits: Limits | None = None) -> dict[str, Any]:
    """What a function answers in a process of its own.

    Args:
        work: `module:function`; it takes the request and gives a map. Both must be JSON.
        request: What it is asked.
        limits: What it may use.

    Raises:
        PolicyFailed: It passed a limit, or a signal or a fault ended it.
        Unreachable: The process cannot be started.
    """
    limits = limits or Limits()
    with tempfile.TemporaryFile() as asked:
        asked.write(json.dumps({"work": work, "request": request, **_bounds(limits)}).encode())
        asked.seek(0)
        worker = _started(asked)
    try:
        answer, why = _answer(worker, limits)
    finally:
        _end(worker)
    if why is None:
        why = _ending(worker.returncode, limits)
    if why is not None:
        raise PolicyFailed("GO0170", f"the policies' own process {why}", fix=FIX)
    return _read(answer)


def _bounds(limits: Limits) -> dict[str, int | bool]:
    memory = limits.memory_mib * MIB
    return {"memory": memory, "cpu": limits.cpu_s, "threads": limits.threads}


def _started(asked: IO[bytes]) -> subprocess.Popen[bytes]:
    # `-P`: modules come from where GreenOps is installed, never from the folder of the files.
    command = [
        sys.executable,
        "-P",
        "-c",
        "from greenops.adapters import policy_worker as w; w.main()",
    ]
    kept = {name: value for name, value in os.environ.items() if name in KEPT}
    kept |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    try:
        return subprocess.Popen(  # noqa: S603  (our own interpreter and module)
            command,
            stdin=asked,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=kept,
            close_fds=True,
            start_new_session=True,
        )
    except OSError as error:
        why = f"a process for the policies cannot be started: {error.strerror or error}"
        raise Unreachable(
            "GO0171", why, fix="leave `--isolated` out for files you trust"
        ) from error


def _answer(worker: subprocess.Popen[bytes], limits: Limits) -> tuple[bytes, str | None]:
    """What it wrote until it closed its side; and why that is no answer, if it is none."""
    assert worker.stdout is not None  # noqa: S101  (programming error)
    until, most = time.monotonic() + limits.wall_s, limits.output_mib * MIB
    got = bytearray()
    with selectors.DefaultSelector() as ready:
        ready.register(worker.stdout, selectors.EVENT_READ)
        while (left := until - time.monotonic()) > 0:
            if not ready.select(left):
                continue
            part = os.read(worker.stdout.fileno(), 65_536)
            if not part:
                break
            got += part
            if len(got) > most:
                return b"", f"answered more than {limits.output_mib} MiB"
        with suppress(subprocess.TimeoutExpired):
            worker.wait(max(0.0, until - time.monotonic()))
    return bytes(got), None if worker.poll() is not None else f"ran over {limits.wall_s:g} s"


def _end(worker: subprocess.Popen[bytes]) -> None:
    """End it and all it started; one that left its group got no children past the limit on them."""
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(worker.pid, signal.SIGKILL)
    worker.kill()
    worker.wait()
    if worker.stdout is not None:
        worker.stdout.close()


def _ending(code: int, limits: Limits) -> str | None:
    """Why it ended; none where it ended by itself."""
    if code == 0:
        return None
    if code == OUT_OF_MEMORY:
        return f"needed over {limits.memory_mib:,} MiB of memory"
    if code > 0:
        return f"gave up with code {code}"
    name = signal.Signals(-code).name
    return f"used over {limits.cpu_s} s of CPU time" if name == "SIGXCPU" else f"got {name}"


def _read(answer: bytes) -> dict[str, Any]:
    try:
        said = json.loads(answer)
    except ValueError:
        said = None
    if isinstance(said, dict) and isinstance(said.get("answer"), dict):
        return dict(said["answer"])
    why = (
        str(said.get("fault", "nothing")) if isinstance(said, dict) else "nothing that can be read"
    )
    raise PolicyFailed("GO0170", f"the policies' own process answered {why}", fix=FIX)


def main() -> None:
    """In the process: bound it, do the work, answer on what was the standard output."""
    asked = json.load(sys.stdin.buffer)
    out = os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):  # what a library prints is no part of the answer
        os.dup2(nothing, number)
    os.close(nothing)
    module, name = asked["work"].split(":")
    function = getattr(import_module(module), name)
    bound(asked["memory"], asked["cpu"], threads=asked["threads"])
    try:
        said = {"answer": function(asked["request"])}
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    except Exception as error:  # noqa: BLE001  (whatever it is, the other side says it in one line)
        said = {"fault": f"{type(error).__name__}: {str(error)[:500]}"}
    with os.fdopen(out, "wb") as pipe:
        pipe.write(json.dumps(said).encode())


def bound(memory: int, cpu: int, *, threads: bool) -> None:
    """Hold this process to limits that it cannot raise again; nothing off Linux.

    Args:
        memory: Address space [byte].
        cpu: CPU time [s].
        threads: It may start threads; the system counts children likewise, so also those. Root is
            not held to a number of either, all else holds for root too.
    """
    if not BOUNDED:
        return
    import resource

    bounds = [
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_FSIZE, 0, 0),
        (resource.RLIMIT_NOFILE, 64, 64),
        (
            resource.RLIMIT_CPU,
            cpu,
            cpu + 1,
        ),  # at the lower a signal tells why, at the upper it ends
        (resource.RLIMIT_AS, memory, memory),
    ]
    if not threads:
        bounds.append((resource.RLIMIT_NPROC, 0, 0))
    for limit, most, last in bounds:
        allowed = resource.getrlimit(limit)[1]
        if allowed == resource.RLIM_INFINITY:
            allowed = max(most, last)
        resource.setrlimit(limit, (min(most, allowed), min(last, allowed)))
