"""Rows of what others accounted for, as tests of the lake bring them in: an amount of October, looks of one day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from greenops.adapters.reported_lake import ReportedLake
from greenops.domain.energy import Method
from greenops.domain.meter_reading import MeterReading
from greenops.domain.reported import Amount, Kind, Quantity

OCTOBER = datetime(2026, 10, 1, tzinfo=UTC)
NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = NOON.date().isoformat()


def amount(service="shop", grams=1.0, source="aws", start=OCTOBER, **told):
    kind = Kind(source, Quantity.CARBON, Method.REPORTED, "service")
    more = told.pop("more", {"enduser.id": "carol"})
    return Amount(kind, grams, start, NOVEMBER, service=service, more=more, **told)


def reading(number, joules=None, source="kepler", workload="shop", at=NOON, **labels):
    kind = Kind(source, Quantity.ENERGY, Method.MEASURED, "container")
    counter = float(number) if joules is None else joules
    when = at + timedelta(seconds=number)
    host = labels.pop("host", "n1")
    return MeterReading(kind, f"c/{workload}", "cpu", when, counter, None, host, workload, labels)


def fill(folder, sources):
    """An amount and two looks of each source."""
    lake = ReportedLake(folder)
    for at in range(sources):
        lake.keep([amount(f"s{at}", source=f"source-{at}")])
        lake.keep_readings([reading(10 * at + each, source=f"source-{at}") for each in range(2)])
    return lake


def told(folder):
    """What the readers of both tables say."""
    lake = ReportedLake(folder)
    return {"reported": list(lake.amounts()), "readings": list(lake.readings())}


def files(folder, table):
    return sorted(each.name for each in (folder / "v1" / table).glob("*=*/*.parquet"))
