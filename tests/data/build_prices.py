"""Makes `greenops/data/price` from the folder of reference data; the same input, the same files.

python tests/data/build_prices.py [REFERENCE_DATA [TARGET]]
"""

from __future__ import annotations

import csv
import gzip
import json
import os
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

OFFSETS = {"CET": timezone(timedelta(hours=1)), "CEST": timezone(timedelta(hours=2))}
HOUR = timedelta(hours=1)
FIRST = datetime(2019, 12, 31, 23, tzinfo=UTC)
"""Midnight of 2020 in Germany."""
HOURS = 8784
CENTI = 100
"""The source writes cents; the files hold whole ones."""
MARKET = {
    "id": "DE-LU",
    "name": "Germany and Luxembourg",
    "also": ["DE"],
    "time_zone": "Europe/Berlin",
    "kind": "day-ahead",
    "currency": "EUR",
    "source": "smard",
    "title": "SMARD.de, day-ahead auction, bidding zone DE-LU",
    "licence": "CC BY 4.0, Bundesnetzagentur | SMARD.de",
    "unit": "0.01 EUR/MWh",
    "start": FIRST.isoformat(),
    "hours": HOURS,
}


def main() -> None:
    """Write all files."""
    reference = Path(sys.argv[1] if len(sys.argv) > 1 else os.environ["GREENOPS_REFERENCE_DATA"])
    build(reference, Path(sys.argv[2]) if len(sys.argv) > 2 else Path("greenops/data"))


def build(reference: Path, target: Path) -> None:
    """Write `price/markets.json` and `price/DE-LU.parquet` under `target`."""
    folder = target / "price"
    folder.mkdir(parents=True, exist_ok=True)
    with gzip.open(reference / "price" / "DE_LU_dayahead_2020_2024_local.csv.gz", "rt") as file:
        rows = [row for row in csv.DictReader(file) if row["year_file"] == "2020"][:HOURS]
    times = [
        datetime.fromisoformat(row["time"]).replace(tzinfo=OFFSETS[row["zone_start"]])
        for row in rows
    ]
    assert times == [FIRST + index * HOUR for index in range(HOURS)]
    cents = [round(float(row["eur_mwh"]) * CENTI) for row in rows]
    assert all(
        abs(cent / CENTI - float(row["eur_mwh"])) < 1e-9
        for cent, row in zip(cents, rows, strict=True)
    )
    pq.write_table(
        pa.table({"price": pa.array(cents, pa.int32())}),
        folder / "DE-LU.parquet",
        compression="zstd",
        compression_level=19,
        use_dictionary=False,
        column_encoding="DELTA_BINARY_PACKED",
        write_page_checksum=True,
        store_schema=False,
    )
    text = json.dumps({"markets": [MARKET]}, indent=1, sort_keys=True, ensure_ascii=False)
    (folder / "markets.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
