import json
from datetime import timedelta
from pathlib import Path

import pytest

from greenops.adapters.file_ledger import FileLedger
from greenops.domain.evidence import EntryKind
from greenops.errors import DataMissing, Unreachable
from greenops.pipeline.evidence import open_ledger, verify
from greenops.prove.chain import Chain, parse
from greenops.testing.clock import FakeClock

NOTE = EntryKind.REFUSAL
"""A kind of entry that refers to no other."""


@pytest.fixture
def opened(tmp_path: Path):
    made: list[FileLedger] = []

    def start(**options) -> FileLedger:
        made.append(open_ledger(tmp_path, FakeClock(), **options))
        return made[-1]

    yield start
    for each in made:
        each.close()


def fill(ledger: FileLedger, count: int) -> None:
    for n in range(count):
        ledger.append(NOTE, {"n": n})


def file(state: Path) -> Path:
    return state / "ledger" / "ledger.jsonl"


def checkpoints(state: Path) -> list[str]:
    return sorted(path.name for path in (state / "ledger" / "checkpoints").iterdir())


def test_a_closed_ledger_is_wholly_signed_and_verified(opened, tmp_path):
    ledger = opened(checkpoint_entries=10)
    fill(ledger, 25)
    ledger.close()
    ledger.close()

    found = verify(tmp_path)

    assert found.verified
    assert (found.entries, found.signed) == (25, 25)
    numbered = ["000001.txt", "000011.txt", "000021.txt", "000025.txt"]
    assert checkpoints(tmp_path) == [*numbered, "newest.txt"]


def test_a_ledger_is_verified_while_its_writer_has_it_open(opened, tmp_path):
    ledger = opened()
    fill(ledger, 5)

    found = verify(tmp_path)
    ledger.seal(at_once=True)
    sealed = verify(tmp_path)

    assert found.problems == ()
    assert (found.verified, found.signed, found.unsigned) == (False, 1, 4)
    assert (sealed.verified, sealed.signed, sealed.unsigned) == (True, 5, 0)
    assert len(list(ledger.read())) == 5


def test_what_changed_is_signed_within_seconds_and_idle_time_signs_nothing(tmp_path):
    clock = FakeClock()
    with open_ledger(tmp_path, clock) as ledger:
        fill(ledger, 3)
        seen = []
        for seconds in (1.0, 1.0, 60.0):
            clock.advance(timedelta(seconds=seconds))
            ledger.seal()
            seen.append(verify(tmp_path).unsigned)
        before = (tmp_path / "keys" / "sealed.txt").stat().st_mtime_ns
        clock.advance(timedelta(hours=2))
        ledger.seal()
        after = (tmp_path / "keys" / "sealed.txt").stat().st_mtime_ns

    assert seen == [2, 0, 0]
    assert after == before


def test_of_what_is_signed_in_between_one_an_hour_is_kept_for_good(tmp_path):
    clock = FakeClock()
    with open_ledger(tmp_path, clock) as ledger:
        for _ in range(10):
            ledger.append(NOTE, {})
            clock.advance(timedelta(minutes=16))
            ledger.seal()
        kept = checkpoints(tmp_path)

    assert kept == ["000001.txt", "000004.txt", "000008.txt", "newest.txt"]


def test_a_ledger_goes_on_where_it_stopped(opened, tmp_path):
    first = opened()
    fill(first, 3)
    first.close()

    second = opened()

    assert second.append(NOTE, {}).seq == 3
    second.close()
    assert verify(tmp_path).verified


def test_entries_carry_simulated_time(tmp_path):
    clock = FakeClock()
    with open_ledger(tmp_path, clock) as ledger:
        clock.advance(timedelta(hours=7))
        assert ledger.append(NOTE, {}).ts == clock.now()


def test_a_second_writer_is_refused_in_one_line(opened):
    ledger = opened()

    with pytest.raises(Unreachable, match=r"GO0402 .*ledger\.jsonl: another process writes") as no:
        opened()

    assert "\n" not in str(no.value)
    ledger.append(NOTE, {})


def test_a_closed_ledger_takes_nothing_more(opened):
    ledger = opened()
    ledger.close()

    with pytest.raises(Unreachable, match="GO0404"):
        ledger.append(NOTE, {})


def test_many_entries_are_one_write(opened):
    ledger = opened()

    made = ledger.append_many([(NOTE, {"n": n}) for n in range(50)])

    assert [entry.seq for entry in made] == list(range(50))
    assert list(ledger.read()) == made


@pytest.mark.parametrize("torn", [b"x", b'{"body":{"n":', b"\x00" * 4096, b'{"seq":3}'])
def test_a_torn_last_line_is_cut_off_and_kept_beside(opened, tmp_path, torn):
    ledger = opened()
    fill(ledger, 3)
    ledger.close()
    with file(tmp_path).open("ab") as raw:
        raw.write(torn)

    again = opened()

    assert again.append(NOTE, {}).seq == 3
    again.close()
    assert verify(tmp_path).verified
    note = json.loads((tmp_path / "ledger" / "torn.jsonl").read_text())
    assert note["offset"] > 0


def test_reading_passes_over_a_line_that_is_being_written(opened, tmp_path):
    ledger = opened()
    fill(ledger, 2)
    ledger.close()
    with file(tmp_path).open("ab") as raw:
        raw.write(b'{"half')

    assert len(list(ledger.read())) == 2


def alter(state: Path, how) -> None:
    lines = file(state).read_bytes().splitlines(keepends=True)
    file(state).write_bytes(b"".join(how(lines)))


@pytest.mark.parametrize(
    "how",
    [
        lambda lines: lines[1:],
        lambda lines: lines[:1] + lines[2:],
        lambda lines: lines[:-1],
        lambda lines: [],
        lambda lines: [lines[0].replace(b'"n":0', b'"n":7'), *lines[1:]],
        lambda lines: [*lines[:-1], lines[-1].replace(b'"n":3', b'"n":7')],
        lambda lines: [*lines, b"rubbish\n"],
    ],
    ids=["head", "middle", "tail", "all", "first edited", "last edited", "added"],
)
def test_an_altered_ledger_is_neither_continued_nor_signed(opened, tmp_path, how):
    ledger = opened()
    fill(ledger, 4)
    ledger.close()
    before = checkpoints(tmp_path)
    alter(tmp_path, how)

    with pytest.raises(DataMissing, match="GO0403"):
        opened()

    assert checkpoints(tmp_path) == before


def test_a_ledger_whose_key_is_lost_is_not_continued_with_another(opened, tmp_path):
    ledger = opened()
    fill(ledger, 2)
    ledger.close()
    (tmp_path / "keys" / "ledger.key").unlink()

    with pytest.raises(DataMissing, match=r"GO0403.*no signature of"):
        opened()


def test_a_file_changed_under_the_writer_stops_it(opened, tmp_path):
    ledger = opened()
    fill(ledger, 2)
    alter(tmp_path, lambda lines: lines[:1])

    with pytest.raises(DataMissing, match=r"GO0403.*someone else changed"):
        ledger.append(NOTE, {})
    with pytest.raises(DataMissing, match="GO0403"):
        ledger.close()


def test_a_file_replaced_under_the_writer_stops_it(opened, tmp_path):
    ledger = opened()
    fill(ledger, 2)
    copy = tmp_path / "copy"
    copy.write_bytes(file(tmp_path).read_bytes())
    copy.rename(file(tmp_path))

    with pytest.raises(DataMissing, match="GO0403"):
        ledger.append(NOTE, {})
    with pytest.raises(DataMissing, match="GO0403"):
        ledger.close()


def test_a_damaged_line_is_named_when_read(opened, tmp_path):
    ledger = opened()
    fill(ledger, 2)
    alter(tmp_path, lambda lines: [lines[0], b"x" * (len(lines[1]) - 1) + b"\n"])

    with pytest.raises(DataMissing, match=r"ledger\.jsonl:2: line is not JSON"):
        list(ledger.read())


def test_a_crash_before_the_first_checkpoint_is_signed_at_the_next_start(opened, tmp_path):
    ledger = opened()
    fill(ledger, 1)
    ledger.close()
    unsign(tmp_path)
    (tmp_path / "keys" / "sealed.txt").unlink()
    assert not verify(tmp_path).verified

    opened()

    assert checkpoints(tmp_path) == ["000001.txt", "newest.txt"]
    assert verify(tmp_path).verified


def unsign(state: Path, *but: str) -> None:
    """Remove the checkpoints beside the ledger, as whoever can write its folder could."""
    for path in (state / "ledger" / "checkpoints").iterdir():
        if path.name not in but:
            path.unlink()


def forge(state: Path, edit=lambda number, body: body, keep: int = 99, more=()) -> None:
    """Write the ledger anew with every hash right, as anyone can who has no key."""
    chain, made = Chain(), []
    for number, line in enumerate(file(state).read_bytes().splitlines()[:keep]):
        entry = parse(line)
        made.append(chain.add(entry.kind, edit(number, entry.body), entry.ts)[1])
    made += [chain.add(NOTE, body, FakeClock().now())[1] for body in more]
    file(state).write_bytes(b"".join(line + b"\n" for line in made))


FORGERIES = {
    "edited": lambda state: forge(state, lambda number, body: {"n": 1000 * body["n"]}),
    "added to": lambda state: forge(state, more=[{"n": 9}]),
    "cut": lambda state: forge(state, keep=1),
    "cut and added to": lambda state: forge(state, keep=3, more=[{"n": 9}]),
    "emptied": lambda state: forge(state, keep=0),
}


@pytest.mark.feature("C11")
@pytest.mark.parametrize("signed", ["all", "000001.txt", "none"])
@pytest.mark.parametrize("how", FORGERIES)
def test_a_ledger_written_anew_without_the_key_is_found_and_never_signed(
    opened, tmp_path, how, signed
):
    ledger = opened()
    fill(ledger, 4)
    ledger.close()
    if signed != "all":
        unsign(tmp_path, signed)
    FORGERIES[how](tmp_path)
    before = checkpoints(tmp_path)

    found = verify(tmp_path)
    with pytest.raises(DataMissing, match="GO0403") as no:
        opened()

    assert not found.verified
    assert "\n" not in str(no.value)
    assert checkpoints(tmp_path) == before


@pytest.mark.feature("C11")
def test_what_was_added_behind_a_killed_writer_is_not_signed_by_the_next(opened, tmp_path):
    ledger = opened()
    fill(ledger, 4)
    left = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    ledger.close()
    for path in tmp_path.rglob("*"):
        if path.is_file() and path not in left:
            path.unlink()
    for path, content in left.items():
        path.write_bytes(content)
    assert verify(tmp_path).unsigned == 3

    forge(tmp_path, more=[{"n": 9}])
    with pytest.raises(DataMissing, match=r"GO0403.*5 entries that are not the 4"):
        opened()

    file(tmp_path).write_bytes(left[file(tmp_path)])
    opened()
    assert verify(tmp_path).verified


@pytest.mark.parametrize("left", [2, 3, 4])
def test_of_an_append_that_was_cut_short_nothing_counts(opened, tmp_path, left):
    ledger = opened()
    fill(ledger, 2)
    ledger.seal(at_once=True)
    ledger.append_many([(NOTE, {"n": n}) for n in range(3)])
    sealed = (tmp_path / "keys" / "sealed.txt").read_bytes()
    head = (tmp_path / "keys" / "head.json").read_bytes()
    alter(tmp_path, lambda lines: lines[:left])
    with pytest.raises(DataMissing):
        ledger.close()
    assert (tmp_path / "keys" / "sealed.txt").read_bytes() == sealed
    assert (tmp_path / "keys" / "head.json").read_bytes() == head

    again = opened()

    assert again.append(NOTE, {}).seq == 2
    again.close()
    assert verify(tmp_path).verified
    assert (tmp_path / "ledger" / "torn.jsonl").is_file() == (left > 2)


def test_a_ledger_that_came_without_its_writers_note_goes_on_if_wholly_signed(opened, tmp_path):
    ledger = opened()
    fill(ledger, 4)
    ledger.close()
    (tmp_path / "keys" / "head.json").unlink()

    again = opened()
    fill(again, 2)
    again.close()

    assert verify(tmp_path).verified


def test_a_damaged_note_of_the_writer_stops_the_start_in_one_line(opened, tmp_path):
    ledger = opened()
    fill(ledger, 1)
    ledger.close()
    (tmp_path / "keys" / "head.json").write_text("{}")

    with pytest.raises(DataMissing, match=r"GO0403.*beside the key is damaged"):
        opened()


def test_checkpoints_are_mirrored_and_show_what_a_rewritten_folder_hides(opened, tmp_path):
    mirror = tmp_path / "elsewhere"
    ledger = opened(mirror=mirror)
    fill(ledger, 4)
    ledger.close()
    # Whoever holds the state folder starts again from nothing with the same key.
    unsign(tmp_path)
    for path in (file(tmp_path), tmp_path / "keys" / "sealed.txt", tmp_path / "keys" / "head.json"):
        path.unlink()
    with pytest.raises(DataMissing, match=r"GO0403.*a checkpoint saw 4 entries"):
        opened(mirror=mirror)
    forged = opened()
    for n in range(4):
        forged.append(NOTE, {"n": n + 1})
    forged.close()

    assert verify(tmp_path).verified
    found = verify(tmp_path, mirror=mirror)
    assert not found.verified
    assert any("contradicts" in problem for problem in found.problems)
    with pytest.raises(DataMissing, match=r"GO0403.*contradict each other"):
        opened(mirror=mirror)


def test_a_mirror_that_fails_stops_nothing_and_catches_up(opened, tmp_path):
    mirror = tmp_path / "mirror"
    mirror.write_text("in the way")
    ledger = opened(mirror=mirror, checkpoint_entries=2)
    fill(ledger, 5)
    with pytest.raises(Unreachable, match=r"GO0409 .*checkpoint not mirrored"):
        ledger.seal(at_once=True)

    mirror.unlink()
    ledger.close()

    assert ledger.checkpoint_problem is None
    mirrored = sorted(path.name for path in mirror.iterdir())
    assert [*mirrored, "newest.txt"] == checkpoints(tmp_path)


def test_a_checkpoint_that_cannot_be_kept_does_not_fail_the_append(opened, tmp_path):
    ledger = opened()
    folder = tmp_path / "ledger" / "checkpoints"
    folder.rmdir()

    assert ledger.append(NOTE, {}).seq == 0
    assert ledger.checkpoint_problem is not None
    with pytest.raises(Unreachable, match="GO0401"):
        ledger.checkpoint()

    folder.mkdir()
    ledger.append(NOTE, {})
    assert ledger.checkpoint_problem is None
    assert checkpoints(tmp_path) == ["000002.txt", "newest.txt"]


def test_a_folder_that_cannot_be_made_is_unreachable(tmp_path):
    (tmp_path / "ledger").write_text("in the way")

    with pytest.raises(Unreachable, match="GO0401"):
        open_ledger(tmp_path, FakeClock())
