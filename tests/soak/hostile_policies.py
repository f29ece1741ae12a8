"""Seeded damage to policy files: each ends as policies that both evaluators judge alike, or as one line.

python tests/soak/hostile_policies.py [--count 1000000] [--seed 0]
"""

# ruff: noqa: T201

from __future__ import annotations

import argparse
import os
import random
import re
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from greenops.domain.decision import Candidate
from greenops.domain.workload import Job, Urgency, Workload, WorkloadKind
from greenops.errors import InvalidFile
from greenops.pipeline.policy_files import text_of
from greenops.pipeline.policy_tests import run_tests
from greenops.policy import PolicySet, compile_policies
from greenops.policy.document import MAX_BYTES
from greenops.policy.record_tables import Choice, candidate_table, job_table
from greenops.policy.verdict_columns import verdict_columns

ROOT = Path(__file__).parents[2] / "policies"
LONGEST = 1.0
"""Most CPU time that one file may take, evaluation included [s]."""
GROWTH = 300.0
"""Most that resident memory may grow [MiB]."""
SHORT = 2_500
"""Longest document of which there are many in the corpus [characters]."""
LONGEST_FILE = 4 * MAX_BYTES
"""Bytes of a damaged file: whoever reads one stops behind `MAX_BYTES`, and changes multiply to 80 MB."""
SHARD = 10_000
"""Files to one process of the soak: memory is told for each."""

SCALARS = (
    *("", "~", "null", "true", "NO", "010", "0x1F", "0o17", "1e3", "1e999", ".inf", ".nan", "-0.0"),
    *("9223372036854775807", "9223372036854775808", "-9223372036854775809", "9" * 400, "16:00"),
    *("2026-11-23", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "10%", "-5%", "1e400%", "8h"),
    *("99999999999999999h", "-1s", "&a x", "*a", "!x y", "!!python/name:os.system ''", "<<", "? a"),
    *("'", '"', '"\\U00110000"', '"\\ud800"', '"\\e[2J"', "|", ">", "|\n x", "[", "{", "]", "}"),
    *("[[]]", "{a: {b: {}}}", "[1, a, true]", "\u202eevil", "\U0001f331", "é", "a" * 5_000, "# x"),
)
TOKENS = (
    *("+", "-", "*", "/", "%", "<", "<=", ">", ">=", "==", "!=", "&&", "||", "!", "?", ":", "."),
    *(
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        "in",
        "true",
        "false",
        "null",
        "0",
        "1",
        "-1",
        "0.0",
        "1.5",
    ),
    *("1u", "b'x'", "r'\\'", "''", '"a"', "'''", "//", "`a-b`", "9223372036854775807", "1e308"),
    *("job.kind", "job.labels", "job.allowed_regions", "candidate.cost_usd", "candidate.region"),
    *(
        "baseline.carbon_g",
        "limits.deadline",
        "now",
        "params.x",
        "variables.v",
        "x",
        "size(",
        "has(",
    ),
    *(
        "ratio(",
        "dyn(",
        "int(",
        "string(",
        "type(",
        "timestamp('now')",
        "duration('1h')",
        ".map(x, ",
    ),
    *(".all(x, ", ".exists(x, ", ".matches('(a+)+$')", ".getHours('Europe/Paris')", ".startsWith("),
)
CHARACTERS = (
    "\x00\x07\x1b\x7f\x85\xa0\u2028\u2029\u202e\ufeff\ud7ff\U0010ffff\r\n\t '\"{}[]:,&*!|>%@`#-?"
)
BYTE_SHARE = 0.2
"""Share of changes that know nothing of YAML."""
SIZES = (*(100, 500) * 8, *(5_000,) * 3, 100_000)
"""How often a huge scalar repeats its signs; the largest cost a hundred times what others do."""
TOKEN = re.compile(r"\w+|&&|\|\||[<>=!]=|\S")
QUOTED = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"")
VALUE = re.compile(r"(?<=: )[^\n,{}\[\]]+|(?<=[\[,] )[^\n,{}\[\]]+")


def corpus(root: Path = ROOT) -> list[str]:
    """Each shipped policy document: without its tests, whole if it is short, and all of some files.

    A short file costs a third of the time and is damaged in a part that matters as often.
    """
    texts = [path.read_text(encoding="utf-8") for path in sorted(root.rglob("*.yaml"))]
    parts = [part for text in texts for part in re.split(r"(?m)^---\n", text) if "kind:" in part]
    rules = [_without_tests(part) for part in parts]
    short = [text for text in (*parts, *rules) if len(text) < SHORT]
    return [*short, *short, *short, *texts[::4]]


def _without_tests(part: str) -> str:
    """A document without its tests and its comments."""
    return re.sub(r"(?m)^ *#.*\n", "", re.split(r"(?m)^tests:", part)[0])


def mutant(texts: Sequence[str], seed: int) -> bytes:
    """The file of a seed; the same on every machine."""
    draw = random.Random(seed)
    content = draw.choice(texts).encode()
    for _ in range(draw.choice((1, 1, 1, 2, 3, 5))):
        if draw.random() < BYTE_SHARE:
            content = draw.choice(BYTE_CHANGES)(draw, content)
        else:
            text = content.decode(errors="replace")
            content = draw.choice(TEXT_CHANGES)(draw, text).encode(errors="replace")
        content = content[:LONGEST_FILE]
    return content


def _flipped(draw: random.Random, content: bytes) -> bytes:
    at = draw.randrange(len(content) + 1)
    return content[:at] + bytes([draw.randrange(256)]) + content[at + draw.randrange(2) :]


def _cut(draw: random.Random, content: bytes) -> bytes:
    at = draw.randrange(len(content) + 1)
    return content[:at] + content[at + draw.choice((1, 2, 10, 100, len(content))) :]


def _repeated(draw: random.Random, content: bytes) -> bytes:
    at, size = draw.randrange(len(content) + 1), draw.choice((1, 3, 30, 300))
    return content[:at] + content[at : at + size] * draw.choice((2, 3, 20)) + content[at:]


def _placed(draw: random.Random, text: str, pattern: re.Pattern[str], new: str) -> str:
    """The text with one match of a pattern, or what comes before it, replaced."""
    found = list(pattern.finditer(text))
    if not found:
        return text + new
    one = draw.choice(found)
    return text[: one.start()] + new + text[one.end() :]


def _other_scalar(draw: random.Random, text: str) -> str:
    return _placed(draw, text, VALUE, draw.choice(SCALARS))


def _huge_scalar(draw: random.Random, text: str) -> str:
    signs = draw.choice(("a", "9", "é", "\\n", "a ", "a\n  ", "''", "[", "{a: ", "- ", "(", "!"))
    return _placed(draw, text, VALUE, signs * draw.choice(SIZES))


def _other_token(draw: random.Random, text: str) -> str:
    found = list(QUOTED.finditer(text))
    if not found:
        return text
    one = draw.choice(found)
    inner = _placed(draw, one[0][1:-1], TOKEN, draw.choice(TOKENS))
    return text[: one.start()] + one[0][0] + inner + one[0][-1] + text[one.end() :]


def _nested_rule(draw: random.Random, text: str) -> str:
    found = list(QUOTED.finditer(text))
    if not found:
        return text
    one, depth = draw.choice(found), draw.choice((1, 2, 5, 20, 35, 60, 200))
    begin, end = draw.choice((("(", ")"), ("!", ""), ("[", "][0]"), ("true && (", ")"), ("-", "")))
    inner = begin * depth + one[0][1:-1] + end * depth
    return text[: one.start()] + one[0][0] + inner + one[0][-1] + text[one.end() :]


def _lines(change: Callable[[random.Random, list[str]], None]) -> Callable[..., str]:
    def changed(draw: random.Random, text: str) -> str:
        lines = text.split("\n")
        change(draw, lines)
        return "\n".join(lines)

    return changed


def _twice(draw: random.Random, lines: list[str]) -> None:
    at = draw.randrange(len(lines))
    lines[at:at] = [lines[at]] * draw.choice((1, 1, 2, 300))


def _without(draw: random.Random, lines: list[str]) -> None:
    del lines[draw.randrange(len(lines))]


def _swapped(draw: random.Random, lines: list[str]) -> None:
    one, other = draw.randrange(len(lines)), draw.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]


def _indented(draw: random.Random, lines: list[str]) -> None:
    at = draw.randrange(len(lines))
    lines[at] = draw.choice((" ", "  ", "\t", " " * 500)) + lines[at]


def _outdented(draw: random.Random, lines: list[str]) -> None:
    at = draw.randrange(len(lines))
    lines[at] = lines[at].lstrip()


def _marked(draw: random.Random, lines: list[str]) -> None:
    at = draw.randrange(len(lines))
    mark = draw.choice(("&a ", "*a ", "!t ", "!!map ", "? ", "- ", "%YAML 1.1", "---", "...", "# "))
    lines[at] = re.sub(r"(?<=: )|(?<=- )|^", mark, lines[at], count=1)


def _character(draw: random.Random, text: str) -> str:
    at = draw.randrange(len(text) + 1)
    return text[:at] + draw.choice(CHARACTERS) * draw.choice((1, 1, 1, 500)) + text[at:]


def _nested_value(draw: random.Random, text: str) -> str:
    depth = draw.choice((3, 20, 30, 1_000))
    begin, end = draw.choice((("[", "]"), ("{a: ", "}")))
    return _placed(draw, text, VALUE, begin * depth + "x" + end * depth)


def _long_list(draw: random.Random, text: str) -> str:
    count = draw.choice((*(99, 101, 501) * 6, 5_000, 40_000))
    return _placed(draw, text, VALUE, "[" + ", ".join(map(str, range(count))) + "]")


def _other_newlines(draw: random.Random, text: str) -> str:
    return text.replace("\n", draw.choice(("\r\n", "\r", "\n\n", "\x85")))


BYTE_CHANGES = (_flipped, _flipped, _cut, _repeated)
TEXT_CHANGES = (
    *(_other_scalar, _other_scalar, _other_scalar, _huge_scalar, _character, _character),
    *(_other_token, _other_token, _other_token, _other_token, _nested_rule, _nested_value),
    *(_lines(_twice), _lines(_without), _lines(_swapped), _lines(_indented), _lines(_outdented)),
    *(_lines(_marked), _lines(_marked), _long_list, _other_newlines),
)


@dataclass(slots=True)
class Tally:
    """What became of some files.

    Attributes:
        codes: Code of the first error, `loaded` where there was none → how many.
        faults: Seed → what went wrong; empty where all is well.
        slowest: The seed that took longest, and its CPU time [s].
        grown: How much resident memory grew at its peak [MiB].
    """

    codes: Counter[str] = field(default_factory=Counter)
    faults: dict[int, str] = field(default_factory=dict)
    slowest: tuple[float, int] = (0.0, -1)
    grown: float = 0.0


def tried(content: bytes) -> tuple[str, str | None]:
    """What one file ends as, and what is wrong with that; none where nothing is."""
    try:
        policies = compile_policies([("m.yaml", text_of("m.yaml", content))])
    except InvalidFile as error:
        line = str(error)
        placed = error.at is not None and error.at.file == "m.yaml"
        fine = placed and line.isprintable() and line.startswith("GO0") and len(line) < 2_100
        return error.code, None if fine else f"no line with a place: {line[:200]!r}"
    return "loaded", unlike(policies)


def unlike(policies: PolicySet) -> str | None:
    """Where the two evaluators judge otherwise; none where they agree."""
    run_tests(policies)
    found = verdict_columns(policies, JOBS, CANDIDATES, sample=len(CHOICES))
    if found.mismatches:
        return f"rows and columns differ: {dict(found.mismatches)}"
    rows = [
        verdict
        for each in CHOICES
        for verdict in policies.judge(each.job, each.baseline, each.candidates, each.now).verdicts[
            1:
        ]
    ]
    for at, verdict in enumerate(rows):
        if set(found.reasons_of(at)) != set(verdict.reasons) or (
            found.warnings_of(at) != tuple(dict.fromkeys(verdict.warnings))
        ):
            return f"`{verdict.candidate}` is judged otherwise by columns"
    return None


def trial(texts: Sequence[str], seeds: range) -> Tally:
    """Try the files of some seeds, one after the other; goes on after a fault."""
    tally, before = Tally(), peak()
    for seed in seeds:
        content = mutant(texts, seed)
        begun = time.thread_time()
        try:
            code, fault = tried(content)
        except Exception as error:  # noqa: BLE001 - any other exception is what is looked for
            code, fault = "crash", f"{type(error).__name__}: {str(error)[:200]}"
        spent = time.thread_time() - begun
        tally.codes[code] += 1
        tally.slowest = max(tally.slowest, (spent, seed))
        if fault is None and spent > LONGEST:
            fault = f"took {spent:.2f} s"
        if fault is not None:
            tally.faults[seed] = fault
    tally.grown = peak() - before
    return tally


def peak() -> float:
    """Most memory that was resident so far [MiB]."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _choices() -> list[Choice]:
    start = datetime(2026, 11, 23, 17, tzinfo=UTC)
    found = []
    for at, kind in enumerate((WorkloadKind.BATCH, WorkloadKind.INFERENCE)):
        urgency = (Urgency.DEFERRABLE, Urgency.INTERACTIVE)[at]
        workload = Workload(
            "nightly-etl", kind, urgency, "eu-west-1", team="ml", data_class="personal"
        )
        baseline = Candidate(
            "now",
            "eu-west-1",
            start=start,
            end=start + timedelta(hours=1),
            carbon_g=100.0,
            cost_usd=1.0,
        )
        later = Candidate(
            "later", "eu-north-1", start=start + timedelta(hours=9), end=start + timedelta(hours=10)
        )
        full = Candidate(
            "full",
            "us-east-1",
            "US",
            "aws",
            "spot",
            "small",
            None,
            start,
            start + timedelta(hours=2),
        )
        found.append(
            Choice(Job(f"j/{at}", workload, start), baseline, (baseline, later, full), start)
        )
    return found


CHOICES = _choices()
JOBS, CANDIDATES = job_table(CHOICES), candidate_table(CHOICES)


def _shard(seeds: range) -> Tally:
    return trial(corpus(), seeds)


def main() -> int:
    """Try a million files in as many processes as there are processors; 1 where one has a fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1_000_000, help="first seed")
    args = parser.parse_args()
    end = args.seed + args.count
    shards = [range(at, min(at + SHARD, end)) for at in range(args.seed, end, SHARD)]
    codes, faults, done = Counter[str](), 0, 0
    begun = time.monotonic()
    with ProcessPoolExecutor(os.cpu_count(), max_tasks_per_child=1) as pool:
        for seeds, tally in zip(shards, pool.map(_shard, shards), strict=True):
            codes += tally.codes
            done += len(seeds)
            for seed, fault in tally.faults.items():
                print(f"seed {seed}: {fault}", flush=True)
            if tally.grown > GROWTH:
                print(f"seeds from {seeds.start}: grew {tally.grown:.0f} MiB", flush=True)
            faults += len(tally.faults) + (tally.grown > GROWTH)
            slowest, grown = tally.slowest[0], tally.grown
            print(f"{done:9,d} files, slowest {slowest:.2f} s, {grown:.0f} MiB grown", flush=True)
    said = ", ".join(f"{code} {count:,}" for code, count in codes.most_common())
    print(f"{done:,} files in {time.monotonic() - begun:.0f} s, {faults} faults; {said}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
