"""Deciding in the process that holds a run; what it takes is loaded when first asked."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from greenops.config import Settings
from greenops.domain.console import DecisionRecord, JobRequest
from greenops.domain.workload import Workload
from greenops.ports import Clock

if TYPE_CHECKING:
    from greenops.pipeline.replanning import Replanner


class LocalDecider:
    """Decides on this machine, by the policies and grid data that are here."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self._replanner: Replanner | None = None

    def __call__(self, request: JobRequest, workload: Workload) -> DecisionRecord:
        """Decide a run."""
        from greenops.pipeline.budgets import InForce, sums_of
        from greenops.pipeline.decide import Decider
        from greenops.pipeline.grid import load_grid
        from greenops.pipeline.learning import Learning
        from greenops.pipeline.policies import read_policies
        from greenops.pipeline.replanning import Replanner
        from greenops.pipeline.site_prices import load_site_prices

        settings, clock = self._settings, self._clock
        policies = read_policies(settings.policies, settings)
        # The workload's own file may lie anywhere.
        declared = {**policies.workloads, workload.name: workload}
        policies = replace(policies, workloads=declared)
        in_force = InForce(policies, sums_of(settings.state)).at
        grid, learned = load_grid(settings, clock), Learning(settings.state, clock)
        priced = load_site_prices(settings, grid.regions, clock)
        decider = Decider(
            settings, clock, policies, grid, in_force=in_force, learned=learned, priced=priced
        )
        self._replanner = Replanner(decider)
        return decider.decide(request)

    def again(self, held: DecisionRecord) -> DecisionRecord | None:
        """What takes the place of a decision made here, by the same policies; none: it stays."""
        return None if self._replanner is None else self._replanner.look(held)
