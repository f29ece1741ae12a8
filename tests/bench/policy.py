"""How fast policies are judged, and whether the evaluators mean the same; `--json` for machines.

One rule over 1,000 jobs x 8 regions x 125 slots, against DuckDB, cel-python and Google's C++ runtime;
then random expressions on random rows against the C++ runtime.
"""

# ruff: noqa: T201  (a benchmark prints)

from __future__ import annotations

import argparse
import importlib.util
import json
import logging
import random
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from greenops.policy import compile_policies, lint
from greenops.policy.evaluate import Failed, to_cel
from greenops.policy.verdict_columns import verdict_columns

JOBS, REGIONS, SLOTS = 1_000, 8, 125
NOW = datetime(2026, 11, 1, tzinfo=UTC)
RULE = (
    'job.urgency != "interactive" && candidate.region in job.allowed_regions'
    " && candidate.carbon_g <= baseline.carbon_g * 0.9"
    " && candidate.cost_usd <= baseline.cost_usd * 1.1"
)
SQL = """select count(*) filter (where urgency <> 'interactive' and list_contains(allowed, region)
    and carbon <= base_carbon * 0.9 and cost <= base_cost * 1.1) from wide"""
FILE = """apiVersion: greenops.dev/v1alpha1
kind: PlacementPolicy
metadata: {{name: p{name}, owners: [a@example.com]}}
spec:
  match: [{{name: batch, expression: 'job.kind == "batch"'}}]
  constraints:
{rules}"""
PAIRS, ROWS_EACH, SLOW_EACH = 200_000, 24, 3


@dataclass(frozen=True)
class Figure:
    """One number, and what it must and should be."""

    key: str
    value: float
    must: float
    aim: float
    at_most: bool = False

    def holds(self, bound):
        return self.value <= bound if self.at_most else self.value >= bound


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--pairs", type=int, default=PAIRS, help="(expression, row) pairs")
    asked = parser.parse_args()
    logging.disable(logging.CRITICAL)
    jobs, candidates = tables()
    speed, allowed, notes = judged(jobs, candidates)
    duck, same = duckdb_seconds(jobs, candidates)
    if same != allowed:
        raise SystemExit(f"duckdb allows {same} candidates, we allow {allowed}")
    rows = plain_rows(jobs, candidates, 2_000)
    total = candidates.num_rows
    mismatches, counts = differences(asked.pairs)
    speed = min(speed, judged(jobs, candidates)[0])  # a burst of other work seldom lasts so long
    notes["judge_ms"] = speed * 1e3
    figures = [
        Figure("rows_per_s", total / speed, 30e6, 100e6),
        Figure("vs_duckdb", duck / speed, 1.0, 3.0),
        Figure("vs_celpython", celpython_seconds(rows[:150]) * total / speed, 1e4, 5e4),
        Figure("vs_cel_cpp", cel_cpp_seconds(rows) * total / speed, 100, 500),
        Figure("check_ms", check_seconds() * 1e3, 500, 150, at_most=True),
        Figure("mismatches", mismatches, 0, 0, at_most=True),
    ]
    told(figures, {**notes, **counts}, as_json=asked.json)
    return 0 if all(each.holds(each.must) for each in figures) else 1


def told(figures, notes, *, as_json):
    if as_json:
        whole = {each.key: each.value for each in figures}
        bounds = {each.key: {"must": each.must, "aim": each.aim} for each in figures}
        print(json.dumps({**whole, **notes, "bounds": bounds}))
        return
    for each in figures:
        sign = "<=" if each.at_most else ">="
        words = ("ok" if each.holds(each.must) else "FAILS", "aim met" * each.holds(each.aim))
        print(
            f"{each.key:<14}{each.value:>18,.1f}  must {sign} {each.must:,.0f}  aim {sign} {each.aim:,.0f}",
            *words,
        )
    for name, value in notes.items():
        print(f"  {name}: {value:,}")


def tables():
    """Both tables, made from a seed."""
    draw = np.random.default_rng(7)
    names = [f"region-{at}" for at in range(REGIONS)]
    total = JOBS * REGIONS * SLOTS
    urgency = pa.array(draw.choice(["interactive", "standard", "deferrable"], JOBS))
    allowed = [list(draw.choice(names, 3, replace=False)) for _ in range(JOBS)]
    jobs = pa.table(
        {
            "job.kind": pa.array(["batch"] * JOBS).dictionary_encode(),
            "job.urgency": urgency.dictionary_encode(),
            "job.allowed_regions": pa.array(allowed),
            "job.submitted": pa.array([NOW] * JOBS, pa.timestamp("us", "UTC")),
            "baseline.carbon_g": draw.uniform(50, 150, JOBS),
            "baseline.cost_usd": draw.uniform(1, 2, JOBS),
        }
    )
    codes = np.tile(np.repeat(np.arange(REGIONS, dtype=np.int32), SLOTS), JOBS)
    candidates = pa.table(
        {
            "job": np.repeat(np.arange(JOBS, dtype=np.int32), REGIONS * SLOTS),
            "candidate.region": pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(names)),
            "candidate.carbon_g": draw.uniform(20, 300, total),
            "candidate.cost_usd": draw.uniform(0.8, 2.5, total),
        }
    )
    return jobs, candidates


def judged(jobs, candidates):
    """Seconds of the whole judgement: tables read, built-in rules, reasons, verdicts."""
    rule = f"  - {{name: rule, level: hard, expression: '{RULE}'}}\n"
    policies = compile_policies([("rule.yaml", FILE.format(name=0, rules=rule))])
    speed = least(40, lambda: verdict_columns(policies, jobs, candidates, now=NOW, sample=0))
    sampled = least(3, lambda: verdict_columns(policies, jobs, candidates, now=NOW))
    found = verdict_columns(policies, jobs, candidates, now=NOW)
    if found.mismatches or found.slow:
        raise SystemExit(f"evaluators differ, or did not compile: {found}")
    notes = {"allowed": int(found.allowed.sum()), "judge_ms": speed * 1e3}
    return speed, notes["allowed"], {**notes, "judge_with_sample_ms": sampled * 1e3}


def duckdb_seconds(jobs, candidates):
    """Seconds of the same rule with both tables joined beforehand, and how many rows it allows."""
    at = candidates.column("job")
    wide = pa.table(
        {
            "urgency": jobs.column("job.urgency").take(at),
            "allowed": jobs.column("job.allowed_regions").take(at),
            "base_carbon": jobs.column("baseline.carbon_g").take(at),
            "base_cost": jobs.column("baseline.cost_usd").take(at),
            "region": candidates.column("candidate.region"),
            "carbon": candidates.column("candidate.carbon_g"),
            "cost": candidates.column("candidate.cost_usd"),
        }
    )
    with duckdb.connect() as database:
        database.execute("set threads = 2")
        database.register("wide", wide)
        allowed = database.execute(SQL).fetchone()[0]
        return least(7, lambda: database.execute(SQL).fetchone()), allowed


def plain_rows(jobs, candidates, count):
    """Some candidates with their jobs as plain maps."""
    step = candidates.num_rows // count
    rows = []
    for at in range(0, candidates.num_rows, step):
        place = candidates.slice(at, 1).to_pylist()[0]
        job = jobs.slice(place.pop("job"), 1).to_pylist()[0]
        row: dict[str, dict[str, object]] = {"job": {}, "baseline": {}, "candidate": {}}
        for name, value in {**job, **place}.items():
            if not isinstance(value, datetime):
                root, field = name.split(".")
                row[root][field] = value
        rows.append(row)
    return rows


def celpython_seconds(rows):
    """Seconds a row with cel-python's interpreter as it comes."""
    import celpy
    from celpy.adapter import json_to_cel

    environment = celpy.Environment(runner_class=celpy.InterpretedRunner)
    program = environment.program(environment.compile(RULE))

    def work():
        for row in rows:
            program.evaluate({root: json_to_cel(fields) for root, fields in row.items()})

    return least(3, work) / len(rows)


def cel_cpp_seconds(rows):
    """Seconds a row with cel-expr-python."""
    from cel_expr_python import cel  # type: ignore[import-untyped]

    any_map = cel.Type.Map(cel.Type.STRING, cel.Type.DYN)
    names = ("job", "baseline", "candidate")
    program = cel.NewEnv(variables=dict.fromkeys(names, any_map)).compile(RULE)

    def work():
        for row in rows:
            program.eval(data=row)

    return least(3, work) / len(rows)


def check_seconds():
    """Seconds to check 200 rules in four policies."""

    def rules(name):
        cost = f"candidate.cost_usd <= baseline.cost_usd * 1.{name}%02d"
        text = f'{cost} && candidate.region in job.allowed_regions || job.team == "t%d"'
        return "".join(
            f"  - {{name: r{at}, level: hard, expression: '{text % (at, at)}'}}\n"
            for at in range(49)
        )

    whole = "---\n".join(FILE.format(name=name, rules=rules(name)) for name in range(4))
    if problems := lint([("rules.yaml", whole)]):
        raise SystemExit(str(problems[0]))
    return least(5, lambda: lint([("rules.yaml", whole)]))


def differences(pairs):
    """Pairs on which kernels, C++ runtime and, on some rows, the row evaluator do not agree."""
    tests = load_differential()
    draw, compared, slow, wrong, errors = random.Random(11), 0, 0, 0, 0
    while compared < pairs:
        text = expression(tests, draw, "bool", 4, local=False)
        made = tests.compiled(text)
        if made is None:
            continue
        jobs = [row(tests, draw) for _ in range(4)]
        job = [at * 4 // ROWS_EACH for at in range(ROWS_EACH)]
        if draw.random() < 0.5:
            draw.shuffle(job)
        rows = [{**jobs[at], "candidate": row(tests, draw)["candidate"]} for at in job]
        said = tests.said_by_kernels(made, jobs, rows, job)
        program = tests.ORACLE.compile(text)
        for at, (mine, each) in enumerate(zip(said, rows, strict=True)):
            reference = oracle_answer(tests, program, each)
            answers = [mine]
            if at < SLOW_EACH:
                answer = made({root: to_cel(fields) for root, fields in each.items()})
                answers.append("error" if isinstance(answer, Failed) else answer)
                slow += 1
            if any(answer != reference for answer in answers):
                wrong += 1
                print("MISMATCH", text, each, reference, answers, file=sys.stderr)
            errors += reference == "error"
        compared += len(rows)
    return wrong, {"pairs": compared, "pairs_row_by_row": slow, "pairs_that_err": errors}


def oracle_answer(tests, program, each):
    data = {root: {k: tests.message(v) for k, v in fields.items()} for root, fields in each.items()}
    result = program.eval(data=data)
    return "error" if result.type() == tests.T.ERROR else result.value()


def expression(tests, draw, kind, depth, *, local):
    """CEL of a type, from the shapes that the differential tests draw from."""
    if depth <= 0 or kind not in tests.SHAPES or draw.random() < 1 / 7:
        fields = [name for name, of in tests.SCHEMA.items() if of == kind]
        if local and kind == "string":
            fields.append("r")
        return draw.choice(fields if draw.random() < 0.6 else tests.LITERALS[kind])
    families = [each for each in tests.SHAPES[kind] if not (local and each is tests.MACROS)]
    template = draw.choice(draw.choice([*families, [f"(<bool> ? <{kind}> : <{kind}>)"]]))
    return tests.SLOT.sub(
        lambda slot: expression(tests, draw, slot[1], depth - 1, local=local or bool(slot[2])),
        template,
    )


def row(tests, draw):
    made: dict[str, dict[str, object]] = {"job": {}, "candidate": {}, "baseline": {}}
    for name, kind in tests.SCHEMA.items():
        root, field = name.split(".")
        if draw.random() < 5 / 6:
            made[root][field] = draw.choice(tests.VALUES[kind])
    return made


def load_differential():
    path = Path(__file__).parents[1] / "unit" / "policy" / "test_differential.py"
    spec = importlib.util.spec_from_file_location("differential", path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{path} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def least(times, work):
    """Seconds of the quickest of some runs: what the machine can do when left alone."""
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


if __name__ == "__main__":
    sys.exit(main())
