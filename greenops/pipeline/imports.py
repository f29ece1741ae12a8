"""Runs that other tools accounted for, brought into the lake."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import tzinfo
from pathlib import Path
from typing import Final

from greenops.adapters import codecarbon_file, eco2ai_file, impact_tracker_file, ml_impact_file
from greenops.adapters.parquet_lake import ParquetLake
from greenops.domain.foreign import ForeignRun, as_span, last_of_each
from greenops.domain.spans import SpanRow
from greenops.errors import DataMissing, InvalidFile, Location
from greenops.pipeline.reported import named

Reader = Callable[[Path, tzinfo], Iterator[ForeignRun]]

READERS: Final[Mapping[str, Reader]] = {
    "codecarbon": codecarbon_file.read,
    "eco2ai": eco2ai_file.read,
    "experiment-impact-tracker": impact_tracker_file.read,
    "ml-impact": ml_impact_file.read,
}


def bring(tool: str, path: Path, zone: tzinfo, state: Path) -> Sequence[SpanRow]:
    """Read a tool's file and keep its runs; a file brought again replaces what it gave before.

    Raises:
        DataMissing: The file cannot be read.
        InvalidFile: It is not one of that tool.
        Unreachable: The lake cannot be written.
    """
    try:
        with named(tool, path):
            runs = last_of_each(READERS[tool](path, zone))
    except OSError as error:
        raise DataMissing(
            "GO0443", f"cannot be read: {error.strerror}", at=Location(str(path))
        ) from error
    except UnicodeDecodeError as error:
        raise InvalidFile("GO0440", "not UTF-8 text", at=Location(str(path))) from error
    rows = [as_span(run) for run in runs]
    name = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
    ParquetLake(state / "lake").write_spans(rows, f"import-{tool}-{name}")
    return rows
