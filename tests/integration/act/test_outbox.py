"""An action is written, sent, and has one effect, whatever happens between."""

import signal
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from greenops.act.guardrails import Guardrails
from greenops.act.outbox import MAX_ATTEMPTS, sent, written
from greenops.adapters.state import StateDb
from greenops.domain.action import Action, Outcome, SetWeights
from greenops.domain.outbox import OutboxState, receipt
from greenops.errors import AdapterUnavailable, Unreachable
from greenops.pipeline.outbox import Outbox
from greenops.testing.actuators import FakeActuator
from greenops.testing.clock import FakeClock

CLOCK = FakeClock()
ACTION = Action(
    "a-1",
    "fake",
    SetWeights("search", {"de": 60, "se": 40}),
    "d-1",
    CLOCK.now() + timedelta(days=1),
)


@pytest.fixture
def db(tmp_path):
    db = StateDb(tmp_path / "state.db")
    yield db
    db.close()


def make(db, rails=None):
    clock = FakeClock()
    fake = FakeActuator(clock)
    return clock, fake, Outbox(db, {"fake": fake}, clock, rails)


def test_the_same_action_twice_has_one_effect_and_one_receipt(db):
    _, fake, outbox = make(db)

    first, again = outbox.send(ACTION), outbox.send(ACTION)

    assert (first, first.outcome) == (again, Outcome.APPLIED)
    assert fake.effects == [ACTION.change]
    assert db.receipts("d-1") == [first]


def test_one_action_id_for_two_targets_reaches_both(db):
    clock = FakeClock()
    fakes = {"fake": FakeActuator(clock), "other": FakeActuator(clock)}
    outbox = Outbox(db, fakes, clock)

    got = [outbox.send(replace(ACTION, target=target)) for target in fakes]

    assert [each and each.outcome for each in got] == [Outcome.APPLIED] * 2
    assert [fake.effects for fake in fakes.values()] == [[ACTION.change]] * 2


@pytest.mark.parametrize("reached", [True, False])
def test_an_action_found_sent_after_a_crash_has_one_effect(db, reached):
    clock, fake, outbox = make(db)
    row = db.write_action(written(ACTION, clock.now()))
    db.update_action(sent(row, clock.now()))
    if reached:
        fake.apply(ACTION)

    receipts = outbox.replay()

    assert [each.outcome for each in receipts] == [Outcome.APPLIED]
    assert fake.effects == [ACTION.change]
    assert outbox.replay() == []


def test_a_target_that_is_down_is_asked_again_later(db):
    clock, fake, outbox = make(db)
    fake.down = 1

    assert outbox.send(ACTION) is None
    assert outbox.replay() == []
    clock.advance(timedelta(minutes=1))
    assert [each.outcome for each in outbox.replay()] == [Outcome.APPLIED]


def test_a_target_that_stays_down_is_given_up_after_bounded_tries(db):
    clock, fake, outbox = make(db)
    fake.down = 100

    outbox.send(ACTION)
    for _ in range(20):
        clock.advance(timedelta(minutes=60))
        outbox.replay()

    row = db.action("a-1", "fake")
    assert (row.state, row.attempts, fake.down) == (OutboxState.FAILED, MAX_ATTEMPTS, 95)


def test_an_expired_action_is_never_carried_out(db):
    clock, fake, outbox = make(db)
    fake.down = 1
    outbox.send(ACTION)
    clock.advance(timedelta(days=2))

    assert [each.outcome for each in outbox.replay()] == [Outcome.EXPIRED]
    assert fake.effects == []
    assert db.action("a-1", "fake").state is OutboxState.EXPIRED


class Hiccup(FakeActuator):
    """A target that does not say how it is set, once; then it answers everything."""

    asked = 0

    def observe(self, scope):
        self.asked += 1
        if self.asked == 1:
            raise AdapterUnavailable("GO0610", "the fake stumbles")
        return super().observe(scope)


@pytest.mark.parametrize(
    ("rails", "why"),
    [(Guardrails(mode="recommend"), "not sent"), (Guardrails(max_step=5), "percentage points")],
)
def test_a_target_that_stumbled_before_anything_was_sent_opens_no_way_around(db, rails, why):
    clock = FakeClock()
    fake = Hiccup(clock)
    fake._set("search", SetWeights("search", {"de": 100}), receipt(ACTION, Outcome.APPLIED, ""))
    fake.effects.clear()
    outbox = Outbox(db, {"fake": fake}, clock, rails)

    assert outbox.send(ACTION) is None
    clock.advance(timedelta(minutes=1))
    [made] = outbox.replay()

    assert (made.outcome, fake.effects) == (Outcome.REFUSED, [])
    assert why in made.detail


def test_what_was_sent_without_an_answer_is_not_judged_again(db):
    clock, fake, outbox = make(db)
    fake.down = 1
    outbox.send(ACTION)
    clock.advance(timedelta(minutes=1))

    [made] = Outbox(db, {"fake": fake}, clock, Guardrails(mode="recommend")).replay()

    assert made.outcome is Outcome.APPLIED


def test_what_the_guardrails_refuse_is_written_down_and_not_sent(db):
    _, fake, outbox = make(db, Guardrails(mode="recommend"))

    receipt = outbox.send(ACTION)

    assert (receipt.outcome, fake.effects) == (Outcome.REFUSED, [])
    assert db.receipts() == [receipt]


def test_a_change_during_the_dwell_is_refused_by_what_was_done_before(db):
    clock, fake, outbox = make(db)
    outbox.send(ACTION)
    clock.advance(timedelta(minutes=5))

    receipt = outbox.send(replace(ACTION, id="a-2", change=SetWeights("search", {"de": 100})))
    small = SetWeights("search", {"de": 55, "se": 45})
    soon = outbox.send(replace(ACTION, id="a-3", change=small))

    assert "40 percentage points" in receipt.detail
    assert "dwell" in soon.detail
    assert len(fake.effects) == 1


def test_one_targets_actions_are_found_by_its_name(db):
    clock = FakeClock()
    fakes = {"fake": FakeActuator(clock), "other": FakeActuator(clock)}
    outbox = Outbox(db, fakes, clock)
    for target in fakes:
        outbox.send(replace(ACTION, target=target))

    found = db.actions(OutboxState.DONE, target="other")

    assert [row.action.target for row in found] == ["other"]
    assert len(db.actions(OutboxState.DONE)) == 2


def test_an_unknown_target_and_a_change_it_refuses_fail_with_a_receipt(db):
    _, fake, outbox = make(db)
    rows = replace(ACTION, id="a-2", target="nowhere")

    assert "no target `nowhere`" in outbox.send(rows).detail
    assert fake.effects == []


WRITER = """
import sys
from pathlib import Path
from datetime import timedelta
from dataclasses import replace
sys.path.insert(0, {folder!r})
from test_outbox import ACTION, CLOCK, StateDb, written
db = StateDb(Path(sys.argv[1]))
for number in range(100000):
    db.write_action(written(replace(ACTION, id=f"a-{{number}}"), CLOCK.now()))
    print(number, flush=True)
"""


@pytest.mark.slow
def test_what_was_written_before_a_kill_is_there_after_it(tmp_path):
    folder = str(Path(__file__).parent)
    for turn in range(3):
        path = tmp_path / f"{turn}.db"
        command = [sys.executable, "-c", WRITER.format(folder=folder), str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout
            for line in writer.stdout:
                if int(line) == 20 + turn:
                    break
            writer.send_signal(signal.SIGKILL)
            seen = [int(line), *(int(rest) for rest in writer.stdout if rest.endswith("\n"))]

        db = StateDb(path)
        kept = [row.action.id for row in db.actions(OutboxState.PENDING)]
        db.close()

        assert len(kept) in {seen[-1] + 1, seen[-1] + 2}
        assert kept == [f"a-{number}" for number in range(len(kept))]


def test_a_disk_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(Unreachable, match=r"^GO0601 .*state.db"):
        StateDb(tmp_path / "file" / "state.db")


def test_a_full_disk_is_one_line_and_leaves_whole_rows(db):
    db._db.execute("PRAGMA max_page_count = 12")

    done = []

    def fill():
        for number in range(1000):
            db.write_action(written(replace(ACTION, id=f"a-{number}"), CLOCK.now()))
            done.append(number)

    with pytest.raises(Unreachable, match=r"GO0601.*full"):
        fill()

    assert len(db.actions()) == len(done)
