"""`greenops evidence verify`, from arguments to exit code."""

import argparse
import json
import shutil

import pytest

from greenops.cli.evidence import add_parser
from greenops.domain.evidence import EntryKind
from greenops.pipeline.evidence import open_ledger
from greenops.prove.chain import Chain, parse
from greenops.testing.clock import FakeClock


@pytest.fixture(autouse=True)
def _nowhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GREENOPS_STATE", raising=False)
    monkeypatch.delenv("GREENOPS_CHECKPOINT_MIRROR", raising=False)


@pytest.fixture
def state(tmp_path):
    with open_ledger(tmp_path / "state", FakeClock()) as ledger:
        for n in range(3):
            ledger.append(EntryKind.REFUSAL, {"n": n})
    return tmp_path / "state"


def greenops(*words):
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    args = parser.parse_args(["evidence", "verify", *map(str, words)])
    return int(args.run(args))


def test_a_whole_ledger_exits_0_and_says_how_much_is_signed(state, capsys):
    assert greenops("--state", state) == 0

    out = capsys.readouterr().out
    assert "verified" in out
    assert "3, of which 3 signed" in out
    assert "pin one with --key" in out


def test_a_pinned_key_is_named(state, tmp_path, capsys):
    pinned = tmp_path / "auditor.pub"
    pinned.write_text((state / "keys" / "ledger.pub").read_text())

    assert greenops("--state", state, "--key", pinned) == 0
    assert f"pinned, {pinned}" in capsys.readouterr().out


@pytest.mark.feature("C11")
def test_one_changed_byte_exits_1_with_a_line_per_problem(state, capsys):
    file = state / "ledger" / "ledger.jsonl"
    file.write_bytes(file.read_bytes().replace(b'"n":1', b'"n":2'))

    assert greenops("--state", state) == 1

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("NOT VERIFIED")
    problems = [line for line in lines if line.startswith("problem")]
    assert any("line 3 does not continue" in line for line in problems)


def test_a_ledger_signed_anew_by_a_stranger_fails_the_pinned_key(state, tmp_path, capsys):
    pinned = tmp_path / "auditor.pub"
    pinned.write_text((state / "keys" / "ledger.pub").read_text())
    with open_ledger(tmp_path / "forged", FakeClock()) as ledger:
        ledger.append(EntryKind.REFUSAL, {"n": 9})

    assert greenops("--state", tmp_path / "forged") == 0
    assert greenops("--state", tmp_path / "forged", "--key", pinned) == 1


def test_json_has_the_whole_result(state, capsys):
    assert greenops("--state", state, "-o", "json") == 0

    found = json.loads(capsys.readouterr().out)
    assert found == {
        "verified": True,
        "entries": 3,
        "checkpoints": 2,
        "recomputed": 0,
        "problems": [],
        "signed": 3,
        "unsigned": 0,
    }


def left_open(state, count=2):
    """A ledger as a killed writer leaves it: its last entries are not signed."""
    ledger = open_ledger(state, FakeClock())
    ledger.checkpoint()
    for n in range(count):
        ledger.append(EntryKind.REFUSAL, {"n": n})
    copy = state.with_name("killed")
    shutil.copytree(state, copy)
    ledger.close()
    return copy


def test_a_tail_that_is_not_signed_exits_1_and_says_how_long_it_is(state, capsys):
    killed = left_open(state)

    assert greenops("--state", killed) == 1

    said = capsys.readouterr().out
    assert "NOT WHOLLY VERIFIED: 3 of 5, the last 2 are not signed yet" in said
    assert "problem" not in said


def test_a_tail_that_is_not_signed_can_be_allowed_and_a_problem_cannot(state, capsys):
    killed = left_open(state)

    assert greenops("--state", killed, "--allow-unsigned-tail", "-o", "json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["verified"], found["unsigned"], found["problems"]) == (False, 2, [])

    file = killed / "ledger" / "ledger.jsonl"
    file.write_bytes(file.read_bytes().replace(b'"n":1', b'"n":7', 1))
    assert greenops("--state", killed, "--allow-unsigned-tail") == 1


@pytest.mark.feature("C11")
@pytest.mark.parametrize("how", ["edited", "added to", "cut"])
def test_a_ledger_written_anew_without_the_private_key_exits_1(state, tmp_path, capsys, how):
    pinned = tmp_path / "auditor.pub"
    pinned.write_text((state / "keys" / "ledger.pub").read_text())
    file, chain = state / "ledger" / "ledger.jsonl", Chain()
    bodies = {
        "edited": [{"n": 0}, {"n": 1000}, {"n": 2}],
        "added to": [{"n": 0}, {"n": 1}, {"n": 2}, {"n": 1000}],
        "cut": [{"n": 0}],
    }[how]
    entries = [parse(line) for line in file.read_bytes().splitlines()]
    lines = [chain.add(EntryKind.REFUSAL, body, entries[0].ts)[1] for body in bodies]
    file.write_bytes(b"".join(line + b"\n" for line in lines))
    for path in (state / "ledger" / "checkpoints").iterdir():
        if how != "added to" and path.name != "000001.txt":
            path.unlink()

    assert greenops("--state", state, "--key", pinned) == 1
    assert "NOT" in capsys.readouterr().out


def test_a_mirror_is_compared_whether_named_or_set(state, tmp_path, monkeypatch, capsys):
    mirror = tmp_path / "worm"
    open_ledger(state, FakeClock(), mirror=mirror).close()
    assert greenops("--state", state, "--mirror", mirror) == 0
    # Everything in the state folder is cut back to what an older copy of it held.
    for folder in ("ledger", "keys"):
        shutil.rmtree(state / folder)
    with open_ledger(state, FakeClock()) as ledger:
        ledger.append(EntryKind.REFUSAL, {"n": 0})
    assert greenops("--state", state) == 0

    assert greenops("--state", state, "--mirror", mirror) == 1
    monkeypatch.setenv("GREENOPS_STATE", str(state))
    monkeypatch.setenv("GREENOPS_CHECKPOINT_MIRROR", str(mirror))
    assert greenops() == greenops("--state", state) == 1
    assert greenops("--state", left_open(state)) == 1
    assert "checkpoint" in capsys.readouterr().out


def test_nothing_there_exits_3_on_stderr(tmp_path, capsys):
    assert greenops("--state", tmp_path) == 3

    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("GO0405")
    assert shown.err.count("\n") == 1


@pytest.mark.parametrize(("text", "code"), [(None, "GO0405"), ("no key", "GO0407")])
def test_a_missing_or_wrong_key_file_exits_3(state, tmp_path, capsys, text, code):
    path = tmp_path / "pinned"
    if text is not None:
        path.write_text(text)

    assert greenops("--state", state, "--key", path) == 3
    assert code in capsys.readouterr().err


def test_a_missing_folder_of_checkpoints_exits_3(state, tmp_path, capsys):
    assert greenops("--state", state, "--checkpoints", tmp_path / "none") == 3
    assert "GO0405" in capsys.readouterr().err


def test_a_damaged_checkpoint_is_a_problem_not_a_crash(state, capsys):
    damaged = state / "ledger" / "checkpoints" / "000002.txt"
    damaged.write_bytes(b"\xff\x00rubbish")

    assert greenops("--state", state) == 1
    assert f"checkpoint {damaged} " in capsys.readouterr().out
