"""What earlier runs of a workload teach, looked up in the lake and remembered for a while."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Final

from greenops.adapters.local_process import RunFolder
from greenops.domain.measured_run import Learned, MeasuredRun
from greenops.errors import UsageError
from greenops.plan.learned import learn
from greenops.ports import Clock
from greenops.units import NS_PER_S, Seconds

log = logging.getLogger("greenops.loop")

LOOK_BACK: Final = timedelta(days=60)
"""How old a run may be that still counts (simulated)."""
KEPT_NS: Final = 600 * NS_PER_S
"""How long what was found stands [ns]."""


class Learning:
    """Earlier runs of workloads on one state folder; a lake that cannot be read teaches nothing."""

    def __init__(self, state: Path, clock: Clock) -> None:
        self._state, self._clock = state, clock
        self._known: dict[str, tuple[int, Learned | None]] = {}

    def __call__(self, workload: str) -> Learned | None:
        """What is known of a workload; none where no run of it succeeded."""
        now_ns = self._clock.monotonic_ns()
        known = self._known.get(workload)
        if known is None or now_ns - known[0] > KEPT_NS:
            known = self._known[workload] = now_ns, self._look(workload)
        return known[1]

    def _look(self, workload: str) -> Learned | None:
        # Arrow takes a tenth of a second to load: nobody waits for it who declares all numbers.
        from greenops.adapters.lake_runs import measured_runs

        since = (self._clock.now() - LOOK_BACK).date()
        try:
            found = measured_runs(self._state, workload, since)
        except OSError as error:
            log.warning("earlier runs of `%s` cannot be read: %s", workload, error)
            return None
        rate = self._clock.replay.rate if self._clock.replay else 1.0
        return learn([self._as_simulated(each, rate) for each in found])

    def _as_simulated(self, run: MeasuredRun, rate: float) -> MeasuredRun:
        """The run with its length in simulated time, and failed where its holder saw that."""
        return replace(
            run, duration=Seconds(run.duration * rate), failed=run.failed or self._failed(run)
        )

    def _failed(self, run: MeasuredRun) -> bool:
        try:
            made = RunFolder(self._state, run.run_key).receipt()
        except UsageError:
            return False
        return made is not None and made.exit_code not in (None, 0)
