"""Real processes, real files, real kills."""

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

NUMBER = itertools.count()
HOLDER = Path(__file__).with_name("holder.py")


def start(state, key, wait, *command, **environ):
    said = state.with_name(f"{state.name}-{next(NUMBER)}.err")
    with said.open("w") as errors:
        process: Any = subprocess.Popen(
            [sys.executable, str(HOLDER), str(state), key, str(wait), *command],
            env={**os.environ, **environ},
            stderr=errors,
        )
    process.said = said.read_text
    return process


def append(log):
    return ["sh", "-c", f"echo started >> {log}"]


def until(condition, within=60.0):
    end = time.monotonic() + within
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return False


def children(pid):
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def holder_of(process):
    assert until(lambda: children(process.pid))
    return children(process.pid)[0]


def receipt(state, key):
    return json.loads((state / "runs" / key / "receipt.json").read_text())


@pytest.mark.slow
def test_ten_holders_of_one_key_start_it_once(tmp_path):
    log = tmp_path / "log"

    racing = [start(tmp_path, "night/1", 0.5, *append(log)) for _ in range(10)]
    codes = [process.wait(60) for process in racing]
    said = [process.said() for process in racing]

    assert log.read_text() == "started\n", said
    assert codes == [0] * 10, said
    assert sum("nothing was started" in text for text in said) == 9


@pytest.mark.slow
@pytest.mark.feature("C6")
def test_a_holder_killed_before_its_start_leaves_the_run_to_the_next(tmp_path):
    log = tmp_path / "log"
    first = start(tmp_path, "night/1", 1.5, *append(log))
    assert until((tmp_path / "runs/night/1/decision.json").exists)
    kept = (tmp_path / "runs/night/1/decision.json").read_text()
    os.kill(holder_of(first), signal.SIGKILL)
    assert first.wait(60) == 137
    assert not log.exists()

    second = start(tmp_path, "night/1", 50, *append(log))

    assert second.wait(60) == 0
    assert log.read_text() == "started\n"
    assert (tmp_path / "runs/night/1/decision.json").read_text() == kept


@pytest.mark.slow
def test_a_holder_killed_after_its_start_is_not_started_again(tmp_path):
    log = tmp_path / "log"
    first = start(tmp_path, "night/1", 0, "sh", "-c", f"echo started >> {log}; exec sleep 3")
    assert until((tmp_path / "runs/night/1/receipt.json").exists)
    os.kill(holder_of(first), signal.SIGKILL)
    first.wait(60)

    second = start(tmp_path, "night/1", 0, *append(log))

    second.wait(60)
    said = second.said()
    assert (second.returncode, "GO0624" in said) == (3, True), said
    assert log.read_text() == "started\n"
    os.kill(receipt(tmp_path, "night/1")["pid"], signal.SIGKILL)


@pytest.mark.slow
def test_the_death_of_the_caller_does_not_end_the_hold(tmp_path):
    log = tmp_path / "log"
    caller = start(tmp_path, "night/1", 1, *append(log))
    assert until((tmp_path / "runs/night/1/decision.json").exists)

    os.kill(caller.pid, signal.SIGKILL)
    caller.wait(60)

    assert until(log.exists)
    assert until((tmp_path / "runs/night/1/receipt.json").exists)
    assert until(lambda: "exit_code" in receipt(tmp_path, "night/1"))


@pytest.mark.slow
def test_without_any_data_the_command_runs_now_and_its_code_comes_back(tmp_path):
    process = start(tmp_path, "night/1", "none", "sh", "-c", "exit 7")

    process.wait(60)
    said = process.said()

    assert process.returncode == 7, said
    assert "GO0300" in said
    assert receipt(tmp_path, "night/1")["exit_code"] == 7


@pytest.mark.slow
def test_a_signal_reaches_the_command_and_gives_128_plus_its_number(tmp_path):
    process = start(tmp_path, "night/1", 0, "sleep", "20")
    assert until((tmp_path / "runs/night/1/receipt.json").exists)

    process.terminate()

    assert process.wait(60) == 128 + signal.SIGTERM


@pytest.mark.slow
def test_a_stop_before_the_start_calls_it_off_and_leaves_no_claim(tmp_path):
    process = start(tmp_path, "night/1", 30, "true")
    assert until((tmp_path / "runs/night/1/decision.json").exists)
    time.sleep(0.1)

    process.terminate()

    assert process.wait(60) == 128 + signal.SIGTERM
    assert not (tmp_path / "runs/night/1/claim").exists()


@pytest.mark.slow
@pytest.mark.feature("C4")
def test_an_order_to_run_now_is_obeyed_while_holding(tmp_path):
    process = start(
        tmp_path, "night/1", 30, "sh", "-c", f"echo $GREENOPS_DECISION_ID > {tmp_path}/seen"
    )
    assert until((tmp_path / "runs/night/1/decision.json").exists)
    order = {
        "change": {
            "run_key": "night/1",
            "start_at": "2020-01-01T00:00:00Z",
            "latest_safe_start": "2040-01-01T00:00:00Z",
        },
        "decision_id": "d-2",
        "action_id": "act-2",
        "at": "2021-10-08T00:00:00Z",
    }

    new = tmp_path / "new"
    new.write_text(json.dumps(order))
    new.replace(tmp_path / "runs/night/1/order.json")

    assert process.wait(60) == 0
    assert (tmp_path / "seen").read_text() == "d-2\n"
    made = receipt(tmp_path, "night/1")
    assert (made["decision_id"], made["action_id"], made["on_time"]) == ("d-2", "act-2", True)


class Loop:
    """A fake control loop that answers with a decision to start in half a second."""

    def __init__(self, answer):
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                content = answer()
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def kill(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.timeout(120)
def test_a_loop_killed_at_twenty_random_moments_never_stops_a_run(tmp_path):
    chance = random.Random(7)

    for turn in range(20):
        loop = Loop(lambda: b"{}")
        log = tmp_path / f"log{turn}"
        process = start(tmp_path, f"night/{turn}", 0.2, *append(log), TEST_SERVER=loop.url)
        time.sleep(chance.uniform(0, 0.8))
        loop.kill()
        process.wait(60)
        said = process.said()
        assert (process.returncode, log.read_text()) == (0, "started\n"), said


@pytest.mark.slow
def test_a_state_folder_that_cannot_be_written_runs_the_command_now(tmp_path):
    state = tmp_path / "file"
    state.write_text("no folder")
    log = tmp_path / "log"

    process = start(state, "night/1", 0.2, *append(log))

    process.wait(60)
    said = process.said()
    assert (process.returncode, log.read_text()) == (0, "started\n"), said
    assert "GO0601" in said
