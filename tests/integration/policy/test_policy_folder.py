"""The rules that are shipped, and the worked examples, from their files."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from greenops.domain.decision import Candidate, Mode
from greenops.errors import InvalidFile
from greenops.pipeline.policies import policy_sources, read_policies
from greenops.pipeline.policy_tests import run_tests
from greenops.policy import lint
from greenops.policy.packs import SHIPPED as SHIPPED_PACKS

SHIPPED = Path(__file__).parents[3] / "policies"
FOLDERS = (".", "templates", "templates/classes", "packs")
FILES = [path for at in FOLDERS for path in sorted((SHIPPED / at).glob("*.yaml"))]


@pytest.fixture(scope="module")
def shipped():
    return read_policies(SHIPPED)


def test_the_eight_tests_of_the_worked_examples_hold(reference_data):
    policies = read_policies(reference_data / "policies" / "examples.yaml")

    results = run_tests(policies)

    assert len(results) == 8
    assert [each.failures for each in results] == [()] * 8


def test_the_shipped_rules_have_no_problem_and_their_tests_hold(shipped):
    results = run_tests(shipped)

    assert lint(policy_sources(SHIPPED)) == ()
    assert [(each.test.name, each.failures) for each in results if not each.passed] == []
    held = (*shipped.policies, *shipped.packs)
    assert {each.test.policy for each in results} == {each.name for each in held}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_shipped_file_stands_alone(path):
    policies = read_policies(path)

    assert all(each.passed for each in run_tests(policies))
    assert policies.tests


MINE = """apiVersion: greenops.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: mine, owners: [me@example.com]}
spec:
  extends: [greenops/cleaner-within]
  match: [{name: m, expression: job.team == "mine"}]
  params: {increase: 0.02}
tests:
- name: two percent and no more
  job: {name: report, kind: batch, team: mine}
  baseline: {id: now, carbon_g: 100.0, cost_usd: 1.0}
  candidates: [{id: within, carbon_g: 50.0, cost_usd: 1.02}, {id: over, carbon_g: 1.0, cost_usd: 1.03}]
  expect: {choose: within, rejected: {over: [within-cost]}}
"""


def test_a_folder_extends_a_shipped_pack_without_holding_it(tmp_path):
    (tmp_path / "mine.yaml").write_text(MINE)

    made = read_policies(tmp_path)

    assert [each.name for each in made.policies] == ["mine"]
    assert all(each.passed for each in run_tests(made))
    assert "candidate.cost_usd <= (baseline.cost_usd * (1.0 + 0.02))" in made.documents["mine"]


def test_a_pack_in_the_folder_stands_in_for_the_shipped_one(tmp_path):
    own = (SHIPPED / "packs" / "greenops.yaml").read_text().replace("within-cost", "own-rule")
    (tmp_path / "pack.yaml").write_text(own)
    (tmp_path / "mine.yaml").write_text(MINE.replace("within-cost", "own-rule"))

    assert all(each.passed for each in run_tests(read_policies(tmp_path)))
    assert len(policy_sources(tmp_path)) == 2


def test_every_shipped_pack_has_its_file_and_every_file_its_pack():
    assert tuple(sorted(path.stem for path in (SHIPPED / "packs").glob("*.yaml"))) == SHIPPED_PACKS
    for pack in SHIPPED_PACKS:
        held = read_policies(SHIPPED / "packs" / f"{pack}.yaml").packs
        assert {each.name.split("/")[0] for each in held} == {pack}


@pytest.mark.feature("C10")
def test_the_demo_meets_the_policies_it_is_meant_to(shipped):
    names = {
        name: {each.name for each in shipped.matching(workload)}
        for name, workload in shipped.workloads.items()
        if not name.startswith("template-")
    }

    assert names == {
        "assistant": {"assistant-audit"},
        "checkout-scoring": {
            "checkout-scoring-pinned",
            "critical-stays-home",
            "personal-data-residency",
            "shop-personal-data",
        },
        "nightly-enrichment": {"catalog-cleaner"},
        "search": {"search-leans-cleaner"},
    }


@pytest.mark.feature("C8")
def test_checkout_is_pinned_by_a_constraint_with_a_name(shipped):
    from datetime import UTC, datetime

    from greenops.domain.workload import Job

    now = datetime(2021, 10, 8, tzinfo=UTC)
    job = Job("checkout-scoring/1", shipped.workloads["checkout-scoring"], now)
    home = Candidate("baseline", region="eu-central-1", location="EU", p95_ms=80.0, start=now)
    north = Candidate("north", region="eu-north-1", location="EU", p95_ms=70.0, start=now)

    said = shipped.judge(job, home, [north], now)

    assert said.verdicts[0].allowed
    assert said.verdicts[1].reasons == ("same-region", "home-region")
    assert said.mode is Mode.ENFORCE


def test_a_test_that_fails_says_what_came_instead(tmp_path):
    text = (SHIPPED / "demo" / "search.yaml").read_text()
    (tmp_path / "p.yaml").write_text(
        text.replace("choose: north", "choose: slow")
        .replace("rejected: {slow", "rejected: {north")
        .replace("expect:\n", "expect:\n    exception: E1\n    warned: {far: [x]}\n")
    )

    (result,) = run_tests(read_policies(tmp_path))

    assert not result.passed
    assert result.failures == (
        "chose `north`, expected `slow`",
        "exception none, expected E1",
        "`north` is not rejected by `still-fast`; by none",
        "`far` is not warned by `x`; by none",
    )


def changed_results(tmp_path, name, old, new):
    text = (SHIPPED / name).read_text()
    assert old in text
    (tmp_path / "p.yaml").write_text(text.replace(old, new))
    return run_tests(read_policies(tmp_path))


def test_a_test_whose_policy_does_not_match_its_job_fails(tmp_path):
    results = changed_results(tmp_path, "templates/threshold.yaml", "job.kind ==", "job.id ==")

    met = [each for each in results if each.test.matches]
    assert [each.passed for each in met] == [False] * 6
    assert "the policy does not match the job" in met[2].failures[0]


def test_a_test_may_expect_that_its_policy_does_not_match(tmp_path):
    name = "personal-data-residency.yaml"
    expect = "{choose: now, rejected: {us: [approved-location]}}"
    other = "contains_personal_data: false"

    result, *_ = changed_results(tmp_path, name, expect, "{choose: now, matches: false}")
    assert result.failures == ("the policy matches the job, expected that it does not",)

    (tmp_path / "p.yaml").write_text(
        (tmp_path / "p.yaml").read_text().replace("contains_personal_data: true", other)
    )
    result, *_ = run_tests(read_policies(tmp_path))
    assert result.passed


def test_a_test_keeps_to_the_latest_safe_start_as_the_planner_does(tmp_path):
    results = changed_results(
        tmp_path, "demo/nightly-enrichment.yaml", "choose: morning", "choose: unsafe"
    )

    assert results[0].failures == ("chose `morning`, expected `unsafe`",)


def test_a_test_keeps_to_the_deadline_that_its_policy_gives(tmp_path):
    (first, *_) = changed_results(
        tmp_path,
        "templates/threshold.yaml",
        "job: {name: report,",
        "job: {name: report, duration_s: 21600.0,",
    )

    assert first.failures == ("chose `now`, expected `first`",)


def test_a_folder_that_is_not_there_is_an_error_and_an_empty_one_is_not(tmp_path):
    with pytest.raises(InvalidFile) as caught:
        read_policies(tmp_path / "nowhere")

    assert caught.value.code == "GO0108"
    assert read_policies(tmp_path).policies == ()


def test_a_file_that_is_not_utf_8_is_an_error_at_its_byte(tmp_path):
    (tmp_path / "p.yaml").write_bytes(b"# caf\xc3\xa9\n# caf\xe9\n")

    with pytest.raises(InvalidFile) as caught:
        read_policies(tmp_path)

    said = str(caught.value)
    assert said.startswith(f"GO0109 {tmp_path}/p.yaml:2:6: cannot be read: byte 0xe9 is not UTF-8")
    assert "save the file as UTF-8" in said


def test_a_folder_that_cannot_be_listed_is_an_error_and_not_empty(tmp_path, monkeypatch):
    locked = tmp_path / "locked"
    locked.mkdir()
    listed = os.scandir

    def scandir(path):
        if str(path) == str(locked):  # the tests may run as one whom no permission stops
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)

    with pytest.raises(InvalidFile) as caught:
        read_policies(tmp_path)

    assert str(caught.value).startswith(f"GO0109 {locked}: cannot be read: Permission denied")


def test_a_link_that_leads_nowhere_is_an_error(tmp_path):
    (tmp_path / "p.yaml").symlink_to(tmp_path / "gone.yaml")

    with pytest.raises(InvalidFile) as caught:
        read_policies(tmp_path)

    assert caught.value.code == "GO0109"


def test_a_volume_of_kubernetes_gives_each_file_once(tmp_path):
    version = tmp_path / "..2026_11_23_20_00_00.1"
    (version / "team").mkdir(parents=True)
    text = (SHIPPED / "personal-data-residency.yaml").read_text()
    (version / "a.yaml").write_text(text)
    (version / "team" / "b.yaml").write_text(text.replace("personal-data-res", "other-res"))
    (tmp_path / "..data").symlink_to(version.name)
    (tmp_path / "a.yaml").symlink_to("..data/a.yaml")
    (tmp_path / "team").symlink_to("..data/team")

    assert [Path(name).name for name, _ in policy_sources(tmp_path)] == ["a.yaml", "b.yaml"]
    assert len(read_policies(tmp_path).policies) == 2


def test_links_that_go_round_end(tmp_path):
    (tmp_path / "a.yaml").write_text("")
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "round").symlink_to(tmp_path)

    assert len(policy_sources(tmp_path)) == 1


@pytest.mark.parametrize("name", ["p.yaml", "p.yml", "P.YAML", "p.Yml"])
def test_each_spelling_of_the_ending_is_a_policy_file(tmp_path, name):
    (tmp_path / name).write_text((SHIPPED / "ci-jobs-off-peak.yaml").read_text())
    (tmp_path / "notes.txt").write_text("not read")

    assert len(read_policies(tmp_path).policies) == 1


def test_the_file_of_routes_may_lie_beside_the_policies(tmp_path):
    (tmp_path / "routes.yaml").write_text("routes: []\n")

    assert read_policies(tmp_path).policies == ()
