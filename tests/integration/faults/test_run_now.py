"""A person's word: a held run starts within one tick, whoever dies, and the ledger knows who and why."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
import requests

from greenops.cli.main import main
from greenops.config import Settings
from greenops.pipeline.evidence import verify

pytestmark = [
    pytest.mark.network,
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.feature("C4"),
]

MORNING = datetime(2021, 10, 8, 15, 0, tzinfo=UTC)
"""Five hours before California's cleanest (UTC), for which what is planned now will wait."""
NAME = "nightly-enrichment"
WORDS = ("--who", "jo", "--why", "the customer waits")


def greenops(house, tools, *words, code=0):
    process = house.start("command", *tools.greenops, *words, out=subprocess.PIPE)
    out, _ = process.communicate(timeout=60)
    said = process.said()
    assert process.returncode == code, (process.returncode, out.decode(), said)
    return out.decode(), said


def called(house, monkeypatch, capsys, *words, code):
    """The same command without a process of its own, which takes most of the time of a refusal; what it says."""
    with monkeypatch.context() as there:
        for name, value in house.variables().items():
            there.setenv(name, value)
        there.chdir(house.folder)
        assert main(words) == code
    return capsys.readouterr().err


def hold(house, tools, key, *, server=True):
    """A run that waits, for hours, and the file its command adds a line to."""
    log = house.folder / f"{key.replace('/', '-')}.txt"
    holder = house.run(key, "sh", "-c", f"echo started >> {log}", server=server)
    assert tools.until(lambda: "holding `" in holder.said(), 30), holder.said()
    return holder, log


def ticks(house, key, override):
    """Ticks of the control loop between an order and the start of its run."""
    started = datetime.fromisoformat(house.of_run(key, "receipt.json")["started_at"])
    waited = started - datetime.fromisoformat(override["at"])
    return house.replay.wall_span(waited).total_seconds() / Settings().tick_s


def overrides(house):
    return [e["body"] for e in house.entries() if e["kind"] == "override"]


def started(house, key):
    return [e for e in house.entries() if e["body"].get("action_id") == f"start:{key}"]


@pytest.fixture
def home(house, tools):
    made = house()
    made.replay = tools.replay_at(MORNING, 1.0)
    return made


def test_a_held_run_is_released_within_one_tick_by_command_and_the_ledger_tells_why(home, tools):
    home.serve()
    waited = []

    for number in range(3):
        key = f"{NAME}/{number}"
        holder, log = hold(home, tools, key)
        out, _ = greenops(
            home, tools, "override", "run-now", NAME, *WORDS, "--server", home.api, "-o", "json"
        )
        given = json.loads(out)
        assert given["run_key"] == key
        assert given["state"] in (
            "ordered",
            "started",
        )  # The holder may be quicker than the answer.
        assert holder.wait(60) == 0, holder.said()
        assert log.read_text() == "started\n"
        waited.append(ticks(home, key, given))

    assert statistics.median(waited) <= 1, waited
    decision = given["overrode"]["decision_id"]
    assert tools.until(lambda: {e["state"] for e in overrides(home)} >= {"ordered", "started"}, 10)
    row = next(e for e in overrides(home) if e["id"] == given["id"] and e["state"] == "ordered")
    assert (row["who"], row["why"], row["run_key"]) == ("jo", "the customer waits", key)
    assert row["overrode"]["decision_id"] == decision
    assert row["overrode"]["start_at"] > row["at"]
    assert row["until"] > row["at"]
    shown, _ = greenops(home, tools, "decisions", "show", decision, "--server", home.api)
    assert "jo: the customer waits (run now instead of 2021-10-08" in shown
    assert tools.until(lambda: started(home, key), 10), home.log
    assert tools.until(lambda: verify(home.state).verified, 10)
    checked, _ = greenops(home, tools, "evidence", "verify")
    assert "verified" in checked
    assert "Traceback" not in home.log


@pytest.mark.parametrize("restarted", [False, True])
def test_a_server_killed_after_the_order_releases_the_run_once(home, tools, restarted):
    server = home.serve()
    key = f"{NAME}/1"
    holder, log = hold(home, tools, key)
    # Stopped, the holder obeys nothing until the server is dead.
    (child,) = Path(f"/proc/{holder.pid}/task/{holder.pid}/children").read_text().split()
    child = int(child)
    os.kill(child, signal.SIGSTOP)
    body = {"workload": NAME, "who": "jo", "why": "the customer waits", "id": "o-0123456789ab"}
    given = requests.post(f"{home.api}/v1/overrides", json=body, timeout=30)
    assert given.json()["state"] == "ordered", given.text
    server.kill()
    server.wait(60)

    if restarted:
        home.serve()
        again = requests.post(f"{home.api}/v1/overrides", json=body, timeout=30)
        assert again.json()["id"] == "o-0123456789ab"
    os.kill(child, signal.SIGCONT)

    assert holder.wait(60) == 0, holder.said()
    assert log.read_text() == "started\n"
    if not restarted:
        home.serve()
    assert tools.until(lambda: started(home, key), 10), home.log
    assert tools.until(lambda: "started" in {e["state"] for e in overrides(home)}, 10), home.log
    again = home.run(key, "sh", "-c", f"echo started >> {log}")
    assert again.wait(60) == 0
    assert log.read_text() == "started\n"
    states = [each["state"] for each in overrides(home)]
    assert states == ["ordered", "started"]
    assert len(started(home, key)) == 1
    assert tools.until(lambda: verify(home.state).verified, 10)


def test_without_a_server_the_state_folder_carries_the_order_and_the_ledger_gets_it_later(
    home, tools
):
    key = f"{NAME}/1"
    holder, log = hold(home, tools, key, server=False)

    out, said = greenops(home, tools, "override", "run-now", NAME, key, *WORDS, "-o", "json")

    given = json.loads(out)
    assert "does not answer; asking the state folder" in said
    assert holder.wait(60) == 0, holder.said()
    assert log.read_text() == "started\n"
    home.serve()
    assert tools.until(lambda: started(home, key), 10), home.log
    assert tools.until(lambda: "started" in {e["state"] for e in overrides(home)}, 10), home.log
    row = overrides(home)[-1]
    assert (row["id"], row["who"], row["state"]) == (given["id"], "jo", "started")
    actions = [e["body"]["id"] for e in home.entries() if e["kind"] == "action"]
    assert row["action_id"] in actions
    assert tools.until(lambda: verify(home.state).verified, 10)


@pytest.mark.parametrize("server", [True, False])
def test_an_override_that_found_nothing_held_releases_the_next_run_and_no_other(
    home, tools, server
):
    if server:
        home.serve()
    flags = ("--server", home.api) if server else ()
    out, _ = greenops(home, tools, "override", "run-now", NAME, *WORDS, "-o", "json", *flags)
    assert json.loads(out)["state"] == "waiting"

    log = home.folder / "first.txt"
    first = home.run(f"{NAME}/1", "sh", "-c", f"echo started >> {log}", server=server)
    assert first.wait(60) == 0, first.said()
    second, later = hold(home, tools, f"{NAME}/2", server=server)

    assert log.read_text() == "started\n"
    assert not later.exists()
    listed, _ = greenops(home, tools, "override", "list", "-o", "json", *flags)
    (only,) = json.loads(listed)
    assert only["run_key"] == f"{NAME}/1"
    second.terminate()
    assert second.wait(60) == 128 + signal.SIGTERM


WRONG = {
    "unknown": (("nightly-enrichmen", *WORDS), "GO0643", "did you mean `nightly-enrichment`"),
    "interactive": (("search", *WORDS), "GO0662", "interactive and never held"),
    "empty why": ((NAME, "--who", "jo", "--why", " "), "GO0660", "give `--why TEXT`"),
    "absurd time": ((NAME, *WORDS, "--for", "90d"), "GO0661", "from 1 s to 7 days"),
    "no time": ((NAME, *WORDS, "--for", "soon"), "GO0661", "write it as `2h` or `90m`"),
    "started": ((NAME, f"{NAME}/1", *WORDS), "GO0664", "has started already"),
    "bad key": ((NAME, "a//b", *WORDS), "GO0604", "has an empty part"),
    "other workload": (("search", f"{NAME}/2", *WORDS), "GO0667", f"is of `{NAME}`"),
}


@pytest.mark.parametrize("server", [True, False])
def test_what_cannot_be_ordered_is_one_line_with_a_code_and_what_to_do(
    home, tools, server, monkeypatch, capsys
):
    ask = partial(called, home, monkeypatch, capsys, "override")
    if server:
        home.serve()
    flags = ("--server", home.api) if server else ()
    holder, _ = hold(home, tools, f"{NAME}/1", server=server)
    greenops(home, tools, "override", "run-now", NAME, *WORDS, *flags)
    assert holder.wait(60) == 0
    for number in (2, 3):
        hold(home, tools, f"{NAME}/{number}", server=server)

    for why, (words, code, hint) in WRONG.items():
        said = ask("run-now", *words, *flags, code=2)
        last = said.splitlines()[-1]
        assert last.startswith(f"greenops: {code} "), (why, said)
        assert hint in last, (why, said)
    _, said = greenops(home, tools, "override", "run-now", NAME, *WORDS, *flags, code=2)
    assert "GO0663" in said, said
    assert f"`{NAME}/2`, `{NAME}/3`" in said
    listed, _ = greenops(home, tools, "override", "list", "-o", "json", *flags)
    (over,) = json.loads(listed)
    said = ask("lift", over["id"], *flags, code=2)
    assert "GO0666" in said, said
    said = ask("lift", "o-000000000000", *flags, code=3)
    assert "GO0665" in said, said
