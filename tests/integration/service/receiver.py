"""A receiver in a process of its own, for tests that kill it."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from greenops.adapters.clock import SystemClock
from greenops.adapters.parquet_lake import ParquetLake
from greenops.adapters.wal import Wal
from greenops.pipeline.footprint import Footprint
from greenops.service.intake import Intake, every
from greenops.service.otlp import start_grpc


def main() -> None:
    """Recover, listen on a free port, print it, flush often."""
    folder = Path(sys.argv[1])
    lake = ParquetLake(folder)
    intake = Intake(lake, Wal(folder / "wal"), Footprint(), SystemClock())
    intake.recover()
    _server, port = start_grpc(intake, "127.0.0.1", 0)
    every(0.02, intake.flush, threading.Event())
    print(port, flush=True)  # noqa: T201
    threading.Event().wait()


if __name__ == "__main__":
    main()
