"""Routes that the loop looks after: which workload, which backends, which targets carry weights.

The file is `routes.yaml` in the state folder:

    routes:
    - name: search
      workload: search
      targets: [route-table]
      backends:
      - {name: eu-central-1, region: eu-central-1, p95_ms: 40}
      - {name: eu-north-1, region: eu-north-1, p95_ms: 45}
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml

from greenops.domain.record import restore
from greenops.errors import InvalidFile, Location, nearest


@dataclass(frozen=True, slots=True)
class FrontBackend:
    """One place that answers a route.

    Attributes:
        p95_ms: Latency seen by the route's callers, P95 [ms]; none where not measured.
    """

    name: str
    region: str
    p95_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Front:
    """One route, the workload behind it and the targets that must show its weights."""

    name: str
    workload: str
    targets: tuple[str, ...]
    backends: tuple[FrontBackend, ...]


@dataclass(frozen=True, slots=True)
class _File:
    routes: tuple[Front, ...]


def check_fronts(
    fronts: tuple[Front, ...],
    path: Path,
    *,
    workloads: Iterable[str],
    targets: Iterable[str],
    regions: Iterable[str],
) -> None:
    """Refuse routes that name what is not there.

    Raises:
        InvalidFile: An unknown workload, target or region; names the nearest.
    """
    for front in fronts:
        _known("workload", front.workload, workloads, path)
        for target in front.targets:
            _known("target", target, targets, path)
        for backend in front.backends:
            _known("region", backend.region, regions, path)


def _known(what: str, name: str, known: Iterable[str], path: Path) -> None:
    names = list(known)
    if name not in names:
        near = nearest(name, names)
        hint = f"did you mean `{near}`?" if near else None
        raise InvalidFile("GO0652", f"unknown {what} `{name}`", at=Location(str(path)), fix=hint)


def read_fronts(path: Path) -> tuple[Front, ...]:
    """The routes of a file; none of it where the file is absent.

    Raises:
        InvalidFile: It is not such a file; says where.
    """
    if not path.is_file():
        return ()
    try:
        return restore(_File, yaml.safe_load(path.read_text())).routes
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        at = Location(str(path), mark.line + 1, mark.column + 1) if mark else Location(str(path))
        raise InvalidFile("GO0650", f"not YAML: {error.problem}", at=at) from error
    except (ValueError, TypeError) as error:
        raise InvalidFile(
            "GO0651",
            str(error).replace(f"{_File.__name__}.", ""),
            at=Location(str(path)),
            fix="a route has name, workload, targets and backends",
        ) from error
