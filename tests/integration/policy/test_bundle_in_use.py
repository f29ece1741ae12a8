"""A signed bundle in the place of the folder of policies: the same rules, and none that another key signed."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from greenops.adapters.clock import SystemClock
from greenops.cli.main import main
from greenops.config import Settings
from greenops.errors import DataMissing, GreenOpsError, InvalidFile, PolicyFailed
from greenops.pipeline.decide_here import LocalDecider
from greenops.pipeline.policies import policy_sources, read_policies
from greenops.pipeline.policy_bundle import make_bundle

POLICY = """apiVersion: greenops.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: cheap, owners: [a@example.com]}
spec:
  extends: [greenops/residency]
  match: [{expression: 'true'}]
  constraints: [{name: most, expression: candidate.cost_usd < 5.0}]
tests:
- name: too dear
  job: {name: j, kind: batch}
  baseline: {id: now}
  candidates: [{id: dear, cost_usd: 9.0}]
  expect: {choose: now, rejected: {dear: [most]}}
"""
WORKLOAD = """apiVersion: greenops.dev/v1alpha1
kind: Workload
metadata: {name: etl, owners: [a@example.com]}
spec:
  kind: batch
  urgency: deferrable
  duration: 10m
  durationP95: 30m
  energyKwh: 1.0
  homeRegion: eu-west-1
  deadline: {within: 8h}
  maxCost: {increase: 10%}
  maxCarbon: {reduction: 5%}
  dataClass: internal
  containsPersonalData: false
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "cheap.yaml").write_text(POLICY)
    (tmp_path / "policies" / "etl.yaml").write_text(WORKLOAD)
    return tmp_path / "policies"


@pytest.fixture
def bundle(folder, tmp_path):
    make_bundle(folder, tmp_path / "p.bundle", tmp_path / "signer")
    return tmp_path / "p.bundle"


@pytest.fixture
def settings(bundle, tmp_path):
    """This place, which trusts the signer."""
    return Settings(
        state=tmp_path / "here",
        policies=bundle,
        policies_key=tmp_path / "signer" / "keys" / "policies.pub",
    )


@pytest.fixture
def here(settings, tmp_path, monkeypatch):
    """A shell in this place; gives what a command ends with."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GREENOPS_STATE", str(settings.state))
    monkeypatch.setenv("GREENOPS_POLICIES", str(settings.policies))
    monkeypatch.setenv("GREENOPS_POLICIES_KEY", str(settings.policies_key))
    return lambda *argv: main(list(argv))


@pytest.fixture
def stranger(folder, tmp_path):
    """A bundle of the same policies that somebody else signed."""
    make_bundle(folder, tmp_path / "s.bundle", tmp_path / "stranger")
    return tmp_path / "s.bundle"


def refusal(path, settings):
    with pytest.raises(GreenOpsError) as caught:
        read_policies(path, settings)
    assert "\n" not in str(caught.value)
    return caught.value


def test_a_bundle_is_the_folder_that_it_was_made_of(folder, bundle, settings):
    found = read_policies(bundle, settings)

    assert found.hash == read_policies(folder).hash
    assert found.documents == read_policies(folder).documents
    assert [name for name, _ in policy_sources(bundle, settings)] == [
        f"{bundle}/cheap.yaml",
        f"{bundle}/etl.yaml",
        f"{bundle}/shipped-packs/greenops.yaml",
    ]


@pytest.mark.parametrize(
    "argv",
    [
        ("policy", "check"),
        ("policy", "test", "--coverage"),
        ("policy", "test", "--isolated"),
        ("policy", "explain", "etl"),
        ("plan", "etl"),
    ],
    ids=" ".join,
)
def test_what_reads_policies_reads_a_bundle(here, argv):
    assert here(*argv) == 0


@pytest.mark.parametrize(
    "argv",
    [
        ("policy", "check"),
        ("policy", "test"),
        ("policy", "explain"),
        ("policy", "replay"),
        ("policy", "budgets"),
        ("policy", "prove"),
        ("plan", "etl"),
        ("serve",),
    ],
    ids=" ".join,
)
def test_what_another_key_signed_ends_every_command_with_one_line(
    here, stranger, monkeypatch, capsys, argv
):
    monkeypatch.setenv("GREENOPS_POLICIES", str(stranger))

    code = here(*argv)

    (line,) = capsys.readouterr().err.splitlines()
    assert code == 3
    assert line.startswith("greenops: GO0165")
    assert "its signature carries no signature of" in line
    assert "policies_key" in line


def test_a_decider_of_this_machine_takes_the_keys_of_its_own_settings(settings, stranger):
    decider = LocalDecider(settings, SystemClock.from_environment())
    other = Settings(settings.state, stranger, settings.policies_key)

    with pytest.raises(DataMissing, match="GO0165"):
        LocalDecider(other, SystemClock.from_environment())(None, None)
    with pytest.raises(
        AttributeError
    ):  # the policies were read; what comes next asks for a workload
        decider(None, None)


def test_damage_anywhere_is_refused(bundle, settings):
    content = bytearray(bundle.read_bytes())
    content[len(content) // 2] ^= 1
    bundle.write_bytes(bytes(content))

    assert refusal(bundle, settings).code in {"GO0163", "GO0165"}


def test_a_policy_file_in_the_place_of_a_bundle_is_refused(bundle, settings):
    bundle.write_text(POLICY)

    assert refusal(bundle, settings).code == "GO0163"


def test_without_a_key_no_bundle_is_taken(bundle, settings):
    error = refusal(bundle, Settings(state=settings.state))

    assert (error.code, error.exit_code) == ("GO0405", 3)
    assert str(settings.state / "keys" / "policies.pub") in str(error)
    assert "`policies_key`" in str(error)


def test_the_key_in_the_state_folder_is_trusted(bundle, tmp_path):
    assert read_policies(bundle, Settings(state=tmp_path / "signer")).policies


def test_any_key_of_a_folder_will_do(bundle, stranger, tmp_path):
    trusted = tmp_path / "trusted"
    trusted.mkdir()
    for who in ("signer", "stranger"):
        key = tmp_path / who / "keys" / "policies.pub"
        (trusted / f"{who}.pub").write_bytes(key.read_bytes())
    settings = Settings(policies_key=trusted)

    assert read_policies(bundle, settings).hash == read_policies(stranger, settings).hash
    (trusted / "signer.pub").unlink()
    assert refusal(bundle, settings).code == "GO0165"
    (trusted / "stranger.pub").unlink()
    assert refusal(bundle, settings).code == "GO0405"


def test_an_expired_bundle_is_not_loaded(folder, settings, tmp_path):
    old = tmp_path / "old.bundle"
    make_bundle(folder, old, tmp_path / "signer", datetime(2020, 1, 1, tzinfo=UTC))

    with pytest.raises(PolicyFailed, match="GO0166"):
        read_policies(old, settings)


def test_what_is_no_file_is_no_bundle(tmp_path, settings):
    with pytest.raises(InvalidFile, match="GO0108"):
        read_policies(tmp_path / "nothing.bundle", settings)


@pytest.mark.parametrize(
    "argv",
    [
        ("policy", "fmt"),
        ("policy", "bundle", "--out", "b.bundle"),
        ("policy", "gen-tests", "p.bundle"),
    ],
    ids=" ".join,
)
def test_what_changes_files_refuses_a_bundle(here, capsys, argv):
    code = here(*argv)

    assert code == 2
    assert "GO0167" in capsys.readouterr().err
    assert not Path("b.bundle").exists()


def test_a_held_command_runs_now_where_the_bundle_is_not_trusted(here, stranger, tmp_path):
    (tmp_path / "etl.yaml").write_text(WORKLOAD)
    argv = ["run", "--workload", "etl.yaml", "--policies", str(stranger), "--", "echo", "ran"]

    done = subprocess.run(
        [sys.executable, "-m", "greenops.cli.main", *argv],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stdout) == (0, "ran\n")
    assert "GO0165" in done.stderr
