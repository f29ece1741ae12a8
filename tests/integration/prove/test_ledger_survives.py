"""Real processes: killed in the middle, out of disk, two at once."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from greenops.domain.evidence import EntryKind
from greenops.errors import Unreachable
from greenops.pipeline.evidence import open_ledger, verify
from greenops.testing.clock import FakeClock

WRITER = """
import sys
from pathlib import Path
from greenops.adapters.clock import SystemClock
from greenops.domain.evidence import EntryKind
from greenops.pipeline.evidence import open_ledger
ledger = open_ledger(Path(sys.argv[1]), SystemClock(), checkpoint_entries=5)
print("open", flush=True)
n = 0
while True:
    made = ledger.append_many([(EntryKind.REFUSAL, {"n": n, "pad": "x" * 4000})] * 3)
    print(made[-1].seq, flush=True)
    n += 1
"""
FULL = """
import resource, sys
from pathlib import Path
from greenops.adapters.clock import SystemClock
from greenops.domain.evidence import EntryKind
from greenops.errors import Unreachable
from greenops.pipeline.evidence import open_ledger
state = Path(sys.argv[1])
file = state / "ledger" / "ledger.jsonl"
with open_ledger(state, SystemClock()) as ledger:
    ledger.append(EntryKind.REFUSAL, {"n": 0})
    size = file.stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, resource.RLIM_INFINITY))
    for body in ({"pad": "x" * 5000}, {"pad": "x" * 5000}):
        try:
            ledger.append(EntryKind.REFUSAL, body)
        except Unreachable as error:
            print(error)
        assert file.stat().st_size == size, "something was left half written"
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert ledger.append(EntryKind.REFUSAL, {"n": 1}).seq == 1
"""


def run(script: str, state: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, str(state)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.feature("C11")
@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_writer_killed_at_any_moment_loses_nothing_it_answered_for(tmp_path):
    moments = random.Random(11)
    answered = -1

    for _ in range(20):
        with run(WRITER, tmp_path) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "open\n"
            time.sleep(moments.uniform(0, 0.15))
            writer.send_signal(signal.SIGKILL)
            told = [int(line) for line in writer.stdout.read().splitlines() if line]
        answered = max([answered, *told])

        with open_ledger(tmp_path, FakeClock()) as again:
            seqs = [entry.seq for entry in again.read()]
        assert seqs == list(range(len(seqs)))
        assert len(seqs) > answered
        found = verify(tmp_path)
        assert found.problems == ()
        assert found.signed == found.entries == len(seqs)

    assert answered > 20


def test_a_full_disk_leaves_nothing_half_written_and_the_ledger_goes_on_after(tmp_path):
    done = run(FULL, tmp_path)
    out, err = done.communicate(timeout=20)

    assert done.returncode == 0, err
    lines = out.splitlines()
    assert len(lines) == 2
    assert all("GO0401" in line and "ledger.jsonl" in line for line in lines)
    assert all("nothing was added" in line and "free space" in line for line in lines)
    found = verify(tmp_path)
    assert found.problems == ()
    assert (found.entries, found.signed) == (2, 2)


def test_a_second_process_that_writes_is_refused_until_the_first_is_gone(tmp_path):
    with run(WRITER, tmp_path) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "open\n"

        with pytest.raises(Unreachable, match="GO0402"):
            open_ledger(tmp_path, FakeClock())

        writer.kill()
        writer.stdout.read()
    with open_ledger(tmp_path, FakeClock()) as ledger:
        ledger.append(EntryKind.REFUSAL, {})
    assert verify(tmp_path).problems == ()
