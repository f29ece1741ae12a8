"""Columns of the two tables of what others accounted for, version 1."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

INSTANT: Final = pa.timestamp("us", "UTC")
TEXT: Final = pa.string()
KIND: Final = ("source", "quantity", "method", "level", "boundary", "accounting", "scope", "currency")  # fmt: skip
WHOSE: Final = ("account", "service", "region", "workload", "host")
REPORTED: Final = pa.schema(
    [
        *((name, TEXT) for name in (*KIND, "unit")),
        ("value", pa.float64()),
        *((name, INSTANT) for name in ("start", "end")),
        *((name, TEXT) for name in WHOSE),
        ("published", INSTANT),
        *((name, TEXT) for name in ("version", "more")),
    ]
)
"""Of amounts; `more` is JSON."""
READINGS: Final = pa.schema(
    [
        *((name, TEXT) for name in (*KIND[:5], "series", "device")),
        ("at", INSTANT),
        *((name, pa.float64()) for name in ("joules", "watts")),
        *((name, TEXT) for name in ("host", "workload", "labels")),
    ]
)
"""Of readings; `labels` is JSON."""
