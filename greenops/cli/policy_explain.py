"""`greenops policy explain`: what the rules say, of a workload, in a test, or on their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

    from greenops.domain.decision import Candidate, Decision, Verdict
    from greenops.pipeline.policy_tests import TestResult
    from greenops.policy import PolicySet
    from greenops.policy.model import Objective, Policy


def add_parser(verbs: Any) -> None:
    """Add `policy explain`."""
    explain = verbs.add_parser("explain", help="constraint by constraint, candidate by candidate")
    explain.add_argument("workload", nargs="?", help="a declared workload, or a policy's name")
    explain.add_argument("--test", metavar="NAME", help="the test whose candidates to explain")
    explain.add_argument(
        "--path", type=Path, metavar="PATH", help="folder, file or bundle of policies"
    )
    explain.add_argument(
        "--for", dest="reader", choices=("on-call", "finance"), help="five fields for this reader"
    )
    explain.add_argument("--all", action="store_true", help="constraints that hold too")
    explain.add_argument("-o", "--output", choices=("table", "json"), default="table")
    explain.set_defaults(run=run_explain)


def policy_folder(given: Path | None) -> Path:
    """The folder or file that is named; the setting where none is."""
    from greenops.config import load_settings

    return given if given is not None else load_settings().policies


def run_explain(args: argparse.Namespace) -> int:
    """Explain a test of a policy, or the policies that a workload meets.

    Raises:
        UsageError: There is no such workload, policy or test.
    """
    from greenops.errors import UsageError
    from greenops.pipeline.policies import read_policies

    policies = read_policies(policy_folder(args.path))
    record = _rules(policies, args.workload) if args.test is None else None
    if record is not None:
        if args.reader or args.all:
            raise UsageError(
                "GO0119",
                f"nothing is decided for `{args.workload}` here, so there are no such fields",
                fix="name a policy with tests, or `--test NAME`; `greenops plan` decides a run",
            )
        show = print_json if args.output == "json" else _explain_rules
        show(record)
        return 0
    results = _wanted(policies, args.workload, args.test)
    if args.output == "json":
        print_json([_result_record(each, policies, args) for each in results])
        return 0
    for each in results:
        _explain_test(each, policies, args)
    return 0


def _result_record(
    result: TestResult, policies: PolicySet, args: argparse.Namespace
) -> dict[str, Any]:
    from greenops.cli.policy_explain_views import constraint_rows
    from greenops.domain.record import plain

    record = {**result_record(result), "judgement": plain(result.judgement)}
    if args.reader:
        record["fields"] = _fields(result, policies, args.reader)
    if args.all:
        names = ("candidate", "rule", "verdict", "why")
        rows = constraint_rows(result, policies, _policy_of(result, policies))
        record["constraints"] = [dict(zip(names, row, strict=True)) for row in rows]
    return record


def _policy_of(result: TestResult, policies: PolicySet) -> Policy:
    (policy,) = policies.only(result.test.policy).policies
    return policy


def _fields(result: TestResult, policies: PolicySet, reader: str) -> Mapping[str, str]:
    from greenops.cli.policy_explain_views import finance, on_call

    view = on_call if reader == "on-call" else finance
    return view(result, _policy_of(result, policies))


def _rules(policies: PolicySet, name: str | None) -> dict[str, Any] | None:
    """What a workload meets, or what a policy without tests says; none for any other name."""
    workload = policies.workloads.get(name or "")
    if workload is not None:
        return {
            "workload": workload.name,
            "kind": workload.kind.value,
            "urgency": workload.urgency.value,
            "homeRegion": workload.home_region,
            "policies": [_policy_record(each) for each in policies.matching(workload)],
        }
    tested = {each.policy for each in policies.tests}
    found = [each for each in policies.policies if each.name == name and name not in tested]
    return {"policies": [_policy_record(each) for each in found]} if found else None


def _policy_record(policy: Policy) -> dict[str, Any]:
    from greenops.domain.record import plain

    rules = [("match", "match", each.text) for each in policy.match]
    rules += [(each.name, each.level.value, each.expression.text) for each in policy.constraints]
    rules += [
        (f"limit/{name}", "limit", str(value))
        for name, value in plain(policy.limits).items()
        if value is not None
    ]
    rules += [(each.name, "objective", _aim(each)) for each in policy.objectives]
    rules += [(each.id, "exception", each.match.text) for each in policy.exceptions]
    return {
        "policy": policy.name,
        "owners": list(policy.owners),
        "priority": policy.priority,
        "mode": policy.mode.value,
        "rules": [{"name": name, "kind": kind, "expression": text} for name, kind, text in rules],
    }


def _aim(objective: Objective) -> str:
    when = f" when {objective.when.text}" if objective.when else ""
    tie = f", then {objective.tie_break.text}" if objective.tie_break else ""
    return f"minimize {objective.minimize.text}{tie}{when}"


def _explain_rules(record: dict[str, Any]) -> None:
    if "workload" in record:
        head = "{workload}: {kind}, {urgency}, home {homeRegion}".format(**record)
        print(head if record["policies"] else f"{head}; no policy could match a run of it")
    for policy in record["policies"]:
        head = "\n{policy} (priority {priority}, {mode}), ask {asked}"
        print(head.format(**policy, asked=", ".join(policy["owners"])))
        _table([tuple(each.values()) for each in policy["rules"]])


def _wanted(policies: PolicySet, name: str | None, test: str | None) -> list[TestResult]:
    from greenops.errors import UsageError, nearest
    from greenops.pipeline.policy_tests import run_tests

    found = [
        each
        for each in run_tests(policies)
        if (name is None or name in (each.test.policy, each.test.job.workload.name))
        and (test is None or test == each.test.name)
    ]
    if found and (name or test):
        return found
    if test is not None:
        near = nearest(test, [each.name for each in policies.tests])
    else:
        near = nearest(name or "", [*policies.workloads, *(e.name for e in policies.policies)])
    raise UsageError(
        "GO0119",
        f"nothing to explain for `{test or name or ''}`",
        fix=f"did you mean `{near}`?" if near else "name a workload, a policy, or `--test NAME`",
    )


def _explain_test(result: TestResult, policies: PolicySet, args: argparse.Namespace) -> None:
    """Five fields, then the rules and candidates: what refuses, or with `--all` every constraint."""
    test, decision = result.test, result.decision
    print(f"{test.policy}: {test.name}")
    fields = _fields(result, policies, args.reader) if args.reader else _usual_fields(result)
    width = max(map(len, fields))
    for name, value in fields.items():
        print(f"  {name:<{width}}  {value}")
    if args.all or not args.reader:
        print()
    if args.all:
        from greenops.cli.policy_explain_views import constraint_rows

        every = constraint_rows(result, policies, _policy_of(result, policies))
        _table([("candidate", "rule", "verdict", "why"), *every])
    elif not args.reader:
        places = {each.id: each for each in (test.baseline, *test.candidates)}
        head = ("candidate", "verdict", "rule", "why")
        rows = [row for each in result.judgement.verdicts for row in _rows(each, places, decision)]
        _table([head, *rows])
    print()


def _usual_fields(result: TestResult) -> dict[str, str]:
    """Chosen, why, the numbers, the rules, the way round them."""
    from greenops.cli.policy_explain_views import limits_line

    decision = result.decision
    return {
        "chosen": f"{decision.chosen.id} (baseline {decision.baseline.id})",
        "reason": decision.reason,
        "limits": limits_line(result),
        "policies": f"{', '.join(decision.policies) or 'none'} ({decision.mode})",
        "exception": decision.exception or "none",
    }


def _rows(
    verdict: Verdict, places: dict[str, Candidate], decision: Decision
) -> list[tuple[str, ...]]:
    """One row per rule that a candidate breaks; one row where it breaks none."""
    word = "chosen" if verdict.candidate == decision.chosen.id else _word(verdict)
    broken = [(name, "refused") for name in verdict.reasons]
    broken += [(name, "warned") for name in verdict.warnings]
    if not broken:
        place = places[verdict.candidate]
        figures = f"{_figure(place.carbon_g)} g, {_figure(place.cost_usd)} USD"
        return [(verdict.candidate, word, "-", figures)]
    return [
        (verdict.candidate, said, name, verdict.errors.get(name) or verdict.messages.get(name, "-"))
        for name, said in broken
    ]


def _figure(value: float | None) -> str:
    return "unknown" if value is None else f"{value:g}"


def _word(verdict: Verdict) -> str:
    return "allowed" if verdict.eligible else "not better"


def _table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))] if rows else []
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  " + "  ".join(cells).rstrip())


def result_record(result: TestResult) -> dict[str, object]:
    """One test and what became of it, as JSON says it."""
    return {
        "policy": result.test.policy,
        "test": result.test.name,
        "passed": result.passed,
        "chosen": result.decision.chosen.id,
        "failures": list(result.failures),
        "at": str(result.test.source),
    }


def print_json(value: object) -> None:
    """Data for a program, on stdout."""
    import json

    print(json.dumps(value, indent=2, ensure_ascii=False))
