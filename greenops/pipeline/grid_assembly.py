"""Puts a chain of grid providers together: what each may be asked, where its answers are kept, what may stand in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from greenops.adapters.grid_cache_files import GridCacheFiles
from greenops.adapters.shipped_grid import shipped_regions
from greenops.config import Settings
from greenops.domain.grid import Region, SeriesKind
from greenops.errors import UsageError
from greenops.pipeline.beside import Run, in_background
from greenops.pipeline.grid_chain import GridChain, Kinds, refuse_mixed
from greenops.pipeline.grid_kept import KeptAnswers
from greenops.pipeline.grid_limits import TokenBucket, at_random
from greenops.pipeline.grid_source import Source
from greenops.pipeline.grid_worker import Worker
from greenops.pipeline.grid_zones import ZoneNames, as_listed
from greenops.ports import Clock, GridProvider, KindStated


def chained(
    names: Sequence[str],
    providers: Sequence[GridProvider],
    settings: Settings,
    clock: Clock,
    run: Run = in_background,
    *,
    patient: bool = False,
) -> tuple[GridChain, list[Region]]:
    """A chain, and the regions with their grid zones as its first provider calls them.

    Args:
        names: Of the providers, as the setting has them.
        providers: The first is the one that is asked for; the others stand in.
        settings: Limits, and the state folder.
        clock: Time.
        run: How providers are asked; tests do it at once.
        patient: Whoever asks for a long past may wait for it.

    Raises:
        UsageError: No provider is named, or one twice.
        MixedQuantities: One gives another kind of intensity than the first.
    """
    if not names or len(set(names)) < len(names):
        raise UsageError(
            "GO0804",
            f"`provider` must name one provider, or several with commas, each once, not `{settings.provider}`",
        )
    kinds = Kinds(_stated(providers[0]))
    for each in providers[1:]:
        theirs = _stated(each)
        if kinds.first is not None and theirs is not None:
            refuse_mixed(kinds.first, theirs)
    # Whose kind is known beforehand is held to it; of another the first answer tells.
    hold = kinds.learn if kinds.first is None else kinds.check
    checks = [hold, *(kinds.check for _ in providers[1:])]
    called = [each.name for each in providers]
    if len(set(called)) < len(called):  # two entry points of one class
        called = list(names)
    files = GridCacheFiles(settings.state / "grid")
    sources = [
        Source(
            provider=provider,
            kept=KeptAnswers(name, files),
            worker=Worker(name, clock, TokenBucket(settings.grid_calls_per_minute), at_random, run),
            clock=clock,
            max_age=timedelta(seconds=settings.forecast_max_age_s),
            check_kind=check,
        )
        for name, provider, check in zip(called, providers, checks, strict=True)
    ]
    share_s = settings.grid_wait_s / len(sources)
    listed = [each.zones(share_s) for each in sources]
    shipped = shipped_regions()
    regions = as_listed(shipped, listed[0])
    of_zones = ZoneNames.of(shipped, regions)
    chain = GridChain(sources, of_zones, kinds, clock, settings.grid_wait_s, patient)
    return chain, regions


def _stated(provider: GridProvider) -> SeriesKind | None:
    """What a provider says of its kind; none where it does not."""
    return provider.kind if isinstance(provider, KindStated) else None
