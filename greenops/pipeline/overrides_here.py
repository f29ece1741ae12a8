"""Overrides on a machine whose control loop does not answer, or that has none.

Orders go to runs that are held here through the state folder; the ledger gets them from there as soon
as `greenops serve` runs on that folder.
"""

from __future__ import annotations

from datetime import timedelta

from greenops.adapters.holding import Holding
from greenops.adapters.local_process import LocalProcess
from greenops.config import Settings
from greenops.domain.action import Action, Receipt
from greenops.domain.decision import Decision
from greenops.domain.workload import Workload
from greenops.errors import UsageError, nearest
from greenops.pipeline.overrides import LOCAL, Overrides, Ways
from greenops.pipeline.waiting import Say
from greenops.ports import Clock


def overrides_here(settings: Settings, clock: Clock) -> Overrides:
    """The overrides of a state folder, carried out by this process."""

    def decided(run_key: str) -> Decision | None:
        from greenops.adapters.state import StateDb

        path = settings.state / "state.db"
        if not path.is_file():
            return None
        db = StateDb(path)
        try:
            record = db.decision_of(run_key)
        finally:
            db.close()
        return record.decision if record else None

    def workload(name: str) -> Workload:
        from greenops.pipeline.policies import read_policies

        known = read_policies(settings.policies, settings).workloads
        if name not in known:
            near = nearest(name, known)
            hint = f"did you mean `{near}`?" if near else "declare it with `kind: Workload`"
            raise UsageError("GO0643", f"no workload `{name}` is declared or held here", fix=hint)
        return known[name]

    here = LocalProcess(settings, clock)

    def send(action: Action) -> Receipt | None:
        # Another target's order waits in the state folder for the loop that alone may send it.
        return here.apply(action) if action.target == LOCAL else None

    def target(decision: Decision) -> str:
        return workload(decision.workload).target or LOCAL

    return Overrides(settings, clock, Ways(send, decided, workload, target))


def ready(
    holding: Holding, settings: Settings, clock: Clock, run_key: str, workload: str, tell: Say
) -> None:
    """Say that a run is held here, and let an override that waits for it order it.

    In this order: whoever gives an override keeps it first and then looks for held runs.
    """
    rate = clock.replay.rate if clock.replay else 1.0

    def pause(wall: timedelta) -> None:
        clock.sleep(wall * rate)

    try:
        if not holding.begin(pause):
            tell(
                f"GO0601 `{run_key}` cannot be marked as held: an override finds it by its key only"
            )
        if (settings.state / "overrides").is_dir():
            overrides_here(settings, clock).look(run_key, workload)
    except Exception as error:  # noqa: BLE001  (law: whatever fails here, the work runs on)
        tell(f"GO0623 overrides cannot be read ({type(error).__name__}: {error}); holding on")
