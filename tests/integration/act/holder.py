"""A `greenops run` without policies: the workload and the decision come from the test."""

import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from greenops.adapters.clock import SystemClock
from greenops.adapters.command import in_own_session
from greenops.adapters.control_client import ControlClient
from greenops.config import Settings
from greenops.domain.console import DecisionRecord
from greenops.domain.decision import Candidate, Decision, Mode
from greenops.domain.workload import Limits, Urgency, Workload, WorkloadKind
from greenops.errors import DataMissing
from greenops.pipeline.run import HeldRun, run_held

NIGHT = Workload("night", WorkloadKind.BATCH, Urgency.DEFERRABLE, "us-west-1")


def decision(key: str, start: datetime, latest: datetime | None) -> Decision:
    """A decision to start at an instant."""
    now = datetime(2021, 10, 8, tzinfo=UTC)
    return Decision(
        id="d-1",
        job_id=key,
        workload="night",
        decided_at=now,
        chosen=Candidate("later", start=start),
        baseline=Candidate("now"),
        runner_up=None,
        rejected={},
        warned={},
        reason="cleaner then",
        mode=Mode.ENFORCE,
        policies=(),
        policy_hash="0",
        objective=None,
        limits=Limits(),
        deadline=None,
        latest_safe_start=latest,
        forecast_ids={},
        replay=False,
    )


def main() -> int:
    """Arguments: state, key, wall seconds to hold or `none`, then the command."""
    state, key, wait, *command = sys.argv[1:]
    clock = SystemClock.from_environment()

    def decide(request, workload):
        if wait == "none":
            raise DataMissing("GO0300", "no grid data")
        start = clock.now() + timedelta(seconds=float(wait))
        return DecisionRecord(decision(key, start, start + timedelta(seconds=60)), (), (), {})

    url = os.environ.get("TEST_SERVER")
    server = ControlClient(url, timeout_s=0.5) if url else None
    run = HeldRun(NIGHT, key, tuple(command), decide, server)
    ended = in_own_session()
    return run_held(run, Settings(state=Path(state)), clock) if ended is None else ended


if __name__ == "__main__":
    sys.exit(main())
