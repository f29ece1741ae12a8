"""Tampering of every kind is found; each problem is one sentence with its line."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from greenops.adapters import keys
from greenops.domain.action import Outcome, Receipt
from greenops.domain.console import DecisionRecord
from greenops.domain.decision import Candidate, Decision, Mode
from greenops.domain.energy import Method
from greenops.domain.evidence import EntryKind
from greenops.domain.grid import Factors, IntensitySeries, SeriesKind, Signal
from greenops.domain.record import plain
from greenops.domain.workload import Limits
from greenops.prove.chain import Chain, parse
from greenops.prove.checkpoint import Notary, named
from greenops.prove.evidence import decision_body, outcome
from greenops.prove.savings import Energy, window
from greenops.prove.verify import verify_ledger
from greenops.units import GramsPerKwh, Kwh

T0 = datetime(2021, 10, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
PAIR = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
NOTARY = Notary(named(PAIR.public_key().public_bytes_raw()), keys.verify, PAIR.sign)
SERIES = IntensitySeries(
    "CISO",
    SeriesKind(Signal.AVERAGE, Factors.LIFECYCLE, "made-up", replay=True),
    T0,
    HOUR,
    tuple(GramsPerKwh(100 + n) for n in range(24)),
)


def a_decision(number):
    place = Candidate(id="c0", region="us-west-1")
    return DecisionRecord(
        decision=Decision(
            id=f"d{number}",
            job_id="j",
            workload="w",
            decided_at=T0,
            chosen=place,
            baseline=place,
            runner_up=None,
            rejected={},
            warned={},
            reason="the only one",
            mode=Mode.ENFORCE,
            policies=(),
            policy_hash="",
            objective=None,
            limits=Limits(),
            deadline=None,
            latest_safe_start=None,
            forecast_ids={},
            replay=True,
        ),
        candidates=(place,),
        verdicts=(),
        policies={},
    )


def a_receipt(number):
    return Receipt(f"a{number}", f"d{number}", "t", "start_job", Outcome.APPLIED, "started")


def an_outcome(number):
    def place(hour):
        start = T0 + hour * HOUR
        return window(SERIES, start, start + 2 * HOUR, region="us-west-1", pue=1.2)

    return outcome(
        workload="w",
        run_key=f"w/{number}",
        decision_id=f"d{number}",
        receipt_id=f"a{number}",
        energy=Energy(Kwh(2.0), Kwh(1.0), Kwh(3.0), Method.MODELED, "cpu_model"),
        chosen=place(1),
        baseline=place(9),
        replay=True,
    )


def items(runs=2):
    for n in range(runs):
        yield EntryKind.DECISION, decision_body(a_decision(n))
        yield EntryKind.RECEIPT, plain(a_receipt(n))
        yield EntryKind.OUTCOME, plain(an_outcome(n))


def written(bodies, every=3):
    """Lines and checkpoints as a writer would leave them."""
    chain, lines, notes = Chain(), [], []
    for n, (kind, body) in enumerate(bodies):
        lines.append(chain.add(kind, body, T0 + n * HOUR)[1] + b"\n")
        if chain.size % every == 0:
            notes.append(NOTARY.seal(chain.size, chain.root()))
    return lines, notes


LINES, NOTES = written(items())


def problems(lines, notes=NOTES, notary=NOTARY):
    return verify_ledger(lines, notes, notary).problems


def test_an_untouched_ledger_is_verified():
    found = verify_ledger(LINES, NOTES, NOTARY)

    assert found.problems == ()
    assert found.verified
    assert (found.entries, found.checkpoints, found.recomputed, found.signed) == (6, 2, 4, 6)


def test_an_empty_ledger_is_verified():
    assert verify_ledger([], [], NOTARY).verified


@pytest.mark.feature("C11")
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_any_one_byte_changed_anywhere_is_found():
    data = b"".join(LINES)

    unseen = []
    for at in range(len(data)):
        changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        if not problems(changed.splitlines(keepends=True)):
            unseen.append(at)

    assert len(data) > 3000
    assert unseen == []


@pytest.mark.feature("C11")
@pytest.mark.parametrize("at", range(len(LINES)))
def test_each_line_removed_is_found(at):
    assert problems(LINES[:at] + LINES[at + 1 :])


@pytest.mark.feature("C11")
@pytest.mark.parametrize("kept", range(len(LINES)))
def test_each_cut_at_the_end_is_found(kept):
    assert any("cut off" in problem for problem in problems(LINES[:kept]))


@pytest.mark.feature("C11")
@pytest.mark.parametrize("first", range(1, len(LINES)))
def test_each_cut_at_the_beginning_is_found(first):
    assert problems(LINES[first:])


def test_one_edit_is_told_once_and_with_its_line():
    edited = [*LINES]
    edited[1] = edited[1].replace(b"started", b"stopped")

    found = problems(edited, NOTES[:0])

    assert [problem for problem in found if "line" in problem[:4]] == [
        "line 3 does not continue the line before it: its `prev` is another hash"
    ]


def test_one_line_removed_is_told_at_its_place():
    found = problems(LINES[:1] + LINES[2:], NOTES[:0])

    assert found[0] == "line 2 has seq 2 where 1 belongs"
    assert not any(problem.startswith("line 3") for problem in found)


@pytest.mark.parametrize("swap", range(len(LINES) - 1))
def test_two_lines_swapped_are_found(swap):
    swapped = [*LINES]
    swapped[swap : swap + 2] = reversed(swapped[swap : swap + 2])

    assert problems(swapped)


def rehashed(lines, edit):
    """The ledger with a body edited and every hash after it made right again."""
    chain, made = Chain(), []
    for number, line in enumerate(lines):
        entry = parse(line[:-1])
        body = json.loads(json.dumps(entry.body))
        edit(number, body)
        made.append(chain.add(entry.kind, body, entry.ts)[1] + b"\n")
    return made, chain


@pytest.mark.feature("C11")
def test_a_chain_that_was_hashed_again_is_found_by_its_checkpoint():
    def edit(number, body):
        if number == 1:
            body["detail"] = "started on time"

    made, _ = rehashed(LINES, edit)

    assert problems(made) == (
        "line 3 ends a ledger that its checkpoint did not see",
        "line 6 ends a ledger that its checkpoint did not see",
    )


def test_a_number_changed_by_the_holder_of_the_key_is_found_by_computing_it_again():
    def edit(number, body):
        if number == 2:
            body["avoided"]["estimate"] *= 10
            body["avoided"]["high"] *= 10

    made, chain = rehashed(LINES, edit)

    found = problems(made, [NOTARY.seal(chain.size, chain.root())])

    assert len(found) == 2
    assert all(problem.startswith("line 3 its `avoided.") for problem in found)


def test_a_decision_changed_by_the_holder_of_the_key_is_found_by_its_bytes():
    def edit(number, body):
        if number == 0:
            body["record"]["decision"]["reason"] = "greenest"

    made, chain = rehashed(LINES, edit)

    assert problems(made, [NOTARY.seal(chain.size, chain.root())]) == (
        "line 1 its decision record does not have the bytes that its hash names",
    )


def test_the_same_action_applied_twice_is_found():
    again = [*items(), (EntryKind.RECEIPT, plain(a_receipt(0)))]

    assert problems(*written(again, every=7)) == (
        "line 7 repeats the action of line 2 (`a0`), which happens at most once",
    )


def test_one_action_on_two_targets_is_two():
    second = replace(a_receipt(0), target="envoy")

    assert problems(*written([*items(), (EntryKind.RECEIPT, plain(second))], every=7)) == ()


def test_an_action_told_again_without_effect_is_fine():
    unchanged = replace(a_receipt(0), outcome=Outcome.UNCHANGED)

    assert problems(*written([*items(), (EntryKind.RECEIPT, plain(unchanged))], every=7)) == ()


def test_one_run_counted_twice_is_found():
    again = [*items(), (EntryKind.OUTCOME, plain(an_outcome(1)))]

    assert any("repeats the outcome" in each for each in problems(*written(again, every=7)))


def test_an_outcome_without_its_inputs_is_a_problem():
    claim = (EntryKind.OUTCOME, {"run_key": "w/9", "avoided": {"estimate": 1e9}})

    assert any("cannot be computed again" in each for each in problems(*written([claim], every=1)))


def test_a_torn_last_line_is_a_problem():
    assert any("no end of line" in each for each in problems([*LINES[:-1], LINES[-1][:-1]]))


def test_another_key_vouches_for_nothing():
    other = Ed25519PrivateKey.from_private_bytes(bytes(32))
    stranger = Notary(named(other.public_key().public_bytes_raw()), keys.verify)

    found = problems(LINES, NOTES, stranger)

    assert len(found) == 3
    assert found[-1] == "no checkpoint vouches for any line: nothing is signed"


def test_two_checkpoints_that_contradict_are_a_problem():
    forged = NOTARY.seal(3, bytes(32))

    found = problems(LINES, [*NOTES, forged])

    assert found == ("checkpoint 3 contradicts another one: two roots for 3 entries",)


def test_lines_after_the_last_checkpoint_are_not_called_signed():
    lines, notes = written(items(), every=4)

    found = verify_ledger(lines, notes, NOTARY)

    assert found.problems == ()
    assert not found.verified
    assert (found.entries, found.signed, found.unsigned) == (6, 4, 2)


def test_lines_that_a_checkpoint_did_not_see_are_not_called_signed():
    made, _ = rehashed(LINES, lambda number, body: body.update(x=1) if number == 4 else None)

    found = verify_ledger(made, NOTES, NOTARY)

    assert (found.entries, found.signed) == (6, 3)


def test_two_copies_of_one_checkpoint_are_one():
    assert verify_ledger(LINES, [*NOTES, *NOTES], NOTARY).checkpoints == 2


def test_time_may_jump_between_two_replays():
    chain = Chain()
    lines = [chain.add(EntryKind.KEY, {}, T0 + hours * HOUR)[1] + b"\n" for hours in (5, 1)]

    assert problems(lines, [NOTARY.seal(2, chain.root())]) == ()
