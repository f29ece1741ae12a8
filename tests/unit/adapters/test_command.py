"""Which process a claim means."""

import os
import subprocess
from dataclasses import replace

import pytest

from greenops.adapters.command import _since as began
from greenops.adapters.command import alive, own_claim
from greenops.testing.clock import START


@pytest.fixture
def sleeper():
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def claim(sleeper):
    return replace(own_claim(START), pid=sleeper.pid, since=began(sleeper.pid))


def test_a_claim_of_a_process_that_runs_is_alive_until_it_ends(claim, sleeper):
    assert alive(claim)

    sleeper.kill()
    sleeper.wait()

    assert not alive(claim)


def test_a_process_that_ended_and_was_not_waited_for_is_not_alive(claim, sleeper):
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)

    assert not alive(claim)
    assert not alive(replace(claim, since=None))


def test_another_process_of_the_same_pid_is_not_the_one_that_claimed(claim):
    # A container that starts again has the boot of before, and its processes the pids of before.
    assert not alive(replace(claim, since=claim.since - 1))


def test_another_boot_is_another_process(claim):
    assert not alive(replace(claim, boot_id="another boot"))


def test_a_claim_that_tells_no_beginning_goes_by_its_pid(claim):
    assert alive(replace(claim, since=None))


def test_a_claim_with_the_pid_of_who_asks_is_an_earlier_process(claim):
    assert not alive(own_claim(START))
    assert not alive(replace(claim, pid=os.getpid(), since=None))


def test_a_process_whose_name_has_brackets_and_spaces_tells_its_beginning(tmp_path):
    odd = tmp_path / "a) (b 1"
    odd.symlink_to("/bin/sleep")
    process = subprocess.Popen([odd, "60"])

    assert began(process.pid) >= began(os.getpid())

    process.kill()
    process.wait()
