"""The control loop, put together from its parts as the settings say."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

from greenops.act.guardrails import Guardrails
from greenops.adapters.factor_file import FactorFile
from greenops.adapters.file_ledger import FileLedger
from greenops.adapters.kubernetes_jobs import KubernetesJobs
from greenops.adapters.parquet_lake import ParquetLake
from greenops.adapters.spool import Spool
from greenops.adapters.state import StateDb
from greenops.config import Settings
from greenops.domain.console import Overview
from greenops.domain.energy import Category
from greenops.domain.evidence import Verification
from greenops.domain.route import Front
from greenops.domain.workload import Workload
from greenops.errors import AdapterUnavailable, DataMissing, GreenOpsError, nearest
from greenops.pipeline.beside import in_background
from greenops.pipeline.budgets import InForce, sums_of
from greenops.pipeline.decide import Decider
from greenops.pipeline.engine import Engine, Parts, Telemetry
from greenops.pipeline.evidence import open_ledger, verify
from greenops.pipeline.evidence_book import Evidence
from greenops.pipeline.footprint import Footprint
from greenops.pipeline.fronts import check_fronts, read_fronts
from greenops.pipeline.grid import GridContext, load_grid
from greenops.pipeline.held_jobs import held_jobs
from greenops.pipeline.learning import Learning
from greenops.pipeline.loop import Loop
from greenops.pipeline.outbox import Outbox
from greenops.pipeline.outcomes import OfTraces
from greenops.pipeline.policies import read_policies
from greenops.pipeline.replanning import WaitingRuns
from greenops.pipeline.site_prices import load_site_prices
from greenops.pipeline.spent import own_share
from greenops.plugins import ACTUATORS, load, registered
from greenops.policy import PolicySet
from greenops.ports import Actuator, Clock
from greenops.units import NS_PER_S

log = logging.getLogger("greenops.loop")

CHECK_EVERY_NS = 10 * NS_PER_S
"""How long a check of the ledger stands in for another [ns]."""


@dataclass(frozen=True, slots=True)
class Control:
    """A control loop that is ready to run; `close` it once.

    Attributes:
        zones: Grid zones where a declared workload may run.
        workloads: Those that are declared.
    """

    engine: Engine
    loop: Loop
    ledger: FileLedger
    db: StateDb
    grid: GridContext
    zones: frozenset[str]
    workloads: tuple[Workload, ...]

    def close(self) -> None:
        """Sign the ledger and let go of files."""
        self.ledger.close()
        self.db.close()


def assemble(
    settings: Settings,
    clock: Clock,
    footprint: Footprint,
    telemetry: Telemetry,
    lake: ParquetLake,
    of_traces: OfTraces,
) -> Control:
    """Open ledger and state, read policies, load targets, recover what a crash left.

    Raises:
        GreenOpsError: Something is wrong at the start, in one line; nothing was changed.
    """
    grid = load_grid(settings, clock, train=in_background)
    site_prices = load_site_prices(settings, grid.regions, clock)
    policies = read_policies(settings.policies, settings)
    for line in strange_regions(policies, grid):
        log.warning("%s", line)
    fronts = read_fronts(settings.state / "routes.yaml")
    actuators = load_actuators(settings, clock)
    check_fronts(
        fronts,
        settings.state / "routes.yaml",
        workloads=policies.workloads,
        targets=actuators,
        regions=[region.id for region in grid.regions],
    )
    ledger = open_ledger(
        settings.state,
        clock,
        checkpoint_entries=settings.checkpoint_entries,
        mirror=settings.checkpoint_mirror,
    )
    db = StateDb(settings.state / "state.db")
    evidence = Evidence(ledger)
    in_force = InForce(policies, sums_of(settings.state), in_background, audits=True).at
    learned = Learning(settings.state, clock)
    waiting = WaitingRuns()
    decider = Decider(
        settings,
        clock,
        policies,
        grid,
        telemetry.judged,
        in_force,
        learned,
        waiting.planned,
        site_prices,
    )
    outbox = Outbox(db, actuators, clock, Guardrails(mode=settings.mode))
    view = View(settings, clock, footprint, evidence, db, grid, fronts, actuators)
    parts = Parts(
        settings=settings,
        clock=clock,
        decider=decider,
        db=db,
        evidence=evidence,
        outbox=outbox,
        spool=Spool(settings.state / "spool"),
        telemetry=telemetry,
        lake=lake,
        view=view,
        waiting=waiting,
    )
    engine = Engine(parts)
    engine.recover()
    loop = Loop(
        engine=engine,
        decider=decider,
        evidence=evidence,
        grid=grid,
        actuators=actuators,
        fronts=fronts,
        factors=FactorFile(settings.state / "factors.json"),
        clock=clock,
        telemetry=telemetry,
        decided=footprint.decided_spans,
        of_traces=of_traces,
        jobs=held_jobs(settings, engine, actuators.get(KubernetesJobs.name), decider, clock),
    )
    loop.recall()
    workloads = tuple(policies.workloads.values())
    return Control(engine, loop, ledger, db, grid, zones_of(policies, grid), workloads)


def zones_of(policies: PolicySet, grid: GridContext) -> frozenset[str]:
    """Grid zones where a declared workload may run; regions that are not known have none."""
    named = {
        region
        for workload in policies.workloads.values()
        for region in (workload.home_region, *workload.allowed_regions)
    }
    found = (grid.regions.get(each) for each in named)
    return frozenset(each.zone for each in found if each is not None and each.zone is not None)


def strange_regions(policies: PolicySet, grid: GridContext) -> list[str]:
    """A line for each region of a workload that the grid does not know: such a run is not planned."""
    return [
        _strange(workload, region, grid)
        for workload in policies.workloads.values()
        for region in dict.fromkeys((workload.home_region, *workload.allowed_regions))
        if region not in grid.regions
    ]


def _strange(workload: Workload, region: str, grid: GridContext) -> str:
    near = nearest(region, grid.regions.by_id)
    hint = f"did you mean `{near}`?" if near else "`greenops grid now` lists them"
    where = f"{workload.source}: " if workload.source else ""
    return f"GO0640 {where}`{workload.name}` names region `{region}`, which is not known; {hint}"


def load_actuators(settings: Settings, clock: Clock) -> dict[str, Actuator]:
    """Every registered target, by name."""
    names = registered(ACTUATORS)
    return {name: cast("Any", load(ACTUATORS, name))(settings, clock) for name in names}


@dataclass(slots=True)
class Checked:
    """The last check of the ledger; a whole one costs 13 us an entry, so it is kept a while."""

    at_ns: int = 0
    found: Verification | None = None

    def look(self, check: Callable[[], Verification], now_ns: int) -> Verification | None:
        """The last check where it is fresh, else a new one; none where it cannot be made."""
        if self.found is None or now_ns - self.at_ns > CHECK_EVERY_NS:
            self.at_ns = now_ns
            with suppress(GreenOpsError):
                self.found = check()
        return self.found


@dataclass(frozen=True, slots=True)
class View:
    """Puts the overview together from what each room knows."""

    settings: Settings
    clock: Clock
    footprint: Footprint
    evidence: Evidence
    db: StateDb
    grid: GridContext
    fronts: tuple[Front, ...]
    actuators: Mapping[str, Actuator]
    checked: Checked = field(default_factory=Checked)

    def _check(self) -> Verification:
        mirror = self.settings.checkpoint_mirror
        # One that is gone is told by the writer; what is here can be checked all the same.
        kept = mirror if mirror and mirror.is_dir() else None
        return self.evidence.verified(lambda: verify(self.settings.state, None, kept, self.grid))

    def __call__(self) -> Overview:
        """What is going on now."""
        seen, replay = self.footprint, self.clock.replay
        decisions, receipts = self.db.counts()
        carbon, avoided = seen.carbon(), self.evidence.avoided()
        return Overview(
            now=self.clock.now(),
            replay=str(replay) if replay else None,
            services=seen.services(),
            spans=seen.spans,
            spans_with_energy=seen.spans_with_energy,
            spans_unknown=seen.spans_unknown,
            energy=seen.energy(),
            conservation_residual_ratio=seen.residual(),
            attributed_share=seen.attributed_share(),
            intensity=intensities(self.grid, self.clock),
            routes=self._routes(),
            decisions=decisions,
            receipts=receipts,
            avoided=avoided,
            ledger=self.checked.look(self._check, self.clock.monotonic_ns()),
            carbon=carbon,
            remote=seen.remote(),
            fleet=seen.fleet(),
            caches=seen.caches(),
            curves=seen.curves(),
            own_share=own_share(carbon.get(Category.OVERHEAD), avoided),
        )

    def _routes(self) -> dict[str, Mapping[str, int]]:
        found = {}
        for front in self.fronts:
            weights = self._weights(front)
            if weights:
                found[front.name] = weights
        return found

    def _weights(self, front: Front) -> Mapping[str, int] | None:
        """As its first target that answers has them; a target that is away hides no other."""
        for target in front.targets:
            with suppress(AdapterUnavailable):
                found: Mapping[str, int] | None = getattr(
                    self.actuators[target].observe(front.name).change, "weights", None
                )
                return found
        return None


def intensities(grid: GridContext, clock: Clock) -> dict[str, Any]:
    """Region → carbon intensity now [gCO2e/kWh], where it is known."""
    now, found = clock.now(), {}
    for region in grid.regions:
        if region.zone is None:
            continue
        try:
            series = grid.provider.actual(region.zone, now, now + timedelta(seconds=1))
        except DataMissing:
            continue
        if series.values and series.values[0] is not None:
            found[region.id] = series.values[0]
    return found
