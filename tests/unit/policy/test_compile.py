"""Files to policies and workloads: every mistake is told with its place and its mending."""

from __future__ import annotations

from datetime import time, timedelta

import pytest

from greenops.domain.workload import ClockTime, Urgency, WorkloadKind
from greenops.errors import InvalidFile
from greenops.policy import compile_policies, lint

HEAD = "apiVersion: greenops.dev/v1alpha1\n"
WORKLOAD = (
    HEAD
    + """kind: Workload
metadata: {name: etl}
spec:
  kind: batch
  urgency: deferrable
  homeRegion: eu-west-1
  duration: 90m
  durationP95: 2h
  energyKwh: 2.4
  deadline: {within: 8h}
  maxCost: {increase: 10%}
  maxCarbon: {reduction: 15%}
"""
)
POLICY = (
    HEAD
    + """kind: PlacementPolicy
metadata: {name: rule, owners: [a@example.com]}
spec:
  match: [{name: all, expression: job.kind == "batch"}]
  constraints:
  - name: cheap
    expression: candidate.cost_usd < 10
"""
)


def problems(text):
    return lint([("p.yaml", text)])


def changed(text, old, new):
    assert old in text
    return text.replace(old, new)


@pytest.mark.feature("C1")
def test_a_workload_is_read_with_its_units():
    workload = compile_policies([("p.yaml", WORKLOAD)]).workloads["etl"]

    assert (workload.kind, workload.urgency) == (WorkloadKind.BATCH, Urgency.DEFERRABLE)
    assert (workload.duration_s, workload.duration_p95_s) == (5400.0, 7200.0)
    assert workload.limits.deadline_within == timedelta(hours=8)
    assert workload.limits.max_cost_increase == pytest.approx(0.1)
    assert workload.limits.max_carbon_reduction == pytest.approx(0.15)
    assert str(workload.source) == "p.yaml:5:3"


def test_a_deadline_may_be_a_time_of_day_and_limits_may_be_absolute():
    text = changed(WORKLOAD, "{within: 8h}", "{at: 06:00, timeZone: Europe/Paris}")
    text = changed(text, "{increase: 10%}", "{usd: 40}")
    text = changed(text, "{reduction: 15%}", "{intensity: 250}")

    limits = compile_policies([("p.yaml", text)]).workloads["etl"].limits

    assert limits.deadline_at == ClockTime(time(6), "Europe/Paris")
    assert (limits.max_cost_usd, limits.max_intensity) == (40.0, 250.0)


@pytest.mark.feature("C1")
@pytest.mark.parametrize("missing", ["deadline", "maxCost", "maxCarbon"])
def test_a_batch_workload_without_one_of_its_three_numbers_names_it(missing):
    text = "\n".join(line for line in WORKLOAD.splitlines() if f"  {missing}:" not in line)

    (problem,) = problems(text)

    assert problem.code == "GO0220"
    assert f"`spec.{missing}` is missing" in problem.message
    assert f"add `{missing}:" in str(problem.fix)


@pytest.mark.feature("C1")
@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("{within: 8h}", "{timeZone: Europe/Paris}", "`spec.deadline.at` is missing"),
        ("{within: 8h}", "{within: }", "`spec.deadline.within` is empty"),
        ("{within: 8h}", "{within: 8h, at: }", "`spec.deadline.at` is empty"),
        ("{within: 8h}", "~", "`spec.deadline` is empty"),
        ("{increase: 10%}", "{usd: }", "`spec.maxCost.usd` is empty"),
        ("{increase: 10%}", "", "`spec.maxCost` is empty"),
        ("{reduction: 15%}", "{reduction: ~}", "`spec.maxCarbon.reduction` is empty"),
        ("{reduction: 15%}", "{reduction: null}", "`spec.maxCarbon.reduction` is empty"),
    ],
)
def test_an_empty_number_is_refused_and_not_taken_for_no_limit(old, new, says):
    found = problems(changed(WORKLOAD, old, new))

    assert found[0].code == "GO0211"
    assert says in str(found[0])


@pytest.mark.parametrize(
    ("extra", "path"),
    [
        ("  limits: {maxCost: {usd: }}\n", "spec.limits.maxCost.usd"),
        ("  limits: {deadline: }\n", "spec.limits.deadline"),
        ("  limits: {}\n", "spec.limits"),
        ("  enforcement: {mode: enforce, rollout: {percent: }}\n", "rollout.percent"),
        ("  enforcement: {mode: enforce, rollout: {}}\n", "spec.enforcement.rollout"),
        ("  enforcement: {mode: }\n", "spec.enforcement.mode"),
        ("  objectives: [{name: o, when: , minimize: candidate.carbon_g}]\n", "when"),
        ("  objectives:\n", "spec.objectives"),
        ("  priority:\n", "spec.priority"),
        ("tests:\n", "tests"),
    ],
)
def test_a_key_of_a_policy_that_says_nothing_is_refused_by_name(extra, path):
    (problem,) = problems(POLICY + extra)

    assert problem.code == "GO0111"
    assert f"{path}` is empty" in str(problem)


def test_a_match_without_a_rule_is_refused_and_does_not_mean_every_job():
    (problem,) = problems(changed(POLICY, '[{name: all, expression: job.kind == "batch"}]', "[]"))

    assert problem.code == "GO0111"
    assert "`spec.match` is empty" in str(problem)


@pytest.mark.feature("C9")
@pytest.mark.parametrize(
    ("old", "new", "code", "says"),
    [
        (
            "energyKwh: 2.4",
            "dataClass: personal\n  containsPersonalData: false",
            "GO0212",
            "is false, but the data class is personal",
        ),
        ("energyKwh: 2.4", "allowedRegions: []", "GO0211", "`spec.allowedRegions` is empty"),
    ],
)
def test_what_would_let_data_out_by_contradiction_is_refused(old, new, code, says):
    (problem,) = problems(changed(WORKLOAD, old, new))

    assert problem.code == code
    assert says in str(problem)


@pytest.mark.feature("C9")
def test_the_job_of_a_test_follows_the_rules_of_a_workload():
    job = "{name: etl, kind: batch, data_class: personal"
    both = POLICY + changed(
        TEST, "{name: etl, kind: batch", f"{job}, contains_personal_data: false"
    )
    none = POLICY + changed(TEST, "{name: etl, kind: batch", job)

    assert [each.code for each in problems(both)] == ["GO0112"]
    (test,) = compile_policies([("p.yaml", none)]).tests
    assert test.job.workload.contains_personal_data is True


@pytest.mark.feature("B6")
@pytest.mark.parametrize(
    "line", ["deadline: {within: 8h}", 'schedule: {at: "01:00", timeZone: Europe/Paris}']
)
def test_an_interactive_workload_that_could_wait_is_refused(line):
    text = HEAD + (
        "kind: Workload\nmetadata: {name: search}\nspec:\n"
        f"  kind: inference\n  homeRegion: eu\n  {line}\n"
    )

    (problem,) = problems(text)

    assert problem.code == "GO0221"
    assert "never delayed" in problem.message


@pytest.mark.feature("B6")
def test_a_policy_that_could_delay_a_declared_interactive_workload_is_refused():
    workload = HEAD + (
        "kind: Workload\nmetadata: {name: search}\n"
        "spec: {kind: inference, urgency: interactive, homeRegion: eu}\n"
    )
    policy = changed(POLICY, 'job.kind == "batch"', "job.name.startsWith('se')")
    policy = changed(policy, "  constraints:", "  limits: {deadline: {within: 4h}}\n  constraints:")

    (problem,) = problems(f"{workload}---\n{policy}")

    assert problem.code == "GO0121"
    assert "`rule` could delay interactive workload `search`" in problem.message


WAITS = "  limits: {deadline: {within: 4h}}\n  constraints:"


@pytest.mark.feature("B6")
@pytest.mark.parametrize(
    "match",
    [
        'job.urgency == "interactive"',
        '"interactive" == job.urgency',
        'job.urgency in ["interactive", "standard"]',
        'job.kind == "batch" && job.urgency == "interactive"',
        'job.urgency == "interactive" || job.urgency == "standard"',
        '!(job.urgency != "interactive")',
        'job.urgency != "best-effort"',
        'job.urgency.startsWith("inter")',
    ],
)
def test_a_policy_for_interactive_work_cannot_have_a_deadline(match):
    policy = changed(POLICY, 'job.kind == "batch"', f"'{match}'")

    (problem,) = problems(changed(policy, "  constraints:", WAITS))

    assert problem.code == "GO0121"
    assert problems(policy) == ()


@pytest.mark.feature("B6")
@pytest.mark.parametrize(
    "match",
    [
        'job.kind == "batch"',
        'job.urgency != "interactive"',
        'job.urgency in ["standard", "deferrable"]',
        'job.urgency != "best-effort" && job.urgency != "interactive"',
        '!(job.urgency in ["interactive", "break-glass"])',
        'has(job.urgency) && job.team == "a"',
    ],
)
def test_a_policy_for_other_work_may_have_a_deadline(match):
    policy = changed(POLICY, 'job.kind == "batch"', f"'{match}'")

    assert problems(changed(policy, "  constraints:", WAITS)) == ()


@pytest.mark.parametrize(
    ("old", "new", "code", "place", "says"),
    [
        ("within: 8h", "within: 2 hours", "GO0212", ":11:22", "`8h`"),
        ("within: 8h", "within: 8", "GO0212", ":11:22", "unit"),
        ("within: 8h", "within: 0h", "GO0212", ":11:22", "unit"),
        ("increase: 10%", "increase: 10", "GO0212", ":12:23", "`10%`"),
        ("increase: 10%", "increase: 10 %", "GO0212", ":12:23", "`10%`"),
        ("increase: 10%", "usd: 10 dollars", "GO0212", ":12:18", "40.0"),
        ("increase: 10%", "usd: -1", "GO0212", ":12:18", "0 or more"),
        ("reduction: 15%", "intensity: 10 g", "GO0212", ":13:26", "gCO2e/kWh"),
        ("reduction: 15%", "reductoin: 15%", "GO0210", ":13:15", "`reduction`"),
        ("{reduction: 15%}", "{}", "GO0211", ":13:14", "is empty"),
        ("{reduction: 15%}", "15%", "GO0212", ":13:14", "write a map"),
        ("energyKwh: 2.4", "energyKwh: 2.4 kWh", "GO0212", ":10:14", "in kWh"),
        ("kind: batch", "kind: bach", "GO0213", ":5:9", "`batch`"),
        ("urgency: deferrable", "urgency: 3", "GO0212", ":6:12", "a text"),
        ("homeRegion: eu-west-1", "homeRegoin: eu", "GO0210", ":7:3", "`homeRegion`"),
        ("homeRegion: eu-west-1", "homeRegion:", "GO0211", ":7:14", "is empty"),
        ("energyKwh: 2.4", 'team: ""', "GO0211", ":10:9", "is empty"),
        ("energyKwh: 2.4", "allowedRegions: eu", "GO0212", ":10:19", "list of texts"),
        ("energyKwh: 2.4", "interruptible: yes", "GO0212", ":10:18", "true or false"),
        ("energyKwh: 2.4", "schedule: {at: 6:00, timeZone: UTC}", "GO0212", ":10:18", "06:00"),
        ("energyKwh: 2.4", 'schedule: {at: "06:00", timeZone: X/Y}', "GO0212", ":10:37", "Paris"),
        ("energyKwh: 2.4", 'schedule: {at: "06:00"}', "GO0211", ":10:13", "timeZone"),
        ("{name: etl}", "{name: Ünfit}", "GO0112", ":3:18", "lower-case"),
        ("kind: Workload", "kind: Workolad", "GO0113", ":2:7", "`Workload`"),
        ("v1alpha1", "v2", "GO0112", ":1:13", "greenops.dev/v1alpha1"),
        ("spec:", "spek:", "GO0111", ":1:1", "`spec` is missing"),
    ],
)
def test_a_mistake_in_a_workload_says_where_and_what_is_right(old, new, code, place, says):
    found = problems(changed(WORKLOAD, old, new))

    assert [(p.code, str(p.at)) for p in found if p.code == code][:1] == [(code, f"p.yaml{place}")]
    assert any(says in str(p) for p in found if p.code == code)


def test_a_typo_in_an_expression_is_found_at_its_character():
    text = changed(POLICY, 'job.kind == "batch"', '\'job.kind == "batch" && job.urgncy == "x"\'')

    (problem,) = problems(text)

    assert str(problem).startswith("GO0131 p.yaml:5:59: unknown field `job.urgncy`")
    assert "did you mean `job.urgency`?" in str(problem)


def test_what_a_variable_brings_in_wrongly_is_found_where_it_is_put_in():
    text = changed(POLICY, 'job.kind == "batch"', "true && variables.long")
    long = '  variables:\n  - {name: long, expression: \'job.kind == "batch" && '
    text = changed(text, "  match:", long + "candidate.p95_ms < 1.0'}\n  match:")

    (problem,) = problems(text)

    assert (problem.code, str(problem.at)) == ("GO0131", "p.yaml:7:43")
    assert "cannot name `candidate`; write it as a constraint" in str(problem)


CONSTRAINT = "    expression: candidate.cost_usd < 10\n"


@pytest.mark.parametrize(
    ("old", "new", "code", "says"),
    [
        ("name: cheap", "name: limit/cheap", "GO0112", "reserved"),
        (CONSTRAINT, CONSTRAINT + "    level: strict\n", "GO0113", "advisory"),
        (CONSTRAINT, CONSTRAINT + "    mesage: x\n", "GO0110", "`message`"),
        (CONSTRAINT, CONSTRAINT + "  onError: Ignore\n", "GO0112", "Reject"),
        (CONSTRAINT, "    expression: candidate.cost_usd\n", "GO0132", "not bool"),
        (CONSTRAINT, "", "GO0111", "expression"),
        (CONSTRAINT, CONSTRAINT + "  - {name: cheap, expression: true}\n", "GO0112", "a text"),
        (CONSTRAINT, CONSTRAINT + "  - {name: cheap, expression: 'true'}\n", "GO0112", "unique"),
        (
            CONSTRAINT,
            CONSTRAINT + "    message: a\n    messageExpression: string(1)\n",
            "GO0112",
            "keep one",
        ),
        ('job.kind == "batch"', "candidate.region == 'a'", "GO0131", "constraint"),
        ('job.kind == "batch"', "limits.max_cost_usd > 1.0", "GO0131", "which policies match"),
        ('job.kind == "batch"', "has(limits.deadline)", "GO0131", "which policies match"),
        ('job.kind == "batch"', "job.labels.tier == 'a'", "GO0131", "unknown field"),
        ("owners: [a@example.com]", "owner: [a]", "GO0110", "`owners`"),
        ("owners: [a@example.com]", "owners: []", "GO0111", "owners` is empty"),
        ("owners: [a@example.com]", 'owners: [a, ""]', "GO0111", "owners` is empty"),
        ("name: cheap", 'name: ""', "GO0111", "name` is empty"),
        (CONSTRAINT, CONSTRAINT + "    message: ''\n", "GO0111", "message` is empty"),
        (CONSTRAINT, "    expression: ''\n", "GO0111", "expression` is empty"),
        (
            CONSTRAINT,
            CONSTRAINT + '  objectives: [{name: "", minimize: candidate.carbon_g}]\n',
            "GO0111",
            "name` is empty",
        ),
        ("  constraints:", "  priority: high\n  constraints:", "GO0112", "whole number"),
        ("  constraints:", "  params: {p: {}}\n  constraints:", "GO0112", "a list"),
        ("  constraints:", "  params: {p: []}\n  constraints:", "GO0112", "a list"),
        (CONSTRAINT, "    expression: candidate.cost_usd < params.x\n", "GO0131", "params.x"),
        (CONSTRAINT, "    expression: variables.x\n", "GO0131", "variables.x"),
        (
            "  constraints:",
            "  variables: [{name: a b, expression: 'true'}]\n  constraints:",
            "GO0112",
            "letters",
        ),
        (
            CONSTRAINT,
            CONSTRAINT + "  enforcement: {mode: enforce, rollout: {percent: 101}}\n",
            "GO0112",
            "0 to 100",
        ),
        (CONSTRAINT, CONSTRAINT + "tests: [{name: t}]\n", "GO0111", "job"),
        (
            CONSTRAINT,
            CONSTRAINT + "  verification: {invariants: [{id: a, assert: '!eligble'}]}\n",
            "GO0131",
            "eligible",
        ),
    ],
)
def test_a_mistake_in_a_policy_says_what_is_right(old, new, code, says):
    found = problems(changed(POLICY, old, new))

    assert any(p.code == code and says in str(p) for p in found), [str(p) for p in found]
    assert all(p.at is not None and p.at.line for p in found)


EXCEPTION = """  exceptions:
  - id: E1
    reason: attack
    approvedBy: [boss@example.com]
    notBefore: "2026-11-01T00:00:00Z"
    expires: "2026-11-10T00:00:00Z"
    match: job.urgency == "break-glass"
    effect: {runNow: true}
"""


@pytest.mark.parametrize(
    ("old", "new", "code", "says"),
    [
        ('    expires: "2026-11-10T00:00:00Z"\n', "", "GO0111", "expires"),
        ("2026-11-10T", "2026-11-16T", "GO0114", "14 days"),
        ("2026-11-10T", "2026-10-16T", "GO0114", "14 days"),
        ("    approvedBy: [boss@example.com]\n", "", "GO0111", "approvedBy"),
        ("[boss@example.com]", "[]", "GO0111", "approvedBy` is empty"),
        ("[boss@example.com]", '[""]', "GO0111", "approvedBy` is empty"),
        ("reason: attack", 'reason: ""', "GO0111", "reason` is empty"),
        ("id: E1", "id: ' '", "GO0111", "id` is empty"),
        ("runNow: true", "waive: [cheap]", "GO0112", "soft"),
        ("{runNow: true}", "{}", "GO0112", "effect` changes nothing"),
        ("runNow: true", "runNow: false", "GO0112", "effect` changes nothing"),
        ("runNow: true", "waive: []", "GO0112", "effect` changes nothing"),
        ("runNow: true", "runNow: ", "GO0111", "runNow` is empty"),
        ("2026-11-10T00:00:00Z", "tomorrow", "GO0112", "an instant"),
    ],
)
def test_an_exception_needs_an_end_an_approver_and_a_soft_constraint(old, new, code, says):
    text = POLICY + changed(EXCEPTION, old, new)

    found = problems(text)

    assert [p.code for p in found] == [code], [str(p) for p in found]
    assert says in str(found[0])


TEST = """tests:
- name: dear
  job: {name: etl, kind: batch}
  baseline: {id: now, cost_usd: 1.0}
  candidates: [{id: b, cost_usd: 11.0}]
  expect: {choose: now, rejected: {b: [cheap]}}
"""


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("name: dear", 'name: ""', "tests[0].name"),
        ("choose: now", 'choose: ""', "tests[0].expect.choose"),
        ("[cheap]", "[]", "tests[0].expect.rejected.b"),
        ("[cheap]", "", "tests[0].expect.rejected.b"),
        ("{b: [cheap]}", "{}", "tests[0].expect.rejected"),
        ("rejected: {b: [cheap]}", "warned: {b: }", "tests[0].expect.warned.b"),
    ],
)
def test_a_test_that_would_assert_nothing_is_refused(old, new, path):
    (problem,) = problems(POLICY + changed(TEST, old, new))

    assert problem.code == "GO0111"
    assert f"`{path}` is empty" in str(problem)


def test_lint_tells_every_problem_and_compile_raises_the_first():
    text = changed(changed(WORKLOAD, "kind: batch", "kind: bach"), "8h", "8 h")
    sources = [("a.yaml", text), ("b.yaml", "a: [")]

    found = lint(sources)

    assert sorted(p.code for p in found) == ["GO0101", "GO0212", "GO0213"]
    with pytest.raises(InvalidFile) as caught:
        compile_policies(sources)
    assert str(caught.value) == str(found[0])


def test_two_documents_with_one_name_are_refused():
    (problem,) = lint([("a.yaml", WORKLOAD), ("b.yaml", WORKLOAD)])

    assert problem.code == "GO0117"
    assert str(problem.at) == "b.yaml:1:1"
    assert "first: a.yaml:1:1" in str(problem)


def test_two_exceptions_with_one_id_are_refused_within_a_policy_and_across():
    twice = EXCEPTION + EXCEPTION.split("\n", 1)[1]
    other = changed(POLICY, "{name: rule,", "{name: other,")

    (within,) = problems(POLICY + twice)
    (across,) = problems(f"{POLICY}{EXCEPTION}---\n{other}{EXCEPTION}")

    assert (within.code, str(within.at)) == ("GO0117", "p.yaml:17:9")
    assert "exception `E1` is declared twice; rename one; first: p.yaml:10:9" in str(within)
    assert across.code == "GO0117"


def test_two_objectives_of_one_priority_for_one_workload_are_refused_with_their_owners():
    objective = "  objectives: [{name: o, minimize: candidate.carbon_g}]\n"
    rival = changed(POLICY, "{name: rule, owners: [a@", "{name: rival, owners: [b@")

    (problem,) = problems(f"{WORKLOAD}---\n{POLICY}{objective}---\n{rival}{objective}")

    assert problem.code == "GO0118"
    assert "`rule` (a@example.com) and `rival` (b@example.com)" in problem.message


def test_a_higher_priority_settles_which_objective_counts():
    objective = "  objectives: [{name: o, minimize: candidate.carbon_g}]\n"
    rival = changed(POLICY, "{name: rule,", "{name: rival,")

    assert not problems(f"{WORKLOAD}---\n{POLICY}{objective}---\n{rival}{objective}  priority: 1\n")


def test_variables_that_grow_without_end_are_refused():
    lines = ["  variables:", "  - {name: v0, expression: candidate.cost_usd + 1.0}"]
    lines += [
        f"  - {{name: v{i}, expression: variables.v{i - 1} + variables.v{i - 1}}}"
        for i in range(1, 40)
    ]
    text = changed(POLICY, "  constraints:", "\n".join([*lines, "  constraints:"]))

    found = problems(text)

    assert "GO0134" in {p.code for p in found}


def test_labels_that_a_workload_declares_may_be_named():
    workload = WORKLOAD + "  labels: {tier: gold, cost-center: x}\n"
    rule = """'job.labels.tier == "gold" && job.labels["cost-center"] == "x"'"""

    policy = changed(POLICY, 'job.kind == "batch"', rule)

    made = compile_policies([("p.yaml", f"{workload}---\n{policy}")])

    assert made.matching(made.workloads["etl"]) == made.policies
    assert 'job.labels["cost-center"]' in made.policies[0].match[0].text


def test_what_is_no_map_is_no_document():
    (problem,) = problems("- a\n- b\n")

    assert (problem.code, str(problem.at)) == ("GO0112", "p.yaml:1:1")


def test_the_hash_depends_on_meaning_and_not_on_spelling():
    spaced = changed(POLICY, "candidate.cost_usd < 10", "candidate.cost_usd<10.0  # dear")
    dearer = changed(POLICY, "< 10", "< 11")

    hashes = [compile_policies([("p.yaml", t)]).hash for t in (POLICY, spaced, dearer)]

    assert hashes[0] == hashes[1] != hashes[2]


def test_a_faulty_workload_is_told_once_and_not_as_unknown_by_its_tests():
    asked = """tests:
- name: now is fine
  job: {workload: etl}
  baseline: {id: now, cost_usd: 1.0}
  expect: {choose: now}
"""
    faulty = changed(WORKLOAD, "  deadline: {within: 8h}\n", "")

    assert [each.code for each in problems(f"{faulty}---\n{POLICY}{asked}")] == ["GO0220"]
