"""However the demo ends, no process of it is left."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys

import pytest

from greenops.demo import leash

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

DEMO = """
import os, signal, sys, time
from pathlib import Path
from greenops.cli.main import main
from greenops.demo import shop

# As at a terminal, whatever the tests were started from.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)

def open_shop(self, house):
    child = house.start("sleeper", "/bin/sleep", "300")
    print(child.process.pid, flush=True)
    time.sleep(300)

shop.Shop.open = open_shop
sys.exit(main(["demo", "--once"]))
"""

SURE_TO_END_S = 60.0


@pytest.fixture
def demo(tmp_path):
    """A demo whose shop is one sleeping process, and a file that tells when that ends."""
    with subprocess.Popen(
        [sys.executable, "-c", DEMO],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        child = os.pidfd_open(int(process.stdout.readline()))
        yield process, child
        process.kill()
        if not ended(child, 0):
            signal.pidfd_send_signal(child, signal.SIGKILL)
        os.close(child)


def ended(child: int, within: float = SURE_TO_END_S) -> bool:
    return bool(select.select([child], [], [], within)[0])


@pytest.mark.parametrize("told", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_a_demo_that_is_told_to_stop_ends_its_processes_first(demo, told):
    process, child = demo

    process.send_signal(told)

    assert process.wait(SURE_TO_END_S) == 130
    assert ended(child, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's end")
def test_a_demo_that_is_killed_leaves_no_process(demo):
    process, child = demo

    process.kill()

    assert process.wait(SURE_TO_END_S) == -signal.SIGKILL
    assert ended(child)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's end")
def test_a_process_whose_parent_is_gone_already_does_not_start():
    done = subprocess.run(
        leash.on(["/bin/echo", "started"], os.getpid() + 1),
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == ""
