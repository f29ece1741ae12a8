"""Real processes of the product on free ports, each ended by its own id."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from greenops.demo.processes import end, free_ports
from greenops.domain.replay import Replay

ROOT = Path(__file__).parents[3]
DEMO = ROOT / "policies" / "demo"
WORKLOAD = DEMO / "nightly-enrichment.yaml"
GREENOPS = (sys.executable, "-m", "greenops.cli.main")


BUSY = 4
"""So many times as long takes a start on a machine that others use, too."""


def until(condition: Callable[[], object], within_s: float) -> bool:
    """Whether a condition came true in the time that it takes on a machine of its own, or some times that."""
    end = time.monotonic() + BUSY * within_s
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return bool(condition())


def replay_at(start: datetime, rate: float) -> Replay:
    """A replay that shows `start` now."""
    return Replay(start, datetime.now(UTC), rate)


@dataclass
class House:
    """One state folder, and every process that was started on it.

    Attributes:
        folder: For logs and files of the commands; the state folder lies in it.
        policies: Folder of rules that `serve` and `run` read.
        replay: How simulated time runs; none: wall time.
    """

    folder: Path
    policies: Path = DEMO
    replay: Replay | None = None
    environ: dict[str, str] = field(default_factory=dict)
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)
    ports: tuple[int, int, int] = (0, 0, 0)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ports = tuple(free_ports(3))  # type: ignore[assignment]
        # Compiled files are kept, as they are after every installation: a start without them
        # takes three times as long, and a server's first second would be mostly compiling.
        self.environ["PYTHONDONTWRITEBYTECODE"] = ""
        self.environ["PYTHONPYCACHEPREFIX"] = str(self.folder.parent.parent / "compiled")

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.ports[0]}"

    @property
    def otlp(self) -> str:
        return f"http://127.0.0.1:{self.ports[2]}/v1/traces"

    @property
    def log(self) -> str:
        """Everything that every `serve` said so far."""
        return "".join(path.read_text() for path in sorted(self.folder.glob("serve*.log")))

    def now(self) -> datetime:
        wall = datetime.now(UTC)
        return self.replay.simulated(wall) if self.replay else wall

    def variables(self) -> dict[str, str]:
        """What tells a command of this house."""
        ours = {"GREENOPS_STATE": str(self.state), "GREENOPS_POLICIES": str(self.policies)}
        return ours | ({"GREENOPS_REPLAY": str(self.replay)} if self.replay else {})

    def start(self, name: str, *command: str, out: int | None = None) -> subprocess.Popen[bytes]:
        """Start a process; what it says goes to `<name>-<number>.log`."""
        others = {k: v for k, v in os.environ.items() if not k.startswith("GREENOPS_")}
        ours = {**others, **self.variables()}
        path = self.folder / f"{name}-{len(self.started):02d}.log"
        with path.open("wb") as said:
            process = subprocess.Popen(
                command,
                env={**ours, **self.environ},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=out or said,
                stderr=said,
            )
        process.said = path.read_text  # type: ignore[attr-defined]
        self.started.append(process)
        return process

    def serve(self, *flags: str, ready: bool = True) -> subprocess.Popen[bytes]:
        """Start `greenops serve`, and wait until it answers."""
        names = ("--api-port", "--otlp-grpc-port", "--otlp-http-port")
        ports = [text for n, p in zip(names, self.ports, strict=True) for text in (n, str(p))]
        process = self.start("serve", *GREENOPS, "serve", *ports, *flags)
        if ready:
            assert until(lambda: process.poll() is not None or self.answers(), 30), "too slow"
            assert process.poll() is None, self.log
        return process

    def answers(self) -> bool:
        try:
            return requests.get(f"{self.api}/healthz", timeout=1).ok
        except requests.RequestException:
            return False

    def run(self, key: str, *command: str, server: bool = True) -> subprocess.Popen[bytes]:
        """Start `greenops run` with the demo's nightly workload."""
        flags = ["--workload", str(WORKLOAD), "--key", key]
        flags += ["--server", self.api] if server else []
        return self.start("run", *GREENOPS, "run", *flags, "--", *command)

    def of_run(self, key: str, name: str) -> dict[str, Any]:
        """A file that a holder keeps of its run."""
        found: dict[str, Any] = json.loads((self.state / "runs" / key / name).read_text())
        return found

    def entries(self) -> list[dict[str, Any]]:
        """The whole lines of the ledger, as they lie on the disk."""
        data = (self.state / "ledger" / "ledger.jsonl").read_bytes()
        return [json.loads(line) for line in data.splitlines(keepends=True) if line.endswith(b"\n")]

    def end(self) -> None:
        """End what still runs, children of a held run included."""
        end(self.started)


def spans(rng: random.Random, count: int) -> tuple[ExportTraceServiceRequest, set[str]]:
    """An OTLP message of some spans with energy, and their ids in hex."""
    message = ExportTraceServiceRequest()
    found = set()
    scope = message.resource_spans.add().scope_spans.add()
    for _ in range(count):
        span = scope.spans.add(name="op", trace_id=rng.randbytes(16), span_id=rng.randbytes(8))
        span.end_time_unix_nano = time.time_ns()
        span.start_time_unix_nano = span.end_time_unix_nano - 10**6
        value = span.attributes.add(key="greenops.energy.self").value
        value.double_value = 0.5
        found.add(span.span_id.hex())
    return message, found


def post(url: str, message: ExportTraceServiceRequest) -> bool:
    """Whether a message was acknowledged."""
    kind = {"content-type": "application/x-protobuf"}
    try:
        return requests.post(url, message.SerializeToString(), headers=kind, timeout=10).ok
    except requests.RequestException:
        return False


@dataclass
class Tools:
    """What tests here share: files of tests are no modules that could be imported."""

    until = staticmethod(until)
    replay_at = staticmethod(replay_at)
    spans = staticmethod(spans)
    post = staticmethod(post)
    greenops = GREENOPS
    workload = WORKLOAD
    demo = DEMO
    hour = timedelta(hours=1)


@pytest.fixture(scope="session")
def tools() -> Tools:
    return Tools()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Callable[..., House]]:
    """Makes houses by name; ends their processes when the test ends."""
    made: list[House] = []

    def make(name: str = "house", **given: Any) -> House:
        made.append(House(tmp_path / name, **given))
        return made[-1]

    yield make
    for each in made:
        each.end()
