"""`greenops serve` killed at twenty random moments around a held run: nothing is lost or doubled."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pyarrow.parquet as pq
import pytest

from greenops.adapters.clock import SystemClock
from greenops.adapters.parquet_lake import ParquetLake
from greenops.adapters.wal import Wal
from greenops.pipeline.evidence import verify
from greenops.pipeline.footprint import Footprint
from greenops.service.intake import Intake

pytestmark = [pytest.mark.network, pytest.mark.slow]

MORNING = datetime(2021, 10, 8, 15, 0, tzinfo=UTC)
"""Five hours before California's cleanest (UTC), for which what is planned now will wait."""
RATE = 3600.0
"""Simulated seconds per wall second: a hold lasts three seconds or less. Its latest safe start is
five seconds after its planned one, longer than a machine of two cores stands still."""
PHASES = ("asking", "holding", "started")
"""When a server dies: while the run asks for its plan, while it is held, after its start."""
HOUSES = 20
AT_ONCE = 4
"""Houses that play at the same time."""
BY_COMMAND = 6
"""Houses whose ledger is verified by the command, too: each kind of kill, with and without return."""
NAMES = {
    "decision": ("id",),
    "action": ("id", "target"),
    "receipt": ("action_id", "target", "outcome"),
    "outcome": ("run_key",),
}


@dataclass
class Sender:
    """Sends spans all the time; keeps what was acknowledged, and sends again what was not."""

    house: object
    tools: object
    rng: random.Random
    sent: set[str] = field(default_factory=set)
    unsure: set[str] = field(default_factory=set)
    stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self):
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join(10)

    def run(self):
        message, ids = self.tools.spans(self.rng, 3)
        while not self.stop.wait(0.05):
            if self.tools.post(self.house.otlp, message):
                self.sent |= ids
                message, ids = self.tools.spans(self.rng, 3)
            else:
                self.unsure |= ids


def doubled(entries):
    """Names of ledger entries that are there more than once."""
    names = Counter(
        (entry["kind"], *(entry["body"][name] for name in NAMES[entry["kind"]]))
        for entry in entries
        if entry["kind"] in NAMES
    )
    return [name for name, count in names.items() if count > 1]


def kill_during(house, tools, rng, phase, key):
    """Start a held run and kill `serve` at a random moment of a phase.

    Returns:
        The run's process, the file its command writes, and the moment in words.
    """
    server, log = house.started[-1], house.folder / f"{key.replace('/', '-')}.txt"
    began = time.monotonic()
    holder = house.run(key, "sh", "-c", f"echo started >> {log}")
    folder = house.state / "runs" / key
    if phase == "asking":
        time.sleep(rng.uniform(0, 1.2))
    elif phase == "holding":
        assert tools.until((folder / "decision.json").exists, 20), holder.said()
        start = datetime.fromisoformat(house.of_run(key, "decision.json")["chosen"]["start"])
        left = house.replay.wall_span(start - house.now()).total_seconds()
        time.sleep(rng.uniform(0, max(0.0, left)))
    else:
        assert tools.until((folder / "receipt.json").exists, 20), holder.said()
        time.sleep(rng.uniform(0, 0.5))
    server.kill()
    server.wait(60)
    return holder, log, f"killed while {phase}, {time.monotonic() - began:.2f} s after the call"


def check_run(house, tools, key, holder, log, moment):
    """The command ran once and in time, whenever the server died."""
    story = f"{key}, {moment}"
    assert holder.wait(60) == 0, f"{story}: {holder.said()}"
    assert log.read_text() == "started\n", f"{story}: {holder.said()}"
    made = house.of_run(key, "receipt.json")
    decision = house.of_run(key, "decision.json")
    assert made["on_time"] is True, f"{story}: {made} {decision['latest_safe_start']}"
    latest = datetime.fromisoformat(decision["latest_safe_start"])
    assert datetime.fromisoformat(made["started_at"]) <= latest, story
    assert made["exit_code"] == 0, story


def check_ledger(house):
    """It verifies, and nothing is in it twice; its entries."""
    found = verify(house.state)
    entries = house.entries()
    assert found.problems == ()
    assert doubled(entries) == []
    assert [entry["seq"] for entry in entries] == list(range(len(entries)))
    return entries


def receipts(house, key):
    """Entries of the ledger that say that a run started."""
    name = f"start:{key}"
    return [e for e in house.entries() if e["kind"] == "receipt" and e["body"]["action_id"] == name]


def in_lake(house):
    """Span ids as they lie in the lake's files, after what every start of `serve` does first."""
    lake = ParquetLake(house.state / "lake")
    clock = SystemClock(house.replay)
    Intake(lake, Wal(house.state / "lake" / "wal"), Footprint(), clock).recover()
    files = (house.state / "lake" / "v1" / "spans").glob("day=*/*.parquet")
    raw = Counter(
        name for path in files for name in pq.ParquetFile(path).read()["span_id"].to_pylist()
    )
    return raw, Counter(row.span_id for row in lake.spans())


def play(house, tools, number):
    """One kill; in every other house the server comes back.

    Returns:
        When the server was killed, whether it came back, and how many spans it acknowledged.
    """
    rng = random.Random(number)
    phase, comes_back = PHASES[number % len(PHASES)], number % 2 == 0
    house.replay = tools.replay_at(MORNING, RATE)
    house.serve()
    with Sender(house, tools, rng) as sender:
        killed = kill_during(house, tools, rng, phase, "night/1")
        before = check_ledger(house)
        if comes_back:
            house.serve()
        check_run(house, tools, "night/1", *killed)
        if comes_back:
            assert tools.until(lambda: receipts(house, "night/1"), 10), house.log
            assert tools.until(lambda: len(house.entries()) > len(before), 10), house.log
    after = check_ledger(house)
    assert after[: len(before)] == before
    assert len(receipts(house, "night/1")) <= 1
    assert "Traceback" not in house.log, house.log
    # What a killed server wrote last is signed once it comes back, and not before.
    assert not comes_back or tools.until(lambda: verify(house.state).verified, 10), house.log
    if number < BY_COMMAND:
        words = ("evidence", "verify", "--allow-unsigned-tail")
        checked = house.start("verify", *tools.greenops, *words)
        assert checked.wait(60) == 0, checked.said()

    # What goes on serving takes the machine from the houses that still play.
    house.end()
    raw, read = in_lake(house)
    assert {name: raw[name] for name in sender.sent - sender.unsure if raw[name] != 1} == {}
    assert {name: read[name] for name in sender.sent if read[name] != 1} == {}
    return phase, comes_back, len(sender.sent)


@pytest.mark.feature("C6", "C11")
@pytest.mark.untraced
@pytest.mark.timeout(240)
def test_serve_killed_at_twenty_random_moments_stops_no_run_and_loses_nothing(house, tools):
    houses = [house(f"house{number}") for number in range(HOUSES)]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        killed = list(pool.map(lambda n: play(houses[n], tools, n), range(HOUSES)))

    phases, back, sent = zip(*killed, strict=True)
    assert Counter(phases) == {"asking": 7, "holding": 7, "started": 6}
    assert Counter(back) == {True: 10, False: 10}
    assert sum(sent) > 0, "nothing was sent"
