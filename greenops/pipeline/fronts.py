"""Routes that the loop looks after: which workload, which backends, which targets carry weights.

The file is `routes.yaml` in the state folder:

    routes:
    - name: search
      workload: search
      targets: [route-table]
      backends:
      - {name: eu-central-1, region: eu-central-1, p95_ms: 40}
      - {name: eu-north-1, region: eu-north-1, p95_ms: 45}

With `origins` its weights are those of least emissions for all of them together, see `route_traffic`:

    - name: images
      workload: images
      targets: [route-table]
      max_rtt_ms: 60
      backends:
      - {name: eu-central-1, region: eu-central-1, p95_ms: 40, capacity_rps: 300, joules_per_request: 2.5}
      - {name: eu-north-1, region: eu-north-1, p95_ms: 45, capacity_rps: 150, joules_per_request: 2.2}
      origins:
      - {name: frankfurt, home: eu-central-1, requests_per_s: 90, rtt_ms: {eu-central-1: 4, eu-north-1: 28}}
      - {name: stockholm, home: eu-north-1, requests_per_s: 40, rtt_ms: {eu-central-1: 28, eu-north-1: 4}}
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml

from greenops.domain.record import restore
from greenops.domain.route import Front, FrontBackend, Origin
from greenops.errors import InvalidFile, Location, nearest
from greenops.pipeline.front_checks import check_routes, check_words


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
    """The routes of a file, one front for each origin of those that have some; none where the file is absent.

    Raises:
        InvalidFile: It is not such a file; says where.
    """
    if not path.is_file():
        return ()
    try:
        document = yaml.safe_load(path.read_text())
        check_words(document, {"routes": Front, "backends": FrontBackend, "origins": Origin}, path)
        routes = restore(_File, document).routes
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
    check_routes(routes, path)
    return tuple(
        each for route in routes for each in (route.of_origins() if route.origins else (route,))
    )
