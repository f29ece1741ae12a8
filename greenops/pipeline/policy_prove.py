"""Asks a solver about policies in a process of its own, which is ended where it does not end by itself."""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, Final

from greenops.errors import Unreachable, UsageError, nearest
from greenops.pipeline.policy_tests import run_test
from greenops.policy import PolicySet, PolicyTest, compile_policies
from greenops.policy.example_text import test_text, unwritable

if TYPE_CHECKING:
    from greenops.policy.prove_claims import Claim, Subject
    from greenops.policy.prove_solve import Finding
    from greenops.policy.prove_witness import Witness

Sources = Sequence[tuple[str, str]]
MEMORY: Final = 6 * 2**30
"""Most memory of the solver's process [byte]; it maps far more than it touches."""
STARTING: Final = 30.0
"""Longest that the process may take to start and compile the files [s]."""
QUESTIONS: Final = 5
"""A claim may take this many times what one question may."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What became of one claim, as plain values.

    Attributes:
        answer: `holds`, `fails` or `unknown`.
        because: What rules every row out, where none was found.
        caveat: What the answer leaves open.
        test: The row as a test that policy files take; none where there is no row, or no test says it.
        row: The fields that were asked about, where no test says them.
        untold: Why no test says it.
        seconds: How long it took [s].
    """

    policy: str
    kind: str
    id: str
    answer: str
    says: str
    because: tuple[str, ...] = ()
    caveat: str = ""
    test: str | None = None
    row: dict[str, str] | None = None
    untold: str | None = None
    seconds: float = 0.0

    @property
    def amiss(self) -> bool:
        """Should this stop a merge? A rule that never decides does no harm."""
        return self.answer != "holds" and self.kind != "shadowed"


@dataclass(frozen=True, slots=True)
class Task:
    """What is asked.

    Attributes:
        sources: The policy files.
        other: Those that must decide alike; none: the claims of the policies themselves are asked.
        seconds: Longest that one question may take [s].
    """

    sources: Sources
    other: Sources | None
    seconds: float


def need_solver(module: str = "z3") -> None:
    """Do nothing where the optional solver is installed.

    Raises:
        Unreachable: It is not.
    """
    if find_spec(module) is None:
        raise Unreachable(
            "GO0160",
            f"proofs need the solver `{module}`, which is not installed",
            fix="`pip install 'greenops-engine[prove]'`",
        )


def prove(task: Task) -> Iterator[Proof]:
    """Answer every claim, in order; one that does not end in time is unknown, and the rest go on.

    Raises:
        InvalidFile: A file is wrong.
        UsageError: The policies to compare cannot be paired.
        Unreachable: The solver is not installed.
    """
    need_solver()
    yield from _differences(task)
    total = len(_claims(task.sources, task.other))
    done = 0
    while done < total:
        for proof in _one_process(task, done):
            done += 1
            yield proof


def _differences(task: Task) -> Iterator[Proof]:
    """What two sides say differently and no solver need look into."""
    if task.other is None:
        return
    from greenops.policy.prove_equal import differences

    pairs = paired(compile_policies(task.sources), compile_policies(task.other))
    for left, right in pairs:
        for each in differences(left.policy, right.policy):
            yield Proof(left.policy.name, "equal", "settings", "fails", each)


def _one_process(task: Task, first: int) -> Iterator[Proof]:
    """Answers from the claim `first` on, until the end or until the process had to be ended."""
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(task, first, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        yield from _answers(mine, task.seconds)
    finally:
        process.kill()
        process.join()
        process.close()
        mine.close()


def _answers(mine: Connection, seconds: float) -> Iterator[Proof]:
    asked: Proof | None = None
    while True:
        longest = STARTING if asked is None else seconds * QUESTIONS
        if not mine.poll(longest):
            yield _unknown(asked, f"the solver did not end within {longest:g} s and was stopped")
            return
        try:
            said = mine.recv()
        except EOFError:
            yield _unknown(asked, "the solver's process ended, as where memory runs out")
            return
        if said is None:
            return
        asked = said
        if isinstance(said, Proof) and said.answer:
            yield said
            asked = None


def _unknown(asked: Proof | None, why: str) -> Proof:
    known = asked or Proof("", "start", "start", "", "")
    return replace(known, answer="unknown", says=f"not known: {why}")


def _work(task: Task, first: int, out: Any) -> None:
    """In the process: answer one claim after the other."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    from greenops.policy.prove_solve import decide

    for claim in _claims(task.sources, task.other)[first:]:
        begun = time.monotonic()
        out.send(Proof(claim.policy, claim.kind.value, claim.id, "", ""))
        proof = _plain(claim, decide(claim, task.seconds))
        out.send(replace(proof, seconds=round(time.monotonic() - begun, 3)))
    out.send(None)


def _claims(sources: Sources, other: Sources | None) -> list[Claim]:
    from greenops.policy.prove_claims import claims
    from greenops.policy.prove_invariants import read_invariants

    policies = compile_policies(sources)
    if other is None:
        return list(claims(policies, read_invariants(sources, policies)))
    from greenops.policy.prove_equal import differences, equal

    alike = [
        pair
        for pair in paired(policies, compile_policies(other))
        if not differences(pair[0].policy, pair[1].policy)
    ]
    return [claim for pair in alike for claim in equal(*pair)]


def paired(policies: PolicySet, others: PolicySet) -> list[tuple[Subject, Subject]]:
    """The policies of both sides by name; one and one go together whatever their names.

    Raises:
        UsageError: One is only on one side.
    """
    from greenops.policy.prove_claims import Subject

    left = {each.name: each for each in policies.policies}
    right = {each.name: each for each in others.policies}
    if len(left) == len(right) == 1:  # a refactoring may rename
        right = dict(zip(left, right.values(), strict=True))
    for name in [*sorted(left.keys() - right.keys()), *sorted(right.keys() - left.keys())]:
        near = nearest(name, (left if name in right else right).keys())
        fix = f"did you mean `{near}`?" if near else "compare files that hold the same policies"
        raise UsageError("GO0161", f"policy `{name}` is only on one side", fix=fix)
    return [(Subject(policies, left[n]), Subject(others, right[n])) for n in left]


def _plain(claim: Claim, finding: Finding) -> Proof:
    proof = Proof(
        claim.policy,
        claim.kind.value,
        claim.id,
        finding.answer.value,
        finding.says,
        finding.because,
        finding.caveat,
    )
    if finding.found is None:
        return proof
    alone = len(claim.subjects) == 1 or claim.kind.value == "equal"
    test = _test(claim, finding.found) if alone else None
    untold = unwritable(test) if test else "a test speaks of one policy"
    if test is not None and untold is None:
        return replace(proof, test=test_text(test))
    row = {name: _said(value) for name, value in finding.found.fields.items() if name != "eligible"}
    return replace(proof, row=row, untold=untold)


def _said(value: object) -> str:
    return "absent" if value is None else str(value)


def _test(claim: Claim, found: Witness) -> PolicyTest:
    """The row as a test that expects what the engine does now."""
    one = claim.subjects[0]
    return expecting(
        one.policies,
        PolicyTest(
            policy=one.policy.name,
            name=f"{claim.id}: a row found by proof",
            now=found.now,
            job=found.job,
            baseline=found.baseline,
            candidates=(found.candidate,),
            choose=found.baseline.id,
        ),
    )


def expecting(policies: PolicySet, test: PolicyTest) -> PolicyTest:
    """The test with what the engine does now as what it expects."""
    result = run_test(policies, test)
    decision = result.decision
    return replace(
        test,
        choose=decision.chosen.id,
        rejected={name: tuple(each) for name, each in decision.rejected.items() if each},
        warned={name: tuple(each) for name, each in decision.warned.items() if each},
        exception=decision.exception,
        matches=test.policy in result.judgement.policies,
    )
