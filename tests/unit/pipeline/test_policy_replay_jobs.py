"""Tables of jobs that several threads ask for at once."""

from __future__ import annotations

from greenops.domain.record import canonical
from greenops.domain.workload import Urgency, Workload, WorkloadKind
from greenops.pipeline.policy_replay_jobs import JobTables
from greenops.policy import PolicySet


def words(*names):
    """Recorded workloads of some names."""
    made = (Workload(each, WorkloadKind.BATCH, Urgency.DEFERRABLE, "eu-west") for each in names)
    return tuple(canonical(each).decode() for each in made)


class Interrupted(tuple):
    """Words that another thread takes the place of while they are compared."""

    __slots__ = ()
    tables: JobTables
    __hash__ = tuple.__hash__

    def __eq__(self, other):
        self.tables.facts = (words("b", "c"), {})
        return tuple.__eq__(self, other)


def test_what_a_batch_is_told_is_of_its_own_workloads_though_another_is_asked_meanwhile():
    tables = JobTables(PolicySet((), {}))
    mine = words("a")
    Interrupted.tables = tables
    tables.facts = (Interrupted(mine), tables._facts_of(mine))

    found = tables._facts_of(mine)

    assert found["job.name"].to_pylist() == ["a"]
    assert tables.facts[0] == words("b", "c"), "the other one was asked meanwhile"
