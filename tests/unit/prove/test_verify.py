"""Tampering of every kind is found; each problem is one sentence with its line."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from greenops.adapters import keys
from greenops.domain.action import Action, Outcome, Receipt, StartJob
from greenops.domain.console import DecisionRecord
from greenops.domain.decision import Candidate, Decision, Mode
from greenops.domain.energy import Method
from greenops.domain.evidence import EntryKind
from greenops.domain.grid import Factors, IntensitySeries, SeriesKind, Signal
from greenops.domain.record import canonical, plain
from greenops.domain.workload import Limits
from greenops.prove.chain import Chain, digest, parse
from greenops.prove.checkpoint import Notary, named
from greenops.prove.evidence import decision_body, decision_id, outcome, recompute
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


def a_decision(number, **given):
    place = Candidate(id="early", region="us-west-1", start=T0 + HOUR)
    usual = Candidate(id="baseline", region="us-west-1", start=T0 + 9 * HOUR)
    made = replace(
        Decision(
            id="",
            job_id=f"w/{number}",
            workload="w",
            decided_at=T0,
            chosen=place,
            baseline=usual,
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
        **given,
    )
    named = replace(made, id=decision_id(plain(made)))
    return DecisionRecord(named, candidates=(usual, place), verdicts=(), policies={})


def of(number):
    return a_decision(number).decision.id


def a_receipt(number):
    return Receipt(f"a{number}", of(number), "t", "start_job", Outcome.APPLIED, "started")


def an_action(number):
    change = StartJob(f"w/{number}", T0, T0 + HOUR)
    return Action(f"act-{number}", "t", change, of(number), T0 + HOUR)


def an_outcome(number):
    def place(hour):
        start = T0 + hour * HOUR
        return window(SERIES, start, start + 2 * HOUR, region="us-west-1", pue=1.2)

    return outcome(
        workload="w",
        run_key=f"w/{number}",
        decision_id=of(number),
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


def sealed(size: int, root: bytes, file: str | None = None) -> tuple[str, str]:
    """A checkpoint as it is kept: its file and its text."""
    return file or f"{size:06d}.txt", NOTARY.seal(size, root)


def written(bodies, every=3):
    """Lines and checkpoints as a writer would leave them."""
    chain, lines, notes = Chain(), [], []
    for n, (kind, body) in enumerate(bodies):
        lines.append(chain.add(kind, body, T0 + n * HOUR)[1] + b"\n")
        if chain.size % every == 0:
            notes.append(sealed(chain.size, chain.root()))
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
        "line 3 ends a ledger that checkpoint 000003.txt did not see",
        "line 6 ends a ledger that checkpoint 000006.txt did not see",
    )


def test_a_number_changed_by_the_holder_of_the_key_is_found_by_computing_it_again():
    def edit(number, body):
        if number == 2:
            body["avoided"]["estimate"] *= 10
            body["avoided"]["high"] *= 10

    made, chain = rehashed(LINES, edit)

    found = problems(made, [sealed(chain.size, chain.root())])

    assert len(found) == 2
    assert all(problem.startswith("line 3 its `avoided.") for problem in found)


def test_a_decision_changed_by_the_holder_of_the_key_is_found_by_its_bytes():
    def edit(number, body):
        if number == 0:
            body["record"]["decision"]["reason"] = "greenest"

    made, chain = rehashed(LINES, edit)

    assert problems(made, [sealed(chain.size, chain.root())]) == (
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
    assert found[0].startswith("checkpoint 000003.txt ")
    assert found[-1] == "no checkpoint vouches for any line: nothing is signed"


def test_two_checkpoints_that_contradict_are_a_problem():
    forged = sealed(3, bytes(32), "forged.txt")

    found = problems(LINES, [*NOTES, forged])

    assert found == ("checkpoint forged.txt contradicts 000003.txt: two roots for 3 entries",)


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

    assert problems(lines, [sealed(2, chain.root())]) == ()


def signed(bodies, published=None):
    """Problems of a ledger that its own writer wrote and signed, whatever it says."""
    lines, notes = written(bodies, every=1)
    return verify_ledger(lines, notes, NOTARY, published).problems


def edited(at, edit, runs=1):
    """The entries of some runs, one of them changed before it was written."""
    made = [(kind, json.loads(json.dumps(body))) for kind, body in items(runs)]
    edit(made[at][1])
    return made


def test_a_run_with_all_its_entries_agrees_with_itself():
    action = (EntryKind.ACTION, plain(an_action(0)))
    first, *others = items(1)

    assert signed([first, action, *others]) == ()


@pytest.mark.feature("C11")
@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda b: b.update(decision_id="dec-none"), "is of decision `dec-none`, which no earlier"),
        (lambda b: b.update(receipt_id="start:nowhere"), "names receipt `start:nowhere`, which no"),
        (lambda b: b.update(run_key="w/9"), "says `run_key` is `w/9`, its decision `w/0`"),
        (lambda b: b.update(workload="v"), "says `workload` is `v`, its decision `w`"),
        (lambda b: b.update(held_out=True), "says `held_out` is `True`, its decision `False`"),
        (lambda b: b.update(replay=False), "says `replay` is `False`, its decision `True`"),
        (lambda b: b["chosen"].update(region="mars"), "ran in `mars`, where its decision did not"),
        (lambda b: b["baseline"].update(region="mars"), "baseline is in `mars`, that of its"),
        (
            lambda b: b["baseline"].update(start="2021-10-08T09:30:00Z"),
            "baseline starts at 2021-10-08T09:30:00+00:00, not at 2021-10-08T09:00:00+00:00",
        ),
        (lambda b: b["chosen"].update(end="2021-10-08T02:30:00Z"), "is not as long as its run"),
        (lambda b: b["chosen"].update(start=[]), "lacks what others refer to"),
        (lambda b: b.update(chosen=None), "lacks what others"),
    ],
)
def test_an_outcome_that_disagrees_with_its_decision_is_found_though_it_is_signed(edit, said):
    assert any(said in each for each in signed(edited(2, edit)))


def test_an_outcome_before_its_receipt_is_found():
    decision, receipt, outcome = items(1)

    assert any(
        "no earlier line holds as applied" in e for e in signed([decision, outcome, receipt])
    )


def test_a_receipt_that_changed_nothing_is_no_ground_for_an_outcome():
    found = signed(edited(1, lambda body: body.update(outcome="refused")))

    assert any("no earlier line holds as applied" in each for each in found)


@pytest.mark.parametrize("kind", [EntryKind.ACTION, EntryKind.RECEIPT])
def test_actions_and_receipts_of_no_decision_are_found(kind):
    body = plain(an_action(5) if kind is EntryKind.ACTION else a_receipt(5))

    assert signed([(kind, body)]) == (
        f"line 1 its {kind} is of decision `{of(5)}`, which no earlier line holds",
    )


def test_a_run_that_nobody_decided_leaves_a_receipt():
    assert signed([(EntryKind.RECEIPT, plain(replace(a_receipt(0), decision_id="")))]) == ()


@pytest.mark.feature("C11")
@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda b: b.pop("sha256"), "cannot be computed again"),
        (lambda b: b.pop("record"), "cannot be computed"),
        (lambda b: b.update(id="dec-other"), "is named `dec-other`, but its content gives"),
        (lambda b: b.update(id=["x"]), "its decision is named"),
    ],
)
def test_a_decision_without_its_hash_or_under_another_name_is_found(edit, said):
    assert any(said in each for each in signed(edited(0, edit)))


def test_a_decision_changed_with_its_hash_no_longer_has_its_name():
    def edit(body):
        body["record"]["decision"]["baseline"]["start"] = "2021-10-08T04:00:00Z"
        body["sha256"] = digest(canonical(body["record"])).hex()

    assert any("but its content gives" in each for each in signed(edited(0, edit)))


@pytest.mark.parametrize("given", [{"mode": Mode.SHADOW}, {"held_out": True}])
def test_a_run_that_was_not_moved_has_one_start_on_both_sides(given):
    record = a_decision(0, **given)
    name = record.decision.id
    entries = [(EntryKind.DECISION, decision_body(record))]
    entries += [(EntryKind.RECEIPT, plain(replace(a_receipt(0), decision_id=name)))]
    claimed = replace(
        an_outcome(0), decision_id=name, held_out=record.decision.held_out, factors_version=None
    )
    honest = replace(
        claimed,
        baseline=claimed.chosen,
        baseline_g=claimed.chosen_g,
        avoided=replace(claimed.avoided, estimate=0.0, low=0.0, high=0.0),
    )

    assert signed([*entries, (EntryKind.OUTCOME, plain(honest))]) == ()
    found = signed([*entries, (EntryKind.OUTCOME, plain(claimed))])
    assert any("its baseline starts at 2021-10-08T09" in each for each in found)


@pytest.mark.parametrize("hour", [-5.0, 1e999])
def test_an_intensity_that_cannot_be_is_found(hour):
    made = an_outcome(0)
    body = plain(replace(made, chosen=replace(made.chosen, hours=(hour, hour))))

    assert any("impossible intensity" in each for each in recompute(body))


class MadeUp:
    """What a test says was published."""

    def __init__(self, series=SERIES, site=("CISO", 1.2)):
        self.factors_version, self._series, self._site = "v1", series, site

    def site(self, region):
        return self._site if region == "us-west-1" else None

    def series(self, zone, start, end):
        return self._series if zone == "CISO" else None


def dearer(hours):
    return replace(SERIES, values=tuple(GramsPerKwh(value * hours) for value in SERIES.values))


def with_factors(body):
    body.update(factors_version="v1")


def test_hours_are_compared_with_those_that_were_published():
    assert signed(items(), MadeUp()) == ()
    assert any(
        "baseline window has other hours than `made-up` published for `CISO`" in each
        for each in signed(items(), MadeUp(dearer(1.001)))
    )


@pytest.mark.parametrize(
    "published",
    [
        MadeUp(None),
        MadeUp(replace(dearer(2), kind=replace(SERIES.kind, source="another"))),
        MadeUp(replace(dearer(2), start=T0 + 9 * HOUR)),
    ],
    ids=["not at hand", "of another source", "too short"],
)
def test_hours_that_cannot_be_compared_are_taken_as_they_stand(published):
    assert not any("chosen window" in each for each in signed(items(), published))


@pytest.mark.parametrize("site", [("CISO", 1.1), ("PJM", 1.2), None])
def test_zone_and_pue_are_those_of_the_factors_that_are_named(site):
    named = edited(2, with_factors)

    assert signed(named, MadeUp()) == ()
    assert signed(items(1), MadeUp(site=site)) == ()
    assert any("zone and PUE of `us-west-1` other" in e for e in signed(named, MadeUp(site=site)))


def test_what_a_ledger_says_of_itself_cannot_break_a_line_or_a_terminal():
    ((problem,),) = (
        signed(
            [(EntryKind.RECEIPT, {**plain(a_receipt(0)), "decision_id": "\n\x1b[2J\ud800" * 400})]
        ),
    )

    assert problem.isprintable()
    assert len(problem) < 5000
