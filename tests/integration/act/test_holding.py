"""Holding in this process, on a clock under the test's hand; commands are real."""

import json
import os
import signal
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from greenops.adapters.command import own_claim
from greenops.adapters.local_process import LocalProcess, RunFolder
from greenops.adapters.spool import Spool
from greenops.config import Settings
from greenops.domain.action import Action, Outcome, StartJob
from greenops.domain.console import DecisionRecord
from greenops.domain.decision import Candidate, Decision, Mode
from greenops.domain.record import canonical, plain
from greenops.domain.replay import Replay
from greenops.domain.workload import ClockTime, Limits, Urgency, Workload, WorkloadKind
from greenops.errors import AdapterUnavailable, InvalidFile, UsageError
from greenops.pipeline.run import HeldRun, default_key, read_workload, run_held
from greenops.testing.clock import START, FakeClock

HOUR = timedelta(hours=1)
NAIVE = "2021-10-08T09:00:00"
NIGHT = Workload("night", WorkloadKind.BATCH, Urgency.DEFERRABLE, "us-west-1")
DECISION = Decision(
    id="d-1",
    job_id="night/1",
    workload="night",
    decided_at=START,
    chosen=Candidate("later", start=START + 3 * HOUR),
    baseline=Candidate("now", start=START),
    runner_up=None,
    rejected={},
    warned={},
    reason="cleaner then",
    mode=Mode.ENFORCE,
    policies=(),
    policy_hash="0",
    objective=None,
    limits=Limits(),
    deadline=None,
    latest_safe_start=START + 5 * HOUR,
    forecast_ids={},
    replay=False,
)


@pytest.fixture(autouse=True)
def signals():
    """Put the process's own handlers back."""
    kept = {n: signal.getsignal(n) for n in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


class FakeLoop:
    """A control loop that decides as it is told, and remembers the receipts."""

    def __init__(self, decision=None):
        self.decision, self.receipts = decision, []

    def submit(self, request):
        if self.decision is None:
            raise AdapterUnavailable("GO0610", "the loop does not answer")
        return self.decision

    def accept(self, receipt):
        self.receipts.append(receipt)
        raise AdapterUnavailable("GO0610", "the loop went away")


class House:
    def __init__(self, state):
        self.settings = Settings(state=state)
        self.clock = FakeClock(replay=Replay(START, START, 1440))
        self.said = []
        self.folder = RunFolder(state, "night/1")

    def run(self, *, decision=DECISION, server=None, command=("true",), key="night/1"):
        def decide(request, workload):
            if isinstance(decision, Exception):
                raise decision
            return DecisionRecord(decision, (decision.baseline,), (), {"p": "text"})

        run = HeldRun(NIGHT, key, command, decide, server)
        return run_held(run, self.settings, self.clock, self.said.append)


@pytest.fixture
def house(tmp_path):
    return House(tmp_path / "state")


@pytest.mark.feature("B1", "C6")
def test_a_run_is_held_until_its_planned_start_and_leaves_its_receipts(house):
    assert house.run() == 0

    receipt = house.folder.receipt()
    assert receipt.started_at == START + 3 * HOUR
    assert (receipt.on_time, receipt.exit_code, receipt.decision_id) == (True, 0, "d-1")
    assert house.said == [
        "holding `night/1` until 2021-10-08T11:00Z, at the latest 2021-10-08T13:00Z: cleaner then"
    ]
    [(_, spooled)] = Spool(house.settings.state / "spool").pending()
    assert (spooled.decision_id, spooled.outcome, spooled.on_time) == ("d-1", Outcome.APPLIED, True)


def test_a_start_planned_too_late_is_brought_before_the_latest_safe_start(house):
    late = replace(DECISION, chosen=Candidate("late", start=START + 9 * HOUR))

    house.run(decision=late)

    receipt = house.folder.receipt()
    assert START + 4 * HOUR < receipt.started_at <= START + 5 * HOUR
    assert receipt.on_time


def test_a_clock_that_jumps_past_the_latest_safe_start_starts_late_and_says_so(house):
    def jump(duration, once=[True]):  # noqa: B006  (one jump)
        house.clock.advance(7 * HOUR if once.pop() else duration)
        once.append(False)

    house.clock.sleep = jump

    assert house.run() == 0

    assert house.folder.receipt().on_time is False
    assert "is late" in house.said[-1]


def test_a_second_start_gives_the_code_of_the_first_and_starts_nothing(house):
    house.run(command=("sh", "-c", "exit 4"))
    started = house.folder.receipt().started_at

    assert house.run() == 4

    assert house.folder.receipt().started_at == started
    assert house.said[-1] == "`night/1` ran already, exit code 4; nothing was started"


def test_a_claim_of_a_living_process_means_that_it_runs(house):
    # A pid that this process may signal, and that is not its own.
    house.folder.take_claim(replace(own_claim(START), pid=os.getppid(), since=None))

    assert house.run() == 0
    assert house.said == ["`night/1` is running already; nothing was started"]


def test_a_run_that_is_running_leaves_its_receipt_beside_that_of_its_end(house):
    house.run()
    ended = house.folder.receipt()
    house.folder.keep_receipt(replace(ended, ended_at=None, exit_code=None))
    (house.folder.path / "claim").unlink()
    house.folder.take_claim(replace(own_claim(START), pid=os.getppid(), since=None))

    assert house.run() == 0
    assert house.run() == 0

    left = [receipt for _, receipt in Spool(house.settings.state / "spool").pending()]
    assert sorted((each.action_id, each.decision_id, each.on_time) for each in left) == [
        ("running:night/1", "d-1", True),
        ("start:night/1", "d-1", True),
    ]


@pytest.mark.parametrize(
    ("content", "by"),
    [(b"", "a process that left no name"), (None, f"process {os.getpid()}")],
    ids=["empty", "own pid"],
)
def test_a_claim_whose_process_is_gone_is_never_reported_as_running(house, content, by):
    house.folder.take_claim(own_claim(START))
    if content is not None:
        (house.folder.path / "claim").write_bytes(content)

    assert house.run() == 3

    assert house.said[-1].startswith(f"GO0624 `night/1` was started by {by}, and nobody saw it end")


def test_a_decision_made_is_kept_when_the_rest_goes_away(house):
    house.folder.keep_decision(DECISION)

    house.run(decision=RuntimeError("no policies"), server=FakeLoop())

    assert house.folder.receipt().started_at == START + 3 * HOUR


def test_an_order_that_was_there_first_is_obeyed_without_asking(house):
    order(house, START + HOUR)

    house.run(decision=RuntimeError("not asked"))

    receipt = house.folder.receipt()
    assert (receipt.started_at, receipt.action_id) == (START + HOUR, "a-1")


@pytest.mark.feature("C4")
def test_an_order_that_comes_while_holding_is_obeyed_and_told(house):
    def sleep(duration):
        house.clock.advance(duration)
        if house.clock.now() > START + HOUR:
            order(house, START + 2 * HOUR)

    house.clock.sleep = sleep

    house.run()

    assert house.folder.receipt().started_at == START + 2 * HOUR
    assert house.said[-1].endswith(": ordered")


def order(house, start):
    change = StartJob("night/1", start, START + 5 * HOUR)
    action = Action("a-1", "local-process", change, "d-2", START + 5 * HOUR)
    LocalProcess(house.settings, house.clock).apply(action)


def test_a_loop_that_decides_is_followed_and_gets_the_receipt(house):
    loop = FakeLoop(replace(DECISION, id="d-9"))

    house.run(decision=RuntimeError("not asked"), server=loop)

    assert [receipt.decision_id for receipt in loop.receipts] == ["d-9"]
    spool = Spool(house.settings.state / "spool")
    assert (len(spool.pending()), spool.decisions()) == (1, [])


def test_a_decision_that_was_made_here_is_left_for_the_ledger_with_what_it_rests_on(house):
    house.run(server=FakeLoop())

    [(_, record)] = Spool(house.settings.state / "spool").decisions()
    assert record == DecisionRecord(DECISION, (DECISION.baseline,), (), {"p": "text"})


@pytest.mark.parametrize(
    ("error", "brought"),
    [
        (AdapterUnavailable("GO0610", "no answer in 2 s"), 0),
        (OverflowError("far"), 0),
        (UsageError("GO0643", "no workload `night` is declared"), 1),
    ],
    ids=["silent", "nonsense", "refusal"],
)
def test_a_loop_that_did_not_answer_is_not_called_again_in_this_run(house, error, brought):
    class Silent(FakeLoop):
        def submit(self, request):
            raise error

    loop = Silent()

    house.run(server=loop)

    assert len(loop.receipts) == brought
    assert len(Spool(house.settings.state / "spool").pending()) == 1


def test_a_loop_that_is_gone_leaves_the_decision_to_this_machine(house):
    house.run(server=FakeLoop())

    assert house.said[0] == "GO0610 the loop does not answer; deciding here"
    assert house.folder.receipt().started_at == START + 3 * HOUR


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (InvalidFile("GO0101", "broken policy"), "GO0101 broken policy; running now"),
        (ZeroDivisionError("x"), "GO0623 deciding failed (ZeroDivisionError: x); running now"),
    ],
)
def test_whatever_fails_in_deciding_the_command_runs_now(house, error, line):
    assert house.run(decision=error, command=("sh", "-c", "exit 3")) == 3

    assert house.said == [line]
    assert house.folder.receipt().started_at == START


@pytest.mark.parametrize("error", [RecursionError("deep"), OverflowError("far")])
def test_a_loop_that_answers_nonsense_leaves_the_decision_to_this_machine(house, error):
    class Broken(FakeLoop):
        def submit(self, request):
            raise error

    assert house.run(server=Broken()) == 0

    kind = type(error).__name__
    assert house.said[0] == f"GO0623 asking failed ({kind}: {error}); deciding here"
    assert house.folder.receipt().started_at == START + 3 * HOUR


def test_a_start_that_no_clock_can_reach_runs_now(house):
    never = replace(DECISION, latest_safe_start=datetime.min.replace(tzinfo=UTC))

    assert house.run(decision=never, command=("sh", "-c", "exit 3")) == 3

    assert house.said[0].startswith("GO0623 holding failed (OverflowError")
    assert house.folder.receipt().started_at == START


@pytest.mark.parametrize("name", ["decision.json", "order.json"])
def test_an_instant_without_an_offset_in_a_file_of_the_run_is_as_no_file(house, name):
    kept = plain(DECISION)
    order = {"change": {"run_key": "night/1"}, "decision_id": "d-2", "action_id": "a-1"}
    order["at"] = order["change"]["start_at"] = order["change"]["latest_safe_start"] = NAIVE
    kept["latest_safe_start"] = NAIVE
    content = kept if name == "decision.json" else order
    house.folder.write(name, json.dumps(content).encode())

    assert house.run() == 0

    assert house.folder.receipt().started_at == START + 3 * HOUR


def test_a_claim_that_cannot_be_looked_for_does_not_stop_the_command(house):
    # No file system has a name that long; a folder that may not be searched fails the same way.
    house.folder = RunFolder(house.settings.state, "n" * 300)

    assert house.run(command=("sh", "-c", "exit 3"), key="n" * 300) == 3

    assert any("GO0601 state cannot be written (File name too long)" in said for said in house.said)


def test_a_receipt_that_cannot_be_kept_is_told_once(house):
    house.settings.state.write_text("no folder")

    assert house.run(command=("sh", "-c", "exit 3")) == 3

    assert len([said for said in house.said if "receipt of `night/1` cannot be kept" in said]) == 1


def test_a_stop_while_it_is_being_decided_calls_the_run_off(house, tmp_path):
    class Slow(FakeLoop):
        def submit(self, request):
            signal.raise_signal(signal.SIGTERM)

    code = house.run(server=Slow(), command=("touch", str(tmp_path / "ran")))

    assert code == 128 + signal.SIGTERM
    assert not (tmp_path / "ran").exists()


def test_a_command_that_is_not_there_is_told_before_it_is_held(house):
    assert house.run(command=("no-such-command",)) == 127
    assert not house.folder.claimed()


def test_a_command_that_cannot_be_started_gives_its_claim_back(house, tmp_path):
    broken = tmp_path / "broken"
    broken.write_text("#!/no/such/interpreter\n")
    broken.chmod(0o755)

    assert house.run(command=(str(broken),)) == 127

    assert not house.folder.claimed()
    assert house.run() == 0


def test_a_run_that_nobody_saw_end_is_not_repeated_and_its_receipt_arrives(house):
    house.run()
    made = house.folder.receipt()
    house.folder.keep_receipt(replace(made, ended_at=None, exit_code=None))
    claim = house.folder.claim_holder()
    gone = replace(claim, boot_id="another boot")
    (house.folder.path / "claim").write_bytes(canonical(gone))

    assert house.run() == 3

    assert "GO0624" in house.said[-1]
    details = [receipt.detail for _, receipt in Spool(house.settings.state / "spool").pending()]
    assert details[-1] == "`night/1` started; its end was not seen"


def test_the_command_knows_its_run(house, tmp_path):
    line = "echo $GREENOPS_RUN_KEY $GREENOPS_DECISION_ID $GREENOPS_WORKLOAD"

    house.run(command=("sh", "-c", f"{line} > {tmp_path}/seen"))

    assert (tmp_path / "seen").read_text() == "night/1 d-1 night\n"


def test_the_default_key_is_the_day_on_the_workloads_own_clock():
    at = START.replace(hour=3)
    clock = ClockTime(START.time(), "America/Los_Angeles")

    assert default_key(NIGHT, at) == "night/2021-10-08"
    assert default_key(replace(NIGHT, schedule=clock), at) == "night/2021-10-07"


def test_a_workload_file_that_cannot_be_read_is_an_error_of_usage(tmp_path):
    with pytest.raises(InvalidFile, match=r"GO0620 .*none.yaml: .*No such file"):
        read_workload(tmp_path / "none.yaml")
