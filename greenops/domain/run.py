"""One held run: what was ordered, who claimed it, how it went."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from greenops.domain.action import StartJob
from greenops.domain.outbox import content_version
from greenops.domain.record import canonical


@dataclass(frozen=True, slots=True)
class Order:
    """What the control loop wants of a run."""

    change: StartJob
    decision_id: str
    action_id: str
    at: datetime

    @property
    def version(self) -> str:
        """Version of the content."""
        return content_version(canonical(self))


@dataclass(frozen=True, slots=True)
class Claim:
    """Who started a run.

    Attributes:
        boot_id: Boot of the machine in which `pid` and `since` mean anything.
        at: When it was claimed (simulated time).
        since: When the process began [clock ticks since boot]: a pid comes again, the pair does
            not. None where the system does not tell.
    """

    pid: int
    boot_id: str
    at: datetime
    since: int | None = None


@dataclass(frozen=True, slots=True)
class RunReceipt:
    """How a run went; all instants in simulated time.

    Attributes:
        on_time: Started by its latest safe start; none where it has no deadline.
        ended_at, exit_code: None while it runs, or where its holder died before it ended.
    """

    run_key: str
    workload: str
    started_at: datetime
    on_time: bool | None
    decision_id: str | None = None
    action_id: str | None = None
    pid: int | None = None
    ended_at: datetime | None = None
    exit_code: int | None = None
