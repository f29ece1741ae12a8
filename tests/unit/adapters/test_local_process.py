"""Orders for held runs."""

from datetime import timedelta

import pytest

from greenops.adapters import local_process
from greenops.adapters.local_process import LocalProcess, RunFolder
from greenops.config import Settings
from greenops.domain.action import Action, Outcome, SetWeights, StartJob
from greenops.domain.run import Claim, RunReceipt
from greenops.errors import AdapterUnavailable, AdapterUnsupported, UsageError
from greenops.testing.clock import START, FakeClock

HOUR = timedelta(hours=1)
CLAIM = Claim(7, "boot", START, since=99)


def action(number, hours):
    change = StartJob("night/1", START + hours * HOUR, START + 9 * HOUR)
    return Action(f"a-{number}", "local-process", change, f"d-{number}", START + 9 * HOUR)


@pytest.fixture
def target(tmp_path):
    return LocalProcess(Settings(state=tmp_path), FakeClock())


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path, "night/1")


@pytest.mark.parametrize("key", ["", "/", "a//b", "../x", "a/..", "a/. ."])
def test_a_key_that_names_no_folder_is_refused(tmp_path, key):
    with pytest.raises(UsageError, match="GO0604"):
        RunFolder(tmp_path, key)


def test_a_run_that_was_claimed_takes_no_orders(target, folder):
    target.apply(action(1, 3))
    assert folder.take_claim(CLAIM)
    assert not folder.take_claim(CLAIM)

    made = target.apply(action(2, 1))

    assert (made.outcome, target.rollback("d-1").outcome) == (Outcome.REFUSED, Outcome.REFUSED)
    with pytest.raises(AdapterUnsupported, match="started already"):
        target.validate(target.plan(action(2, 1).change))


def test_a_rollback_of_the_first_order_starts_the_run_now(target):
    target.apply(action(1, 3))

    target.rollback("d-1")

    assert target.observe("night/1").change.start_at == START


def test_an_order_says_that_nothing_starts_unless_a_holder_takes_it(target):
    made = target.apply(action(1, 3))

    assert made.detail.endswith(" UTC; starts when `greenops run` holds it")


def test_an_order_is_verified_by_the_holders_receipt(target, folder):
    target.apply(action(1, 0))
    assert not target.verify(action(1, 0), timedelta(minutes=1))

    folder.keep_receipt(RunReceipt("night/1", "night", START, on_time=True))

    assert target.verify(action(1, 0), timedelta(minutes=1))


def test_a_crash_between_journal_and_order_is_made_good(target, folder):
    made = target.apply(action(1, 3))
    (folder.path / "order.json").unlink()

    assert target.apply(action(1, 3)) == made
    assert target.observe("night/1").version == made.version


def test_weights_and_unknown_decisions_are_unsupported(target):
    with pytest.raises(AdapterUnsupported, match="cannot set weights"):
        target.plan(SetWeights("search", {"de": 100}))
    with pytest.raises(AdapterUnsupported, match="GO0607"):
        target.rollback("d-9")


def test_a_damaged_journal_is_unavailable(target, folder):
    target.apply(action(1, 3))
    (folder.path / "journal.json").write_text("{")

    with pytest.raises(AdapterUnavailable, match="GO0605"):
        target.apply(action(2, 3))


def test_damaged_files_of_a_run_are_absent(folder):
    for name in ("decision.json", "order.json", "receipt.json", "claim"):
        folder.write(name, b'{"no": 1}')

    found = (folder.decision(), folder.order(), folder.receipt(), folder.claim_holder())

    assert found == (None,) * 4
    assert folder.claimed()


def test_a_claim_is_whole_or_not_there_at_all(tmp_path, folder, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(local_process.os, "write", killed)
    with pytest.raises(KeyboardInterrupt):
        folder.take_claim(CLAIM)
    monkeypatch.undo()

    assert not folder.claimed()
    assert RunFolder(tmp_path, "night/1").take_claim(CLAIM)
    assert folder.claim_holder() == CLAIM
    assert [each.name for each in folder.path.iterdir()] == ["claim"]


@pytest.mark.parametrize("number", sorted(local_process.NO_LINKS))
def test_a_file_system_without_links_has_claims_too(tmp_path, folder, monkeypatch, number):
    def no_links(*_):
        raise OSError(number, "no links here")

    monkeypatch.setattr(local_process.os, "link", no_links)

    assert folder.take_claim(CLAIM)
    assert not RunFolder(tmp_path, "night/1").take_claim(CLAIM)
    assert folder.claim_holder() == CLAIM


def test_only_who_took_a_claim_gives_it_back(tmp_path, folder):
    folder.take_claim(CLAIM)
    other = RunFolder(tmp_path, "night/1")
    assert not other.take_claim(CLAIM)

    other.give_claim_back()
    assert folder.claimed()

    folder.give_claim_back()
    assert not folder.claimed()
