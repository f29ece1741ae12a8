"""What a Collector of this deployment is given: tables from its state and its workloads, and the files they make."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Final

from greenops.adapters import collector_files, language_model_file
from greenops.adapters.factor_file import FactorFile
from greenops.config import Settings, load_settings
from greenops.domain.factors import FactorTable
from greenops.domain.workload import Workload
from greenops.errors import GreenOpsError
from greenops.observe.enrichment_tables import BEGIN, END, EnrichmentTables
from greenops.pipeline.collector_config import (
    CONFIGURATION,
    ENRICHMENT,
    Role,
    Wiring,
    configuration,
    enrichment,
)
from greenops.pipeline.collector_tables import tables_at, texts
from greenops.pipeline.policies import read_policies
from greenops.ports import Clock
from greenops.units import NS_PER_S

log = logging.getLogger("greenops.collector")

FOLDER: Final = "collector"
"""Folder of the state whose tables `greenops serve` keeps fresh."""
FACTORS: Final = "factors.json"
LOOK_EVERY_NS: Final = 30 * NS_PER_S
"""Wall time between two looks at what the tables rest on [ns]."""
ROTEL: Final = "rotel"
ROTEL_PROCESSOR: Final = "greenops_rotel.py"


def tables_here(state: str | None, policies: str | None, now: datetime) -> EnrichmentTables:
    """Tables of now: factors of the state where there are some, else the shipped ones; watts of declared workloads.

    Raises:
        GreenOpsError: A settings file, a policy file or a file of language models is wrong.
    """
    settings = load_settings(flags={"state": state, "policies": policies})
    factors = FactorFile(settings.state / FACTORS).table()
    workloads: list[Workload] = []
    if policies is not None or settings.policies.exists():
        workloads = list(read_policies(settings.policies, settings).workloads.values())
    models = language_model_file.shipped()
    return tables_at(factors, models, workloads, now)


def files_of(role: str, tables: EnrichmentTables, wiring: Wiring) -> dict[str, str]:
    """File name → text, of a role or of `rotel`."""
    made = table_files(tables)
    if role == ROTEL:
        processor = files("greenops") / "adapters" / "rotel_processor.py"
        del made[ENRICHMENT]
        return {**made, ROTEL_PROCESSOR: processor.read_text("utf-8")}
    text = {CONFIGURATION: configuration(Role(role), wiring)}
    return text if wiring.tables is None else {**made, **text}


def table_files(tables: EnrichmentTables) -> dict[str, str]:
    """What changes when a table does."""
    return {ENRICHMENT: enrichment(tables), **texts(tables)}


class FreshTables:
    """Keeps the tables of a state fresh while `greenops serve` runs; never raises while it does.

    A Collector reads them at its start and when it is told to, by SIGHUP.

    Args:
        settings: They name the state.
        clock: Says which hour it is.
        workloads: Those that are declared, for the watts of batch runs.
    """

    def __init__(self, settings: Settings, clock: Clock, workloads: Iterable[Workload]) -> None:
        self._folder = settings.state / FOLDER
        self._factors = FactorFile(settings.state / FACTORS)
        self._models = language_model_file.shipped()
        self._clock, self._workloads = clock, tuple(workloads)
        self._next_ns = 0
        self._told: str | None = None

    def look(self) -> list[Path]:
        """Write what changed, where a look is due; gives the files."""
        now_ns = self._clock.monotonic_ns()
        if now_ns < self._next_ns:
            return []
        self._next_ns = now_ns + LOOK_EVERY_NS
        try:
            made = table_files(self._tables(self._factors.table()))
            changed = collector_files.write(self._folder, made)
        except (GreenOpsError, ValueError) as error:
            if str(error) != self._told:
                log.warning("tables of the Collector stay as they are: %s", error)
            self._told = str(error)
            return []
        self._told = None
        return changed

    def _tables(self, factors: FactorTable) -> EnrichmentTables:
        found = tables_at(factors, self._models, self._workloads, self._clock.now())
        if self._clock.replay is None:
            return found
        # Spans keep wall time, of which an hour of a replay is seconds: there what holds now always holds.
        rows = (replace(row, valid_from=BEGIN, valid_until=END) for row in found.regions)
        return replace(found, regions=tuple(rows))
