"""Adapters by name, from this distribution and from any other that registers an entry point."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points

from greenops.errors import UsageError, nearest

METERS = "greenops.energy_meters"
PROVIDERS = "greenops.grid_providers"
PRICES = "greenops.price_providers"
ACTUATORS = "greenops.actuators"
ENGINES = "greenops.engines"


@cache
def registered(group: str) -> dict[str, EntryPoint]:
    """Entry points of a group by name; a later distribution does not displace an earlier one."""
    found: dict[str, EntryPoint] = {}
    for each in entry_points(group=group):
        found.setdefault(each.name, each)
    return found


def load(group: str, name: str) -> object:
    """The class or factory registered under a name.

    Raises:
        UsageError: Nothing of that name is registered; names the nearest.
    """
    known = registered(group)
    if name not in known:
        near = nearest(name, known)
        hint = f"did you mean `{near}`?" if near else f"known: {', '.join(sorted(known)) or 'none'}"
        raise UsageError("GO0802", f"no `{name}` is registered under `{group}`", fix=hint)
    return known[name].load()
