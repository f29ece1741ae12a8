"""What is lost of acknowledged spans while object storage is down: a real SeaweedFS, killed and begun anew."""

from __future__ import annotations

import os
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from greenops.adapters import lake_places
from greenops.adapters.lake_columns import span_columns
from greenops.adapters.lake_shipping import GRACE
from greenops.adapters.lake_store import keep_store
from greenops.adapters.parquet_lake import ParquetLake
from greenops.pipeline.lake_packing import Packing
from greenops.pipeline.lake_upkeep import Kept, Upkeep
from greenops.testing.clock import FakeClock
from tests.bench.collect_parts.spans import FIRST_US, spans
from tests.peer.seaweedfs import ENVIRONMENT, WEED, SeaweedFs

DOWN_S = 300.0
SHORT_S = 15.0
"""How long the store is down, in a whole run and in a short one [s]."""
EACH = 400
"""Spans of a small file."""


def lost(*, full):
    """Spans that were kept while the store was down and cannot be read from it alone afterwards, and of how many.

    None where there is no SeaweedFS.
    """
    if not os.access(WEED, os.X_OK):
        return None
    os.environ.update(ENVIRONMENT)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "weed").mkdir()
        weed = SeaweedFs(folder / "weed")
        try:
            weed.start()
            weed.bucket()
            return _lost(weed, folder / "state" / "lake", DOWN_S if full else SHORT_S)
        finally:
            weed.kill()


def _lost(weed, lake, down_s):
    lake_places.FRESH_S = -1.0
    keep_store(lake, weed.url)
    clock = FakeClock(_day(3))
    upkeep = Upkeep(lake, clock, Kept(here=0))
    packing = Packing(lake, clock, upkeep=upkeep)
    kept = set()
    _keep(lake, kept, 0)
    packing.once()
    weed.kill()
    until, at = time.monotonic() + down_s, 1
    while time.monotonic() < until:
        _keep(lake, kept, at)
        packing.once()
        time.sleep(min(1.0, upkeep.wait_s(1.0)))
        at += 1
    weed.start()
    until = time.monotonic() + 60
    while time.monotonic() < until:
        packing.once()
        if upkeep.wait_s(900) == 900:
            break
        time.sleep(1.0)
    clock.sleep(GRACE)
    packing.once()
    return _missing(weed, lake, kept), len(kept)


def _keep(lake, kept, at):
    table = spans(EACH, crossing=True, seed=at, hours=0.1)
    ParquetLake(lake).write_span_table(table, f"{at:012d}-run")
    kept.update(table["span_id"].to_pylist())


def _missing(weed, lake, kept):
    """Of the spans that were kept, those that another machine does not read off the store."""
    other = lake.parent.parent / "other" / "lake"
    keep_store(other, weed.url)
    found = set()
    for table in span_columns(other, _day(0), _day(3), ["span_id"]):
        found.update(table["span_id"].to_pylist())
    return len(kept - found)


def _day(days):
    return datetime.fromtimestamp(FIRST_US / 1e6, UTC) + timedelta(days=days)
