"""The file with the accepted energy of tests; it lies beside them, in their repository."""

from __future__ import annotations

import json
from pathlib import Path

from greenops.domain.energy_baseline import Baseline
from greenops.domain.record import parse, plain
from greenops.errors import DataMissing, InvalidFile, Location, Unreachable


def read_baseline(path: Path) -> Baseline:
    """The baseline that was accepted.

    Raises:
        DataMissing: There is no file.
        InvalidFile: It is no baseline.
    """
    try:
        return parse(Baseline, path.read_bytes())
    except FileNotFoundError as error:
        raise DataMissing(
            "GO0430",
            "there is no energy baseline",
            at=Location(str(path)),
            fix="write one with `pytest --energy-save`",
        ) from error
    except (ValueError, OSError) as error:
        raise InvalidFile(
            "GO0431", f"no energy baseline: {error}", at=Location(str(path))
        ) from error


def write_baseline(path: Path, baseline: Baseline) -> None:
    """Accept these numbers; lines stay in order, so that a review shows what moved.

    Raises:
        Unreachable: The file cannot be written.
    """
    try:
        path.write_text(json.dumps(plain(baseline), indent=1, sort_keys=True) + "\n")
    except OSError as error:
        raise Unreachable(
            "GO0432", f"cannot write the energy baseline: {error.strerror}", at=Location(str(path))
        ) from error
