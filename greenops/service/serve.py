"""`greenops serve`: the loop and its doors in one process, from start to a clean end."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable
from datetime import UTC, datetime

from greenops.adapters.factor_file import FactorFile
from greenops.adapters.grid_cache_files import GridCacheFiles
from greenops.adapters.parquet_lake import ParquetLake
from greenops.adapters.wal import Wal
from greenops.config import Settings
from greenops.domain.workload import Workload
from greenops.pipeline.assemble import assemble, intensities
from greenops.pipeline.beside import in_background
from greenops.pipeline.collector_here import FreshTables
from greenops.pipeline.enriching import Enriching
from greenops.pipeline.footprint import Footprint
from greenops.pipeline.forecast_watch import ForecastWatch
from greenops.pipeline.grid import GridContext, last_successes
from greenops.pipeline.lake_packing import Packing
from greenops.pipeline.lake_upkeep import upkeep_of
from greenops.pipeline.rollup_upkeep import RollingUp
from greenops.ports import Clock
from greenops.service.doors import Doors
from greenops.service.intake import Intake
from greenops.service.metrics import Telemetry

log = logging.getLogger("greenops.serve")


def serve(settings: Settings, clock: Clock, tell: Callable[[str], None]) -> None:
    """Run until SIGTERM or SIGINT.

    Raises:
        GreenOpsError: The start failed; one line says why, and nothing stays open.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    upkeep = upkeep_of(settings, clock)
    footprint = Footprint()
    telemetry = Telemetry(
        footprint.energy_by_workload,
        footprint.residual,
        lambda: coverage(footprint),
        footprint.more_counters,
        footprint.scores,
    )
    lake = ParquetLake(settings.state / "lake")
    declared: list[Workload] = []
    enriching = Enriching(FactorFile(settings.state / "factors.json").table, lambda: declared)
    wal = Wal(settings.state / "lake" / "wal", sync=settings.wal_sync == "always")
    intake = Intake(lake, wal, footprint, clock, enriching)
    intake.listeners.append(telemetry)
    control = assemble(settings, clock, footprint, telemetry, lake, intake.of_traces)
    declared.extend(control.workloads)
    # The first caller need not wait for tables.
    enriching.enricher()
    packing = Packing(settings.state / "lake", clock, upkeep=upkeep)
    rolling_up = RollingUp(settings.state / "lake", clock, settings.lake_rollup_s)
    try:
        intake.recover()
        doors = Doors(settings, intake, control.engine, telemetry)
        doors.open()
        tell(
            f"listening on {settings.host}: API and /metrics {doors.ports.api}, "
            f"OTLP gRPC {doors.ports.otlp_grpc}, OTLP HTTP {doors.ports.otlp_http}"
        )
        packing.start()
        rolling_up.start()
        observe = _observer(settings, clock, telemetry, control.grid)
        watch = ForecastWatch(
            control.grid.provider,
            control.zones,
            clock,
            telemetry.forecast_quality,
            GridCacheFiles(settings.state / "grid"),
            in_background,
        )
        collector = FreshTables(settings, clock, control.workloads)
        while not stop.wait(settings.tick_s):
            control.loop.tick()
            observe()
            watch.look()
            collector.look()
        doors.close()
        control.loop.tick()
    finally:
        rolling_up.close()
        packing.close()
        control.close()


def _observer(
    settings: Settings, clock: Clock, telemetry: Telemetry, grid: GridContext
) -> Callable[[], None]:
    checkpoints = settings.state / "ledger" / "checkpoints"
    zones = {region.id: region.zone or "" for region in grid.regions}

    def observe() -> None:
        found = intensities(grid, clock)
        for region, value in found.items():
            telemetry.intensity(region, zones[region], value)
        signed = [path.stat().st_mtime for path in checkpoints.glob("*.txt")]
        if signed:
            telemetry.checkpoint(datetime.fromtimestamp(max(signed), UTC))
        for provider, at in last_successes(grid, clock, answered=bool(found)).items():
            telemetry.provider_success(provider, at)

    return observe


def coverage(footprint: Footprint) -> float | None:
    """Share of spans with energy; none before the first span."""
    return footprint.spans_with_energy / footprint.spans if footprint.spans else None
