"""`greenops plan --routes FILE`: weights of a file's routes as they would be decided now, sending nothing."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from greenops.cli.plan_jobs import aligned

if TYPE_CHECKING:
    from greenops.domain.route import Front
    from greenops.pipeline.decide import Decider
    from greenops.pipeline.route_report import BackendPlan, RoutePlan
    from greenops.units import Grams

ORIGIN_TEXTS: Final = 4
BACKEND_TEXTS: Final = 2
LEFT_OUT_TEXTS: Final = 3
DOWN_TEXTS: Final = 2
"""Columns of words; numbers follow."""
LEAST_GAP: Final = 0.001
"""Percent below which whole percents are as good as the exact shares."""


def offer(parser: argparse.ArgumentParser) -> None:
    """Add the options of a plan of routes to `plan`."""
    group = parser.add_argument_group("weights of the routes of a file, with `--routes` alone")
    group.add_argument(
        "--routes",
        type=Path,
        metavar="FILE",
        help="file of routes, as `routes.yaml` in the state folder",
    )
    group.add_argument(
        "--down",
        action="append",
        metavar="BACKEND",
        help="as if this backend were down; may be repeated",
    )


def refuse(args: argparse.Namespace) -> None:
    """An option of a plan of routes without one would be passed over in silence.

    Raises:
        UsageError: There is one.
    """
    from greenops.errors import UsageError

    if args.down:
        raise UsageError(
            "GO0805", "`--down` belongs to a plan of routes", fix="give `--routes FILE` alone"
        )


def run(args: argparse.Namespace, decider: Callable[[argparse.Namespace], Decider]) -> int:
    """Plan and print.

    Args:
        args: What was said.
        decider: Makes what knows policies and grid.
    """
    import json

    from greenops.domain.record import plain
    from greenops.errors import UsageError
    from greenops.pipeline.route_report import plan_routes

    if args.workload or args.all or args.replay or args.jobs or args.at:
        raise UsageError(
            "GO0805",
            "`--routes` is a plan of its own, of the coming hour",
            fix="leave out `WORKLOAD`, `--all`, `--jobs`, `--replay` and `--at`",
        )
    known = decider(args)
    gone = args.down or []
    plans = plan_routes(known, _fronts(args.routes, gone, known), gone)
    if args.output == "json":
        print(json.dumps([plain(each) for each in plans], indent=2))
    else:
        print("\n\n".join("\n".join(_lines(each)) for each in plans))
    lost = [f"{p.route}@{o.origin}" for p in plans for o in p.origins if o.unserved_rps > 0]
    if lost:
        print(f"nobody has room for all requests of {', '.join(lost)}", file=sys.stderr)
    return 0


def _fronts(path: Path, gone: Sequence[str], decider: Decider) -> Sequence[Front]:
    from greenops.errors import InvalidFile, Location, UsageError, nearest
    from greenops.pipeline.fronts import check_fronts, read_fronts
    from greenops.plugins import ACTUATORS, registered

    if not path.is_file():
        raise UsageError("GO0805", f"no file `{path}`", fix="name a file of routes")
    fronts = read_fronts(path)
    if not fronts:
        raise InvalidFile("GO0651", "no route", at=Location(str(path)), fix="list one in `routes`")
    check_fronts(
        fronts,
        path,
        workloads=decider.policies.workloads,
        targets=registered(ACTUATORS),
        regions=[each.id for each in decider.grid.regions],
    )
    # A route without origins has no rooms to leave, so it knows nothing of what is down.
    known = {each.name for front in fronts if front.origins for each in front.backends}
    for name in gone:
        if name not in known:
            near = nearest(name, known)
            fix = f"did you mean `{near}`?" if near else "name a backend of a route with origins"
            raise UsageError("GO0805", f"`--down {name}`: no such backend", fix=fix)
    return fronts


def _lines(plan: RoutePlan) -> Iterator[str]:
    yield _head(plan)
    yield f"  {plan.reason}"
    if plan.weights is not None:
        yield f"  {_weights(plan.weights)}; it has no origins, so no optimum of all of them"
    if not plan.origins:
        return
    for title, rows, texts in (
        ("", _of_origins(plan), ORIGIN_TEXTS),
        ("", _of_backends(plan), BACKEND_TEXTS),
        ("left out", _left_out(plan), LEFT_OUT_TEXTS),
        ("while one is down", _while_down(plan), DOWN_TEXTS),
    ):
        if found := list(rows):
            yield ""
            if title:
                yield title
            yield from aligned(found, texts)
    yield ""
    yield from _notes(plan)


def _head(plan: RoutePlan) -> str:
    said = (
        f"route {plan.route}, workload {plan.workload}, the hour from {plan.at:%Y-%m-%d %H:%M} UTC"
    )
    if plan.home_g is None or plan.carbon_g is None or plan.saving is None:
        return said if not plan.origins else f"{said}: emissions are not known"
    change = f"{100 * abs(plan.saving):.1f} % {'less' if plan.saving >= 0 else 'more'}"
    return (
        f"{said}: {_mass(plan.home_g)} at home, {_mass(plan.carbon_g)} by these weights, {change}"
    )


def _of_origins(plan: RoutePlan) -> Iterator[Sequence[str]]:
    yield ("origin", "home", "weights", "when full", "requests/s", "at home", "by weights")
    for each in plan.origins:
        yield (
            each.origin,
            each.home,
            _weights(each.weights),
            ", ".join(each.then) or "-",
            f"{each.requests_per_s:g}",
            _mass(each.home_g),
            _mass(each.carbon_g),
        )


def _of_backends(plan: RoutePlan) -> Iterator[Sequence[str]]:
    yield ("backend", "region", "g/kWh", "J/request", "answers/s", "of", "room for 1/s more saves")
    for each in plan.backends:
        yield (
            each.backend,
            each.region,
            "not known" if each.intensity is None else f"{each.intensity:.0f}",
            f"{each.joules_per_request:.4g}",
            f"{each.answers_rps:.4g}",
            "no limit" if each.capacity_rps is None else f"{each.capacity_rps:g}",
            _worth_of_room(each),
        )


def _worth_of_room(of: BackendPlan) -> str:
    if of.capacity_rps == 0:
        return "it is down"
    if of.intensity is None:
        return "not known"
    if of.room_saves_g is None:
        return "what finds none"
    return f"{_mass(of.room_saves_g)}" if of.room_saves_g else "nothing"


def _left_out(plan: RoutePlan) -> Iterator[Sequence[str]]:
    for each in plan.excluded:
        yield (f"  {each.origin}", each.backend, "; ".join(each.reasons))


def _while_down(plan: RoutePlan) -> Iterator[Sequence[str]]:
    for each in plan.while_down:
        lacks = "all is answered"
        if each.unserved_rps > 0:
            lacks = f"{each.unserved_rps:.4g} requests/s find no room"
        elif each.over_rps > 0:
            lacks = f"{each.over_rps:.4g} requests/s beyond what their homes bear"
        # What part of the traffic emits says nothing of the whole.
        yield (f"  {each.backend}", lacks, "" if each.unserved_rps > 0 else _mass(each.carbon_g))


def _notes(plan: RoutePlan) -> Iterator[str]:
    if not plan.decided:
        yield "the rules keep everybody where they are; the weights are what they would be without them"
    if plan.bound_g is not None and plan.carbon_g:
        gap = 100 * max(0.0, 1 - plan.bound_g / plan.carbon_g)
        below = f"{gap:.2g} % below these" if gap >= LEAST_GAP else "these are the best there are"
        least = f"no weights emit less than {_mass(plan.bound_g)} in that hour"
        yield f"{least}, as the prices of room prove: {below}"
    for each in plan.origins:
        if each.over_rps > 0:
            yield f"{each.origin}: {each.over_rps:.4g} requests/s stay at home beyond what it bears"
    for zone, name in (plan.forecast_ids or {}).items():
        yield f"{zone}: forecast {name}{', recorded history played back' if plan.replay else ''}"


def _weights(weights: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {share} %" for name, share in weights.items())


def _mass(grams: Grams | None) -> str:
    from greenops.pipeline.policy_replay_words import grams as words

    return "not known" if grams is None else words(grams)
