"""Twenty thousand damaged policy files: each ends as one line with a place, or as policies that two evaluators
judge alike; within a second and 300 MiB, with no file, no socket, no process and no look at a clock.

`open`, `socket.*`, `subprocess.*` and the like raise audit events, so a hook sees them whatever module calls
them. Reading a clock raises none: there the interpreter's profiler is asked, which sees every call of a
function in C. Nothing is patched, so what is watched is what runs in production.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from greenops.policy.zones import zone

SOAK = Path(__file__).parents[2] / "soak" / "hostile_policies.py"
SPEC = importlib.util.spec_from_file_location("hostile_policies", SOAK)
assert SPEC is not None
assert SPEC.loader is not None
hostile = importlib.util.module_from_spec(SPEC)
sys.modules["hostile_policies"] = hostile
SPEC.loader.exec_module(hostile)

SHARDS, SHARD = 40, 500
OUTSIDE = (
    "open",
    "os.",
    "shutil.",
    "socket.",
    "subprocess.",
    "urllib.",
    "ctypes.",
    "pty.",
    "mmap.",
)
"""Beginnings of the audit events of all that leaves the process. Source: Python's audit events table."""
ZONES = ("zoneinfo", "tzdata")
"""Parts of the paths of the time zones, which are read where a rule names one."""
CLOCKS = frozenset(
    {
        "time",
        "time_ns",
        "monotonic",
        "monotonic_ns",
        "now",
        "utcnow",
        "today",
        "localtime",
        "gmtime",
    }
    | {"perf_counter", "clock_gettime", "sleep"}
)
watched: list[list[str]] = []


def _heard(event: str, args: tuple[object, ...]) -> None:
    if watched and event.startswith(OUTSIDE) and not _of_a_zone(event, args):
        watched[-1].append(f"{event} {args}")


def _of_a_zone(event: str, args: tuple[object, ...]) -> bool:
    return event in {"open", "os.listdir"} and any(each in str(args[0]) for each in ZONES)


# It stays for as long as the process does, and is deaf outside of `listening`.
sys.addaudithook(_heard)


@contextmanager
def listening():
    """What leaves the process meanwhile."""
    watched.append([])
    try:
        yield watched[-1]
    finally:
        watched.pop()


@contextmanager
def untraced():
    """Without the tracer of a coverage run: it triples the time, and the first files showed it all."""
    tracer = sys.gettrace()
    sys.settrace(None)
    try:
        yield
    finally:
        sys.settrace(tracer)


@pytest.fixture(scope="module")
def texts():
    """The files to damage; Python's own modules that a first file, or zone, asks for are loaded by then."""
    found = hostile.corpus()
    hostile.trial(found, range(50))
    assert zone("No/Such") is zone("Europe/Nowhere") is None
    return found


@pytest.mark.slow
@pytest.mark.parametrize("shard", range(SHARDS))
def test_five_hundred_damaged_files_end_well(shard, texts):
    with untraced(), listening() as left:
        tally = hostile.trial(texts, range(shard * SHARD, (shard + 1) * SHARD))

    assert tally.faults == {}
    assert left == []
    assert tally.grown < hostile.GROWTH
    assert tally.codes.total() == SHARD
    assert tally.codes["loaded"] > SHARD // 20
    assert len(tally.codes) > 10


@pytest.mark.slow
def test_no_damaged_file_makes_a_clock_be_read(texts):
    read = []

    def profile(frame, event, function):
        # Hypothesis times the garbage collector, which may run anywhere.
        by_tests = "hypothesis" in frame.f_code.co_filename
        if event == "c_call" and function.__name__ in CLOCKS and not by_tests:
            read.append(function.__qualname__)

    contents = [hostile.mutant(texts, seed) for seed in range(30_000, 30_300)]
    with untraced():
        before = sys.getprofile()
        sys.setprofile(profile)
        try:
            outcomes = {hostile.tried(each)[0] for each in contents}
        finally:
            sys.setprofile(before)

    assert "loaded" in outcomes
    assert read == []


def test_the_watchers_see_what_they_look_for(tmp_path):
    seen = []
    with listening() as left:
        (tmp_path / "x").write_text("x")
    sys.setprofile(lambda _frame, event, function: seen.append((event, function)))
    time.time()
    sys.setprofile(None)

    assert any(each.startswith("open ") for each in left)
    assert ("c_call", time.time) in seen


def test_a_seed_gives_the_same_file_each_time(texts):
    once = [hostile.mutant(texts, seed) for seed in range(100)]

    assert once == [hostile.mutant(texts, seed) for seed in range(100)]
    assert len(set(once)) > 95
